// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Opens capture files and says in words what is wrong with them. */
#include "tools/capture/format.h"
#include "tools/capture/packed.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int capture_fail(struct capture_file *file, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(file->message, sizeof(file->message), format, arguments);
	va_end(arguments);
	return -1;
}

int capture_fail_cut(struct capture_file *file, const char *what, uint64_t offset)
{
	if (capture_input_stopped(&file->input))
		return 0;
	return capture_fail(file,
			    "%s: %s in the %s at byte %" PRIu64 ", after %" PRIu64
			    " whole packets: counted what is before",
			    file->name, file->input.error ? file->input.error : "cut short", what,
			    offset, file->packets);
}

int capture_fail_corrupt(struct capture_file *file, const char *what, uint64_t offset,
			 const char *why, uint64_t value)
{
	return capture_fail(file,
			    "%s: corrupt: the %s at byte %" PRIu64 " %s %" PRIu64 ", after %" PRIu64
			    " packets: counted what is before",
			    file->name, what, offset, why, value, file->packets);
}

static int open_path(const char *path, char *message)
{
	const char *hint = "";
	struct stat status;
	int fd;

	if (!strcmp(path, "-"))
		fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	else /* without waiting for the writer of a FIFO, so that it can be stopped */
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		if (errno == EACCES || errno == EPERM)
			hint = ": get permission to read it, or use sudo";
		else if (errno == ENOENT)
			hint = ": check the name";
		snprintf(message, CAPTURE_MESSAGE_MAX, "%.256s: can't open: %s%s", path,
			 strerror(errno), hint);
		return -1;
	}
	if (isatty(fd)) {
		snprintf(message, CAPTURE_MESSAGE_MAX,
			 "%.256s: is a terminal: name a capture file, or pipe one in", path);
		close(fd);
		return -1;
	}
	if (!fstat(fd, &status) && S_ISDIR(status.st_mode)) {
		snprintf(message, CAPTURE_MESSAGE_MAX,
			 "%.256s: is a directory: name a capture file in it", path);
		close(fd);
		return -1;
	}
	if (strcmp(path, "-") != 0)
		fcntl(fd, F_SETFL, 0);
	return fd;
}

/* A compression that this build does not have. */
static void say_packed(const struct capture_codec *codec, const char *path, char *message)
{
	if (strcmp(path, "-") != 0)
		snprintf(message, CAPTURE_MESSAGE_MAX,
			 "%.200s: is compressed with %s: %s %.200s | socktally read -", path,
			 codec->name, codec->undo, path);
	else
		snprintf(message, CAPTURE_MESSAGE_MAX,
			 "standard input: is compressed with %s: put %s | before it", codec->name,
			 codec->undo);
}

static void say_no_capture(struct capture_file *file)
{
	const struct capture_codec *codec = file->input.codec;

	capture_fail(file,
		     "%s: is no %s%spcap or pcapng file: if it is a capture of another format, "
		     "convert it with editcap",
		     file->name, codec ? codec->name : "", codec ? " " : "");
}

static bool start(struct capture_file *file)
{
	struct capture_input *input = &file->input;
	size_t have = capture_input_need(input, 4);
	uint32_t magic;

	if (capture_input_stopped(input)) {
		capture_fail(file, "%s: stopped before its first packet", file->name);
		return false;
	}
	if (!have) {
		if (input->error)
			capture_fail(file, "%s: can't be read: %s", file->name, input->error);
		else
			capture_fail(file, "%s: is empty: no capture was written to it",
				     file->name);
		return false;
	}
	if (have == 4) {
		memcpy(&magic, capture_input_data(input), sizeof(magic));
		if (magic == 0x0a0d0d0a ? capture_pcapng_start(file)
					: capture_pcap_start(file, magic))
			return true;
	}
	if (!*file->message)
		say_no_capture(file);
	return false;
}

bool capture_input_of(struct capture_input *input, const char *path, int stop,
		      char message[CAPTURE_MESSAGE_MAX])
{
	int fd = open_path(path, message);

	if (fd < 0)
		return false;
	if (capture_input_open(input, fd, stop))
		return true;
	if (input->error)
		snprintf(message, CAPTURE_MESSAGE_MAX, "%.256s: can't be read: %s", path,
			 input->error);
	else
		say_packed(input->codec, path, message);
	capture_input_close(input);
	return false;
}

struct capture_file *capture_file_of(struct capture_input *input, const char *path,
				     char message[CAPTURE_MESSAGE_MAX])
{
	struct capture_file *file = calloc(1, sizeof(*file));

	if (!file) {
		snprintf(message, CAPTURE_MESSAGE_MAX, "%.256s: out of memory", path);
		capture_input_close(input);
		return NULL;
	}
	file->result = 1;
	file->input = *input;
	snprintf(file->name, sizeof(file->name), "%s", strcmp(path, "-") ? path : "standard input");
	if (start(file))
		return file;
	memcpy(message, file->message, CAPTURE_MESSAGE_MAX);
	capture_file_close(file);
	return NULL;
}

struct capture_file *capture_file_open(const char *path, int stop,
				       char message[CAPTURE_MESSAGE_MAX])
{
	struct capture_input input;

	if (!capture_input_of(&input, path, stop, message))
		return NULL;
	return capture_file_of(&input, path, message);
}

void capture_file_close(struct capture_file *file)
{
	if (!file)
		return;
	capture_input_close(&file->input);
	free(file->interfaces);
	free(file);
}

uint64_t capture_file_position(const struct capture_file *file)
{
	return capture_input_position(&file->input);
}

bool capture_file_stopped(const struct capture_file *file)
{
	return capture_input_stopped(&file->input);
}

int capture_file_next(struct capture_file *file, struct capture_packet *packet)
{
	return file->batch(file, packet, 1);
}

int capture_file_batch(struct capture_file *file, struct capture_packet *packets, int room)
{
	return file->batch(file, packets, room);
}

const char *capture_file_message(const struct capture_file *file)
{
	return file->message;
}

const char *capture_file_interfaces(const struct capture_file *file)
{
	return file->names;
}

void capture_file_linktype(struct capture_file *file, uint32_t linktype)
{
	for (size_t i = 0; i < file->linktype_count; i++) {
		if (file->linktypes[i] == linktype)
			return;
	}
	if (file->linktype_count < CAPTURE_LINKTYPES_MAX)
		file->linktypes[file->linktype_count++] = linktype;
}

size_t capture_file_linktypes(const struct capture_file *file, uint32_t *linktypes, size_t room)
{
	size_t count = file->linktype_count < room ? file->linktype_count : room;

	memcpy(linktypes, file->linktypes, count * sizeof(*linktypes));
	return count;
}

bool capture_timespec(const struct capture_time *time, struct timespec *timespec)
{
	uint64_t seconds;

	if (!time->units)
		return false;
	seconds = time->ticks / time->units;
	if (seconds > INT64_MAX / 2 || time->offset > INT64_MAX / 2 || time->offset < INT64_MIN / 2)
		return false;
	timespec->tv_sec = (time_t)((int64_t)seconds + time->offset);
	timespec->tv_nsec =
		(long)((unsigned __int128)(time->ticks % time->units) * 1000000000 / time->units);
	return true;
}
