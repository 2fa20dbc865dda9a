// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Accepted less written, and when. */
#include "tools/lost/compare.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void lost_free(struct report_lost *lost)
{
	for (size_t i = 0; i < lost->path_count; i++)
		free(lost->paths[i].name);
	for (size_t i = 0; i < lost->class_count; i++)
		free(lost->classes[i].name);
	free(lost->paths);
	free(lost->classes);
	*lost = (struct report_lost){0};
}

static void add(struct report_amount *sum, const struct report_amount *amount)
{
	sum->packets += amount->packets;
	sum->bytes += amount->bytes;
}

static void add_row(struct report_lost_row *sum, const struct report_lost_row *row)
{
	add(&sum->accepted, &row->accepted);
	add(&sum->written, &row->written);
	add(&sum->lost, &row->lost);
	add(&sum->after, &row->after);
	add(&sum->uncertain, &row->uncertain);
}

static uint64_t lower(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* accepted or written: NULL for none of that name. */
static void fill(struct report_lost *lost, struct report_lost_row *row,
		 const struct socktally_counts *accepted, const struct socktally_counts *written)
{
	if (accepted)
		row->accepted = (struct report_amount){accepted->accepted_packets,
						       accepted->accepted_bytes};
	if (written)
		row->written =
			(struct report_amount){written->packets, lost->cut ? written->accepted_bytes
									   : written->bytes};
	row->lost = (struct report_amount){
		report_less(row->accepted.packets, row->written.packets),
		report_less(row->accepted.bytes, row->written.bytes),
	};
}

static struct report_amount less(const struct report_amount *amount,
				 const struct report_amount *part)
{
	return (struct report_amount){
		.packets = report_less(amount->packets, part->packets),
		.bytes = report_less(amount->bytes, part->bytes),
	};
}

/* Takes from the lost what came after the end. */
static void set_after(const struct comparison *comparison, struct report_lost_row *row)
{
	struct report_amount least, most;
	bool below;

	if (!row->lost.packets || !comparison->last.tv_sec)
		return;
	below = comparison->aligned && !saved_has_below(&comparison->accepted->paths, row->name) &&
		!saved_has_below(&comparison->written->paths, row->name);
	timeline_after(comparison->timeline, row->name, below, comparison->direction, &least,
		       &most);
	row->after.packets = lower(least.packets, row->lost.packets);
	row->after.bytes = row->after.packets == row->lost.packets
				   ? row->lost.bytes
				   : lower(least.bytes, row->lost.bytes);
	row->lost = less(&row->lost, &row->after);
	row->uncertain.packets = lower(report_less(most.packets, least.packets), row->lost.packets);
	row->uncertain.bytes =
		row->uncertain.packets == row->lost.packets
			? row->lost.bytes
			: lower(report_less(most.bytes, least.bytes), row->lost.bytes);
}

/* Both are sorted. */
static int compare_paths(struct report_lost *lost, const struct comparison *comparison)
{
	const struct saved_table *a = &comparison->accepted->paths,
				 *b = &comparison->written->paths;
	size_t at_a = 0, at_b = 0;

	lost->paths = calloc(a->count + b->count + 1, sizeof(*lost->paths));
	while (lost->paths && (at_a < a->count || at_b < b->count)) {
		int order = at_a == a->count   ? 1
			    : at_b == b->count ? -1
					       : strcmp(a->row[at_a].name, b->row[at_b].name);
		const struct saved_row *accepted = order <= 0 ? &a->row[at_a++] : NULL;
		const struct saved_row *written = order >= 0 ? &b->row[at_b++] : NULL;
		struct report_lost_row *row = &lost->paths[lost->path_count];

		row->name = strdup(accepted ? accepted->name : written->name);
		if (!row->name)
			return -ENOMEM;
		lost->path_count++;
		fill(lost, row, accepted ? &accepted->counts : NULL,
		     written ? &written->counts : NULL);
		lost->unmatched += report_less(row->written.packets, row->accepted.packets);
		set_after(comparison, row);
		add_row(&lost->totals, row);
	}
	return lost->paths ? 0 : -ENOMEM;
}

/* What came after the end is known by path only: a class's lost packets are all that are missing. */
static int compare_classes(struct report_lost *lost, const struct comparison *comparison)
{
	const struct saved_side *a = comparison->accepted, *b = comparison->written;

	lost->classes = calloc(a->class_count + 1, sizeof(*lost->classes));
	for (size_t i = 0; lost->classes && i < a->class_count; i++) {
		struct report_lost_row *row = &lost->classes[i];

		row->name = strdup(a->class[i].name);
		if (!row->name)
			return -ENOMEM;
		lost->class_count++;
		for (size_t j = 0; j < b->class_count; j++) {
			if (!strcmp(b->class[j].name, row->name))
				fill(lost, row, &a->class[i].counts, &b->class[j].counts);
		}
	}
	return lost->classes ? 0 : -ENOMEM;
}

static void move_uncertain(struct report_lost_row *row)
{
	add(&row->after, &row->uncertain);
	row->lost = less(&row->lost, &row->uncertain);
	row->uncertain = (struct report_amount){0};
}

/* All that is missing was dropped by the ring: the tool has read all else, and so its end. */
static void keep_all(struct report_lost_row *row)
{
	add(&row->lost, &row->after);
	row->after = row->uncertain = (struct report_amount){0};
}

/*
 * Until the last packet in the files, not more was lost than the tool has been told to be dropped. What is more
 * came after it: where that is all that is uncertain, nothing is.
 */
static void use_drops(struct report_lost *lost, const struct report_drops *drops)
{
	const struct report_lost_row *totals = &lost->totals;
	void (*change)(struct report_lost_row * row) = NULL;

	if (!drops)
		return;
	if (totals->lost.packets + totals->after.packets == drops->drops)
		change = keep_all;
	else if (report_less(totals->lost.packets, drops->drops) >= totals->uncertain.packets)
		change = move_uncertain;
	for (size_t i = 0; change && i < lost->path_count; i++)
		change(&lost->paths[i]);
	if (change)
		change(&lost->totals);
}

int lost_compare(struct report_lost *lost, struct comparison *comparison)
{
	int error;

	lost_free(lost);
	lost->cut = comparison->accepted->cut;
	error = saved_align(&comparison->accepted->paths, &comparison->written->paths,
			    comparison->written->shortest_cut);
	if (error < 0)
		return error;
	comparison->aligned = error;
	timeline_find(comparison->timeline, &comparison->last);
	error = compare_paths(lost, comparison);
	if (!error)
		use_drops(lost, comparison->drops);
	return error ? error : compare_classes(lost, comparison);
}
