// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Rates that cross a bound: the difference of two snapshots, looked at once an interval. */
#include "plugin/meter/meter.h"
#include "plugin/threshold.h"
#include "plugin/hooks/pattern.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct st_threshold {
	int number; /* 0: removed while rates were looked at */
	char *path; /* "": all packets; or the name of a class */
	bool of_class;
	struct st_pattern pattern;
	uint32_t rate;
	double above, below;
	socktally_crossing_fn fn;
	void *ctx;
	uint64_t count, before; /* of this look, and of the one before */
	bool started;           /* `before` is from the begin of this interval */
	bool over;
};

static void threshold_free(struct st_threshold *threshold)
{
	free(threshold->path);
	free(threshold);
}

void st_thresholds_free(struct socktally *meter)
{
	for (size_t i = 0; i < meter->threshold_count; i++)
		threshold_free(meter->thresholds[i]);
	free(meter->thresholds);
	meter->thresholds = NULL;
	meter->threshold_count = 0;
}

static int check(struct socktally *meter, const struct socktally_threshold_opts *opts,
		 struct st_pattern *pattern)
{
	const char *bad;
	size_t length;

	if (opts->flags || opts->rate > SOCKTALLY_ACCEPTED_BYTES_PER_SECOND)
		return st_fail(meter, -EINVAL, "a threshold: unknown flags or rate");
	if (opts->path && opts->class_name)
		return st_fail(meter, -EINVAL, "a threshold: of a path or of a class, not of both");
	if (!isfinite(opts->above) || !isfinite(opts->below) || opts->above < 0 ||
	    opts->below < 0 || opts->below > opts->above)
		return st_fail(meter, -EINVAL,
			       "a threshold: its bounds are not 0 <= below <= above");
	if (opts->path && st_pattern_read(pattern, opts->path, &bad, &length))
		return st_fail(meter, -EINVAL,
			       "a threshold on '%.100s': no protocol is named '%.*s'", opts->path,
			       (int)(length < 40 ? length : 40), bad);
	return 0;
}

static int add(struct socktally *meter, const struct socktally_threshold_opts *opts,
	       socktally_crossing_fn fn, void *ctx)
{
	struct st_threshold *threshold, **grown;
	struct st_pattern pattern;
	int result = check(meter, opts, &pattern);

	if (result)
		return result;
	grown = reallocarray(meter->thresholds, meter->threshold_count + 1, sizeof(*grown));
	if (grown)
		meter->thresholds = grown;
	threshold = calloc(1, sizeof(*threshold));
	if (threshold)
		threshold->path = strdup(opts->path         ? opts->path
					 : opts->class_name ? opts->class_name
							    : "");
	if (!grown || !threshold || !threshold->path) {
		if (threshold)
			threshold_free(threshold);
		return st_fail(meter, -ENOMEM, "no memory for a threshold");
	}
	threshold->number = ++meter->threshold_last;
	if (opts->path)
		threshold->pattern = pattern;
	threshold->of_class = opts->class_name;
	threshold->rate = opts->rate;
	threshold->above = opts->above;
	threshold->below = opts->below;
	threshold->fn = fn;
	threshold->ctx = ctx;
	meter->thresholds[meter->threshold_count++] = threshold;
	return threshold->number;
}

int socktally_threshold_add(struct socktally *meter, const struct socktally_threshold_opts *opts,
			    socktally_crossing_fn fn, void *ctx)
{
	struct socktally_threshold_opts own;
	int saved = errno, result;

	if (!st_registry_has(meter))
		return -EINVAL;
	if (!opts || !fn)
		return st_fail(meter, -EINVAL, "a threshold: no options, or no callback");
	result = st_options(&own, sizeof(own), opts);
	if (result)
		st_fail(meter, result, "a threshold: its options are of an unknown size");
	else
		result = add(meter, &own, fn, ctx);
	errno = saved;
	return result;
}

