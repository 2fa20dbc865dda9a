// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * The tool's own filters, for when the broker that knows them is gone: the kernel does not show what
 * stands in front of ours. A few sockets by their cookies, in memory that a forked child has as well;
 * no lock, so a slot that another thread is just using is passed over.
 */
#include "preload/preload.h"
#include <errno.h>
#include <linux/filter.h>
#include <stdatomic.h>

#ifndef SO_COOKIE
#define SO_COOKIE 57
#endif

enum { SLOTS = 32 };

/* version is odd while the slot is taken; cookie 0: it is of no socket. */
struct preload_slot {
	_Atomic uint64_t cookie;
	atomic_uint version;
	_Atomic uint32_t count;
	struct sock_filter insns[CHANNEL_MAX_INSNS];
};

static struct preload_slot slots[SLOTS];
static atomic_uint next_slot;

static uint64_t cookie_of(int fd)
{
	uint64_t cookie = 0;
	socklen_t size = sizeof(cookie);

	return real_getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) ? 0 : cookie;
}

static struct preload_slot *find(uint64_t cookie)
{
	for (size_t i = 0; i < SLOTS && cookie; i++)
		if (slots[i].cookie == cookie)
			return &slots[i];
	return NULL;
}

struct preload_slot *preload_memory_take(int fd)
{
	int saved = errno;
	const struct preload_slot *present = find(cookie_of(fd));
	struct preload_slot *slot;
	unsigned int version;

	errno = saved;
	do
		slot = &slots[atomic_fetch_add(&next_slot, 1) % SLOTS];
	while (slot == present);
	version = atomic_load(&slot->version);
	if (version & 1 || !atomic_compare_exchange_strong(&slot->version, &version, version + 1))
		return NULL;
	slot->cookie = 0;
	return slot;
}

struct sock_filter *preload_memory_insns(struct preload_slot *slot)
{
	return slot->insns;
}

void preload_memory_drop(struct preload_slot *slot)
{
	if (slot)
		atomic_fetch_add(&slot->version, 1);
}

void preload_memory_forget(int fd)
{
	int saved = errno;
	struct preload_slot *slot = find(cookie_of(fd));

	if (slot)
		slot->cookie = 0;
	errno = saved;
}

void preload_memory_keep(struct preload_slot *slot, int fd, uint32_t count)
{
	int saved = errno;

	preload_memory_forget(fd);
	if (!slot)
		return;
	slot->count = count;
	slot->cookie = cookie_of(fd);
	errno = saved;
	preload_memory_drop(slot);
}

void preload_memory_ask_kernel(int fd)
{
	int saved = errno;
	socklen_t count = 0;
	struct preload_slot *slot;

	if (!real_getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, NULL, &count)) {
		slot = preload_memory_take(fd);
		if (slot && count) {
			count = CHANNEL_MAX_INSNS;
			if (real_getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, slot->insns, &count)) {
				preload_memory_drop(slot);
				slot = NULL;
			}
		}
		preload_memory_keep(slot, fd, count);
	}
	errno = saved;
}

/* Whether the kernel has a filter that it doesn't show. */
static bool is_hidden(int fd)
{
	socklen_t none = 0;

	return real_getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, NULL, &none) && errno == EACCES;
}

int preload_memory_count(int fd, const struct sock_filter **insns)
{
	int saved = errno, count = -1;
	struct preload_slot *slot = is_hidden(fd) ? find(cookie_of(fd)) : NULL;

	if (slot && !(slot->version & 1)) {
		*insns = slot->insns;
		count = (int)slot->count;
	}
	errno = saved;
	return count;
}
