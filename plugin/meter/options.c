// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Options structs of callers that are older or newer than the library. */
#include "plugin/meter/meter.h"
#include <errno.h>
#include <string.h>

int st_options(void *own, size_t own_size, const void *callers)
{
	size_t size;

	memset(own, 0, own_size);
	if (!callers)
		return 0;
	memcpy(&size, callers, sizeof(size));
	if (size < sizeof(size))
		return -EINVAL;
	for (size_t i = own_size; i < size; i++)
		if (((const unsigned char *)callers)[i])
			return -E2BIG;
	memcpy(own, callers, size < own_size ? size : own_size);
	return 0;
}
