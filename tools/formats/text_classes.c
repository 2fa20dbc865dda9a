// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "tools/formats/text.h"
#include "tools/common/escape.h"
#include "tools/content/number.h"

#include <string.h>

#define NAME_WIDTH_MIN 14
#define NAME_WIDTH_MAX 40

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
			const struct report_content *content)
{
	const struct socktally_counts *totals = &content->totals;
	char share[NUMBER_TEXT_MAX], bytes[NUMBER_TEXT_MAX], bytes_share[NUMBER_TEXT_MAX];
	int pad = width - (int)escape_columns(class->name);

	report_number_share(share, class->counts.packets, totals->packets);
	report_number_bytes(bytes, class->counts.bytes, &content->look.units);
	report_number_share(bytes_share, class->counts.bytes, totals->bytes);
	escape_text(out, class->name, (size_t)width);
	fprintf(out, "%*s  %10llu  %5s  %8s  %5s  %10llu\n", pad > 0 ? pad : 0, "",
		(unsigned long long)class->counts.packets, share, bytes, bytes_share,
		(unsigned long long)class->counts.accepted_packets);
}

void report_text_classes(FILE *out, const struct report_content *content)
{
	const struct report_classes *classes = content->classes;
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
			print_class(out, &classes->class[i], width, content);
		else
			empty += !none;
	}
	if (empty)
		fprintf(out, "%zu of %zu classes: no packets\n", empty, given);
}
