// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* snap=PATH:BYTES: the tool gets no more of these packets than so many bytes. */
#include "bpf/hooks/pattern.h"

const volatile struct st_pattern pattern;
const volatile __u32 bytes;

SOCKTALLY_HOOK(snap, skb, packet)
{
	return st_pattern_matches(&pattern, packet) ? SOCKTALLY_CUT(bytes) : SOCKTALLY_PASS;
}
