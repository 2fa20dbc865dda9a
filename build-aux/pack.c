/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * pack FILE.bpf.o: writes an object file as a C array to stdout, without what only a debugger reads.
 * Runs on the build machine; the library loads it as it does a user's hook.
 *
 * sizes.bpf.o becomes:
 *
 *	static const unsigned char st_object_sizes[] = {...};
 *
 * What the library's loader could not load is refused here: a name that nobody fills in, and CO-RE
 * relocations.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *file;

/* Names that the library fills in. */
static const char *const known[] = {
#define ST_EXTERN(name) #name,
#include "bpf/extern.def"
#undef ST_EXTERN
};

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "pack: %s: %s\n", file, what);
	exit(1);
}

static void *check(void *pointer)
{
	if (!pointer)
		fail(elf_errmsg(-1));
	return pointer;
}

static bool is_known(const char *name)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (!strcmp(name, known[i]))
			return true;
	return false;
}

static void check_symbols(Elf *from, Elf_Scn *section, const GElf_Shdr *header)
{
	Elf_Data *data = check(elf_getdata(section, NULL));
	GElf_Sym symbol;

	for (int i = 1; gelf_getsym(data, i, &symbol); i++) {
		const char *name = check(elf_strptr(from, header->sh_link, symbol.st_name));

		if (symbol.st_shndx != SHN_UNDEF || is_known(name))
			continue;
		fprintf(stderr, "pack: %s: %s: is not in this file, nor in bpf/extern.def\n", file,
			name);
		exit(1);
	}
}

/* In its header at 28: the length of the CO-RE relocations. Zero is so in both byte orders. */
static void check_core(Elf_Scn *section)
{
	enum { LENGTH_AT = 28 };
	Elf_Data *data = check(elf_getdata(section, NULL));
	static const uint32_t none;

	if (data->d_size >= LENGTH_AT + sizeof(none) &&
	    memcmp((const char *)data->d_buf + LENGTH_AT, &none, sizeof(none)) != 0)
		fail("has CO-RE relocations, which the library does not do");
}

/* Sections keep their numbers, as symbols and relocations go by them: one that is left out is empty. */
static void copy_section(Elf *to, Elf_Scn *from, const char *name)
{
	Elf_Scn *section = check(elf_newscn(to));
	GElf_Shdr header;
	Elf_Data *data, *copy;

	if (!gelf_getshdr(from, &header))
		fail(elf_errmsg(-1));
	if (strstr(name, ".debug_") || strstr(name, ".rel.BTF")) {
		header.sh_type = SHT_NULL;
		header.sh_size = header.sh_flags = 0;
	} else {
		data = check(elf_getdata(from, NULL));
		copy = check(elf_newdata(section));
		*copy = *data;
	}
	if (!gelf_update_shdr(section, &header))
		fail(elf_errmsg(-1));
}

static void copy_elf(Elf *from, Elf *to)
{
	Elf_Scn *section = NULL;
	GElf_Ehdr header;
	GElf_Shdr section_header;
	size_t names;

	if (!gelf_getehdr(from, &header) || elf_getshdrstrndx(from, &names) ||
	    !gelf_newehdr(to, gelf_getclass(from)))
		fail(elf_errmsg(-1));
	while ((section = elf_nextscn(from, section))) {
		const char *name;

		if (!gelf_getshdr(section, &section_header))
			fail(elf_errmsg(-1));
		name = check(elf_strptr(from, names, section_header.sh_name));
		if (section_header.sh_type == SHT_SYMTAB)
			check_symbols(from, section, &section_header);
		if (!strcmp(name, ".BTF.ext"))
			check_core(section);
		copy_section(to, section, name);
	}
	if (!gelf_update_ehdr(to, &header) || elf_update(to, ELF_C_WRITE) < 0)
		fail(elf_errmsg(-1));
}

static void print(FILE *packed)
{
	const char *base = strrchr(file, '/') ? strrchr(file, '/') + 1 : file;
	unsigned int count = 0;
	int byte;

	printf("/* Made from %s by build-aux/pack. */\n", base);
	printf("static const unsigned char st_object_%.*s[] = {", (int)strcspn(base, "."), base);
	rewind(packed);
	while ((byte = getc(packed)) != EOF)
		printf("%s0x%02x,", count++ % 16 ? " " : "\n\t", (unsigned int)byte);
	printf("\n};\n");
	if (ferror(packed) || fflush(stdout) || ferror(stdout))
		fail(strerror(errno));
}

int main(int argc, char **argv)
{
	FILE *packed = tmpfile();
	Elf *from, *to;
	int fd;

	if (argc != 2) {
		fprintf(stderr, "usage: pack FILE.bpf.o > FILE.bpf.h\n");
		return 2;
	}
	file = argv[1];
	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || !packed)
		fail(strerror(errno));
	elf_version(EV_CURRENT);
	from = check(elf_begin(fd, ELF_C_READ, NULL));
	to = check(elf_begin(fileno(packed), ELF_C_WRITE, NULL));
	copy_elf(from, to);
	elf_end(to);
	elf_end(from);
	close(fd);
	print(packed);
	fclose(packed);
	return 0;
}
