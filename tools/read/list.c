// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* socktally read: the lists of all packets and of all flows. */
#include "tools/read/read.h"
#include "plugin/count/path.h"
#include "proto/decimal.h"
#include "tools/flows/flows.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

_Static_assert(CAPTURE_BEHIND >= ST_BEHIND, "what the classifier may read is there");

#define LINE_MAX_LENGTH (2 * DECIMAL_MAX + 2 + SOCKTALLY_PATH_TEXT_MAX + 1)

int read_open_meter(struct read_session *session, uint32_t paths)
{
	struct socktally_open_opts opts = {
		.sz = sizeof(opts),
		.paths = paths,
		.ports = session->options->report.ports,
		.port_count = session->options->report.port_count,
		.flags = SOCKTALLY_OPEN_USERSPACE | session->options->report.open_flags,
	};

	return socktally_open(&session->meter, &opts);
}

bool read_batch(struct read_session *session, const struct capture_packet *packets, size_t count,
		struct st_batch_packet *batch)
{
	for (size_t i = 0; i < count; i++) {
		int accepted =
			session->filter ? read_filter_accepts(session->filter, &packets[i]) : 1;

		if (accepted < 0)
			return false;
		batch[i] = (struct st_batch_packet){
			.data = packets[i].data,
			.caplen = packets[i].caplen,
			.len = packets[i].len,
			.linktype = packets[i].linktype,
			.seconds = capture_seconds(&session->second, &packets[i].time),
			.rejected = !accepted,
		};
	}
	return true;
}

/* The line in a buffer of LINE_MAX_LENGTH; returns its length. */
static size_t packet_line(char *line, uint64_t number, uint32_t length, struct st_path path)
{
	uint8_t layers[SOCKTALLY_MAX_LAYERS];
	uint32_t count = st_path_layers(path, layers);
	char *at = decimal_put(line, number);

	*at++ = '\t';
	at = decimal_put(at, length);
	*at++ = '\t';
	at += socktally_path_text(layers, count, at, SOCKTALLY_PATH_TEXT_MAX);
	*at++ = '\n';
	return (size_t)(at - line);
}

/* Gives what each packet is to a function, which returns whether to go on; number: from 1. */
typedef bool (*packet_fn)(void *ctx, uint64_t number, const struct capture_packet *packet,
			  const struct st_batch_packet *same, const struct st_flow_place *place,
			  struct st_path path);

enum ended { ENDED, ENDED_BY_FUNCTION, ENDED_BY_FILTER };

static enum ended packets_of_file(struct read_session *session, uint64_t *number, packet_fn fn,
				  void *ctx)
{
	struct capture_packet packets[ST_BATCH];
	struct st_batch_packet batch[ST_BATCH];
	struct st_flow_place places[ST_BATCH];
	struct st_path paths[ST_BATCH];
	int count;

	while ((count = capture_file_batch(session->file, packets, ST_BATCH)) > 0) {
		if (!read_batch(session, packets, (size_t)count, batch))
			return ENDED_BY_FILTER;
		st_recognise(session->meter, batch, (size_t)count, paths, places);
		for (int i = 0; i < count; i++) {
			++*number;
			if (!batch[i].rejected &&
			    !fn(ctx, *number, &packets[i], &batch[i], &places[i], paths[i]))
				return ENDED_BY_FUNCTION;
		}
		read_progress_update(session->progress, capture_file_position(session->file),
				     (unsigned int)count);
	}
	read_end_file(session, count);
	return ENDED;
}

/* Of the file that is open and, without --each, all after it. */
static enum ended each_packet(struct read_session *session, uint64_t *number, packet_fn fn,
			      void *ctx)
{
	enum ended ended = packets_of_file(session, number, fn, ctx);

	while (ended == ENDED && read_goes_on(session)) {
		read_say_fault(session);
		if (!read_next_file(session))
			break;
		ended = packets_of_file(session, number, fn, ctx);
	}
	return ended;
}

static bool list_packet(void *ctx, uint64_t number, const struct capture_packet *packet,
			const struct st_batch_packet *same, const struct st_flow_place *place,
			struct st_path path)
{
	char line[LINE_MAX_LENGTH];
	size_t length = packet_line(line, number, packet->len, path);

	(void)same, (void)place;
	return fwrite_unlocked(line, 1, length, ctx) == length;
}

int read_list_packets(struct read_session *session)
{
	uint64_t number = 0;
	enum ended ended;
	FILE *out;

	/* nothing is counted on it: it knows the ports and the flows */
	if (read_open_meter(session, 1))
		return command_fail("%s", socktally_error(NULL));
	out = fdopen(dup(session->output.fd), "w");
	if (!out)
		return command_fail("can't write the list: %s", strerror(errno));
	ended = each_packet(session, &number, list_packet, out);
	if (fclose(out) || ended == ENDED_BY_FUNCTION)
		return command_fail("can't write the list of packets: %s; packets read: %llu",
				    strerror(errno), (unsigned long long)number);
	return ended == ENDED_BY_FILTER ? EXIT_USAGE : 0;
}

static bool list_flow(void *ctx, uint64_t number, const struct capture_packet *packet,
		      const struct st_batch_packet *same, const struct st_flow_place *place,
		      struct st_path path)
{
	struct timespec time;
	bool timed = capture_timespec(&packet->time, &time);

	(void)number;
	return flows_add(ctx, same, place, path, timed ? &time : NULL);
}

static int write_flows(struct read_session *session, const struct flows *flows)
{
	FILE *out = fdopen(dup(session->output.fd), "w");

	if (!out)
		return command_fail("can't write the flows: %s", strerror(errno));
	if (session->options->report.style.format == REPORT_JSON)
		flows_write_json(out, flows);
	else
		flows_write_text(out, flows);
	if (fclose(out))
		/* as every reader of a list, head has got what it wanted */
		return errno == EPIPE ? command_stdout_failed(errno)
				      : command_fail("can't write the flows: %s", strerror(errno));
	return 0;
}

int read_list_flows(struct read_session *session)
{
	struct flows *flows = flows_open();
	uint64_t number = 0;
	int status;

	if (!flows || read_open_meter(session, 1)) {
		flows_close(flows);
		return command_fail("%s", flows ? socktally_error(NULL) : "no memory for flows");
	}
	switch (each_packet(session, &number, list_flow, flows)) {
	case ENDED_BY_FUNCTION:
		status = command_fail("no memory for more flows; packets read: %llu",
				      (unsigned long long)number);
		break;
	case ENDED_BY_FILTER:
		status = EXIT_USAGE;
		break;
	default:
		read_progress_clear(session->progress);
		status = write_flows(session, flows);
	}
	flows_close(flows);
	return status;
}
