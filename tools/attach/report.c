// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The meters that sockets are attached to, and their reports. */
#include "tools/attach/attach.h"

#include "tools/options/hooks.h"
#include <errno.h>
#include <linux/filter.h>
#include <stdlib.h>
#include <string.h>

static struct attach_meter *meter_open(struct attach_session *session)
{
	const struct report_options *options = &session->options->report;
	struct socktally_open_opts opts = {.sz = sizeof(opts),
					   .paths = options->paths,
					   .ports = options->ports,
					   .port_count = options->port_count,
					   .flags = SOCKTALLY_OPEN_RECORDS | options->open_flags,
					   .log = hook_options_log};
	struct attach_meter *meter = calloc(1, sizeof(*meter));
	int error;

	if (!meter) {
		command_fail("out of memory");
		return NULL;
	}
	command_lift_memlock();
	error = socktally_open(&meter->meter, &opts);
	if (!error)
		error = report_open(&meter->report, session->output, &options->style);
	if (error) {
		if (session->lines++ < ATTACH_LINES)
			command_open_failed(error);
	} else {
		session->unprepared = command_prepare_meter(options, meter->meter);
	}
	if (error || session->unprepared) {
		attach_meter_free(meter);
		return NULL;
	}
	return meter;
}

struct attach_meter *attach_meter_of(struct attach_session *session)
{
	struct attach_meter **grown, *meter;

	for (size_t i = 0; i < session->meter_count; i++)
		if (!session->options->each || !session->meters[i]->used)
			return session->meters[i];
	grown = reallocarray(session->meters, session->meter_count + 1, sizeof(*grown));
	if (!grown) {
		command_fail("out of memory");
		return NULL;
	}
	session->meters = grown;
	meter = meter_open(session);
	if (meter)
		grown[session->meter_count++] = meter;
	return meter;
}

void attach_meter_free(struct attach_meter *meter)
{
	report_close(meter->report);
	socktally_close(meter->meter);
	notes_clear(&meter->notes);
	attach_rows_prune(&meter->rows, true);
	free(meter);
}

void attach_meter_use(struct attach_meter *meter, const struct attach_socket *socket)
{
	name_list_add(&meter->comms, socket->comm);
	if (!meter->used) {
		meter->used = true;
		meter->pid = socket->pid;
		report_begin(meter->report);
	} else if (meter->pid != socket->pid) {
		meter->pid = 0;
	}
}

struct socket_lookup {
	struct attach_socket *socket;
	uint32_t program;
	bool moved;
};

static int see(void *ctx, const struct socktally_socket *metered)
{
	struct socket_lookup *lookup = ctx;
	struct attach_socket *socket = lookup->socket;
	struct attach_meter *meter = socket->meter;
	struct attach_row *row;

	if (metered->cookie != socket->cookie)
		return 0;
	lookup->program = metered->program;
	lookup->moved = strcmp(socket->interface, metered->interface) != 0 ||
			strcmp(socket->linktype, metered->linktype) != 0;
	if (!lookup->moved && socket->program == metered->program)
		return 1;
	snprintf(socket->interface, sizeof(socket->interface), "%s", metered->interface);
	snprintf(socket->linktype, sizeof(socket->linktype), "%s", metered->linktype);
	name_list_add(&meter->interfaces, metered->interface);
	name_list_add(&meter->linktypes, metered->linktype);
	row = attach_row_of(&meter->rows, socket->cookie);
	if (!row)
		return 1;
	if (!row->attached_at)
		row->attached_at = monotonic_now();
	snprintf(row->comm, sizeof(row->comm), "%s", socket->comm);
	snprintf(row->interface, sizeof(row->interface), "%s", metered->interface);
	snprintf(row->linktype, sizeof(row->linktype), "%s", metered->linktype);
	attach_row_filter(row, metered->insns, metered->insn_count);
	return 1;
}

uint32_t attach_meter_see(struct attach_socket *socket, bool *moved)
{
	struct socket_lookup lookup = {.socket = socket};

	socktally_sockets(socket->meter->meter, see, &lookup);
	*moved = lookup.moved;
	return lookup.program;
}

