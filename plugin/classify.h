/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The classifier without a kernel. */
#ifndef SOCKTALLY_CLASSIFY_H
#define SOCKTALLY_CLASSIFY_H

#include <stddef.h>
#include "../bpf/table.h"

/* The path of a packet of which caplen bytes are there. link: enum st_link. */
struct st_path st_classify(__u32 link, const void *data, size_t caplen);

/* enum st_link for a LINKTYPE_ number of a capture file; ST_LINK_OTHER | number if it is no other. */
__u32 st_link_of_linktype(__u32 linktype);

#endif
