/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What a callback may do with the meter that it is called for. One rule:
 *
 * While a callback runs that is given an element of a list, calls that would free elements of that list
 * return -EBUSY and change nothing. The log callback may come in the middle of any change: for it all
 * lists are taken. Closing the meter can't be refused: it takes effect when the call returns in which
 * the callback runs, and no further callback is called.
 */
#ifndef SOCKTALLY_PLUGIN_METER_VISIT_H
#define SOCKTALLY_PLUGIN_METER_VISIT_H

#include <stdbool.h>

struct socktally;

enum st_list {
	ST_LIST_SOCKETS = 1,
	ST_LIST_HOOKS = 2, /* and their rows */
	ST_LIST_CLASSES = 4,
	ST_LIST_CHANGES = 8, /* since the last time */
	ST_LIST_GROUPS = 16, /* and their rows */
	ST_LIST_ALL = 31,
	ST_LIST_CELLS = 0, /* which only closing frees */
};

/*
 * For calls that may log and go on: the meter stays until the release, even if the log callback closes
 * it.
 */
void st_meter_hold(const struct socktally *meter);
void st_meter_release(const struct socktally *meter);

/* lists: of enum st_list, ORed. A visit holds the meter as well. */
void st_visit_begin(const struct socktally *meter, unsigned int lists);
void st_visit_end(const struct socktally *meter, unsigned int lists);

/* What a callback returned; -ECANCELED if that was 0, but it has closed the meter. */
int st_visit_result(const struct socktally *meter, int result);

/* 0, or -EBUSY, noted, if a callback is being called with an element of one of the lists. */
int st_visit_refuse(struct socktally *meter, unsigned int lists);

/* Closes the meter: at once, or when the last visit ends. */
void st_meter_close(struct socktally *meter);

#endif
