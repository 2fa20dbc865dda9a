// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "plugin/bpf/syscall.h"
#include <errno.h>
#include <linux/btf.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Task work, as of io_uring, interrupts the verifier, too; it is done between two tries. */
#define LOAD_TRIES 5

static int st_bpf(enum bpf_cmd command, union bpf_attr *attr)
{
	int saved = errno;
	long result = syscall(__NR_bpf, command, attr, sizeof(*attr));

	if (result < 0)
		result = -errno;
	errno = saved;
	return (int)result;
}

static uint64_t address(const void *pointer)
{
	return (uint64_t)(uintptr_t)pointer;
}

/* The kernel takes letters, digits, '_' and '.', 15 at most. */
static void set_name(char *to, size_t size, const char *name)
{
	size_t length = strlen(name);

	memcpy(to, name, length < size ? length : size - 1);
}

int st_bpf_map_create(enum bpf_map_type type, const char *name, uint32_t key_size,
		      uint32_t value_size, uint32_t max_entries, uint32_t flags)
{
	return st_bpf_map_create_typed(type, name, key_size, value_size, max_entries, flags, NULL);
}

int st_bpf_map_create_typed(enum bpf_map_type type, const char *name, uint32_t key_size,
			    uint32_t value_size, uint32_t max_entries, uint32_t flags,
			    const struct st_bpf_map_types *types)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.map_type = type;
	attr.key_size = key_size;
	attr.value_size = value_size;
	attr.max_entries = max_entries;
	attr.map_flags = flags;
	if (types) {
		attr.btf_fd = (uint32_t)types->btf;
		attr.btf_key_type_id = types->key;
		attr.btf_value_type_id = types->value;
	}
	set_name(attr.map_name, sizeof(attr.map_name), name);
	return st_bpf(BPF_MAP_CREATE, &attr);
}

int st_bpf_map_create_outer(const char *name, int inner)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.map_type = BPF_MAP_TYPE_ARRAY_OF_MAPS;
	attr.key_size = sizeof(uint32_t);
	attr.value_size = sizeof(uint32_t);
	attr.max_entries = 1;
	attr.inner_map_fd = (uint32_t)inner;
	set_name(attr.map_name, sizeof(attr.map_name), name);
	return st_bpf(BPF_MAP_CREATE, &attr);
}

int st_bpf_map_update(int map, const void *key, const void *value)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.map_fd = (uint32_t)map;
	attr.key = address(key);
	attr.value = address(value);
	attr.flags = BPF_ANY;
	return st_bpf(BPF_MAP_UPDATE_ELEM, &attr);
}

int st_bpf_map_lookup(int map, const void *key, void *value)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.map_fd = (uint32_t)map;
	attr.key = address(key);
	attr.value = address(value);
	return st_bpf(BPF_MAP_LOOKUP_ELEM, &attr);
}

int st_bpf_map_delete(int map, const void *key)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.map_fd = (uint32_t)map;
	attr.key = address(key);
	return st_bpf(BPF_MAP_DELETE_ELEM, &attr);
}

int st_bpf_map_next_key(int map, const void *key, void *next)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.map_fd = (uint32_t)map;
	attr.key = address(key);
	attr.next_key = address(next);
	return st_bpf(BPF_MAP_GET_NEXT_KEY, &attr);
}

int st_bpf_map_freeze(int map)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.map_fd = (uint32_t)map;
	return st_bpf(BPF_MAP_FREEZE, &attr);
}

int st_bpf_map_constant(const char *name, const void *value, size_t size)
{
	const uint32_t first = 0;
	int map, result;

	map = st_bpf_map_create(BPF_MAP_TYPE_ARRAY, name, sizeof(first), (uint32_t)size, 1,
				BPF_F_RDONLY_PROG);
	if (map < 0)
		return map;
	result = st_bpf_map_update(map, &first, value);
	if (!result)
		result = st_bpf_map_freeze(map);
	if (result) {
		close(map);
		return result;
	}
	return map;
}

/*
 * The verifier gives up with EAGAIN when a signal is pending. A host's timer may send signals faster
 * than the verifier is through, so they are blocked meanwhile. Signals that a thread causes by itself
 * stay unblocked: the kernel kills a process for one of them that is blocked. And SIGXCPU, which says that
 * enough time was used.
 */
static int load_again(union bpf_attr *attr)
{
	static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGXCPU};
	sigset_t all, before;
	int prog = -EAGAIN;

	sigfillset(&all);
	for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++)
		sigdelset(&all, own[i]);
	if (pthread_sigmask(SIG_BLOCK, &all, &before))
		return prog;
	for (int i = 0; prog == -EAGAIN && i < LOAD_TRIES; i++)
		prog = st_bpf(BPF_PROG_LOAD, attr);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return prog;
}

