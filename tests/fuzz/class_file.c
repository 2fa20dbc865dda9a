// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Fuzzes files of classes: any bytes at all, as lines; then, of short ones, the expressions with libpcap, the
 * rule set that becomes of them, and the place of an error.
 */
#include "tools/common/command.h"
#include "tools/options/classes.h"

#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* With more, libpcap takes all the time. */
#define CLASSES 3
#define EXPRESSION 60

#define REQUIRE(CONDITION)                                                                         \
	do {                                                                                       \
		if (!(CONDITION))                                                                  \
			abort();                                                                   \
	} while (0)

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In the place of libc's: a name in an expression asks no server. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
		struct addrinfo **result)
{
	(void)node, (void)service, (void)hints, (void)result;
	return EAI_NONAME;
}

/* Messages are of no interest; the fuzzer's own go to the descriptor. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	stderr = fopen("/dev/null", "we");
	REQUIRE(stderr);
	return 0;
}

static bool is_blank(char byte)
{
	return byte == ' ' || byte == '\t' || byte == '\r';
}

/* Names and expressions are there, without blanks around them and on one line. */
static void look(const char *text)
{
	REQUIRE(*text && !is_blank(*text) && !is_blank(text[strlen(text) - 1]));
	REQUIRE(!strchr(text, '\n'));
}

static bool is_short(const struct class_options *options)
{
	if (options->count > CLASSES)
		return false;
	for (size_t i = 0; i < options->count; i++)
		if (strlen(options->class[i].expression) > EXPRESSION)
			return false;
	return true;
}

static void use(const struct class_options *options, const uint8_t *data, size_t size)
{
	const struct socktally_open_opts opts = {.sz = sizeof(opts),
						 .paths = 256,
						 .flags = SOCKTALLY_OPEN_USERSPACE};
	struct socktally *meter;
	int status;

	REQUIRE(!socktally_open(&meter, &opts));
	status = class_options_add(options, meter);
	REQUIRE(!status || status == EXIT_USAGE || status == EXIT_FAILED);
	/* fails where an expression asks what only the kernel knows: "ifindex 2" */
	if (!status)
		socktally_count(meter, 1, data, size, size, SOCKTALLY_IN);
	socktally_close(meter);
	if (status == EXIT_USAGE)
		REQUIRE(class_error_offset(options->class->expression, "syntax error") <=
			strlen(options->class->expression));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct class_options options = {.first = size % 2};
	int fd = memfd_create("classes", MFD_CLOEXEC), status;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	REQUIRE(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	status = class_file(&options, path);
	close(fd);
	REQUIRE(status || options.count);
	for (size_t i = 0; i < options.count; i++) {
		look(options.class[i].name);
		look(options.class[i].expression);
		REQUIRE(options.origin[i].line && options.origin[i].column > 1);
	}
	if (!status && is_short(&options))
		use(&options, data, size);
	for (size_t i = 0; i < options.count; i++) {
		free((void *)options.class[i].name);
		free((void *)options.class[i].expression);
	}
	free(options.class);
	free(options.origin);
	return 0;
}
