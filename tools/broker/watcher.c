// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "tools/broker/watcher.h"
#include "plugin/attach/saved_filter.h"
#include "tools/common/command.h"
#include "tools/proc/packet_diag.h"
#include "tools/proc/processes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* Sockets of other processes that are remembered; the oldest is forgotten, and looked for again. */
#define STRANGERS 256
/* Parents that are followed to the tool. */
#define GENERATIONS 32
/* The most that is read of a process's environment or its mappings. */
#define TEXT_SIZE (256 * 1024)

struct watcher {
	int broker, netlink;
	char token[2 * BROKER_TOKEN_SIZE + 1];      /* as the environment has it */
	char lifeline[8 + CHANNEL_NAME_LENGTH + 1]; /* "/memfd:" and its name */
	uint64_t strangers[STRANGERS];
	unsigned int next_stranger;
	char text[TEXT_SIZE];
};

static bool is_stranger(const struct watcher *watcher, uint64_t cookie)
{
	for (size_t i = 0; i < STRANGERS; i++)
		if (watcher->strangers[i] == cookie)
			return true;
	return false;
}

static void add_stranger(struct watcher *watcher, uint64_t cookie)
{
	watcher->strangers[watcher->next_stranger] = cookie;
	watcher->next_stranger = (watcher->next_stranger + 1) % STRANGERS;
}

/* A file of a process, with what separates its strings as newlines; "": it can't be read. */
static const char *read_text(struct watcher *watcher, pid_t pid, const char *name)
{
	char path[64];
	size_t size = 0;
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && size < TEXT_SIZE - 1 &&
	       (got = read(fd, watcher->text + size, TEXT_SIZE - 1 - size)) > 0)
		size += (size_t)got;
	if (fd >= 0)
		close(fd);
	for (size_t i = 0; i < size; i++)
		if (!watcher->text[i])
			watcher->text[i] = '\n';
	watcher->text[size] = '\0';
	return watcher->text;
}

/*
 * Whether the process is the tool or was started by it. One whose parents have ended is known by the
 * channel's token in its environment, or by the lifeline that it has mapped.
 */
static bool is_of_tool(struct watcher *watcher, pid_t pid, pid_t tool)
{
	struct process process;
	pid_t each = pid;

	for (int i = 0; i < GENERATIONS && each > 1; i++) {
		if (each == tool)
			return true;
		if (process_read(each, &process))
			break;
		each = process.parent;
	}
	return strstr(read_text(watcher, pid, "environ"), watcher->token) ||
	       strstr(read_text(watcher, pid, "maps"), watcher->lifeline);
}

/* Whether LD_PRELOAD is in an environment, with a variable a line. */
static bool has_preload(const char *environment)
{
	return !strncmp(environment, "LD_PRELOAD=", 11) || strstr(environment, "\nLD_PRELOAD=");
}

/*
 * Whether the shim has said that the process goes on unmetered, as it does before a seccomp filter: it
 * notes that in its environment, where it finds it.
 */
static bool shim_has_said(struct watcher *watcher, pid_t pid)
{
	const char *text = strstr(read_text(watcher, pid, "environ"), CHANNEL_VARIABLE "=");
	const char *end = text ? strchr(text, '\n') : NULL;

	if (end && end[-CHANNEL_WARNED_BACK] == '1')
		return true;
	text = strstr(read_text(watcher, pid, "status"), "\nSeccomp:\t");
	return text && text[strlen("\nSeccomp:\t")] != '0';
}

/* Why the shim does not know of the process's socket. */
static enum watch_kind why_unknown(struct watcher *watcher, pid_t pid)
{
	const char *text = read_text(watcher, pid, "maps");

	if (strstr(text, "libsocktally-preload"))
		return WATCH_PAST;
	if (*text && !strstr(text, ".so"))
		return WATCH_STATIC;
	return has_preload(read_text(watcher, pid, "environ")) ? WATCH_REFUSED : WATCH_ENVIRONMENT;
}

static const struct watch_metered *find_metered(const struct watch_question *question,
						uint64_t cookie)
{
	for (uint32_t i = 0; i < question->count; i++)
		if (question->metered[i].cookie == cookie)
			return &question->metered[i];
	return NULL;
}

