// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Finds out by doing it what works here: version numbers say little about patched kernels. */
#include "tools/features/features.h"

#include "tools/common/file_text.h"
#include "tools/proc/packet_diag.h"
#include "plugin/bpf/direct.h"
#include "plugin/bpf/syscall.h"
#include "plugin/attach/attach.h"
#include "tools/proc/processes.h"
#include <errno.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static void set(struct feature *feature, enum feature_state state, const char *means)
{
	feature->state = state;
	feature->means = means;
}

static void say(struct feature *feature, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void say(struct feature *feature, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(feature->found, sizeof(feature->found), format, arguments);
	va_end(arguments);
}

/* In the user namespace that we are in, which is not always the one that counts. */
static bool has_capability(unsigned int capability)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	memset(data, 0, sizeof(data));
	if (syscall(SYS_capget, &header, data))
		return false;
	return data[capability / 32].effective >> capability % 32 & 1;
}

static void try_bpf(struct feature *feature)
{
	int map = st_bpf_map_create(BPF_MAP_TYPE_ARRAY, "socktally", sizeof(uint32_t),
				    sizeof(uint32_t), 1, BPF_F_MMAPABLE);
	long disabled = file_number_read("/proc/sys/kernel/unprivileged_bpf_disabled");

	set(feature, map >= 0 ? FEATURE_YES : FEATURE_NO, NULL);
	if (map >= 0) {
		say(feature, "counts are read without a system call");
		close(map);
	} else if (map == -EPERM) {
		say(feature,
		    "not permitted to this process: it needs CAP_BPF and CAP_PERFMON, or root%s",
		    disabled > 0 ? " (kernel.unprivileged_bpf_disabled is set)" : "");
		feature->means = "a program that is linked with libsocktally can count through a "
				 "'socktally broker' that somebody with the privilege runs";
	} else if (map == -ENOSYS) {
		say(feature, "this kernel has no bpf(2), or a security module forbids it");
	} else {
		say(feature, "%s (Linux 5.5 is the first that has them)", strerror(-map));
	}
}

static void try_perfmon(struct feature *feature, const struct feature *bpf)
{
	if (!has_capability(CAP_PERFMON) && !has_capability(CAP_SYS_ADMIN)) {
		set(feature, FEATURE_NO,
		    "counting costs more, as the kernel guards programs against speculation");
		say(feature, "this user does not have it");
	} else if (bpf->state != FEATURE_YES) {
		set(feature, FEATURE_UNKNOWN, NULL);
		say(feature,
		    "this user has it, but not for BPF: perhaps in a container's user namespace");
	} else {
		set(feature, FEATURE_YES, NULL);
		say(feature, "this user has it: counting costs least");
	}
}

/* Whether a program becomes machine code. */
static void try_jit(struct feature *feature)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int program = st_bpf_prog_load("socktally", insns, sizeof(insns) / sizeof(*insns), NULL, 0);
	struct bpf_prog_info info;

	memset(&info, 0, sizeof(info));
	if (program < 0 || st_bpf_info(program, &info, sizeof(info))) {
		long enabled = file_number_read("/proc/sys/net/core/bpf_jit_enable");

		set(feature,
		    enabled < 0 ? FEATURE_UNKNOWN
		    : enabled   ? FEATURE_YES
				: FEATURE_NO,
		    NULL);
		say(feature, "net.core.bpf_jit_enable is %s",
		    enabled < 0 ? "not to be read"
		    : enabled   ? "set"
				: "0");
	} else {
		set(feature, info.jited_prog_len ? FEATURE_YES : FEATURE_NO, NULL);
		say(feature, "%s",
		    info.jited_prog_len ? "programs run as machine code"
					: "programs are interpreted");
	}
	if (program >= 0)
		close(program);
	if (feature->state == FEATURE_NO)
		feature->means = "each packet costs several times as much: set "
				 "net.core.bpf_jit_enable to 1";
}

static void try_direct(struct feature *feature)
{
	struct st_direct direct;

	st_direct_get(&direct);
	set(feature, direct.works ? FEATURE_YES : FEATURE_NO,
	    direct.works ? NULL : "each packet costs some 15 ns more, for copies of its headers");
	say(feature, "%s",
	    direct.works ? "programs read a packet's headers where they are" : direct.reason);
}

static struct socktally *try_meter(struct feature *feature)
{
	struct socktally *meter = NULL;
	int result = socktally_open(&meter, NULL);

