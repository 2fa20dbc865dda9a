/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What a packet costs in a program. */
#ifndef SOCKTALLY_BENCH_PROG_RUN_H
#define SOCKTALLY_BENCH_PROG_RUN_H

#include "bench/bench.h"

#include "plugin/bpf/syscall.h"

#include <linux/if_ether.h>

/*
 * Seconds of processor time for each run. The kernel takes an Ethernet header off before it runs a
 * socket filter in a test; the packet's own is behind one that is just for that.
 */
static double prog_run(int prog, const struct packet *packet, uint32_t repeat)
{
	static _Thread_local unsigned char data[ETH_HLEN + PACKET_MAX];
	double start;
	int result;

	memcpy(data, packet->data, ETH_HLEN);
	memcpy(data + ETH_HLEN, packet->data, packet->size);
	start = cpu_seconds();
	result = st_bpf_prog_run(prog, data, ETH_HLEN + packet->size, repeat, NULL, NULL);
	if (result)
		die("BPF_PROG_TEST_RUN", result);
	return (cpu_seconds() - start) / repeat;
}

#endif
