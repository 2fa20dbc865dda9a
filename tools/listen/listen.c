// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The side of the meter: opens the port, starts the server, and gives it the metrics. */
#include "tools/listen/listen.h"
#include "tools/common/command.h"
#include "tools/common/file_text.h"
#include "tools/listen/server.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define BACKLOG 512
#define START 10000 /* milliseconds that the server may take to start */
#define PEM_MAX (256 << 10)
/* A text is given again for so many times as long as it took to make: what clients can make us work. */
#define FRESH 10
/* Descriptors of the server: its connections and some more. */
#define SERVER_FILES 256

struct text {
	struct report *report;
	struct report_output memory;
	int fd; /* -1: none yet */
	struct metrics_answer answer;
	int64_t fresh_until;
};

struct listener {
	int fd; /* the server asks here */
	pid_t server;
	struct text texts[METRICS_KINDS];
	uint64_t number; /* of the last text */
};

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

/* "9100", ":9100", "192.0.2.1:9100", "[2001:db8::1]:9100". Without an address it is the loopback's. */
static int split(const char *text, char *host, size_t size, const char **port)
{
	const char *colon = strrchr(text, ':');
	size_t length = colon ? (size_t)(colon - text) : 0;

	*port = colon ? colon + 1 : text;
	if (length > 1 && text[0] == '[' && text[length - 1] == ']') {
		text++;
		length -= 2;
	} else if (memchr(text, ':', length)) {
		return -1;
	}
	if (length >= size || !**port || strspn(*port, "0123456789") != strlen(*port) ||
	    strlen(*port) > 5 || atoi(*port) > 65535)
		return -1;
	memcpy(host, text, length);
	host[length] = 0;
	if (!length)
		strcpy(host, "127.0.0.1");
	else if (!strcmp(host, "*"))
		strcpy(host, "::");
	else if (!strcmp(host, "localhost"))
		strcpy(host, "127.0.0.1");
	return 0;
}

static int bind_to(const struct addrinfo *address)
{
	int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1,
	    off = 0;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (address->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (!bind(fd, address->ai_addr, address->ai_addrlen) && !listen(fd, BACKLOG))
		return fd;
	on = errno;
	close(fd);
	errno = on;
	return -1;
}

static int open_port(const char *text, int *fd)
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
				 .ai_socktype = SOCK_STREAM},
			*found = NULL;
	char host[64];
	const char *port;

	if (split(text, host, sizeof(host), &port) || getaddrinfo(host, port, &hints, &found))
		return command_usage(
			"--listen '%s': must be a port, ADDRESS:PORT or [ADDRESS]:PORT, with "
			"the address in numbers; * for all",
			text);
	*fd = bind_to(found);
	if (*fd < 0 && errno == EAFNOSUPPORT && !strcmp(host, "::")) {
		freeaddrinfo(found);
		if (getaddrinfo("0.0.0.0", port, &hints, &found))
			return command_fail("--listen %s: no such address", text);
		*fd = bind_to(found);
	}
	freeaddrinfo(found);
	return *fd < 0 ? command_fail("--listen %s: %s", text, strerror(errno)) : 0;
}

static int read_pem(const char *option, const char *path, char **text)
{
	ssize_t size;

	*text = NULL;
	if (!path)
		return 0;
	*text = malloc(PEM_MAX);
	if (!*text)
		return command_fail("out of memory");
	size = file_text_read(path, *text, PEM_MAX);
	return size < 0 ? command_fail("%s %s: %s", option, path, strerror((int)-size)) : 0;
}

/* The child: nothing but the port, the socket pair and standard error is left to it. */
static void become_server(struct server_options *options)
{
	struct rlimit files = {SERVER_FILES, SERVER_FILES}, none = {0, 0};
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_UNBLOCK, &all, NULL);
	signal(SIGINT, SIG_IGN); /* Ctrl-C is for the command, which ends us */
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_NAME, "socktally-http");
	if (dup2(options->port, 3) < 0 || dup2(options->metrics, 4) < 0)
		_exit(EXIT_FAILED);
	options->port = 3;
	options->metrics = 4;
	close_range(5, ~0u, 0);
	close(STDIN_FILENO);
	close(STDOUT_FILENO);
	setrlimit(RLIMIT_NOFILE, &files);
	setrlimit(RLIMIT_CORE, &none);
	setrlimit(RLIMIT_FSIZE, &none);
	if (!command_drop_privileges(COMMAND_ONLY_NOTHING)) {
		command_fail("--listen: can't drop privileges: %s", strerror(errno));
		_exit(EXIT_FAILED);
	}
	_exit(server_run(options));
}

/* The server says itself why it can't serve. */
static int await_ready(const struct listener *listener)
{
	struct pollfd said = {.fd = listener->fd, .events = POLLIN};
	unsigned char kind;

	if (poll(&said, 1, START) <= 0)
		return command_fail("--listen: the HTTP server does not start");
	return recv(listener->fd, &kind, 1, MSG_DONTWAIT) == 1 ? 0 : EXIT_FAILED;
}

static int start_server(struct listener *listener, struct server_options *options)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return command_fail("--listen: %s", strerror(errno));
	/* above the numbers that become_server() gives them */
	options->metrics = fcntl(pair[1], F_DUPFD_CLOEXEC, 10);
	close(pair[1]);
	listener->fd = pair[0];
	listener->server = options->metrics < 0 ? -1 : fork();
	if (!listener->server)
		become_server(options);
	close(options->metrics);
	if (listener->server < 0)
		return command_fail("--listen: %s", strerror(errno));
	return await_ready(listener);
}

