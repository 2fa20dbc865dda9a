// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* read -f: a pcap-filter(7) expression, asked of each packet. */
#include "tools/read/read.h"

#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

#define PROGRAMS 16 /* link types, as many as a report names */

/* The expression compiled for one link type. */
struct program {
	uint32_t linktype;
	bool refused; /* it can't be: no packet of that type is accepted */
	struct bpf_program code;
};

struct read_filter {
	const char *expression;
	struct program programs[PROGRAMS];
	size_t count;
};

/* What libpcap takes for a link type is not the number in a file: it only translates that of a file. */
static pcap_t *pcap_of(uint32_t linktype)
{
	struct pcap_file_header header = {
		.magic = 0xa1b2c3d4,
		.version_major = 2,
		.version_minor = 4,
		.snaplen = 262144,
		.linktype = linktype,
	};
	FILE *file = fmemopen(&header, sizeof(header), "r");
	char error[PCAP_ERRBUF_SIZE];
	pcap_t *pcap = file ? pcap_fopen_offline(file, error) : NULL;

	if (file && !pcap)
		fclose(file);
	return pcap;
}

static struct program *compile(struct read_filter *filter, uint32_t linktype)
{
	struct program *program = &filter->programs[filter->count];
	pcap_t *pcap = filter->count < PROGRAMS ? pcap_of(linktype) : NULL;

	if (!pcap) {
		command_fail("-f: can't be asked of packets of link type %u", linktype);
		return NULL;
	}
	*program = (struct program){.linktype = linktype};
	program->refused =
		pcap_compile(pcap, &program->code, filter->expression, 1, PCAP_NETMASK_UNKNOWN);
	if (program->refused && !filter->count) {
		command_fail("-f '%.200s': %s (see pcap-filter(7))", filter->expression,
			     pcap_geterr(pcap));
		pcap_close(pcap);
		return NULL;
	}
	if (program->refused)
		command_note("-f accepts no packets of link type %u: %s", linktype,
			     pcap_geterr(pcap));
	pcap_close(pcap);
	filter->count++;
	return program;
}

struct read_filter *read_filter_open(const char *expression)
{
	struct read_filter *filter = calloc(1, sizeof(*filter));

	if (filter)
		filter->expression = expression;
	return filter;
}

void read_filter_free(struct read_filter *filter)
{
	if (!filter)
		return;
	for (size_t i = 0; i < filter->count; i++)
		pcap_freecode(&filter->programs[i].code);
	free(filter);
}

int read_filter_accepts(struct read_filter *filter, const struct capture_packet *packet)
{
	const struct pcap_pkthdr header = {.caplen = packet->caplen, .len = packet->len};
	struct program *program = NULL;

	for (size_t i = 0; i < filter->count && !program; i++) {
		if (filter->programs[i].linktype == packet->linktype)
			program = &filter->programs[i];
	}
	if (!program)
		program = compile(filter, packet->linktype);
	if (!program)
		return -1;
	return !program->refused && pcap_offline_filter(&program->code, &header, packet->data) != 0;
}
