// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * `socktally broker --socket`: a program without privileges meters its sockets as exactly as root
 * does; nobody else may, nobody gets more than his share, and nothing that is sent harms the broker.
 */
#include "bpf/table.h"
#include "proto/broker.h"
#include "tools/service/service.h"
#include "tests/lib/api_traffic.h"
#include "plugin/attach/saved_filter.h"
#include <linux/filter.h>
#include <socktally/socktally.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#define USER 64321 /* nobody's */
#define GROUP "games"
#define PACKETS 50

static char folder[] = "/tmp/socktally-broker.XXXXXX", path[64];
static gid_t group;
static int udp;

static void pause_ms(long milliseconds)
{
	const struct timespec time = {.tv_nsec = milliseconds * 1000000};

	nanosleep(&time, NULL);
}

/* The broker on `path`, its messages in folder/messages. */
static pid_t start_broker_for(const char *where, const char *of)
{
	const char *command = getenv("SOCKTALLY");
	char messages[64];
	pid_t pid = fork();
	int fd;

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(messages, sizeof(messages), "%s/messages", folder);
	fd = open(messages, O_WRONLY | O_CREAT | O_APPEND, 0644);
	dup2(fd, STDERR_FILENO);
	execl(command, command, "broker", "--socket", where, "--group", of, (char *)NULL);
	_exit(99);
}

static pid_t start_broker(const char *where)
{
	return start_broker_for(where, GROUP);
}

/* Whether somebody serves there: the file may be one that a killed broker has left. */
static bool is_served(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	bool served;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	served = !connect(fd, (struct sockaddr *)&address, sizeof(address));
	close(fd);
	return served;
}

static bool wait_for_socket(void)
{
	struct stat status;

	for (int i = 0; i < 1000; i++) {
		if (!stat(path, &status) && (status.st_mode & 0777) == 0660 &&
		    status.st_gid == group && is_served())
			return true;
		pause_ms(10);
	}
	return false;
}

static int ended(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

/* Runs in a child as a user without any privilege; what it says with ok() counts here. */
static void as_user(uid_t uid, bool in_group, void (*run)(void))
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];
	unsigned int counts[2];
	int result[2];
	pid_t pid;

	fflush(stdout);
	if (pipe(result))
		bail_out("pipe");
	pid = fork();
	if (!pid) {
		memset(data, 0, sizeof(data));
		if (setgroups(in_group, &group) || setresgid(uid, uid, uid) ||
		    setresuid(uid, uid, uid) || syscall(SYS_capset, &header, data))
			bail_out("another user");
		run();
		counts[0] = ran;
		counts[1] = failed;
		_exit(write(result[1], counts, sizeof(counts)) != sizeof(counts));
	}
	close(result[1]);
	if (read(result[0], counts, sizeof(counts)) == sizeof(counts)) {
		ran = counts[0];
		failed = counts[1];
	} else {
		ok(false, "the child has ended early");
	}
	close(result[0]);
	ended(pid);
}

static int sniffer = -1; /* made by root, and bound to lo */

static int open_meter(struct socktally **meter, const char *broker, socktally_gap_fn gap, void *ctx)
{
	struct socktally_open_opts opts = {.sz = sizeof(opts),
					   .gap = gap,
					   .gap_ctx = ctx,
					   .broker = broker};

	return socktally_open(meter, &opts);
}

static struct socktally_counts counts(struct socktally *meter)
{
	struct socktally_totals totals;

	socktally_snapshot(meter, NULL, NULL, &totals);
	return totals.counts;
}

static void not_permitted(void)
{
	struct socktally *meter;

	ok(open_meter(&meter, NULL, NULL, NULL) == -EPERM &&
		   strstr(socktally_error(NULL), "CAP_BPF") &&
		   strstr(socktally_error(NULL), "broker"),
	   "without a broker: -EPERM, which names the capability and the way out");
	ok(open_meter(&meter, path, NULL, NULL) == -EACCES, "who is not in the group is refused");
}

