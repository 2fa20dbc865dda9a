// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The list for scripts, schema socktally-list/1: one object on one line. */
#include "tools/list/list.h"

#include "tools/filter_text/filter_text.h"
#include "tools/common/escape.h"
#include <inttypes.h>
#include <stdlib.h>
#include <sys/socket.h>

#define SCHEMA "socktally-list/1"

static void print_member(FILE *out, const char *name, const char *text)
{
	fprintf(out, ",\"%s\":", name);
	if (text)
		escape_json(out, text);
	else
		fputs("null", out);
}

static void print_namespace(FILE *out, const struct captures *captures,
			    const struct capture *capture)
{
	const struct namespace *namespace = &captures->namespaces.namespace[capture->namespace];

	fprintf(out, ",\"namespace\":{\"inode\":%" PRIu64 ",\"own\":%s", namespace->inode,
		namespace->inode == captures->own_namespace ? "true" : "false");
	print_member(out, "name", *namespace->name ? namespace->name : NULL);
	fputc('}', out);
}

static void print_processes(FILE *out, const struct capture *capture)
{
	fputs(",\"processes\":[", out);
	for (size_t i = 0; i < capture->holder_count; i++) {
		const struct holder *holder = &capture->holders[i];
		struct process process;
		char user[64];

		fprintf(out, "%s{\"pid\":%d,\"fd\":%d", i ? "," : "", holder->pid, holder->fd);
		if (!process_read(holder->pid, &process)) {
			print_member(out, "comm", process.comm);
			fprintf(out, ",\"uid\":%u", process.uid);
			print_member(out, "user", list_user(process.uid, user));
		}
		fputc('}', out);
	}
	fputc(']', out);
}

static void print_ring(FILE *out, const struct packet_diag_socket *socket)
{
	const struct packet_diag_ring *ring = &socket->ring;

	if (!ring->pdr_block_nr) {
		fputs(",\"ring\":null", out);
		return;
	}
	fprintf(out,
		",\"ring\":{\"version\":%u,\"bytes\":%" PRIu64
		",\"block_size\":%u,\"blocks\":%u,\"frame_size\":%u,\"frames\":%u}",
		socket->version + 1, (uint64_t)ring->pdr_block_size * ring->pdr_block_nr,
		ring->pdr_block_size, ring->pdr_block_nr, ring->pdr_frame_size, ring->pdr_frame_nr);
}

static void print_socket(FILE *out, const struct packet_diag_socket *socket)
{
	char user[64];

	fprintf(out, ",\"type\":\"%s\",\"protocol\":%u,\"receiving\":%s,\"promiscuous\":%s",
		socket->type == SOCK_DGRAM ? "dgram"
		: socket->type == SOCK_RAW ? "raw"
					   : "packet",
		socket->protocol, socket->running && socket->protocol ? "true" : "false",
		socket->promiscuous ? "true" : "false");
	print_ring(out, socket);
	if (socket->has_fanout)
		fprintf(out, ",\"fanout\":{\"group\":%u,\"type\":\"%s\"}", socket->fanout & 0xffff,
			list_fanout(socket->fanout));
	else
		fputs(",\"fanout\":null", out);
	/* a ring's count, and that of packets, would be reset by asking: they are the tool's */
	fputs(",\"packets\":null,\"drops\":", out);
	if (socket->has_drops && !socket->ring.pdr_block_nr)
		fprintf(out, "%" PRIu32, socket->drops);
	else
		fputs("null", out);
	if (socket->has_uid) {
		fprintf(out, ",\"uid\":%u", socket->uid);
		print_member(out, "user", list_user(socket->uid, user));
	}
}

static void print_filter(FILE *out, const struct capture *capture)
{
	static const char *const kinds[] = {
		[CAPTURE_FILTER_UNKNOWN] = "unknown",
		[CAPTURE_FILTER_NONE] = "none",
		[CAPTURE_FILTER_CLASSIC] = "classic",
		[CAPTURE_FILTER_EBPF] = "ebpf",
	};
	char *name = list_filter_name(capture), *numbers;

	fprintf(out, ",\"filter\":{\"kind\":\"%s\"", kinds[capture->filter]);
	print_member(out, "expression", name);
	free(name);
	if (capture->filter == CAPTURE_FILTER_CLASSIC) {
		numbers = filter_text_numbers(capture->insns, capture->insn_count);
		print_member(out, "program", numbers);
		free(numbers);
		fputs(",\"listing\":[", out);
		for (size_t i = 0; i < capture->insn_count; i++) {
			if (i)
				fputc(',', out);
			escape_json(out, filter_text_insn(capture->insns, i));
		}
		fputc(']', out);
	}
	fputc('}', out);
}

static void print_meter(FILE *out, const struct captures *captures, const struct capture *capture)
{
	if (capture->meter == CAPTURE_UNMETERED)
		fputs(captures->saved_hidden ? ",\"socktally\":null" : ",\"socktally\":\"off\"",
		      out);
	else
		fprintf(out, ",\"socktally\":\"%s\",\"socktally_pid\":%d",
			capture->meter == CAPTURE_METERED ? "on" : "left", capture->meter_pid);
	fprintf(out, ",\"locked\":%s,\"attachable\":%s", capture->locked ? "true" : "false",
		capture->attachable ? "true" : "false");
	print_member(out, "why", capture->why);
}

void list_json(FILE *out, const struct captures *captures)
{
	const char *hidden;
	bool root;

	fputs("{\"schema\":\"" SCHEMA "\",\"sockets\":[", out);
	for (size_t i = 0; i < captures->count; i++) {
		const struct capture *capture = &captures->capture[i];

		fprintf(out, "%s{\"cookie\":%" PRIu64 ",\"inode\":%u", i ? "," : "",
			capture->diag.cookie, capture->diag.inode);
		print_member(out, "interface", capture->interface);
		fprintf(out, ",\"ifindex\":%d", capture->diag.ifindex);
		print_namespace(out, captures, capture);
		print_processes(out, capture);
		print_socket(out, &capture->diag);
		print_filter(out, capture);
		print_meter(out, captures, capture);
		fputc('}', out);
	}
	fputs("],\"hidden\":[", out);
	for (unsigned int i = 0; (hidden = list_hidden(captures, i, &root)); i++) {
		if (i)
			fputc(',', out);
		escape_json(out, hidden);
	}
	fputs("]}\n", out);
}