int st_bpf_program_load(const struct st_bpf_program *program, char *log, size_t log_size)
{
	static const char own_license[] = "Dual BSD/GPL";
	union bpf_attr attr;
	int prog;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
	attr.insns = address(program->insns);
	attr.insn_cnt = (uint32_t)program->count;
	attr.license = address(program->license ? program->license : own_license);
	set_name(attr.prog_name, sizeof(attr.prog_name), program->name);
	if (program->btf) {
		attr.prog_btf_fd = (uint32_t)program->btf;
		attr.func_info = address(program->functions);
		attr.func_info_rec_size = sizeof(*program->functions);
		attr.func_info_cnt = (uint32_t)program->function_count;
		attr.line_info = address(program->lines);
		attr.line_info_rec_size = sizeof(*program->lines);
		attr.line_info_cnt = (uint32_t)program->line_count;
	}
	if (log && log_size) {
		log[0] = '\0';
		attr.log_level = 1;
		attr.log_buf = address(log);
		attr.log_size = (uint32_t)log_size;
	}
	prog = st_bpf(BPF_PROG_LOAD, &attr);
	return prog == -EAGAIN ? load_again(&attr) : prog;
}

int st_bpf_prog_load(const char *name, const struct bpf_insn *insns, size_t count, char *log,
		     size_t log_size)
{
	const struct st_bpf_program program = {.name = name, .insns = insns, .count = count};

	return st_bpf_program_load(&program, log, log_size);
}

int st_bpf_btf_load(const void *btf, size_t size)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.btf = address(btf);
	attr.btf_size = (uint32_t)size;
	return st_bpf(BPF_BTF_LOAD, &attr);
}

/* Types for a program and its functions, which all return an int and take nothing. */
static int load_types(void)
{
	static const char names[] = "\0int\0st_function";
	enum { INT = 1, PROTOTYPE, FUNCTION };
	static const struct {
		struct btf_header header;
		struct btf_type integer;
		uint32_t integer_data;
		struct btf_type prototype, function;
		char names[sizeof(names)];
	} types = {
		.header =
			{
				.magic = BTF_MAGIC,
				.version = BTF_VERSION,
				.hdr_len = sizeof(types.header),
				.type_len = sizeof(types.integer) + sizeof(types.integer_data) +
					    sizeof(types.prototype) + sizeof(types.function),
				.str_off = sizeof(types.integer) + sizeof(types.integer_data) +
					   sizeof(types.prototype) + sizeof(types.function),
				.str_len = sizeof(names),
			},
		.integer = {.name_off = 1, .info = BTF_KIND_INT << 24, .size = 4},
		.integer_data = BTF_INT_SIGNED << 24 | 32,
		.prototype = {.info = BTF_KIND_FUNC_PROTO << 24, .type = INT},
		.function = {.name_off = 5, .info = BTF_KIND_FUNC << 24, .type = PROTOTYPE},
		.names = "\0int\0st_function",
	};

	return st_bpf_btf_load(&types, offsetof(__typeof__(types), names) + sizeof(names));
}

int st_bpf_prog_load_functions(const char *name, const struct bpf_insn *insns, size_t count,
			       const uint32_t *starts, size_t start_count, char *log,
			       size_t log_size)
{
	struct bpf_func_info functions[1 + 8];
	struct st_bpf_program program = {.name = name,
					 .insns = insns,
					 .count = count,
					 .functions = functions,
					 .function_count = 1 + start_count};
	int saved = errno, prog;

	if (start_count > 8)
		return -E2BIG;
	functions[0] = (struct bpf_func_info){.insn_off = 0, .type_id = 3};
	for (size_t i = 0; i < start_count; i++)
		functions[1 + i] = (struct bpf_func_info){.insn_off = starts[i], .type_id = 3};
	program.btf = load_types();
	if (program.btf < 0)
		return program.btf;
	prog = st_bpf_program_load(&program, log, log_size);
	close(program.btf);
	errno = saved;
	return prog;
}

int st_bpf_prog_bind_map(int prog, int map)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.prog_bind_map.prog_fd = (uint32_t)prog;
	attr.prog_bind_map.map_fd = (uint32_t)map;
	return st_bpf(BPF_PROG_BIND_MAP, &attr);
}

int st_bpf_prog_next_id(uint32_t *id)
{
	union bpf_attr attr;
	int result;

	memset(&attr, 0, sizeof(attr));
	attr.start_id = *id;
	result = st_bpf(BPF_PROG_GET_NEXT_ID, &attr);
	if (!result)
		*id = attr.next_id;
	return result;
}

int st_bpf_prog_by_id(uint32_t id)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.prog_id = id;
	return st_bpf(BPF_PROG_GET_FD_BY_ID, &attr);
}

int st_bpf_map_by_id(uint32_t id)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.map_id = id;
	return st_bpf(BPF_MAP_GET_FD_BY_ID, &attr);
}

int st_bpf_info(int fd, void *info, size_t size)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.info.bpf_fd = (uint32_t)fd;
	attr.info.info = address(info);
	attr.info.info_len = (uint32_t)size;
	return st_bpf(BPF_OBJ_GET_INFO_BY_FD, &attr);
}

int st_bpf_prog_run(int prog, const void *packet, size_t size, uint32_t repeat, uint32_t *verdict,
		    uint32_t *nanoseconds)
{
	union bpf_attr attr;
	int result;

	memset(&attr, 0, sizeof(attr));
	attr.test.prog_fd = (uint32_t)prog;
	attr.test.data_in = address(packet);
	attr.test.data_size_in = (uint32_t)size;
	attr.test.repeat = repeat;
	result = st_bpf(BPF_PROG_TEST_RUN, &attr);
	if (result < 0)
		return result;
	if (verdict)
		*verdict = attr.test.retval;
	if (nanoseconds)
		*nanoseconds = attr.test.duration;
	return 0;
}