static void metered(void)
{
	const struct sock_filter cut[] = {BPF_STMT(BPF_RET | BPF_K, 20)};
	const struct sock_filter bad[] = {BPF_STMT(BPF_LD | BPF_IMM, 20)};
	struct socktally_hook_opts hook = {.sz = sizeof(hook), .file = "/dev/null"};
	struct socktally_open_opts wide = {.sz = sizeof(wide), .broker = path, .paths = 32768};
	struct sock_filter insns[4];
	size_t count = 4;
	struct socktally *meter;

	if (!ok(!open_meter(&meter, path, NULL, NULL), "who is in the group gets a meter")) {
		printf("# %s\n", socktally_error(NULL));
		return;
	}
	ok(!socktally_attach(meter, sniffer, NULL), "attach");
	traffic_send(udp, PACKETS);
	ok(counts(meter).packets == 2 * PACKETS && counts(meter).bytes == 2 * PACKETS * 47ull,
	   "every packet is counted");
	ok(!socktally_set_filter(meter, sniffer, cut, 1) &&
		   !socktally_get_filter(meter, sniffer, insns, &count) && count == 1,
	   "a filter is set");
	traffic_send(udp, PACKETS);
	ok(counts(meter).packets == 4 * PACKETS &&
		   counts(meter).accepted_bytes == 2 * PACKETS * (47ull + 20),
	   "and composed");
	ok(socktally_set_filter(meter, sniffer, bad, 1) == -EINVAL && *socktally_error(meter),
	   "a filter that is none: the broker's reason");
	ok(socktally_hook_add(meter, &hook) == -EOPNOTSUPP, "no hooks by a broker");
	ok(!socktally_detach(meter, sniffer), "detach");
	traffic_send(udp, PACKETS);
	ok(counts(meter).packets == 4 * PACKETS, "not counted any more");
	ok(!socktally_attach(meter, sniffer, NULL) && !socktally_poll(meter, 0), "attach again");
	traffic_send(udp, PACKETS);
	ok(counts(meter).packets == 6 * PACKETS, "counted on");
	ok(!socktally_set_filter(meter, sniffer, NULL, 0) && !socktally_detach(meter, sniffer),
	   "given back, as it came");
	socktally_close(meter);
	ok(socktally_open(&meter, &wide) == -EINVAL && strstr(socktally_error(NULL), "paths"),
	   "a table that is too large for a guest of the broker");
}

static void leave_saved_filter(void)
{
	struct socktally_open_opts opts = {.sz = sizeof(opts),
					   .broker = path,
					   .flags = SOCKTALLY_OPEN_RECORDS};
	struct socktally *meter;

	ok(!socktally_open(&meter, &opts) && !socktally_attach(meter, sniffer, NULL),
	   "a client saves the filter of root's socket");
	socktally_close(meter);
}

/* What a client has left speaks for that client, whatever the broker's user is. */
static void saved_filter(void)
{
	const struct st_saved_filter *found;
	struct st_saved_filter *list;
	socklen_t size = sizeof(uint64_t);
	uint64_t cookie = 0;
	int none = 0;
	size_t count;

	as_user(USER, true, leave_saved_filter);
	getsockopt(sniffer, SOL_SOCKET, SO_COOKIE, &cookie, &size);
	if (ok(!st_saved_filters_read(&list, &count), "saved filters can be read")) {
		ok(st_saved_filter_find(list, count, cookie, 0, 0, &found) == ST_SAVED_UNTRUSTED &&
			   found->user == USER,
		   "it is not believed for a socket of root's");
		ok(st_saved_filter_find(list, count, cookie, USER, 0, &found) == ST_SAVED_FOUND,
		   "it would be for one of the client's user");
		st_saved_filters_free(list, count);
	}
	setsockopt(sniffer, SOL_SOCKET, SO_DETACH_FILTER, &none, sizeof(none));
}

static int raw_connection(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)))
		bail_out(path);
	return fd;
}