/* Takes out those that were removed. */
static void sweep(struct socktally *meter)
{
	size_t kept = 0;

	for (size_t i = 0; i < meter->threshold_count; i++) {
		if (meter->thresholds[i]->number)
			meter->thresholds[kept++] = meter->thresholds[i];
		else
			threshold_free(meter->thresholds[i]);
	}
	meter->threshold_count = kept;
}

int socktally_threshold_remove(struct socktally *meter, int number)
{
	if (!st_registry_has(meter))
		return -EINVAL;
	for (size_t i = 0; number > 0 && i < meter->threshold_count; i++) {
		if (meter->thresholds[i]->number != number)
			continue;
		meter->thresholds[i]->number = 0;
		if (!meter->thresholds_busy)
			sweep(meter);
		return 0;
	}
	return st_fail(meter, -ENOENT, "there is no threshold %d", number);
}

static uint64_t count_of(const struct socktally_counts *counts, uint32_t rate)
{
	switch (rate) {
	case SOCKTALLY_BYTES_PER_SECOND:
		return counts->bytes;
	case SOCKTALLY_ACCEPTED_PACKETS_PER_SECOND:
		return counts->accepted_packets;
	case SOCKTALLY_ACCEPTED_BYTES_PER_SECOND:
		return counts->accepted_bytes;
	default:
		return counts->packets;
	}
}

static int add_cell(void *ctx, const struct socktally_cell *cell)
{
	struct socktally *meter = ctx;

	for (size_t i = 0; i < meter->threshold_count; i++) {
		struct st_threshold *threshold = meter->thresholds[i];

		if (threshold->of_class)
			continue;
		if (!*threshold->path ||
		    st_pattern_fits(&threshold->pattern, cell->layers, cell->layer_count))
			threshold->count += count_of(&cell->counts, threshold->rate);
	}
	return 0;
}

static int add_class(void *ctx, const struct socktally_class_counts *class)
{
	struct socktally *meter = ctx;

	for (size_t i = 0; i < meter->threshold_count; i++) {
		struct st_threshold *threshold = meter->thresholds[i];

		if (threshold->of_class && !strcmp(threshold->path, class->name))
			threshold->count += count_of(&class->in, threshold->rate) +
					    count_of(&class->out, threshold->rate);
	}
	return 0;
}

static void judge(struct st_threshold *threshold, double seconds)
{
	/* never below 0, whatever a snapshot says: an unsigned difference would be 10^19 */
	uint64_t counted =
		threshold->count > threshold->before ? threshold->count - threshold->before : 0;
	double value = (double)counted / seconds;
	struct socktally_crossing crossing = {.threshold = threshold->number,
					      .rate = threshold->rate,
					      .path = threshold->path,
					      .value = value,
					      .seconds = seconds};

	if (threshold->over ? value > threshold->below : value <= threshold->above)
		return;
	crossing.bound = threshold->over ? threshold->below : threshold->above;
	threshold->over = !threshold->over;
	crossing.upwards = threshold->over;
	threshold->fn(threshold->ctx, &crossing);
}

void st_thresholds_look(struct socktally *meter)
{
	uint64_t now = st_now(), since = meter->thresholds_at;
	size_t count = meter->threshold_count; /* a callback may add more */

	if (meter->thresholds_busy) /* a callback polls: its interval becomes a part of the next one */
		return;
	meter->thresholds_at = now;
	if (!count)
		return;
	for (size_t i = 0; i < count; i++)
		meter->thresholds[i]->count = 0;
	socktally_snapshot(meter, add_cell, meter, NULL);
	socktally_classes(meter, add_class, meter);
	meter->thresholds_busy = true;
	for (size_t i = 0; i < count && !meter->closed; i++) {
		struct st_threshold *threshold = meter->thresholds[i];

		if (threshold->number && threshold->started && since && now > since)
			judge(threshold, (double)(now - since) / 1e9);
		threshold->before = threshold->count;
		threshold->started = true;
	}
	meter->thresholds_busy = false;
	sweep(meter);
}
