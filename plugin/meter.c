// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Opening and closing a meter, its errors and options. */
#include "plugin/classes/classes.h"
#include "plugin/meter.h"
#include "plugin/count/path_labels.h"
#include "proto/service.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define OPEN_FLAGS (SOCKTALLY_OPEN_USERSPACE | SOCKTALLY_OPEN_RECORDS)

const char *socktally_version(void)
{
	return SOCKTALLY_VERSION;
}

/* Why socktally_open() failed, when there is no meter to ask. */
static __thread char open_error[sizeof(((struct socktally *)0)->error)];

const char *socktally_error(const struct socktally *meter)
{
	if (!meter)
		return open_error;
	return st_is_live(meter) ? meter->error : "there is no such meter (any more)";
}

void st_log(const struct socktally *meter, enum socktally_log_level level, const char *format, ...)
{
	char text[sizeof(meter->error)];
	va_list arguments;

	if (!meter->log)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	meter->log(meter->log_ctx, level, text);
}

int st_fail(struct socktally *meter, int result, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(meter->error, sizeof(meter->error), format, arguments);
	va_end(arguments);
	if (meter->log && !meter->quiet)
		meter->log(meter->log_ctx, SOCKTALLY_LOG_ERROR, meter->error);
	return result;
}

/* The same before there is a meter. */
static int refuse(int result, const char *text)
{
	snprintf(open_error, sizeof(open_error), "%s", text);
	return result;
}

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

static int userspace_open(struct socktally *meter)
{
	meter->region_count = 1;
	meter->regions = aligned_alloc(64, meter->region_size);
	if (!meter->regions)
		return st_fail(meter, -ENOMEM, "no memory for a table of %u paths",
			       meter->sizes.paths);
	memset(meter->regions, 0, meter->region_size);
	return 0;
}

static void meter_free(struct socktally *meter)
{
	st_attachments_free(meter);
	st_classes_free(meter);
	st_hooks_free(meter);
	st_thresholds_free(meter);
	if (meter->timer >= 0)
		close(meter->timer);
	if (meter->broker >= 0)
		close(meter->broker);
	if (meter->chain_map >= 0)
		close(meter->chain_map);
	if (meter->count_prog >= 0)
		close(meter->count_prog);
	if (meter->blocks.map >= 0)
		close(meter->blocks.map);
	if (meter->cells_map >= 0)
		close(meter->cells_map);
	if (meter->regions && meter->userspace)
		free(meter->regions);
	else if (meter->regions)
		munmap(meter->regions, (size_t)meter->region_count * meter->region_size);
	st_names_close(meter);
	free(meter);
}

int socktally_open(struct socktally **result, const struct socktally_open_opts *opts)
{
	struct socktally_open_opts own;
	struct socktally *meter;
	int error, saved = errno;

	if (!result)
		return refuse(-EINVAL, "no place for the meter");
	error = st_options(&own, sizeof(own), opts);
	if (error == -E2BIG)
		return refuse(error, "the options are of a newer release, and one is set that this "
				     "one (" SOCKTALLY_VERSION ") does not have");
	if (error)
		return refuse(error, "the options don't begin with their size");
	if (own.paths > ST_MAX_PATHS || own.flags & ~OPEN_FLAGS)
		return refuse(-EINVAL, "options: more than 32768 paths, or unknown flags");
	meter = calloc(1, sizeof(*meter));
	errno = saved;
	if (!meter)
		return refuse(-ENOMEM, "no memory for a meter");
	meter->log = own.log;
	meter->log_ctx = own.log_ctx;
	meter->gap = own.gap;
	meter->gap_ctx = own.gap_ctx;
	meter->cells_map = meter->blocks.map = meter->chain_map = -1;
	meter->count_prog = meter->broker = meter->timer = meter->shown = -1;
	st_hooks_init(&meter->hooks);
	meter->userspace = own.flags & SOCKTALLY_OPEN_USERSPACE;
	meter->records = own.flags & SOCKTALLY_OPEN_RECORDS;
	meter->sizes.paths = own.paths ? own.paths : ST_DEFAULT_PATHS;
	meter->sizes.slots = st_table_slots(meter->sizes.paths);
	meter->region_size = (uint32_t)st_region_size(meter->sizes.paths);
	if (meter->userspace)
		error = userspace_open(meter);
	else
		error = own.broker ? st_broker_open(meter, own.broker) : st_kernel_open(meter);
	st_names_open(meter);
	if (!error && !st_live_add(meter))
		error = st_fail(meter, -EMFILE, "there are %d meters already", ST_MAX_METERS);
	if (error) {
		refuse(error, meter->error);
		meter_free(meter);
	} else {
		*result = meter;
	}
	errno = saved;
	return error;
}

void socktally_close(struct socktally *meter)
{
	int saved = errno;

	if (st_live_remove(meter))
		meter_free(meter);
	errno = saved;
}
