// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The hooks of a meter: their names, their order, and what they have taken. */
#include "plugin/hooks/hook.h"
#include "plugin/meter/maps.h"
#include "plugin/meter/meter.h"
#include "plugin/meter/visit.h"
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Static_assert(SOCKTALLY_MAX_HOOKS == ST_MAX_HOOKS, "the header and the chain say the same");

void st_hooks_init(struct st_hooks *hooks)
{
	memset(hooks, 0, sizeof(*hooks));
	hooks->parse_prog = hooks->tally_prog = hooks->look_prog = -1;
	hooks->map_memory = ST_MAP_MEMORY;
	hooks->bank_map = hooks->inner_map = hooks->outer_map = -1;
}

void st_hooks_free(struct socktally *meter)
{
	struct st_hooks *hooks = &meter->hooks;
	const int descriptors[] = {hooks->parse_prog, hooks->tally_prog, hooks->look_prog,
				   hooks->bank_map,   hooks->inner_map,  hooks->outer_map};

	for (unsigned int i = 0; i < hooks->count; i++)
		st_hook_free(meter, hooks->hook[i]);
	for (size_t i = 0; i < sizeof(descriptors) / sizeof(*descriptors); i++)
		if (descriptors[i] >= 0)
			close(descriptors[i]);
	st_hooks_init(hooks);
}

/* A slot's counters; exact once no packet is on its way to the hook. */
static struct socktally_taken slot_read(const struct socktally *meter, unsigned int slot)
{
	struct socktally_taken sum = {0};

	for (uint32_t cpu = 0; cpu < meter->region_count; cpu++) {
		const volatile struct socktally_taken *taken =
			&st_region_of(meter, cpu)->taken[slot];

		sum.dropped_packets += taken->dropped_packets;
		sum.dropped_bytes += taken->dropped_bytes;
		sum.cut_packets += taken->cut_packets;
		sum.cut_bytes += taken->cut_bytes;
	}
	return sum;
}

static struct socktally_taken hook_taken(const struct socktally *meter, const struct st_hook *hook)
{
	struct socktally_taken now = slot_read(meter, hook->slot);

	now.dropped_packets += hook->past.dropped_packets - hook->before.dropped_packets;
	now.dropped_bytes += hook->past.dropped_bytes - hook->before.dropped_bytes;
	now.cut_packets += hook->past.cut_packets - hook->before.cut_packets;
	now.cut_bytes += hook->past.cut_bytes - hook->before.cut_bytes;
	return now;
}

static void hook_describe(const struct socktally *meter, const struct st_hook *hook,
			  struct socktally_hook *described)
{
	const struct socktally_taken taken = hook_taken(meter, hook);

	*described = (struct socktally_hook){
		.name = hook->name,
		.kind = hook->ops->name,
		.priority = hook->priority,
		.dropped_packets = taken.dropped_packets,
		.dropped_bytes = taken.dropped_bytes,
		.cut_packets = taken.cut_packets,
		.cut_bytes = taken.cut_bytes,
	};
}

struct st_hook *st_hook_find(const struct socktally *meter, const char *name)
{
	for (unsigned int i = 0; name && i < meter->hooks.count; i++)
		if (!strcmp(meter->hooks.hook[i]->name, name))
			return meter->hooks.hook[i];
	return NULL;
}

/* Names stand in reports and on command lines. */
static bool is_name(const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; i < length; i++)
		if ((unsigned char)name[i] <= ' ' || name[i] == 0x7f)
			return false;
	return length && length < ST_HOOK_NAME_MAX;
}

struct st_hook *st_hook_new(struct socktally *meter, const struct st_hook_ops *ops,
			    const char *name, int32_t priority, const struct st_hook *replaces,
			    int *error)
{
	const struct st_hook *same = st_hook_find(meter, name);
	struct st_hook *hook;

	if (!is_name(name))
		*error = st_fail(meter, -EINVAL,
				 "a hook's name has 1 to %d characters and no blanks",
				 ST_HOOK_NAME_MAX - 1);
	else if (same && same != replaces)
		*error = st_fail(meter, -EEXIST,
				 "there is a hook %s already: give this one another name", name);
	else if (!replaces && meter->hooks.count == ST_MAX_HOOKS)
		*error = st_fail(meter, -ENOSPC, "%s: a meter has %d hooks at most", name,
				 ST_MAX_HOOKS);
	else
		*error = st_chain_open(meter);
	if (*error)
		return NULL;
	hook = calloc(1, sizeof(*hook));
	if (!hook) {
		*error = st_fail(meter, -ENOMEM, "no memory for the hook %s", name);
		return NULL;
	}
	hook->ops = ops;
	memcpy(hook->name, name, strlen(name) + 1);
	hook->priority = priority;
	hook->prog = -1;
	while (meter->hooks.slots & 1u << hook->slot) /* there are more of them than hooks */
		hook->slot++;
	meter->hooks.slots |= 1u << hook->slot;
	hook->before = slot_read(meter, hook->slot);
	return hook;
}

