// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * A host that unloads the library before it has destroyed its meter gets its sockets back, and can load it
 * anew. A process that exits, or a child of it, changes nothing of what the others go on with.
 */
#include "tests/lib/api_traffic.h"
#include <dirent.h>
#include <dlfcn.h>
#include <linux/filter.h>
#include <socktally/plugin.h>
#include <sys/wait.h>

static const struct sock_filter half[] = {BPF_STMT(BPF_RET | BPF_K, 20)};

static void *load(const struct socktally_plugin **plugin)
{
	char path[4096];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 64);
	void *handle;

	if (length < 0)
		bail_out("/proc/self/exe");
	path[length] = '\0';
	strcpy(strrchr(path, '/'), "/../../libsocktally.so");
	handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	*plugin = handle ? dlsym(handle, SOCKTALLY_PLUGIN_SYMBOL) : NULL;
	if (!*plugin)
		bail_out("dlopen");
	return handle;
}

static bool has_half(int fd)
{
	struct sock_filter now[4];
	socklen_t length = 4;

	return !getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, now, &length) && length == 1 &&
	       now[0].k == 20;
}

static bool has_ours(int fd)
{
	socklen_t length = 0;

	return getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, NULL, &length) && errno == EACCES;
}

static unsigned int descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	unsigned int count = 0;

	if (!folder)
		bail_out("/proc/self/fd");
	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

static bool maps_table(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	bool found = false;
	char line[512];

	while (maps && fgets(line, sizeof(line), maps))
		found |= strstr(line, "bpf-map") != NULL;
	if (maps)
		fclose(maps);
	return found;
}

static int on_totals(void *ctx, const struct socktally_totals *totals)
{
	*(uint64_t *)ctx = totals->counts.packets;
	return 0;
}

static uint64_t packets(const struct socktally_plugin *plugin, struct socktally *meter)
{
	const struct socktally_sink sink = {.sz = sizeof(sink), .totals = on_totals};
	uint64_t count = 0;

	plugin->snapshot(meter, &sink, &count);
	return count;
}

static int own_socket(void)
{
	const struct sock_fprog program = {.len = 1, .filter = (struct sock_filter *)half};
	int fd = lo_socket();

	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)))
		bail_out("SO_ATTACH_FILTER");
	return fd;
}

static void unloaded(void)
{
	const struct socktally_plugin *plugin;
	int fd = own_socket(), other = lo_socket();
	unsigned int before = descriptors();
	struct socktally *meter;
	void *handle = load(&plugin);

	ok(!plugin->create(&meter, NULL) && !plugin->attach(meter, fd, NULL) &&
		   !plugin->attach(meter, other, NULL) &&
		   !plugin->set_interval(meter, 50, NULL, NULL),
	   "attached");
	ok(has_ours(fd) && maps_table(), "our program is on it");
	close(other);
	dlclose(handle);
	ok(has_half(fd), "unloaded without destroying the meter: the socket has its own filter");
	ok(descriptors() + 1 == before && !maps_table(), "and nothing of the meter is left");
	handle = load(&plugin);
	ok(!plugin->create(&meter, NULL) && !plugin->attach(meter, fd, NULL),
	   "loaded anew: it can be metered again");
	plugin->destroy(meter);
	dlclose(handle);
	close(fd);
}

/* A child that exits as a program does, with all destructors. */
static void child_exits(void)
{
	const struct socktally_plugin *plugin;
	struct socktally *meter;
	int fd = own_socket();
	void *handle = load(&plugin);
	pid_t child;

	if (plugin->create(&meter, NULL) || plugin->attach(meter, fd, NULL))
		bail_out("attach");
	fflush(stdout);
	child = fork();
	if (!child)
		exit(0);
	waitpid(child, NULL, 0);
	ok(has_ours(fd), "a child that exits leaves its parent's socket as it is");
	child = fork();
	if (!child) {
		dlclose(handle);
		_exit(0);
	}
	waitpid(child, NULL, 0);
	ok(has_ours(fd), "and so does one that unloads the library");
	plugin->destroy(meter);
	dlclose(handle);
	close(fd);
}

/* As a daemon starts: the process that has the meter exits, its child goes on. */
static void parent_exits(int udp)
{
	const struct socktally_plugin *plugin;
	struct socktally *meter;
	int fd = own_socket(), done[2];
	bool counted = false;
	pid_t parent, child;

	if (pipe(done))
		bail_out("pipe");
	fflush(stdout);
	parent = fork();
	if (!parent) {
		load(&plugin);
		if (plugin->create(&meter, NULL) || plugin->attach(meter, fd, NULL))
			_exit(1);
		parent = getpid();
		child = fork();
		if (child)
			exit(0);
		while (getppid() == parent)
			usleep(1000);
		traffic_send(udp, 3);
		counted = has_ours(fd) && packets(plugin, meter) == 6;
		_exit(write(done[1], &counted, sizeof(counted)) != sizeof(counted));
	}
	close(done[1]);
	waitpid(parent, NULL, 0);
	ok(read(done[0], &counted, sizeof(counted)) == sizeof(counted) && counted,
	   "a daemon whose parent exits goes on counting");
	close(done[0]);
	close(fd);
}

int main(void)
{
	int udp = traffic_open();

	unloaded();
	child_exits();
	parent_exits(udp);
	return done();
}
