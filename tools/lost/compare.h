/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
#ifndef SOCKTALLY_TOOLS_LOST_COMPARE_H
#define SOCKTALLY_TOOLS_LOST_COMPARE_H

#include "tools/lost/timeline.h"
#include "tools/saved/side.h"

struct comparison {
	struct saved_side *accepted,
		*written; /* accepted: only those of the direction that the tool takes */
	struct timeline *timeline;
	struct timespec last; /* of the files; 0: none */
	enum timeline_direction direction;
	bool aligned; /* a path may stand for those below it; set by lost_compare() */
	const struct report_drops *drops; /* of all the time until `last`; NULL: not known */
};

/* -ENOMEM. Frees what was in *lost. */
int lost_compare(struct report_lost *lost, struct comparison *comparison);
void lost_free(struct report_lost *lost);

#endif
