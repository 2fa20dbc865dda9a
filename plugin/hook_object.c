// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Hooks from object files: reading the file, and what is left of it while the hook is there. */
#include "hook_object.h"
#include "meter.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

static int object_read(struct socktally *meter, const struct socktally_hook_opts *opts,
		       const char *file, struct st_object *object)
{
	uint8_t *bytes = NULL;
	const char *why = NULL;
	size_t size = 0;
	int result;

	if (opts->file) {
		result = file_read(meter, opts->file, &bytes, &size);
		if (result)
			return result;
	} else {
		size = opts->object_size;
		if (!opts->object || size > ST_OBJECT_MAX)
			return st_fail(meter, -EINVAL, "%s: no object file", file);
		bytes = malloc(size + 1);
		if (!bytes)
			return st_fail(meter, -ENOMEM, "%s: no memory for it", file);
		memcpy(bytes, opts->object, size);
	}
	result = st_object_open(object, bytes, size, &why);
	return result ? st_fail(meter, result, "%s: %s", file, why) : 0;
}

static int own_load(struct socktally *meter, struct st_hook *hook,
		    const struct socktally_hook_opts *opts, const char *file,
		    const struct st_symbol *program)
{
	struct st_hook_own *own = hook->own;
	int result = st_object_maps_read(meter, own, file);

	for (size_t i = 0; i < opts->variable_count && !result; i++)
		result = st_object_variable_set(meter, own, file, opts->variables[i]);
	if (!result)
		result = st_object_maps_make(meter, own, file);
	if (result)
		return result;
	result = st_object_program_load(meter, hook, program, file);
	if (result < 0)
		return result;
	hook->prog = result;
	return 0;
}

struct st_hook *st_hook_object_new(struct socktally *meter, const struct socktally_hook_opts *opts,
				   const struct st_hook *replaces, int *error)
{
	const char *file = opts->file ? opts->file : opts->name ? opts->name : "hook";
	struct st_hook_own *own = calloc(1, sizeof(*own));
	struct st_hook *hook = NULL;
	struct st_symbol program;
	const char *name;

	if (!own) {
		*error = st_fail(meter, -ENOMEM, "%s: no memory for it", file);
		return NULL;
	}
	*error = object_read(meter, opts, file, &own->object);
	if (!*error)
		*error = st_object_program_find(meter, &own->object, file, opts->program, &program);
	if (!*error) {
		name = opts->name ? opts->name : replaces ? replaces->name : program.name;
		hook = st_hook_new(meter, &st_hook_object, name, opts->priority, replaces, error);
	}
	if (!hook) {
		st_object_close(&own->object);
		free(own);
		return NULL;
	}
	hook->own = own;
	*error = own_load(meter, hook, opts, file, &program);
	if (!*error)
		return hook;
	st_hook_free(meter, hook);
	return NULL;
}

static void object_free(struct st_hook *hook)
{
	struct st_hook_own *own = hook->own;

	st_object_maps_free(own);
	st_object_close(&own->object);
	free(own);
}

static int object_map(const struct st_hook *hook, const char *map)
{
	const struct st_hook_own *own = hook->own;

	for (unsigned int i = 0; i < own->map_count; i++)
		if (!strcmp(own->maps[i].name, map))
			return own->maps[i].fd;
	return -ENOENT;
}

const struct st_hook_kind st_hook_object = {
	.name = "object",
	.rows = st_object_rows,
	.map = object_map,
	.free = object_free,
};
