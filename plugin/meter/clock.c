// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "plugin/meter/meter.h"
#include <time.h>

uint32_t st_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint32_t)now.tv_sec;
}

uint64_t st_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
