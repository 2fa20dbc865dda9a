/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Reads capture files from front to end: pcap (both byte orders, micro- and nanoseconds, and
 * Kuznetzov's, Navtel's and IXIA's variants) and pcapng, plain or compressed. Memory use doesn't grow with
 * the file: a window of it is held.
 */
#ifndef SOCKTALLY_TOOLS_CAPTURE_FILE_H
#define SOCKTALLY_TOOLS_CAPTURE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* A larger length of a packet or block is corrupt. */
#define CAPTURE_LENGTH_MAX (256u << 20)

/* As in the file: capture_timespec() converts it. */
struct capture_time {
	uint64_t ticks;
	uint64_t units; /* ticks a second; 0: the packet has no time */
	int64_t offset; /* seconds */
};

struct capture_packet {
	const uint8_t *data; /* valid until the next call */
	uint32_t caplen;
	uint32_t len;      /* on the wire */
	uint32_t linktype; /* LINKTYPE_ number */
	struct capture_time time;
};

struct capture_file;

/*
 * path "-": standard input. NULL if it can't be read or is no capture file: message then says why
 * and what to do, with the file's name in front. stop: a descriptor that becomes readable when nothing more is
 * to be read, see capture_input_open(); -1: none.
 */
#define CAPTURE_MESSAGE_MAX 512
struct capture_file *capture_file_open(const char *path, int stop,
				       char message[CAPTURE_MESSAGE_MAX]);
void capture_file_close(struct capture_file *file);

/*
 * The same in two steps, for a file that may be something else than a capture file: the bytes first. Both
 * return false or NULL with a message; the second takes the input over in any case.
 */
struct capture_input;
bool capture_input_of(struct capture_input *input, const char *path, int stop,
		      char message[CAPTURE_MESSAGE_MAX]);
struct capture_file *capture_file_of(struct capture_input *input, const char *path,
				     char message[CAPTURE_MESSAGE_MAX]);

/* Bytes read of it, compressed as they are. */
uint64_t capture_file_position(const struct capture_file *file);
/* Whether it ended because of `stop`: its end is not read. */
bool capture_file_stopped(const struct capture_file *file);

/*
 * 1: *packet is the next one. 0: the file ended well. -1: it is cut short or corrupt from here on,
 * and capture_file_message() says where; the packets until then were good.
 */
int capture_file_next(struct capture_file *file, struct capture_packet *packet);

/*
 * The next packets, `room` at most, that one read of the file has brought: their number, or 0 or -1 as
 * above. They are valid until the next call. CAPTURE_BEHIND bytes behind each packet's data may be
 * read; their content is undefined.
 */
#define CAPTURE_BEHIND 64
int capture_file_batch(struct capture_file *file, struct capture_packet *packets, int room);
const char *capture_file_message(const struct capture_file *file);

/* Names of the interfaces that were described so far, joined by commas; "" if there is none. */
const char *capture_file_interfaces(const struct capture_file *file);

/* The link types that were described so far. Returns how many were written to the array. */
size_t capture_file_linktypes(const struct capture_file *file, uint32_t *linktypes, size_t room);

/* What the blocks so far say about packets that are not in the file, over all interfaces. */
struct capture_statistics;
void capture_file_statistics(const struct capture_file *file,
			     struct capture_statistics *statistics);

/* false: the packet has no time, or one that is out of range. */
bool capture_timespec(const struct capture_time *time, struct timespec *timespec);

/* The last second in which a packet came; zeros at first. */
struct capture_second {
	struct capture_time time; /* when it began */
	uint32_t seconds;         /* the same, since 1970 */
};

/*
 * When a packet came, in seconds; if it has no time, when the one before did. Most come in the same second
 * as the one before, which saves the division.
 */
static inline uint32_t capture_seconds(struct capture_second *second,
				       const struct capture_time *time)
{
	struct timespec now;

	if (time->units == second->time.units && time->offset == second->time.offset &&
	    time->ticks - second->time.ticks < time->units)
		return second->seconds;
	if (!capture_timespec(time, &now))
		return second->seconds;
	second->time = *time;
	second->time.ticks -= time->ticks % time->units;
	second->seconds = (uint32_t)now.tv_sec;
	return second->seconds;
}

#endif
