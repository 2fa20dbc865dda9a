// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "tools/common/supervisor.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static void tell(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t length = path ? strlen(path) : 0;
	int fd;

	if (length < 2 || length >= sizeof(address.sun_path) || (*path != '/' && *path != '@'))
		return;
	memcpy(address.sun_path, path, length);
	if (*path == '@') /* an abstract name */
		address.sun_path[0] = 0;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&address,
	       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
	close(fd);
}

void supervisor_ready(void)
{
	tell("READY=1");
}

void supervisor_stopping(void)
{
	tell("STOPPING=1");
}

void supervisor_status(const char *format, ...)
{
	char text[256] = "STATUS=";
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text + strlen(text), sizeof(text) - strlen(text), format, arguments);
	va_end(arguments);
	text[strcspn(text, "\n")] = 0;
	tell(text);
}

/* Half the watchdog's time, in milliseconds; 0: there is none, or it is another process's. */
static int period(void)
{
	static int known = -1;
	const char *time = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	unsigned long long half;

	if (known >= 0)
		return known;
	half = time ? strtoull(time, NULL, 10) / 2000 : 0;
	if (pid && strtol(pid, NULL, 10) != getpid())
		half = 0;
	known = half > INT32_MAX ? INT32_MAX : (int)half;
	return known;
}

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * INT64_C(1000) + time.tv_nsec / 1000000;
}

static int64_t next;

int supervisor_wait(int milliseconds)
{
	int64_t left;

	if (!period())
		return milliseconds;
	left = next - now();
	if (left < 0)
		left = 0;
	return milliseconds < 0 || left < milliseconds ? (int)left : milliseconds;
}

void supervisor_alive(void)
{
	if (!period() || now() < next)
		return;
	tell("WATCHDOG=1");
	next = now() + period();
}

int supervisor_has_journal(void)
{
	static int known = -1;
	const char *stream = getenv("JOURNAL_STREAM");
	uintmax_t device, inode;
	struct stat status;

	if (known < 0)
		known = stream && sscanf(stream, "%ju:%ju", &device, &inode) == 2 &&
			!fstat(STDERR_FILENO, &status) && status.st_dev == device &&
			status.st_ino == inode;
	return known;
}
