/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * pack FILE.bpf.o: writes the object file of a hook as a C array to stdout, without what only a
 * debugger reads. Runs on the build machine; the library loads it as it does a user's file.
 *
 * sizes.bpf.o becomes:
 *
 *	static const unsigned char st_object_sizes[] = {...};
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *file;

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

/* Sections keep their numbers, as symbols and relocations go by them: one that is left out is empty. */
static void copy_section(Elf *to, Elf_Scn *from, const char *name)
{
	Elf_Scn *section = check(elf_newscn(to));
	GElf_Shdr header;
	Elf_Data *data, *copy;

	if (!gelf_getshdr(from, &header))
		fail(elf_errmsg(-1));
	if (strstr(name, ".debug_") || !strcmp(name, ".rel.BTF") || strstr(name, ".BTF.ext")) {
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
		if (!gelf_getshdr(section, &section_header))
			fail(elf_errmsg(-1));
		copy_section(to, section, check(elf_strptr(from, names, section_header.sh_name)));
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
