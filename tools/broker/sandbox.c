// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Processes of the tool that have a seccomp filter which keeps them from asking us. */
#include "tools/broker/broker.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef F_GET_SEALS
#define F_GET_SEALS 1034
#endif
#ifndef F_SEAL_SHRINK
#define F_SEAL_SHRINK 0x0002
#endif

/* Only memory files have seals: reading one never waits, as a file of a FUSE server's could. */
static bool is_page(int fd)
{
	struct stat status;
	int seals = fcntl(fd, F_GET_SEALS);

	return seals >= 0 && seals & F_SEAL_SHRINK && !fstat(fd, &status) &&
	       status.st_size == CHANNEL_PAGE_SIZE;
}

static void look(struct broker *broker, struct broker_sandbox *sandbox)
{
	uint32_t passed_on = 0;

	if (sandbox->page < 0 ||
	    pread(sandbox->page, &passed_on, sizeof(passed_on), 0) != sizeof(passed_on) ||
	    !passed_on)
		return;
	broker->contacted = true;
	broker_say(broker, sandbox->pid, ENOSYS,
		   "its seccomp filter doesn't allow what metering takes: what it did to its "
		   "sockets since is not metered");
	close(sandbox->page);
	sandbox->page = -1;
}

bool broker_keep_sandbox(struct broker *broker, pid_t pid, int page)
{
	struct broker_sandbox *sandbox = &broker->sandboxes[broker->next_sandbox];

	if (!is_page(page))
		return false;
	look(broker, sandbox);
	if (sandbox->page >= 0)
		close(sandbox->page);
	*sandbox = (struct broker_sandbox){.pid = pid, .page = page};
	broker->next_sandbox = (broker->next_sandbox + 1) % BROKER_SANDBOXES;
	return true;
}

void broker_look_at_sandboxes(struct broker *broker)
{
	for (int i = 0; i < BROKER_SANDBOXES; i++)
		look(broker, &broker->sandboxes[i]);
}