	set(feature, result ? FEATURE_NO : FEATURE_YES, NULL);
	if (result)
		say(feature, "%s", socktally_error(NULL));
	else
		say(feature, "the kernel takes the program that counts");
	return meter;
}

static void try_applications(struct feature *feature, const struct socktally *meter)
{
	set(feature, meter && meter->flow_mask ? FEATURE_YES : FEATURE_NO, NULL);
	if (feature->state == FEATURE_YES) {
		say(feature, "paths end with what a flow was recognised as");
	} else if (!meter) {
		say(feature, "not tried without counting packets");
	} else if (meter->flow_map < 0) {
		say(feature, "only 'socktally read' looks at payload");
		feature->means = "paths of sockets end at the transport";
	} else {
		say(feature, "this kernel does not take the program that looks at payload, or is a "
			     "PREEMPT_RT kernel");
		feature->means =
			"paths end at the transport; 'socktally read' has them all the same";
	}
}

static void try_hooks(struct feature *feature, struct socktally *meter)
{
	struct socktally_hook_opts opts = {.sz = sizeof(opts), .builtin = "sizes"};
	int result = meter ? socktally_hook_add(meter, &opts) : -EPERM;

	set(feature, result ? FEATURE_NO : FEATURE_YES, NULL);
	if (!result) {
		say(feature, "packets can be dropped, cut and sampled, and more be counted");
		socktally_hook_remove(meter, "sizes", NULL);
	} else {
		say(feature, "%s",
		    meter ? socktally_error(meter) : "not tried without counting packets");
	}
}

static void try_classes(struct feature *feature, struct socktally *meter)
{
	const struct socktally_class class = {.name = "udp", .expression = "udp port 53"};
	int result = meter ? socktally_set_classes(meter, &class, 1, NULL) : -EPERM;

	set(feature, result ? FEATURE_NO : FEATURE_YES, NULL);
	if (!result) {
		say(feature, "packets can be counted by pcap-filter expressions");
		socktally_set_classes(meter, NULL, 0, NULL);
	} else {
		say(feature, "%s",
		    meter ? socktally_error(meter) : "not tried without counting packets");
	}
}

/* A filter whose load at a negative offset is a function beside a tail call. */
static void try_functions(struct feature *feature, struct socktally *meter)
{
	int result;

	if (!meter) {
		set(feature, FEATURE_UNKNOWN, NULL);
		say(feature, "not tried without counting packets");
		return;
	}
	result = st_socket_program_try_functions(meter);
	set(feature, result ? FEATURE_NO : FEATURE_YES, NULL);
	if (!result) {
		say(feature, "a filter that loads at negative offsets reads all of a packet");
		return;
	}
	say(feature, "not beside a tail call: %s", strerror(-result));
	feature->means =
		"a filter that loads at negative offsets reads no fragments of a packet, as "
		"all filters up to Linux 6.15";
}

static int try_socket(struct feature *feature)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	set(feature, fd < 0 ? FEATURE_NO : FEATURE_YES, NULL);
	if (fd >= 0)
		say(feature, "this user can capture");
	else if (errno == EPERM)
		say(feature, "capturing needs CAP_NET_RAW in this network namespace, or root");
	else
		say(feature, "can't be made: %s", strerror(errno));
	return fd;
}

static void try_attach(struct feature *feature, struct socktally *meter, int fd)
{
	int result;

	if (!meter || fd < 0) {
		set(feature, FEATURE_UNKNOWN, NULL);
		say(feature, "not tried without counting packets and packet sockets");
		return;
	}
	result = socktally_attach(meter, fd, NULL);
	set(feature, result ? FEATURE_NO : FEATURE_YES, NULL);
	if (!result) {
		say(feature, "a packet socket takes the program that counts");
		socktally_detach(meter, fd);
	} else {
		say(feature, "%s", socktally_error(meter));
	}
}

static void try_option_memory(struct feature *feature)
{
	long most = file_number_read("/proc/sys/net/core/optmem_max");

	set(feature, most < 0 ? FEATURE_UNKNOWN : FEATURE_YES, NULL);
	if (most < 0) {
		say(feature, "net.core.optmem_max is not to be read here");
		return;
	}
	/* eight bytes an instruction; on a change the new program is there beside the old one */
	say(feature, "up to about %ld instructions (net.core.optmem_max is %ld)", most / 16, most);
	if (most < 65536)
		feature->means =
			"a tool with a very long filter may go on unmetered: raise the setting";
}

