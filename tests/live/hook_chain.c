// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * The chain of hooks: its order, its limits, and that changes under a flood of packets leave each
 * packet counted once, by the old hooks or by the new ones. TEST_CHANGES: how many of them.
 */
#include "tests/lib/growth.h"
#include "tests/lib/hook_help.h"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>

#define FILTERS 120
#define DEPTH 10

static struct socktally *meter;

static int add(const char *name, const char *program, int32_t priority, const char *variable)
{
	const char *variables[] = {variable};
	struct socktally_hook_opts opts = {
		.sz = sizeof(opts),
		.name = name,
		.object = st_object_steps,
		.object_size = sizeof(st_object_steps),
		.program = program,
		.priority = priority,
		.variables = variables,
		.variable_count = variable != NULL,
	};

	return socktally_hook_add(meter, &opts);
}

static int replace(const char *name, const char *program, int32_t priority, const char *variable)
{
	const char *variables[] = {variable};
	struct socktally_hook_opts opts = {
		.sz = sizeof(opts),
		.object = st_object_steps,
		.object_size = sizeof(st_object_steps),
		.program = program,
		.priority = priority,
		.variables = variables,
		.variable_count = variable != NULL,
	};

	return socktally_hook_replace(meter, name, &opts);
}

static bool works(int result, const char *name)
{
	if (ok(!result, "%s", name))
		return true;
	printf("# %s\n", socktally_error(meter));
	return false;
}

/* --- what the hooks say */

static int append_name(void *ctx, const struct socktally_hook *hook)
{
	char *names = ctx;

	strcat(strcat(names, *names ? " " : ""), hook->name);
	return 0;
}

static bool is_order(const char *wanted, const char *name)
{
	char names[4096] = "";

	socktally_hooks(meter, append_name, names);
	if (ok(!strcmp(names, wanted), "%s", name))
		return true;
	printf("# is %s, wanted %s\n", names, wanted);
	return false;
}

static int take_hook(void *ctx, const struct socktally_hook *hook)
{
	struct socktally_hook *wanted = ctx;

	if (strcmp(hook->name, wanted->name) != 0)
		return 0;
	*wanted = *hook;
	return 1;
}

static struct socktally_hook hook_named(const char *name)
{
	struct socktally_hook hook = {.name = name};

	socktally_hooks(meter, take_hook, &hook);
	return hook;
}

static int add_taken(void *ctx, const struct socktally_hook *hook)
{
	struct socktally_hook *sum = ctx;

	sum->dropped_packets += hook->dropped_packets;
	sum->dropped_bytes += hook->dropped_bytes;
	sum->cut_packets += hook->cut_packets;
	sum->cut_bytes += hook->cut_bytes;
	return 0;
}

struct seen {
	uint64_t packets, bytes, verdicts;
};

static int take_row(void *ctx, const struct socktally_row *row)
{
	memcpy(ctx, row->raw_value, sizeof(struct seen));
	return strcmp(row->value[0].name, "packets") || row->value_count != 3;
}

static struct seen seen_by(const char *name)
{
	struct seen seen = {0};

	if (socktally_hook_rows(meter, name, "seen", take_row, &seen))
		printf("# rows of %s: %s\n", name, socktally_error(meter));
	return seen;
}

static struct socktally_counts counted(void)
{
	struct socktally_totals totals;

	socktally_snapshot(meter, NULL, NULL, &totals);
	return totals.counts;
}

/* --- traffic: lo shows each packet twice, going out and coming in */

#define SHORTEST 60
#define LENGTHS 200

static struct flow flow;

static void packet_send(unsigned int length)
{
	static const uint8_t header[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x88, 0xb5};
	uint8_t frame[SHORTEST + LENGTHS] = {0};

	memcpy(frame, header, sizeof(header));
	flow_send(&flow, frame, length);
}

/* All are at the sockets when this returns. */
static void each_length(void)
{
	for (unsigned int i = 0; i < LENGTHS; i++)
		packet_send(SHORTEST + i);
	flow_wait(&flow, 0);
}

