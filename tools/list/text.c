// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The list for people: a few lines a socket. */
#include "tools/list/list.h"

#include "tools/filter_text/filter_text.h"
#include "tools/common/escape.h"
#include <inttypes.h>
#include <linux/if_ether.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static void print_process(FILE *out, pid_t pid)
{
	struct process process;
	char user[64];

	if (process_read(pid, &process)) {
		fprintf(out, "process %d", pid);
		return;
	}
	escape_text(out, *process.comm ? process.comm : "?", SIZE_MAX);
	fprintf(out, " (pid %d, user ", pid);
	escape_text(out, list_user(process.uid, user), SIZE_MAX);
	fputc(')', out);
}

static void print_holders(FILE *out, const struct capture *capture)
{
	char user[64];

	if (capture->holder_count) {
		print_process(out, capture->holders->pid);
	} else {
		fputs("a process out of sight", out);
		if (capture->diag.has_uid) {
			fputs(" of user ", out);
			escape_text(out, list_user(capture->diag.uid, user), SIZE_MAX);
		}
	}
	fputs(" on ", out);
	escape_text(out, capture->interface, SIZE_MAX);
	fputc('\n', out);
	for (size_t i = 1; i < capture->holder_count; i++) {
		if (capture->holders[i].pid == capture->holders[i - 1].pid)
			continue;
		fputs("  also       ", out);
		print_process(out, capture->holders[i].pid);
		fputc('\n', out);
	}
}

static void print_protocol(FILE *out, const struct packet_diag_socket *socket)
{
	switch (socket->protocol) {
	case 0:
		fputs("no protocol: nothing comes in", out);
		break;
	case ETH_P_ALL:
		fputs("all protocols", out);
		break;
	case ETH_P_IP:
		fputs("ip only", out);
		break;
	case ETH_P_IPV6:
		fputs("ipv6 only", out);
		break;
	case ETH_P_ARP:
		fputs("arp only", out);
		break;
	default:
		fprintf(out, "only protocol 0x%04x", socket->protocol);
	}
	if (socket->protocol && !socket->running)
		fputs(", but nothing comes in", out);
}

static void print_socket(FILE *out, const struct packet_diag_socket *socket)
{
	double bytes = (double)socket->ring.pdr_block_size * socket->ring.pdr_block_nr;

	fprintf(out, "  socket     %s, ", socket->type == SOCK_DGRAM ? "cooked" : "raw");
	print_protocol(out, socket);
	if (socket->promiscuous)
		fputs(", promiscuous", out);
	if (bytes > 0)
		fprintf(out, ", ring of %.*f %s (version %u)", bytes < 10e6,
			bytes / (bytes < 1e6 ? 1e3 : 1e6), bytes < 1e6 ? "kB" : "MB",
			socket->version + 1);
	if (socket->has_fanout)
		fprintf(out, ", fanout group %u by %s", socket->fanout & 0xffff,
			list_fanout(socket->fanout));
	fputc('\n', out);
}

static void print_program(FILE *out, const struct capture *capture)
{
	for (size_t i = 0; i < capture->insn_count; i++)
		fprintf(out, "             %s\n", filter_text_insn(capture->insns, i));
}

/* "everything" and "nothing" in place of the expressions that libpcap has for them. */
static const char *filter_words(const struct capture *capture, const char *name)
{
	if (filter_rejects_all(capture->insns, capture->insn_count))
		return "accepts nothing";
	return name && !*name ? "accepts everything" : name;
}

static void print_filter(FILE *out, const struct capture *capture, bool verbose)
{
	char *name;

	fputs("  filter     ", out);
	switch (capture->filter) {
	case CAPTURE_FILTER_UNKNOWN:
		fputs(capture->diag.filter == PACKET_DIAG_FILTER_ABSENT
			      ? "none, or eBPF: the kernel makes no difference\n"
			      : "not shown without root\n",
		      out);
		return;
	case CAPTURE_FILTER_NONE:
		fputs("none\n", out);
		return;
	case CAPTURE_FILTER_EBPF:
		fputs("eBPF\n", out);
		return;
	case CAPTURE_FILTER_CLASSIC:
		break;
	}
	name = list_filter_name(capture);
	if (filter_words(capture, name))
		fprintf(out, "%s\n", filter_words(capture, name));
	else
		fprintf(out, "%zu instructions%s\n", capture->insn_count,
			verbose ? "" : " without a simple name: list -v shows them");
	free(name);
	if (verbose)
		print_program(out, capture);
}

static void print_drops(FILE *out, const struct packet_diag_socket *socket)
{
	if (socket->ring.pdr_block_nr)
		fputs("  drops      its ring's: asking would reset the count, so it is left to the tool\n",
		      out);
	else if (socket->has_drops)
		fprintf(out, "  drops      %" PRIu32 "\n", socket->drops);
}

static void print_meter(FILE *out, const struct capture *capture)
{
	fputs("  socktally  ", out);
	if (capture->meter == CAPTURE_METERED)
		fprintf(out, "is on it (pid %d)\n", capture->meter_pid);
	else if (capture->meter == CAPTURE_LEFT)
		fprintf(out, "%s\n", capture->why);
	else if (capture->attachable)
		fputs("isn't on it; it could be metered\n", out);
	else
		fprintf(out, "can't be metered: %s\n", capture->why);
}

static void print_capture(FILE *out, const struct captures *captures, const struct capture *capture,
			  bool verbose)
{
	const char *namespace = list_namespace(captures, capture);

	print_holders(out, capture);
	print_filter(out, capture, verbose);
	print_socket(out, &capture->diag);
	if (strcmp(namespace, "own")) {
		fputs("  namespace  ", out);
		escape_text(out, namespace, SIZE_MAX);
		fprintf(out, "%s%" PRIu64 "\n", *namespace ? ", " : "",
			captures->namespaces.namespace[capture->namespace].inode);
	}
	print_drops(out, &capture->diag);
	print_meter(out, capture);
}

void list_text(FILE *out, const struct captures *captures, bool verbose)
{
	const char *hidden;
	bool root;

	for (size_t i = 0; i < captures->count; i++) {
		if (i)
			fputc('\n', out);
		print_capture(out, captures, &captures->capture[i], verbose);
	}
	if (!captures->count)
		fputs("no packet socket in sight\n", out);
	for (unsigned int i = 0; (hidden = list_hidden(captures, i, &root)); i++)
		fprintf(out, "%snot shown%s: %s\n", i ? "" : "\n", root ? " without root" : "",
			hidden);
}
