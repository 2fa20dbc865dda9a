// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* How the text report is to look. */
#include "tools/options/options.h"

#include <string.h>

#define ROWS_MAX 1000000
#define DEPTH_MAX 100 /* no path is that long */

/* The place of a word in a list that ends with NULL; -1: it is not in it. */
static int find_word(const char *const *words, const char *word, size_t length)
{
	for (int i = 0; words[i]; i++) {
		if (strlen(words[i]) == length && !strncmp(words[i], word, length))
			return i;
	}
	return -1;
}

static int sort_option(struct report_style *style, const char *argument)
{
	static const char *const columns[] = {
		[REPORT_BY_PACKETS] = "packets",
		[REPORT_BY_BYTES] = "bytes",
		[REPORT_BY_IN] = "in",
		[REPORT_BY_OUT] = "out",
		[REPORT_BY_ACCEPTED] = "accepted",
		[REPORT_BY_LOST] = "lost",
		[REPORT_BY_NAME] = "name",
		[REPORT_BY_NAME + 1] = NULL,
	};
	int column = find_word(columns, argument, strlen(argument));

	if (column < 0)
		return command_usage("--sort '%s': must be packets, bytes, in, out, accepted, "
				     "lost or name",
				     argument);
	style->look.sort = (enum report_sort)column;
	return 0;
}

/* "iec", "bytes", "exact,bytes" */
static int units_option(struct report_style *style, const char *argument)
{
	static const char *const words[] = {"si", "iec", "exact", "bits", "bytes", NULL};
	struct report_units *units = &style->look.units;

	for (const char *at = argument;; at++) {
		size_t length = strcspn(at, ",");

		switch (find_word(words, at, length)) {
		case 0:
			units->prefix = REPORT_SI;
			break;
		case 1:
			units->prefix = REPORT_IEC;
			break;
		case 2:
			units->prefix = REPORT_EXACT;
			break;
		case 3:
			units->byte_rates = false;
			break;
		case 4:
			units->byte_rates = true;
			break;
		default:
			return command_usage("--units '%s': must be si, iec or exact, and bits or "
					     "bytes, with a comma between",
					     argument);
		}
		at += length;
		if (!*at)
			return 0;
	}
}

static int color_option(struct report_style *style, const char *argument)
{
	static const char *const words[] = {
		[REPORT_COLOR_AUTO] = "auto",
		[REPORT_COLOR_ALWAYS] = "always",
		[REPORT_COLOR_NEVER] = "never",
		[REPORT_COLOR_NEVER + 1] = NULL,
	};
	int word = find_word(words, argument, strlen(argument));

	if (word < 0)
		return command_usage("--color '%s': must be auto, always or never", argument);
	style->color = word;
	return 0;
}

int look_option(struct report_style *style, int option, const char *argument)
{
	unsigned long number;
	int status;

	switch (option) {
	case 'n':
		status = number_option("--top", argument, ROWS_MAX, &number);
		style->look.rows = number;
		return status;
	case OPTION_DEPTH:
		status = number_option("--depth", argument, DEPTH_MAX, &number);
		style->look.depth = (unsigned int)number;
		return status;
	case OPTION_SORT:
		return sort_option(style, argument);
	case OPTION_UNITS:
		return units_option(style, argument);
	default:
		return color_option(style, argument);
	}
}
