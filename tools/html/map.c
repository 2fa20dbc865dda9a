// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * A treemap of bytes by path: rectangles whose areas are the bytes, the largest first, as close to squares as
 * they can be (Bruls, Huizing, van Wijk: Squarified Treemaps, 2000).
 */
#include "tools/html/html.h"
#include "tools/common/escape.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH 960.0
#define HEIGHT 240.0
#define ITEMS 48   /* more could not be told apart */
#define COLORS 7   /* that colour-blind people can tell; the rest is grey */
#define LETTER 7.5 /* width of one */

struct item {
	const char *path; /* NULL: all that are too small */
	uint64_t bytes, packets;
	double area;
	unsigned int color; /* COLORS: grey */
};

struct rectangle {
	double x, y, width, height;
};

static int compare_items(const void *one, const void *other)
{
	const struct item *a = one, *b = other;

	if (a->bytes != b->bytes)
		return a->bytes > b->bytes ? -1 : 1;
	return strcmp(a->path, b->path);
}

/* Both directions of a path are one; the rows are sorted by path. */
static size_t collect(const struct report_rows *rows, struct item *items)
{
	size_t count = 0;

	for (size_t i = 0; i < rows->count; i++) {
		const struct report_row *row = &rows->row[i];

		if (!count || strcmp(items[count - 1].path, row->path) != 0)
			items[count++] = (struct item){.path = row->path};
		items[count - 1].bytes += row->counts.bytes;
		items[count - 1].packets += row->counts.packets;
	}
	if (count)
		qsort(items, count, sizeof(*items), compare_items);
	return count;
}

/* What does not fit becomes the last item. Returns how many are left; those have bytes. */
static size_t cut(struct item *items, size_t count)
{
	while (count && !items[count - 1].bytes)
		count--;
	if (count <= ITEMS)
		return count;
	items[ITEMS - 1].path = NULL;
	for (size_t i = ITEMS; i < count; i++) {
		items[ITEMS - 1].bytes += items[i].bytes;
		items[ITEMS - 1].packets += items[i].packets;
	}
	return ITEMS;
}

static const char *last_layer(const char *path)
{
	const char *colon = path ? strrchr(path, ':') : NULL;

	return colon ? colon + 1 : path;
}

/* A colour for each innermost protocol, those with most bytes first. */
static void color(struct item *items, size_t count)
{
	unsigned int used = 0;

	for (size_t i = 0; i < count; i++) {
		items[i].color = items[i].path && used < COLORS ? used : COLORS;
		for (size_t j = 0; j < i && items[i].path; j++) {
			if (items[j].path &&
			    !strcmp(last_layer(items[j].path), last_layer(items[i].path))) {
				items[i].color = items[j].color;
				break;
			}
		}
		used += items[i].path && items[i].color == used;
	}
}

/* The worst ratio of sides in a row of such items along a side of that length. */
static double worst(const struct item *items, size_t count, double side)
{
	double sum = 0, ratio = 0;

	for (size_t i = 0; i < count; i++)
		sum += items[i].area;
	for (size_t i = 0; i < count; i++) {
		double one = side * side * items[i].area / (sum * sum);

		one = one < 1 ? 1 / one : one;
		ratio = one > ratio ? one : ratio;
	}
	return ratio;
}

static void print_item(FILE *out, const struct item *item, const struct rectangle *at,
		       uint64_t total, size_t left_out)
{
	const char *label = last_layer(item->path);

	fputs("<g><title>", out);
	if (item->path)
		escape_html(out, item->path);
	else
		fprintf(out, "%zu more paths", left_out);
	fputs(": ", out);
	html_share(out, item->bytes, total);
	fputs(" % of bytes, ", out);
	html_number(out, item->packets);
	fprintf(out, " packets</title><rect class=c%u x=%.1f y=%.1f width=%.1f height=%.1f />",
		item->color, at->x, at->y, at->width, at->height);
	label = label ? label : "others";
	if (at->height > 16 && at->width > LETTER * (double)(strlen(label) + 1)) {
		fprintf(out, "<text class=t%u x=%.1f y=%.1f>", item->color, at->x + 5, at->y + 15);
		escape_html(out, label);
		fputs("</text>", out);
		if (at->height > 34 && at->width > 7 * LETTER) {
			fprintf(out, "<text class=t%u x=%.1f y=%.1f>", item->color, at->x + 5,
				at->y + 30);
			html_share(out, item->bytes, total);
			fputs(" %</text>", out);
		}
	}
	fputs("</g>\n", out);
}

/* A row of items along the shorter side, taken away from what is free. */
static void print_row(FILE *out, const struct item *items, size_t count, struct rectangle *room,
		      uint64_t total, size_t left_out)
{
	bool upright = room->width >= room->height;
	double side = upright ? room->height : room->width, sum = 0, thick, along = 0;

	for (size_t i = 0; i < count; i++)
		sum += items[i].area;
	thick = sum / side;
	for (size_t i = 0; i < count; i++) {
		double length = items[i].area / thick;
		struct rectangle at = {room->x, room->y + along, thick, length};

		if (!upright)
			at = (struct rectangle){room->x + along, room->y, length, thick};
		print_item(out, &items[i], &at, total, left_out);
		along += length;
	}
	if (upright) {
		room->x += thick;
		room->width -= thick;
	} else {
		room->y += thick;
		room->height -= thick;
	}
}

static void print_items(FILE *out, struct item *items, size_t count, uint64_t total,
			size_t left_out)
{
	struct rectangle room = {0, 0, WIDTH, HEIGHT};
	size_t row;

	for (size_t i = 0; i < count; i++)
		items[i].area = WIDTH * HEIGHT * ((double)items[i].bytes / (double)total);
	for (size_t i = 0; i < count; i += row) {
		double side = room.width < room.height ? room.width : room.height;

		row = 1;
		while (i + row < count &&
		       worst(items + i, row + 1, side) <= worst(items + i, row, side))
			row++;
		print_row(out, items + i, row, &room, total, left_out);
	}
}

int html_map(FILE *out, const struct report_content *content)
{
	struct item *items = calloc(content->rows->count + 1, sizeof(*items));
	size_t all, count;

	if (!items)
		return -ENOMEM;
	all = collect(content->rows, items);
	count = cut(items, all);
	if (count) {
		color(items, count);
		fprintf(out,
			"<h2>Bytes by path</h2>\n<svg viewBox=\"0 0 %g %g\" role=img "
			"aria-label=\"areas of the paths by their bytes; the table below has the "
			"numbers\">\n",
			WIDTH, HEIGHT);
		print_items(out, items, count, content->totals.bytes, all - count + 1);
		fputs("</svg>\n", out);
	}
	free(items);
	return 0;
}
