// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "tools/formats/formats.h"
#include "tools/formats/writers.h"
#include "tools/html/html.h"

#include <string.h>

static const struct {
	const char *name;
	bool is_words, is_total;
	int (*write)(FILE *out, const struct report_content *content, bool later);
} formats[] = {
	[REPORT_TEXT] = {"text", true, false, report_text},
	[REPORT_JSON] = {"json", false, false, report_json},
	[REPORT_CSV] = {"csv", false, false, report_csv},
	[REPORT_PHS] = {"phs", false, false, report_phs},
	[REPORT_OPENMETRICS] = {"openmetrics", false, true, report_openmetrics},
	[REPORT_PROMETHEUS] = {"prometheus", false, true, report_prometheus},
	[REPORT_HTML] = {"html", true, true, report_html},
};

bool report_format_find(const char *name, enum report_format *format)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
		if (strcmp(formats[i].name, name) != 0)
			continue;
		*format = (enum report_format)i;
		return true;
	}
	return false;
}

bool report_format_is_words(enum report_format format)
{
	return formats[format].is_words;
}

bool report_format_is_total(enum report_format format)
{
	return formats[format].is_total;
}

bool report_format_is_page(enum report_format format)
{
	return format == REPORT_HTML;
}

int report_format_write(enum report_format format, FILE *out, const struct report_content *content,
			bool later)
{
	return formats[format].write(out, content, later);
}
