// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Conditions on fields of a packet: how they combine in a conjunction, and which of them are
 * redundant.
 *
 * A filter compares the source port; if that differs, it compares the destination port. That the
 * source port differed is then a condition of the second conjunction, but it has no influence on
 * the result. Without such conditions, filters for different ports have the same form.
 */
#include "plugin/classes/ruleset/ruleset.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool st_grow(void *items, size_t count, size_t *room, size_t size)
{
	size_t more = *room ? 2 * *room : 16;
	void *grown, *old;

	if (count < *room)
		return true;
	memcpy(&old, items, sizeof(old));
	grown = reallocarray(old, more, size);
	if (!grown)
		return false;
	memcpy(items, &grown, sizeof(grown));
	*room = more;
	return true;
}

int st_field_number(struct st_fields *fields, const struct st_field *field)
{
	for (size_t i = 0; i < fields->count; i++) {
		const struct st_field *known = &fields->field[i];

		if (known->kind == field->kind && known->size == field->size &&
		    known->base == field->base && known->offset == field->offset &&
		    known->mask == field->mask)
			return (int)i;
	}
	if (fields->count == UINT16_MAX)
		return -E2BIG;
	if (!st_grow(&fields->field, fields->count, &fields->room, sizeof(*fields->field)))
		return -ENOMEM;
	fields->field[fields->count] = *field;
	return (int)fields->count++;
}

bool st_field_is_length(const struct st_field *field)
{
	return field->kind == ST_FIELD_CAPLEN || field->kind == ST_FIELD_ROOM;
}

uint32_t st_field_max(const struct st_field *field)
{
	return field->mask;
}

static bool holds(const struct st_condition *condition, uint32_t value)
{
	return (value >= condition->low && value <= condition->high) != condition->outside;
}

/* Whether all bits of the one field are bits of the other. */
static bool is_part(const struct st_field *part, const struct st_field *whole)
{
	return part->kind == whole->kind && part->size == whole->size &&
	       part->base == whole->base && part->offset == whole->offset &&
	       !(part->mask & ~whole->mask);
}

static bool implies(const struct st_fields *fields, const struct st_condition *from,
		    const struct st_condition *to)
{
	if (from->field != to->field) {
		const struct st_field *part = &fields->field[to->field];

		return st_condition_is_value(from) && is_part(part, &fields->field[from->field]) &&
		       holds(to, from->low & part->mask);
	}
	if (from->outside && !to->outside)
		return false;
	if (from->outside)
		return to->low >= from->low && to->high <= from->high;
	if (to->outside)
		return from->high < to->low || from->low > to->high;
	return from->low >= to->low && from->high <= to->high;
}

bool st_conjunction_implies(const struct st_fields *fields,
			    const struct st_conjunction *conjunction, int but,
			    const struct st_condition *condition)
{
	for (uint32_t i = 0; i < conjunction->count; i++)
		if ((int)i != but && implies(fields, &conjunction->conditions[i], condition))
			return true;
	return false;
}

static void condition_remove(struct st_conjunction *conjunction, uint32_t at)
{
	memmove(&conjunction->conditions[at], &conjunction->conditions[at + 1],
		(conjunction->count - at - 1) * sizeof(*conjunction->conditions));
	conjunction->count--;
}

/* Writes "outside" as "inside" where both mean the same. False: no value is left. */
static bool normalise(const struct st_fields *fields, struct st_condition *condition)
{
	uint32_t max = st_field_max(&fields->field[condition->field]);

	if (!condition->outside)
		return condition->low <= condition->high;
	if (condition->low == 0 && condition->high >= max)
		return false;
	if (condition->low == 0) {
		condition->low = condition->high + 1;
		condition->high = max;
		condition->outside = false;
	} else if (condition->high >= max) {
		condition->high = condition->low - 1;
		condition->low = 0;
		condition->outside = false;
	}
	return true;
}

/*
 * Removes the hole from the range. False: nothing is left. *whole: the hole splits the range, and
 * both stay.
 */
