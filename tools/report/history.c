// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "tools/report/history.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define POINTS_MAX 800 /* a picture is not wider; even */
#define KEPT_NOTES 200

/* Two and two become one, for a capture that lasts. */
static void halve(struct report_history *history)
{
	for (size_t i = 0; i < history->count; i += 2) {
		struct report_point one = history->point[i];
		const struct report_point *other = &history->point[i + 1];

		one.end = other->end;
		one.seconds += other->seconds;
		report_counts_add(&one.counts, &other->counts);
		history->point[i / 2] = one;
	}
	history->count /= 2;
}

int report_history_add(struct report_history *history, const struct report_content *content,
		       const struct timespec *start, const struct timespec *end, double seconds)
{
	struct report_point *point;

	if (history->count == POINTS_MAX)
		halve(history);
	if (history->count == history->room) {
		size_t room = history->room ? 2 * history->room : 16;

		point = reallocarray(history->point, room, sizeof(*point));
		if (!point)
			return -ENOMEM;
		history->point = point;
		history->room = room;
	}
	point = &history->point[history->count++];
	*point = (struct report_point){
		.start = *start,
		.end = *end,
		.seconds = seconds > 0 ? seconds : content->seconds - history->seconds,
		.counts = content->totals,
	};
	report_counts_subtract(&point->counts, &history->counts);
	history->counts = content->totals;
	history->seconds = content->seconds;
	return 0;
}

int report_history_notes(struct report_history *history, struct report_content *content)
{
	for (size_t i = 0; i < content->note_count && history->note_count < KEPT_NOTES; i++) {
		struct report_note note = content->notes[i], *grown;
		char *text = strdup(note.text);

		grown = reallocarray(history->notes, history->note_count + 1, sizeof(*grown));
		if (grown)
			history->notes = grown;
		if (!grown || !text) {
			free(text);
			return -ENOMEM;
		}
		note.text = text;
		grown[history->note_count++] = note;
	}
	content->notes = history->notes;
	content->note_count = history->note_count;
	return 0;
}

void report_history_free(struct report_history *history)
{
	for (size_t i = 0; i < history->note_count; i++)
		free((char *)history->notes[i].text);
	free(history->notes);
	free(history->point);
}
