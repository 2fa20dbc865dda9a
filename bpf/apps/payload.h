/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is looked at to recognise a flow's application: the start of a packet's payload. */
#ifndef SOCKTALLY_BPF_APPS_PAYLOAD_H
#define SOCKTALLY_BPF_APPS_PAYLOAD_H

#include <linux/types.h>

/* Bytes of the payload. Behind them are zeros, so that a number may be read from the last one. */
#define ST_APP_BLOCK 64
#define ST_APP_BEHIND 16

struct st_app_payload {
	__u8 bytes[ST_APP_BLOCK + ST_APP_BEHIND]; /* behind what is there: zeros */
	__u32 length;   /* of the payload in this packet, by the headers: 1 at least */
	__u32 there;    /* bytes of it that are in `bytes` */
	__u16 from, to; /* ports */
	__u8 transport; /* ST_TCP, ST_UDP */
	__u8 side;      /* which end has sent it, 0 or 1: not who is the client */
	__u8 nth;       /* packets with payload of this side that were looked at before */
	__u8 other;     /* the same of the other side */
} __attribute__((aligned(8)));

/*
 * What st_app_look() of look.h returns, besides what it wants to be given with the flow's next packet, a
 * number of ST_APP_STATE_BITS.
 */
#define ST_APP_STATE_BITS 14
#define ST_APP_FOUND 0x10000 /* ORed with the application's number */
#define ST_APP_NEVER 0x20000 /* nothing (more) will come: don't look at this flow again */
#define ST_APP_MORE 0x40000  /* with ST_APP_FOUND: go on looking, it may be something more exact */

/* Packets with payload that are looked at, of each side. */
#define ST_APP_LOOKS 3

#endif
