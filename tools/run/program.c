// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Whether the shim can be loaded into a program: what its file says. */
#include "tools/run/run.h"

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

/* More than real programs have; what is beyond is not looked at. */
enum { MAX_SEGMENTS = 64 };

/* A program's file. All of it may be anybody's, so every offset is read with its bounds. */
struct elf_file {
	int fd;
	Elf64_Ehdr head;
	Elf64_Phdr segments[MAX_SEGMENTS];
	size_t segment_count;
};

/* The program as the shell would find it, or false. */
static bool find_program(const char *tool, char path[PATH_MAX])
{
	const char *search = getenv("PATH");

	if (strchr(tool, '/'))
		return snprintf(path, PATH_MAX, "%s", tool) < PATH_MAX;
	if (!search)
		search = "/usr/local/bin:/usr/bin:/bin";
	for (; *search; search += *search == ':') {
		size_t length = strcspn(search, ":");

		if (snprintf(path, PATH_MAX, "%.*s/%s", (int)length, search, tool) < PATH_MAX &&
		    !access(path, X_OK))
			return true;
		search += length;
	}
	return false;
}

static bool read_at(int fd, void *to, size_t size, uint64_t offset)
{
	return offset < INT64_MAX && pread(fd, to, size, (off_t)offset) == (ssize_t)size;
}

/* A string of the file; what doesn't fit is cut. */
static void read_string(int fd, char *text, size_t size, uint64_t offset)
{
	ssize_t length = offset < INT64_MAX ? pread(fd, text, size - 1, (off_t)offset) : 0;

	text[length > 0 ? length : 0] = '\0';
}

static bool read_segments(struct elf_file *file)
{
	size_t count = file->head.e_phnum;

	if (file->head.e_phentsize != sizeof(*file->segments))
		return false;
	file->segment_count = count < MAX_SEGMENTS ? count : MAX_SEGMENTS;
	return read_at(file->fd, file->segments, file->segment_count * sizeof(*file->segments),
		       file->head.e_phoff);
}

static const Elf64_Phdr *find_segment(const struct elf_file *file, uint32_t type)
{
	for (size_t i = 0; i < file->segment_count; i++)
		if (file->segments[i].p_type == type)
			return &file->segments[i];
	return NULL;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/*
 * Loaders of the GNU C library (ld-linux*.so.*, ld64.so.*, ld.so.1, and ld-2.31.so behind the link) and of musl
 * (ld-musl-*.so.1), which the shim is known to work with.
 */
static bool is_known_loader(const char *path)
{
	const char *name = base_name(path);

	return !strncmp(name, "ld", 2) && strstr(name, ".so") && strncmp(name, "ld-uClibc", 9);
}

static const char *why_unloadable(struct elf_file *file, const char *path)
{
	static char why[PATH_MAX + 64];
	const Elf64_Phdr *interpreter;
	char loader[PATH_MAX], real[PATH_MAX];
	Elf64_Ehdr own = {0};
	int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	if (self >= 0) {
		read_at(self, &own, sizeof(own), 0);
		close(self);
	}
	if (file->head.e_ident[EI_CLASS] != own.e_ident[EI_CLASS])
		return "is a 32-bit program";
	if (file->head.e_machine != own.e_machine ||
	    file->head.e_ident[EI_DATA] != own.e_ident[EI_DATA])
		return "is made for another machine";
	if (!read_segments(file))
		return NULL;
	interpreter = find_segment(file, PT_INTERP);
	if (!interpreter)
		return realpath(path, real) && is_known_loader(real) ? NULL
								     : "is linked statically";
	read_string(file->fd, loader, sizeof(loader), interpreter->p_offset);
	if (!is_known_loader(loader)) {
		snprintf(why, sizeof(why), "has a C library of its own (%s)", loader);
		return why;
	}
	return NULL;
}

/* Of a script the program that reads it. */
static const char *look_at_file(const char *path, bool script)
{
	struct elf_file file = {.fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)};
	char line[256] = "";
	const char *why = NULL;

	if (file.fd < 0)
		return NULL;
	if (read_at(file.fd, &file.head, sizeof(file.head), 0) &&
	    !memcmp(file.head.e_ident, ELFMAG, SELFMAG))
		why = why_unloadable(&file, path);
	else
		read_string(file.fd, line, sizeof(line), 0);
	close(file.fd);
	if (script || strncmp(line, "#!", 2))
		return why;
	memmove(line, line + 2, sizeof(line) - 2);
	line[strspn(line, " \t") + strcspn(line + strspn(line, " \t"), " \t\n")] = '\0';
	return look_at_file(line + strspn(line, " \t"), true);
}

/* The loader ignores LD_PRELOAD in a program that gets more rights than its caller has. */
static const char *raised_rights(const char *path)
{
	struct stat status;

	if (stat(path, &status))
		return NULL;
	if (status.st_mode & S_ISUID && status.st_uid != geteuid())
		return "is setuid";
	if (status.st_mode & S_ISGID && status.st_gid != getegid())
		return "is setgid";
	if (geteuid() && getxattr(path, "security.capability", NULL, 0) > 0)
		return "has file capabilities";
	return NULL;
}

static void find(struct run_program *program, const char *tool)
{
	memset(program, 0, sizeof(*program));
	if (!find_program(tool, program->path))
		program->path[0] = '\0';
}

void run_program_read(struct run_program *program, const char *tool)
{
	find(program, tool);
	if (!*program->path)
		return;
	program->unloadable = look_at_file(program->path, false);
	program->secure = raised_rights(program->path);
}

void run_program_find_inner(struct run_program *program, char *const *words)
{
	struct stat status;

	for (; *words; words++) {
		find(program, *words);
		if (stat(program->path, &status) || !S_ISREG(status.st_mode) ||
		    access(program->path, X_OK))
			continue;
		run_program_read(program, *words);
		if (program->secure || program->unloadable)
			return;
	}
	memset(program, 0, sizeof(*program));
}
