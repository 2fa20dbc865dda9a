// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * The checker: a child of the broker that tells which programs still exist. To ask the kernel takes
 * CAP_SYS_ADMIN, which the broker drops; the child keeps it, and does nothing else until the broker ends.
 */
#include "tools/service/service.h"
#include "tools/common/command.h"
#include "plugin/attach/saved_filter.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define TIMEOUT_SECONDS 1

/* Receives ids and sends a byte for each: 1 if the kernel still has that program. */
static void answer_until_end(int channel)
{
	uint32_t programs[SERVICE_PROGRAMS];
	uint8_t there[SERVICE_PROGRAMS];
	ssize_t size;

	while ((size = recv(channel, programs, sizeof(programs), 0)) > 0) {
		size_t count = (size_t)size / sizeof(*programs);

		for (size_t i = 0; i < count; i++)
			there[i] = st_program_exists(programs[i]) == 1;
		if (send(channel, there, count, MSG_NOSIGNAL) < 0)
			break;
	}
}

void service_programs_start(struct service *service)
{
	const struct timeval timeout = {.tv_sec = TIMEOUT_SECONDS};
	int ends[2];

	service->checker = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return;
	service->checker_pid = fork();
	if (!service->checker_pid) {
		close(ends[0]);
		if (command_drop_privileges(COMMAND_ONLY_ADMIN))
			answer_until_end(ends[1]);
		_exit(0);
	}
	close(ends[1]);
	if (service->checker_pid < 0) {
		close(ends[0]);
		return;
	}
	setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	service->checker = ends[0];
}

void service_programs_end(struct service *service)
{
	if (service->checker < 0)
		return;
	close(service->checker);
	service->checker = -1;
	waitpid(service->checker_pid, NULL, 0);
}

void service_programs_prune(struct service *service, struct service_client *client)
{
	uint8_t there[SERVICE_PROGRAMS] = {0};
	size_t size = client->program_count * sizeof(*client->programs);
	unsigned int kept = 0;

	if (service->checker >= 0 &&
	    (send(service->checker, client->programs, size, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ||
	     recv(service->checker, there, sizeof(there), 0) != (ssize_t)client->program_count)) {
		close(service->checker); /* an answer that comes late must not be taken for the next one */
		service->checker = -1;
		memset(there, 0, sizeof(there));
	}
	for (unsigned int i = 0; i < client->program_count; i++)
		if (there[i])
			client->programs[kept++] = client->programs[i];
	client->program_count = kept;
}
