/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * A strict reader of JSON (RFC 8259) that holds no document: who calls it says what comes next. Strings and
 * depth are bounded. All functions return false after an error, which is then in `error`.
 */
#ifndef SOCKTALLY_TOOLS_SAVED_JSON_H
#define SOCKTALLY_TOOLS_SAVED_JSON_H

#include "tools/capture/input.h"

#define SAVED_JSON_DEPTH 32
#define SAVED_JSON_TEXT_MAX 65536 /* bytes of a string, with its final zero */

struct saved_json {
	struct capture_input *input;
	const char *error; /* what is wrong, in words */
	uint64_t line;     /* from 1: where */
	unsigned int depth;
	size_t text_size;
	char *text; /* SAVED_JSON_TEXT_MAX bytes: the last string */
};

/* The input stays the caller's. false: out of memory. */
bool saved_json_open(struct saved_json *json, struct capture_input *input);
void saved_json_close(struct saved_json *json);

/* The byte with which the next value begins, after blanks and line ends; -1: there is none. */
int saved_json_next(struct saved_json *json);

/* Calls member() for each member; it must take the value. The name is valid until it does. */
bool saved_json_object(struct saved_json *json,
		       bool (*member)(struct saved_json *json, const char *name, void *ctx),
		       void *ctx);
/* Calls element() for each element; it must take it. */
bool saved_json_array(struct saved_json *json, bool (*element)(struct saved_json *json, void *ctx),
		      void *ctx);
/* The string is in json->text until the next call. A zero byte in it is an error. */
bool saved_json_string(struct saved_json *json);
bool saved_json_number(struct saved_json *json, uint64_t *number);
/* Any value. */
bool saved_json_skip(struct saved_json *json);

/* For a caller's own errors: false. */
bool saved_json_fail(struct saved_json *json, const char *error);

#endif