/* The reply's error, with the descriptor that came; 1: the broker has hung up. */
static int raw_reply(int fd, int *came)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct broker_reply reply;
	struct iovec part = {.iov_base = &reply, .iov_len = sizeof(reply)};
	struct msghdr header = {.msg_iov = &part,
				.msg_iovlen = 1,
				.msg_control = control.bytes,
				.msg_controllen = sizeof(control.bytes)};

	if (recvmsg(fd, &header, MSG_CMSG_CLOEXEC) != sizeof(reply))
		return 1;
	if (!reply.error)
		memcpy(came, CMSG_DATA(&control.header), sizeof(*came));
	return reply.error;
}

static void read_only(void)
{
	struct broker_request request = {.magic = BROKER_MAGIC,
					 .version = BROKER_VERSION,
					 .op = BROKER_OPEN,
					 .paths = 64};
	int fd = raw_connection(), table = -1;

	if (send(fd, &request, sizeof(request), 0) < 0)
		bail_out("send");
	ok(!raw_reply(fd, &table), "the table as it comes");
	ok(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, table, 0) == MAP_FAILED &&
		   mmap(NULL, 4096, PROT_READ, MAP_SHARED, table, 0) != MAP_FAILED,
	   "can be read, and not written");
	close(table);
	request.version = 77;
	if (send(fd, &request, sizeof(request), 0) < 0)
		bail_out("send");
	ok(raw_reply(fd, &table) == -EPROTO, "a client of another release is told so");
	close(fd);
}

/* Each of these ends its connection, and nothing else. */
static void hostile(void)
{
	struct {
		struct broker_request head;
		struct sock_filter insns[8];
	} good = {.head = {.magic = BROKER_MAGIC,
			   .version = BROKER_VERSION,
			   .op = BROKER_SET_FILTER}},
	  bad;
	unsigned int hung_up = 0, sent = 0, random = 7;
	int fd, came;

	for (int kind = 0; kind < 40; kind++) {
		size_t size = sizeof(good.head);
		char bytes[128];

		bad = good;
		fd = raw_connection();
		switch (kind) {
		case 0:
			break; /* LOAD before OPEN */
		case 1:
			bad.head.magic++;
			break;
		case 2:
			bad.head.op = 9;
			break;
		case 3:
			bad.head.count = 4;
			break; /* which don't follow */
		case 4:
			bad.head.count = UINT32_MAX;
			break;
		case 5:
			size = 3;
			break;
		case 6:
			bad.head.link = 1000;
			break;
		case 7:
			bad.head.op = BROKER_OPEN;
			bad.head.count = 1;
			size += 8;
			break;
		default:
			for (size_t i = 0; i < sizeof(bytes); i++)
				bytes[i] = (char)(random = random * 1103515245 + 12345) >> 3;
			memcpy((char *)&bad + (kind < 20 ? 8 : 0), bytes, sizeof(bytes));
		}
		sent += send(fd, &bad, size, 0) == (ssize_t)size;
		hung_up += raw_reply(fd, &came) == 1;
		close(fd);
	}
	ok(sent == 40 && hung_up == 40, "requests that make no sense end the connection");
}

static void limits(void)
{
	struct socktally *meters[SERVICE_CLIENTS_OF_USER + 1];
	unsigned int opened = 0;

	for (unsigned int i = 0; i < SERVICE_CLIENTS_OF_USER + 1; i++)
		opened += !open_meter(&meters[opened], path, NULL, NULL);
	ok(opened == SERVICE_CLIENTS_OF_USER, "one user has no more meters than are his");
	for (unsigned int i = 0; i < opened; i++)
		socktally_close(meters[i]);
}

/* Programs that are asked for and kept, in `held`, until one is refused. */
static unsigned int load_programs(int fd, int *held, unsigned int most)
{
	struct broker_request request = {.magic = BROKER_MAGIC,
					 .version = BROKER_VERSION,
					 .op = BROKER_SET_FILTER,
					 .link = ST_LINK_ETH,
					 .ifindex = 1};
	unsigned int loaded = 0;

	while (loaded < most && send(fd, &request, sizeof(request), 0) > 0 &&
	       !raw_reply(fd, &held[loaded]))
		loaded++;
	return loaded;
}

