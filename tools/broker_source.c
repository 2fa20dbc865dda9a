// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* What the broker's report says of the sockets that were metered. */
#include "broker.h"
#include "filter_text.h"

#include <errno.h>
#include <linux/filter.h>
#include <stdlib.h>

/* Puts the name in its place, unless it is there or the text is full. */
static void add_name(struct broker_names *names, const char *name)
{
	size_t length = strlen(name), used = strlen(names->text);
	char *at = names->text;

	if (!length || used + length + 2 > sizeof(names->text))
		return;
	while (*at) {
		size_t other = strcspn(at, ",");
		int order = strncmp(at, name, other);

		if (!order && length == other)
			return;
		if (order > 0 || (!order && other > length))
			break;
		at += other;
		at += *at == ',';
	}
	if (*at) {
		memmove(at + length + 1, at, strlen(at) + 1);
		memcpy(at, name, length);
		at[length] = ',';
	} else {
		if (at > names->text)
			*at++ = ',';
		memcpy(at, name, length + 1);
	}
}

struct sources {
	struct broker_names interfaces, linktypes;
	char *filter;
};

static int add_source(void *ctx, const struct socktally_socket *socket)
{
	struct sources *sources = ctx;

	add_name(&sources->interfaces, socket->interface);
	add_name(&sources->linktypes, socket->linktype);
	if (socket->insn_count) {
		free(sources->filter);
		sources->filter = filter_text_numbers(socket->insns, socket->insn_count);
	}
	return 0;
}

bool broker_report(struct broker *broker, bool final)
{
	struct sources sources = {.interfaces = broker->interfaces, .linktypes = broker->linktypes};
	struct report_source source = {.kind = "socket",
				       .interface = sources.interfaces.text,
				       .linktype = sources.linktypes.text,
				       .pid = broker->tool,
				       .comm = broker->comm};
	struct timespec now;

	if (!broker->meter)
		return true;
	if (!broker->report_error) {
		socktally_sockets(broker->meter, add_source, &sources);
		source.filter = sources.filter;
		clock_gettime(CLOCK_REALTIME, &now);
		broker->report_error =
			report_write(broker->report, broker->meter, &source, &broker->start, &now);
		broker->start = now;
		free(sources.filter);
	} else if (!final) {
		return false; /* said already */
	}
	if (broker->report_error)
		command_report_failed(broker->options, broker->report_error, broker->meter);
	return !broker->report_error;
}

struct retired {
	struct broker *broker;
	uint64_t cookie;
};

static int retire(void *ctx, const struct socktally_socket *socket)
{
	struct retired *retired = ctx;

	if (socket->cookie != retired->cookie)
		return 0;
	add_name(&retired->broker->interfaces, socket->interface);
	add_name(&retired->broker->linktypes, socket->linktype);
	return 1;
}

void broker_retire(struct broker *broker, uint64_t cookie)
{
	struct retired retired = {.broker = broker, .cookie = cookie};

	socktally_sockets(broker->meter, retire, &retired);
}
