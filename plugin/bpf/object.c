// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "plugin/bpf/object.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#ifndef EM_BPF
#define EM_BPF 247
#endif

#define SECTIONS_MAX 1024

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define OWN_ORDER ELFDATA2LSB
#else
#define OWN_ORDER ELFDATA2MSB
#endif

static bool is_inside(size_t whole, uint64_t offset, uint64_t size)
{
	return offset <= whole && size <= whole - offset;
}

/* A section of strings ends with the last one's NUL. */
static bool is_strings(const struct st_section *section)
{
	return section->data && section->size && !section->data[section->size - 1];
}

/* NULL: there is none. The section is one of strings. */
static const char *string_at(const struct st_section *section, uint64_t offset)
{
	return offset < section->size ? (const char *)section->data + offset : NULL;
}

/* The file may put its headers at any address. */
static void header_read(const struct st_object *object, const Elf64_Ehdr *elf, uint32_t number,
			Elf64_Shdr *header)
{
	memcpy(header, object->bytes + elf->e_shoff + (size_t)number * sizeof(*header),
	       sizeof(*header));
}

static bool section_read(const struct st_object *object, const Elf64_Shdr *header,
			 struct st_section *section)
{
	section->type = header->sh_type;
	section->info = header->sh_info;
	section->allocated = header->sh_flags & SHF_ALLOC;
	section->executable = header->sh_flags & SHF_EXECINSTR;
	section->size = header->sh_size;
	if (header->sh_type == SHT_NULL)
		section->size = 0;
	if (header->sh_type == SHT_NOBITS)
		return header->sh_size <= ST_OBJECT_MAX;
	if (!is_inside(object->size, header->sh_offset, section->size))
		return false;
	section->data = object->bytes + header->sh_offset;
	return true;
}

static bool sections_read(struct st_object *object, const Elf64_Ehdr *elf)
{
	const struct st_section *names;
	Elf64_Shdr header;

	for (uint32_t i = 0; i < object->section_count; i++) {
		header_read(object, elf, i, &header);
		if (!section_read(object, &header, &object->sections[i]))
			return false;
	}
	names = &object->sections[elf->e_shstrndx];
	if (!is_strings(names))
		return false;
	for (uint32_t i = 0; i < object->section_count; i++) {
		header_read(object, elf, i, &header);
		object->sections[i].name = i ? string_at(names, header.sh_name) : "";
		if (!object->sections[i].name)
			return false;
		if (header.sh_type != SHT_SYMTAB || object->symbols)
			continue;
		if (header.sh_link >= object->section_count ||
		    !is_strings(&object->sections[header.sh_link]) ||
		    header.sh_size / sizeof(Elf64_Sym) > ST_OBJECT_SYMBOLS)
			return false;
		object->symbols = object->sections[i].data;
		object->symbol_count = (uint32_t)(header.sh_size / sizeof(Elf64_Sym));
		object->symbol_names = &object->sections[header.sh_link];
	}
	return object->symbols;
}

static int elf_read(struct st_object *object, const char **why)
{
	Elf64_Ehdr elf;

	*why = "not an object file: clang -O2 -g -target bpf -c makes one";
	if (object->size < sizeof(elf))
		return -EINVAL;
	memcpy(&elf, object->bytes, sizeof(elf));
	if (memcmp(elf.e_ident, ELFMAG, SELFMAG) != 0)
		return -EINVAL;
	*why = "not an object file for BPF on this machine: clang -O2 -g -target bpf -c makes one";
	if (elf.e_ident[EI_CLASS] != ELFCLASS64 || elf.e_ident[EI_DATA] != OWN_ORDER ||
	    elf.e_type != ET_REL || elf.e_machine != EM_BPF)
		return -EINVAL;
	*why = "the object file is damaged";
	if (elf.e_shentsize != sizeof(Elf64_Shdr) || !elf.e_shnum || elf.e_shnum > SECTIONS_MAX ||
	    elf.e_shstrndx >= elf.e_shnum ||
	    !is_inside(object->size, elf.e_shoff, (uint64_t)elf.e_shnum * sizeof(Elf64_Shdr)))
		return -EINVAL;
	object->sections = calloc(elf.e_shnum, sizeof(*object->sections));
	if (!object->sections)
		return -ENOMEM;
	object->section_count = elf.e_shnum;
	return sections_read(object, &elf) ? 0 : -EINVAL;
}

static int by_offset(const void *a, const void *b)
{
	const struct btf_var_secinfo *one = a, *other = b;

	return (one->offset > other->offset) - (one->offset < other->offset);
}

