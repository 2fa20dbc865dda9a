/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The client of `socktally broker --socket`: its kernel part belongs to the broker (proto/broker.h). */
#ifndef SOCKTALLY_PLUGIN_REMOTE_REMOTE_H
#define SOCKTALLY_PLUGIN_REMOTE_REMOTE_H

#include "plugin/meter/meter.h"
#include "plugin/meter/attachment.h"
#include <linux/filter.h>

/* Connects and maps the table. -errno, with the meter's message. */
int st_remote_open(struct socktally *meter, const struct socktally_open_opts *opts);

/* As st_socket_program_load(); *program is set to its id. */
int st_remote_load(struct socktally *meter, uint64_t cookie,
		   const struct st_socket_link *socket_link, const struct sock_filter *insns,
		   size_t count, uint32_t *program);

/* Whether the broker has ended, and with it the counting. */
bool st_remote_is_gone(const struct socktally *meter);

#endif
