// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * The kernel's types are some 6 MB: 150,000 types and their names. To be quick, the few names are looked
 * for in the strings first; each stands there once, so comparing names is comparing two numbers then. And
 * they are read in pieces into one small buffer, which stays in the cache.
 */
#include "plugin/bpf/btf.h"
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KERNEL_TYPES "/sys/kernel/btf/vmlinux"
#define PIECE 65536 /* bytes */
#define NAME_LENGTH 62

/* Where in the strings the names of a struct st_kernel_type are; 0: nowhere. */
struct names {
	uint32_t name, members[ST_KERNEL_MEMBERS];
};

struct reader {
	int fd;
	uint64_t start; /* where in the file the buffer begins */
	size_t have;
	uint8_t buffer[PIECE] __attribute__((aligned(8)));
};

static int refill(struct reader *reader, uint64_t start)
{
	reader->start = start;
	reader->have = 0;
	while (reader->have < PIECE) {
		/* a page at most at a time, whatever is asked for */
		ssize_t part = pread(reader->fd, reader->buffer + reader->have,
				     PIECE - reader->have, (off_t)(start + reader->have));

		if (part < 0 && errno == EINTR)
			continue;
		if (part < 0)
			return -errno;
		if (!part)
			break;
		reader->have += (size_t)part;
	}
	return 0;
}

/* The file's bytes from there on, no more than PIECE; NULL: they are not all there. */
static const void *bytes_at(struct reader *reader, uint64_t at, size_t size)
{
	uint64_t before = at - reader->start;

	if (size > PIECE)
		return NULL;
	if (at < reader->start || before > reader->have || size > reader->have - before) {
		if (refill(reader, at) || size > reader->have)
			return NULL;
		before = 0;
	}
	return reader->buffer + before;
}

/* Looks for a name in a piece of the strings, which begins at `start` in them. */
static void name_look(const char *piece, size_t size, uint32_t start, const char *name,
		      uint32_t *found)
{
	char whole[1 + NAME_LENGTH + 1] = "";
	size_t length = name ? strlen(name) : 0;
	const char *at;

	if (!length || length > NAME_LENGTH || *found)
		return;
	memcpy(whole + 1, name, length);
	at = memmem(piece, size, whole, length + 2);
	if (at)
		*found = start + (uint32_t)(at - piece) + 1;
}

static int names_find(struct reader *reader, uint64_t strings, uint32_t size,
		      const struct st_kernel_type *types, size_t count, struct names *names)
{
	const uint32_t overlap = NAME_LENGTH + 2;

	for (uint32_t at = 0; at < size; at += PIECE - overlap) {
		const uint32_t length = size - at < PIECE ? size - at : PIECE;
		const char *piece = bytes_at(reader, strings + at, length);

		if (!piece)
			return -EIO;
		for (size_t i = 0; i < count; i++) {
			name_look(piece, length, at, types[i].name, &names[i].name);
			for (size_t j = 0; j < ST_KERNEL_MEMBERS; j++)
				name_look(piece, length, at, types[i].members[j],
					  &names[i].members[j]);
		}
	}
	return 0;
}

static void members_find(const struct btf_type *type, const struct names *names,
			 struct st_kernel_type *found)
{
	const struct btf_member *members = st_btf_tail(type);

	for (size_t i = 0; i < ST_KERNEL_MEMBERS; i++) {
		for (uint32_t j = 0; j < st_btf_count(type); j++) {
			uint32_t bits = members[j].offset, size = 0;

			if (!names->members[i] || members[j].name_off != names->members[i])
				continue;
			if (BTF_INFO_KFLAG(type->info)) {
				size = BTF_MEMBER_BITFIELD_SIZE(bits);
				bits = BTF_MEMBER_BIT_OFFSET(bits);
			}
			if (!size && bits % 8 == 0)
				found->offsets[i] = bits / 8;
		}
	}
}

static int types_walk(struct reader *reader, uint64_t start, uint32_t size,
		      struct st_kernel_type *types, size_t count, const struct names *names)
{
	uint64_t at = start;
	size_t missing = 0;

	for (size_t i = 0; i < count; i++)
		missing += names[i].name != 0;
	for (uint32_t number = 1; at < start + size && missing; number++) {
		const struct btf_type *type = bytes_at(reader, at, sizeof(*type));
		const int64_t tail = type ? st_btf_tail_size(type) : -1;

		if (tail < 0)
			return type ? -EINVAL : -EIO;
		for (size_t i = 0; i < count; i++) {
			if (type->name_off != names[i].name || !names[i].name || types[i].number ||
			    st_btf_kind(type) != types[i].kind)
				continue;
			types[i].number = number;
			missing--;
			if (types[i].kind != BTF_KIND_STRUCT)
				continue;
			type = bytes_at(reader, at, sizeof(*type) + (size_t)tail);
			if (!type)
				return -EIO;
			members_find(type, &names[i], &types[i]);
		}
		at += sizeof(*type) + (uint64_t)tail;
	}
	return 0;
}

static int find(struct reader *reader, struct st_kernel_type *types, size_t count,
		struct names *names)
{
	struct btf_header header;
	const void *first = bytes_at(reader, 0, sizeof(header));
	int result;

	if (!first)
		return -EIO;
	memcpy(&header, first, sizeof(header));
	if (header.magic != BTF_MAGIC || header.hdr_len < sizeof(header) || header.hdr_len % 4 ||
	    header.type_off % 4)
		return -EINVAL;
	result = names_find(reader, (uint64_t)header.hdr_len + header.str_off, header.str_len,
			    types, count, names);
	if (result)
		return result;
	return types_walk(reader, (uint64_t)header.hdr_len + header.type_off, header.type_len,
			  types, count, names);
}

int st_kernel_types_find(struct st_kernel_type *types, size_t count)
{
	const int saved = errno;
	struct names *names = calloc(count, sizeof(*names));
	struct reader *reader = malloc(sizeof(*reader));
	int result = -ENOMEM;

	for (size_t i = 0; i < count; i++) {
		types[i].number = 0;
		memset(types[i].offsets, 0xff, sizeof(types[i].offsets));
	}
	if (names && reader) {
		reader->start = reader->have = 0;
		reader->fd = open(KERNEL_TYPES, O_RDONLY | O_CLOEXEC);
		result = reader->fd < 0 ? -errno : find(reader, types, count, names);
		if (reader->fd >= 0)
			close(reader->fd);
	}
	free(reader);
	free(names);
	errno = saved;
	return result;
}
