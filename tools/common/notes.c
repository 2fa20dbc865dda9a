// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "tools/common/notes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Takes text, which is malloc'ed or NULL. */
static void append(struct notes *notes, const char *event, char *text)
{
	struct report_note note = {.event = event, .text = text}, *grown;

	grown = text ? reallocarray(notes->note, notes->count + 1, sizeof(*grown)) : NULL;
	if (!grown) {
		free(text);
		return;
	}
	notes->note = grown;
	clock_gettime(CLOCK_REALTIME, &note.time);
	grown[notes->count++] = note;
}

void notes_add(struct notes *notes, const char *event, const char *format, ...)
{
	va_list arguments;
	char *text;

	if (notes->full)
		return;
	if (notes->count == NOTES_MAX) {
		notes->full = true;
		append(notes, "more", strdup("more has happened than is listed here"));
		return;
	}
	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	append(notes, event, text);
}

void notes_clear(struct notes *notes)
{
	for (size_t i = 0; i < notes->count; i++)
		free((char *)notes->note[i].text);
	free(notes->note);
	*notes = (struct notes){0};
}
