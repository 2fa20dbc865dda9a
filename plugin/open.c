// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Opening and closing a meter. */
#include "plugin/apps/memory.h"
#include "plugin/attach/attach.h"
#include "plugin/classes/classes.h"
#include "plugin/count/changes.h"
#include "plugin/count/classify.h"
#include "plugin/count/path_labels.h"
#include "plugin/groups/groups.h"
#include "plugin/hooks/hook.h"
#include "plugin/meter/maps.h"
#include "plugin/meter/meter.h"
#include "plugin/meter/visit.h"
#include "plugin/remote/remote.h"
#include "plugin/threshold.h"
#include "plugin/unload.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define OPEN_FLAGS                                                                                 \
	(SOCKTALLY_OPEN_USERSPACE | SOCKTALLY_OPEN_RECORDS | SOCKTALLY_OPEN_NO_APPLICATIONS)

const char *socktally_version(void)
{
	return SOCKTALLY_VERSION;
}

static int userspace_open(struct socktally *meter, bool applications, uint32_t flows)
{
	meter->region_count = 1;
	meter->regions = aligned_alloc(64, meter->region_size);
	if (!meter->regions)
		return st_fail(meter, -ENOMEM, "no memory for a table of %u paths",
			       meter->sizes.paths);
	memset(meter->regions, 0, meter->region_size);
	if (!applications)
		return 0;
	meter->flows = st_flow_memory_open(flows, 0);
	if (!meter->flows)
		return st_fail(meter, -ENOMEM, "no memory to remember flows");
	return 0;
}

static void meter_free(struct socktally *meter)
{
	st_attachments_free(meter);
	st_classes_free(meter);
	st_hooks_free(meter);
	st_groups_free(meter);
	st_thresholds_free(meter);
	st_changes_free(meter);
	if (meter->events >= 0)
		close(meter->events);
	if (meter->timer >= 0)
		close(meter->timer);
	if (meter->remote >= 0)
		close(meter->remote);
	if (meter->flow_map >= 0)
		close(meter->flow_map);
	if (meter->look_prog >= 0)
		close(meter->look_prog);
	if (meter->chain_map >= 0)
		close(meter->chain_map);
	if (meter->count_prog >= 0)
		close(meter->count_prog);
	if (meter->header_buffer.map >= 0)
		close(meter->header_buffer.map);
	if (meter->cells_map >= 0)
		close(meter->cells_map);
	if (meter->regions && meter->userspace)
		free(meter->regions);
	else if (meter->regions)
		munmap(meter->regions, (size_t)meter->region_count * meter->region_size);
	st_path_labels_close(meter);
	st_flow_memory_close(meter->flows);
	free(meter);
}

int socktally_open(struct socktally **result, const struct socktally_open_opts *opts)
{
	struct socktally_open_opts own;
	struct st_ports ports;
	struct socktally *meter;
	int error, saved = errno;

	if (!result)
		return st_open_fail(-EINVAL, "no place for the meter");
	error = st_options(&own, sizeof(own), opts);
	if (error == -E2BIG)
		return st_open_fail(error,
				    "the options are of a newer release, and one is set that this "
				    "one (" SOCKTALLY_VERSION ") does not have");
	if (error)
		return st_open_fail(error, "the options don't begin with their size");
	if (own.paths > ST_MAX_PATHS || own.flags & ~OPEN_FLAGS)
		return st_open_fail(-EINVAL, "options: more than 32768 paths, or unknown flags");
	if (own.reserved)
		return st_open_fail(-EINVAL, "options: reserved is not 0");
	if (own.flows & (own.flows - 1) || (own.flows && own.flows < ST_FLOW_LEAST) ||
	    own.flows > ST_FLOW_MOST)
		return st_open_fail(-EINVAL,
				    "options: flows is no power of two from 1024 to 524288");
	if (!st_ports_take(&ports, own.ports, own.port_count))
		return st_open_fail(-EINVAL,
				    "options: more than 8 ports, a port 0 or given twice, or "
				    "a protocol that is on no UDP port");
	meter = calloc(1, sizeof(*meter));
	errno = saved;
	if (!meter)
		return st_open_fail(-ENOMEM, "no memory for a meter");
	st_unload_prepare();
	atomic_init(&meter->references, 1);
	meter->pid = getpid();
	meter->free = meter_free;
	meter->log = own.log;
	meter->log_ctx = own.log_ctx;
	meter->gap = own.gap;
	meter->gap_ctx = own.gap_ctx;
	meter->cells_map = meter->header_buffer.map = meter->chain_map = -1;
	meter->count_prog = meter->remote = meter->timer = meter->events = meter->label_fd = -1;
	meter->flow_map = meter->look_prog = -1;
	if (!(own.flags & SOCKTALLY_OPEN_NO_APPLICATIONS))
		meter->flow_count = own.flows ? own.flows : ST_FLOW_DEFAULT;
	st_hooks_init(&meter->hooks);
	meter->ports = ports;
	meter->userspace = own.flags & SOCKTALLY_OPEN_USERSPACE;
	meter->records = own.flags & SOCKTALLY_OPEN_RECORDS;
	meter->user = geteuid();
	meter->sizes.paths = own.paths ? own.paths : ST_DEFAULT_PATHS;
	meter->sizes.slots = st_table_slots(meter->sizes.paths);
	meter->region_size = (uint32_t)st_region_size(meter->sizes.paths);
	if (meter->userspace)
		error = userspace_open(meter, !(own.flags & SOCKTALLY_OPEN_NO_APPLICATIONS),
				       own.flows);
	else
		error = own.broker ? st_remote_open(meter, &own) : st_meter_maps_open(meter);
	st_path_labels_open(meter);
	if (!error && !st_registry_add(meter))
		error = st_fail(meter, -EMFILE, "there are %d meters already", ST_MAX_METERS);
	if (error) {
		st_open_fail(error, meter->error);
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

	if (st_registry_remove(meter))
		st_meter_close(meter);
	errno = saved;
}
