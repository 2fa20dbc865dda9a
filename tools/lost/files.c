// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Counts capture files as they are closed, each packet once. */
#include "tools/capture/input.h"
#include "tools/lost/counter.h"
#include "tools/saved/side.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATHS_DEFAULT 32768 /* as `read` */
#define KNOWN_MAX 16384     /* files that are remembered; the oldest are forgotten */
#define NAMED_MAX 16        /* files that are named in the report */
#define FILE_NOTES_MAX 32
#define HEAD 1024 /* bytes: of any capture the headers and the time of its first packet */

/* How a file begins: of its first bytes, HEAD at most, a hash (FNV-1a). */
struct head {
	size_t size;
	uint64_t hash;
};

struct known {
	dev_t device;
	ino_t inode;
	uint64_t packets; /* that were counted */
	char *path;
	struct head head;
	bool compressed, overwritten;
};

struct files {
	const struct report_options *options;
	struct socktally *meter;
	struct saved_side side; /* what is not in the meter */
	struct timespec last;
	struct known *known;
	uint64_t overwritten, overwritten_packets;
	uint64_t grown; /* times that one was closed again with more in it */
	size_t count;   /* of all, also of those that are forgotten */
	struct report_note notes[FILE_NOTES_MAX];
	size_t note_count;
	bool failed;
};

static void note(struct files *files, const char *event, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static void note(struct files *files, const char *event, const char *format, ...)
{
	struct report_note *made = &files->notes[files->note_count];
	va_list arguments;
	char *text;
	int length;

	if (files->note_count == FILE_NOTES_MAX)
		return;
	va_start(arguments, format);
	length = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (length < 0)
		return;
	*made = (struct report_note){.event = event, .text = text};
	clock_gettime(CLOCK_REALTIME, &made->time);
	files->note_count++;
}

struct files *files_new(const struct report_options *options)
{
	struct files *files = calloc(1, sizeof(*files));
	struct socktally_open_opts opts = {
		.sz = sizeof(opts),
		.paths = PATHS_DEFAULT,
		.ports = options->ports,
		.port_count = options->port_count,
		.flags = SOCKTALLY_OPEN_USERSPACE | SOCKTALLY_OPEN_NO_APPLICATIONS,
	};

	if (files)
		files->known = calloc(KNOWN_MAX, sizeof(*files->known));
	if (!files || !files->known) {
		command_fail("--lost: out of memory");
		return NULL;
	}
	files->options = options;
	if (socktally_open(&files->meter, &opts)) {
		command_fail("--lost: %s", socktally_error(NULL));
		return NULL;
	}
	return class_options_add(&options->classes, files->meter) ? NULL : files;
}

static struct known *find_inode(struct files *files, const struct stat *status)
{
	for (size_t i = files->count; i-- > 0 && files->count - i <= KNOWN_MAX;) {
		struct known *known = &files->known[i % KNOWN_MAX];

		if (known->inode == status->st_ino && known->device == status->st_dev)
			return known;
	}
	return NULL;
}

/* The file that this one is a compressed copy of: "dump.pcap1.gz" of "dump.pcap1". */
static struct known *find_original(struct files *files, const char *path)
{
	for (size_t i = files->count; i-- > 0 && files->count - i <= KNOWN_MAX;) {
		struct known *known = &files->known[i % KNOWN_MAX];
		size_t length = strlen(known->path);

		if (!strncmp(path, known->path, length) && path[length] == '.')
			return known;
	}
	return NULL;
}

static bool path_of(int fd, const struct stat *status, char path[PATH_MAX])
{
	static const char gone[] = " (deleted)";
	char link[64];
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, path, PATH_MAX - 1);
	if (length <= 0)
		return false;
	path[length] = 0;
	if (!status->st_nlink && (size_t)length > strlen(gone) &&
	    !strcmp(path + length - strlen(gone), gone))
		path[length - (ssize_t)strlen(gone)] = 0;
	return true;
}

static struct known *remember(struct files *files, const struct stat *status, const char *path)
{
	struct known *known = &files->known[files->count % KNOWN_MAX];

	free(known->path);
	*known = (struct known){
		.device = status->st_dev,
		.inode = status->st_ino,
		.path = strdup(path),
	};
	if (!known->path) {
		files->failed = true;
		return NULL;
	}
	files->count++;
	return known;
}

static uint64_t counted(const struct files *files)
{
	struct socktally_totals totals = {0};

	socktally_snapshot(files->meter, NULL, NULL, &totals);
	return totals.counts.packets;
}

/* Goes past the packets that were counted when the file was closed before. */
static void skip(struct capture_file *file, uint64_t packets)
{
	struct capture_packet packet;

	while (packets && capture_file_next(file, &packet) > 0)
		packets--;
}

static void count_packets(struct files *files, struct known *known, struct capture_file *file)
{
	uint64_t before = counted(files);
	int result;

	skip(file, known->packets);
	result = saved_capture_count(&files->side, file, files->meter, &files->last);
	known->packets += counted(files) - before;
	if (result == -1)
		note(files, "cut", "%s", capture_file_message(file));
	else if (result)
		files->failed = true;
}

static bool is_gone(const struct known *known)
{
	struct stat status;

	return stat(known->path, &status) || status.st_ino != known->inode ||
	       status.st_dev != known->device;
}