/* Whether the socket is one to look for: it receives, and is not on the meter as it should be. */
static bool is_wanted(const struct watcher *watcher, const struct watch_question *question,
		      const struct packet_diag_socket *socket)
{
	const struct watch_metered *metered = find_metered(question, socket->cookie);

	if (!socket->running || !socket->protocol)
		return false;
	if (metered)
		return metered->program && !st_program_exists(metered->program);
	return !is_stranger(watcher, socket->cookie);
}

static void find_holder(struct watcher *watcher, const struct watch_question *question,
			const struct packet_diag_socket *socket, const struct holders *holders,
			struct watch_answer *answer)
{
	struct watch_finding *finding = &answer->findings[answer->count];
	struct process process;
	size_t count;
	const struct holder *holder = holders_find(holders, socket->inode, &count);

	for (size_t i = 0; i < count; i++) {
		if (!is_of_tool(watcher, holder[i].pid, question->tool) ||
		    process_read(holder[i].pid, &process))
			continue;
		*finding = (struct watch_finding){.cookie = socket->cookie,
						  .pid = holder[i].pid,
						  .fd = holder[i].fd,
						  .ifindex = socket->ifindex};
		finding->said = shim_has_said(watcher, holder[i].pid);
		finding->kind = find_metered(question, socket->cookie)
					? WATCH_LOST
					: why_unknown(watcher, holder[i].pid);
		if (finding->said && finding->kind == WATCH_PAST)
			finding->kind = WATCH_SAID;
		memcpy(finding->comm, process.comm, sizeof(finding->comm));
		answer->count++;
		return;
	}
	add_stranger(watcher, socket->cookie);
}

static void look(struct watcher *watcher, const struct watch_question *question,
		 struct watch_answer *answer)
{
	struct packet_diag_socket *sockets;
	struct holders holders = {0};
	bool read = false;
	size_t count;

	memset(answer, 0, sizeof(*answer));
	if (packet_diag_read(watcher->netlink, false, &sockets, &count))
		return;
	for (size_t i = 0; i < count && answer->count < WATCH_FINDINGS; i++) {
		if (!is_wanted(watcher, question, &sockets[i]))
			continue;
		if (!read && processes_read(&holders, NULL))
			break;
		read = true;
		find_holder(watcher, question, &sockets[i], &holders, answer);
	}
	if (read)
		holders_free(&holders);
	packet_diag_free(sockets, count);
}

static void answer_until_end(struct watcher *watcher)
{
	static struct watch_question question;
	struct watch_answer answer;

	while (recv(watcher->broker, &question, sizeof(question), 0) == sizeof(question) &&
	       question.count <= WATCH_SOCKETS) {
		look(watcher, &question, &answer);
		if (send(watcher->broker, &answer, sizeof(answer), MSG_NOSIGNAL) < 0)
			return;
	}
}

/* Nothing of the broker's may live on with us: the kernel ends the meter when its last user closes it. */
static void close_others(int kept)
{
	struct rlimit limit;

	if (dup2(kept, STDIN_FILENO) < 0)
		_exit(0);
	if (!close_range(STDIN_FILENO + 1, ~0u, 0))
		return;
	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur > 65536)
		limit.rlim_cur = 65536;
	for (int fd = STDIN_FILENO + 1; fd < (int)limit.rlim_cur; fd++)
		close(fd);
}

int watcher_start(const struct channel_address *address, pid_t *watcher)
{
	static struct watcher made;
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return -1;
	*put_hex(made.token, address->token, sizeof(address->token)) = '\0';
	strcpy(made.lifeline, "/memfd:");
	channel_name(made.lifeline + strlen(made.lifeline), address);
	*watcher = fork();
	if (!*watcher) {
		prctl(PR_SET_NAME, "socktally-watch");
		close_others(ends[1]);
		made.broker = STDIN_FILENO;
		made.netlink = packet_diag_open();
		if (made.netlink >= 0 && command_drop_privileges(COMMAND_ONLY_WATCH))
			answer_until_end(&made);
		_exit(0);
	}
	close(ends[1]);
	if (*watcher > 0)
		return ends[0];
	close(ends[0]);
	return -1;
}
