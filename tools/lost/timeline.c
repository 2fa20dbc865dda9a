// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Samples of the meter, the latest of them: a tool ends soon after its last packet. Where nothing was accepted
 * meanwhile, a sample stands for all the time until the next one.
 */
#include "tools/lost/timeline.h"

#include <stdlib.h>
#include <string.h>

#define PERIOD 5 /* milliseconds between two samples */
#define SHARE 50 /* sampling takes at most this part of the time */
/* Nanoseconds after its time, by which a packet has been counted, also on a busy machine. */
#define COUNTED 25000000
#define SAMPLES 1024     /* that are kept */
#define CELLS (1u << 20) /* that they have together */

/* Of a path in one direction. */
struct cell {
	uint32_t name; /* its place in the list of names */
	bool in;
	uint64_t packets, bytes;
};

/*
 * A counter is one of some time of the reading. So at or after `from`, the end of the first reading that has
 * found these counts, at least as much was accepted, and at or before `until`, the start of the last one that
 * has, at most. By the time of day.
 */
struct sample {
	struct timespec from, until;
	uint64_t packets; /* sum of accepted */
	struct cell *cell;
	size_t count;
};

struct timeline {
	struct sample sample[SAMPLES]; /* the oldest first */
	size_t count, cells;
	const struct sample *low, *high; /* around a time: see timeline_find() */
	char **name;                     /* in the order of their first sight */
	uint32_t *sorted;
	size_t name_count, name_room;
	int64_t next, period; /* CLOCK_MONOTONIC in microseconds */
	bool failed;
};

static int64_t microseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

struct timeline *timeline_new(void)
{
	struct timeline *timeline = calloc(1, sizeof(*timeline));

	if (timeline)
		timeline->period = PERIOD * 1000;
	return timeline;
}

void timeline_free(struct timeline *timeline)
{
	if (!timeline)
		return;
	for (size_t i = 0; i < timeline->count; i++)
		free(timeline->sample[i].cell);
	for (size_t i = 0; i < timeline->name_count; i++)
		free(timeline->name[i]);
	free(timeline->name);
	free(timeline->sorted);
	free(timeline);
}

