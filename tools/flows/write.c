// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "tools/content/time.h"
#include "tools/flows/table.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <string.h>

/* "[2001:db8::1]:65535" */
#define END_MAX (INET6_ADDRSTRLEN + 8)

static void address_text(const struct flow *flow, const struct st_flow_end *end,
			 char text[INET6_ADDRSTRLEN])
{
	inet_ntop(flow->id.version == 6 ? AF_INET6 : AF_INET, end->address, text, INET6_ADDRSTRLEN);
}

static void end_text(const struct flow *flow, const struct st_flow_end *end, char text[END_MAX])
{
	char address[INET6_ADDRSTRLEN];

	address_text(flow, end, address);
	snprintf(text, END_MAX, flow->id.version == 6 ? "[%s]:%u" : "%s:%u", address, end->port);
}

/* The innermost two VLANs, the outer one first; returns how many. 0 is none (IEEE 802.1Q, 9.6). */
static int vlans(const struct flow *flow, unsigned int vlan[2])
{
	int count = 0;

	for (int shift = 12; shift >= 0; shift -= 12)
		if (flow->id.tags >> shift & 0xfff)
			vlan[count++] = flow->id.tags >> shift & 0xfff;
	return count;
}

static void write_flow_text(FILE *out, const struct flow *flow)
{
	char a[END_MAX], b[END_MAX], name[SOCKTALLY_PATH_TEXT_MAX], application[64] = "-";
	unsigned int vlan[2];

	end_text(flow, &flow->id.from, a);
	end_text(flow, &flow->id.to, b);
	socktally_path_text(&flow->id.transport, 1, name, sizeof(name));
	if (flow->id.application)
		socktally_path_text(&flow->id.application, 1, application, sizeof(application));
	fprintf(out, "%-7s %-21s %-21s %-12s %8" PRIu64 " %12" PRIu64, name, a, b, application,
		flow->count.packets, flow->count.bytes);
	if (flow->timed) {
		fputs("  ", out);
		report_time(out, &flow->start);
		fputs("  ", out);
		report_time(out, &flow->end);
	} else {
		fputs("  -  -", out);
	}
	for (int i = 0, count = vlans(flow, vlan); i < count; i++)
		fprintf(out, "%s%u", i ? "," : "  vlan ", vlan[i]);
	fputc('\n', out);
}

static void write_rest_text(FILE *out, const struct flows_count *count, const char *what)
{
	if (count->packets)
		fprintf(out, "%" PRIu64 " packets, %" PRIu64 " bytes %s\n", count->packets,
			count->bytes, what);
}

void flows_write_text(FILE *out, const struct flows *flows)
{
	fprintf(out, "%-7s %-21s %-21s %-12s %8s %12s  %-27s  %s\n", "flow", "a", "b",
		"application", "packets", "bytes", "first packet", "last packet");
	for (uint32_t i = 0; i < flows->count; i++)
		write_flow_text(out, &flows->flow[i]);
	write_rest_text(out, &flows->other, "without ports");
	write_rest_text(out, &flows->late, "of flows for which there was no room");
}

static void write_count_json(FILE *out, const struct flows_count *count)
{
	fprintf(out, "\"packets\":%" PRIu64 ",\"bytes\":%" PRIu64, count->packets, count->bytes);
}

static void write_flow_json(FILE *out, const struct flow *flow)
{
	char a[INET6_ADDRSTRLEN], b[INET6_ADDRSTRLEN], name[64];
	unsigned int vlan[2];

	address_text(flow, &flow->id.from, a);
	address_text(flow, &flow->id.to, b);
	socktally_path_text(&flow->id.transport, 1, name, sizeof(name));
	fprintf(out,
		"{\"flow\":{\"protocol\":\"%s\",\"a\":\"%s\",\"a_port\":%u,\"b\":\"%s\",\"b_port\":%u",
		name, a, flow->id.from.port, b, flow->id.to.port);
	for (int i = 0, count = vlans(flow, vlan); i < count; i++)
		fprintf(out, "%s%u%s", i ? "," : ",\"vlans\":[", vlan[i],
			i + 1 == count ? "]" : "");
	fputs("},\"application\":", out);
	if (flow->id.application) {
		socktally_path_text(&flow->id.application, 1, name, sizeof(name));
		fprintf(out, "\"%s\",", name);
	} else {
		fputs("null,", out);
	}
	write_count_json(out, &flow->count);
	if (flow->timed) {
		fputs(",\"start\":\"", out);
		report_time(out, &flow->start);
		fputs("\",\"end\":\"", out);
		report_time(out, &flow->end);
		fputs("\"}\n", out);
	} else {
		fputs(",\"start\":null,\"end\":null}\n", out);
	}
}

static void write_rest_json(FILE *out, const struct flows_count *count, const char *name)
{
	if (!count->packets)
		return;
	fprintf(out, "{\"%s\":{", name);
	write_count_json(out, count);
	fputs("}}\n", out);
}

void flows_write_json(FILE *out, const struct flows *flows)
{
	for (uint32_t i = 0; i < flows->count; i++)
		write_flow_json(out, &flows->flow[i]);
	write_rest_json(out, &flows->other, "without_ports");
	write_rest_json(out, &flows->late, "without_room");
}
