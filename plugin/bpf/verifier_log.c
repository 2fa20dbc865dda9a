// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "plugin/bpf/verifier_log.h"
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Before Linux 6.4 a log that is too short keeps its beginning, not its end. */
#define LOG_SIZE (8u << 20)

/* False for statistics and dumped states at the end of the log. */
static bool is_telling(const char *line)
{
	static const char *const others[] = {"processed ",      "verification time ",
					     "stack depth ",    "max_states_per_insn",
					     "insns processed", "cur state:",
					     "old state:"};

	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		if (!strncmp(line, others[i], strlen(others[i])))
			return false;
	return *line;
}

/* "12: (71) r0 = *(u8 *)(r1 +0)": an instruction. */
static bool is_insn(const char *line)
{
	size_t digits = strspn(line, "0123456789");

	return digits && !strncmp(line + digits, ": (", 3);
}

static void append(char reason[ST_REASON_MAX], const char *before, const char *text)
{
	size_t used = strlen(reason), more = strlen(before) + strlen(text);

	if (used + more + 1 > ST_REASON_MAX)
		return;
	strcat(strcat(reason, before), text);
}

/* The number in "12: (71) ...", or behind "insn" in what is wrong; UINT32_MAX: none. */
static uint32_t insn_of(const char *line)
{
	const char *word = strstr(line, "insn ");
	unsigned long number;
	char *end;

	if (!is_insn(line) && !word)
		return UINT32_MAX;
	number = strtoul(is_insn(line) ? line : word + strlen("insn "), &end, 10);
	return number < UINT32_MAX ? (uint32_t)number : UINT32_MAX;
}

/* Reads the log from its end: first comes the error, then the instruction. */
static uint32_t reason_find(char *text, char reason[ST_REASON_MAX])
{
	uint32_t insn = UINT32_MAX;
	bool found = false;
	char *line;

	while (*text) {
		line = strrchr(text, '\n');
		if (line)
			*line++ = '\0';
		else
			line = text;
		if (is_telling(line) && (!found || is_insn(line))) {
			line[strcspn(line, ";")] = '\0';
			append(reason, found ? " at " : "", line);
			if (!found || insn == UINT32_MAX)
				insn = insn_of(line);
			if (found)
				return insn;
			found = true;
		}
		if (line == text)
			break;
	}
	return insn;
}

uint32_t st_verifier_reason(const struct st_bpf_program *program, char reason[ST_REASON_MAX])
{
	char *text = malloc(LOG_SIZE);
	uint32_t insn;
	int prog;

	*reason = '\0';
	if (!text)
		return UINT32_MAX;
	prog = st_bpf_program_load(program, text, LOG_SIZE);
	if (prog >= 0)
		close(prog);
	text[LOG_SIZE - 1] = '\0';
	insn = reason_find(text, reason);
	free(text);
	return insn;
}
