/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Why the kernel's verifier refuses a program, in a line. */
#ifndef SOCKTALLY_PLUGIN_BPF_VERIFIER_LOG_H
#define SOCKTALLY_PLUGIN_BPF_VERIFIER_LOG_H

#include "plugin/bpf/syscall.h"

#define ST_REASON_MAX 200

/*
 * Loads a refused program once more to hear why: the last telling lines of the verifier's log, the
 * last one first; "" if it says nothing. Returns the number of the instruction that they are about;
 * UINT32_MAX: unknown.
 */
uint32_t st_verifier_reason(const struct st_bpf_program *program, char reason[ST_REASON_MAX]);

#endif