void attach_meter_reach(struct attach_socket *socket)
{
	struct attach_row *row = attach_row_of(&socket->meter->rows, socket->cookie);

	if (!row)
		return;
	row->reach = socket->reach;
	row->pid = socket->pid;
	row->fd = socket->fd;
}

/* Two sockets on one interface have every packet, and the sums have it twice. */
static size_t note_overlap(const struct attach_meter *meter, struct report_note *notes)
{
	const char *interface;
	char *text;

	if (!attach_rows_overlap(&meter->rows, &interface) ||
	    asprintf(&text,
		     "several sockets get the packets of %s: each packet is in these sums once for "
		     "each of them, and --each counts them apart",
		     interface) < 0)
		return 0;
	*notes = (struct report_note){.event = "overlap", .text = text};
	clock_gettime(CLOCK_REALTIME, &notes->time);
	return 1;
}

static void write_report(struct attach_session *session, struct attach_meter *meter,
			 enum attach_occasion occasion)
{
	struct report_note *notes = calloc(meter->notes.count + 1, sizeof(*notes));
	char *filters = NULL, *programs = NULL;
	struct report_socket *sockets =
		attach_rows_report(&meter->rows, session->options->report.style.format, &filters,
				   &programs);
	struct report_source source = {
		.kind = "socket",
		.interface = meter->interfaces.text,
		.linktype = meter->linktypes.text,
		.pid = meter->pid,
		.comm = meter->comms.text,
		.filter = filters ? filters : "",
		.program = programs ? programs : "",
		.notes = notes,
		.sockets = sockets,
		.socket_count = sockets ? meter->rows.count : 0,
	};
	size_t overlap = 0;
	int error;

	if (notes) {
		overlap = note_overlap(meter, notes);
		if (meter->notes.count)
			memcpy(notes + overlap, meter->notes.note,
			       meter->notes.count * sizeof(*notes));
		source.note_count = overlap + meter->notes.count;
	}
	error = (occasion == ATTACH_SO_FAR ? report_write_so_far
					   : report_write)(meter->report, meter->meter, &source);
	if (overlap)
		free((char *)notes->text);
	free(notes);
	free(filters);
	free(programs);
	attach_rows_report_free(sockets, meter->rows.count);
	if (occasion == ATTACH_INTERVAL && error &&
	    command_report_is_late(&session->options->report, error))
		return;
	if (error) {
		session->status =
			command_report_failed(&session->options->report, error, meter->meter);
		return;
	}
	command_report_written(&session->options->report);
	if (occasion != ATTACH_SO_FAR) {
		notes_clear(&meter->notes);
		attach_rows_prune(&meter->rows, false);
	}
}

void attach_answer(struct attach_session *session)
{
	struct attach_meter *meter = session->meters[0];
	struct report_health health = {
		.metered = session->socket_count,
		.refused = session->refused_count,
		.gaps = meter->gaps,
		.gap_seconds = meter->gap_seconds,
	};
	struct report_source source = {
		.kind = "socket",
		.interface = meter->interfaces.text,
		.filter = "",
		.program = "",
		.health = &health,
	};

	for (size_t i = 0; i < session->socket_count; i++) {
		health.metered -= session->sockets[i].refused;
		health.refused += session->sockets[i].refused;
	}
	listener_answer(session->listener, meter->meter, &source);
}

static bool has_socket(const struct attach_session *session, const struct attach_meter *meter)
{
	for (size_t i = 0; i < session->socket_count; i++)
		if (session->sockets[i].meter == meter)
			return true;
	return false;
}

/* With --each, frees the meters whose socket is closed: their last report is written. */
static void retire_meters(struct attach_session *session)
{
	for (size_t i = session->meter_count; i-- && session->options->each;) {
		if (!session->meters[i]->used || has_socket(session, session->meters[i]))
			continue;
		attach_meter_free(session->meters[i]);
		session->meters[i] = session->meters[--session->meter_count];
	}
}

void attach_report(struct attach_session *session, enum attach_occasion occasion)
{
	/* a script gets its report even if there was no socket */
	bool always = session->options->report.style.format != REPORT_TEXT;

	for (size_t i = 0; i < session->meter_count && !session->status; i++)
		if (session->meters[i]->used || (!i && always))
			write_report(session, session->meters[i], occasion);
	if (occasion != ATTACH_SO_FAR)
		retire_meters(session);
}
