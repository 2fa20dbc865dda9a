// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * The HTTP server: one thread, libmicrohttpd, GET /metrics. Its loop is ours, so that no connection lasts
 * longer than PATIENCE whatever it does, and a new one always finds room: the oldest is closed for it.
 */
#include "tools/listen/server.h"
#include "tools/common/command.h"

#ifndef HAVE_MICROHTTPD

bool server_is_built(void)
{
	return false;
}

int server_run(const struct server_options *options)
{
	(void)options;
	return EXIT_FAILED;
}

#else

#include <dlfcn.h>
#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#define CONNECTIONS 128
#define PATIENCE 10        /* seconds for a connection */
#define WAIT 2000          /* milliseconds for an answer of the meter's process */
#define REQUEST (16 << 10) /* bytes of a request's head */
#define METRICS_MAX (64 << 20)

/*
 * libmicrohttpd is loaded in the server only: it brings a whole TLS library with it, which would make every
 * other command slower to start.
 */
#define LIBRARY "libmicrohttpd.so.12"
#define FUNCTIONS(F)                                                                               \
	F(MHD_start_daemon)                                                                        \
	F(MHD_run)                                                                                 \
	F(MHD_get_timeout)                                                                         \
	F(MHD_get_daemon_info)                                                                     \
	F(MHD_get_connection_info)                                                                 \
	F(MHD_lookup_connection_value)                                                             \
	F(MHD_create_response_from_buffer)                                                         \
	F(MHD_add_response_header)                                                                 \
	F(MHD_queue_response)                                                                      \
	F(MHD_destroy_response)

#define MEMBER(name) __typeof__(&name) name;
static struct {
	FUNCTIONS(MEMBER)
} mhd;

static bool load(void)
{
	void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);

	if (!library)
		return false;
#define LOAD(name)                                                                                 \
	*(void **)&mhd.name = dlsym(library, #name);                                               \
	if (!mhd.name)                                                                             \
		return false;
	FUNCTIONS(LOAD)
	return true;
}

static const char *const content_types[METRICS_KINDS] = {
	[METRICS_PROMETHEUS] = "text/plain; version=0.0.4; charset=utf-8",
	[METRICS_OPENMETRICS] = "application/openmetrics-text; version=1.0.0; charset=utf-8",
};

/* A text, and the same compressed once somebody wants it so. */
struct metrics {
	uint64_t number;
	struct MHD_Response *plain, *packed;
	char *text;
	size_t size;
};

struct connection {
	int fd; /* -1: a free place */
	time_t since;
	uint64_t number; /* in the order in which they came */
	bool over;       /* hung up, and libmicrohttpd will see it */
};

struct server {
	const struct server_options *options;
	struct MHD_Daemon *daemon;
	struct metrics metrics[METRICS_KINDS];
	struct connection connections[CONNECTIONS];
	uint64_t last;
	unsigned int count; /* of those that are not over */
};

bool server_is_built(void)
{
	return true;
}

static time_t seconds(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec;
}

static void metrics_clear(struct metrics *metrics)
{
	if (metrics->plain)
		mhd.MHD_destroy_response(metrics->plain);
	if (metrics->packed)
		mhd.MHD_destroy_response(metrics->packed);
	free(metrics->text);
	*metrics = (struct metrics){0};
}

/* The answer and its descriptor, which is -1 where there is none. Older answers, which came late, are passed over. */
static bool receive_answer(int from, struct metrics_answer *answer, int *fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec data = {answer, sizeof(*answer)};
	struct msghdr message = {.msg_iov = &data,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes)};
	struct cmsghdr *header;

	*fd = -1;
	if (recvmsg(from, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) != sizeof(*answer))
		return false;
	header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(header), sizeof(*fd));
	return true;
}

static void drop_late_answers(int from)
{
	struct metrics_answer answer;
	int fd;

	while (receive_answer(from, &answer, &fd))
		if (fd >= 0)
			close(fd);
}

static bool read_text(int fd, size_t size, struct metrics *metrics)
{
	metrics->text = size && size <= METRICS_MAX ? malloc(size) : NULL;
	if (metrics->text && pread(fd, metrics->text, size, 0) == (ssize_t)size) {
		metrics->size = size;
		return true;
	}
	free(metrics->text);
	metrics->text = NULL;
	return false;
}