static int start(struct listener *listener, const struct listen_options *options)
{
	struct server_options server = {.port = -1};
	char *certificate = NULL, *key = NULL;
	int status = read_pem("--tls-cert", options->certificate, &certificate), moved;

	if (!status)
		status = read_pem("--tls-key", options->key, &key);
	if (!status)
		status = open_port(options->address, &server.port);
	if (!status) {
		moved = fcntl(server.port, F_DUPFD_CLOEXEC, 10);
		close(server.port);
		server.port = moved;
		server.certificate = certificate;
		server.key = key;
		status = start_server(listener, &server);
		close(server.port);
	}
	free(certificate);
	if (key)
		explicit_bzero(key, strlen(key));
	free(key);
	return status;
}

int listener_open(struct listener **result, const struct listen_options *options)
{
	struct listener *listener;
	int status;

	*result = NULL;
	if (!options->address)
		return options->certificate || options->key
			       ? command_usage("--tls-cert and --tls-key need --listen")
			       : 0;
	if (!options->certificate != !options->key)
		return command_usage("--tls-cert and --tls-key go together");
	if (!server_is_built())
		return command_fail("--listen: this socktally was built without libmicrohttpd; "
				    "-o FILE --format openmetrics writes the same");
	listener = calloc(1, sizeof(*listener));
	if (!listener)
		return command_fail("out of memory");
	listener->fd = listener->server = -1;
	for (int i = 0; i < METRICS_KINDS; i++)
		listener->texts[i].fd = -1;
	status = start(listener, options);
	if (status)
		listener_close(listener);
	else
		*result = listener;
	return status;
}

int listener_fd(const struct listener *listener)
{
	return listener ? listener->fd : -1;
}

int listener_begin(struct listener *listener, const struct report_style *style)
{
	static const enum report_format formats[METRICS_KINDS] = {
		[METRICS_PROMETHEUS] = REPORT_PROMETHEUS,
		[METRICS_OPENMETRICS] = REPORT_OPENMETRICS,
	};
	int error = 0;

	for (int kind = 0; listener && kind < METRICS_KINDS && !error; kind++) {
		struct text *text = &listener->texts[kind];

		report_output_memory(&text->memory);
		error = report_open(&text->report, &text->memory,
				    &(struct report_style){.format = formats[kind],
							   .series = style->series});
	}
	return error;
}

/* A file in memory with the text that can't be changed any more, or -1. */
static int keep(const char *data, size_t size)
{
	int fd = memfd_create("metrics", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -1;
	if (write(fd, data, size) == (ssize_t)size &&
	    !fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE))
		return fd;
	close(fd);
	return -1;
}

static void make(struct listener *listener, struct text *text, struct socktally *meter,
		 const struct report_source *source)
{
	int64_t began = now();
	size_t size;
	char *data;

	if (text->fd >= 0)
		close(text->fd);
	text->fd = -1;
	text->answer = (struct metrics_answer){0};
	text->fresh_until = began;
	if (report_write(text->report, meter, source))
		return;
	data = report_output_take(&text->memory, &size);
	text->fd = data ? keep(data, size) : -1;
	if (text->fd >= 0)
		text->answer = (struct metrics_answer){.number = ++listener->number, .size = size};
	free(data);
	text->fresh_until = now() + FRESH * (now() - began);
}

static void send_answer(const struct listener *listener, const struct text *text)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec data = {(void *)&text->answer, sizeof(text->answer)};
	struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
	struct cmsghdr *header;

	if (text->fd >= 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = sizeof(control.bytes);
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(header), &text->fd, sizeof(int));
	}
	/* what a hanging server does not take is not waited for */
	sendmsg(listener->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void server_ended(struct listener *listener)
{
	close(listener->fd);
	listener->fd = -1;
	waitpid(listener->server, NULL, 0);
	listener->server = -1;
	command_note("--listen: the HTTP server has ended; counting goes on without it");
}

void listener_answer(struct listener *listener, struct socktally *meter,
		     const struct report_source *source)
{
	unsigned char kind;
	ssize_t got = recv(listener->fd, &kind, sizeof(kind), MSG_DONTWAIT);
	struct text *text;

	if (!got || (got < 0 && errno != EAGAIN && errno != EINTR)) {
		server_ended(listener);
		return;
	}
	if (got != sizeof(kind) || kind >= METRICS_KINDS)
		return;
	text = &listener->texts[kind];
	if (text->fd < 0 || now() > text->fresh_until)
		make(listener, text, meter, source);
	send_answer(listener, text);
}

void listener_close(struct listener *listener)
{
	if (!listener)
		return;
	for (int i = 0; i < METRICS_KINDS; i++) {
		if (listener->texts[i].fd >= 0)
			close(listener->texts[i].fd);
		report_close(listener->texts[i].report);
		report_output_close(&listener->texts[i].memory);
	}
	if (listener->fd >= 0)
		close(listener->fd);
	if (listener->server > 0) {
		kill(listener->server, SIGKILL);
		waitpid(listener->server, NULL, 0);
	}
	free(listener);
}
