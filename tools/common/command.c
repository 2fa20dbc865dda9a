// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* What all subcommands say to their user, and how. */
#include "tools/common/command.h"
#include "tools/common/escape.h"
#include "tools/common/supervisor.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define SECONDS_MAX 4000000 /* in milliseconds it fits an unsigned int; 46 days */

static const char *subcommand;
static bool pipe_closed; /* standard output is a pipe that nobody reads any more */

void command_name(const char *name)
{
	subcommand = name;
}

/* As syslog(3) has them. */
enum severity { SEVERITY_ERROR = 3, SEVERITY_NOTICE = 5 };

/* One line whatever the text contains: file names may have anything in them. */
static void say(enum severity severity, const char *format, va_list arguments, const char *hint)
{
	char text[2048], line[4096];
	size_t length;

	vsnprintf(text, sizeof(text), format, arguments);
	length = strlen(text);
	while (length && text[length - 1] == '\n')
		text[--length] = 0;
	escape_copy(line, sizeof(line), text);
	if (supervisor_has_journal())
		fprintf(stderr, "<%d>", severity);
	if (hint)
		fprintf(stderr, "socktally: %s (see 'socktally %s%s--help')\n", line, hint,
			*hint ? " " : "");
	else
		fprintf(stderr, "socktally: %s\n", line);
}

int command_fail(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say(SEVERITY_ERROR, format, arguments, NULL);
	va_end(arguments);
	return EXIT_FAILED;
}

void command_note(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say(SEVERITY_NOTICE, format, arguments, NULL);
	va_end(arguments);
}

int command_usage(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say(SEVERITY_ERROR, format, arguments, subcommand ? subcommand : "");
	va_end(arguments);
	return EXIT_USAGE;
}

int command_print(const char *format, ...)
{
	va_list arguments;
	int written;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	va_start(arguments, format);
	written = vprintf(format, arguments);
	va_end(arguments);
	return written < 0 || fflush(stdout) ? command_stdout_failed(errno) : 0;
}

int command_stdout_failed(int error)
{
	if (error != EPIPE)
		return command_fail("can't write to standard output: %s", strerror(error));
	/* the reader has got what it wanted, as head does */
	pipe_closed = true;
	return EXIT_FAILED;
}

int command_end(int status)
{
	if (status == EXIT_FAILED && pipe_closed) {
		signal(SIGPIPE, SIG_DFL);
		raise(SIGPIPE);
	}
	return status;
}

int command_print_memory(FILE *out, char **text)
{
	int status;

	if (ferror(out) | fclose(out))
		status = command_fail("out of memory");
	else
		status = command_print("%s", *text);
	free(*text);
	return status;
}

int command_seconds(const char *what, const char *argument, unsigned int *milliseconds)
{
	double seconds;
	char *end;

	errno = 0;
	seconds = strtod(argument, &end);
	if (end == argument || *end || !isfinite(seconds) || seconds <= 0)
		return command_usage("%s '%s': not a positive number of seconds", what, argument);
	if (seconds < 0.001 || seconds > SECONDS_MAX)
		return command_usage("%s '%s': must be between 0.001 and %d seconds", what,
				     argument, SECONDS_MAX);
	*milliseconds = (unsigned int)(seconds * 1000 + 0.5);
	return 0;
}

void command_lift_memlock(void)
{
	struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};

	setrlimit(RLIMIT_MEMLOCK, &unlimited);
}

const char command_not_permitted[] =
	"BPF is not permitted: run as root (sudo), or with CAP_BPF and CAP_PERFMON";

int command_open_failed(int error)
{
	if (error == -EPERM)
		return command_fail("%s", command_not_permitted);
	return command_fail("can't start counting: %s", socktally_error(NULL));
}
