/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* A socket on a meter, and the link type of its packets: the first layer of their paths. */
#ifndef SOCKTALLY_PLUGIN_METER_ATTACHMENT_H
#define SOCKTALLY_PLUGIN_METER_ATTACHMENT_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct st_socket_link {
	int ifindex; /* 0: every interface */
	char interface[16];
	uint32_t link; /* enum st_link */
};

/* A socket with our program on it, known by its cookie: no descriptor of it is kept. */
struct st_attachment {
	uint64_t cookie;
	uint32_t program;       /* id of the attached program */
	uint32_t option_memory; /* that the socket took when it had been attached */
	struct st_socket_link socket_link;
	struct sock_filter *insns; /* the tool's own filter */
	size_t count;              /* 0: none */
	int fd;        /* its number when it was last given to us, which may be another's by now */
	uint64_t seen; /* nanoseconds, CLOCK_MONOTONIC: our program was on it then */
	bool lost;     /* it isn't, and composing anew has failed */
};

#endif
