/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Classes change while packets flow: a class that stays counts every packet once. A list that is
 * refused changes nothing. TEST_CHANGES: how many changes.
 */
#include "tests/lib/hook_help.h"

#include <pthread.h>
#include <stdatomic.h>

#define SHORTEST 60
#define LENGTHS 200
#define LONG 160 /* class "long" has these and longer ones */
#define EXTRAS 300

static struct socktally *meter;
static struct flow flow;
static atomic_bool flooding;
static uint64_t sent_long;

static void packet_send(size_t size)
{
	static const unsigned char start[] = {2, 0, 0, 0, 0,    1, 2, 0, 0, 0,
					      0, 2, 8, 0, 0x45, 0, 0, 0, 0, 0};
	unsigned char packet[SHORTEST + LENGTHS] = {0};

	memcpy(packet, start, sizeof(start));
	packet[23] = 17; /* UDP */
	packet[37] = 53; /* to port 53 */
	flow_send(&flow, packet, size);
}

/* One packet, which has been counted when this returns. */
static void one_send(void)
{
	packet_send(100);
	flow_wait(&flow, 0);
}

static void *flood(void *ctx)
{
	unsigned int length = 0;

	while (atomic_load(&flooding)) {
		size_t size = SHORTEST + length++ % LENGTHS;

		packet_send(size);
		sent_long += size >= LONG;
	}
	return ctx;
}

struct wanted {
	const char *name;
	struct socktally_counts counts;
	unsigned int found;
};

static int look(void *ctx, const struct socktally_class_counts *class)
{
	struct wanted *wanted = ctx;

	if (strcmp(class->name, wanted->name) != 0)
		return 0;
	wanted->found++;
	wanted->counts = class->in;
	wanted->counts.packets += class->out.packets;
	wanted->counts.bytes += class->out.bytes;
	wanted->counts.segments += class->out.segments;
	wanted->counts.accepted_packets += class->out.accepted_packets;
	return 0;
}

static struct socktally_counts counts_of(const char *name)
{
	struct wanted wanted = {.name = name};

	if (socktally_classes(meter, look, &wanted) || wanted.found != 1)
		printf("# %s: there are %u\n", name, wanted.found);
	return wanted.counts;
}

static uint64_t total(void)
{
	struct socktally_totals totals;

	socktally_snapshot(meter, NULL, NULL, &totals);
	return totals.counts.packets;
}

/* "long" and "all", with changing other classes before and between them. */
static int set(unsigned int extras, unsigned int salt, uint32_t flags)
{
	static struct socktally_class classes[EXTRAS + 2];
	static char names[EXTRAS][24], texts[EXTRAS][64];
	const struct socktally_classes_opts opts = {.sz = sizeof(opts), .flags = flags};
	const struct socktally_class stay[] = {{.name = "long", .expression = "greater 160"},
					       {.name = "all", .expression = ""}};
	unsigned int count = 0;

	for (unsigned int i = 0; i < extras; i++) {
		if (i == extras / 2)
			classes[count++] = stay[0];
		snprintf(names[i], sizeof(names[i]), "extra %u", (i + salt) % 997);
		snprintf(texts[i], sizeof(texts[i]), i % 3 ? "tcp port %u" : "host 10.0.0.%u",
			 1 + (i * 7 + salt) % 250);
		classes[count++] =
			(struct socktally_class){.name = names[i], .expression = texts[i]};
	}
	if (!extras)
		classes[count++] = stay[0];
	classes[count++] = stay[1];
	return socktally_set_classes(meter, classes, count, &opts);
}

/* Few and many in turn: counters have to move to a larger map now and then. */
static void changes(unsigned int count, uint32_t flags, const char *how)
{
	uint64_t before, before_long, sent;
	unsigned int number = 0;
	pthread_t thread;
	int result;

	if (set(0, 0, flags))
		bail("socktally_set_classes");
	before = counts_of("all").packets;
	before_long = counts_of("long").packets;
	sent = flow.sent;
	sent_long = 0;
	atomic_store(&flooding, true);
	if (pthread_create(&thread, NULL, flood, NULL))
		bail("pthread_create");
	do {
		result = set(number % 10 == 9 ? EXTRAS : number % 7 * 5, number * 3, flags);
		number++;
	} while (number < count && !result);
	atomic_store(&flooding, false);
	pthread_join(thread, NULL);
	if (!ok(!result, "%u changes under a flood%s", number, how))
		printf("# %s\n", socktally_error(meter));
	flow_end(&flow);
	sent = flow.sent - sent;
	printf("# %llu packets\n", (unsigned long long)(2 * sent));
	is_number(counts_of("long").packets - before_long, 2 * sent_long,
		  "a class that stays counts each of its packets once");
	is_number(counts_of("all").packets - before,
		  2 * sent - (flags & SOCKTALLY_CLASSES_FIRST ? 2 * sent_long : 0),
		  flags ? "and the last one what no other has" : "and the one of all packets, too");
}