static void order_and_limits(void)
{
	struct socktally_hook last;
	struct socktally_counts before, after;
	char name[16];
	int result = 0;

	works(add("c", "count", 300, NULL), "a hook is added");
	works(add("b", "drop_odd", SOCKTALLY_PRIORITY_DROP, NULL), "and one before it");
	works(add("a", "cut", SOCKTALLY_PRIORITY_DROP, "bytes=100"), "and one of equal priority");
	is_order("b a c", "the chain is in the order of priorities");
	ok(add("a", "pass", 0, NULL) == -EEXIST, "a name is there once");
	before = counted();
	each_length();
	after = counted();
	is_number(after.packets - before.packets, 2 * LENGTHS, "all packets are counted");
	is_number(after.accepted_packets - before.accepted_packets, LENGTHS,
		  "those dropped are not accepted");
	is_number(hook_named("b").dropped_packets, LENGTHS, "they are counted at their hook");
	is_number(after.bytes - before.bytes,
		  after.accepted_bytes - before.accepted_bytes + hook_named("b").dropped_bytes +
			  hook_named("a").cut_bytes,
		  "what is accepted and what was taken away is all there was");
	is_number(seen_by("c").packets, 2 * LENGTHS, "a hook also sees what others have dropped");
	is_number(seen_by("c").verdicts, after.accepted_bytes - before.accepted_bytes,
		  "and knows their verdict");

	works(socktally_hook_set_priority(meter, "b", 1000), "a hook is moved");
	is_order("a c b", "its place is that of its priority");
	works(replace("a", "pass", SOCKTALLY_PRIORITY_DROP, NULL), "a hook is replaced");
	is_order("a c b", "its place stays");
	ok(hook_named("a").cut_packets > 0, "as do its counts");
	works(replace("b", "cut", 0, "bytes=10"), "one is replaced at another priority");
	is_order("a b c", "and moves there");
	is_number(hook_named("b").dropped_packets, LENGTHS, "with its counts");
	each_length();
	is_number(hook_named("b").cut_packets, 2 * LENGTHS, "then those of its new program");
	works(socktally_hook_remove(meter, "b", &last), "a hook is removed");
	ok(!strcmp(last.name, "b") && last.cut_packets == 2 * LENGTHS &&
		   last.dropped_packets == LENGTHS,
	   "and says what it took");
	is_order("a c", "it is gone");
	ok(socktally_hook_remove(meter, "b", NULL) == -ENOENT, "and can't be removed again");
	socktally_hook_remove(meter, "a", NULL);
	socktally_hook_remove(meter, "c", NULL);

	for (int i = 0; i < SOCKTALLY_MAX_HOOKS && !result; i++) {
		snprintf(name, sizeof(name), "h%d", i);
		result = add(name, i == SOCKTALLY_MAX_HOOKS - 1 ? "count" : "pass", i, NULL);
	}
	works(result, "there is room for 28 hooks");
	ok(add("more", "pass", 0, NULL) == -ENOSPC, "and none for the next");
	printf("# %s\n", socktally_error(meter));
	before = counted();
	each_length();
	is_number(counted().packets - before.packets, 2 * LENGTHS, "28 hooks let packets through");
	is_number(seen_by("h27").packets, 2 * LENGTHS, "to the last of them, too");
	works(replace("h3", "cut", 3, NULL), "with 28, one can still be replaced");
	for (int i = 0; i < SOCKTALLY_MAX_HOOKS; i++) {
		snprintf(name, sizeof(name), "h%d", i);
		socktally_hook_remove(meter, name, NULL);
	}
	is_order("", "all are removed");
	before = counted();
	each_length();
	is_number(counted().accepted_bytes - before.accepted_bytes, counted().bytes - before.bytes,
		  "and nothing is taken any more");
}

