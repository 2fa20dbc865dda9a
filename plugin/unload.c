// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * dlclose() before the host has closed its meters: their sockets get back their own filters, so that the
 * library can be loaded and attached anew, and nothing is left.
 *
 * At exit() nothing is done: other threads may be in the library, other processes may go on with the
 * sockets, and the kernel cleans up. The two differ in their order: exit() runs the handlers of atexit()
 * before the destructors of libraries, dlclose() runs a library's destructors before its handlers.
 */
#include "plugin/unload.h"
#include "plugin/attach/attach.h"
#include "plugin/meter/meter.h"
#include "plugin/meter/visit.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

static atomic_flag prepared = ATOMIC_FLAG_INIT;
static atomic_bool armed; /* set where atexit() works, cleared at exit() */

static void at_exit(void)
{
	atomic_store(&armed, false);
}

void st_unload_prepare(void)
{
	if (!atomic_flag_test_and_set(&prepared) && !atexit(at_exit))
		atomic_store(&armed, true);
}

static void give_up(struct socktally *meter)
{
	if (meter->pid != getpid()) /* of the process that has forked us */
		return;
	meter->log = NULL; /* the host may be gone already */
	meter->gap = NULL;
	st_attachments_give_back(meter);
	if (st_registry_remove(meter))
		st_meter_close(meter);
}

__attribute__((destructor)) static void unload(void)
{
	if (atomic_load(&armed))
		st_registry_each(give_up);
}
