// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "tools/common/file_text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

ssize_t file_text_read(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t count = 1, error = 0;
	size_t used = 0;

	if (fd < 0)
		return -errno;
	while (used < size - 1 && count && !error) {
		count = read(fd, text + used, size - 1 - used);
		if (count > 0)
			used += (size_t)count;
		else if (count && errno != EINTR)
			error = -errno;
	}
	close(fd);
	text[used] = '\0';
	return error ? error : (ssize_t)used;
}

long file_number_read(const char *path)
{
	char text[32], *end;
	long number;

	if (file_text_read(path, text, sizeof(text)) <= 0)
		return -1;
	number = strtol(text, &end, 10);
	return end > text ? number : -1;
}
