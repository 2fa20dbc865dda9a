// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Hooks from object files: reading the file, and what is left of it while the hook is there. */
#include "plugin/hooks/builtin.h"
#include "plugin/hooks/object.h"
#include "plugin/meter/meter.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Rows of a map, where the caller has no wish. */
#define ROWS_MAX 1000

static int read_whole(int fd, uint8_t *bytes, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t count = read(fd, bytes + done, size - done);

		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			return count ? -errno : -EIO;
		done += (size_t)count;
	}
	return 0;
}

/* A file's bytes, malloc'ed. */
static int file_read(struct socktally *meter, const char *file, uint8_t **bytes, size_t *size)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), result = 0;
	struct stat status;

	if (fd < 0)
		return st_fail(meter, -errno, "%s: can't be read: %s", file, strerror(errno));
	if (fstat(fd, &status))
		result = -errno;
	else if (!S_ISREG(status.st_mode) || status.st_size > ST_OBJECT_MAX)
		result = -EINVAL;
	if (result) {
		close(fd);
		return st_fail(meter, result, "%s: not an object file", file);
	}
	*size = (size_t)status.st_size;
	*bytes = malloc(*size + 1);
	if (*bytes)
		result = read_whole(fd, *bytes, *size);
	else
		result = -ENOMEM;
	close(fd);
	if (result) {
		free(*bytes);
		return st_fail(meter, result, "%s: can't be read: %s", file, strerror(-result));
	}
	return 0;
}

/* The bytes are the caller's, or the file's: then they are *read, to be freed. */
static int object_read(struct socktally *meter, const struct socktally_hook_opts *opts,
		       const char *file, struct st_loader *loader, uint8_t **read)
{
	const uint8_t *bytes = opts->object;
	size_t size = opts->object_size;
	int result;

	if (!bytes && opts->file) {
		result = file_read(meter, opts->file, read, &size);
		if (result)
			return result;
		bytes = *read;
	} else if (!bytes || size > ST_OBJECT_MAX) {
		return st_fail(meter, -EINVAL, "%s: no object file", file);
	}
	result = st_loader_open(loader, bytes, size);
	return result ? st_fail(meter, result, "%s: %s", file, loader->error) : 0;
}

/* What the kernel takes for an element besides key and value, about. */
#define ELEMENT_OVERHEAD 64

/* Bytes that a map takes, about; UINT64_MAX: more than there are. */
static uint64_t memory_of(const struct socktally *meter, const struct st_loader_map *map)
{
	uint64_t values = map->value_size, bytes;

	if (map->type == BPF_MAP_TYPE_RINGBUF) /* its entries are bytes */
		return map->entries;
	if (map->type == BPF_MAP_TYPE_PERCPU_HASH || map->type == BPF_MAP_TYPE_PERCPU_ARRAY ||
	    map->type == BPF_MAP_TYPE_LRU_PERCPU_HASH)
		values *= meter->region_count;
	if (__builtin_mul_overflow(values + map->key_size + ELEMENT_OVERHEAD, map->entries, &bytes))
		return UINT64_MAX;
	return bytes;
}

static int maps_check(struct socktally *meter, const struct st_loader *loader, const char *file)
{
	uint64_t left = meter->hooks.map_memory;

	for (unsigned int i = 0; i < loader->map_count; i++) {
		uint64_t bytes = memory_of(meter, &loader->maps[i]);

		if (bytes > left)
			return st_fail(meter, -E2BIG,
				       "%s: map %s: with its %u entries the hook would take more "
				       "than %llu MiB of the kernel's memory",
				       file, loader->maps[i].name, loader->maps[i].entries,
				       (unsigned long long)meter->hooks.map_memory >> 20);
		left -= bytes;
	}
	return 0;
}

/* What is to be made a hook. */
struct source {
	struct socktally_hook_opts opts;
	const struct st_builtin *builtin; /* NULL: a user's object file */
	const char *label;                /* what it is called in messages */
	uint8_t *bytes;                   /* of its file; NULL: they are the caller's */
	struct st_symbol program;
};