static void try_take(struct feature *feature)
{
	int pidfd = process_open(getpid()), taken;

	taken = pidfd < 0 ? pidfd : process_take(pidfd, pidfd);
	set(feature, taken < 0 ? FEATURE_NO : FEATURE_YES, NULL);
	if (taken < 0)
		say(feature, "%s", process_take_refused(taken));
	else if (!has_capability(CAP_SYS_PTRACE))
		say(feature,
		    "those of this user's processes; of others with CAP_SYS_PTRACE, or root");
	else
		say(feature, "those of every process can be metered");
	if (taken >= 0)
		close(taken);
	if (pidfd >= 0)
		close(pidfd);
}

static void try_diag(struct feature *feature)
{
	struct packet_diag_socket *sockets = NULL;
	size_t count = 0;
	int netlink = packet_diag_open();
	int result = netlink < 0 ? netlink : packet_diag_read(netlink, true, &sockets, &count);

	set(feature, result ? FEATURE_NO : FEATURE_YES, NULL);
	if (result)
		say(feature, "%s (the module af_packet_diag, CONFIG_PACKET_DIAG)",
		    strerror(-result));
	else
		say(feature, "%s",
		    has_capability(CAP_NET_ADMIN)
			    ? "shows all with their filters"
			    : "shows them without their filters: those need CAP_NET_ADMIN");
	packet_diag_free(sockets, count);
	if (netlink >= 0)
		close(netlink);
}

/* Whether the programs of the whole system are listed, among which those of meters are found. */
static void try_records(struct feature *feature)
{
	uint32_t id = 0;
	int result = st_bpf_prog_next_id(&id);
	bool can = !result || result == -ENOENT;

	set(feature, can ? FEATURE_YES : FEATURE_NO,
	    can ? NULL : "list can't tell which sockets socktally is on, detach does not work");
	say(feature, can ? "tells on which sockets socktally is" : "needs CAP_SYS_ADMIN, or root");
}

void features_try(struct feature features[FEATURE_COUNT])
{
	static const struct {
		const char *name, *label;
	} names[] = {
		[FEATURE_BPF] = {"bpf", "memory-mapped BPF maps"},
		[FEATURE_METER] = {"meter", "counting packets"},
		[FEATURE_PERFMON] = {"perfmon", "CAP_PERFMON"},
		[FEATURE_JIT] = {"jit", "BPF compiler (JIT)"},
		[FEATURE_DIRECT] = {"direct_reads", "reading in place"},
		[FEATURE_APPLICATIONS] = {"applications", "tls, dns, ... by payload"},
		[FEATURE_HOOKS] = {"hooks", "--hook"},
		[FEATURE_CLASSES] = {"classes", "--class"},
		[FEATURE_FUNCTIONS] = {"functions", "negative offsets"},
		[FEATURE_SOCKET] = {"packet_socket", "packet sockets"},
		[FEATURE_ATTACH] = {"socket_program", "metering a socket"},
		[FEATURE_OPTION_MEMORY] = {"option_memory", "length of filters"},
		[FEATURE_TAKE] = {"pidfd_getfd", "other tools' sockets"},
		[FEATURE_DIAG] = {"packet_diag", "list of sockets"},
		[FEATURE_RECORDS] = {"program_list", "list of BPF programs"},
	};
	struct socktally *meter;
	int fd;

	memset(features, 0, FEATURE_COUNT * sizeof(*features));
	for (int i = 0; i < FEATURE_COUNT; i++) {
		features[i].name = names[i].name;
		features[i].label = names[i].label;
	}
	try_bpf(&features[FEATURE_BPF]);
	meter = try_meter(&features[FEATURE_METER]);
	try_perfmon(&features[FEATURE_PERFMON], &features[FEATURE_BPF]);
	try_jit(&features[FEATURE_JIT]);
	try_direct(&features[FEATURE_DIRECT]);
	try_applications(&features[FEATURE_APPLICATIONS], meter);
	try_hooks(&features[FEATURE_HOOKS], meter);
	try_classes(&features[FEATURE_CLASSES], meter);
	try_functions(&features[FEATURE_FUNCTIONS], meter);
	fd = try_socket(&features[FEATURE_SOCKET]);
	try_attach(&features[FEATURE_ATTACH], meter, fd);
	try_option_memory(&features[FEATURE_OPTION_MEMORY]);
	try_take(&features[FEATURE_TAKE]);
	try_diag(&features[FEATURE_DIAG]);
	try_records(&features[FEATURE_RECORDS]);
	if (fd >= 0)
		close(fd);
	socktally_close(meter);
}
