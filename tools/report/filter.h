/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
#ifndef SOCKTALLY_TOOLS_REPORT_FILTER_H
#define SOCKTALLY_TOOLS_REPORT_FILTER_H

#include <socktally/socktally.h>

/*
 * What the filter accepts, as a pcap-filter expression or in words. malloc'ed; NULL: no expression was
 * found.
 */
char *report_filter_name(const struct sock_filter *insns, size_t count, const char *linktype);

/*
 * The same for the filters of all sockets on the meter, with "; " between. NULL: they have none.
 */
char *report_filter_words(struct socktally *meter);

#endif
