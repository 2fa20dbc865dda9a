// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "tools/report/classes.h"
#include "tools/report/rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NAME_WIDTH_MIN 14
#define NAME_WIDTH_MAX 40

void report_classes_free(struct report_classes *classes)
{
	for (size_t i = 0; i < classes->count; i++) {
		free(classes->class[i].name);
		free(classes->class[i].expression);
	}
	free(classes->class);
	*classes = (struct report_classes){0};
}

static int add(struct report_classes *classes, const char *name, const char *expression,
	       const struct socktally_counts *counts)
{
	struct report_class *class;

	if (classes->count == classes->room) {
		size_t room = classes->room ? 2 * classes->room : 16;

		class = reallocarray(classes->class, room, sizeof(*class));
		if (!class)
			return -ENOMEM;
		classes->class = class;
		classes->room = room;
	}
	class = &classes->class[classes->count];
	*class = (struct report_class){.name = strdup(name),
				       .expression = strdup(expression ? expression : ""),
				       .counts = *counts};
	classes->count++;
	return class->name && class->expression ? 0 : -ENOMEM;
}

static int add_class(void *ctx, const struct socktally_class_counts *class)
{
	struct socktally_counts sum = class->in;

	report_counts_add(&sum, &class->out);
	return add(ctx, class->name, class->expression, &sum);
}

int report_classes_read(struct report_classes *classes, const struct socktally *meter)
{
	return socktally_classes(meter, add_class, classes);
}

int report_classes_since(const struct report_classes *now, const struct report_classes *last,
			 struct report_classes *since)
{
	for (size_t i = 0; i < now->count; i++) {
		struct socktally_counts counts = now->class[i].counts;
		int error;

		if (i < last->count)
			report_counts_subtract(&counts, &last->class[i].counts);
		error = add(since, now->class[i].name, now->class[i].expression, &counts);
		if (error)
			return error;
	}
	return 0;
}

void report_classes_json(FILE *out, const struct report_classes *classes)
{
	for (size_t i = 0; i < classes->count; i++) {
		const struct report_class *class = &classes->class[i];

		fputs(i ? ",{\"name\":" : ",\"classes\":[{\"name\":", out);
		escape_json(out, class->name);
		fputs(",\"expression\":", out);
		escape_json(out, class->expression);
		fputc(',', out);
		report_json_counts(out, &class->counts);
		fputc('}', out);
	}
	if (classes->count)
		fputc(']', out);
}

static int name_width(const struct report_classes *classes)
{
	int width = NAME_WIDTH_MIN;

	for (size_t i = 0; i < classes->count; i++) {
		int columns = (int)escape_columns(classes->class[i].name);

		if (classes->class[i].counts.packets && columns > width)
			width = columns;
	}
	return width < NAME_WIDTH_MAX ? width : NAME_WIDTH_MAX;
}

static void print_class(FILE *out, const struct report_class *class, int width,
			const struct socktally_counts *totals)
{
	char share[NUMBER_TEXT_MAX], bytes[NUMBER_TEXT_MAX], bytes_share[NUMBER_TEXT_MAX];
	int pad = width - (int)escape_columns(class->name);

	report_number_share(share, class->counts.packets, totals->packets);
	report_number_short(bytes, (double)class->counts.bytes, "B");
	report_number_share(bytes_share, class->counts.bytes, totals->bytes);
	escape_text(out, class->name, (size_t)width);
	fprintf(out, "%*s  %10llu  %5s  %8s  %5s  %10llu\n", pad > 0 ? pad : 0, "",
		(unsigned long long)class->counts.packets, share, bytes, bytes_share,
		(unsigned long long)class->counts.accepted_packets);
}

void report_classes_text(FILE *out, const struct report_classes *classes,
			 const struct socktally_counts *totals)
{
	int width = name_width(classes);
	size_t empty = 0, given = 0;

	if (!classes->count)
		return;
	fprintf(out, "\n%-*s  %10s  %5s  %8s  %5s  %10s\n", width, "class", "packets", "%", "bytes",
		"%", "accepted");
	for (size_t i = 0; i < classes->count; i++) {
		/* with --first: the row of packets in no class, whose name no class can have */
		bool none = !strcmp(classes->class[i].name, "none");

		given += !none;
		if (classes->class[i].counts.packets)
			print_class(out, &classes->class[i], width, totals);
		else
			empty += !none;
	}
	if (empty)
		fprintf(out, "%zu of %zu classes: no packets\n", empty, given);
}
