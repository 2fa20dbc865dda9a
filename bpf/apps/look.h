/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a packet's payload says about the application of its flow. */
#ifndef SOCKTALLY_BPF_APPS_LOOK_H
#define SOCKTALLY_BPF_APPS_LOOK_H

#include "bpf/apps/payload.h"

static __always_inline __u32 st_app_look(const struct st_app_payload *payload, __u32 state)
{
	(void)payload;
	return state;
}

#endif