/* Classes that stay filters, so many that their program has two parts. */
static int set_filters(void)
{
	static struct socktally_class classes[FILTERS];
	static char names[FILTERS][8], texts[FILTERS][64];

	for (unsigned int i = 0; i < FILTERS; i++) {
		snprintf(names[i], sizeof(names[i]), "c%u", i);
		snprintf(texts[i], sizeof(texts[i]), "udp[udp[4] + %u] = %u", i, i);
		classes[i] = (struct socktally_class){.name = names[i], .expression = texts[i]};
	}
	return socktally_set_classes(meter, classes, FILTERS, NULL);
}

/* IP in IP, with as many layers as the parser needs all its runs for. */
static void deep_packet_send(void)
{
	unsigned char packet[14 + 20 * DEPTH + 8] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8};

	for (unsigned int i = 0; i < DEPTH; i++) {
		unsigned char *ip = packet + 14 + 20 * i;

		ip[0] = 0x45;
		ip[3] = (unsigned char)(20 * (DEPTH - i) + 8);
		ip[8] = 64;
		ip[9] = i + 1 < DEPTH ? 4 : 17;
	}
	flow_send(&flow, packet, sizeof(packet));
	flow_wait(&flow, 0);
}

/* The kernel limits the tail calls of a packet. */
static void many_calls(void)
{
	struct socktally_counts before;
	char name[16];
	int result = 0;

	for (int i = 0; i < SOCKTALLY_MAX_HOOKS - 1 && !result; i++) {
		snprintf(name, sizeof(name), "h%d", i);
		result =
			add(name, i ? "pass" : "count", i ? i : SOCKTALLY_PRIORITY_TAKEN + 1, NULL);
	}
	works(result, "27 hooks");
	ok(set_filters() == -ENOSPC, "no room for classes in two parts");
	printf("# %s\n", socktally_error(meter));
	socktally_hook_remove(meter, "h26", NULL);
	ok(set_filters() == -ENOSPC, "with 26 neither");
	socktally_hook_remove(meter, "h25", NULL);
	works(set_filters(), "with 25 there is");
	ok(add("more", "pass", 0, NULL) == -ENOSPC, "and none for another hook then");
	before = counted();
	deep_packet_send();
	is_number(counted().packets - before.packets, 2, "a packet with many layers is counted");
	is_number(seen_by("h0").packets, 2, "and has passed all hooks");
	works(socktally_set_classes(meter, NULL, 0, NULL), "the classes go");
	for (int i = 0; i < SOCKTALLY_MAX_HOOKS - 1; i++) {
		snprintf(name, sizeof(name), "h%d", i);
		socktally_hook_remove(meter, name, NULL);
	}
}

/* --- changes under a flood */

static atomic_bool flooding;

static void *flood(void *ctx)
{
	unsigned int length = 0;

	while (atomic_load(&flooding))
		packet_send(SHORTEST + length++ % LENGTHS);
	return ctx;
}

static int change(unsigned int number, struct socktally_hook *gone)
{
	struct socktally_hook last = {0};
	int result = 0;

	switch (number % 8) {
	case 0:
		return add("drop", "drop_odd", 10, NULL);
	case 1:
		return add("cut", "cut", 20, "bytes=100");
	case 2:
		return socktally_hook_set_priority(meter, "drop", 30);
	case 3:
		return replace("cut", "cut", 20, "bytes=80");
	case 4:
		return replace("drop", "cut", 5, "bytes=200");
	case 5:
		return replace("drop", "drop_odd", 40, NULL);
	case 6:
		result = socktally_hook_remove(meter, "drop", &last);
		break;
	case 7:
		result = socktally_hook_remove(meter, "cut", &last);
		break;
	}
	add_taken(gone, &last);
	return result;
}

