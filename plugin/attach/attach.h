/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Sockets on a meter. */
#ifndef SOCKTALLY_PLUGIN_ATTACH_ATTACH_H
#define SOCKTALLY_PLUGIN_ATTACH_ATTACH_H

#include "plugin/meter/meter.h"
#include "plugin/meter/attachment.h"
#include <linux/filter.h>

/* Attaches again where a filter was set past the library. */
void st_reattach(struct socktally *meter);

/* Notes why the program for a filter of so many instructions is not on its socket; returns error. */
int st_attach_failed(struct socktally *meter, int error, size_t count);

/* --- plugin/attach/socket_program.c */

/*
 * The program for a socket: the tool's filter, then the chain. A descriptor, or -errno with the error
 * noted.
 */
int st_socket_program_load(struct socktally *meter, const struct st_socket_link *socket_link,
			   const struct sock_filter *insns, size_t count);

/* Loads a program with a function beside its tail call, which not every kernel takes. 0, or -errno. */
int st_socket_program_try_functions(struct socktally *meter);

/* --- plugin/attach/filter_slot.c */

/*
 * The socket's classic filter, malloc'ed; count 0 and NULL: it has none. -EACCES: it is eBPF. (The
 * length counts instructions there, not bytes: the kernel's own way with SO_GET_FILTER.)
 */
int st_filter_read(int fd, struct sock_filter **insns, size_t *count);

/* Whether the socket has an eBPF program: the kernel does not show it (-EACCES). */
bool st_filter_is_hidden(int fd);

/* Whether the socket has this classic filter; count 0: none. */
bool st_filter_is(int fd, const struct sock_filter *insns, size_t count);

/* Gives the socket a classic filter; count 0: none. 0, or -errno. */
int st_filter_write(int fd, const struct sock_filter *insns, size_t count);

/* What the socket's filter and other options take, as the kernel charges it; 0: it doesn't tell. */
uint32_t st_option_memory(int fd);

/* Whether our program is still on the attachment's socket fd. */
bool st_attachment_is_on(const struct st_attachment *attachment, int fd);

/* --- plugin/attach/attachments.c */

/* NULL: the meter has no socket with this cookie. */
struct st_attachment *st_attachment_find(const struct socktally *meter, uint64_t cookie);

/* Room for one more, so that st_attachment_keep() can't fail. 0, or -ENOMEM, noted. */
int st_attachments_reserve(struct socktally *meter);

/* Takes a malloc'ed attachment, in the place of an older one of the same socket. */
void st_attachment_keep(struct socktally *meter, struct st_attachment *attachment);
void st_attachment_remove(struct socktally *meter, uint64_t cookie);
void st_attachments_free(struct socktally *meter);

/* Whether fd is the socket with this cookie: a number may have been closed and reused. */
bool st_socket_is(int fd, uint64_t cookie);

/* Gives the sockets back that can still be reached by the numbers of their descriptors. */
void st_attachments_give_back(const struct socktally *meter);

#endif