static int refused(const char *name, const char *text, size_t wanted, const char *what)
{
	size_t failed = SIZE_MAX;
	const struct socktally_classes_opts opts = {.sz = sizeof(opts), .failed = &failed};
	const struct socktally_class classes[] = {{.name = "all", .expression = ""},
						  {.name = name, .expression = text}};
	int result = socktally_set_classes(meter, classes, 2, &opts);

	if (!ok(result == -EINVAL && failed == wanted, "refused: %s", what))
		printf("# %d, %zu\n", result, failed);
	printf("# %s\n", socktally_error(meter));
	return result;
}

static void refusals(void)
{
	uint64_t before = counts_of("all").packets;

	refused("bad", "tcp and", 1, "half an expression");
	refused("", "tcp", 1, "no name");
	refused("none", "tcp", 1, "the name of those in no class");
	refused("all", "tcp", 1, "a name that is there twice");
	refused("a\nb", "tcp", 1, "a name of two lines");
	refused("never", "ip and ip6", 1, "what no packet can be");
	one_send();
	is_number(counts_of("all").packets - before, 2, "those there were go on counting");
}

/* A socket of another kind of link comes after the classes. */
static void links(void)
{
	const struct socktally_class classes[] = {{.name = "dns", .expression = "udp port 53"},
						  {.name = "to",
						   .expression = "ether dst 2:0:0:0:0:1"},
						  {.name = "again", .expression = "udp port 53"}};
	int cooked = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(ETH_P_ALL));
	uint64_t before;

	if (socktally_set_classes(meter, classes, 3, NULL))
		bail("socktally_set_classes");
	one_send();
	is_number(counts_of("dns").packets, 2, "one socket: its packets, going and coming");
	if (cooked < 0 || socktally_attach(meter, cooked, NULL))
		bail("a cooked socket");
	one_send();
	is_number(counts_of("dns").packets, 6, "and those of a cooked one that came later");
	is_number(counts_of("again").packets, 6, "two of the same expression count the same");
	is_number(counts_of("to").packets, 4, "an expression that makes no sense there has none");
	before = counts_of("dns").packets;
	ok(!socktally_hook_remove(meter, "classes", NULL), "their hook is removed");
	one_send();
	is_number(counts_of("dns").packets, before, "they keep what they have");
	ok(!socktally_set_classes(meter, classes, 3, NULL), "and can be set again");
	one_send();
	is_number(counts_of("dns").packets, before + 4, "and go on");
	close(cooked);
}

/* The cell of a class that is gone is used again. */
static void again_from_0(void)
{
	const struct socktally_class a = {.name = "a", .expression = "udp"},
				     b = {.name = "b", .expression = "tcp"},
				     c = {.name = "c", .expression = "udp"};

	if (socktally_set_classes(meter, NULL, 0, NULL) ||
	    socktally_set_classes(meter, &a, 1, NULL))
		bail("socktally_set_classes");
	one_send();
	is_number(counts_of("a").packets, 2, "a class counts");
	if (socktally_set_classes(meter, &b, 1, NULL) || socktally_set_classes(meter, &c, 1, NULL))
		bail("socktally_set_classes");
	is_number(counts_of("c").packets, 0, "a later one begins with 0");
	one_send();
	is_number(counts_of("c").packets, 2, "and counts");
}

static void none_left(void)
{
	struct wanted wanted = {.name = "c"};
	uint64_t before = total();

	ok(!socktally_set_classes(meter, NULL, 0, NULL), "no classes any more");
	one_send();
	is_number(total() - before, 2, "the packets are counted");
	socktally_classes(meter, look, &wanted);
	is_number(wanted.found, 0, "there are none");
}

int main(void)
{
	const char *number = getenv("TEST_CHANGES");
	unsigned int count = number ? (unsigned int)atoi(number) : 200;
	int in;

	own_network();
	flow_open(&flow);
	in = socket_on_lo(ETH_P_ALL);
	if (socktally_open(&meter, NULL) || socktally_attach(meter, in, NULL))
		bail("can't meter");
	changes(count, 0, "");
	changes(count, SOCKTALLY_CLASSES_FIRST, ", each packet in one class");
	if (set(0, 0, 0))
		bail("socktally_set_classes");
	refusals();
	links();
	again_from_0();
	none_left();
	socktally_close(meter);
	close(in);
	flow_close(&flow);
	return done();
}
