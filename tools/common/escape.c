// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "tools/common/escape.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* A character of the text, or a byte that belongs to none. */
struct character {
	uint32_t code;
	size_t length; /* bytes */
	bool is_utf8;
	bool escaped;
};

#define ESCAPE_MAX sizeof("\\u202e")

/* Those that change the order in which text is shown, and those that end a line: Unicode's
 * Bidi_Control property and the categories Zl and Zp. */
static bool is_layout(uint32_t code)
{
	return code == 0x61c || code == 0x200e || code == 0x200f || code == 0x2028 ||
	       code == 0x2029 || (code >= 0x202a && code <= 0x202e) ||
	       (code >= 0x2066 && code <= 0x2069);
}

static bool is_control(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code <= 0x9f);
}

/*
 * Bytes of the well-formed UTF-8 sequence at text, 0 if there is none. RFC 3629 section 4: no overlong
 * forms, no surrogates, nothing above U+10FFFF.
 */
static size_t utf8_length(const unsigned char *text)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t length;

	if (text[0] < 0x80)
		return 1;
	if (text[0] >= 0xc2 && text[0] <= 0xdf)
		length = 2;
	else if (text[0] >= 0xe0 && text[0] <= 0xef)
		length = 3;
	else if (text[0] >= 0xf0 && text[0] <= 0xf4)
		length = 4;
	else
		return 0;
	if (text[0] == 0xe0)
		low = 0xa0;
	else if (text[0] == 0xed)
		high = 0x9f;
	else if (text[0] == 0xf0)
		low = 0x90;
	else if (text[0] == 0xf4)
		high = 0x8f;
	if (text[1] < low || text[1] > high)
		return 0;
	for (size_t i = 2; i < length; i++)
		if (text[i] < 0x80 || text[i] > 0xbf)
			return 0;
	return length;
}

static struct character first_character(const char *text)
{
	/* what the first byte of a sequence of that length holds of the code */
	static const unsigned char mask[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
	const unsigned char *bytes = (const unsigned char *)text;
	struct character character = {.code = *bytes, .length = utf8_length(bytes)};

	character.is_utf8 = character.length;
	if (!character.is_utf8) {
		character.length = 1;
		character.escaped = true;
		return character;
	}
	character.code &= mask[character.length];
	for (size_t i = 1; i < character.length; i++)
		character.code = character.code << 6 | (bytes[i] & 0x3f);
	character.escaped = is_control(character.code) || is_layout(character.code);
	return character;
}

/* As it is shown in text; returns its columns. */
static size_t show(const struct character *character, const char *text, char shown[ESCAPE_MAX])
{
	if (!character->escaped) {
		memcpy(shown, text, character->length);
		shown[character->length] = 0;
		return 1;
	}
	/* every escaped character has four hexadecimal digits at most */
	return (size_t)snprintf(shown, ESCAPE_MAX, character->length == 1 ? "\\x%02x" : "\\u%04x",
				(unsigned int)(character->code & 0xffff));
}

size_t escape_columns(const char *text)
{
	char shown[ESCAPE_MAX];
	size_t columns = 0;

	while (*text) {
		const struct character character = first_character(text);

		columns += show(&character, text, shown);
		text += character.length;
	}
	return columns;
}

void escape_text(FILE *out, const char *text, size_t room)
{
	static const char more[] = "...";
	char shown[ESCAPE_MAX];
	bool cut;

	if (!text)
		return;
	cut = escape_columns(text) > room;
	if (cut)
		room = room < strlen(more) ? 0 : room - strlen(more);
	while (*text) {
		const struct character character = first_character(text);
		size_t columns = show(&character, text, shown);

		if (columns > room)
			break;
		room -= columns;
		fputs(shown, out);
		text += character.length;
	}
	if (cut)
		fputs(more, out);
}

void escape_copy(char *copy, size_t size, const char *text)
{
	char shown[ESCAPE_MAX];

	while (*text) {
		const struct character character = first_character(text);
		size_t length;

		show(&character, text, shown);
		length = strlen(shown);
		if (length >= size)
			break;
		memcpy(copy, shown, length);
		copy += length;
		size -= length;
		text += character.length;
	}
	if (size)
		*copy = 0;
}

void escape_json(FILE *out, const char *text)
{
	fputc('"', out);
	while (text && *text) {
		const struct character character = first_character(text);

		if (!character.is_utf8)
			fputs("\\ufffd", out);
		else if (character.escaped)
			fprintf(out, "\\u%04x", (unsigned int)character.code);
		else if (character.code == '"' || character.code == '\\')
			fprintf(out, "\\%c", (char)character.code);
		else
			fwrite(text, 1, character.length, out);
		text += character.length;
	}
	fputc('"', out);
}

void escape_csv(FILE *out, const char *text)
{
	bool quoted = text && text[strcspn(text, ",\"")];

	if (quoted)
		fputc('"', out);
	if (text && *text && text[1] && strchr("=+-@", *text))
		fputc('\'', out);
	while (text && *text) {
		const struct character character = first_character(text);
		char shown[ESCAPE_MAX];

		show(&character, text, shown);
		fputs(*shown == '"' ? "\"\"" : shown, out);
		text += character.length;
	}
	if (quoted)
		fputc('"', out);
}

void escape_label(FILE *out, const char *text)
{
	while (text && *text) {
		const struct character character = first_character(text);
		char shown[ESCAPE_MAX];

		show(&character, text, shown);
		if (*shown == '"' || *shown == '\\')
			fputc('\\', out);
		fputs(shown, out);
		text += character.length;
	}
}

void escape_html(FILE *out, const char *text)
{
	while (text && *text) {
		const struct character character = first_character(text);
		char shown[ESCAPE_MAX];

		show(&character, text, shown);
		if (strchr("&<>\"'", *shown))
			fprintf(out, "&#%d;", *shown);
		else
			fputs(shown, out);
		text += character.length;
	}
}
