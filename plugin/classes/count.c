// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Classes of packets that are not in the kernel: each kind of link is decided on when its first comes. */
#include "plugin/classes/classes.h"
#include "plugin/meter/meter.h"
#include <errno.h>
#include <stdlib.h>

static struct st_class_decided *decided_for(struct socktally *meter, uint32_t linktype, int *error)
{
	struct st_classes *classes = meter->classes;
	const struct st_class_target target = {.link = linktype};
	struct st_class_decided *grown;
	size_t failed;

	*error = 0;
	for (size_t i = 0; i < classes->decided_count; i++)
		if (classes->decided[i].target.link == linktype)
			return &classes->decided[i];
	grown = reallocarray(classes->decided, classes->decided_count + 1, sizeof(*grown));
	if (!grown) {
		*error = st_fail(meter, -ENOMEM, "no memory for classes");
		return NULL;
	}
	classes->decided = grown;
	grown += classes->decided_count;
	*error = st_class_decide(meter, classes, &target, grown, &failed);
	if (*error)
		return NULL;
	classes->decided_count++;
	return grown;
}

/* A packet on its way through the decision. */
struct counting {
	const struct st_classes *classes;
	const struct st_ruleset *decision;
	const struct st_skb_facts *facts;
	struct st_class_region *region;
	uint32_t smallest; /* with `first`: place in the order */
	bool met;
};

static void count_in(const struct counting *counting, uint32_t number)
{
	struct st_class_cell *cells = (struct st_class_cell *)(counting->region + 1);
	struct st_class_cell *cell = &cells[number];

	if (cell->stamp == counting->region->packet)
		return;
	cell->stamp = counting->region->packet;
	st_count(counting->facts->out ? &cell->out : &cell->in, counting->facts);
}

static void meet(void *ctx, uint32_t list)
{
	struct counting *counting = ctx;
	const uint32_t *item = &counting->decision->lists[list];

	counting->met = true;
	if (counting->classes->first) {
		uint32_t place = *item & ~ST_LIST_END;

		if (place < counting->smallest)
			counting->smallest = place;
		return;
	}
	for (;; item++) {
		count_in(counting, *item & ~ST_LIST_END);
		if (*item & ST_LIST_END)
			return;
	}
}

int st_classes_count(struct socktally *meter, uint32_t linktype, const void *data,
		     const struct st_skb_facts *facts, uint32_t caplen)
{
	const struct st_ruleset_packet packet = {.data = data, .caplen = caplen, .len = facts->len};
	struct counting counting = {.classes = meter->classes,
				    .facts = facts,
				    .smallest = UINT32_MAX};
	const struct st_class_decided *decided;
	int error;

	if (!meter->classes)
		return 0;
	decided = decided_for(meter, linktype, &error);
	if (!decided)
		return error;
	counting.decision = &decided->decision;
	counting.region = (struct st_class_region *)meter->classes->counters.regions;
	counting.region->packet++;
	st_ruleset_run(counting.decision, &packet, meet, &counting);
	if (!counting.met)
		count_in(&counting, 0);
	else if (counting.classes->first)
		count_in(&counting, counting.classes->class[counting.smallest].cell);
	return 0;
}