static struct MHD_Response *respond(const char *data, size_t size, enum MHD_ResponseMemoryMode mode,
				    const char *type)
{
	struct MHD_Response *response =
		mhd.MHD_create_response_from_buffer(size, (void *)data, mode);

	if (response)
		mhd.MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	return response;
}

/* Asks the meter's process. False: it has not answered, or it has no metrics. */
static bool ask(struct server *server, enum metrics_kind kind)
{
	struct metrics *metrics = &server->metrics[kind];
	struct pollfd answered = {.fd = server->options->metrics, .events = POLLIN};
	unsigned char request = (unsigned char)kind;
	struct metrics_answer answer;
	int fd;

	drop_late_answers(answered.fd);
	if (send(answered.fd, &request, 1, MSG_NOSIGNAL) != 1 || poll(&answered, 1, WAIT) <= 0 ||
	    !receive_answer(answered.fd, &answer, &fd))
		return false;
	if (fd >= 0 && (!metrics->plain || answer.number != metrics->number)) {
		metrics_clear(metrics);
		if (read_text(fd, answer.size, metrics))
			metrics->plain = respond(metrics->text, metrics->size,
						 MHD_RESPMEM_MUST_COPY, content_types[kind]);
		metrics->number = answer.number;
	}
	if (fd < 0)
		return false;
	close(fd);
	return metrics->plain;
}

static void pack(struct metrics *metrics, enum metrics_kind kind)
{
	z_stream stream = {0};
	uLong room;
	char *packed;

	/* 16: in gzip's frame */
	if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, 16 + MAX_WBITS, 8,
			 Z_DEFAULT_STRATEGY) != Z_OK)
		return;
	room = deflateBound(&stream, metrics->size);
	packed = malloc(room);
	stream.next_in = (unsigned char *)metrics->text;
	stream.avail_in = (uInt)metrics->size;
	stream.next_out = (unsigned char *)packed;
	stream.avail_out = (uInt)room;
	if (packed && deflate(&stream, Z_FINISH) == Z_STREAM_END)
		metrics->packed = respond(packed, stream.total_out, MHD_RESPMEM_MUST_COPY,
					  content_types[kind]);
	if (metrics->packed)
		mhd.MHD_add_response_header(metrics->packed, MHD_HTTP_HEADER_CONTENT_ENCODING,
					    "gzip");
	deflateEnd(&stream);
	free(packed);
}

static bool accepts(struct MHD_Connection *connection, const char *header, const char *what)
{
	const char *value = mhd.MHD_lookup_connection_value(connection, MHD_HEADER_KIND, header);

	return value && strcasestr(value, what);
}

static enum MHD_Result reply_text(struct MHD_Connection *connection, unsigned int status,
				  const char *text)
{
	struct MHD_Response *response =
		respond(text, strlen(text), MHD_RESPMEM_PERSISTENT, "text/plain; charset=utf-8");
	enum MHD_Result result = MHD_NO;

	if (!response)
		return MHD_NO;
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		mhd.MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	result = mhd.MHD_queue_response(connection, status, response);
	mhd.MHD_destroy_response(response);
	return result;
}

static enum MHD_Result reply_metrics(struct server *server, struct MHD_Connection *connection)
{
	enum metrics_kind kind = accepts(connection, "Accept", "application/openmetrics-text")
					 ? METRICS_OPENMETRICS
					 : METRICS_PROMETHEUS;
	struct metrics *metrics = &server->metrics[kind];
	bool packed = accepts(connection, "Accept-Encoding", "gzip");

	if (!ask(server, kind))
		return reply_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE,
				  "The counters could not be read. Try again.\n");
	if (packed && !metrics->packed)
		pack(metrics, kind);
	return mhd.MHD_queue_response(connection, MHD_HTTP_OK,
				      packed && metrics->packed ? metrics->packed : metrics->plain);
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *data,
				  size_t *size, void **request)
{
	(void)version;
	(void)data;
	(void)request;
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
		*size = 0;
		return reply_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET or HEAD only.\n");
	}
	if (!strcmp(url, "/metrics"))
		return reply_metrics(ctx, connection);
	if (!strcmp(url, "/"))
		return reply_text(connection, MHD_HTTP_OK, "socktally: counters are at /metrics\n");
	return reply_text(connection, MHD_HTTP_NOT_FOUND, "Counters are at /metrics.\n");
}

static int fd_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		mhd.MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);

	return info ? info->connect_fd : -1;
}

