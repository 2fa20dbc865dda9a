// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * The checker: a child of the broker that tells which programs still exist, and who has made the user
 * namespace of a process. To see that takes CAP_SYS_ADMIN and CAP_SYS_PTRACE, which the broker drops; the
 * child keeps them, does nothing else, and ends with the broker. It hears the broker's processes only.
 */
#include "tools/service/service.h"
#include "tools/common/command.h"
#include "tools/server/server.h"
#include "plugin/attach/saved_filter.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define TIMEOUT_SECONDS 1
/* Deeper than user namespaces can be nested. */
#define GENERATIONS 40

static bool is_same(int namespace, int other)
{
	struct stat one, two;

	return !fstat(namespace, &one) && !fstat(other, &two) && one.st_ino == two.st_ino &&
	       one.st_dev == two.st_dev;
}

static uid_t find_person(const struct service_peer *peer)
{
	char path[64];
	uid_t person = peer->uid;
	int own = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC), namespace, parent;

	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)peer->pid);
	namespace = open(path, O_RDONLY | O_CLOEXEC);
	for (int i = 0; i < GENERATIONS && namespace >= 0 && !is_same(namespace, own); i++) {
		ioctl(namespace, NS_GET_OWNER_UID, &person);
		parent = ioctl(namespace, NS_GET_PARENT);
		close(namespace);
		namespace = parent;
	}
	if (namespace >= 0)
		close(namespace);
	if (own >= 0)
		close(own);
	return person;
}

/* Ids of programs, and a byte for each. */
static bool answer_child(int fd)
{
	uint32_t ids[SERVICE_PROGRAMS];
	uint8_t there[SERVICE_PROGRAMS];
	ssize_t size = recv(fd, ids, sizeof(ids), MSG_DONTWAIT);
	size_t count = size > 0 ? (size_t)size / sizeof(*ids) : 0;

	for (size_t i = 0; i < count; i++)
		there[i] = st_program_exists(ids[i]) == 1;
	return count && send(fd, there, count, MSG_NOSIGNAL | MSG_DONTWAIT) > 0;
}

/* A peer, whose person is to be found, or a child's connection. */
static bool answer_broker(int broker, struct pollfd *children)
{
	struct service_peer peer;
	uid_t person;
	int fd;

	if (server_receive_descriptor(broker, &peer, sizeof(peer), &fd) != sizeof(peer))
		return false;
	if (fd < 0) {
		person = find_person(&peer);
		return send(broker, &person, sizeof(person), MSG_NOSIGNAL) > 0;
	}
	for (int i = 0; i < SERVICE_CHILDREN; i++)
		if (children[i].fd < 0) {
			children[i].fd = fd;
			return true;
		}
	close(fd);
	return true;
}

static void answer_until_end(int broker)
{
	struct pollfd fds[1 + SERVICE_CHILDREN];

	fds[0] = (struct pollfd){.fd = broker, .events = POLLIN};
	for (int i = 1; i <= SERVICE_CHILDREN; i++)
		fds[i] = (struct pollfd){.fd = -1, .events = POLLIN};
	for (;;) {
		if (poll(fds, 1 + SERVICE_CHILDREN, -1) < 0)
			continue;
		for (int i = 1; i <= SERVICE_CHILDREN; i++) {
			if (!fds[i].revents || answer_child(fds[i].fd))
				continue;
			close(fds[i].fd);
			fds[i].fd = -1;
		}
		if (fds[0].revents && !answer_broker(broker, fds + 1))
			return;
	}
}

static void limit_wait(int fd)
{
	const struct timeval timeout = {.tv_sec = TIMEOUT_SECONDS};

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
}

void service_checker_start(struct service *service)
{
	int ends[2];

	service->checker = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return;
	service->checker_pid = fork();
	if (!service->checker_pid) {
		close(ends[0]);
		if (command_drop_privileges(COMMAND_ONLY_CHECK))
			answer_until_end(ends[1]);
		_exit(0);
	}
	close(ends[1]);
	if (service->checker_pid < 0) {
		close(ends[0]);
		return;
	}
	limit_wait(ends[0]);
	service->checker = ends[0];
}

void service_checker_end(struct service *service)
{
	if (service->checker < 0)
		return;
	close(service->checker);
	service->checker = -1;
	waitpid(service->checker_pid, NULL, 0);
}

int service_checker_connect(const struct service *service)
{
	struct service_peer nobody = {0};
	struct iovec part = {.iov_base = &nobody, .iov_len = sizeof(nobody)};
	int ends[2];

	if (service->checker < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return -1;
	if (!server_send_descriptor(service->checker, &part, 1, ends[1])) {
		close(ends[0]);
		ends[0] = -1;
	}
	close(ends[1]);
	if (ends[0] >= 0)
		limit_wait(ends[0]);
	return ends[0];
}

uid_t service_checker_person(const struct service *service, const struct service_peer *peer)
{
	uid_t person;

	if (service->checker >= 0 &&
	    send(service->checker, peer, sizeof(*peer), MSG_NOSIGNAL | MSG_DONTWAIT) > 0 &&
	    recv(service->checker, &person, sizeof(person), 0) == sizeof(person))
		return person;
	return peer->uid;
}

bool service_checker_programs(int checker, const uint32_t *ids, size_t count, uint8_t *there)
{
	return checker >= 0 &&
	       send(checker, ids, count * sizeof(*ids), MSG_NOSIGNAL | MSG_DONTWAIT) > 0 &&
	       recv(checker, there, count, 0) == (ssize_t)count;
}
