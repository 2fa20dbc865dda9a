// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Taking a descriptor from a process that wants to hold us up: in place of a packet socket it has a
 * file of a FUSE file system of its own, whose server does not answer, so that close() waits for ever.
 */
#include "tools/proc/bounded.h"
#include "tools/proc/processes.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define PLACE "/tmp"
#define SILENT "silent" /* a name that is looked up for ever */

static int tests, failures;
static int fuse = -1;

static void ok(bool good, const char *what)
{
	printf("%sok %d - %s\n", good ? "" : "not ", ++tests, what);
	failures += !good;
}

static void skip(const char *why) __attribute__((noreturn));

static void skip(const char *why)
{
	printf("1..0 # SKIP %s\n", why);
	exit(0);
}

static void answer(const struct fuse_in_header *request, int error, void *body, size_t size)
{
	struct fuse_out_header head = {.len = (uint32_t)(sizeof(head) + size),
				       .error = error,
				       .unique = request->unique};
	struct iovec parts[] = {{&head, sizeof(head)}, {body, size}};

	if (writev(fuse, parts, size ? 2 : 1) < 0 && errno != ENOENT)
		perror("# an answer");
}

static struct fuse_attr attributes(uint64_t node)
{
	return (struct fuse_attr){.ino = node,
				  .mode = node == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0644,
				  .nlink = 1};
}

static void serve_request(const struct fuse_in_header *request, const char *name)
{
	struct fuse_init_out init = {.major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = 65536};
	struct fuse_entry_out entry = {.nodeid = 2, .attr = attributes(2)};
	struct fuse_attr_out attr = {.attr = attributes(request->nodeid)};
	struct fuse_open_out opened = {.fh = 1};

	switch (request->opcode) {
	case FUSE_INIT:
		answer(request, 0, &init, sizeof(init));
		break;
	case FUSE_LOOKUP:
		if (strcmp(name, SILENT))
			answer(request, 0, &entry, sizeof(entry));
		break;
	case FUSE_GETATTR:
		answer(request, 0, &attr, sizeof(attr));
		break;
	case FUSE_OPEN:
		answer(request, 0, &opened, sizeof(opened));
		break;
	case FUSE_FLUSH:
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		answer(request, -ENOSYS, NULL, 0);
	}
}

static void serve(void) __attribute__((noreturn));

static void serve(void)
{
	_Alignas(struct fuse_in_header) char buffer[FUSE_MIN_READ_BUFFER + 65536];
	ssize_t size;

	while ((size = read(fuse, buffer, sizeof(buffer) - 1)) > 0 || errno == EINTR) {
		buffer[size > 0 ? size : 0] = '\0';
		if (size >= (ssize_t)sizeof(struct fuse_in_header))
			serve_request((const struct fuse_in_header *)buffer,
				      buffer + sizeof(struct fuse_in_header));
	}
	_exit(0);
}

static pid_t child(void)
{
	pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		skip("can't fork");
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
	}
	return pid;
}

struct held {
	pid_t pid;
	int number;
};

/* Has one of the server's files open. It ends with the server: before, its own close() would wait. */
static void hold(int ready) __attribute__((noreturn));

static void hold(int ready)
{
	struct held held = {.pid = getpid()};

	close(fuse);
	held.number = open(PLACE "/file", O_RDWR | O_CLOEXEC);
	if (held.number < 0 || write(ready, &held, sizeof(held)) != sizeof(held))
		_exit(1);
	close(ready);
	for (;;)
		pause();
}

/* A server in a mount namespace of its own, and a process with a file of it. */
static struct held hostile(void)
{
	struct held held;
	char options[64];
	int ready[2];

	fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fuse < 0 || pipe2(ready, O_CLOEXEC))
		skip("there is no /dev/fuse");
	if (child()) {
		close(fuse);
		close(ready[1]);
		if (read(ready[0], &held, sizeof(held)) != sizeof(held))
			skip("no FUSE file system can be mounted");
		close(ready[0]);
		return held;
	}
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fuse);
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("hostile", PLACE, "fuse", MS_NOSUID | MS_NODEV, options))
		_exit(1);
	if (!child())
		hold(ready[1]);
	close(ready[1]);
	serve();
}

static uint64_t inode_of(int fd)
{
	struct stat status;

	return fstat(fd, &status) ? 0 : status.st_ino;
}

static bool takes(pid_t pid, int number, uint64_t inode)
{
	int fd = process_take_socket(pid, number, inode);
	bool same = fd >= 0 && inode_of(fd) == inode;

	if (fd >= 0)
		close(fd);
	return same;
}

static void descriptors(pid_t bad, int file, pid_t good, int number)
{
	uint64_t inode = inode_of(number);
	int other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ok(takes(good, number, inode), "a packet socket is taken");
	ok(process_take_socket(good, number, inode + 1) == -EBADF, "not one with another inode");
	ok(bounded_take_socket(getpid(), other, inode_of(other)) == -EBADF, "no other socket");
	ok(process_take_socket(bad, file, inode) == -EBADF, "a FUSE file is not even taken");
	ok(bounded_take_socket(bad, file, inode) == -EBADF,
	   "exchanged for one right then: refused");
	ok(takes(good, number, inode), "the next socket is taken, while that close() still waits");
	ok(bounded_take_socket(bad, file, inode) == -ETIMEDOUT, "and that process is left alone");
	close(other);
}

static void namespaces(pid_t bad, pid_t good)
{
	int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), fd;
	uint64_t inode = inode_of(own);
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/root" PLACE "/" SILENT, bad);
	ok(bounded_open_namespace(bad, path, inode) == -ETIMEDOUT,
	   "a path into a FUSE file system that doesn't answer");
	ok(bounded_open_namespace(good, "/dev/null", inode) == -EINVAL, "a device is not opened");
	snprintf(path, sizeof(path), "/proc/%d/ns/net", good);
	fd = bounded_open_namespace(good, path, inode);
	ok(fd >= 0 && inode_of(fd) == inode, "a namespace is");
	ok(bounded_open_namespace(good, path, inode + 1) == -EINVAL, "not another one");
	close(fd);
	close(own);
}

int main(void)
{
	int number = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	struct held bad;
	pid_t good;

	if (number < 0 || geteuid())
		skip("needs root");
	good = child();
	while (!good)
		pause();
	namespaces(hostile().pid, good);
	bad = hostile();
	descriptors(bad.pid, bad.number, good, number);
	printf("1..%d\n", tests);
	return failures != 0;
}
