// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The table that a tool with a --plugin option looks up. */
#include "plugin/meter/meter.h"
#include "plugin/meter/visit.h"
#include <errno.h>
#include <stddef.h>

/* Hosts of 1.0.0 have these members at these places; new ones follow. */
_Static_assert(offsetof(struct socktally_plugin, create) == 24 &&
		       offsetof(struct socktally_plugin, snapshot) == 72 &&
		       offsetof(struct socktally_plugin, get_filter) == 160,
	       "the table only grows at its end");

static int set_filter(struct socktally *meter, int fd, const void *insns, size_t count)
{
	return socktally_set_filter(meter, fd, insns, count);
}

static int get_filter(struct socktally *meter, int fd, void *insns, size_t *count)
{
	return socktally_get_filter(meter, fd, insns, count);
}

static int count_packet(struct socktally *meter, uint32_t linktype, const void *data, size_t caplen,
			size_t len, uint32_t direction)
{
	return socktally_count(meter, linktype, data, caplen, len,
			       (enum socktally_direction)direction);
}

/* Walks through the hooks, each followed by its rows. */
struct hooks_walk {
	struct socktally *meter;
	const struct socktally_sink *sink;
	void *ctx;
};

static int hook_walk(void *ctx, const struct socktally_hook *hook)
{
	const struct hooks_walk *walk = ctx;
	int result = walk->sink->hook ? walk->sink->hook(walk->ctx, hook) : 0;

	if (!result && walk->sink->row)
		result = socktally_hook_rows(walk->meter, hook->name, NULL, walk->sink->row,
					     walk->ctx);
	return result;
}

static int snapshot(struct socktally *meter, const struct socktally_sink *sink, void *ctx)
{
	struct socktally_totals totals;
	struct socktally_sink own;
	int result;

	if (!st_registry_has(meter))
		return -EINVAL;
	if (!sink)
		return st_fail(meter, -EINVAL, "a snapshot: no sink");
	result = st_options(&own, sizeof(own), sink);
	if (result)
		return st_fail(meter, result, "a snapshot: its sink is of an unknown size");
	st_meter_hold(meter);
	result = socktally_snapshot(meter, own.cell, ctx, &totals);
	if (!result && own.totals)
		result = st_visit_result(meter, own.totals(ctx, &totals));
	if (!result && own.class_counts)
		result = socktally_classes(meter, own.class_counts, ctx);
	if (!result && (own.hook || own.row))
		result = socktally_hooks(meter, hook_walk,
					 &(struct hooks_walk){.meter = meter,
							      .sink = &own,
							      .ctx = ctx});
	st_meter_release(meter);
	return result;
}

const struct socktally_plugin socktally_plugin = {
	.abi = SOCKTALLY_PLUGIN_ABI,
	.size = sizeof(struct socktally_plugin),
	.name = "socktally",
	.version = SOCKTALLY_VERSION,
	.create = socktally_open,
	.destroy = socktally_close,
	.error = socktally_error,
	.attach = socktally_attach,
	.set_filter = set_filter,
	.detach = socktally_detach,
	.snapshot = snapshot,
	.set_interval = socktally_set_interval,
	.fd = socktally_fd,
	.poll = socktally_poll,
	.threshold_add = socktally_threshold_add,
	.threshold_remove = socktally_threshold_remove,
	.hook_add = socktally_hook_add,
	.hook_replace = socktally_hook_replace,
	.hook_remove = socktally_hook_remove,
	.hook_set_priority = socktally_hook_set_priority,
	.set_classes = socktally_set_classes,
	.get_filter = get_filter,
	.forget = socktally_forget,
	.sockets = socktally_sockets,
	.count = count_packet,
	.classify = socktally_classify_for,
	.path_text = socktally_path_text,
	.changes = socktally_changes,
	.group_add = socktally_group_add,
	.group_remove = socktally_group_remove,
	.groups = socktally_groups,
	.group_rows = socktally_group_rows,
	.group_fields = socktally_group_fields,
};
