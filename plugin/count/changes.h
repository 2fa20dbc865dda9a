/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
#ifndef SOCKTALLY_PLUGIN_COUNT_CHANGES_H
#define SOCKTALLY_PLUGIN_COUNT_CHANGES_H

struct socktally;

/* What socktally_changes() has told so far. */
void st_changes_free(struct socktally *meter);

#endif