void st_hook_free(struct socktally *meter, struct st_hook *hook)
{
	if (hook->own)
		hook->ops->free(hook);
	if (hook->prog >= 0)
		close(hook->prog);
	meter->hooks.slots &= ~(1u << hook->slot);
	free(hook);
}

bool st_hook_symbol(const struct socktally *meter, const struct st_hook *hook, const char *symbol,
		    struct bpf_insn insn[2])
{
	if (strcmp(symbol, "socktally_taken_at") != 0)
		return st_symbol_resolve(meter, symbol, insn);
	insn[0].src_reg = 0;
	insn[0].imm = (int32_t)(offsetof(struct st_region, taken) +
				hook->slot * sizeof(struct socktally_taken));
	insn[1].imm = 0;
	return true;
}

/* A list of hooks that may become the chain. */
struct order {
	struct st_hook *hook[ST_MAX_HOOKS];
	unsigned int count;
};

/* All of the chain but one. */
static void order_without(struct order *order, const struct socktally *meter,
			  const struct st_hook *left_out)
{
	order->count = 0;
	for (unsigned int i = 0; i < meter->hooks.count; i++)
		if (meter->hooks.hook[i] != left_out)
			order->hook[order->count++] = meter->hooks.hook[i];
}

/* Behind all that have its priority or a lower one. */
static void order_add(struct order *order, struct st_hook *hook, int32_t priority)
{
	unsigned int at = order->count++;

	for (; at && order->hook[at - 1]->priority > priority; at--)
		order->hook[at] = order->hook[at - 1];
	order->hook[at] = hook;
}

/* Whether a packet can make all tail calls that these hooks need. */
static bool order_fits(const struct order *order)
{
	unsigned int calls = order->count;

	for (unsigned int i = 0; i < order->count; i++)
		calls += order->hook[i]->inner_calls;
	return calls <= ST_HOOK_CALLS_MAX;
}

static int order_use(struct socktally *meter, const struct order *order)
{
	int result = st_chain_exchange(meter, order->hook, order->count);

	if (result)
		return result;
	memcpy(meter->hooks.hook, order->hook, sizeof(order->hook));
	meter->hooks.count = order->count;
	return 0;
}

int st_hook_insert(struct socktally *meter, struct st_hook *hook, struct st_hook *replaces)
{
	struct order order = {0};
	int result;

	order_without(&order, meter, NULL);
	if (replaces && replaces->priority == hook->priority) {
		for (unsigned int i = 0; i < order.count; i++)
			if (order.hook[i] == replaces)
				order.hook[i] = hook;
	} else {
		order_without(&order, meter, replaces);
		order_add(&order, hook, hook->priority);
	}
	if (!order_fits(&order))
		return st_fail(
			meter, -ENOSPC,
			"%s: the kernel allows too few tail calls for all hooks and classes: "
			"remove a hook",
			hook->name);
	result = order_use(meter, &order);
	if (result || !replaces)
		return result;
	hook->past = hook_taken(meter, replaces);
	st_hook_free(meter, replaces);
	return 0;
}

static int hook_add(struct socktally *meter, const char *replaced,
		    const struct socktally_hook_opts *callers)
{
	struct st_hook *hook, *replaces = NULL;
	struct socktally_hook_opts opts;
	int result;

	result = st_visit_refuse(meter, ST_LIST_HOOKS | ST_LIST_CLASSES);
	if (result)
		return result;
	if (!callers)
		return st_fail(meter, -EINVAL, "a hook: no options");
	result = st_options(&opts, sizeof(opts), callers);
	if (!result && (opts.flags || (opts.variable_count && !opts.variables)))
		result = -EINVAL;
	if (result)
		return st_fail(meter, result, "a hook's options that make no sense");
	if (meter->userspace)
		return st_fail(meter, -EINVAL, "a meter without a kernel part has no hooks");
	if (meter->remote >= 0)
		return st_fail(meter, -EOPNOTSUPP,
			       "a broker loads nobody's own programs: no hooks");
	if (replaced) {
		replaces = st_hook_find(meter, replaced);
		if (!replaces)
			return st_fail(meter, -ENOENT, "there is no hook %s", replaced);
	}
	hook = st_hook_object_new(meter, &opts, replaces, &result);
	if (!hook)
		return result;
	result = st_hook_insert(meter, hook, replaces);
	if (result)
		st_hook_free(meter, hook);
	return result;
}