static void many_programs(void)
{
	struct broker_request request = {.magic = BROKER_MAGIC,
					 .version = BROKER_VERSION,
					 .op = BROKER_OPEN,
					 .paths = 64};
	static int held[SERVICE_PROGRAMS + 1];
	int fd = raw_connection(), table = -1;
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur < SERVICE_PROGRAMS + 64) {
		ok(true, "the number of programs # SKIP needs more descriptors");
		return;
	}
	if (send(fd, &request, sizeof(request), 0) < 0 || raw_reply(fd, &table))
		bail_out("a table");
	ok(load_programs(fd, held, SERVICE_PROGRAMS + 1) == SERVICE_PROGRAMS,
	   "a client can hold so many programs, and no more");
	for (unsigned int i = 0; i < SERVICE_PROGRAMS; i++)
		close(held[i]);
	pause_ms(200);
	ok(load_programs(fd, held, 10) == 10, "those that it gives up make room");
	close(fd);
	for (unsigned int i = 0; i < 10; i++)
		close(held[i]);
	close(table);
}

struct told {
	unsigned int gaps;
	int error;
};

static void take_gap(void *ctx, const struct socktally_gap *gap)
{
	struct told *told = ctx;

	told->gaps++;
	told->error = gap->error;
}

static pid_t broker;
static int killer;

static void killed(void)
{
	struct pollfd due = {.events = POLLIN};
	struct told told = {0};
	struct socktally *meter;
	uint64_t before = 0;
	char data[256];

	if (!ok(!open_meter(&meter, path, take_gap, &told) &&
			!socktally_attach(meter, sniffer, NULL) && !socktally_poll(meter, 0),
		"a meter"))
		return;
	while (recv(sniffer, data, sizeof(data), MSG_DONTWAIT) >= 0)
		;
	traffic_send(udp, 1);
	ok(!told.gaps && counts(meter).packets == 2, "counts");
	due.fd = socktally_fd(meter);
	ok(due.fd >= 0 && !poll(&due, 1, 0), "nothing is due");
	if (write(killer, "!", 1) != 1)
		bail_out("killer");
	ok(poll(&due, 1, 30000) == 1 && !told.gaps, "the descriptor is readable when it is gone");
	ok(!socktally_poll(meter, 0) && told.gaps == 1 && told.error == -ECONNRESET,
	   "that the broker is gone is a gap");
	ok(!poll(&due, 1, 0), "and the descriptor is readable no more");
	socktally_poll(meter, 0);
	ok(told.gaps == 1, "told once");
	/* the kernel empties the chain in its own time */
	for (int i = 0; i < 500 && before != counts(meter).packets; i++) {
		before = counts(meter).packets;
		pause_ms(20);
		traffic_send(udp, 1);
	}
	ok(before == counts(meter).packets, "nothing is counted any more");
	while (recv(sniffer, data, sizeof(data), MSG_DONTWAIT) >= 0)
		;
	traffic_send(udp, 1);
	ok(before == counts(meter).packets &&
		   recv(sniffer, data, sizeof(data), MSG_DONTWAIT) == 47 &&
		   recv(sniffer, data, sizeof(data), MSG_DONTWAIT) == 47,
	   "the socket gets its packets");
	ok(socktally_set_filter(meter, sniffer, NULL, 0) == -ECONNRESET, "and the rest fails");
	ok(!socktally_detach(meter, sniffer), "but for giving it back");
	socktally_close(meter);
}

/* A process that kills the broker when it is told to: the user without privileges can't. */
static pid_t start_killer(void)
{
	int ends[2];
	char byte;
	pid_t pid;

	if (pipe(ends))
		bail_out("pipe");
	pid = fork();
	if (!pid) {
		close(ends[1]);
		if (read(ends[0], &byte, 1) == 1)
			kill(broker, SIGKILL);
		_exit(0);
	}
	close(ends[0]);
	killer = ends[1];
	return pid;
}

/* Where something is already. */
static void occupied(void)
{
	char other[64];

	ok(ended(start_broker(path)) == 1, "a second broker on the same socket refuses");
	snprintf(other, sizeof(other), "%s/messages", folder);
	ok(ended(start_broker(other)) == 1, "and so does one on what is no socket");
}

