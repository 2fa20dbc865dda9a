// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Fuzzes the reader of saved reports: what it takes adds up. */
#include "tools/capture/input.h"
#include "tools/content/content.h"
#include "tools/saved/side.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(struct saved_side *side)
{
	struct socktally_counts sum = {0};

	saved_table_sort(&side->paths);
	saved_table_sort(&side->groups);
	for (size_t i = 0; i < side->paths.count; i++) {
		report_counts_add(&sum, &side->paths.row[i].counts);
		if (saved_table_find(&side->paths, side->paths.row[i].name) != &side->paths.row[i])
			abort();
	}
	if (memcmp(&sum, &side->totals, sizeof(sum)) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("report", MFD_CLOEXEC);
	char message[CAPTURE_MESSAGE_MAX] = "";
	struct capture_input input;
	struct saved_side side = {0};
	int result;

	if (fd < 0 || write(fd, data, size) != (ssize_t)size || lseek(fd, 0, SEEK_SET))
		abort();
	if (capture_input_open(&input, fd, -1)) {
		result = saved_reports_read(&side, &input, "report", message);
		if (!result == !!*message)
			abort();
		if (!result)
			use(&side);
	} else {
		capture_input_close(&input);
	}
	saved_side_free(&side);
	return 0;
}
