// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * The meters that there are. A host that calls with one that it has closed, or closes it twice, gets an
 * error: a mistake in a guest's table must not take the host down. Without a lock, so that fork() can't
 * leave it held.
 */
#include "plugin/meter/meter.h"
#include <stdatomic.h>

static _Atomic(const struct socktally *) meters[ST_MAX_METERS];
static atomic_uint used; /* of the places; the others have never had one */

bool st_registry_add(const struct socktally *meter)
{
	for (unsigned int i = 0; i < ST_MAX_METERS; i++) {
		const struct socktally *none = NULL;
		unsigned int count = atomic_load(&used);

		if (!atomic_compare_exchange_strong(&meters[i], &none, meter))
			continue;
		while (count <= i && !atomic_compare_exchange_weak(&used, &count, i + 1))
			;
		return true;
	}
	return false;
}

bool st_registry_remove(const struct socktally *meter)
{
	for (unsigned int i = 0, count = atomic_load(&used); meter && i < count; i++) {
		const struct socktally *found = meter;

		if (atomic_compare_exchange_strong(&meters[i], &found, NULL))
			return true;
	}
	return false;
}

bool st_registry_has(const struct socktally *meter)
{
	for (unsigned int i = 0, count = atomic_load_explicit(&used, memory_order_acquire);
	     meter && i < count; i++)
		if (atomic_load_explicit(&meters[i], memory_order_acquire) == meter)
			return true;
	return false;
}

void st_registry_each(void (*fn)(struct socktally *meter))
{
	for (unsigned int i = 0, count = atomic_load(&used); i < count; i++) {
		const struct socktally *meter = atomic_load(&meters[i]);

		if (meter)
			fn((struct socktally *)meter);
	}
}
