// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Expressions are compiled by libpcap, which is loaded at the first one: a host without expressions
 * needs no libpcap.
 *
 * The filter depends on where it runs. In the kernel, a VLAN tag is not among the packet's bytes.
 * libpcap generates code for that on an open capture only, so "vlan" is compiled on one. On a
 * cooked socket the kernel shows no link-layer header, so the offsets are changed as libpcap does
 * it (fix_program() in pcap-linux.c).
 */
#include "plugin/classes/classes.h"
#include "plugin/count/classify.h"
#include "plugin/meter/meter.h"
#include "plugin/translate/internal.h"
#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SNAPLEN 262144
#define NETMASK_UNKNOWN 0xffffffffu

/* DLT_ and LINKTYPE_ numbers */
enum { DLT_EN10MB = 1, DLT_RAW = 12, DLT_LINUX_SLL2 = 276 };

#define SLL2_HEADER 20
enum { SLL2_PROTOCOL = 0, SLL2_IFINDEX = 4, SLL2_PACKET_TYPE = 10 };

/* libpcap's struct bpf_program: as struct sock_fprog, but with a wider length. */
struct pcap_program {
	unsigned int length;
	struct sock_filter *insns;
};

struct st_pcap {
	void *library;
	void *(*open_dead)(int linktype, int snaplen);
	int (*compile)(void *pcap, struct pcap_program *program, const char *text, int optimize,
		       uint32_t netmask);
	void (*freecode)(struct pcap_program *program);
	char *(*geterr)(void *pcap);
	void (*close)(void *pcap);
	void *(*create)(const char *interface, char *error);
	int (*activate)(void *pcap);
	int (*datalink)(void *pcap);
	/* the last one opened: many classes are compiled for the same link */
	void *dead;
	int dead_linktype;
};

void st_pcap_close(struct st_pcap *pcap)
{
	if (!pcap)
		return;
	if (pcap->dead)
		pcap->close(pcap->dead);
	dlclose(pcap->library);
	free(pcap);
}

static bool find_functions(struct st_pcap *pcap)
{
	const struct {
		const char *name;
		void *to;
	} functions[] = {
		{"pcap_open_dead", &pcap->open_dead}, {"pcap_compile", &pcap->compile},
		{"pcap_freecode", &pcap->freecode},   {"pcap_geterr", &pcap->geterr},
		{"pcap_close", &pcap->close},         {"pcap_create", &pcap->create},
		{"pcap_activate", &pcap->activate},   {"pcap_datalink", &pcap->datalink},
	};

	for (size_t i = 0; i < sizeof(functions) / sizeof(*functions); i++) {
		void *function = dlsym(pcap->library, functions[i].name);

		if (!function)
			return false;
		memcpy(functions[i].to, &function, sizeof(function));
	}
	return true;
}

static int pcap_find(struct socktally *meter)
{
	/* Debian's name, and that of other distributions */
	static const char *const names[] = {"libpcap.so.0.8", "libpcap.so.1"};
	struct st_pcap *pcap;

	if (meter->pcap)
		return 0;
	pcap = calloc(1, sizeof(*pcap));
	if (!pcap)
		return st_fail(meter, -ENOMEM, "no memory for libpcap");
	for (size_t i = 0; i < sizeof(names) / sizeof(*names) && !pcap->library; i++)
		pcap->library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
	if (!pcap->library) {
		free(pcap);
		return st_fail(meter, -ENOSYS,
			       "expressions need libpcap, which can't be loaded: install it "
			       "(Debian: libpcap0.8), or give the class as a filter");
	}
	if (!find_functions(pcap)) {
		dlclose(pcap->library);
		free(pcap);
		return st_fail(meter, -ENOSYS, "this libpcap is too old for expressions");
	}
	meter->pcap = pcap;
	return 0;
}

