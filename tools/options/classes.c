// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Classes from the command line and from files. A line of a file is NAME = EXPRESSION or blank; a
 * comment starts with "#", at the start of a line or after a blank.
 */
#include "tools/options/classes.h"
#include "tools/common/command.h"
#include "tools/common/file_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX (16 << 20)

/* Some editors write it at the start of UTF-8. */
#define BYTE_ORDER_MARK "\xef\xbb\xbf"

static bool is_blank(char byte)
{
	return byte == ' ' || byte == '\t' || byte == '\r';
}

static const char *skip_blanks(const char *text)
{
	while (is_blank(*text))
		text++;
	return text;
}

/* A copy without the blanks at its end. */
static char *copy_trimmed(const char *text, size_t length)
{
	while (length && is_blank(text[length - 1]))
		length--;
	return strndup(text, length);
}

/* An error with its place: file, line and column, or the column after --class. */
static int say(const struct class_origin *origin, size_t offset, const char *name, const char *what)
{
	if (origin->file)
		command_fail("%s:%u:%zu: %s%s%s%s", origin->file, origin->line,
			     origin->column + offset, name ? "class " : "", name ? name : "",
			     name ? ": " : "", what);
	else if (name)
		command_fail("--class %s: column %zu: %s", name, origin->column + offset, what);
	else
		command_fail("--class: %s", what);
	return EXIT_USAGE;
}

static int add(struct class_options *options, char *name, char *expression,
	       const struct class_origin *origin)
{
	if (options->count == options->room) {
		size_t room = options->room ? 2 * options->room : 16;
		void *class = reallocarray(options->class, room, sizeof(*options->class));
		void *origins = reallocarray(options->origin, room, sizeof(*options->origin));

		if (class)
			options->class = class;
		if (origins)
			options->origin = origins;
		if (!class || !origins)
			return command_fail("no memory for %zu classes", options->count + 1);
		options->room = room;
	}
	options->class[options->count] =
		(struct socktally_class){.name = name, .expression = expression};
	options->origin[options->count++] = *origin;
	return 0;
}

/* NAME=EXPRESSION in a line, which starts at origin's column. */
static int add_text(struct class_options *options, const char *text, struct class_origin *origin)
{
	const char *start = skip_blanks(text), *equals = strchr(start, '='), *expression;
	char *name, *copy;

	if (!equals || equals == start)
		return say(origin, (size_t)(start - text), NULL,
			   equals ? "no name before '='" : "must be NAME=EXPRESSION");
	expression = skip_blanks(equals + 1);
	if (!*expression)
		return say(origin, (size_t)(equals + 1 - text), NULL,
			   "no expression behind '=': it would count every packet");
	name = copy_trimmed(start, (size_t)(equals - start));
	copy = copy_trimmed(expression, strlen(expression));
	if (!name || !copy)
		return command_fail("no memory for classes");
	origin->column += (unsigned int)(expression - text);
	return add(options, name, copy, origin);
}

/* Arguments live as long as the process. */
static int keep_argument(struct class_options *options, const char *text, bool is_file)
{
	void *grown = reallocarray(options->argument, options->argument_count + 1,
				   sizeof(*options->argument));

	if (!grown)
		return command_fail("no memory for classes");
	options->argument = grown;
	options->argument[options->argument_count++] = (struct class_argument){text, is_file};
	return 0;
}

static int add_argument(struct class_options *options, const char *argument)
{
	struct class_origin origin = {.line = 1, .column = 1};

	const char *equals = strchr(argument, '=');

	if (!equals || !*skip_blanks(equals + 1) || *skip_blanks(argument) == '=')
		return command_usage("--class '%s': must be NAME=EXPRESSION", argument);
	return add_text(options, argument, &origin);
}

static void cut_comment(char *line)
{
	for (char *at = line; *at; at++)
		if (*at == '#' && (at == line || is_blank(at[-1])))
			*at = 0;
}

