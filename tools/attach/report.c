// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The meters that sockets are attached to, and their reports. */
#include "tools/attach/attach.h"
#include "tools/filter_text/filter_text.h"
#include "tools/report/filter.h"

#include <errno.h>
#include <linux/filter.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static struct attach_meter *meter_open(struct attaching *attaching)
{
	const struct report_options *options = &attaching->options->report;
	struct socktally_open_opts opts = {.sz = sizeof(opts),
					   .paths = options->paths,
					   .flags = SOCKTALLY_OPEN_RECORDS};
	struct attach_meter *meter = calloc(1, sizeof(*meter));
	int error;

	if (!meter) {
		command_fail("out of memory");
		return NULL;
	}
	command_lift_memlock();
	error = socktally_open(&meter->meter, &opts);
	if (!error)
		error = report_open(&meter->report, attaching->report_fd, options->format);
	if (error)
		command_open_failed(error);
	else
		attaching->unprepared = command_prepare_meter(options, meter->meter) != 0;
	if (error || attaching->unprepared) {
		attach_meter_free(meter);
		return NULL;
	}
	if (attaching->meter_count)
		report_follows(meter->report);
	return meter;
}

struct attach_meter *attach_meter_of(struct attaching *attaching)
{
	struct attach_meter **grown, *meter;

	for (size_t i = 0; i < attaching->meter_count; i++)
		if (!attaching->options->each || !attaching->meters[i]->used)
			return attaching->meters[i];
	grown = reallocarray(attaching->meters, attaching->meter_count + 1, sizeof(*grown));
	if (!grown) {
		command_fail("out of memory");
		return NULL;
	}
	attaching->meters = grown;
	meter = meter_open(attaching);
	if (meter)
		grown[attaching->meter_count++] = meter;
	return meter;
}

static void notes_free(struct attach_meter *meter)
{
	for (size_t i = 0; i < meter->note_count; i++)
		free((char *)meter->notes[i].text);
	free(meter->notes);
	meter->notes = NULL;
	meter->note_count = 0;
	meter->notes_full = false;
}

void attach_meter_free(struct attach_meter *meter)
{
	report_close(meter->report);
	socktally_close(meter->meter);
	notes_free(meter);
	free(meter->insns);
	free(meter->filter_name);
	free(meter);
}

/* text: malloc'ed, or NULL */
static void note_add(struct attach_meter *meter, const char *event, char *text)
{
	struct report_note note = {.event = event, .text = text}, *grown;

	grown = text ? reallocarray(meter->notes, meter->note_count + 1, sizeof(*grown)) : NULL;
	if (!grown) {
		free(text);
		return;
	}
	meter->notes = grown;
	clock_gettime(CLOCK_REALTIME, &note.time);
	grown[meter->note_count++] = note;
}

void attach_note(struct attach_meter *meter, const char *event, const char *format, ...)
{
	va_list arguments;
	char *text;

	if (meter->notes_full)
		return;
	if (meter->note_count == ATTACH_NOTES) {
		meter->notes_full = true;
		note_add(meter, "more", strdup("more has happened than is listed here"));
		return;
	}
	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	note_add(meter, event, text);
}

void attach_meter_use(struct attach_meter *meter, const struct attached *socket)
{
	name_list_add(&meter->comms, socket->comm);
	if (!meter->used) {
		meter->used = true;
		meter->pid = socket->pid;
		clock_gettime(CLOCK_REALTIME, &meter->start);
	} else if (meter->pid != socket->pid) {
		meter->pid = 0;
	}
}

struct sight {
	struct attached *socket;
	uint32_t program;
};

/* The meter forgets it with the socket, before the last report. */
static void keep_filter(struct attach_meter *meter, const struct socktally_socket *metered)
{
	size_t size = metered->insn_count * sizeof(*meter->insns);

	free(meter->filter_name);
	meter->filter_name = NULL;
	meter->filter_named = false;
	free(meter->insns);
	meter->insns = size ? malloc(size) : NULL;
	meter->insn_count = meter->insns ? metered->insn_count : 0;
	if (meter->insns)
		memcpy(meter->insns, metered->insns, size);
	snprintf(meter->linktype, sizeof(meter->linktype), "%s", metered->linktype);
}

static int see(void *ctx, const struct socktally_socket *metered)
{
	struct sight *sight = ctx;
	struct attached *socket = sight->socket;
	struct attach_meter *meter = socket->meter;

	if (metered->cookie != socket->cookie)
		return 0;
	sight->program = metered->program;
	if (!strcmp(socket->interface, metered->interface) && socket->program == metered->program)
		return 1;
	snprintf(socket->interface, sizeof(socket->interface), "%s", metered->interface);
	name_list_add(&meter->interfaces, metered->interface);
	name_list_add(&meter->linktypes, metered->linktype);
	keep_filter(meter, metered);
	return 1;
}

uint32_t attach_meter_see(struct attached *socket)
{
	struct sight sight = {.socket = socket};

	socktally_sockets(socket->meter->meter, see, &sight);
	return sight.program;
}

/* Once a filter, as it takes time. */
static void name_filter(struct attach_meter *meter)
{
	if (!meter->filter_named)
		meter->filter_name =
			report_filter_name(meter->insns, meter->insn_count, meter->linktype);
	meter->filter_named = true;
}

static void write_report(struct attaching *attaching, struct attach_meter *meter)
{
	struct report_source source = {
		.kind = "socket",
		.interface = meter->interfaces.text,
		.linktype = meter->linktypes.text,
		.pid = meter->pid,
		.comm = meter->comms.text,
		.notes = meter->notes,
		.note_count = meter->note_count,
	};
	char *numbers = NULL;
	struct timespec end;
	int error;

	if (meter->insns)
		numbers = filter_text_numbers(meter->insns, meter->insn_count);
	if (meter->insns && attaching->options->report.format == REPORT_TEXT)
		name_filter(meter);
	source.filter = numbers;
	source.filter_name = meter->filter_name;
	clock_gettime(CLOCK_REALTIME, &end);
	error = report_write(meter->report, meter->meter, &source, &meter->start, &end);
	free(numbers);
	if (error) {
		attaching->status =
			command_report_failed(&attaching->options->report, error, meter->meter);
		return;
	}
	notes_free(meter);
	meter->start = end;
}

static bool has_socket(const struct attaching *attaching, const struct attach_meter *meter)
{
	for (size_t i = 0; i < attaching->socket_count; i++)
		if (attaching->sockets[i].meter == meter)
			return true;
	return false;
}

/* A meter of a socket alone that is gone has had its last report. */
static void retire_meters(struct attaching *attaching)
{
	for (size_t i = attaching->meter_count; i-- && attaching->options->each;) {
		if (!attaching->meters[i]->used || has_socket(attaching, attaching->meters[i]))
			continue;
		attach_meter_free(attaching->meters[i]);
		attaching->meters[i] = attaching->meters[--attaching->meter_count];
	}
}

void attach_report(struct attaching *attaching)
{
	/* a script gets its object in any case */
	bool always = attaching->options->report.format == REPORT_JSON;

	for (size_t i = 0; i < attaching->meter_count && !attaching->status; i++)
		if (attaching->meters[i]->used || (!i && always))
			write_report(attaching, attaching->meters[i]);
	retire_meters(attaching);
}
