// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "tools/saved/json.h"

#include <stdlib.h>
#include <string.h>

bool saved_json_open(struct saved_json *json, struct capture_input *input)
{
	*json = (struct saved_json){.input = input, .line = 1};
	json->text = malloc(SAVED_JSON_TEXT_MAX);
	return json->text;
}

void saved_json_close(struct saved_json *json)
{
	free(json->text);
	json->text = NULL;
}

bool saved_json_fail(struct saved_json *json, const char *error)
{
	if (!json->error)
		json->error = json->input->error ? json->input->error : error;
	return false;
}

/* The next byte, which stays; -1: the end. */
static int peek(struct saved_json *json)
{
	return capture_input_need(json->input, 1) ? *capture_input_data(json->input) : -1;
}

static int take(struct saved_json *json)
{
	int byte = peek(json);

	if (byte >= 0)
		json->input->at++;
	return byte;
}

int saved_json_next(struct saved_json *json)
{
	int byte;

	while ((byte = peek(json)) == ' ' || byte == '\t' || byte == '\r' || byte == '\n') {
		json->line += byte == '\n';
		take(json);
	}
	return byte;
}

/* What ends before it should is cut short; all else that does not fit is no JSON. */
static bool fail_at(struct saved_json *json, int byte)
{
	return saved_json_fail(json, byte < 0 ? "is cut short" : "is no JSON");
}

static bool expect(struct saved_json *json, int wanted)
{
	int byte = saved_json_next(json);

	if (byte != wanted)
		return fail_at(json, byte);
	take(json);
	return true;
}

static bool put(struct saved_json *json, unsigned int byte)
{
	if (json->text_size + 1 >= SAVED_JSON_TEXT_MAX)
		return saved_json_fail(json, "has a string that is too long");
	json->text[json->text_size++] = (char)byte;
	return true;
}

static bool put_character(struct saved_json *json, unsigned int code)
{
	if (!code)
		return saved_json_fail(json, "has a zero byte in a string");
	if (code < 0x80)
		return put(json, code);
	if (code < 0x800)
		return put(json, 0xc0 | code >> 6) && put(json, 0x80 | (code & 0x3f));
	if (code < 0x10000)
		return put(json, 0xe0 | code >> 12) && put(json, 0x80 | (code >> 6 & 0x3f)) &&
		       put(json, 0x80 | (code & 0x3f));
	return put(json, 0xf0 | code >> 18) && put(json, 0x80 | (code >> 12 & 0x3f)) &&
	       put(json, 0x80 | (code >> 6 & 0x3f)) && put(json, 0x80 | (code & 0x3f));
}

static bool take_hex(struct saved_json *json, unsigned int *code)
{
	*code = 0;
	for (int i = 0; i < 4; i++) {
		int byte = take(json);
		const char *digits = "0123456789abcdef";
		const char *digit =
			byte > 0 ? strchr(digits, byte >= 'A' && byte <= 'F' ? byte + 32 : byte)
				 : NULL;

		if (!digit)
			return fail_at(json, byte);
		*code = *code << 4 | (unsigned int)(digit - digits);
	}
	return true;
}

/* What follows \u: a character beyond 16 bits is two of them. */
static bool take_unicode(struct saved_json *json)
{
	unsigned int code, low;

	if (!take_hex(json, &code))
		return false;
	if (code >= 0xd800 && code < 0xdc00) {
		if (take(json) != '\\' || take(json) != 'u' || !take_hex(json, &low) ||
		    low < 0xdc00 || low > 0xdfff)
			return saved_json_fail(json, "has half a character in a string");
		code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
	} else if (code >= 0xdc00 && code < 0xe000) {
		return saved_json_fail(json, "has half a character in a string");
	}
	return put_character(json, code);
}