/* A section of variables gets its size, and each variable its place. */
static bool variables_place(struct st_object *object, struct btf_type *type, uint32_t *left)
{
	const uint32_t section =
		st_object_section(object, st_btf_name(&object->btf, type->name_off));
	struct btf_var_secinfo *variables = (struct btf_var_secinfo *)(type + 1);
	const uint32_t count = st_btf_count(type);

	if (!section)
		return true;
	if (count > *left)
		return false;
	*left -= count;
	type->size = (uint32_t)object->sections[section].size;
	for (uint32_t i = 0; i < count; i++) {
		const struct btf_type *variable = st_btf_type(&object->btf, variables[i].type);
		struct st_symbol symbol;

		variables[i].offset = UINT32_MAX;
		if (variable && st_btf_kind(variable) == BTF_KIND_VAR &&
		    st_object_find(object, section, st_btf_name(&object->btf, variable->name_off),
				   &symbol))
			variables[i].offset = (uint32_t)symbol.value;
	}
	qsort(variables, count, sizeof(*variables), by_offset);
	return true;
}

static int types_complete(struct st_object *object, const char **why)
{
	uint32_t left = ST_OBJECT_VARIABLES;

	for (uint32_t i = 1; i < object->btf.type_count; i++) {
		struct btf_type *type =
			(struct btf_type *)(object->btf.data + object->btf.types[i]);

		if (st_btf_kind(type) == BTF_KIND_FUNC) {
			type->info &= ~0xffffu; /* BTF_FUNC_STATIC */
		} else if (st_btf_kind(type) == BTF_KIND_DATASEC &&
			   !variables_place(object, type, &left)) {
			*why = "it has too many global variables";
			return -EINVAL;
		}
	}
	return 0;
}

static int types_read(struct st_object *object, const char **why)
{
	const uint32_t types = st_object_section(object, ".BTF");
	int result;

	if (!types)
		return 0;
	*why = "its type information is damaged";
	result = st_btf_open(&object->btf, object->sections[types].data,
			     object->sections[types].size);
	return result ? result : types_complete(object, why);
}

int st_object_open(struct st_object *object, const uint8_t *bytes, size_t size, const char **why)
{
	int result;

	memset(object, 0, sizeof(*object));
	object->bytes = bytes;
	object->size = size;
	result = elf_read(object, why);
	if (!result)
		result = types_read(object, why);
	if (result)
		st_object_close(object);
	if (result == -ENOMEM)
		*why = "no memory for it";
	return result;
}

void st_object_release(struct st_object *object)
{
	free(object->sections);
	object->sections = NULL;
	object->section_count = object->symbol_count = 0;
	object->bytes = object->symbols = NULL;
}

void st_object_close(struct st_object *object)
{
	st_object_release(object);
	st_btf_close(&object->btf);
}

bool st_object_symbol(const struct st_object *object, uint32_t number, struct st_symbol *symbol)
{
	Elf64_Sym raw;

	if (number >= object->symbol_count)
		return false;
	memcpy(&raw, object->symbols + (size_t)number * sizeof(raw), sizeof(raw));
	symbol->type = ELF64_ST_TYPE(raw.st_info);
	symbol->local = ELF64_ST_BIND(raw.st_info) == STB_LOCAL;
	symbol->value = raw.st_value;
	symbol->size = raw.st_size;
	symbol->section = raw.st_shndx;
	if (raw.st_shndx == SHN_ABS || symbol->section >= object->section_count)
		return false;
	symbol->name = symbol->type == STT_SECTION ? object->sections[symbol->section].name
						   : string_at(object->symbol_names, raw.st_name);
	return symbol->name &&
	       (!symbol->section ||
		is_inside(object->sections[symbol->section].size, symbol->value, symbol->size));
}

/* Names that are longer than any compiler's would only keep a search busy. */
static bool is_name(const char *name)
{
	return strnlen(name, 256) < 256;
}

uint32_t st_object_section(const struct st_object *object, const char *name)
{
	if (!is_name(name))
		return 0;
	for (uint32_t i = 1; i < object->section_count; i++)
		if (!strcmp(object->sections[i].name, name))
			return i;
	return 0;
}

bool st_object_find(const struct st_object *object, uint32_t section, const char *name,
		    struct st_symbol *symbol)
{
	if (!is_name(name))
		return false;
	for (uint32_t i = 1; i < object->symbol_count; i++)
		if (st_object_symbol(object, i, symbol) && symbol->section == section &&
		    !strcmp(symbol->name, name))
			return true;
	return false;
}

int st_object_relocation(const struct st_object *object, uint32_t section,
			 struct st_relocation_walk *walk, struct st_relocation *relocation)
{
	for (; walk->section < object->section_count; walk->section++, walk->at = 0) {
		const struct st_section *from = &object->sections[walk->section];
		Elf64_Rel raw;

		if (from->info != section || (from->type != SHT_REL && from->type != SHT_RELA))
			continue;
		if (from->type == SHT_RELA)
			return -EINVAL;
		if (from->size - walk->at < sizeof(raw))
			continue;
		memcpy(&raw, from->data + walk->at, sizeof(raw));
		walk->at += sizeof(raw);
		relocation->offset = raw.r_offset;
		relocation->type = (uint32_t)ELF64_R_TYPE(raw.r_info);
		if (!st_object_symbol(object, (uint32_t)ELF64_R_SYM(raw.r_info),
				      &relocation->symbol))
			return -EINVAL;
		return 1;
	}
	return 0;
}