static int own_load(struct socktally *meter, struct st_hook *hook, const struct source *source)
{
	const struct socktally_hook_opts *opts = &source->opts;
	struct st_hook_own *own = hook->own;
	int result = maps_check(meter, &own->loader, source->label);

	if (source->builtin && !result)
		result = st_builtin_prepare(meter, source->builtin, own, opts);
	for (size_t i = 0; i < opts->variable_count && !source->builtin && !result; i++)
		result = st_object_variable_set(meter, own, source->label, opts->variables[i]);
	if (result)
		return result;
	result = st_object_program_load(meter, hook, &source->program, source->label);
	if (result < 0)
		return result;
	hook->prog = result;
	return 0;
}

static int source_read(struct socktally *meter, const struct socktally_hook_opts *opts,
		       struct source *source, struct st_loader *loader)
{
	int result = 0;

	source->opts = *opts;
	source->label = opts->builtin ? opts->builtin
			: opts->file  ? opts->file
			: opts->name  ? opts->name
				      : "the hook";
	if (opts->builtin) {
		source->builtin = st_builtin_find(opts->builtin);
		if (!source->builtin)
			return st_fail(meter, -EINVAL, "%s: there is no built-in hook of that name",
				       opts->builtin);
		result = st_builtin_opts(meter, source->builtin, &source->opts);
	}
	if (!result)
		result = object_read(meter, &source->opts, source->label, loader, &source->bytes);
	if (!result)
		result = st_object_program_find(meter, &loader->object, source->label,
						source->opts.program, &source->program);
	return result;
}

/* The name that the caller gives, or keeps, or one made of the program's that is free. */
static const char *name_choose(const struct socktally *meter, const struct source *source,
			       const struct st_hook *replaces, char made[ST_HOOK_NAME_MAX])
{
	const char *base = source->builtin ? source->opts.builtin : source->program.name;
	unsigned int number = 1;

	if (source->opts.name || replaces)
		return source->opts.name ? source->opts.name : replaces->name;
	snprintf(made, ST_HOOK_NAME_MAX, "%s", base);
	while (st_hook_find(meter, made))
		snprintf(made, ST_HOOK_NAME_MAX, "%.50s-%u", base, ++number);
	return made;
}

struct st_hook *st_hook_object_new(struct socktally *meter, const struct socktally_hook_opts *opts,
				   const struct st_hook *replaces, int *error)
{
	struct st_hook_own *own = calloc(1, sizeof(*own));
	char made[ST_HOOK_NAME_MAX];
	struct st_hook *hook = NULL;
	struct source source = {0};

	if (!own) {
		*error = st_fail(meter, -ENOMEM, "no memory for one more hook");
		return NULL;
	}
	own->loader.btf = -1;
	*error = source_read(meter, opts, &source, &own->loader);
	if (!*error)
		hook = st_hook_new(meter, source.builtin ? &st_hook_builtin : &st_hook_object,
				   name_choose(meter, &source, replaces, made),
				   source.opts.priority, replaces, error);
	if (hook) {
		hook->own = own;
		own->top = source.opts.top ? source.opts.top : ROWS_MAX;
		*error = own_load(meter, hook, &source);
		st_loader_release(&own->loader);
	} else {
		st_loader_close(&own->loader);
		free(own);
	}
	free(source.bytes);
	if (!hook || !*error)
		return hook;
	st_hook_free(meter, hook);
	return NULL;
}

static void object_free(struct st_hook *hook)
{
	struct st_hook_own *own = hook->own;

	st_loader_close(&own->loader);
	free(own);
}

static int object_map(const struct st_hook *hook, const char *map)
{
	const struct st_hook_own *own = hook->own;

	for (unsigned int i = 0; i < own->loader.map_count; i++)
		if (!strcmp(own->loader.maps[i].name, map) && own->loader.maps[i].fd >= 0)
			return own->loader.maps[i].fd;
	return -ENOENT;
}

const struct st_hook_ops st_hook_object = {
	.name = "object",
	.rows = st_object_rows,
	.map = object_map,
	.free = object_free,
};

const struct st_hook_ops st_hook_builtin = {
	.name = "built-in",
	.rows = st_object_rows,
	.map = object_map,
	.free = object_free,
};