/* The last message of a broker that has ended. */
static bool last_message_has(const char *part)
{
	char messages[64], text[4096] = "", *line;
	ssize_t length;
	int fd;

	snprintf(messages, sizeof(messages), "%s/messages", folder);
	fd = open(messages, O_RDONLY);
	length = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	close(fd);
	text[length > 0 ? length : 0] = '\0';
	if (length > 0 && text[length - 1] == '\n')
		text[length - 1] = '\0';
	line = strrchr(text, '\n');
	return strstr(line ? line : text, part);
}

/* Folders in which another user could put something else in the socket's place. */
static void folders(void)
{
	static const struct {
		const char *name;
		mode_t mode;
		uid_t uid;
		bool ours;
	} cases[] = {
		{"root's own", 0755, 0, true},
		{"everybody's, sticky", 01777, 0, true},
		{"everybody's", 0777, 0, false},
		{"a group's", 0775, 0, false},
		{"another user's", 0755, USER, false},
		{"another user's, sticky", 01777, USER, false},
	};
	char sub[64], link[64], inner[80], place[96];
	struct stat status;
	pid_t pid;

	snprintf(sub, sizeof(sub), "%s/sub", folder);
	snprintf(link, sizeof(link), "%s/link", folder);
	snprintf(inner, sizeof(inner), "%s/inner", sub);
	snprintf(place, sizeof(place), "%s/socket", inner);
	if (mkdir(sub, 0755) || mkdir(inner, 0755) || symlink(inner, link))
		bail_out(sub);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		if (chown(sub, cases[i].uid, 0) || chmod(sub, cases[i].mode))
			bail_out(sub);
		pid = start_broker_for(place, "54321"); /* a number that has no name */
		if (!cases[i].ours) {
			ok(ended(pid) == 1 && access(place, F_OK) &&
				   last_message_has("another user can change"),
			   cases[i].name);
			continue;
		}
		for (int j = 0; j < 1000 && (stat(place, &status) || status.st_gid != 54321); j++)
			pause_ms(10);
		ok(status.st_gid == 54321 && (status.st_mode & 0777) == 0660, cases[i].name);
		kill(pid, SIGTERM);
		ok(!ended(pid) && access(place, F_OK), "and its socket goes with it");
	}
	snprintf(place, sizeof(place), "%s/socket", link);
	ok(ended(start_broker(place)) == 1, "by a symbolic link to such a folder");
	ok(ended(start_broker_for(path, "4294967295")) == 1 && last_message_has("no such group"),
	   "no group's number");
	if (unlink(link) || rmdir(inner) || rmdir(sub))
		bail_out(sub);
}

int main(void)
{
	struct group *entry = getgrnam(GROUP);
	char messages[64];
	pid_t helper;

	udp = traffic_open();
	if (!getenv("SOCKTALLY") || !entry) {
		printf("1..0 # SKIP needs SOCKTALLY and a group " GROUP "\n");
		return 0;
	}
	group = entry->gr_gid;
	if (!mkdtemp(folder) || chmod(folder, 0755))
		bail_out(folder);
	snprintf(path, sizeof(path), "%s/broker", folder);
	snprintf(messages, sizeof(messages), "%s/messages", folder);
	sniffer = lo_socket();
	broker = start_broker(path);
	if (!ok(wait_for_socket(), "the broker's socket is there, for its group"))
		return done();
	as_user(USER, false, not_permitted);
	as_user(USER, true, metered);
	as_user(USER, true, read_only);
	as_user(USER, true, hostile);
	as_user(USER, true, limits);
	as_user(USER, true, many_programs);
	as_user(USER, true, metered);
	saved_filter();
	occupied();
	helper = start_killer();
	as_user(USER, true, killed);
	close(killer);
	ended(helper);
	ok(ended(broker) == -1, "the broker was killed");
	broker = start_broker(path);
	ok(wait_for_socket(), "the next one takes the old socket's place");
	as_user(USER, true, metered);
	kill(broker, SIGTERM);
	ok(!ended(broker) && access(path, F_OK), "SIGTERM ends it, and its socket");
	folders();
	close(sniffer);
	close(udp);
	unlink(messages);
	rmdir(folder);
	return done();
}