/* Closing is libmicrohttpd's: here the connection ends for both sides. */
static void hang_up(struct server *server, struct connection *connection)
{
	shutdown(connection->fd, SHUT_RDWR);
	connection->over = true;
	server->count--;
}

static struct connection *oldest(struct server *server)
{
	struct connection *found = NULL;

	for (struct connection *one = server->connections; one < server->connections + CONNECTIONS;
	     one++)
		if (one->fd >= 0 && !one->over && (!found || one->number < found->number))
			found = one;
	return found;
}

static void on_connection(void *ctx, struct MHD_Connection *of_mhd, void **place,
			  enum MHD_ConnectionNotificationCode code)
{
	struct server *server = ctx;
	struct connection *connection = *place;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (connection) {
			server->count -= !connection->over;
			connection->fd = -1;
		}
		return;
	}
	for (connection = server->connections; connection < server->connections + CONNECTIONS;
	     connection++)
		if (connection->fd < 0)
			break;
	if (connection == server->connections + CONNECTIONS)
		return; /* not more than libmicrohttpd was told */
	*connection = (struct connection){.fd = fd_of(of_mhd),
					  .since = seconds(),
					  .number = ++server->last};
	*place = connection;
	server->count++;
	/* libmicrohttpd accepts many at a time, and sees later that some are over */
	if (server->count > CONNECTIONS / 2)
		hang_up(server, oldest(server));
}

static void end_old(struct server *server)
{
	time_t now = seconds();

	for (size_t i = 0; i < CONNECTIONS; i++) {
		struct connection *one = &server->connections[i];

		if (one->fd >= 0 && !one->over && now - one->since >= PATIENCE)
			hang_up(server, one);
	}
}

static int loop(struct server *server)
{
	const union MHD_DaemonInfo *info =
		mhd.MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	struct pollfd fds[] = {
		{.fd = info ? info->epoll_fd : -1, .events = POLLIN},
		{.fd = server->options->metrics, .events = 0}, /* its end only */
	};

	for (;;) {
		MHD_UNSIGNED_LONG_LONG wait = 1000;

		if (mhd.MHD_get_timeout(server->daemon, &wait) != MHD_YES || wait > 1000)
			wait = 1000;
		if (poll(fds, 2, (int)wait) < 0 && errno != EINTR)
			return command_fail("--listen: %s", strerror(errno));
		if (fds[1].revents)
			return 0;
		end_old(server);
		if (mhd.MHD_run(server->daemon) != MHD_YES)
			return command_fail("--listen: the server failed");
	}
}

/* What clients do wrong is nobody's business: no line of theirs gets into a log. */
static void silent(void *ctx, const char *format, va_list arguments)
{
	(void)ctx;
	(void)format;
	(void)arguments;
}

int server_run(const struct server_options *options)
{
	static struct server server;
	unsigned int flags = MHD_USE_EPOLL | MHD_USE_ERROR_LOG;
	struct MHD_OptionItem tls[] = {
		{MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)options->certificate},
		{MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)options->key},
		{MHD_OPTION_END, 0, NULL},
	};

	if (!load())
		return command_fail("--listen needs " LIBRARY ", which can't be loaded: install "
				    "libmicrohttpd12");
	if (options->key)
		flags |= MHD_USE_TLS;
	server.options = options;
	for (size_t i = 0; i < CONNECTIONS; i++)
		server.connections[i].fd = -1;
	server.daemon = mhd.MHD_start_daemon(flags, 0, NULL, NULL, on_request, &server,
					     MHD_OPTION_EXTERNAL_LOGGER, silent, NULL,
					     MHD_OPTION_LISTEN_SOCKET, options->port,
					     MHD_OPTION_CONNECTION_LIMIT, (unsigned int)CONNECTIONS,
					     MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int)PATIENCE,
					     MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)REQUEST,
					     MHD_OPTION_NOTIFY_CONNECTION, on_connection, &server,
					     MHD_OPTION_ARRAY, options->key ? tls : tls + 2,
					     MHD_OPTION_END);
	if (!server.daemon)
		return command_fail(options->key
					    ? "--listen: can't serve with this certificate and key"
					    : "--listen: can't serve");
	if (send(options->metrics, &(unsigned char){METRICS_READY}, 1, MSG_NOSIGNAL) != 1)
		return EXIT_FAILED;
	return loop(&server);
}

#endif
