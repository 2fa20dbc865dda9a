/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * embed FILE.bpf.o: writes the BPF programs of an object file as a C header to stdout. Runs on the
 * build machine; the library then needs neither files nor libbpf to load its own programs.
 *
 * In the BPF source, every non-static function in a section "socket" or "socket/..." is a program,
 * and everything it calls is inlined into it. It names its maps and load-time constants with the two
 * macros of bpf/extern.h, without declaring them:
 *
 *	SEC("socket") int count(struct __sk_buff *skb)
 *	{
 *		struct st_region *region = ST_EXTERN_PTR(cells);
 *		__u32 slots = ST_EXTERN_U64(slots);
 *		...
 *	char _license[] SEC("license") = "Dual BSD/GPL";
 *
 * count.bpf.o becomes count.bpf.h, with one struct st_embedded (build-aux/embed.h) a program, called
 * st_embedded_ and the function's name:
 *
 *	#include "build-aux/embed.h"
 *	static const struct bpf_insn st_embedded_count_insns[] = {
 *		{.code = 0x18, .dst_reg = 1, .src_reg = 0, .off = 0, .imm = 0},
 *		...
 *	};
 *	static const struct st_extern st_embedded_count_externs[] = {
 *		{.insn = 0, .addend = 0, .symbol = "cells"},
 *		{.insn = 2, .addend = 0, .symbol = "slots"},
 *	};
 *	static const struct st_embedded st_embedded_count = {
 *		.name = "count", .license = "Dual BSD/GPL",
 *		.insns = st_embedded_count_insns, .insn_count = 210,
 *		.externs = st_embedded_count_externs, .extern_count = 2,
 *		.rodata = NULL, .rodata_size = 0,
 *	};
 *
 * Each extern is an LD_IMM64 with src_reg, off and both imm zero. The loader copies insns, and for
 * each extern sets, by the symbol's name, in insn[i] and insn[i + 1]:
 *
 *	a map               [i].src_reg = BPF_PSEUDO_MAP_FD, [i].imm = descriptor
 *	the value of a map  [i].src_reg = BPF_PSEUDO_MAP_VALUE, [i].imm = descriptor,
 *	                    [i + 1].imm = offset in the value (+ addend)
 *	a constant          [i].imm = low 32 bits, [i + 1].imm = high 32 bits
 *
 * Constant tables ("static const __u8 kind[256]") are allowed: they are in rodata, in the byte order
 * of the machine that runs the program, and what reads them has the symbol ST_EMBEDDED_RODATA and its
 * offset as addend. The loader puts rodata into a frozen one-element ARRAY (BPF_F_RDONLY_PROG) and
 * treats the symbol as the value of that map. All programs of one object share one rodata.
 *
 * What the loader has no means for is refused here: calls between BPF functions, variables that can
 * be written (.data, .bss), maps declared in the source (.maps), any other relocation.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* From <linux/bpf.h> and <linux/bpf_common.h>, which the build machine need not have. */
enum { INSN_SIZE = 8, OP_LD_IMM64 = 0x18, OP_CALL = 0x85, PSEUDO_CALL = 1 };
#ifndef EM_BPF
#define EM_BPF 247
#endif
enum { BPF_64_64 = 1 }; /* R_BPF_64_64 */

enum { MAX_SECTIONS = 256 };

static const char *file;

struct object {
	Elf *elf;
	bool big_endian;
	size_t section_count;
	Elf_Data *symbols;
	size_t symbol_count;
	size_t symbol_names; /* section with their names */
	const char *license;
	size_t rodata_size;
	size_t rodata_offset[MAX_SECTIONS]; /* of a section in rodata */
	bool is_rodata[MAX_SECTIONS];
	const char *name[MAX_SECTIONS];
};

/* Where a program is: size bytes from start in a section. */
struct program {
	const char *name;
	size_t section;
	size_t start;
	size_t size;
};

static _Noreturn void __attribute__((format(printf, 1, 2))) fail(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "embed: %s: ", file);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

static Elf_Scn *section_header(const struct object *object, size_t index, GElf_Shdr *header)
{
	Elf_Scn *section = elf_getscn(object->elf, index);

	if (!section || !gelf_getshdr(section, header))
		fail("section %zu: %s", index, elf_errmsg(-1));
	return section;
}

/* The whole of a section. Section contents that elf.h has no type for come as they are in the file. */
static Elf_Data *section_data(const struct object *object, size_t index)
{
	GElf_Shdr header;
	Elf_Data *data = elf_getdata(section_header(object, index, &header), NULL);

	if (!data || (data->d_size && !data->d_buf))
		fail("section %zu: %s", index, elf_errmsg(-1));
	return data;
}

static GElf_Sym symbol_at(const struct object *object, size_t index, const char **name)
{
	GElf_Sym symbol;

	if (index >= object->symbol_count || !gelf_getsym(object->symbols, (int)index, &symbol))
		fail("symbol %zu: %s", index, elf_errmsg(-1));
	*name = elf_strptr(object->elf, object->symbol_names, symbol.st_name);
	if (!*name)
		fail("symbol %zu: %s", index, elf_errmsg(-1));
	return symbol;
}

static bool is_program_section(const char *name)
{
	return !strcmp(name, "socket") || !strncmp(name, "socket/", 7);
}

static void read_license(struct object *object, size_t index)
{
	Elf_Data *data = section_data(object, index);

	if (!data->d_size || ((const char *)data->d_buf)[data->d_size - 1] != '\0')
		fail("the license is not a string");
	object->license = data->d_buf;
}

static void add_rodata(struct object *object, size_t index, const GElf_Shdr *header)
{
	size_t align = header->sh_addralign ? header->sh_addralign : 1;

	object->rodata_size = (object->rodata_size + align - 1) / align * align;
	object->rodata_offset[index] = object->rodata_size;
	object->is_rodata[index] = true;
	object->rodata_size += header->sh_size;
}

static void read_section(struct object *object, size_t index, size_t section_names)
{
	GElf_Shdr header;
	const char *name;

	section_header(object, index, &header);
	name = elf_strptr(object->elf, section_names, header.sh_name);
	if (!name)
		fail("section %zu: %s", index, elf_errmsg(-1));
	object->name[index] = name;
	if (header.sh_type == SHT_SYMTAB) {
		object->symbols = section_data(object, index);
		object->symbol_count = header.sh_entsize ? header.sh_size / header.sh_entsize : 0;
		object->symbol_names = header.sh_link;
		return;
	}
	if (!(header.sh_flags & SHF_ALLOC) || !header.sh_size || !strncmp(name, ".BTF", 4))
		return;
	if (!strcmp(name, "license"))
		read_license(object, index);
	else if (!strncmp(name, ".rodata", 7))
		add_rodata(object, index, &header);
	else if (!strcmp(name, ".text"))
		fail("there are functions outside the \"socket\" sections: mark what the "
		     "programs call static __always_inline");
	else if (!strcmp(name, ".maps"))
		fail("maps are not declared in the source: name them with ST_EXTERN_PTR");
	else if (!is_program_section(name))
		fail("section %s: only \"socket\", \"socket/...\", \"license\" and constant data "
		     "can be embedded",
		     name);
}

static void read_object(struct object *object, int fd)
{
	size_t section_names;
	GElf_Ehdr header;

	if (elf_version(EV_CURRENT) == EV_NONE)
		fail("libelf: %s", elf_errmsg(-1));
	object->elf = elf_begin(fd, ELF_C_READ, NULL);
	if (!object->elf || !gelf_getehdr(object->elf, &header))
		fail("%s", elf_errmsg(-1));
	if (header.e_machine != EM_BPF || header.e_type != ET_REL ||
	    header.e_ident[EI_CLASS] != ELFCLASS64)
		fail("not a BPF object file");
	object->big_endian = header.e_ident[EI_DATA] == ELFDATA2MSB;
	if (elf_getshdrnum(object->elf, &object->section_count) ||
	    elf_getshdrstrndx(object->elf, &section_names))
		fail("%s", elf_errmsg(-1));
	if (object->section_count > MAX_SECTIONS)
		fail("more than %d sections", MAX_SECTIONS);
	for (size_t i = 1; i < object->section_count; i++)
		read_section(object, i, section_names);
	if (!object->symbols)
		fail("no symbols");
	if (!object->license)
		fail("no license: char _license[] SEC(\"license\") = ...");
}

static unsigned int integer(const struct object *object, const uint8_t *bytes, size_t size)
{
	unsigned int value = 0;

	for (size_t i = 0; i < size; i++)
		value |= (unsigned int)bytes[i] << 8 * (object->big_endian ? size - 1 - i : i);
	return value;
}

/* Field by field, because the order of the two registers in their byte is the machine's. */
static void write_insns(const struct object *object, const struct program *program,
			const uint8_t *code)
{
	printf("static const struct bpf_insn st_embedded_%s_insns[] = {\n", program->name);
	for (size_t at = 0; at < program->size; at += INSN_SIZE) {
		const uint8_t *insn = code + at;
		unsigned int low = insn[1] & 0xf, high = insn[1] >> 4;
		unsigned int dst = object->big_endian ? high : low;
		unsigned int src = object->big_endian ? low : high;

		if (insn[0] == OP_CALL && src == PSEUDO_CALL)
			fail("%s calls another BPF function: mark it static __always_inline",
			     program->name);
		printf("\t{.code = 0x%02x, .dst_reg = %u, .src_reg = %u, .off = %d, .imm = %d},\n",
		       insn[0], dst, src, (int16_t)integer(object, insn + 2, 2),
		       (int32_t)integer(object, insn + 4, 4));
	}
	printf("};\n\n");
}

static void write_extern(const struct object *object, const struct program *program,
			 const uint8_t *code, const GElf_Rel *rel)
{
	size_t at = rel->r_offset - program->start;
	unsigned int addend;
	const char *name;
	GElf_Sym symbol = symbol_at(object, GELF_R_SYM(rel->r_info), &name);

	if (GELF_R_TYPE(rel->r_info) != BPF_64_64)
		fail("%s: relocation of type %u to %s: only maps, constants and constant data are "
		     "known",
		     program->name, (unsigned int)GELF_R_TYPE(rel->r_info), name);
	if (at % INSN_SIZE || program->size - at < 2 * INSN_SIZE || code[at] != OP_LD_IMM64)
		fail("%s: the relocation to %s is not at an LD_IMM64", program->name, name);
	addend = integer(object, code + at + 4, 4);
	if (symbol.st_shndx != SHN_UNDEF) {
		if (symbol.st_shndx >= object->section_count || !object->is_rodata[symbol.st_shndx])
			fail("%s: %s is not constant data, and not a name for ST_EXTERN_PTR",
			     program->name, name);
		addend += symbol.st_value + object->rodata_offset[symbol.st_shndx];
		if (addend > object->rodata_size)
			fail("%s: a reference past the constant data", program->name);
		name = ".rodata";
	}
	printf("\t{.insn = %zu, .addend = %u, .symbol = \"%s\"},\n", at / INSN_SIZE, addend, name);
}

/* Returns how many there are. */
static size_t write_externs(const struct object *object, const struct program *program,
			    const uint8_t *code)
{
	size_t count = 0;

	for (size_t i = 1; i < object->section_count; i++) {
		GElf_Shdr header;
		Elf_Data *data;

		section_header(object, i, &header);
		if (header.sh_info != program->section)
			continue;
		if (header.sh_type == SHT_RELA)
			fail("%s: relocations with addends", object->name[i]);
		if (header.sh_type != SHT_REL || !header.sh_entsize)
			continue;
		data = section_data(object, i);
		for (size_t j = 0; j < header.sh_size / header.sh_entsize; j++) {
			GElf_Rel rel;

			if (!gelf_getrel(data, (int)j, &rel))
				fail("%s: %s", object->name[i], elf_errmsg(-1));
			if (rel.r_offset < program->start ||
			    rel.r_offset - program->start >= program->size)
				continue;
			if (!count++)
				printf("static const struct st_extern st_embedded_%s_externs[] = "
				       "{\n",
				       program->name);
			write_extern(object, program, code, &rel);
		}
	}
	if (count)
		printf("};\n\n");
	return count;
}

static void write_rodata(const struct object *object)
{
	uint8_t *bytes = calloc(object->rodata_size, 1);

	if (!bytes)
		fail("%s", strerror(ENOMEM));
	for (size_t i = 1; i < object->section_count; i++) {
		Elf_Data *data;

		if (!object->is_rodata[i])
			continue;
		data = section_data(object, i);
		memcpy(bytes + object->rodata_offset[i], data->d_buf, data->d_size);
	}
	printf("static const unsigned char st_embedded_rodata[] __attribute__((aligned(8))) = {");
	for (size_t i = 0; i < object->rodata_size; i++)
		printf("%s0x%02x,", i % 16 ? " " : "\n\t", bytes[i]);
	printf("\n};\n\n");
	free(bytes);
}

static void write_string(const char *text)
{
	putchar('"');
	for (; *text; text++)
		if (*text == '"' || *text == '\\' || !isprint((unsigned char)*text))
			printf("\\%03o", (unsigned char)*text);
		else
			putchar(*text);
	putchar('"');
}

static void write_program(const struct object *object, const struct program *program)
{
	Elf_Data *data = section_data(object, program->section);
	const uint8_t *code;
	size_t externs;

	if (program->start > data->d_size || program->size > data->d_size - program->start ||
	    !program->size || program->size % INSN_SIZE)
		fail("%s: its symbol doesn't fit its section", program->name);
	code = (const uint8_t *)data->d_buf + program->start;
	write_insns(object, program, code);
	externs = write_externs(object, program, code);
	printf("static const struct st_embedded st_embedded_%s = {\n", program->name);
	printf("\t.name = \"%s\",\n\t.license = ", program->name);
	write_string(object->license);
	printf(",\n\t.insns = st_embedded_%s_insns,\n\t.insn_count = %zu,\n", program->name,
	       program->size / INSN_SIZE);
	if (externs)
		printf("\t.externs = st_embedded_%s_externs,\n\t.extern_count = %zu,\n",
		       program->name, externs);
	if (object->rodata_size)
		printf("\t.rodata = st_embedded_rodata,\n\t.rodata_size = %zu,\n",
		       object->rodata_size);
	printf("};\n\n");
}

static void write_programs(const struct object *object)
{
	bool any = false;

	for (size_t i = 1; i < object->symbol_count; i++) {
		struct program program;
		GElf_Sym symbol = symbol_at(object, i, &program.name);

		if (GELF_ST_TYPE(symbol.st_info) != STT_FUNC ||
		    symbol.st_shndx >= object->section_count)
			continue;
		if (GELF_ST_BIND(symbol.st_info) == STB_LOCAL)
			fail("function %s is not inlined: mark it static __always_inline",
			     program.name);
		program.section = symbol.st_shndx;
		program.start = symbol.st_value;
		program.size = symbol.st_size;
		write_program(object, &program);
		any = true;
	}
	if (!any)
		fail("no programs: SEC(\"socket\") int NAME(struct __sk_buff *skb)");
}

int main(int argc, char **argv)
{
	static struct object object;
	const char *base;
	int fd;

	if (argc != 2) {
		fprintf(stderr, "usage: embed FILE.bpf.o > FILE.bpf.h\n");
		return 2;
	}
	file = argv[1];
	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fail("%s", strerror(errno));
	read_object(&object, fd);
	base = strrchr(file, '/') ? strrchr(file, '/') + 1 : file;
	printf("/* Made from %s by build-aux/embed. */\n#include \"build-aux/embed.h\"\n\n", base);
	if (object.rodata_size)
		write_rodata(&object);
	write_programs(&object);
	if (fflush(stdout) || ferror(stdout))
		fail("writing the header: %s", strerror(errno));
	elf_end(object.elf);
	close(fd);
	return 0;
}
