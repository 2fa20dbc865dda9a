// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Which file systems are watched. */
#include "tools/lost/counter.h"

#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef FAN_MARK_FILESYSTEM
#define FAN_MARK_FILESYSTEM 0x100 /* Linux 4.20 */
#endif

/*
 * Nobody captures to these. A FUSE file system is a process's own: it could hold up who opens a file there.
 */
static bool is_passed_over(const char *type)
{
	static const char *const types[] = {
		"autofs",    "binfmt_misc", "bpf",      "cgroup", "cgroup2",    "configfs",
		"debugfs",   "devpts",      "efivarfs", "fuse",   "fuseblk",    "fusectl",
		"mqueue",    "nsfs",        "proc",     "pstore", "rpc_pipefs", "securityfs",
		"selinuxfs", "sysfs",       "tracefs",
	};

	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		if (!strcmp(type, types[i]))
			return true;
	}
	return !strncmp(type, "fuse.", 5);
}

static bool mark(int group, const char *folder)
{
	/* where a file system can't be watched as a whole, its mount can */
	return !fanotify_mark(group, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_CLOSE_WRITE, AT_FDCWD,
			      folder) ||
	       !fanotify_mark(group, FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_CLOSE_WRITE, AT_FDCWD,
			      folder);
}

int marks_open(void)
{
	int group =
		fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK | FAN_UNLIMITED_QUEUE,
			      O_RDONLY | O_LARGEFILE | O_CLOEXEC);
	FILE *mounts = group >= 0 ? setmntent("/proc/self/mounts", "re") : NULL;
	struct mntent entry;
	char text[8192];
	size_t marked = 0;

	while (mounts && getmntent_r(mounts, &entry, text, sizeof(text))) {
		if (!is_passed_over(entry.mnt_type))
			marked += mark(group, entry.mnt_dir);
	}
	if (mounts)
		endmntent(mounts);
	if (group < 0 || marked)
		return group;
	close(group);
	errno = EOPNOTSUPP;
	return -1;
}
