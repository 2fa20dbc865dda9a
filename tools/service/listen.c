// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The broker's socket, and who may use it. */
#include "tools/service/service.h"
#include "tools/common/command.h"
#include "tools/server/server.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59 /* Linux 4.13 */
#endif

/* Removes the socket of a broker that was killed, and nothing else. */
static bool make_room(const struct sockaddr_un *address)
{
	const char *path = address->sun_path;
	struct stat status;
	int fd, answers;

	if (lstat(path, &status))
		return true;
	if (!S_ISSOCK(status.st_mode)) {
		command_fail("%s: is there already, and not a socket", path);
		return false;
	}
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	answers = connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
		  errno != ECONNREFUSED;
	close(fd);
	if (answers) {
		command_fail("%s: somebody else serves there", path);
		return false;
	}
	if (unlink(path)) {
		command_fail("%s: can't take the old socket away: %s", path, strerror(errno));
		return false;
	}
	return true;
}

/* Whether only root and we can change what is in the folder. */
static bool is_ours(const char *folder)
{
	struct stat status;

	if (stat(folder, &status))
		return false;
	/* in a sticky folder others can't replace what is not theirs */
	return (!status.st_uid || status.st_uid == geteuid()) &&
	       (!(status.st_mode & (S_IWGRP | S_IWOTH)) || status.st_mode & S_ISVTX);
}

/*
 * Another user who can write to the folder, or to one above it, could put another file in the place of
 * the socket before its group is set, and so get at any file. `real` has no symbolic links.
 */
static bool folders_are_ours(const char *real)
{
	char folder[PATH_MAX];

	strcpy(folder, real);
	for (;;) {
		char *slash = strrchr(folder, '/');

		if (!is_ours(folder)) {
			command_fail("%s: another user can change what is in this folder: choose "
				     "one of root's, as /run",
				     folder);
			return false;
		}
		if (slash == folder && !slash[1])
			return true;
		slash[slash == folder] = '\0';
	}
}

/* The path without symbolic links, which nobody else can change. */
static bool find_place(struct service *service, const char *given)
{
	const char *slash = strrchr(given, '/'), *name = slash ? slash + 1 : given;
	char folder[PATH_MAX] = ".", real[PATH_MAX];

	if (slash && snprintf(folder, sizeof(folder), "%.*s", (int)(slash - given + 1), given) >=
			     (int)sizeof(folder)) {
		command_fail("--socket: the path is too long");
		return false;
	}
	if (!realpath(folder, real)) {
		command_fail("%s: can't serve there: %s", given, strerror(errno));
		return false;
	}
	if (!folders_are_ours(real))
		return false;
	if (snprintf(service->path, sizeof(service->path), "%s/%s", real[1] ? real : "", name) >=
	    (int)sizeof(service->path)) {
		command_fail("--socket '%s': too long for a socket's path, at most %zu bytes",
			     given, sizeof(service->path) - 1);
		return false;
	}
	return true;
}

/* The group comes last: who may connect then finds us listening. */
static int bind_for_group(int fd, const struct sockaddr_un *address, gid_t group)
{
	mode_t mask = umask(0117);
	int result = bind(fd, (const struct sockaddr *)address, sizeof(*address)) ? -errno : 0;

	umask(mask);
	if (result)
		return result;
	if (listen(fd, SERVICE_CLIENTS) || lchown(address->sun_path, (uid_t)-1, group)) {
		result = -errno;
		unlink(address->sun_path);
	}
	return result;
}

bool service_listen(struct service *service, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int result;

	if (!find_place(service, path))
		return false;
	strcpy(address.sun_path, service->path);
	if (!make_room(&address))
		return false;
	service->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	server_take_no_descriptors(service->listener);
	result = service->listener < 0
			 ? -errno
			 : bind_for_group(service->listener, &address, service->group);
	if (result)
		command_fail("%s: can't serve there: %s", service->path, strerror(-result));
	return !result;
}

static bool in_group(int fd, const struct ucred *peer, gid_t group)
{
	socklen_t size = 0;
	bool found = false;
	gid_t *groups;

	if (peer->gid == group)
		return true;
	if (!getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &size) || errno != ERANGE)
		return false;
	groups = malloc(size);
	if (groups && !getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size))
		for (size_t i = 0; i < size / sizeof(*groups); i++)
			found = found || groups[i] == group;
	free(groups);
	return found;
}

bool service_may_use(const struct service *service, int fd, struct service_peer *peer)
{
	struct ucred credentials;
	socklen_t size = sizeof(credentials);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size))
		return false;
	peer->pid = credentials.pid;
	peer->uid = credentials.uid;
	/* the file's mode says the same, but somebody may have changed it */
	return !peer->uid || peer->uid == geteuid() || in_group(fd, &credentials, service->group);
}
