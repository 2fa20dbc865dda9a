// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* What failed, in a sentence, and the host's log. */
#include "plugin/meter/meter.h"
#include "plugin/meter/visit.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Why socktally_open() failed, when there is no meter to ask. */
static __thread char open_error[sizeof(((struct socktally *)0)->error)];

const char *socktally_error(const struct socktally *meter)
{
	if (!meter)
		return open_error;
	return st_registry_has(meter) ? meter->error : "there is no such meter (any more)";
}

/* A change may be half made: the callback gets errors from all that would make another one. */
static void log_text(const struct socktally *meter, enum socktally_log_level level,
		     const char *text)
{
	struct socktally *own = (struct socktally *)meter;

	if (!meter->log || meter->logging)
		return;
	own->logging = true;
	st_visit_begin(meter, ST_LIST_ALL);
	meter->log(meter->log_ctx, level, text);
	own->logging = false;
	st_visit_end(meter, ST_LIST_ALL);
}

void st_log(const struct socktally *meter, enum socktally_log_level level, const char *format, ...)
{
	char text[sizeof(meter->error)];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	log_text(meter, level, text);
}

int st_fail(struct socktally *meter, int result, const char *format, ...)
{
	char text[sizeof(meter->error)];
	va_list arguments;

	/* what is noted may be an argument, and the callback may note something else */
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	memcpy(meter->error, text, sizeof(text));
	if (!meter->quiet)
		log_text(meter, SOCKTALLY_LOG_ERROR, text);
	return result;
}

int st_open_fail(int result, const char *text)
{
	snprintf(open_error, sizeof(open_error), "%s", text);
	return result;
}
