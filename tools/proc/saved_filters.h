/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The filters that meters have saved (plugin/attach/saved_filter.h), for a socket in hand. */
#ifndef SOCKTALLY_TOOLS_PROC_SAVED_FILTERS_H
#define SOCKTALLY_TOOLS_PROC_SAVED_FILTERS_H

#include "plugin/attach/saved_filter.h"

struct saved_filters {
	struct st_saved_filter *list;
	size_t count;
};

/* -EPERM without CAP_SYS_ADMIN; then, and after another failure, there are none. */
int saved_filters_read(struct saved_filters *saved);
void saved_filters_free(struct saved_filters *saved);

/* That of the socket fd, see st_saved_filter_find(). */
enum st_saved_state saved_filters_find(const struct saved_filters *saved, int fd, uint32_t except,
				       const struct st_saved_filter **found);

/* Why one that is UNTRUSTED or CONTRADICTORY is left alone, as the end of a sentence. */
void saved_filter_refused(enum st_saved_state state, const struct st_saved_filter *found,
			  char *text, size_t size);

/*
 * Gives a socket its saved filter again. -EACCES: another program is on it than that of the saved
 * filter; -EPERM: its owner has locked its filter.
 */
int saved_filter_restore(int fd, const struct st_saved_filter *saved);

#endif
