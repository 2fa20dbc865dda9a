// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The broker's report: interfaces, link types and filters of the sockets that were metered. */
#include "tools/broker/broker.h"
#include "tools/filter_text/filter_text.h"

#include <errno.h>
#include <linux/filter.h>
#include <stdlib.h>

/*
 * Milliseconds that the last report waits for a reader that takes nothing. As long as an exiting tool
 * waits for the report.
 */
enum { FLUSH_PATIENCE = 2000 };

/* `run` waits for a pager as other commands do, until a signal comes. */
static int flush(const struct broker *broker)
{
	struct pollfd signals = {.fd = broker->signals, .events = POLLIN};
	int error;

	do
		error = report_output_flush(broker->output, FLUSH_PATIENCE);
	while (error == -ETIMEDOUT && broker->signals >= 0 && !poll(&signals, 1, 0));
	return error;
}

#define LOST_NOTES 96 /* more than there are */

struct sources {
	struct name_list interfaces, linktypes;
	char *program;
};

static int add_source(void *ctx, const struct socktally_socket *socket)
{
	struct sources *sources = ctx;

	name_list_add(&sources->interfaces, socket->interface);
	name_list_add(&sources->linktypes, socket->linktype);
	if (socket->insn_count)
		filter_text_join(&sources->program,
				 filter_text_numbers(socket->insns, socket->insn_count));
	return 0;
}

bool broker_report(struct broker *broker, bool final)
{
	struct sources sources = {.interfaces = broker->interfaces, .linktypes = broker->linktypes};
	struct report_note notes[BROKER_MISSED + LOST_NOTES];
	struct report_source source = {.kind = "socket",
				       .interface = sources.interfaces.text,
				       .linktype = sources.linktypes.text,
				       .pid = broker->pid,
				       .comm = broker->comm,
				       .notes = notes,
				       .note_count = broker_watch_notes(broker, notes),
				       .drops = &broker->drops,
				       .lost = broker->lost};

	for (size_t i = 0; i < broker->lost_note_count && i < LOST_NOTES; i++)
		notes[source.note_count++] = broker->lost_notes[i];
	if (!broker->meter)
		return true;
	if (!broker->report_error) {
		socktally_sockets(broker->meter, add_source, &sources);
		source.program = sources.program;
		broker->report_error = final ? flush(broker) : 0;
		if (!broker->report_error)
			broker->report_error = report_write(broker->report, broker->meter, &source);
		if (broker->report_error == -EAGAIN)
			broker->report_error = 0; /* the next report has this one's time, too */
		if (final && !broker->report_error)
			broker->report_error = flush(broker);
		free(sources.program);
	} else if (!final) {
		return false; /* said already */
	}
	if (broker->report_error)
		command_report_failed(broker->options, broker->report_error, broker->meter);
	return !broker->report_error;
}

struct retired {
	struct broker *broker;
	uint64_t cookie;
};

static int retire(void *ctx, const struct socktally_socket *socket)
{
	struct retired *retired = ctx;

	if (socket->cookie != retired->cookie)
		return 0;
	name_list_add(&retired->broker->interfaces, socket->interface);
	name_list_add(&retired->broker->linktypes, socket->linktype);
	return 1;
}

void broker_keep_names(struct broker *broker, uint64_t cookie)
{
	struct retired retired = {.broker = broker, .cookie = cookie};

	socktally_sockets(broker->meter, retire, &retired);
}
