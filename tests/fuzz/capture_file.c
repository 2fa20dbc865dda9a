// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Fuzzes the reader of capture files: any bytes at all, to their end. */
#include "tools/capture/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The whole packet is there to be read, and its time is a time. */
static void use(const struct capture_packet *packet)
{
	struct timespec time;
	uint8_t sum = 0;

	for (uint32_t i = 0; i < packet->caplen + CAPTURE_BEHIND; i++)
		sum ^= packet->data[i];
	*(volatile uint8_t *)&sum = sum;
	if (capture_timespec(&packet->time, &time) &&
	    (time.tv_nsec < 0 || time.tv_nsec >= 1000000000))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("capture", MFD_CLOEXEC);
	char path[64], message[CAPTURE_MESSAGE_MAX] = "";
	struct capture_packet packets[8];
	struct capture_file *file;
	uint32_t linktypes[4];
	int result;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	file = capture_file_open(path, -1, message);
	if (!file != !!*message)
		abort();
	if (file) {
		while ((result = capture_file_batch(file, packets, 8)) > 0)
			for (int i = 0; i < result; i++)
				use(&packets[i]);
		if ((result < 0) != !!*capture_file_message(file))
			abort();
		capture_file_linktypes(file, linktypes, 4);
		if (!capture_file_interfaces(file))
			abort();
		capture_file_close(file);
	}
	close(fd);
	return 0;
}
