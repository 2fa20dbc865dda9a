/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
#ifndef SOCKTALLY_REPORT_FILTER_H
#define SOCKTALLY_REPORT_FILTER_H

#include <socktally/socktally.h>

/*
 * What the filter of the meter's first socket that has one accepts, as a pcap-filter expression.
 * malloc'ed; NULL: there is no filter, or no expression was found.
 */
char *report_filter_words(struct socktally *meter);

#endif
