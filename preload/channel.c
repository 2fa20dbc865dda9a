// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* How to reach the broker, from the environment. */
#include "preload/preload.h"
#include <stdatomic.h>

enum state { UNKNOWN, READING, KNOWN, NONE, ENDED };

static _Atomic(enum state) state;
static struct channel_address channel;
/* CHANNEL_VARIABLE's value in the environment itself: what is changed here, programs to come inherit. */
static char *shared;
static const char *none_what = "no broker was started";
static int none_error;

void preload_channel_set(const struct channel_address *address, char *value)
{
	channel = *address;
	shared = value;
	atomic_store(&state, KNOWN);
}

void preload_channel_none(const char *what, int error)
{
	none_what = what;
	none_error = error;
	atomic_store(&state, NONE);
}

void preload_channel_end(void)
{
	atomic_store(&state, ENDED);
}

/*
 * Also called before the shim's constructor: another library's may open a socket. Only the first thread
 * reads the variable. A call that another thread makes at that moment is not metered: there is no lock.
 */
const struct channel_address *preload_channel(void)
{
	enum state expected = UNKNOWN;

	if (atomic_compare_exchange_strong(&state, &expected, READING)) {
		struct channel_address address;
		char *variable = environment_get(CHANNEL_VARIABLE);

		if (variable && channel_parse(variable, &address))
			preload_channel_set(&address, variable);
		else
			atomic_store(&state, UNKNOWN);
	}
	return atomic_load(&state) == KNOWN ? &channel : NULL;
}

bool preload_has_channel(void)
{
	if (preload_channel())
		return true;
	if (atomic_load(&state) != ENDED)
		warn(none_what, none_error);
	return false;
}

/*
 * A field of the value in the environment, counted from its end. NULL: it isn't there any more. A tool that
 * shows its state in ps(1) has copied its environment, and overwrites this memory.
 */
static char *field(size_t back)
{
	struct channel_address now;

	if (!shared || !channel_parse(shared, &now) ||
	    memcmp(now.token, channel.token, sizeof(now.token)) != 0)
		return NULL;
	return shared + strlen(shared) - back;
}

bool preload_first_warning(void)
{
	char *warned = field(CHANNEL_WARNED_BACK);

	if (!warned)
		return true;
	if (*warned == '1')
		return false;
	*warned = '1';
	return true;
}

void preload_channel_filtered(void)
{
	char *filters = field(CHANNEL_FILTERS_BACK);

	if (filters)
		channel_put_filters(filters, CHANNEL_FILTERED);
}

bool preload_channel_is_open(const struct channel_address *address)
{
	struct stat status;

	return address->fd >= 0 && !raw_fstat(address->fd, &status) && S_ISSOCK(status.st_mode) &&
	       status.st_ino == address->inode;
}
