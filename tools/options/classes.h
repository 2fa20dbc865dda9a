/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* --class, --classes, --first: classes that the command puts on its meter. */
#ifndef SOCKTALLY_TOOLS_OPTIONS_CLASSES_H
#define SOCKTALLY_TOOLS_OPTIONS_CLASSES_H

#include <socktally/socktally.h>
#include <stdbool.h>
#include <stddef.h>

/* Where a class comes from, for messages. */
struct class_origin {
	const char *file;    /* NULL: the command line */
	unsigned int line;   /* from 1 */
	unsigned int column; /* of the expression, from 1; in --class that of its argument */
};

/* What these point to is never freed. */
struct class_options {
	struct socktally_class *class;
	struct class_origin *origin;
	size_t count, room;
	bool first;
};

/* NAME=EXPRESSION: 0, or EXIT_USAGE after a message. */
int class_option(struct class_options *options, const char *argument);

/* A file of them, one a line: 0, or EXIT_FAILED after a message with line and column. */
int class_file(struct class_options *options, const char *file);

/*
 * Puts all of them on the meter, which must not have others: 0, or EXIT_FAILED after a message, with
 * line and column if one class is at fault. To be called once, before sockets come.
 */
int class_options_add(const struct class_options *options, struct socktally *meter);

/* Where an expression that libpcap refuses for this reason is wrong, as far as that can be told. */
size_t class_error_offset(const char *expression, const char *reason);

#endif
