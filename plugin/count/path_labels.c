// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "plugin/count/path_labels.h"
#include <string.h>
#include <sys/mman.h>

/* Mapped, so that only places that are used take memory. */
static size_t labels_size(const struct socktally *meter)
{
	return meter->sizes.paths * sizeof(struct st_path_label);
}

void st_path_labels_open(struct socktally *meter)
{
	void *mapped = mmap(NULL, labels_size(meter), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	meter->path_labels = mapped == MAP_FAILED ? NULL : mapped;
}

void st_path_labels_close(struct socktally *meter)
{
	if (meter->path_labels)
		munmap(meter->path_labels, labels_size(meter));
}

void st_path_label_keep(const struct socktally *meter, uint32_t number, struct st_path path,
			uint64_t check, const struct socktally_cell *cell)
{
	size_t size = strlen(cell->path) + 1;
	uint32_t none = ST_LABEL_NONE;
	struct st_path_label *label;

	if (!meter->path_labels || size > sizeof(label->text))
		return;
	label = &meter->path_labels[number];
	if (!__atomic_compare_exchange_n(&label->state, &none, ST_LABEL_BEING_MADE, false,
					 __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		return;
	label->path = path;
	label->check = check;
	label->layer_count = cell->layer_count;
	memcpy(label->layers, cell->layers, sizeof(label->layers));
	memcpy(label->text, cell->path, size);
	__atomic_store_n(&label->state, ST_LABEL_MADE, __ATOMIC_RELEASE);
}