static void *dead_for(struct st_pcap *pcap, int linktype)
{
	if (pcap->dead && pcap->dead_linktype == linktype)
		return pcap->dead;
	if (pcap->dead)
		pcap->close(pcap->dead);
	pcap->dead = pcap->open_dead(linktype, SNAPLEN);
	pcap->dead_linktype = linktype;
	return pcap->dead;
}

static void *live_on(const struct st_pcap *pcap, const char *interface)
{
	char error[256]; /* PCAP_ERRBUF_SIZE */
	void *live = pcap->create(interface, error);

	if (live && pcap->activate(live) >= 0 && pcap->datalink(live) == DLT_EN10MB)
		return live;
	if (live)
		pcap->close(live);
	return NULL;
}

/* An open capture of Ethernet frames on any interface; NULL: none could be opened. */
static void *live_open(const struct st_pcap *pcap)
{
	void *live = live_on(pcap, "lo");
	struct if_nameindex *all = live ? NULL : if_nameindex();

	for (struct if_nameindex *one = all; one && one->if_index && !live; one++)
		live = live_on(pcap, one->if_name);
	if (all)
		if_freenameindex(all);
	return live;
}

static bool has_word(const char *text, const char *word)
{
	size_t length = strlen(word);

	for (const char *at = text; (at = strstr(at, word)); at += length) {
		bool starts =
			at == text || !(isalnum((unsigned char)at[-1]) || strchr("-_.", at[-1]));
		unsigned char next = (unsigned char)at[length];

		if (starts && !isalnum(next) && (!next || !strchr("-_.", next)))
			return true;
	}
	return false;
}

/* For some old link types, the number in files (LINKTYPE_) is not that in libpcap (DLT_). */
static int dlt_of_linktype(uint32_t linktype)
{
	switch (linktype) {
	case 100:
		return 11;
	case 101:
		return DLT_RAW;
	case 102:
		return 15;
	case 103:
		return 16;
	case 106:
		return 19;
	}
	return (int)linktype;
}

static int dlt_of(const struct st_class_target *target)
{
	if (!target->live)
		return dlt_of_linktype(target->link);
	switch (target->link) {
	case ST_LINK_ETH:
		return DLT_EN10MB;
	case ST_LINK_RAW:
		return DLT_RAW;
	case ST_LINK_SLL:
		return DLT_LINUX_SLL2;
	}
	return (int)(target->link & 0xffff);
}

/* Changes the offsets to those on a cooked socket. False: the kernel does not show that field. */
static bool cook(struct sock_filter *insns, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct sock_filter *insn = &insns[i];
		int mode = BPF_MODE(insn->code), class = BPF_CLASS(insn->code);

		if ((class != BPF_LD && class != BPF_LDX) ||
		    (mode != BPF_ABS && mode != BPF_IND && mode != BPF_MSH) ||
		    insn->k >= (uint32_t)SKF_AD_OFF)
			continue;
		if (insn->k >= SLL2_HEADER)
			insn->k -= SLL2_HEADER;
		else if (insn->k == SLL2_PROTOCOL)
			insn->k = (uint32_t)(SKF_AD_OFF + SKF_AD_PROTOCOL);
		else if (insn->k == SLL2_IFINDEX)
			insn->k = (uint32_t)(SKF_AD_OFF + SKF_AD_IFINDEX);
		else if (insn->k == SLL2_PACKET_TYPE)
			insn->k = (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE);
		else
			return false;
	}
	return true;
}

/* Whether it asks for metadata, which files don't have. */
static bool asks_kernel(const struct sock_filter *insns, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (st_is_ancillary(&insns[i]))
			return true;
	return false;
}

static int fail_unknown(struct socktally *meter, const struct st_class *class)
{
	return st_fail(meter, -ENODATA,
		       "class %s: asks for what a capture file does not say of its packets",
		       class->name);
}