static struct head head_of(int fd, size_t size)
{
	struct head head = {.hash = 0xcbf29ce484222325};
	uint8_t data[HEAD];
	ssize_t count = pread(fd, data, size, 0);

	head.size = count > 0 ? (size_t)count : 0;
	for (size_t i = 0; i < head.size; i++)
		head.hash = (head.hash ^ data[i]) * 0x100000001b3;
	return head;
}

/*
 * A file that is known by its inode is the same one, to which something was added, if it begins as it did;
 * else another one took its place, and what was in it before has been counted.
 */
static struct known *known_file(struct files *files, const struct stat *status, const char *path,
				int fd)
{
	struct known *known = find_inode(files, status);

	if (known && head_of(fd, known->head.size).hash != known->head.hash) {
		if (!is_gone(known)) {
			files->overwritten++;
			files->overwritten_packets += known->packets;
		}
		known->overwritten = !is_gone(known);
		known = NULL;
	}
	if (!known) {
		known = remember(files, status, path);
		if (known)
			known->head = head_of(fd, HEAD);
		return known;
	}
	files->grown++;
	return known;
}

/* Takes the input over; fd is the same file. */
static void count_input(struct files *files, struct capture_input *input, int fd,
			const struct stat *status, const char *path)
{
	char message[CAPTURE_MESSAGE_MAX];
	struct known *known = input->codec ? find_original(files, path) : NULL;
	struct capture_file *file;

	if (known) {
		known->compressed = true;
		capture_input_close(input);
		return;
	}
	file = capture_file_of(input, path, message);
	if (!file)
		return; /* something else than a capture */
	known = known_file(files, status, path, fd);
	if (known)
		count_packets(files, known, file);
	capture_file_close(file);
}

/* What is no capture is passed over. */
static void count_file(struct files *files, int fd, const struct stat *status, const char *path)
{
	struct capture_input input;
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (copy < 0)
		files->failed = true;
	else if (capture_input_open(&input, copy, -1))
		count_input(files, &input, fd, status, path);
	else
		capture_input_close(&input);
}

void files_add(struct files *files, int fd)
{
	char path[PATH_MAX];
	struct stat status;

	if (!fstat(fd, &status) && S_ISREG(status.st_mode) && status.st_size &&
	    path_of(fd, &status, path))
		count_file(files, fd, &status, path);
	close(fd);
}

void files_add_pattern(struct files *files, const char *pattern)
{
	glob_t found = {0};

	if (glob(pattern, 0, NULL, &found)) {
		note(files, "missing", "%s: there is no such file", pattern);
		return;
	}
	for (size_t i = 0; i < found.gl_pathc; i++) {
		const char *path = found.gl_pathv[i];
		int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		struct stat status;

		if (fd < 0)
			note(files, "missing", "%s: can't open: %s", path, strerror(errno));
		else if (!fstat(fd, &status) && S_ISREG(status.st_mode))
			count_file(files, fd, &status, path);
		else
			note(files, "missing", "%s: is no regular file", path);
		if (fd >= 0)
			close(fd);
	}
	globfree(&found);
}

/* "/tmp/a.pcap (1 packet), /tmp/b.pcap (5 packets) and 3 more" */
static void note_files(struct files *files)
{
	size_t shown = files->count < KNOWN_MAX ? files->count : KNOWN_MAX, gone = 0, packed = 0;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return;
	for (size_t i = 0; i < shown; i++) {
		const struct known *known = &files->known[i];

		packed += known->compressed;
		gone += !known->compressed && !known->overwritten && is_gone(known);
		if (i < NAMED_MAX)
			fprintf(out, "%s%s (%llu packets)", i ? ", " : "", known->path,
				(unsigned long long)known->packets);
	}
	if (files->count > NAMED_MAX)
		fprintf(out, " and %zu more", files->count - NAMED_MAX);
	if (!fclose(out))
		note(files, "files", "capture files: %s", text);
	free(text);
	if (files->overwritten)
		note(files, "overwritten",
		     "%llu times one of them was written anew: the %llu packets that were in it "
		     "before count as captured",
		     (unsigned long long)files->overwritten,
		     (unsigned long long)files->overwritten_packets);
	if (files->grown)
		note(files, "reopened",
		     "%llu times one of them was closed again with more in it: if it had been "
		     "written anew before it was counted, what was in it then counts as lost",
		     (unsigned long long)files->grown);
	if (packed)
		note(files, "compressed", "%zu of them are compressed since", packed);
	if (gone)
		note(files, "deleted",
		     "%zu of them are deleted or renamed since: what was in them counts as captured",
		     gone);
}

int files_report(struct files *files, int fd, struct counter_facts *facts)
{
	const struct report_style style = {.format = REPORT_JSON};
	struct report_output output;
	struct report_source source = {
		.kind = "file",
		.file = "",
		.statistics = &files->side.statistics,
		.notes = files->notes,
	};
	struct report *report;
	int error;

	if (files->count)
		note_files(files);
	source.note_count = files->note_count;
	*facts = (struct counter_facts){
		.files = files->count,
		.shortest_cut = files->side.shortest_cut,
		.last = files->last,
	};
	report_output_stream(&output, fd);
	if (files->failed || report_open(&report, &output, &style))
		return EXIT_FAILED;
	error = report_write_span(report, files->meter, &source, &files->last, &files->last);
	report_close(report);
	return error ? EXIT_FAILED : 0;
}
