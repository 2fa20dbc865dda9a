// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "tools/report/output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Milliseconds that the reader of a FIFO may pause, where the output waits at all. */
#define FIFO_PATIENCE 2000

void report_output_stream(struct report_output *output, int fd)
{
	*output = (struct report_output){.fd = fd};
}

void report_output_memory(struct report_output *output)
{
	*output = (struct report_output){.fd = -1, .mode = REPORT_MEMORY};
}

char *report_output_take(struct report_output *output, size_t *size)
{
	char *report = output->kept;

	*size = output->kept_size;
	output->kept = NULL;
	output->kept_size = 0;
	return report;
}

static int open_file(const char *path, enum report_output_mode mode)
{
	return open(path,
		    O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK |
			    (mode == REPORT_APPEND ? O_APPEND : 0),
		    0666);
}

int report_output_open(struct report_output *output, const char *path, enum report_output_mode mode)
{
	struct stat status;

	*output = (struct report_output){.fd = open_file(path, mode), .mode = mode, .is_own = true};
	if (output->fd < 0 || fstat(output->fd, &status))
		return -errno;
	output->is_fifo = S_ISFIFO(status.st_mode);
	if (!output->is_fifo)
		fcntl(output->fd, F_SETFL, mode == REPORT_APPEND ? O_APPEND : 0);
	/* absolute: the working directory may change */
	if (S_ISREG(status.st_mode))
		output->path = realpath(path, NULL);
	/* a file with other names keeps them */
	if (mode == REPORT_REPLACE && (!output->path || status.st_nlink > 1))
		output->mode = REPORT_FILL;
	return 0;
}

static int empty_file(struct report_output *output)
{
	struct stat status;

	if (fstat(output->fd, &status) || !S_ISREG(status.st_mode))
		return 0;
	if (ftruncate(output->fd, 0) || lseek(output->fd, 0, SEEK_SET))
		return -errno;
	return 0;
}

int report_output_begin(struct report_output *output)
{
	struct stat status;

	if (!output->is_own)
		return 0;
	if (output->mode == REPORT_APPEND)
		output->written = !fstat(output->fd, &status) && status.st_size;
	return output->mode == REPORT_FILL ? empty_file(output) : 0;
}

static int write_all(int fd, const char *data, size_t size)
{
	while (size) {
		ssize_t written = write(fd, data, size);

		if (written > 0) {
			data += written;
			size -= (size_t)written;
		} else if (!written || errno != EINTR) {
			return written ? -errno : -EIO;
		}
	}
	return 0;
}

/*
 * The descriptor may block or not: another process may have the same open file. So poll() comes first;
 * a pipe that is writable takes PIPE_BUF bytes without waiting.
 */
int report_output_flush(struct report_output *output, int milliseconds)
{
	struct pollfd writable = {.fd = output->fd, .events = POLLOUT};
	int error = 0;

	while (output->kept_at < output->kept_size && !error) {
		size_t left = output->kept_size - output->kept_at;
		int ready = poll(&writable, 1, milliseconds);
		ssize_t written = -1;

		if (!ready)
			return -ETIMEDOUT;
		if (ready > 0)
			written = write(output->fd, output->kept + output->kept_at,
					left < PIPE_BUF ? left : PIPE_BUF);
		if (written > 0)
			output->kept_at += (size_t)written;
		else if (!written)
			error = -EIO;
		else if (errno != EINTR && errno != EAGAIN)
			error = -errno;
	}
	free(output->kept);
	output->kept = NULL;
	output->kept_size = output->kept_at = 0;
	return error;
}

static int patience(const struct report_output *output)
{
	if (output->never_wait)
		return 0;
	return output->is_fifo ? FIFO_PATIENCE : -1;
}

int report_output_ready(struct report_output *output)
{
	int error;

	if (output->mode == REPORT_MEMORY)
		return 0;
	error = report_output_flush(output, patience(output));
	return error == -ETIMEDOUT && output->never_wait ? -EAGAIN : error;
}

/* A file beside the other one with the same owner and mode; -1: there can't be one. */
static int open_beside(const struct report_output *output, char *name, size_t size)
{
	struct stat wanted, made;
	int fd;

	if ((size_t)snprintf(name, size, "%s.XXXXXX", output->path) >= size)
		return -1;
	fd = mkostemp(name, O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (!fstat(output->fd, &wanted) && !fstat(fd, &made) &&
	    ((wanted.st_uid == made.st_uid && wanted.st_gid == made.st_gid) ||
	     !fchown(fd, wanted.st_uid, wanted.st_gid)) &&
	    !fchmod(fd, wanted.st_mode & 07777))
		return fd;
	close(fd);
	unlink(name);
	return -1;
}

/*
 * Writes a new file and gives it the name. Where that is not allowed, as in a directory of somebody
 * else's or after privileges were dropped, the report is written into the file itself.
 */
static int replace(struct report_output *output, const char *report, size_t size)
{
	char name[PATH_MAX];
	int fd = open_beside(output, name, sizeof(name)), error;

	if (fd >= 0) {
		error = write_all(fd, report, size);
		if (!error && !rename(name, output->path)) {
			close(output->fd);
			output->fd = fd;
			return 0;
		}
		close(fd);
		unlink(name);
		if (error) /* the disk is full: the old report stays */
			return error;
	}
	error = empty_file(output);
	return error ? error : write_all(output->fd, report, size);
}

int report_output_write(struct report_output *output, char *report, size_t size)
{
	off_t before = -1;
	int error;

	if (output->mode == REPORT_MEMORY) {
		free(output->kept);
		output->kept = report;
		output->kept_size = size;
		return 0;
	}
	if (output->mode == REPORT_REPLACE) {
		error = replace(output, report, size);
		free(report);
		return error;
	}
	if (output->mode == REPORT_APPEND)
		before = lseek(output->fd, 0, SEEK_END); /* -1: it can't be cut */
	output->kept = report;
	output->kept_size = size;
	error = report_output_flush(output, patience(output));
	if (error == -ETIMEDOUT && output->never_wait)
		error = 0;
	if (error && before >= 0 && ftruncate(output->fd, before)) {
		/* half a report is left, which its reader will see */
	}
	if (!error)
		output->written = true;
	return error;
}

void report_output_forget(struct report_output *output)
{
	free(output->head.source);
	free(output->head.titles);
	output->head = (struct report_head){0};
}

int report_output_reopen(struct report_output *output)
{
	struct stat status;
	int fd;

	if (!output->path || output->mode != REPORT_APPEND)
		return 0;
	fd = open_file(output->path, output->mode);
	if (fd < 0)
		return -errno;
	close(output->fd);
	output->fd = fd;
	report_output_forget(output);
	output->written = !fstat(fd, &status) && status.st_size;
	return 0;
}

int report_output_close(struct report_output *output)
{
	int error = output->is_own && output->fd >= 0 && close(output->fd) ? -errno : 0;

	free(output->path);
	report_output_forget(output);
	free(output->kept);
	*output = (struct report_output){.fd = -1};
	return error;
}
