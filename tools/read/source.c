// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Which files are read, and what a report says of them. */
#include "tools/read/read.h"

#include "tools/common/stop.h"

#include <poll.h>
#include <string.h>

/* The short name of a link type: the outermost layer that the classifier gives such packets. */
static void linktype_name(uint32_t linktype, char *name, size_t size)
{
	static const uint8_t zeros[64];
	struct socktally_path path;

	socktally_classify(linktype, zeros, sizeof(zeros), &path);
	/* a type that is only named takes three */
	if (path.layer_count > 1 && path.layers[0] != SOCKTALLY_DLT)
		path.layer_count = 1;
	socktally_path_text(path.layers, path.layer_count, name, size);
}

static bool is_in(const char *list, const char *name, size_t length)
{
	while (*list) {
		size_t other = strcspn(list, ",");

		if (other == length && !strncmp(list, name, length))
			return true;
		list += other + (list[other] == ',');
	}
	return false;
}

/* Adds the names of a list with commas that are not there yet, in the order of their coming. */
static void add_names(char list[READ_NAMES_MAX], const char *names)
{
	while (*names) {
		size_t length = strcspn(names, ","), used = strlen(list);

		if (!is_in(list, names, length) && used + length + 2 <= READ_NAMES_MAX)
			snprintf(list + used, READ_NAMES_MAX - used, "%s%.*s", used ? "," : "",
				 (int)length, names);
		names += length + (names[length] == ',');
	}
}

void read_source_add(struct read_session *session)
{
	uint32_t linktypes[16];
	size_t count = capture_file_linktypes(session->file, linktypes, 16);
	struct read_source *source = &session->source;

	add_names(source->interfaces, capture_file_interfaces(session->file));
	for (size_t i = 0; i < count; i++) {
		char name[SOCKTALLY_PATH_TEXT_MAX];

		linktype_name(linktypes[i], name, sizeof(name));
		add_names(source->linktypes, name);
	}
}

struct report_source read_source_of(const struct read_session *session, bool last)
{
	const struct read_source *source = &session->source;

	return (struct report_source){
		.kind = "file",
		.interface = source->interfaces,
		.linktype = source->linktypes,
		.filter = session->options->filter,
		.file = source->files[0],
		.files = source->files,
		.file_count = source->file_count,
		.statistics = last ? &source->statistics : NULL,
	};
}

bool read_next_file(struct read_session *session)
{
	const struct read_options *options = session->options;
	char message[CAPTURE_MESSAGE_MAX];

	while (!session->stopped && session->next < options->path_count) {
		session->path = options->paths[session->next++];
		session->file = capture_file_open(session->path, session->stop, message);
		if (session->file) {
			session->source.files[session->source.file_count++] = session->path;
			return true;
		}
		session->failed = true;
		read_progress_clear(session->progress);
		command_fail("%s", message);
	}
	return false;
}

/* The next file is not begun, and the next signal ends the process. */
static void note_stop(struct read_session *session)
{
	struct pollfd stop = {.fd = session->stop, .events = POLLIN};

	if (session->stop < 0 || poll(&stop, 1, 0) <= 0)
		return;
	session->stopped = true;
	stop_forget(session->stop);
	if (capture_file_stopped(session->file))
		snprintf(session->fault, sizeof(session->fault),
			 "%.200s: stopped there: counted what is before", session->path);
}

void read_end_file(struct read_session *session, int result)
{
	if (result < 0) {
		session->failed = true;
		snprintf(session->fault, sizeof(session->fault), "%s",
			 capture_file_message(session->file));
	}
	note_stop(session);
	read_source_add(session);
	read_close_file(session);
	read_progress_next(session->progress);
}

bool read_goes_on(const struct read_session *session)
{
	return !session->options->each && !session->stopped &&
	       session->next < session->options->path_count;
}

void read_say_fault(struct read_session *session)
{
	if (!*session->fault)
		return;
	read_progress_clear(session->progress);
	command_note("%s", session->fault);
	*session->fault = 0;
}

void read_close_file(struct read_session *session)
{
	struct capture_statistics statistics;

	if (!session->file)
		return;
	capture_file_statistics(session->file, &statistics);
	capture_statistics_add(&session->source.statistics, &statistics);
	capture_file_close(session->file);
	session->file = NULL;
}
