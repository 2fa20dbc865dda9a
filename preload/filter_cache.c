// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * The tool's own filters, for when the broker that knows them is gone: the kernel shows no classic filter
 * where an eBPF program, ours, is attached. They are those of a few sockets, known by their cookies, in
 * memory that a forked child has as well. There is no lock: what another thread is using is passed over.
 */
#include "preload/preload.h"
#include "preload/syscall.h"
#include <linux/filter.h>
#include <stdatomic.h>

enum { FILTERS = 32 };

/* version is odd while a thread writes here; cookie 0: no socket's. */
struct cached_filter {
	_Atomic uint64_t cookie;
	atomic_uint version;
	_Atomic uint32_t count;
	struct sock_filter insns[BROKER_MAX_INSNS];
};

static struct cached_filter filters[FILTERS];
static atomic_uint next_filter;

static struct cached_filter *find(uint64_t cookie)
{
	for (size_t i = 0; i < FILTERS && cookie; i++)
		if (filters[i].cookie == cookie)
			return &filters[i];
	return NULL;
}

/* Takes it for writing, if nobody has. */
static bool take(struct cached_filter *filter)
{
	unsigned int version = atomic_load(&filter->version);

	return !(version & 1) &&
	       atomic_compare_exchange_strong(&filter->version, &version, version + 1);
}

static struct cached_filter *take_free(void)
{
	for (size_t i = 0; i < FILTERS; i++) {
		if (filters[i].cookie || !take(&filters[i]))
			continue;
		if (!filters[i].cookie)
			return &filters[i];
		filter_cache_drop(&filters[i]); /* another thread was quicker */
	}
	return NULL;
}

/* Another socket's, all in turn. The socket keeps its present filter until it has the new one. */
static struct cached_filter *take_used(int fd)
{
	const struct cached_filter *present = find(socket_cookie(fd));
	struct cached_filter *filter;

	do
		filter = &filters[atomic_fetch_add(&next_filter, 1) % FILTERS];
	while (filter == present);
	if (!take(filter))
		return NULL;
	filter->cookie = 0;
	return filter;
}

struct cached_filter *filter_cache_take(int fd)
{
	int saved = errno;
	struct cached_filter *filter = take_free();

	if (!filter)
		filter = take_used(fd);
	errno = saved;
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
	struct cached_filter *filter = find(socket_cookie(fd));

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
	filter->cookie = socket_cookie(fd);
	errno = saved;
	filter_cache_drop(filter);
}

int filter_cache_read_kernel(int fd)
{
	int saved = errno, count = slot_look(fd);
	socklen_t length = BROKER_MAX_INSNS; /* it may have grown since */
	struct cached_filter *filter = count >= 0 ? filter_cache_take(fd) : NULL;

	if (count >= 0 && !filter)
		count = count ? SLOT_UNKNOWN : 0;
	if (count > 0) {
		count = raw_getsockopt(fd, SO_GET_FILTER, filter->insns, &length) ? SLOT_UNKNOWN
										  : (int)length;
		if (count < 0) {
			filter_cache_drop(filter);
			filter = NULL;
		}
	}
	if (filter)
		filter_cache_keep(filter, fd, (uint32_t)count);
	errno = saved;
	return count;
}

bool filter_cache_view(int fd, struct filter_view *view)
{
	const struct cached_filter *filter = find(socket_cookie(fd));

	if (!filter)
		return false;
	*view = (struct filter_view){.filter = filter,
				     .version = atomic_load(&filter->version),
				     .insns = filter->insns,
				     .count = filter->count};
	return !(view->version & 1);
}

bool filter_cache_get(int fd, struct filter_view *view)
{
	int saved = errno;
	bool hidden = slot_look(fd) == SLOT_HIDDEN;

	errno = saved;
	return hidden && filter_cache_view(fd, view);
}

bool filter_cache_holds(const struct filter_view *view)
{
	atomic_thread_fence(memory_order_acquire);
	return atomic_load(&view->filter->version) == view->version;
}
