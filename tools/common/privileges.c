// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Drops the broker's privileges once its meter is open. It keeps what loading socket filters takes and,
 * for `run`, CAP_KILL to signal its tool. It also becomes the user nobody: as root it could read and
 * write root's files even without a capability.
 */
#include "tools/common/command.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef CAP_PERFMON
#define CAP_PERFMON 38 /* Linux 5.8 */
#endif
#ifndef CAP_BPF
#define CAP_BPF 39
#endif

#define NOBODY 65534

/* Version 3 has 64 capabilities in two words of 32. */
struct capabilities {
	struct __user_cap_data_struct words[_LINUX_CAPABILITY_U32S_3];
};

static bool get_capabilities(struct capabilities *have)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};

	memset(have, 0, sizeof(*have));
	return !syscall(SYS_capget, &header, have->words);
}

static bool set_capabilities(const struct capabilities *wanted)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};

	return !syscall(SYS_capset, &header, wanted->words);
}

static bool has(const struct capabilities *have, int capability)
{
	return have->words[CAP_TO_INDEX(capability)].permitted & CAP_TO_MASK(capability);
}

/* Only a capability that we have: capset() refuses any other. */
static void keep(struct capabilities *kept, const struct capabilities *have, int capability)
{
	if (!has(have, capability))
		return;
	kept->words[CAP_TO_INDEX(capability)].permitted |= CAP_TO_MASK(capability);
	kept->words[CAP_TO_INDEX(capability)].effective |= CAP_TO_MASK(capability);
}

/* CAP_SYS_ADMIN is kept only where CAP_BPF or CAP_PERFMON is missing: it includes both. */
static struct capabilities needed(const struct capabilities *have, unsigned int which)
{
	struct capabilities kept = {0};

	if (which & COMMAND_ONLY_NOTHING)
		return kept;
	if (which & (COMMAND_ONLY_CHECK | COMMAND_ONLY_WATCH)) {
		keep(&kept, have, CAP_SYS_ADMIN);
		keep(&kept, have, CAP_SYS_PTRACE);
		if (which & COMMAND_ONLY_WATCH)
			keep(&kept, have, CAP_DAC_READ_SEARCH);
		return kept;
	}
	if (which & COMMAND_ONLY_READ) {
		keep(&kept, have, CAP_SYS_PTRACE);
		keep(&kept, have, CAP_DAC_READ_SEARCH);
		return kept;
	}
	keep(&kept, have, CAP_BPF);
	keep(&kept, have, CAP_PERFMON);
	if (!has(have, CAP_BPF) || !has(have, CAP_PERFMON))
		keep(&kept, have, CAP_SYS_ADMIN);
	if (which & COMMAND_KEEP_SIGNALS)
		keep(&kept, have, CAP_KILL);
	return kept;
}

/*
 * Not without CAP_KILL: our parent, who most likely has the same capabilities, could then not send a
 * signal to another user's process. In a user namespace the user may be missing: then all stays.
 */
static void change_user(const struct capabilities *have)
{
	if (geteuid() || !has(have, CAP_SETUID) || !has(have, CAP_SETGID) || !has(have, CAP_KILL))
		return;
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))
		return;
	if (!setgroups(0, NULL) && !setresgid(NOBODY, NOBODY, NOBODY) &&
	    !setresuid(NOBODY, NOBODY, NOBODY))
		prctl(PR_SET_DUMPABLE, 1, 0, 0,
		      0); /* our capabilities keep other processes of nobody out */
	prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
}

bool command_drop_privileges(unsigned int which)
{
	struct capabilities have, kept;

	if (!get_capabilities(&have))
		return false;
	kept = needed(&have, which);
	if (!(which & COMMAND_KEEP_USER))
		change_user(&have);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	return set_capabilities(&kept) && !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}