/* Where the name is in `sorted`, or belongs. */
static size_t name_place(const struct timeline *timeline, const char *name)
{
	size_t low = 0, high = timeline->name_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(timeline->name[timeline->sorted[middle]], name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_name(const struct timeline *timeline, size_t place, const char *name)
{
	return place < timeline->name_count &&
	       !strcmp(timeline->name[timeline->sorted[place]], name);
}

/* UINT32_MAX: out of memory. */
static uint32_t name_number(struct timeline *timeline, const char *name)
{
	size_t place = name_place(timeline, name), count = timeline->name_count;

	if (is_name(timeline, place, name))
		return timeline->sorted[place];
	if (count == timeline->name_room) {
		size_t room = count ? 2 * count : 64;
		char **names = reallocarray(timeline->name, room, sizeof(*names));
		uint32_t *sorted;

		if (!names)
			return UINT32_MAX;
		timeline->name = names;
		sorted = reallocarray(timeline->sorted, room, sizeof(*sorted));
		if (!sorted)
			return UINT32_MAX;
		timeline->sorted = sorted;
		timeline->name_room = room;
	}
	timeline->name[count] = strdup(name);
	if (!timeline->name[count])
		return UINT32_MAX;
	memmove(&timeline->sorted[place + 1], &timeline->sorted[place],
		(count - place) * sizeof(*timeline->sorted));
	timeline->sorted[place] = (uint32_t)count;
	timeline->name_count++;
	return (uint32_t)count;
}

struct taking {
	struct timeline *timeline;
	struct sample *sample;
	size_t room;
};

static int take_cell(void *ctx, const struct socktally_cell *cell)
{
	struct taking *taking = ctx;
	struct sample *sample = taking->sample;
	uint32_t name = name_number(taking->timeline, cell->path);

	if (name == UINT32_MAX)
		return 1;
	if (sample->count == taking->room) {
		size_t room = taking->room ? 2 * taking->room : 64;
		struct cell *cells = reallocarray(sample->cell, room, sizeof(*cells));

		if (!cells)
			return 1;
		sample->cell = cells;
		taking->room = room;
	}
	sample->cell[sample->count++] = (struct cell){
		.name = name,
		.in = cell->direction != SOCKTALLY_OUT,
		.packets = cell->counts.accepted_packets,
		.bytes = cell->counts.accepted_bytes,
	};
	sample->packets += cell->counts.accepted_packets;
	return 0;
}

static void forget_oldest(struct timeline *timeline)
{
	timeline->cells -= timeline->sample[0].count;
	free(timeline->sample[0].cell);
	timeline->count--;
	memmove(timeline->sample, timeline->sample + 1,
		timeline->count * sizeof(*timeline->sample));
}

static void keep(struct timeline *timeline, const struct sample *sample)
{
	struct sample *last = timeline->count ? &timeline->sample[timeline->count - 1] : NULL;

	if (last && last->packets == sample->packets) {
		last->until = sample->until;
		free(sample->cell);
		return;
	}
	while (timeline->count == SAMPLES ||
	       (timeline->count && timeline->cells + sample->count > CELLS))
		forget_oldest(timeline);
	timeline->cells += sample->count;
	timeline->sample[timeline->count++] = *sample;
}

static void take(struct timeline *timeline, const struct socktally *meter)
{
	struct sample sample = {0};
	struct taking taking = {.timeline = timeline, .sample = &sample};
	int64_t start = microseconds(), took;

	clock_gettime(CLOCK_REALTIME, &sample.until);
	if (socktally_snapshot(meter, take_cell, &taking, NULL)) {
		timeline->failed = true;
		free(sample.cell);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &sample.from);
	keep(timeline, &sample);
	took = microseconds() - start;
	timeline->period = took * SHARE > PERIOD * 1000 ? took * SHARE : PERIOD * 1000;
	timeline->next = start + timeline->period;
}

void timeline_sample(struct timeline *timeline, const struct socktally *meter)
{
	if (!timeline->failed && microseconds() >= timeline->next)
		take(timeline, meter);
}

int timeline_wait(const struct timeline *timeline)
{
	int64_t left = (timeline->next - microseconds() + 999) / 1000;

	if (timeline->failed)
		return -1;
	return left < 0 ? 0 : left > PERIOD * 100 ? PERIOD * 100 : (int)left;
}

void timeline_end(struct timeline *timeline, const struct socktally *meter)
{
	if (!timeline->failed)
		take(timeline, meter);
}

static bool before(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec : a->tv_nsec < b->tv_nsec;
}

/* Of a path, or with `below` also of those below it. */
struct query {
	const char *path;
	bool below;
	enum timeline_direction direction;
};

static bool matches(const struct timeline *timeline, const struct query *query, uint32_t name)
{
	const char *text = timeline->name[name];
	size_t length = strlen(query->path);

	return !strncmp(text, query->path, length) &&
	       (!text[length] || (query->below && text[length] == ':'));
}

static struct report_amount of_path(const struct timeline *timeline, const struct sample *sample,
				    const struct query *query)
{
	struct report_amount sum = {0};

	for (size_t i = 0; sample && i < sample->count; i++) {
		const struct cell *cell = &sample->cell[i];

		if (query->direction != (cell->in ? TIMELINE_OUT : TIMELINE_IN) &&
		    matches(timeline, query, cell->name)) {
			sum.packets += cell->packets;
			sum.bytes += cell->bytes;
		}
	}
	return sum;
}

void timeline_find(struct timeline *timeline, const struct timespec *time)
{
	struct timespec counted = *time;

	timeline->low = timeline->high = NULL;
	counted.tv_nsec += COUNTED;
	counted.tv_sec += counted.tv_nsec / 1000000000;
	counted.tv_nsec %= 1000000000;
	for (size_t i = 0; i < timeline->count && !timeline->high; i++) {
		const struct sample *sample = &timeline->sample[i];

		if (!before(time, &sample->from))
			timeline->low = sample;
		if (!before(&sample->until, &counted))
			timeline->high = sample;
	}
}

static struct report_amount less(struct report_amount all, struct report_amount part)
{
	return (struct report_amount){
		.packets = report_less(all.packets, part.packets),
		.bytes = report_less(all.bytes, part.bytes),
	};
}

void timeline_after(const struct timeline *timeline, const char *path, bool below,
		    enum timeline_direction direction, struct report_amount *least,
		    struct report_amount *most)
{
	const struct query query = {.path = path, .below = below, .direction = direction};
	struct report_amount all = {0};

	if (timeline->count)
		all = of_path(timeline, &timeline->sample[timeline->count - 1], &query);
	*most = less(all, of_path(timeline, timeline->low, &query));
	*least = timeline->high ? less(all, of_path(timeline, timeline->high, &query))
				: (struct report_amount){0};
}
