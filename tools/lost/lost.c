// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "tools/lost/lost.h"
#include "tools/capture/input.h"
#include "tools/lost/compare.h"
#include "tools/lost/counter.h"

#include <errno.h>
#include <linux/filter.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOST_NOTES_MAX (SAVED_NOTES_MAX + 16)
#define UNCUT 65535 /* bytes: no packet of a socket is longer */

struct lost {
	const struct report_options *options;
	struct counter counter;
	struct timeline *timeline;
	enum timeline_direction direction; /* that the tool itself leaves over: its option -Q */
	const char *tool;
	struct saved_side accepted, written;
	struct report_lost result;
	bool unfiltered;       /* a socket had no filter */
	bool on_lo, elsewhere; /* where sockets are */
	struct report_note notes[LOST_NOTES_MAX];
	char *texts[LOST_NOTES_MAX]; /* to be freed */
	size_t note_count;
};

int lost_option(struct lost_options *options, const char *argument)
{
	options->wanted = true;
	if (!argument)
		return 0;
	if (!*argument)
		return command_usage("--lost='': no file name");
	if (options->pattern_count == LOST_PATTERNS_MAX)
		return command_usage("--lost: more than %d names: use a pattern, as 'dump*'",
				     LOST_PATTERNS_MAX);
	options->patterns[options->pattern_count++] = argument;
	return 0;
}

struct lost *lost_open(const struct lost_options *options, const struct report_options *report)
{
	struct lost *lost = calloc(1, sizeof(*lost));

	if (!lost) {
		command_fail("--lost: out of memory");
		return NULL;
	}
	lost->options = report;
	lost->timeline = timeline_new();
	if (lost->timeline && !counter_start(&lost->counter, options, report))
		return lost;
	lost_close(lost);
	return NULL;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* The direction that tcpdump is asked for: libpcap drops packets of the other one after the socket. */
static enum timeline_direction direction_of(char *const *argv)
{
	static const char option[] = "--direction";

