// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "plugin/bpf/debug_info.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Records of three kinds; the section's header has the offset and length of each, in this order. */
enum kind { FUNCTIONS, LINES, CORE };

struct header {
	uint16_t magic;
	uint8_t version, flags;
	uint32_t length;
	struct {
		uint32_t offset, length;
	} part[3];
};

/* Records in the file. `at`: the instruction, in bytes from the start of its section. */
struct function_record {
	uint32_t at, type;
};
struct line_record {
	uint32_t at, file, line, line_column;
};
struct core_record {
	uint32_t at, type, access, kind;
};

/* A walk through the records of one kind that belong to a function. */
struct walk {
	const struct st_object *object;
	const struct st_symbol *function;
	const uint8_t *next, *end;
	uint32_t record_size, left; /* left: in this section's list */
	bool is_own;                /* the list is of the function's section */
};

static void walk_start(struct walk *walk, const struct st_object *object,
		       const struct st_symbol *function, enum kind kind)
{
	const struct st_section *section = &object->sections[st_object_section(object, ".BTF.ext")];
	struct header header = {0};
	size_t room;

	memset(walk, 0, sizeof(*walk));
	walk->object = object;
	walk->function = function;
	if (!section->data || section->size < sizeof(header) - sizeof(header.part[0]))
		return;
	memcpy(&header, section->data,
	       section->size < sizeof(header) ? section->size : sizeof(header));
	if (header.magic != BTF_MAGIC || header.length > section->size ||
	    header.length < offsetof(struct header, part[kind]) + sizeof(header.part[kind]))
		return;
	room = section->size - header.length;
	if (header.part[kind].offset > room || header.part[kind].length < sizeof(uint32_t) ||
	    header.part[kind].length > room - header.part[kind].offset)
		return;
	walk->next = section->data + header.length + header.part[kind].offset;
	walk->end = walk->next + header.part[kind].length;
	memcpy(&walk->record_size, walk->next, sizeof(walk->record_size));
	walk->next += sizeof(walk->record_size);
}

/* Goes to the next section's list of records. */
static bool walk_list(struct walk *walk)
{
	const char *own = walk->object->sections[walk->function->section].name;
	uint32_t name;

	if ((size_t)(walk->end - walk->next) < 2 * sizeof(uint32_t))
		return false;
	memcpy(&name, walk->next, sizeof(name));
	memcpy(&walk->left, walk->next + sizeof(name), sizeof(walk->left));
	walk->next += 2 * sizeof(uint32_t);
	walk->is_own = !strncmp(st_btf_name(&walk->object->btf, name), own, 256);
	return walk->left && walk->left <= (size_t)(walk->end - walk->next) / walk->record_size;
}

/* The next record. Its `at` becomes a number of instructions from the start of the function. */
static bool walk_next(struct walk *walk, void *record, size_t size)
{
	uint32_t at;

	if (walk->record_size < size)
		return false;
	for (;;) {
		while (!walk->left || !walk->is_own) {
			walk->next += (size_t)walk->left * walk->record_size;
			walk->left = 0;
			if (!walk_list(walk))
				return false;
		}
		memcpy(record, walk->next, size);
		walk->next += walk->record_size;
		walk->left--;
		memcpy(&at, record, sizeof(at));
		if (at % sizeof(struct bpf_insn) || at < walk->function->value ||
		    at - walk->function->value >= walk->function->size)
			continue;
		at = (uint32_t)(at - walk->function->value) / (uint32_t)sizeof(struct bpf_insn);
		memcpy(record, &at, sizeof(at));
		return true;
	}
}

/* The kernel wants a record for the start of each function. */
static bool functions_make(struct st_debug_info *info, const struct st_object *object,
			   const struct st_assembly *assembly)
{
	info->functions = calloc(assembly->function_count, sizeof(*info->functions));
	if (!info->functions)
		return false;
	for (unsigned int i = 0; i < assembly->function_count; i++) {
		const struct st_function *function = &assembly->functions[i];
		struct function_record record = {.at = 1};
		struct walk walk;

		walk_start(&walk, object, &function->symbol, FUNCTIONS);
		while (record.at && walk_next(&walk, &record, sizeof(record)))
			;
		if (record.at)
			return false;
		info->functions[i].insn_off = function->start;
		info->functions[i].type_id = record.type;
	}
	info->function_count = assembly->function_count;
	return true;
}

/* The kernel wants lines in order, and one for the start of each function. False: they are not so. */
static bool lines_of(struct st_debug_info *info, const struct st_object *object,
		     const struct st_function *function, uint32_t room)
{
	const size_t first = info->line_count;
	struct line_record record;
	struct walk walk;

	walk_start(&walk, object, &function->symbol, LINES);
	while (walk_next(&walk, &record, sizeof(record))) {
		const uint32_t at = function->start + record.at;

		if (info->line_count == room ||
		    (info->line_count > first && info->lines[info->line_count - 1].insn_off >= at))
			return false;
		info->lines[info->line_count++] =
			(struct bpf_line_info){at, record.file, record.line, record.line_column};
	}
	return info->line_count > first && info->lines[first].insn_off == function->start;
}

static void lines_make(struct st_debug_info *info, const struct st_object *object,
		       const struct st_assembly *assembly)
{
	bool good;

	info->lines = calloc(assembly->count, sizeof(*info->lines));
	good = info->lines;
	for (unsigned int i = 0; i < assembly->function_count && good; i++)
		good = lines_of(info, object, &assembly->functions[i], assembly->count);
	if (!good)
		info->line_count = 0;
}

bool st_debug_info_make(struct st_debug_info *info, const struct st_object *object,
			const struct st_assembly *assembly)
{
	memset(info, 0, sizeof(*info));
	if (!functions_make(info, object, assembly))
		return false;
	lines_make(info, object, assembly);
	return true;
}

void st_debug_info_free(struct st_debug_info *info)
{
	free(info->functions);
	free(info->lines);
}

bool st_debug_info_has_core(const struct st_object *object, const struct st_symbol *function)
{
	struct core_record record;
	struct walk walk;

	walk_start(&walk, object, function, CORE);
	return walk_next(&walk, &record, sizeof(record));
}

static void place_write(const struct st_btf *btf, const struct line_record *record,
			char place[ST_SOURCE_PLACE_MAX])
{
	const char *file = st_btf_name(btf, record->file), *text = st_btf_name(btf, record->line);
	const char *base = strrchr(file, '/');

	while (isspace((unsigned char)*text))
		text++;
	snprintf(place, ST_SOURCE_PLACE_MAX, "%.40s:%u%s%.60s", base ? base + 1 : file,
		 BPF_LINE_INFO_LINE_NUM(record->line_column), *text ? ": " : "", text);
}

void st_source_place(const struct st_object *object, const struct st_assembly *assembly,
		     uint32_t insn, char place[ST_SOURCE_PLACE_MAX])
{
	struct line_record record, found = {0};
	bool any = false;
	struct walk walk;

	*place = '\0';
	for (unsigned int i = assembly->function_count; i-- > 0;) {
		const struct st_function *function = &assembly->functions[i];

		if (function->start > insn)
			continue;
		walk_start(&walk, object, &function->symbol, LINES);
		while (walk_next(&walk, &record, sizeof(record)))
			if (function->start + record.at <= insn) {
				found = record;
				any = true;
			}
		break;
	}
	if (any)
		place_write(&object->btf, &found, place);
}
