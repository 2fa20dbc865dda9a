// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "plugin/count/path_labels.h"
#include <string.h>
#include <sys/mman.h>

/* Mapped, so that only places that are used take memory. */
static size_t names_size(const struct socktally *meter)
{
	return meter->sizes.paths * sizeof(struct st_path_label);
}

void st_path_labels_open(struct socktally *meter)
{
	void *mapped = mmap(NULL, names_size(meter), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	meter->names = mapped == MAP_FAILED ? NULL : mapped;
}

void st_path_labels_close(struct socktally *meter)
{
	if (meter->names)
		munmap(meter->names, names_size(meter));
}

void st_path_label_keep(const struct socktally *meter, uint32_t number, struct st_path path,
			uint64_t check, const struct socktally_cell *cell)
{
	size_t size = strlen(cell->path) + 1;
	uint32_t none = ST_NAME_NONE;
	struct st_path_label *name;

	if (!meter->names || size > sizeof(name->text))
		return;
	name = &meter->names[number];
	if (!__atomic_compare_exchange_n(&name->state, &none, ST_NAME_BEING_MADE, false,
					 __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		return;
	name->path = path;
	name->check = check;
	name->layer_count = cell->layer_count;
	memcpy(name->layers, cell->layers, sizeof(name->layers));
	memcpy(name->text, cell->path, size);
	__atomic_store_n(&name->state, ST_NAME_MADE, __ATOMIC_RELEASE);
}
