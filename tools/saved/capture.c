// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Capture files, counted. */
#include "plugin/count_packets.h"
#include "tools/content/content.h"
#include "tools/saved/side.h"

#include <errno.h>

_Static_assert(CAPTURE_BEHIND >= ST_BEHIND, "what the classifier may read is there");

static void note_time(const struct capture_time *time, struct timespec *last)
{
	struct timespec now;

	if (capture_timespec(time, &now) &&
	    (now.tv_sec > last->tv_sec ||
	     (now.tv_sec == last->tv_sec && now.tv_nsec > last->tv_nsec)))
		*last = now;
}

static void note_cut(struct saved_side *side, const struct capture_packet *packet)
{
	if (packet->caplen < packet->len &&
	    (!side->shortest_cut || packet->caplen < side->shortest_cut))
		side->shortest_cut = packet->caplen ? packet->caplen : 1;
}

int saved_capture_count(struct saved_side *side, struct capture_file *file, struct socktally *meter,
			struct timespec *last)
{
	struct capture_packet packets[ST_BATCH];
	struct st_batch_packet batch[ST_BATCH];
	struct capture_statistics statistics;
	struct capture_second second = {0};
	int count;

	side->captures++;
	while ((count = capture_file_batch(file, packets, ST_BATCH)) > 0) {
		int error;

		for (int i = 0; i < count; i++) {
			note_time(&packets[i].time, last);
			note_cut(side, &packets[i]);
			batch[i] = (struct st_batch_packet){
				.data = packets[i].data,
				.caplen = packets[i].caplen,
				.len = packets[i].len,
				.linktype = packets[i].linktype,
				.seconds = capture_seconds(&second, &packets[i].time),
			};
		}
		error = st_count_batch(meter, batch, (size_t)count);
		if (error)
			return error;
	}
	capture_file_statistics(file, &statistics);
	capture_statistics_add(&side->statistics, &statistics);
	return count;
}

static int add_cell(void *ctx, const struct socktally_cell *cell)
{
	struct saved_side *side = ctx;

	report_counts_add(&side->totals, &cell->counts);
	return saved_table_add(&side->paths, cell->path, &cell->counts);
}

static int add_class(void *ctx, const struct socktally_class_counts *class)
{
	struct socktally_counts sum = class->in;

	report_counts_add(&sum, &class->out);
	return saved_class_add(ctx, class->name, class->expression, &sum);
}

int saved_meter_add(struct saved_side *side, const struct socktally *meter)
{
	int error = socktally_snapshot(meter, add_cell, side, NULL);

	side->files = true;
	return error ? error : socktally_classes(meter, add_class, side);
}
