// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* What failed, in a sentence, and the host's log. */
#include "plugin/meter/meter.h"
#include <stdarg.h>
#include <stdio.h>

/* Why socktally_open() failed, when there is no meter to ask. */
static __thread char open_error[sizeof(((struct socktally *)0)->error)];

const char *socktally_error(const struct socktally *meter)
{
	if (!meter)
		return open_error;
	return st_registry_has(meter) ? meter->error : "there is no such meter (any more)";
}

void st_log(const struct socktally *meter, enum socktally_log_level level, const char *format, ...)
{
	char text[sizeof(meter->error)];
	va_list arguments;

	if (!meter->log)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	meter->log(meter->log_ctx, level, text);
}

int st_fail(struct socktally *meter, int result, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(meter->error, sizeof(meter->error), format, arguments);
	va_end(arguments);
	if (meter->log && !meter->quiet)
		meter->log(meter->log_ctx, SOCKTALLY_LOG_ERROR, meter->error);
	return result;
}

int st_open_fail(int result, const char *text)
{
	snprintf(open_error, sizeof(open_error), "%s", text);
	return result;
}
