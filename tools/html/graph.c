// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Rates over time, where there were intervals. */
#include "tools/html/html.h"
#include "tools/content/number.h"

#define WIDTH 960.0
#define HEIGHT 180.0
#define LEFT 90.0   /* for the rates */
#define BOTTOM 24.0 /* for the times */

static double seconds_of(const struct timespec *time)
{
	return (double)time->tv_sec + (double)time->tv_nsec / 1e9;
}

/* Bits a second. */
static double rate(const struct report_point *point, bool accepted)
{
	double bytes = (double)(accepted ? point->counts.accepted_bytes : point->counts.bytes);

	return point->seconds > 0 ? 8 * bytes / point->seconds : 0;
}

/* 1, 2 or 5 times a power of ten, so that the lines have round numbers. */
static double round_up(double number)
{
	double step = 1;

	while (step < number / 10)
		step *= 10;
	if (number <= step)
		return step;
	if (number <= 2 * step)
		return 2 * step;
	return number <= 5 * step ? 5 * step : 10 * step;
}

/* Steps: each interval has one mean rate. */
static void print_line(FILE *out, const struct report_history *history, double top, bool accepted)
{
	double start = seconds_of(&history->point[0].start), last = LEFT;
	double span = seconds_of(&history->point[history->count - 1].end) - start;

	if (span <= 0)
		return;
	fprintf(out, "<path class=%s d=\"M%g %g", accepted ? "accepted" : "rate", LEFT, HEIGHT);
	for (size_t i = 0; i < history->count; i++) {
		const struct report_point *point = &history->point[i];
		double from = LEFT + (WIDTH - LEFT) * (seconds_of(&point->start) - start) / span;
		double to = LEFT + (WIDTH - LEFT) * (seconds_of(&point->end) - start) / span;

		if (from > last + 1) /* no packets, no report */
			fprintf(out, "L%.1f %gL%.1f %g", last, HEIGHT, from, HEIGHT);
		last = to;
		fprintf(out, "L%.1f %.1fL%.1f %.1f", from,
			HEIGHT * (1 - rate(point, accepted) / top), to,
			HEIGHT * (1 - rate(point, accepted) / top));
	}
	fprintf(out, "L%.1f %g\"/>\n", last, HEIGHT);
}

static void print_axes(FILE *out, const struct report_history *history, double top)
{
	static const struct report_units si;
	char text[NUMBER_TEXT_MAX];

	for (int i = 0; i <= 2; i++) {
		double y = HEIGHT * (2 - i) / 2;

		report_number_rate(text, top * i / 2 / 8, &si);
		fprintf(out,
			"<path class=grid d=\"M%g %gH%g\"/><text class=end x=%g y=%g>%s</text>\n",
			LEFT, y, WIDTH, LEFT - 6, y + 4, text);
	}
	fprintf(out, "<text x=%g y=%g>", LEFT, HEIGHT + BOTTOM - 6);
	html_time(out, &history->point[0].start);
	fprintf(out, "</text><text class=end x=%g y=%g>", WIDTH, HEIGHT + BOTTOM - 6);
	html_time(out, &history->point[history->count - 1].end);
	fputs("</text>\n", out);
}

void html_graph(FILE *out, const struct report_content *content)
{
	const struct report_history *history = content->history;
	double peak = 0, top;
	bool differ = false;

	if (!history || history->count < 2)
		return;
	for (size_t i = 0; i < history->count; i++) {
		double now = rate(&history->point[i], false);

		peak = now > peak ? now : peak;
		differ |= history->point[i].counts.accepted_bytes != history->point[i].counts.bytes;
	}
	top = round_up(peak);
	fprintf(out,
		"<h2>Rate over time</h2>\n<svg viewBox=\"0 -8 %g %g\" role=img "
		"aria-label=\"bits a second, %zu intervals\">\n",
		WIDTH, HEIGHT + BOTTOM + 8, history->count);
	print_line(out, history, top, false);
	if (differ)
		print_line(out, history, top, true);
	print_axes(out, history, top);
	fputs("</svg>\n", out);
	if (differ)
		fputs("<p class=key>filled: all; dashed: accepted\n", out);
}
