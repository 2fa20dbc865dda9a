/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The flow memory: which application a flow was recognised as. Shared by the kernel's programs and the
 * library, which counts packets of files with it.
 *
 * A table of buckets, each of one cache line: eight words of 64 bits, a flow each. A word is all that is
 * known of a flow, and one plain store changes it: no lock, no atomic operation, no call. What two CPUs
 * that have packets of one flow at the same moment may cost is said in docs/applications.md.
 *
 * Flows that are new take the first words of a bucket only, and the oldest of them goes first. The others
 * are for flows that were recognised and have had another packet since. So however many new flows there
 * are, they push out no flow that is known and alive.
 */
#ifndef SOCKTALLY_BPF_APPS_WORD_H
#define SOCKTALLY_BPF_APPS_WORD_H

#include <linux/types.h>

/*
 * Whether the kernel's programs recognise applications. With all evidence the verifier goes through more than the
 * million instructions that it allows a program: until that is mended, only packets of files are looked at.
 */
#define ST_APP_IN_KERNEL 0

#define ST_FLOW_WORDS 8
#define ST_FLOW_YOUNG 3 /* of them for flows that are new */

#define ST_FLOW_DEFAULT (1 << 17) /* flows: 1 MiB */
#define ST_FLOW_LEAST (1 << 10)
#define ST_FLOW_MOST (1 << 19) /* the largest element that an old kernel's array may have: 4 MiB */

/*
 * A word: 0 is none.
 *
 *	bits 0-7	what it was recognised as; before that, bits of the look's state
 *	8		it was recognised
 *	9		it ends by age: no TCP
 *	10-11, 12-13	packets with payload that were looked at, of each side
 *	14-19		the other bits of the look's state
 *	20-31		when it was last seen, in units of some 4 s
 *	32-63		part of the flow's hash
 */
#define ST_FLOW_NAMED (1ull << 8)
#define ST_FLOW_ENDS (1ull << 9)
#define ST_FLOW_LOOKS(side) (10 + 2 * (side))
#define ST_FLOW_LOOKED (15ull << ST_FLOW_LOOKS(0)) /* nothing is looked at any more */
#define ST_FLOW_AGE 20
#define ST_FLOW_AGE_MASK 0xfff
#define ST_FLOW_TAG 32

/* A unit of age in seconds, about: in the kernel it is a power of two of ticks. */
#define ST_FLOW_UNIT 4
/* A flow that isn't TCP ends after 5 minutes without a packet (RFC 4787, REQ-5). */
#define ST_FLOW_LIFE (300 / ST_FLOW_UNIT)

#endif
