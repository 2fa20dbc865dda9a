// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "plugin/bpf/loader.h"
#include "plugin/bpf/debug_info.h"
#include "plugin/bpf/syscall.h"
#include "plugin/bpf/verifier_log.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int st_loader_fail(struct st_loader *loader, int result, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(loader->error, sizeof(loader->error), format, arguments);
	va_end(arguments);
	/* names and source lines come from the file: a terminal must not act on them */
	for (char *at = loader->error; *at; at++)
		if ((unsigned char)*at < ' ' || (unsigned char)*at >= 0x7f)
			*at = '?';
	return result;
}

int st_loader_btf(struct st_loader *loader)
{
	const struct st_btf *btf = &loader->object.btf;

	if (loader->btf_tried)
		return loader->btf;
	loader->btf_tried = true;
	if (btf->data)
		loader->btf = st_bpf_btf_load(btf->data, btf->size);
	if (loader->btf < 0)
		loader->btf = -1;
	return loader->btf;
}

int st_loader_open(struct st_loader *loader, const uint8_t *bytes, size_t size)
{
	const char *why = NULL;
	int result;

	loader->btf = -1;
	result = st_object_open(&loader->object, bytes, size, &why);
	if (result)
		return st_loader_fail(loader, result, "%s", why);
	result = st_loader_maps_read(loader);
	if (result)
		st_loader_close(loader);
	return result;
}

void st_loader_release(struct st_loader *loader)
{
	if (loader->btf >= 0)
		close(loader->btf);
	loader->btf = -1;
	loader->btf_tried = true;
	st_object_release(&loader->object);
}

void st_loader_close(struct st_loader *loader)
{
	for (unsigned int i = 0; i < loader->map_count; i++) {
		if (loader->maps[i].fd >= 0)
			close(loader->maps[i].fd);
		free(loader->maps[i].contents);
	}
	loader->map_count = 0;
	st_loader_release(loader);
	st_object_close(&loader->object);
}

const char *st_loader_license(const struct st_loader *loader)
{
	const struct st_object *object = &loader->object;
	const struct st_section *section = &object->sections[st_object_section(object, "license")];

	if (!section->data || !section->size || section->data[section->size - 1])
		return "";
	return (const char *)section->data;
}

/* Why the kernel refuses it: the verifier's words, and the source line that they are about. */
static int refusal(struct st_loader *loader, int result, const struct st_assembly *assembly,
		   const struct st_bpf_program *program)
{
	char place[ST_SOURCE_PLACE_MAX] = "", reason[ST_REASON_MAX];
	uint32_t insn = st_verifier_reason(program, reason);

	if (insn < assembly->count)
		st_source_place(&loader->object, assembly, insn, place);
	return st_loader_fail(loader, result, "%s%s%s%s", *reason ? reason : strerror(-result),
			      *place ? " (" : "", place, *place ? ")" : "");
}

static int program_load(struct st_loader *loader, const struct st_assembly *assembly)
{
	struct st_bpf_program program = {.name = assembly->name,
					 .license = st_loader_license(loader),
					 .insns = assembly->insns,
					 .count = assembly->count};
	struct st_debug_info info = {0};
	int btf = st_loader_btf(loader), result;

	if (btf >= 0 && st_debug_info_make(&info, &loader->object, assembly)) {
		program.btf = btf;
		program.functions = info.functions;
		program.function_count = info.function_count;
		program.lines = info.lines;
		program.line_count = info.line_count;
	}
	result = st_bpf_program_load(&program, NULL, 0);
	if (result < 0 && result != -EPERM && program.btf) {
		/* an older kernel refuses types of a newer compiler */
		struct st_bpf_program plain = {.name = program.name,
					       .license = program.license,
					       .insns = program.insns,
					       .count = program.count};
		int prog = st_bpf_program_load(&plain, NULL, 0);

		result = prog >= 0 ? prog : result;
	}
	if (result < 0)
		result = refusal(loader, result, assembly, &program);
	st_debug_info_free(&info);
	return result;
}

int st_loader_load(struct st_loader *loader, struct st_assembly *assembly)
{
	int result = program_load(loader, assembly);

	/* as where CAP_PERFMON was given up since it was tried */
	if (result < 0 && assembly->direct && !loader->direct.forced) {
		st_assembly_direct_off(assembly);
		result = program_load(loader, assembly);
	}
	return result;
}