int st_class_filter_copy(struct socktally *meter, const struct sock_filter *insns, size_t count,
			 struct st_class_filter *filter)
{
	filter->insns = malloc((count ? count : 1) * sizeof(*insns));
	if (!filter->insns)
		return st_fail(meter, -ENOMEM, "no memory for a class's filter");
	if (count)
		memcpy(filter->insns, insns, count * sizeof(*insns));
	filter->count = count;
	return 0;
}

/* False: *why has libpcap's message. */
static bool compile_on(struct st_pcap *pcap, void *handle, const char *text,
		       struct pcap_program *program, char why[256])
{
	if (!handle)
		snprintf(why, 256, "libpcap doesn't know this kind of packets");
	else if (pcap->compile(handle, program, text, 1, NETMASK_UNKNOWN))
		snprintf(why, 256, "%s", pcap->geterr(handle));
	else
		return true;
	return false;
}

int st_class_compile_tagged(struct socktally *meter, struct st_class *class, size_t count,
			    size_t *failed)
{
	void *live = NULL;
	int result = 0;

	for (size_t i = 0; i < count && !result; i++) {
		struct pcap_program program = {0};
		char why[256];

		if (!class[i].expression || !has_word(class[i].expression, "vlan") ||
		    class[i].tagged.count)
			continue;
		result = pcap_find(meter);
		if (!result && !live)
			live = live_open(meter->pcap);
		if (!result && !live)
			result = st_fail(meter, -ENETDOWN,
					 "class %s: 'vlan' can be compiled on an open capture of "
					 "Ethernet only, and none can be opened: ip link set lo up",
					 class[i].name);
		if (!result && compile_on(meter->pcap, live, class[i].expression, &program, why)) {
			result = st_class_filter_copy(meter, program.insns, program.length,
						      &class[i].tagged);
			meter->pcap->freecode(&program);
		}
		if (result)
			*failed = i;
	}
	if (live)
		meter->pcap->close(live);
	return result;
}

static int compile_expression(struct socktally *meter, const struct st_class *class,
			      const struct st_class_target *target, struct st_class_filter *filter,
			      char why[256])
{
	struct pcap_program program = {0};
	struct st_pcap *pcap;
	int result = pcap_find(meter);

	if (result)
		return result;
	pcap = meter->pcap;
	if (target->live && target->link == ST_LINK_ETH && class->tagged.count)
		return st_class_filter_copy(meter, class->tagged.insns, class->tagged.count,
					    filter);
	if (!compile_on(pcap, dead_for(pcap, dlt_of(target)), class->expression, &program, why))
		return 0;
	if (target->live && target->link == ST_LINK_SLL && !cook(program.insns, program.length))
		snprintf(why, 256, "the kernel does not show this part of the header");
	else if (!target->live && asks_kernel(program.insns, program.length))
		result = fail_unknown(meter, class);
	else if (st_check_classic(program.insns, program.length))
		snprintf(why, 256, "the kernel would not take it as a filter");
	else
		result = st_class_filter_copy(meter, program.insns, program.length, filter);
	pcap->freecode(&program);
	return result;
}

static uint32_t live_link(uint32_t linktype)
{
	uint32_t link = st_link_of_linktype(linktype);

	return link == ST_LINK_SLL_V1 || link == ST_LINK_SLL_V2 ? ST_LINK_SLL : link;
}

int st_class_compile(struct socktally *meter, const struct st_class *class,
		     const struct st_class_target *target, struct st_class_filter *filter,
		     char why[256])
{
	*filter = (struct st_class_filter){0};
	*why = 0;
	if (class->expression)
		return compile_expression(meter, class, target, filter, why);
	if ((target->live ? live_link(class->linktype) : class->linktype) != target->link)
		snprintf(why, 256, "it is for packets of another kind");
	else if (!target->live && asks_kernel(class->given.insns, class->given.count))
		return fail_unknown(meter, class);
	else
		return st_class_filter_copy(meter, class->given.insns, class->given.count, filter);
	return 0;
}
