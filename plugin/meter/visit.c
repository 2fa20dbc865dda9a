// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "plugin/meter/visit.h"
#include "plugin/meter/meter.h"
#include <errno.h>

/* A snapshot takes a const meter, and other threads take snapshots: hence the atomic counter. */
void st_meter_hold(const struct socktally *meter)
{
	atomic_fetch_add(&((struct socktally *)meter)->references, 1);
}

void st_meter_release(const struct socktally *meter)
{
	struct socktally *own = (struct socktally *)meter;

	if (atomic_fetch_sub(&own->references, 1) == 1)
		own->free(own);
}

/* All lists but the cells belong to the thread that uses the meter. */
static void count(const struct socktally *meter, unsigned int lists, int change)
{
	unsigned int *visits = ((struct socktally *)meter)->visits;

	for (unsigned int i = 0; i < ST_LISTS; i++)
		if (lists & 1u << i)
			visits[i] += (unsigned int)change;
}

void st_visit_begin(const struct socktally *meter, unsigned int lists)
{
	st_meter_hold(meter);
	count(meter, lists, 1);
}

void st_visit_end(const struct socktally *meter, unsigned int lists)
{
	count(meter, lists, -1);
	st_meter_release(meter);
}

int st_visit_result(const struct socktally *meter, int result)
{
	return !result && atomic_load(&meter->closed) ? -ECANCELED : result;
}

int st_visit_refuse(struct socktally *meter, unsigned int lists)
{
	for (unsigned int i = 0; i < ST_LISTS; i++)
		if (lists & 1u << i && meter->visits[i])
			return st_fail(meter, -EBUSY,
				       "a callback must not change the list that it is called for: "
				       "do it when the call has returned");
	return 0;
}

void st_meter_close(struct socktally *meter)
{
	atomic_store(&meter->closed, true);
	st_meter_release(meter);
}
