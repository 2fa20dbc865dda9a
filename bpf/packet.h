/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the parser asks of a packet, however it is read. */
#ifndef SOCKTALLY_BPF_PACKET_H
#define SOCKTALLY_BPF_PACKET_H

#include "table.h"

/* A layer's function may look at this many bytes from its start. */
#define ST_WINDOW 40

/*
 * The kernel build takes this many bytes at a time: eth:ip:udp:vxlan:eth:ip:tcp fits in one. The
 * window of the last layer in a block may reach past it, inside the ST_BLOCK bytes of the scratch.
 */
#define ST_BLOCK_LOAD 128

#if ST_BLOCK_LOAD + ST_WINDOW > ST_BLOCK
#error "a window at the end of a block does not fit the scratch"
#endif

#endif
