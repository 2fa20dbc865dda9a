// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * The tool's own filters, for when the broker that knows them is gone: the kernel shows no classic filter
 * where an eBPF program, ours, is attached. They are those of a few sockets, known by their cookies, in
 * memory that a forked child has as well. There is no lock: what another thread is using is passed over.
 */
#include "preload/preload.h"
#include <errno.h>
#include <linux/filter.h>
#include <stdatomic.h>

#ifndef SO_COOKIE
#define SO_COOKIE 57
#endif

enum { FILTERS = 32 };

/* version is odd while a thread writes here; cookie 0: no socket's. */
struct cached_filter {
	_Atomic uint64_t cookie;
	atomic_uint version;
	_Atomic uint32_t count;
	struct sock_filter insns[CHANNEL_MAX_INSNS];
};

static struct cached_filter filters[FILTERS];
static atomic_uint next_filter;

static uint64_t cookie_of(int fd)
{
	uint64_t cookie = 0;
	socklen_t size = sizeof(cookie);

	return next_getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) ? 0 : cookie;
}

static struct cached_filter *find(uint64_t cookie)
{
	for (size_t i = 0; i < FILTERS && cookie; i++)
		if (filters[i].cookie == cookie)
			return &filters[i];
	return NULL;
}

struct cached_filter *filter_cache_take(int fd)
{
	int saved = errno;
	const struct cached_filter *present = find(cookie_of(fd));
	struct cached_filter *filter;
	unsigned int version;

	errno = saved;
	do
		filter = &filters[atomic_fetch_add(&next_filter, 1) % FILTERS];
	while (filter == present);
	version = atomic_load(&filter->version);
	if (version & 1 || !atomic_compare_exchange_strong(&filter->version, &version, version + 1))
		return NULL;
	filter->cookie = 0;
	return filter;
}

struct sock_filter *filter_cache_insns(struct cached_filter *filter)
{
	return filter->insns;
}

void filter_cache_drop(struct cached_filter *filter)
{
	if (filter)
		atomic_fetch_add(&filter->version, 1);
}

void filter_cache_forget(int fd)
{
	int saved = errno;
	struct cached_filter *filter = find(cookie_of(fd));

	if (filter)
		filter->cookie = 0;
	errno = saved;
}

void filter_cache_keep(struct cached_filter *filter, int fd, uint32_t count)
{
	int saved = errno;

	filter_cache_forget(fd);
	if (!filter)
		return;
	filter->count = count;
	filter->cookie = cookie_of(fd);
	errno = saved;
	filter_cache_drop(filter);
}

void filter_cache_read_kernel(int fd)
{
	int saved = errno;
	socklen_t count = 0;
	struct cached_filter *filter;

	if (!next_getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, NULL, &count)) {
		filter = filter_cache_take(fd);
		if (filter && count) {
			count = CHANNEL_MAX_INSNS;
			if (next_getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, filter->insns, &count)) {
				filter_cache_drop(filter);
				filter = NULL;
			}
		}
		filter_cache_keep(filter, fd, count);
	}
	errno = saved;
}

/* Whether the kernel has a filter that it doesn't show. */
static bool is_hidden(int fd)
{
	socklen_t none = 0;

	return next_getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, NULL, &none) && errno == EACCES;
}

int filter_cache_get(int fd, const struct sock_filter **insns)
{
	int saved = errno, count = -1;
	struct cached_filter *filter = is_hidden(fd) ? find(cookie_of(fd)) : NULL;

	if (filter && !(filter->version & 1)) {
		*insns = filter->insns;
		count = (int)filter->count;
	}
	errno = saved;
	return count;
}
