// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "tools/proc/saved_filters.h"
#include "tools/proc/packet_diag.h"

#include "plugin/attach/attach.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

int saved_filters_read(struct saved_filters *saved)
{
	int result = st_saved_filters_read(&saved->list, &saved->count);

	if (result)
		*saved = (struct saved_filters){0};
	return result;
}

void saved_filters_free(struct saved_filters *saved)
{
	st_saved_filters_free(saved->list, saved->count);
	*saved = (struct saved_filters){0};
}

enum st_saved_state saved_filters_find(const struct saved_filters *saved, int fd, uint32_t except,
				       const struct st_saved_filter **found)
{
	uint64_t cookie = packet_diag_cookie(fd);
	struct stat status;

	*found = NULL;
	/* the user who has made the socket is that of its inode, as for sock_diag */
	if (!cookie || fstat(fd, &status))
		return ST_SAVED_NONE;
	return st_saved_filter_find(saved->list, saved->count, cookie, status.st_uid, except,
				    found);
}

void saved_filter_refused(enum st_saved_state state, const struct st_saved_filter *found,
			  char *text, size_t size)
{
	if (state == ST_SAVED_CONTRADICTORY)
		snprintf(text, size,
			 "several filters are saved for it, and which one is right can't be told: "
			 "it is left as it is");
	else if (found->user == UINT32_MAX)
		snprintf(text, size,
			 "a filter is saved for it, but not for which user: it is left as it is");
	else
		snprintf(text, size,
			 "a filter is saved for it by user %" PRIu32
			 ", who did not make the socket: it is left as it is",
			 found->user);
}

int saved_filter_restore(int fd, const struct st_saved_filter *saved)
{
	/* checked right before the exchange, as the owner may set a filter at any moment */
	if (st_program_exists(saved->program) == 0 || !st_filter_is_hidden(fd) ||
	    !st_saved_filter_fits(saved, fd))
		return -EACCES;
	return st_filter_write(fd, saved->insns, saved->count);
}
