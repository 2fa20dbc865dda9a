// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* A process for each client, and who gets a place. */
#include "tools/service/service.h"
#include "tools/common/command.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Milliseconds that a client is waited for to end, before another one gets no place. */
enum { PATIENCE = 500 };

static int64_t milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void rest(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
}

/*
 * In the child. A refused client's connection is not closed but ends with the process: what its queue holds
 * may be the last descriptor of a socket whose close() waits (SO_LINGER), which it does not where a process
 * ends.
 */
static void live_as_child(struct service *service, int control, int checker, pid_t parent)
{
	struct service_peer peer;
	char verdict = 0;
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		return;
	for (int i = 0; i < SERVICE_CHILDREN; i++)
		if (service->children[i].control >= 0)
			close(service->children[i].control);
	if (service->checker >= 0)
		close(service->checker);
	while ((fd = accept4(service->listener, NULL, NULL, SOCK_CLOEXEC)) < 0)
		rest(); /* out of descriptors */
	if (service_may_use(service, fd, &peer) &&
	    send(control, &peer, sizeof(peer), MSG_NOSIGNAL) > 0 &&
	    recv(control, &verdict, 1, 0) == 1 && verdict)
		service_client(fd, peer.uid, checker);
}

static void start_child(struct service *service, struct service_child *child)
{
	int ends[2], checker;
	pid_t parent = getpid();

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends)) {
		rest();
		return;
	}
	checker = service_checker_connect(service);
	*child = (struct service_child){.control = -1, .pid = fork()};
	if (!child->pid) {
		close(ends[0]);
		live_as_child(service, ends[1], checker, parent);
		_exit(0);
	}
	if (checker >= 0)
		close(checker);
	close(ends[1]);
	child->control = ends[0];
	if (child->pid > 0)
		return;
	close(ends[0]);
	child->control = -1;
	rest();
}

void service_wait_for_client(struct service *service)
{
	struct service_child *free_place = NULL;

	for (unsigned int i = 0; i < SERVICE_CHILDREN; i++) {
		struct service_child *child = &service->children[i];

		if (child->control < 0)
			free_place = child;
		else if (child->state == CHILD_WAITS)
			return;
	}
	if (free_place)
		start_child(service, free_place);
}

/* Said once of each person, and of so many. */
static void say_full(struct service *service, const struct service_peer *peer, uid_t person)
{
	for (unsigned int i = 0; i < service->told_count; i++)
		if (service->told[i] == person)
			return;
	if (service->told_count == SERVICE_TOLD)
		return;
	service->told[service->told_count++] = person;
	command_fail(
		"pid %d of user %u: no more than %d meters, and %d of one user, are served at a time",
		(int)peer->pid, (unsigned int)peer->uid, SERVICE_CLIENTS, SERVICE_CLIENTS_OF_USER);
}

static bool has_place(const struct service *service, const struct service_child *child)
{
	unsigned int all = 0, of_person = 0;

	for (unsigned int i = 0; i < SERVICE_CHILDREN; i++) {
		const struct service_child *other = &service->children[i];

		if (other->control < 0 || other->state != CHILD_SERVES)
			continue;
		all++;
		of_person += other->person == child->person;
	}
	return all < SERVICE_CLIENTS && (!child->peer.uid || of_person < SERVICE_CLIENTS_OF_USER);
}

/*
 * A client that has just ended may still have its place, as its process has to end, too: so one for whom
 * there is none waits for a while.
 */
static void give_place(struct service *service, struct service_child *child)
{
	const bool place = has_place(service, child);

	if (!place && milliseconds() - child->since < PATIENCE)
		return;
	if (!place)
		say_full(service, &child->peer, child->person);
	child->state = place ? CHILD_SERVES : CHILD_REFUSED;
	send(child->control, &place, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

int service_give_places(struct service *service)
{
	int timeout = -1;

	for (unsigned int i = 0; i < SERVICE_CHILDREN; i++) {
		struct service_child *child = &service->children[i];

		if (child->control >= 0 && child->state == CHILD_ASKS)
			give_place(service, child);
		if (child->control >= 0 && child->state == CHILD_ASKS)
			timeout = PATIENCE / 10;
	}
	return timeout;
}

void service_hear(struct service *service, struct service_child *child)
{
	struct service_peer peer;
	ssize_t size = recv(child->control, &peer, sizeof(peer), MSG_DONTWAIT);

	if (size < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (size == sizeof(peer) && child->state == CHILD_WAITS) {
		child->peer = peer;
		child->person = service_checker_person(service, &peer);
		child->since = milliseconds();
		child->state = CHILD_ASKS;
		return;
	}
	close(child->control);
	child->control = -1;
	kill(child->pid, SIGKILL);
	waitpid(child->pid, NULL, 0);
}

void service_end_children(struct service *service)
{
	for (unsigned int i = 0; i < SERVICE_CHILDREN; i++)
		if (service->children[i].control >= 0)
			kill(service->children[i].pid, SIGKILL);
	for (unsigned int i = 0; i < SERVICE_CHILDREN; i++)
		if (service->children[i].control >= 0)
			waitpid(service->children[i].pid, NULL, 0);
}
