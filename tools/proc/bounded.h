/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Steps that a hostile process can make wait for ever, done in a child with a time limit.
 *
 * A path may lead into a FUSE file system whose server does not answer. A descriptor may be exchanged
 * for a file there between our look at it and our copy: close() then waits for the same server, and
 * not even SIGKILL ends that wait. A socket with SO_LINGER can make close() wait as well.
 */
#ifndef SOCKTALLY_TOOLS_PROC_BOUNDED_H
#define SOCKTALLY_TOOLS_PROC_BOUNDED_H

#include <stdint.h>
#include <sys/types.h>

/*
 * A copy of descriptor `fd` of the process if it is the packet socket with this inode. -errno: -EBADF,
 * it is something else; -ETIMEDOUT, the process has made a step wait, now or earlier.
 */
int bounded_take_socket(pid_t pid, int fd, uint64_t inode);

/*
 * A descriptor of the network namespace at the path, if it has this inode. pid: the process that
 * named the path. -errno as above; -EINVAL, something else is there.
 */
int bounded_open_namespace(pid_t pid, const char *path, uint64_t inode);

#endif
