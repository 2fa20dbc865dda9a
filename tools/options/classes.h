/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* --class, --classes, --first: the classes of the command's meter. */
#ifndef SOCKTALLY_TOOLS_OPTIONS_CLASSES_H
#define SOCKTALLY_TOOLS_OPTIONS_CLASSES_H

#include <socktally/socktally.h>
#include <stdbool.h>
#include <stddef.h>

/* The source of a class, for messages. */
struct class_origin {
	const char *file;    /* NULL: the command line */
	unsigned int line;   /* from 1 */
	unsigned int column; /* of the expression, from 1; with --class in its argument */
};

struct class_options {
	struct socktally_class *class;
	struct class_origin *origin;
	size_t count, room;
	bool first;
	/* the arguments, to read files anew */
	struct class_argument {
		const char *text;
		bool is_file;
	} * argument;
	size_t argument_count;
};

/* NAME=EXPRESSION: 0, or EXIT_USAGE after a message. */
int class_option(struct class_options *options, const char *argument);

/* A file with a class on each line: 0, or EXIT_USAGE or EXIT_FAILED after a message with line and column. */
int class_file(struct class_options *options, const char *file);

/*
 * Sets all of them on the meter, instead of others: 0, or EXIT_USAGE or EXIT_FAILED after a message, with
 * line and column if a class is wrong.
 */
int class_options_add(const struct class_options *options, struct socktally *meter);

/*
 * Reads the files anew and sets what is in them now; counting goes on with the classes that there were if anything is
 * wrong, after a message.
 */
void class_options_reload(struct class_options *options, struct socktally *meter);

/* The offset of the error in an expression that libpcap refuses for this reason; 0 if unknown. */
size_t class_error_offset(const char *expression, const char *reason);

#endif
