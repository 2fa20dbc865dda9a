// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* How far reading has come: "43 %, 1.20 GB at 812 MB/s, 12.3 M packets, 3 s left". */
#include "tools/read/read.h"
#include "tools/content/number.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE 2.0 /* seconds before the first line */
#define REFRESH 0.2  /* seconds from one to the next */
#define LINE_MAX_LENGTH 256

struct read_progress {
	uint64_t total;    /* bytes of all files; 0: not known, as of a pipe */
	uint64_t before;   /* of the files before this one */
	uint64_t position; /* in this one */
	uint64_t packets;
	double start, next;
	bool shown;
};

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* 0 if one of them is no regular file. */
static uint64_t total_size(const struct read_options *options)
{
	uint64_t total = 0;

	for (size_t i = 0; i < options->path_count; i++) {
		const char *path = options->paths[i];
		struct stat status;

		if (strcmp(path, "-") ? stat(path, &status) : fstat(STDIN_FILENO, &status))
			continue;
		if (!S_ISREG(status.st_mode))
			return 0;
		total += (uint64_t)status.st_size;
	}
	return total;
}

struct read_progress *read_progress_open(const struct read_session *session)
{
	const struct read_options *options = session->options;
	struct read_progress *progress;

	/* what is written to the terminal meanwhile shows that it goes on */
	if (!isatty(STDERR_FILENO) ||
	    ((options->report.interval || options->packets) && isatty(session->output.fd)))
		return NULL;
	progress = calloc(1, sizeof(*progress));
	if (!progress)
		return NULL;
	progress->total = total_size(options);
	progress->start = now();
	progress->next = progress->start + PATIENCE;
	return progress;
}

void read_progress_free(struct read_progress *progress)
{
	read_progress_clear(progress);
	free(progress);
}

/* "3 s", "2:05 min", "1:02 h" */
static void time_text(char *text, size_t size, double seconds)
{
	unsigned long whole = (unsigned long)seconds;

	if (whole < 60)
		snprintf(text, size, "%lu s", whole + 1);
	else if (whole < 3600)
		snprintf(text, size, "%lu:%02lu min", whole / 60, whole % 60);
	else
		snprintf(text, size, "%lu:%02lu h", whole / 3600, whole / 60 % 60);
}

static void show(struct read_progress *progress, double seconds)
{
	const uint64_t position = progress->before + progress->position;
	char bytes[NUMBER_TEXT_MAX], rate[NUMBER_TEXT_MAX + 2], packets[NUMBER_TEXT_MAX], left[32];
	char line[LINE_MAX_LENGTH];
	int length = 0;

	report_number_short(bytes, (double)position, "B");
	report_number_short(rate, (double)position / seconds, "B/s");
	report_number_short(packets, (double)progress->packets, "");
	if (progress->total && position <= progress->total)
		length = snprintf(line, sizeof(line), "%3u %%, ",
				  (unsigned int)(100 * position / progress->total));
	length += snprintf(line + length, sizeof(line) - (size_t)length, "%s at %s, %s packets",
			   bytes, rate, packets);
	if (progress->total > position && position) {
		time_text(left, sizeof(left),
			  (double)(progress->total - position) / (double)position * seconds);
		snprintf(line + length, sizeof(line) - (size_t)length, ", %s left", left);
	}
	/* blanks take away what is left of a longer one; there is no control sequence that all terminals have */
	fprintf(stderr, "\r%-78s", line);
	progress->shown = true;
}

void read_progress_update(struct read_progress *progress, uint64_t position, unsigned int packets)
{
	double time;

	if (!progress)
		return;
	progress->packets += packets;
	if (position == progress->position)
		return;
	progress->position = position;
	time = now();
	if (time < progress->next)
		return;
	progress->next = time + REFRESH;
	show(progress, time - progress->start);
}

void read_progress_next(struct read_progress *progress)
{
	if (!progress)
		return;
	progress->before += progress->position;
	progress->position = 0;
}

void read_progress_clear(struct read_progress *progress)
{
	if (!progress || !progress->shown)
		return;
	fprintf(stderr, "\r%78s\r", "");
	progress->shown = false;
}