static bool take_escape(struct saved_json *json)
{
	static const char escapes[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
	int byte = take(json);
	const char *at = byte > 0 ? strchr(escapes, byte) : NULL;

	if (byte == 'u')
		return take_unicode(json);
	if (!at)
		return fail_at(json, byte);
	return put(json, (unsigned char)meanings[at - escapes]);
}

bool saved_json_string(struct saved_json *json)
{
	json->text_size = 0;
	if (!expect(json, '"'))
		return false;
	for (;;) {
		int byte = take(json);

		if (byte < ' ')
			return fail_at(json, byte);
		if (byte == '"')
			break;
		if (byte == '\\' ? !take_escape(json) : !put(json, (unsigned int)byte))
			return false;
	}
	json->text[json->text_size] = 0;
	return true;
}

static bool is_digit(int byte)
{
	return byte >= '0' && byte <= '9';
}

bool saved_json_number(struct saved_json *json, uint64_t *number)
{
	int byte = saved_json_next(json);
	bool zero = byte == '0';

	*number = 0;
	if (!is_digit(byte))
		return byte < 0 ? fail_at(json, byte)
				: saved_json_fail(json, "has no number where one must be");
	while (is_digit(byte = peek(json))) {
		if (__builtin_mul_overflow(*number, 10, number) ||
		    __builtin_add_overflow(*number, (uint64_t)(byte - '0'), number))
			return saved_json_fail(json, "has a number beyond 64 bits");
		take(json);
		if (zero && is_digit(peek(json)))
			return saved_json_fail(json, "is no JSON");
	}
	if (byte == '.' || byte == 'e' || byte == 'E')
		return saved_json_fail(json, "has a fraction where an integer must be");
	return true;
}

bool saved_json_object(struct saved_json *json,
		       bool (*member)(struct saved_json *json, const char *name, void *ctx),
		       void *ctx)
{
	if (!expect(json, '{'))
		return false;
	if (++json->depth > SAVED_JSON_DEPTH)
		return saved_json_fail(json, "is nested too deeply");
	if (saved_json_next(json) != '}') {
		do {
			if (!saved_json_string(json) || !expect(json, ':') ||
			    !member(json, json->text, ctx))
				return false;
		} while (saved_json_next(json) == ',' && take(json) >= 0);
	}
	json->depth--;
	return expect(json, '}');
}

bool saved_json_array(struct saved_json *json, bool (*element)(struct saved_json *json, void *ctx),
		      void *ctx)
{
	if (!expect(json, '['))
		return false;
	if (++json->depth > SAVED_JSON_DEPTH)
		return saved_json_fail(json, "is nested too deeply");
	if (saved_json_next(json) != ']') {
		do {
			if (!element(json, ctx))
				return false;
		} while (saved_json_next(json) == ',' && take(json) >= 0);
	}
	json->depth--;
	return expect(json, ']');
}

static bool skip_member(struct saved_json *json, const char *name, void *ctx)
{
	(void)name;
	(void)ctx;
	return saved_json_skip(json);
}

static bool skip_element(struct saved_json *json, void *ctx)
{
	(void)ctx;
	return saved_json_skip(json);
}

static bool skip_word(struct saved_json *json, const char *word)
{
	for (; *word; word++) {
		int byte = take(json);

		if (byte != *word)
			return fail_at(json, byte);
	}
	return true;
}

static bool skip_digits(struct saved_json *json)
{
	if (!is_digit(peek(json)))
		return fail_at(json, peek(json));
	while (is_digit(peek(json)))
		take(json);
	return true;
}

static bool skip_number(struct saved_json *json)
{
	if (peek(json) == '-')
		take(json);
	if (peek(json) == '0')
		take(json);
	else if (!skip_digits(json))
		return false;
	if (peek(json) == '.' && (take(json) < 0 || !skip_digits(json)))
		return false;
	if (peek(json) != 'e' && peek(json) != 'E')
		return true;
	take(json);
	if (peek(json) == '+' || peek(json) == '-')
		take(json);
	return skip_digits(json);
}

bool saved_json_skip(struct saved_json *json)
{
	switch (saved_json_next(json)) {
	case '{':
		return saved_json_object(json, skip_member, NULL);
	case '[':
		return saved_json_array(json, skip_element, NULL);
	case '"':
		return saved_json_string(json);
	case 't':
		return skip_word(json, "true");
	case 'f':
		return skip_word(json, "false");
	case 'n':
		return skip_word(json, "null");
	default:
		return skip_number(json);
	}
}
