// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The walk over /proc. */
#include "tools/proc/processes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_ROOM 512 /* of a mount point; longer ones are left out */

/* The number in "socket:[1234]" if the text before it is that, else 0. */
static uint64_t link_number(const char *text, const char *kind)
{
	size_t length = strlen(kind);

	if (strncmp(text, kind, length) || text[length] != ':' || text[length + 1] != '[')
		return 0;
	return strtoull(text + length + 2, NULL, 10);
}

static bool read_link(int folder, const char *name, char *text, size_t size)
{
	ssize_t length = readlinkat(folder, name, text, size - 1);

	if (length < 0)
		return false;
	text[length] = '\0';
	return true;
}

uint64_t namespace_of_link(int folder, const char *link)
{
	char text[64];

	return read_link(folder, link, text, sizeof(text)) ? link_number(text, "net") : 0;
}

static int holders_add(struct holders *holders, pid_t pid, int fd, uint64_t inode)
{
	struct holder *grown;

	if (holders->count == holders->room) {
		size_t room = holders->room ? 2 * holders->room : 256;

		grown = reallocarray(holders->holder, room, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		holders->holder = grown;
		holders->room = room;
	}
	holders->holder[holders->count++] = (struct holder){.inode = inode, .pid = pid, .fd = fd};
	return 0;
}

int namespaces_add(struct namespaces *namespaces, uint64_t inode, pid_t pid, const char *path,
		   const char *name)
{
	struct namespace *grown;

	for (size_t i = 0; i < namespaces->count; i++) {
		struct namespace *known = &namespaces->namespace[i];

		if (known->inode != inode)
			continue;
		if (name && !*known->name)
			snprintf(known->name, sizeof(known->name), "%s", name);
		return 0;
	}
	if (namespaces->count == namespaces->room) {
		size_t room = namespaces->room ? 2 * namespaces->room : 16;

		grown = reallocarray(namespaces->namespace, room, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		namespaces->namespace = grown;
		namespaces->room = room;
	}
	grown = &namespaces->namespace[namespaces->count];
	memset(grown, 0, sizeof(*grown));
	grown->inode = inode;
	grown->pid = pid;
	if (path) {
		grown->path = strdup(path);
		if (!grown->path)
			return -ENOMEM;
	}
	snprintf(grown->name, sizeof(grown->name), "%s", name ? name : "");
	namespaces->count++;
	return 0;
}

/* The descriptors in /proc/PID/fd: sockets, and namespaces that are held open. */
static int read_descriptors(int process, pid_t pid, struct holders *holders,
			    struct namespaces *namespaces)
{
	int folder = openat(process, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC), result = 0;
	DIR *list = folder < 0 ? NULL : fdopendir(folder);
	struct dirent *entry;
	char text[64], path[64];

	if (!list) {
		result = -errno;
		if (folder >= 0)
			close(folder);
		return result;
	}
	while (!result && (entry = readdir(list))) {
		uint64_t inode;

		if (*entry->d_name == '.' || !read_link(folder, entry->d_name, text, sizeof(text)))
			continue;
		inode = link_number(text, "socket");
		if (inode)
			result = holders_add(holders, pid, atoi(entry->d_name), inode);
		inode = namespaces ? link_number(text, "net") : 0;
		if (inode) {
			snprintf(path, sizeof(path), "/proc/%d/fd/%.16s", pid, entry->d_name);
			result = namespaces_add(namespaces, inode, pid, path, NULL);
		}
	}
	closedir(list);
	return result;
}

/* A thread may be in another network namespace than its process. */
static int read_threads(int process, pid_t pid, struct namespaces *namespaces)
{
	int folder = openat(process, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC), result = 0;
	DIR *list = folder < 0 ? NULL : fdopendir(folder);
	struct dirent *entry;
	char link[64], path[96];

	if (!list) {
		if (folder >= 0)
			close(folder);
		return 0;
	}
	while (!result && (entry = readdir(list))) {
		uint64_t inode;

		if (*entry->d_name == '.')
			continue;
		snprintf(link, sizeof(link), "%.16s/ns/net", entry->d_name);
		inode = namespace_of_link(folder, link);
		if (!inode)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s", pid, link);
		result = namespaces_add(namespaces, inode, pid, path, NULL);
	}
	closedir(list);
	return result;
}

/* In place: mountinfo writes a blank as "\040", and so on. */
static void unescape(char *text)
{
	char *to = text;

	for (; *text; text++) {
		if (text[0] == '\\' && text[1] >= '0' && text[1] <= '3' && text[2] && text[3]) {
			*to++ = (char)((text[1] - '0') * 64 + (text[2] - '0') * 8 +
				       (text[3] - '0'));
			text += 3;
		} else {
			*to++ = *text;
		}
	}
	*to = '\0';
}

/* "blue" of /run/netns/blue */
static const char *mount_name(const char *point)
{
	const char *name = strrchr(point, '/');

	return strstr(point, "/netns/") && name ? name + 1 : NULL;
}

/* Namespaces that `ip netns` and container managers keep alive by a mount. */
static int read_mounts(int process, pid_t pid, struct namespaces *namespaces)
{
	int fd = openat(process, "mountinfo", O_RDONLY | O_CLOEXEC), result = 0;
	FILE *mounts = fd < 0 ? NULL : fdopen(fd, "r");
	char root[64], point[PATH_ROOM], path[PATH_ROOM + 32];
	size_t size = 0;
	char *line = NULL;

	if (!mounts) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	while (!result && getline(&line, &size, mounts) > 0) {
		uint64_t inode;

		if (sscanf(line, "%*s %*s %*s %63s %511s", root, point) != 2)
			continue;
		inode = link_number(root, "net");
		if (!inode)
			continue;
		unescape(point);
		snprintf(path, sizeof(path), "/proc/%d/root%s", pid, point);
		result = namespaces_add(namespaces, inode, pid, path, mount_name(point));
	}
	free(line);
	fclose(mounts);
	return result;
}

struct proc_scan {
	struct holders *holders;
	struct namespaces *namespaces;
	ino_t *mounts; /* mount namespaces that were seen */
	size_t mount_count;
};

static int mounts_once(struct proc_scan *scan, int process, pid_t pid)
{
	struct stat status;
	ino_t *grown;

	if (fstatat(process, "ns/mnt", &status, 0))
		return 0;
	for (size_t i = 0; i < scan->mount_count; i++)
		if (scan->mounts[i] == status.st_ino)
			return 0;
	grown = reallocarray(scan->mounts, scan->mount_count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	scan->mounts = grown;
	grown[scan->mount_count++] = status.st_ino;
	return read_mounts(process, pid, scan->namespaces);
}

static int open_process(pid_t pid)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d", pid);
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int read_process(void *ctx, pid_t pid)
{
	struct proc_scan *scan = ctx;
	int process = open_process(pid), result;

	if (process < 0)
		return 0;
	result = read_descriptors(process, pid, scan->holders, scan->namespaces);
	if (result == -EACCES || result == -EPERM)
		scan->holders->hidden = true;
	if (result != -ENOMEM && scan->namespaces) {
		result = read_threads(process, pid, scan->namespaces);
		if (!result)
			result = mounts_once(scan, process, pid);
	}
	close(process);
	return result == -ENOMEM ? result : 0;
}

int processes_walk(int (*fn)(void *ctx, pid_t pid), void *ctx)
{
	DIR *list = opendir("/proc");
	struct dirent *entry;
	int result = 0;

	if (!list)
		return -errno;
	while (!result && (entry = readdir(list))) {
		if (*entry->d_name >= '1' && *entry->d_name <= '9')
			result = fn(ctx, atoi(entry->d_name));
	}
	closedir(list);
	return result;
}

static int compare_holders(const void *one, const void *other)
{
	const struct holder *a = one, *b = other;

	if (a->inode != b->inode)
		return a->inode < b->inode ? -1 : 1;
	if (a->pid != b->pid)
		return a->pid < b->pid ? -1 : 1;
	return a->fd - b->fd;
}

int processes_read(struct holders *holders, struct namespaces *namespaces)
{
	struct proc_scan scan = {.holders = holders, .namespaces = namespaces};
	int result;

	memset(holders, 0, sizeof(*holders));
	if (namespaces)
		memset(namespaces, 0, sizeof(*namespaces));
	result = processes_walk(read_process, &scan);
	free(scan.mounts);
	if (holders->count)
		qsort(holders->holder, holders->count, sizeof(*holders->holder), compare_holders);
	if (result) {
		holders_free(holders);
		if (namespaces)
			namespaces_free(namespaces);
	}
	return result;
}

void holders_free(struct holders *holders)
{
	free(holders->holder);
	memset(holders, 0, sizeof(*holders));
}

void namespaces_free(struct namespaces *namespaces)
{
	for (size_t i = 0; i < namespaces->count; i++)
		free(namespaces->namespace[i].path);
	free(namespaces->namespace);
	memset(namespaces, 0, sizeof(*namespaces));
}

const struct holder *holders_find(const struct holders *holders, uint64_t inode, size_t *count)
{
	size_t low = 0, high = holders->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (holders->holder[middle].inode < inode)
			low = middle + 1;
		else
			high = middle;
	}
	*count = 0;
	while (low + *count < holders->count && holders->holder[low + *count].inode == inode)
		++*count;
	return *count ? &holders->holder[low] : NULL;
}

int process_sockets(pid_t pid, struct holders *holders)
{
	int process = open_process(pid), result;

	if (process < 0)
		return -errno;
	result = read_descriptors(process, pid, holders, NULL);
	close(process);
	return result;
}
