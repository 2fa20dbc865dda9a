/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Classic BPF filters as text. */
#ifndef SOCKTALLY_TOOLS_FILTER_TEXT_FILTER_TEXT_H
#define SOCKTALLY_TOOLS_FILTER_TEXT_FILTER_TEXT_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>

/* One instruction as `tcpdump -d` prints it, in static storage. */
const char *filter_text_insn(const struct sock_filter *insns, size_t number);

/*
 * The text of `tcpdump -ddd` with commas instead of newlines, as iptables' bpf match takes it.
 * malloc'ed; NULL: no memory.
 */
char *filter_text_numbers(const struct sock_filter *insns, size_t count);

/*
 * A pcap-filter expression that libpcap compiles to exactly this filter on this kind of link
 * ("eth", "raw", "sll"), apart from the number of accepted bytes. Tries common expressions with the
 * constants of the filter, for so many milliseconds of processor time. malloc'ed; NULL: none was
 * found.
 */
char *filter_text_name(const struct sock_filter *insns, size_t count, const char *linktype,
		       unsigned int milliseconds);

/*
 * For several sockets: appends text to texts, after "; ", unless it is already there. Takes
 * ownership of text, which may be NULL.
 */
void filter_text_join(char **texts, char *text);

/* "Accept nothing", which libpcap sets on a socket while it changes filters. */
bool filter_rejects_all(const struct sock_filter *insns, size_t count);

#endif
