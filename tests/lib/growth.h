/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What a process has, for tests that look whether it grows. */
#ifndef SOCKTALLY_TESTS_LIB_GROWTH_H
#define SOCKTALLY_TESTS_LIB_GROWTH_H

#include <dirent.h>
#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

static inline unsigned int count_descriptors(void)
{
	unsigned int count = 0;
	DIR *directory = opendir("/proc/self/fd");

	while (directory && readdir(directory))
		count++;
	if (directory)
		closedir(directory);
	return count;
}

/* Bytes that malloc() has handed out; 0 under a sanitizer, whose own look at the end sees leaks. */
static inline size_t allocated(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

/* Kilobytes of memory in use. */
static inline long resident(void)
{
	long pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	if (file && fscanf(file, "%*d %ld", &pages) != 1)
		pages = 0;
	if (file)
		fclose(file);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

#endif