static void changes(unsigned int count)
{
	struct socktally_counts before = counted(), after;
	uint64_t sent = flow.sent;
	struct socktally_hook taken = {0};
	unsigned int number = 0;
	struct timespec start, end;
	pthread_t thread;
	int result = add("witness", "count", 0, NULL);

	works(result, "a hook that counts all is there meanwhile");
	atomic_store(&flooding, true);
	if (pthread_create(&thread, NULL, flood, NULL))
		bail("pthread_create");
	clock_gettime(CLOCK_MONOTONIC, &start);
	while (number < count && !result)
		result = change(number++, &taken);
	clock_gettime(CLOCK_MONOTONIC, &end);
	atomic_store(&flooding, false);
	pthread_join(thread, NULL);
	if (!ok(!result, "%u changes under a flood", number))
		printf("# %s\n", socktally_error(meter));
	flow_end(&flow);
	sent = flow.sent - sent;
	printf("# %.1f s, %llu packets\n",
	       (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9,
	       (unsigned long long)(2 * sent));
	socktally_hooks(meter, add_taken, &taken);
	after = counted();
	is_number(after.packets - before.packets, 2 * sent, "each packet was counted once");
	is_number(seen_by("witness").packets, 2 * sent,
		  "and passed once the hook that was there all the time");
	is_number(after.bytes - before.bytes - (after.accepted_bytes - before.accepted_bytes),
		  taken.dropped_bytes + taken.cut_bytes,
		  "the bytes not accepted are those that hooks took");
	is_number(after.packets - before.packets -
			  (after.accepted_packets - before.accepted_packets),
		  taken.dropped_packets, "and so are the packets");
	ok(taken.dropped_packets && taken.cut_packets, "some were");
	socktally_hook_remove(meter, "witness", NULL);
}

/* --- the meter's end */

/* Packets that are there to be read; their bytes are added up. */
static unsigned int delivered(int fd, uint64_t *bytes)
{
	unsigned int packets = 0;
	uint8_t packet[2048];
	ssize_t size;

	while ((size = recv(fd, packet, sizeof(packet), MSG_DONTWAIT)) >= 0) {
		packets++;
		*bytes += (uint64_t)size;
	}
	return packets;
}

/* Another process has the meter, whose hooks take all, and is killed. */
static void killed(void)
{
	int in = socket_on_lo(ETH_P_ALL), ready[2];
	unsigned int packets = 0;
	uint64_t bytes = 0;
	pid_t child;
	char byte;

	if (pipe(ready))
		bail("pipe");
	child = fork();
	if (!child) {
		bool good = !socktally_open(&meter, NULL) && !socktally_attach(meter, in, NULL) &&
			    !add("cut", "cut", 0, "bytes=0") && !add("pass", "pass", 1, NULL);

		if (!good)
			printf("# %s\n", socktally_error(meter));
		if (write(ready[1], good ? "y" : "n", 1) == 1 && good)
			pause();
		_exit(1);
	}
	if (child < 0 || read(ready[0], &byte, 1) != 1 || byte != 'y')
		bail("another meter");
	delivered(in, &bytes);
	each_length();
	is_number(delivered(in, &bytes), 0, "hooks of another process take all");
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	/* the kernel empties the chain a moment after that */
	for (int i = 0; i < 1000; i++) {
		packet_send(SHORTEST);
		flow_wait(&flow, 0);
		if (delivered(in, &bytes))
			break;
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
	bytes = 0;
	for (unsigned int i = 0; i < LENGTHS; i++) {
		packet_send(SHORTEST + i);
		flow_wait(&flow, 0);
		packets += delivered(in, &bytes);
	}
	is_number(packets, 2 * LENGTHS, "it is killed: the socket gets all again");
	is_number(bytes, 2 * (LENGTHS * SHORTEST + LENGTHS * (LENGTHS - 1) / 2), "and in full");
	close(ready[0]);
	close(ready[1]);
	close(in);
}

int main(void)
{
	const char *number = getenv("TEST_CHANGES");
	unsigned int before;
	int in;

	own_network();
	flow_open(&flow);
	in = socket_on_lo(ETH_P_ALL);
	before = count_descriptors();
	if (socktally_open(&meter, NULL) || socktally_attach(meter, in, NULL))
		bail("can't meter");
	order_and_limits();
	many_calls();
	changes(number ? (unsigned int)atoi(number) : 1000);
	socktally_close(meter);
	is_number(count_descriptors(), before, "no descriptor is left");
	close(in);
	killed();
	flow_close(&flow);
	return done();
}