static int add_lines(struct class_options *options, const char *file, char *text, size_t size)
{
	struct class_origin origin = {.file = file};
	char *line = text, *end;
	int status = 0;

	if (!strncmp(text, BYTE_ORDER_MARK, strlen(BYTE_ORDER_MARK)))
		line += strlen(BYTE_ORDER_MARK);
	if (memchr(text, 0, size))
		return command_fail("%s: is not a text file", file);
	for (; line && !status; line = end) {
		end = strchr(line, '\n');
		if (end)
			*end++ = 0;
		cut_comment(line);
		origin.line++;
		origin.column = 1;
		if (*skip_blanks(line))
			status = add_text(options, line, &origin);
	}
	return status;
}

static char *read_text(const char *file, size_t *size)
{
	char *text = malloc(FILE_MAX + 2);
	ssize_t count = text ? file_text_read(file, text, FILE_MAX + 2) : -ENOMEM;

	if (count >= 0 && count <= FILE_MAX) {
		*size = (size_t)count;
		return text;
	}
	free(text);
	command_fail("%s: can't read classes from it: %s", file,
		     count < 0 ? strerror((int)-count) : "it is larger than 16 MiB");
	return NULL;
}

static int add_file(struct class_options *options, const char *file)
{
	size_t size, before = options->count;
	char *text = read_text(file, &size);
	int status;

	if (!text)
		return EXIT_FAILED;
	status = add_lines(options, file, text, size);
	free(text);
	if (!status && options->count == before)
		status = command_fail("%s: there is no class in it", file) ? EXIT_USAGE : 0;
	return status;
}

int class_option(struct class_options *options, const char *argument)
{
	int status = keep_argument(options, argument, false);

	return status ? status : add_argument(options, argument);
}

int class_file(struct class_options *options, const char *file)
{
	int status = keep_argument(options, file, true);

	return status ? status : add_file(options, file);
}

static void free_classes(struct class_options *options)
{
	for (size_t i = 0; i < options->count; i++) {
		free((char *)options->class[i].name);
		free((char *)options->class[i].expression);
	}
	free(options->class);
	free(options->origin);
	options->class = NULL;
	options->origin = NULL;
	options->count = options->room = 0;
}

void class_options_reload(struct class_options *options, struct socktally *meter)
{
	struct class_options anew = {.first = options->first};
	int status = 0;

	for (size_t i = 0; i < options->argument_count && !status; i++) {
		const struct class_argument *argument = &options->argument[i];

		status = argument->is_file ? add_file(&anew, argument->text)
					   : add_argument(&anew, argument->text);
	}
	if (!status)
		status = class_options_add(&anew, meter);
	if (status) {
		command_note("counting goes on with the classes that there were");
		free_classes(&anew);
		return;
	}
	free_classes(options);
	options->class = anew.class;
	options->origin = anew.origin;
	options->count = anew.count;
	options->room = anew.room;
}

/* The library's message without "class NAME: ". */
static const char *reason_of(const char *error, const char *name)
{
	size_t length = strlen(name);

	if (!strncmp(error, "class ", 6) && !strncmp(error + 6, name, length) &&
	    !strncmp(error + 6 + length, ": ", 2))
		return error + 8 + length;
	return error;
}

int class_options_add(const struct class_options *options, struct socktally *meter)
{
	size_t failed = SIZE_MAX;
	const struct socktally_classes_opts opts = {
		.sz = sizeof(opts),
		.flags = options->first ? SOCKTALLY_CLASSES_FIRST : 0,
		.failed = &failed,
	};
	const struct socktally_class *class;
	const char *reason;

	if (!options->count || !socktally_set_classes(meter, options->class, options->count, &opts))
		return 0;
	if (failed >= options->count)
		return command_fail("%s", socktally_error(meter));
	class = &options->class[failed];
	reason = reason_of(socktally_error(meter), class->name);
	return say(&options->origin[failed], class_error_offset(class->expression, reason),
		   class->name, reason);
}
