/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Sockets on a meter. */
#ifndef SOCKTALLY_PLUGIN_ATTACH_ATTACH_H
#define SOCKTALLY_PLUGIN_ATTACH_ATTACH_H

#include "plugin/meter/meter.h"
#include "plugin/meter/attachment.h"
#include <linux/filter.h>

/*
 * The program for a socket: the tool's filter, then the chain. A descriptor, or -errno with the error
 * noted.
 */
int st_socket_program_load(struct socktally *meter, const struct st_socket_link *tap,
			   const struct sock_filter *insns, size_t count);

/* Loads a program with a function beside its tail call, which not every kernel takes. 0, or -errno. */
int st_socket_program_try_functions(struct socktally *meter);

/* Whether our program is still on the attachment's socket fd, which has an eBPF program. */
bool st_may_be_on(const struct st_attachment *attachment, int fd);

/*
 * The socket's classic filter, malloc'ed; count 0 and NULL: it has none. -EACCES: it is eBPF. (The
 * length counts instructions there, not bytes: the kernel's own way with SO_GET_FILTER.)
 */
int st_filter_read(int fd, struct sock_filter **insns, size_t *count);

void st_attachments_free(struct socktally *meter);

/* Composes anew where a filter was set past the library. */
void st_reattach(struct socktally *meter);

#endif
