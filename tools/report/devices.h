/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
#ifndef SOCKTALLY_TOOLS_REPORT_DEVICES_H
#define SOCKTALLY_TOOLS_REPORT_DEVICES_H

/*
 * What a socket on all interfaces counts more than once: in this network namespace, a device that hands its
 * packets to another one, as a port of a bridge, in words. malloc'ed; NULL: there is none.
 */
char *report_stacked_devices(void);

#endif
