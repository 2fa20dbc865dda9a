/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Link types of capture files: 802.11, Cisco HDLC, Frame Relay, FDDI. */
#ifndef SOCKTALLY_BPF_PARSE_WIRELESS_H
#define SOCKTALLY_BPF_PARSE_WIRELESS_H

#include "bpf/parse/link.h"

/* What the radio says, in little endian. */
static __always_inline void st_radiotap(struct st_step *step, const __u8 *h)
{
	if (h[0])
		step->missing = ST_NOT_THIS;
	step->header = h[2] | (__u32)h[3] << 8;
	step->more =
		1; /* no layer without bytes at the packet's end: the kernel's walk has ended there */
	if (step->header >= 8)
		step->next = ST_DIRECT(ST_WLAN_RADIO);
}

/* IEEE 802.11, 9.2.4.1: the first byte of frame control, then the flags */
#define ST_WLAN_TYPE 0x0f
#define ST_WLAN_DATA 0x08
#define ST_WLAN_NO_DATA 0x40
#define ST_WLAN_QOS 0x80
#define ST_WLAN_BOTH_DS 0x03 /* a fourth address */
#define ST_WLAN_PROTECTED 0x40
#define ST_WLAN_ORDER 0x80
#define ST_WLAN_AGGREGATE 0x80 /* in QoS control: several frames in one */

static __always_inline void st_wlan(struct st_step *step, const __u8 *h)
{
	_Bool has_qos = h[0] & ST_WLAN_QOS;
	_Bool four = (h[1] & ST_WLAN_BOTH_DS) == ST_WLAN_BOTH_DS;
	__u32 qos = four ? h[30] : h[24];

	if (h[0] & 3) /* another version */
		step->missing = ST_NOT_THIS;
	if ((h[0] & ST_WLAN_TYPE) != ST_WLAN_DATA || h[0] & ST_WLAN_NO_DATA ||
	    h[1] & ST_WLAN_PROTECTED || h[22] & 15 /* not the first fragment */ ||
	    (has_qos && qos & ST_WLAN_AGGREGATE))
		return;
	step->header = four ? 30 : 24;
	if (has_qos)
		step->header += h[1] & ST_WLAN_ORDER ? 6 : 2;
	step->next = ST_DIRECT(ST_LLC);
}

/* Address, control, ethertype; of Cisco's own types 0x8035 is SLARP. */
static __always_inline void st_chdlc(struct st_step *step, const __u8 *h)
{
	__u32 type = st_get16(h + 2);

	if (type == 0x2000)
		step->next = ST_DIRECT(ST_CDP);
	else if (type == 0xfefe)
		step->next = ST_SAP(0xfe), step->header += h[4] == 3;
	else if (type != 0x8035)
		step->next = ST_ETHERTYPE(type);
}

/* RFC 2427, 3; or Cisco's: an ethertype in place of control and NLPID. */
static __always_inline void st_fr(struct st_step *step, const __u8 *h)
{
	_Bool padded = !h[3];
	__u32 nlpid = padded ? h[4] : h[3], type = st_get16(h + 2);

	if (!(h[1] & 1)) /* an address of more than two bytes */
		return;
	if (h[2] != 3) {
		if (type > ST_IEEE_802_3_MAX)
			step->next = ST_ETHERTYPE(type);
		return;
	}
	step->header = padded ? 5 : 4;
	if (nlpid == 0xcc) {
		step->next = ST_DIRECT(ST_IP);
	} else if (nlpid == 0x8e) {
		step->next = ST_DIRECT(ST_IPV6);
	} else if (nlpid == 0x80) { /* SNAP */
		step->next = padded ? st_snap_next(h + 5) : st_snap_next(h + 4);
		step->header += 5;
	}
}

static __always_inline void st_fddi(struct st_step *step, const __u8 *h)
{
	if ((h[0] & 0xf0) == 0x50) /* asynchronous, with LLC */
		step->next = ST_DIRECT(ST_LLC);
}

#endif
