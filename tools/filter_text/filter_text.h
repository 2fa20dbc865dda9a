/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Classic BPF filters for people. */
#ifndef SOCKTALLY_TOOLS_FILTER_TEXT_FILTER_TEXT_H
#define SOCKTALLY_TOOLS_FILTER_TEXT_FILTER_TEXT_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>

/* One instruction as `tcpdump -d` prints it, in static storage. */
const char *filter_text_insn(const struct sock_filter *insns, size_t number);

/*
 * The text of `tcpdump -ddd` on one line, with commas for newlines: what iptables' bpf match and
 * libpcap's users take. malloc'ed; NULL: no memory.
 */
char *filter_text_numbers(const struct sock_filter *insns, size_t count);

/*
 * An expression in pcap-filter's language that libpcap compiles to exactly this filter on this kind
 * of link ("eth", "raw", "sll"), the number of bytes to accept aside. Tries what people ask for with
 * the constants that are in the filter, for so many milliseconds of processor time. malloc'ed; NULL:
 * none was found.
 */
char *filter_text_name(const struct sock_filter *insns, size_t count, const char *linktype,
		       unsigned int milliseconds);

/*
 * For several sockets: puts the text behind the others, with "; " between, unless it is among them.
 * Takes the text, which may be NULL.
 */
void filter_text_join(char **texts, char *text);

/* What libpcap sets on a socket while it changes filters: a single "accept nothing". */
bool filter_rejects_all(const struct sock_filter *insns, size_t count);

#endif
