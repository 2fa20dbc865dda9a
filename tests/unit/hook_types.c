// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* A kernel that does not take an object's types, or not with a map or a program: hooks are loaded without. */
#include "tests/lib/hook_help.h"
#include <dlfcn.h>
#include <linux/bpf.h>
#include <sys/syscall.h>

static enum { NOTHING, TYPES, MAPS, PROGRAMS } refused;
static unsigned int refusals;

static bool is_refused(int command, const union bpf_attr *attr)
{
	switch (refused) {
	case TYPES:
		return command == BPF_BTF_LOAD;
	case MAPS:
		return command == BPF_MAP_CREATE && attr->btf_value_type_id;
	case PROGRAMS:
		return command == BPF_PROG_LOAD && attr->prog_btf_fd;
	default:
		return false;
	}
}

/* In the place of libc's. */
long syscall(long number, ...)
{
	static long (*real)(long, ...);
	va_list arguments;
	long more[6];

	va_start(arguments, number);
	for (unsigned int i = 0; i < 6; i++)
		more[i] = va_arg(arguments, long);
	va_end(arguments);
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "syscall");
	if (number == SYS_bpf && is_refused((int)more[0], (const union bpf_attr *)more[1])) {
		refusals++;
		errno = EINVAL;
		return -1;
	}
	return real(number, more[0], more[1], more[2], more[3], more[4], more[5]);
}

int main(void)
{
	static const char *const names[] = {"all is taken", "no types", "no types of maps",
					    "no types of programs"};

	own_network();
	for (unsigned int i = NOTHING; i <= PROGRAMS; i++) {
		struct socktally_hook_opts opts = {.sz = sizeof(opts),
						   .object = st_object_steps,
						   .object_size = sizeof(st_object_steps),
						   .program = "count"};
		struct socktally *meter;

		refused = i;
		refusals = 0;
		if (!ok(!socktally_open(&meter, NULL), "%s: a meter", names[i])) {
			printf("# %s\n", socktally_error(NULL));
			continue;
		}
		if (!ok(!socktally_hook_add(meter, &opts) && !refusals == !i, "%s: a hook",
			names[i]))
			printf("# %u refusals, %s\n", refusals, socktally_error(meter));
		socktally_close(meter);
	}
	return done();
}
