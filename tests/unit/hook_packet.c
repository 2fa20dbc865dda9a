// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * What the chain tells hooks of a packet, held against the native parser: its path, and where each
 * layer starts. The packets are those of tests/data/paths.txt.
 */
#include "bpf/parse/packet_native.h"

struct note {
	unsigned int count;
	unsigned char layers[64];
	unsigned int offsets[64];
};
static struct note note;

static void take_note(unsigned int protocol, unsigned int offset)
{
	note.layers[note.count] = (unsigned char)protocol;
	note.offsets[note.count] = offset;
	note.count += protocol != 0;
}
#define ST_ON_LAYER(walk, protocol) take_note(protocol, (walk)->off)
#include "bpf/parse/parse.h"

#include "tests/lib/hook_help.h"
#include "plugin/bpf/direct.h"
#include "plugin/bpf/syscall.h"
#include "plugin/count/classify.h"
#include "plugin/meter/meter.h"
#include "tools/capture/file.h"
#include <linux/bpf.h>
#include <sched.h>
#include <sys/syscall.h>

#define LONGEST 2000
#define LINK_HEADER 14 /* which the kernel takes off before it runs a socket filter */

static struct socktally *meter;
static struct st_region *region;
static int program;
static unsigned int checked, different;

static int run_in_kernel(const uint8_t *bytes, uint32_t size, uint32_t link)
{
	static uint8_t data[LINK_HEADER + LONGEST];
	struct __sk_buff context;
	union bpf_attr attr;

	memset(&context, 0, sizeof(context));
	context.cb[ST_CB_VERDICT] = 77;
	context.cb[ST_CB_LINK] = link;
	memcpy(data + LINK_HEADER, bytes, size);
	memset(&attr, 0, sizeof(attr));
	attr.test.prog_fd = (uint32_t)program;
	attr.test.data_in = (uintptr_t)data;
	attr.test.data_size_in = LINK_HEADER + size;
	attr.test.ctx_in = (uintptr_t)&context;
	attr.test.ctx_size_in = sizeof(context);
	return (int)syscall(SYS_bpf, BPF_PROG_TEST_RUN, &attr, sizeof(attr));
}

/* Ethernet by the walk is one of its steps, so it may have one layer less. */
#define NATIVE_MOST 12

static bool is_same(const struct socktally_packet *packet, uint32_t size, struct st_path path)
{
	bool same = packet->path.hi == path.hi && packet->path.lo == path.lo &&
		    packet->length == size && packet->tool_verdict == 77 && packet->verdict == 77 &&
		    packet->segments == 1 && packet->tag_length == 0;

	same &= packet->layer_count == note.count ||
		(note.count >= NATIVE_MOST && packet->layer_count == note.count + 1);
	for (unsigned int i = 0; i < note.count && same; i++)
		same = packet->layers[i] == note.layers[i] && packet->offsets[i] == note.offsets[i];
	for (unsigned int i = packet->layer_count; i < SOCKTALLY_PACKET_LAYERS && same; i++)
		same = !packet->layers[i];
	return same;
}

static void tell(const struct socktally_packet *packet, const struct capture_packet *from)
{
	printf("# link type %u, %u bytes; native:", from->linktype, from->caplen);
	for (unsigned int i = 0; i < note.count; i++)
		printf(" %u@%u", note.layers[i], note.offsets[i]);
	printf("; kernel:");
	for (unsigned int i = 0; i < packet->layer_count; i++)
		printf(" %u@%u", packet->layers[i & 15], packet->offsets[i & 15]);
	printf("\n");
}

static void check(const struct capture_packet *from)
{
	const uint32_t link = st_link_of_linktype(from->linktype);
	const uint32_t size = from->caplen < LONGEST ? from->caplen : LONGEST;
	/* by the walk, without the shortcut that Ethernet has */
	const uint32_t native = link == ST_LINK_ETH ? ST_LINK_LAYER | ST_DIRECT(ST_ETH) : link;
	struct st_packet packet = {.data = from->data, .len = size};
	struct st_path path;

	if (!size || (link == ST_LINK_ETH && size < 14) || run_in_kernel(from->data, size, link))
		return;
	path = st_parse(&packet, link);
	memset(&note, 0, sizeof(note));
	st_parse(&packet, native);
	checked++;
	if (is_same(&region->chain.packet, size, path))
		return;
	if (different++ < 10)
		tell(&region->chain.packet, from);
}

