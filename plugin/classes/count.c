// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Counts the classes of packets from files. A rule set is made when the first packet of its kind of
 * link comes.
 */
#include "plugin/classes/classes.h"
#include "plugin/meter/meter.h"
#include <errno.h>
#include <stdlib.h>

static struct st_class_ruleset *ruleset_for(struct socktally *meter, uint32_t linktype, int *error)
{
	struct st_classes *classes = meter->classes;
	const struct st_class_target target = {.link = linktype};
	struct st_class_ruleset *grown;
	size_t failed;

	*error = 0;
	for (size_t i = 0; i < classes->ruleset_count; i++)
		if (classes->rulesets[i].target.link == linktype)
			return &classes->rulesets[i];
	grown = reallocarray(classes->rulesets, classes->ruleset_count + 1, sizeof(*grown));
	if (!grown) {
		*error = st_fail(meter, -ENOMEM, "no memory for classes");
		return NULL;
	}
	classes->rulesets = grown;
	grown += classes->ruleset_count;
	*error = st_class_ruleset_make(meter, classes, &target, grown, &failed);
	if (*error)
		return NULL;
	classes->ruleset_count++;
	return grown;
}

/* One packet while its classes are counted. */
struct class_count {
	const struct st_classes *classes;
	const struct st_ruleset *ruleset;
	const struct st_skb_facts *facts;
	struct st_class_region *region;
	uint32_t smallest; /* with `first`: the first class so far */
	bool met;
};

static void count_in(const struct class_count *count, uint32_t number)
{
	struct st_class_cell *cells = (struct st_class_cell *)(count->region + 1);
	struct st_class_cell *cell = &cells[number];

	if (cell->stamp == count->region->packet)
		return;
	cell->stamp = count->region->packet;
	st_count(count->facts->out ? &cell->out : &cell->in, count->facts);
}

static void meet(void *ctx, uint32_t list)
{
	struct class_count *count = ctx;
	const uint32_t *item = &count->ruleset->lists[list];

	count->met = true;
	if (count->classes->first) {
		uint32_t place = *item & ~ST_LIST_END;

		if (place < count->smallest)
			count->smallest = place;
		return;
	}
	for (;; item++) {
		count_in(count, *item & ~ST_LIST_END);
		if (*item & ST_LIST_END)
			return;
	}
}

int st_classes_count(struct socktally *meter, uint32_t linktype, const void *data,
		     const struct st_skb_facts *facts, uint32_t caplen)
{
	const struct st_ruleset_packet packet = {.data = data, .caplen = caplen, .len = facts->len};
	struct class_count count = {.classes = meter->classes,
				    .facts = facts,
				    .smallest = UINT32_MAX};
	const struct st_class_ruleset *link_ruleset;
	int error;

	if (!meter->classes)
		return 0;
	link_ruleset = ruleset_for(meter, linktype, &error);
	if (!link_ruleset)
		return error;
	count.ruleset = &link_ruleset->ruleset;
	count.region = (struct st_class_region *)meter->classes->counters.regions;
	count.region->packet++;
	st_ruleset_run(count.ruleset, &packet, meet, &count);
	if (!count.met)
		count_in(&count, 0);
	else if (count.classes->first)
		count_in(&count, count.classes->class[count.smallest].cell);
	return 0;
}