static bool cut(struct st_condition *range, const struct st_condition *hole, bool *whole)
{
	*whole = false;
	if (hole->high < range->low || hole->low > range->high)
		return true;
	if (hole->low <= range->low && hole->high >= range->high)
		return false;
	if (hole->low <= range->low)
		range->low = hole->high + 1;
	else if (hole->high >= range->high)
		range->high = hole->low - 1;
	else
		*whole = true;
	return true;
}

/*
 * Combines two conditions on the same field. False: no value satisfies both. *merged: the new
 * condition contains all of the old one.
 */
static bool meet(struct st_condition *new, struct st_condition *old, bool *merged)
{
	bool whole;

	*merged = false;
	if (!new->outside && !old->outside) {
		if (new->low < old->low)
			new->low = old->low;
		if (new->high > old->high)
			new->high = old->high;
		*merged = true;
		return new->low <= new->high;
	}
	if (!new->outside) {
		if (!cut(new, old, &whole))
			return false;
		*merged = !whole;
	} else if (!old->outside) {
		struct st_condition range = *old;

		if (!cut(&range, new, &whole))
			return false;
		if (!whole) {
			*new = range;
			*merged = true;
		}
	}
	return true;
}

bool st_conjunction_add(const struct st_fields *fields, struct st_conjunction *conjunction,
			struct st_condition condition, bool *full)
{
	if (!normalise(fields, &condition))
		return false;
	if (st_conjunction_implies(fields, conjunction, -1, &condition))
		return true;
	for (uint32_t i = conjunction->count; i-- > 0;) {
		struct st_condition *old = &conjunction->conditions[i];
		bool merged = false;

		if (old->field == condition.field) {
			if (!meet(&condition, old, &merged))
				return false;
		} else if (st_condition_is_value(old) &&
			   is_part(&fields->field[condition.field], &fields->field[old->field])) {
			return false; /* if it were true, it would have been implied */
		} else if (st_condition_is_value(&condition) &&
			   is_part(&fields->field[old->field], &fields->field[condition.field])) {
			if (!implies(fields, &condition, old))
				return false;
			merged = true;
		}
		if (merged)
			condition_remove(conjunction, i);
	}
	if (conjunction->count == ST_CONJUNCTION_CONDITIONS) {
		*full = true;
		return false;
	}
	conjunction->conditions[conjunction->count++] = condition;
	return true;
}

/* --- sets of values, as ranges */

#define RANGES 8 /* with 4, all classes of `make bench` become the same rules */

struct ranges {
	uint32_t count;
	bool full; /* too many to be kept */
	struct {
		uint32_t low, high;
	} range[RANGES];
};

static void ranges_add(struct ranges *ranges, uint64_t low, uint64_t high)
{
	if (low > high)
		return;
	if (ranges->count == RANGES) {
		ranges->full = true;
		return;
	}
	ranges->range[ranges->count].low = (uint32_t)low;
	ranges->range[ranges->count++].high = (uint32_t)high;
}

/* Keeps what is inside of low..high, or what is outside. */
static void ranges_keep(struct ranges *ranges, uint32_t low, uint32_t high, bool outside)
{
	struct ranges kept = {.full = ranges->full};

	for (uint32_t i = 0; i < ranges->count; i++) {
		uint64_t from = ranges->range[i].low, to = ranges->range[i].high;

		if (outside) {
			if (low)
				ranges_add(&kept, from, to < low ? to : low - 1);
			ranges_add(&kept, from > high ? from : high + 1ull, to);
		} else {
			ranges_add(&kept, from > low ? from : low, to < high ? to : high);
		}
	}
	*ranges = kept;
}

static void ranges_take_away(struct ranges *ranges, const struct ranges *taken)
{
	for (uint32_t i = 0; i < taken->count; i++)
		ranges_keep(ranges, taken->range[i].low, taken->range[i].high, true);
}

/* The values that the conjunction allows for a field, by the conditions on this field alone. */
static void field_values(const struct st_fields *fields, const struct st_conjunction *conjunction,
			 uint16_t field, struct ranges *ranges)
{
	*ranges = (struct ranges){.count = 1};
	ranges->range[0].high = st_field_max(&fields->field[field]);
	for (uint32_t i = 0; i < conjunction->count; i++) {
		const struct st_condition *condition = &conjunction->conditions[i];

		if (condition->field == field)
			ranges_keep(ranges, condition->low, condition->high, condition->outside);
	}
}

