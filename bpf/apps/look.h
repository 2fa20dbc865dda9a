/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a flow's payload says about its application. The evidence is include/socktally/applications.def, of which
 * build-aux/apps makes the index that is included here; in these headers is what a line can't say.
 *
 * What a flow remembers between two packets, 14 bits: what the last of them was evidence of if there should be more
 * (ST_HINT_...), which side sent it, and eight bits for the line to use.
 */
#ifndef SOCKTALLY_BPF_APPS_LOOK_H
#define SOCKTALLY_BPF_APPS_LOOK_H

#include "bpf/parse/dispatch.h"
#include "bpf/apps/bytes.h"
#include "bpf/apps/ber.h"
#include "bpf/apps/dns.h"
#include "bpf/apps/media.h"
#include "bpf/apps/options.h"
#include "bpf/apps/records.h"
#include "bpf/apps/text.h"

#define ST_STATE(hint, keep)                                                                       \
	((__u32)p->side << 13 | (__u32)ST_HINT_##hint << 8 | ((__u32)(keep)&0xff))
#define ST_HINT_0 0

/* The words of applications.def. */
#define LENGTH p->length
#define THERE p->there
#define BE8(at) ((__u32)ST_BE8(at))
#define BE16(at) ((__u32)ST_BE16(at))
#define BE24(at) ((__u32)ST_BE24(at))
#define BE32(at) ((__u32)ST_BE32(at))
#define LE16(at) ((__u32)ST_LE16(at))
#define LE24(at) ((__u32)ST_LE24(at))
#define LE32(at) ((__u32)ST_LE32(at))
#define PORT(number) st_app_port(p, number)
#define TO(number) (p->to == (number))
#define FROM(number) (p->from == (number))
#define FIRST (!p->nth && !p->other)
#define KEPT (state & 0xff)
#define AFTER(hint) ((state >> 8 & 31) == ST_HINT_##hint)
#define AGAIN(hint) ((state >> 8 & 63) == ((__u32)ST_HINT_##hint | (__u32)p->side << 5))
#define REPLY(hint) ((state >> 8 & 63) == ((__u32)ST_HINT_##hint | (p->side ^ 1U) << 5))
#define NAMED_BEFORE(application) ((state & 0x1fff) == ST_##application)
#define HAS(characters) st_app_has(p, characters)

#include "bpf/apps/index.h"

_Static_assert(ST_HINTS <= 32, "a hint has five bits");

#undef LENGTH
#undef THERE
#undef BE8
#undef BE16
#undef BE24
#undef BE32
#undef LE16
#undef LE24
#undef LE32
#undef PORT
#undef TO
#undef FROM
#undef FIRST
#undef KEPT
#undef AFTER
#undef AGAIN
#undef REPLY
#undef NAMED_BEFORE
#undef HAS

/*
 * state: what this returned for the flow's packet before, 0 at first. Returns a state, or ST_APP_FOUND | the
 * application's number, with ST_APP_MORE if a later packet may give a better name.
 */
static __always_inline __u32 st_app_look(const struct st_app_payload *p, __u32 state)
{
	__u32 found;

	if (p->transport == ST_TCP) {
		found = st_app_found_TCP(p, state);
		ST_APP_FORGET();
		if (!(found & ST_APP_FOUND))
			found = st_app_hint_TCP(p, state);
	} else {
		found = st_app_found_UDP(p, state);
		ST_APP_FORGET();
		if (!(found & ST_APP_FOUND))
			found = st_app_hint_UDP(p, state);
	}
	ST_APP_FORGET();
	/* The zero behind the payload: one that the verifier does not know, so that it does not follow each number. */
	return found ^ ST_BE32(ST_APP_BLOCK + 12);
}

#endif
