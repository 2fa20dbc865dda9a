// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The least that a hook can do. */
#include <socktally/hook.bpf.h>

SOCKTALLY_HOOK(pass, skb, packet)
{
	return SOCKTALLY_PASS;
}
