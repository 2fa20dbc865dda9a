// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* What a descriptor of a packet socket tells about it. Nothing here changes the socket. */
#include "tools/list/captures.h"
#include "plugin/attach/attach.h"

#include "plugin/bpf/syscall.h"
#include "plugin/translate/translate.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Whether this user may load programs: tried with a map, which needs the same privilege. */
static bool bpf_permitted(void)
{
	static int permitted = -1;
	int map;

	if (permitted < 0) {
		map = st_bpf_map_create(BPF_MAP_TYPE_ARRAY, "socktally", 4, 4, 1, 0);
		permitted = map != -EPERM;
		if (map >= 0)
			close(map);
	}
	return permitted;
}

/* What in the filter can't be translated to eBPF; NULL: nothing. */
static const char *obstacle(const struct sock_filter *insns, size_t count)
{
	struct st_code code = {0};
	const char *what = NULL;
	int result = st_translate(&code, insns, count, &what);

	st_code_free(&code);
	if (!result)
		return NULL;
	return what ? what : "an instruction";
}

static void take_saved(struct capture *capture, const struct st_saved_filter *saved,
		       struct sock_filter **insns)
{
	capture->meter = saved->counting ? CAPTURE_METERED : CAPTURE_LEFT;
	capture->meter_pid = (pid_t)saved->pid;
	capture->filter = saved->count ? CAPTURE_FILTER_CLASSIC : CAPTURE_FILTER_NONE;
	capture->insn_count = saved->count;
	*insns = malloc((saved->count ? saved->count : 1) * sizeof(**insns));
	if (*insns && saved->count)
		memcpy(*insns, saved->insns, saved->count * sizeof(**insns));
	else
		capture->insn_count = 0;
}

static void judge(struct capture *capture, const struct sock_filter *insns)
{
	const char *what;

	if (capture->locked)
		strcpy(capture->why, "its owner has locked its filter (SO_LOCK_FILTER)");
	else if (capture->meter == CAPTURE_METERED)
		snprintf(capture->why, sizeof(capture->why),
			 "socktally (pid %d) is metering it: a socket has room for one meter",
			 capture->meter_pid);
	else if (capture->filter == CAPTURE_FILTER_EBPF && !*capture->why)
		snprintf(capture->why, sizeof(capture->why),
			 "it has an eBPF filter, which can't be read%s",
			 geteuid() ? " (perhaps socktally's: root can tell)" : "");
	else if (capture->filter != CAPTURE_FILTER_EBPF &&
		 (what = obstacle(insns, capture->insn_count)))
		snprintf(capture->why, sizeof(capture->why),
			 "its filter uses %s, which eBPF can't express", what);
	else if (*capture->why)
		return;
	else if (!bpf_permitted())
		strcpy(capture->why, "loading BPF programs needs root, or CAP_BPF and CAP_PERFMON");
	else
		capture->attachable = true;
}

/* A program is on the socket: a meter's, as a saved filter tells, or another one. */
static void take_program(const struct captures *captures, struct capture *capture, int fd,
			 struct sock_filter **insns)
{
	const struct st_saved_filter *found;
	enum st_saved_state state = saved_filters_find(&captures->saved, fd, 0, &found);

	if (state == ST_SAVED_FOUND && (found->counting || st_saved_filter_fits(found, fd))) {
		take_saved(capture, found, insns);
		return;
	}
	capture->filter = CAPTURE_FILTER_EBPF;
	if (state == ST_SAVED_UNTRUSTED || state == ST_SAVED_CONTRADICTORY)
		saved_filter_refused(state, found, capture->why, sizeof(capture->why));
}

void capture_probe(const struct captures *captures, struct capture *capture, int fd,
		   struct sock_filter **insns)
{
	socklen_t size = sizeof(int);
	int locked = 0, result;

	getsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &locked, &size);
	capture->locked = locked;
	result = st_filter_read(fd, insns, &capture->insn_count);
	if (result == -EACCES)
		take_program(captures, capture, fd, insns);
	else if (!result)
		capture->filter =
			capture->insn_count ? CAPTURE_FILTER_CLASSIC : CAPTURE_FILTER_NONE;
	judge(capture, *insns);
	if (capture->meter == CAPTURE_LEFT)
		snprintf(
			capture->why, sizeof(capture->why),
			"a meter (pid %d) that was killed left its program, which goes on with the "
			"socket's own filter; %s",
			capture->meter_pid,
			capture->locked ? "its owner has locked it"
					: "'socktally detach' gives it back");
}
