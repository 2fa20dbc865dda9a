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

/* A string in a section that ends there; NULL: it doesn't. */
static const char *string_at(const struct st_section *section, uint64_t offset)
{
	if (!section->data || offset >= section->size ||
	    !memchr(section->data + offset, 0, section->size - offset))
		return NULL;
	return (const char *)section->data + offset;
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
	for (uint32_t i = 0; i < object->section_count; i++) {
		header_read(object, elf, i, &header);
		object->sections[i].name = i ? string_at(names, header.sh_name) : "";
		if (!object->sections[i].name)
			return false;
		if (header.sh_type != SHT_SYMTAB || object->symbols)
			continue;
		if (header.sh_link >= object->section_count)
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

int st_object_open(struct st_object *object, uint8_t *bytes, size_t size, const char **why)
{
	uint32_t types;
	int result;

	memset(object, 0, sizeof(*object));
	object->bytes = bytes;
	object->size = size;
	result = elf_read(object, why);
	if (!result) {
		types = st_object_section(object, ".BTF");
		if (types) {
			*why = "its type information is damaged";
			result = st_btf_open(&object->btf, object->sections[types].data,
					     object->sections[types].size);
		}
	}
	if (result)
		st_object_close(object);
	if (result == -ENOMEM)
		*why = "no memory for it";
	return result;
}

void st_object_close(struct st_object *object)
{
	st_btf_close(&object->btf);
	free(object->sections);
	free(object->bytes);
	memset(object, 0, sizeof(*object));
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

uint32_t st_object_section(const struct st_object *object, const char *name)
{
	for (uint32_t i = 1; i < object->section_count; i++)
		if (!strcmp(object->sections[i].name, name))
			return i;
	return 0;
}

bool st_object_find(const struct st_object *object, uint32_t section, const char *name,
		    struct st_symbol *symbol)
{
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