	if (strcmp(base_name(argv[0]), "tcpdump") != 0)
		return TIMELINE_BOTH;
	for (char *const *at = argv + 1; *at; at++) {
		const char *value = NULL;

		if (!strcmp(*at, "-Q") || !strcmp(*at, option))
			value = at[1];
		else if (!strncmp(*at, "-Q", 2))
			value = *at + 2;
		else if (!strncmp(*at, option, strlen(option)) && (*at)[strlen(option)] == '=')
			value = *at + strlen(option) + 1;
		if (value && !strcmp(value, "in"))
			return TIMELINE_IN;
		if (value && !strcmp(value, "out"))
			return TIMELINE_OUT;
	}
	return TIMELINE_BOTH;
}

void lost_begin(struct lost *lost, char *const *argv, pid_t tool)
{
	lost->tool = base_name(argv[0]);
	lost->direction = direction_of(argv);
	counter_begin(&lost->counter, tool);
}

int lost_timeout(const struct lost *lost)
{
	return timeline_wait(lost->timeline);
}

void lost_sample(struct lost *lost, const struct socktally *meter)
{
	timeline_sample(lost->timeline, meter);
}

static void note(struct lost *lost, const char *event, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static void note(struct lost *lost, const char *event, const char *format, ...)
{
	struct report_note *made = &lost->notes[lost->note_count];
	char **text = &lost->texts[lost->note_count];
	va_list arguments;
	int length;

	if (lost->note_count == LOST_NOTES_MAX)
		return;
	va_start(arguments, format);
	length = vasprintf(text, format, arguments);
	va_end(arguments);
	if (length < 0) {
		*text = NULL;
		return;
	}
	*made = (struct report_note){.event = event, .text = *text};
	clock_gettime(CLOCK_REALTIME, &made->time);
	lost->note_count++;
}

/* The counter's report. */
static bool read_result(struct lost *lost)
{
	char message[CAPTURE_MESSAGE_MAX];
	struct capture_input input;
	int fd = dup(lost->counter.result);

	if (fd < 0 || lseek(fd, 0, SEEK_SET))
		return false;
	if (!capture_input_open(&input, fd, -1)) {
		capture_input_close(&input);
		return false;
	}
	if (saved_reports_read(&lost->written, &input, "the count of files", message)) {
		command_fail("--lost: %s", message);
		return false;
	}
	lost->written.shortest_cut = lost->counter.facts->shortest_cut;
	return true;
}

static int look_at_socket(void *ctx, const struct socktally_socket *socket)
{
	struct lost *lost = ctx;

	lost->unfiltered |= !socket->insn_count;
	*(strcmp(socket->interface, "lo") ? &lost->elsewhere : &lost->on_lo) = true;
	for (size_t i = 0; i < socket->insn_count; i++)
		lost->accepted.cut |= socket->insns[i].code == (BPF_RET | BPF_K) &&
				      socket->insns[i].k && socket->insns[i].k < UNCUT;
	return 0;
}

static int look_at_hook(void *ctx, const struct socktally_hook *hook)
{
	struct lost *lost = ctx;

	lost->accepted.cut |= hook->cut_packets != 0;
	return 0;
}

struct adding {
	struct lost *lost;
	uint64_t in, out; /* packets */
};

static int add_direction(void *ctx, const struct socktally_cell *cell)
{
	struct adding *adding = ctx;
	struct lost *lost = adding->lost;
	bool out = cell->direction == SOCKTALLY_OUT;

	*(out ? &adding->out : &adding->in) += cell->counts.accepted_packets;
	if ((lost->direction == TIMELINE_IN && out) || (lost->direction == TIMELINE_OUT && !out))
		return 0;
	return saved_table_add(&lost->accepted.paths, cell->path, &cell->counts);
}

static int add_class(void *ctx, const struct socktally_class_counts *class)
{
	struct lost *lost = ctx;
	struct socktally_counts sum = {0};

	if (lost->direction != TIMELINE_OUT)
		report_counts_add(&sum, &class->in);
	if (lost->direction != TIMELINE_IN)
		report_counts_add(&sum, &class->out);
	return saved_class_add(&lost->accepted, class->name, class->expression, &sum);
}

static int read_meter(struct lost *lost, struct socktally *meter, struct adding *adding)
{
	int error;

	*adding = (struct adding){.lost = lost};
	saved_side_free(&lost->accepted);
	socktally_sockets(meter, look_at_socket, lost);
	socktally_hooks(meter, look_at_hook, lost);
	error = socktally_snapshot(meter, add_direction, adding, NULL);
	if (!error)
		error = socktally_classes(meter, add_class, lost);
	saved_table_sort(&lost->accepted.paths);
	return error;
}

/*
 * Each packet on lo is there twice, going out and coming in, and libpcap gives its program the second only.
 * Who uses it has no more packets than came in.
 */
static bool is_loopback_twice(const struct lost *lost, const struct adding *adding)
{
	return lost->direction == TIMELINE_BOTH && lost->on_lo && !lost->elsewhere && adding->out &&
	       lost->written.totals.packets <= adding->in;
}

/* A count that is older than the last packet lacks what was dropped meanwhile. */
static bool covers(const struct report_drops *drops, const struct timespec *last)
{
	return drops->reads &&
	       (drops->last.tv_sec > last->tv_sec ||
		(drops->last.tv_sec == last->tv_sec && drops->last.tv_nsec >= last->tv_nsec));
}

static int compare(struct lost *lost, struct socktally *meter, const struct report_drops *drops)
{
	struct comparison comparison = {
		.accepted = &lost->accepted,
		.written = &lost->written,
		.timeline = lost->timeline,
		.last = lost->counter.facts->last,
		.drops = covers(drops, &lost->counter.facts->last) ? drops : NULL,
	};
	struct adding adding;
	int error;

	timeline_end(lost->timeline, meter);
	error = read_meter(lost, meter, &adding);
	if (!error && is_loopback_twice(lost, &adding)) {
		lost->direction = TIMELINE_IN;
		note(lost, "loopback",
		     "packets going out on lo are left out: they come in as well, and libpcap gives a "
		     "tool only those");
		error = read_meter(lost, meter, &adding);
	} else if (lost->direction != TIMELINE_BOTH) {
		note(lost, "direction", "%s takes one direction only: the other one is left out",
		     lost->tool);
	}
	comparison.direction = lost->direction;
	return error ? error : lost_compare(&lost->result, &comparison);
}

static void note_files(struct lost *lost)
{
	for (size_t i = 0; i < lost->written.note_count; i++)
		note(lost, lost->written.notes[i].event, "%s", lost->written.notes[i].text);
}

static void note_result(struct lost *lost)
{
	const struct report_lost *result = &lost->result;

	if (result->totals.uncertain.packets)
		note(lost, "uncertain",
		     "%llu of the lost packets came about the time of the last one in the files, "
		     "and may have come after it",
		     (unsigned long long)result->totals.uncertain.packets);
	if (result->unmatched)
		note(lost, "unmatched", "%llu packets in the files were accepted by no socket",
		     (unsigned long long)result->unmatched);
	if (lost->unfiltered && result->totals.lost.packets)
		note(lost, "unfiltered",
		     "a socket has no filter: what the tool itself leaves out counts as lost");
}

const struct report_lost *lost_finish(struct lost *lost, struct socktally *meter,
				      const struct report_drops *drops, int signals)
{
	int error;

	if (!counter_wait(&lost->counter, signals)) {
		command_fail("--lost: the files were not counted to their end");
		return NULL;
	}
	if (!read_result(lost))
		return NULL;
	note_files(lost);
	if (!lost->counter.facts->files) {
		note(lost, "files",
		     "no capture file of %s was seen, as where it writes to a pipe: what is lost "
		     "can't be told",
		     lost->tool);
		return NULL;
	}
	error = compare(lost, meter, drops);
	if (error) {
		command_fail("--lost: %s", strerror(-error));
		return NULL;
	}
	note_result(lost);
	return &lost->result;
}

size_t lost_notes(const struct lost *lost, const struct report_note **notes)
{
	*notes = lost->notes;
	return lost->note_count;
}

void lost_close(struct lost *lost)
{
	if (!lost)
		return;
	counter_close(&lost->counter);
	timeline_free(lost->timeline);
	saved_side_free(&lost->accepted);
	saved_side_free(&lost->written);
	lost_free(&lost->result);
	for (size_t i = 0; i < lost->note_count; i++)
		free(lost->texts[i]);
	free(lost);
}