/*
 * Whether the conjunction, without its condition `but`, implies every condition of the other one on
 * other fields.
 */
static bool covers(const struct st_fields *fields, const struct st_conjunction *other,
		   const struct st_conjunction *conjunction, int but)
{
	for (uint32_t i = 0; i < other->count; i++) {
		const struct st_condition *condition = &other->conditions[i];

		if (condition->field != conjunction->conditions[but].field &&
		    !st_conjunction_implies(fields, conjunction, but, condition))
			return false;
	}
	return true;
}

/* Whether the conjunction allows this value of the field, by the conditions on this field alone. */
static bool takes(const struct st_conjunction *conjunction, uint16_t field, uint32_t value)
{
	for (uint32_t i = 0; i < conjunction->count; i++)
		if (conjunction->conditions[i].field == field &&
		    !holds(&conjunction->conditions[i], value))
			return false;
	return true;
}

/*
 * Another conjunction that accepts what conjunction `number` without its condition `at` accepts,
 * for this value of that condition's field.
 */
static const struct st_conjunction *find_cover(const struct st_fields *fields,
					       const struct st_conjunctions *conjunctions,
					       size_t first, size_t number, int at, uint32_t value)
{
	const struct st_conjunction *conjunction = &conjunctions->items[number];

	for (size_t i = first; i < conjunctions->count; i++)
		if (i != number &&
		    takes(&conjunctions->items[i], conjunction->conditions[at].field, value) &&
		    covers(fields, &conjunctions->items[i], conjunction, at))
			return &conjunctions->items[i];
	return NULL;
}

/*
 * Whether a condition can go: packets that the conjunction accepts only without it are all accepted
 * by other conjunctions of the filter. Conditions on the length stay, as they protect the loads.
 */
static bool is_redundant(const struct st_fields *fields, const struct st_conjunctions *conjunctions,
			 size_t first, size_t number, int at)
{
	const struct st_condition *condition = &conjunctions->items[number].conditions[at];
	struct ranges more, values;

	if (st_field_is_length(&fields->field[condition->field]))
		return false;
	more = (struct ranges){.count = 1};
	more.range[0].high = st_field_max(&fields->field[condition->field]);
	ranges_keep(&more, condition->low, condition->high, !condition->outside);
	while (more.count) {
		const struct st_conjunction *other =
			find_cover(fields, conjunctions, first, number, at, more.range[0].low);

		if (!other || more.full)
			return false;
		field_values(fields, other, condition->field, &values);
		if (values.full)
			return false;
		ranges_take_away(&more, &values);
	}
	return true;
}

/* Whether the conjunction implies all of the other one, which makes it redundant. */
static bool is_subsumed(const struct st_fields *fields, const struct st_conjunction *conjunction,
			const struct st_conjunction *other)
{
	for (uint32_t i = 0; i < other->count; i++)
		if (!st_conjunction_implies(fields, conjunction, -1, &other->conditions[i]))
			return false;
	return true;
}

static void drop_subsumed(const struct st_fields *fields, struct st_conjunctions *conjunctions,
			  size_t first)
{
	for (size_t i = first; i < conjunctions->count; i++) {
		for (size_t other = first; other < conjunctions->count; other++) {
			if (other == i || !is_subsumed(fields, &conjunctions->items[i],
						       &conjunctions->items[other]))
				continue;
			conjunctions->items[i--] = conjunctions->items[--conjunctions->count];
			break;
		}
	}
}

void st_conjunctions_simplify(const struct st_fields *fields, struct st_conjunctions *conjunctions,
			      size_t first)
{
	bool changed;

	do {
		changed = false;
		for (size_t i = first; i < conjunctions->count; i++) {
			/*
			 * from the last to the first: an earlier condition may become redundant
			 * then
			 */
			for (int at = (int)conjunctions->items[i].count - 1; at >= 0; at--) {
				if (!is_redundant(fields, conjunctions, first, i, at))
					continue;
				condition_remove(&conjunctions->items[i], (uint32_t)at);
				changed = true;
			}
		}
		drop_subsumed(fields, conjunctions, first);
	} while (changed);
}