static void check_all(void)
{
	const char *sources = getenv("SRCDIR") ? getenv("SRCDIR") : ".";
	char name[] = "/tmp/socktally-test-XXXXXX", command[4096], message[CAPTURE_MESSAGE_MAX];
	struct capture_file *file;
	struct capture_packet packet;
	int fd = mkstemp(name);

	if (fd < 0)
		bail("mkstemp");
	close(fd);
	snprintf(
		command, sizeof(command),
		"sed 's/^[!?]//' '%s/tests/data/paths.txt' | python3 '%s/tests/lib/packets.py' - %s pcapng",
		sources, sources, name);
	if (system(command))
		bail("tests/lib/packets.py");
	file = capture_file_open(name, -1, message);
	while (file && capture_file_next(file, &packet) > 0)
		check(&packet);
	if (file)
		capture_file_close(file);
	unlink(name);
}

/* All that the library brings with it, in all its ways. */
static bool add_builtin(void)
{
	static const char *const hooks[][4] = {
		{"sizes"},
		{"tcpflags"},
		{"icmp"},
		{"talkers"},
		{"talkers", "by=host", "header=inner"},
		{"rate"},
		{"drop", "path=*:ipv6:*:ah"},
		{"snap", "path=eth:ip", "bytes=100"},
		{"sample", "path=eth:ip", "n=3"},
		{"sample", "path=eth:ip", "n=3", "by=flow"},
	};

	for (size_t i = 0; i < sizeof(hooks) / sizeof(*hooks); i++) {
		struct socktally_hook_opts opts = {.sz = sizeof(opts),
						   .builtin = hooks[i][0],
						   .variables = hooks[i] + 1};

		while (opts.variable_count < 3 && hooks[i][1 + opts.variable_count])
			opts.variable_count++;
		if (socktally_hook_add(meter, &opts)) {
			printf("# %s\n", socktally_error(meter));
			return false;
		}
	}
	return true;
}

static int other_hook(void *ctx, const struct socktally_hook *hook)
{
	if (!strcmp(hook->name, "left"))
		return 0;
	snprintf(ctx, ST_HOOK_NAME_MAX, "%s", hook->name);
	return 1;
}

/* One hook is left, that takes nothing. */
static void remove_builtin(void)
{
	struct socktally_hook_opts opts = {.sz = sizeof(opts),
					   .builtin = "tcpflags",
					   .name = "left"};
	char name[ST_HOOK_NAME_MAX];

	if (socktally_hook_add(meter, &opts))
		bail("one more hook");
	while (socktally_hooks(meter, other_hook, name))
		if (socktally_hook_remove(meter, name, NULL))
			bail("a hook can't be removed");
}

/* reads: how programs read the packet, by SOCKTALLY_READS. */
static void try(const char *reads, int cpu)
{
	const struct socktally_open_opts opts = {.sz = sizeof(opts),
						 .flags = SOCKTALLY_OPEN_NO_APPLICATIONS};
	const uint32_t entry = ST_CHAIN_ENTRY;
	uint32_t id = 0;

	setenv("SOCKTALLY_READS", reads, 1);
	checked = different = 0;
	if (socktally_open(&meter, &opts))
		bail("can't meter");
	if (ok(add_builtin(), "every built-in hook loads (%s)", reads)) {
		remove_builtin();
		if (st_bpf_map_lookup(meter->chain_map, &entry, &id))
			bail("the chain's entry");
		program = st_bpf_prog_by_id(id);
		region = st_region_of(meter, (uint32_t)cpu);
		if (program < 0)
			bail("the chain's first program");
		check_all();
		ok(checked > 200, "%u packets", checked);
		ok(!different, "their layers are where the native parser finds them");
		close(program);
	}
	socktally_close(meter);
}

int main(void)
{
	int cpu = sched_getcpu();
	struct st_direct direct;
	cpu_set_t cpus;

	own_network();
	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		bail("sched_setaffinity");
	st_direct_get(&direct);
	try("helper", cpu);
	if (direct.works)
		try("direct", cpu);
	return done();
}
