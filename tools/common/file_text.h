/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Reading text files and the small files of /proc. */
#ifndef SOCKTALLY_TOOLS_COMMON_FILE_TEXT_H
#define SOCKTALLY_TOOLS_COMMON_FILE_TEXT_H

#include <stddef.h>
#include <sys/types.h>

/* Up to size - 1 bytes of the file, and a zero byte. Returns how many, or -errno. */
ssize_t file_text_read(const char *path, char *text, size_t size);

/* The number in a file of /proc/sys; -1: it can't be read. */
long file_number_read(const char *path);

#endif
