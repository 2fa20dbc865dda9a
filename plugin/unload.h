/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What is done when the library is unloaded with meters that are still open. */
#ifndef SOCKTALLY_PLUGIN_UNLOAD_H
#define SOCKTALLY_PLUGIN_UNLOAD_H

/* Before the first meter. */
void st_unload_prepare(void);

#endif