int socktally_hook_add(struct socktally *meter, const struct socktally_hook_opts *opts)
{
	int saved = errno, result;

	if (!st_registry_has(meter))
		return -EINVAL;
	st_meter_hold(meter);
	result = hook_add(meter, NULL, opts);
	st_meter_release(meter);
	errno = saved;
	return result;
}

int socktally_hook_replace(struct socktally *meter, const char *name,
			   const struct socktally_hook_opts *opts)
{
	int saved = errno, result;

	if (!st_registry_has(meter))
		return -EINVAL;
	st_meter_hold(meter);
	if (name)
		result = hook_add(meter, name, opts);
	else
		result = st_fail(meter, -EINVAL, "a hook: no name");
	st_meter_release(meter);
	errno = saved;
	return result;
}

/* NULL, with the error, noted: there is none. */
static struct st_hook *find(struct socktally *meter, const char *name, int *error)
{
	struct st_hook *hook;

	*error = -EINVAL;
	if (!st_registry_has(meter))
		return NULL;
	hook = st_hook_find(meter, name);
	if (!name)
		st_fail(meter, -EINVAL, "a hook: no name");
	else if (!hook)
		*error = st_fail(meter, -ENOENT, "there is no hook %s", name);
	return hook;
}

static struct st_hook *find_to_change(struct socktally *meter, const char *name, int *error)
{
	struct st_hook *hook = find(meter, name, error);

	if (hook)
		*error = st_visit_refuse(meter, ST_LIST_HOOKS | ST_LIST_CLASSES);
	return hook && !*error ? hook : NULL;
}

int socktally_hook_remove(struct socktally *meter, const char *name, struct socktally_hook *last)
{
	int saved = errno, result;
	struct st_hook *hook = find_to_change(meter, name, &result);
	struct order order;

	if (!hook)
		return result;
	order_without(&order, meter, hook);
	result = order_use(meter, &order);
	if (!result) {
		if (last) {
			hook_describe(meter, hook, last);
			last->name = name;
		}
		st_hook_free(meter, hook);
	}
	errno = saved;
	return result;
}

int socktally_hook_set_priority(struct socktally *meter, const char *name, int32_t priority)
{
	int saved = errno, result;
	struct st_hook *hook = find_to_change(meter, name, &result);
	struct order order;

	if (!hook)
		return result;
	order_without(&order, meter, hook);
	order_add(&order, hook, priority);
	result = order_use(meter, &order);
	if (!result)
		hook->priority = priority;
	errno = saved;
	return result;
}

int socktally_hooks(struct socktally *meter, socktally_hook_fn fn, void *ctx)
{
	struct socktally_hook described;
	int result = 0;

	if (!st_registry_has(meter))
		return -EINVAL;
	if (!fn)
		return st_fail(meter, -EINVAL, "hooks: no callback");
	st_visit_begin(meter, ST_LIST_HOOKS);
	for (unsigned int i = 0; i < meter->hooks.count && !result; i++) {
		hook_describe(meter, meter->hooks.hook[i], &described);
		result = st_visit_result(meter, fn(ctx, &described));
	}
	st_visit_end(meter, ST_LIST_HOOKS);
	return result;
}

int socktally_hook_rows(struct socktally *meter, const char *name, const char *map,
			socktally_row_fn fn, void *ctx)
{
	int saved = errno, result;
	struct st_hook *hook = find(meter, name, &result);

	if (!hook)
		return result;
	if (!fn)
		return st_fail(meter, -EINVAL, "rows of the hook %s: no callback", name);
	st_visit_begin(meter, ST_LIST_HOOKS);
	result = hook->ops->rows ? hook->ops->rows(meter, hook, map, fn, ctx) : 0;
	st_visit_end(meter, ST_LIST_HOOKS);
	errno = saved;
	return result;
}

int socktally_hook_map(struct socktally *meter, const char *name, const char *map)
{
	int result;
	struct st_hook *hook = find(meter, name, &result);

	if (!hook)
		return result;
	if (!map)
		return st_fail(meter, -EINVAL, "a map of the hook %s: no name", name);
	result = hook->ops->map ? hook->ops->map(hook, map) : -ENOENT;
	return result < 0 ? st_fail(meter, result, "the hook %s has no map %s", name, map) : result;
}
