// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* drop=PATH: the tool doesn't get these packets. */
#include "bpf/hooks/pattern.h"

const volatile struct st_pattern pattern;

SOCKTALLY_HOOK(drop, skb, packet)
{
	return st_pattern_matches(&pattern, packet) ? SOCKTALLY_DROP : SOCKTALLY_PASS;
}
