/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
#ifndef SOCKTALLY_TOOLS_REPORT_FILTER_H
#define SOCKTALLY_TOOLS_REPORT_FILTER_H

#include "tools/report/report.h"

/*
 * What the filter accepts, as a pcap-filter expression; in text also "accepts everything", or "accepts
 * nothing". malloc'ed; NULL: no expression was found.
 */
char *report_filter_name(const struct sock_filter *insns, size_t count, const char *linktype,
			 enum report_format format);

/*
 * The same for the filters of all sockets on the meter, with "; " between; its program stands for a
 * filter without an expression. NULL: they have none.
 */
char *report_filter_names(struct socktally *meter, enum report_format format);

/* The programs alone. */
char *report_filter_programs(struct socktally *meter);

#endif
