/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What the kernel's verifier has against a program, in a line. */
#ifndef SOCKTALLY_PLUGIN_BPF_VERIFIER_LOG_H
#define SOCKTALLY_PLUGIN_BPF_VERIFIER_LOG_H

#include <linux/bpf.h>
#include <stddef.h>

#define ST_REASON_MAX 240

/*
 * Loads a refused program once more to hear why: the last telling lines of the verifier's log, the
 * last one first; "" if it says nothing.
 */
void st_verifier_reason(const char *name, const char *license, const struct bpf_insn *insns,
			size_t count, char reason[ST_REASON_MAX]);

#endif
