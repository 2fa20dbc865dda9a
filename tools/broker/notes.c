// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* What the worker says of the tool's sockets. It serves whatever the tool is, so it is not believed blindly. */
#include "tools/broker/broker.h"
#include "plugin/classes/classes.h"
#include "tools/broker/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The socket is on the meter, for reports and for classes. */
static void take_attached(struct broker *broker, const struct worker_message *message)
{
	const struct worker_note *note = &message->note;
	struct st_attachment *attachment = calloc(1, sizeof(*attachment));

	if (attachment)
		attachment->insns =
			malloc((note->count ? note->count : 1) * sizeof(*attachment->insns));
	if (!attachment || !attachment->insns || st_attachments_reserve(broker->meter)) {
		if (attachment)
			free(attachment->insns);
		free(attachment);
		return; /* it is metered all the same */
	}
	attachment->cookie = note->cookie;
	attachment->program = note->program;
	attachment->option_memory = note->option_memory;
	attachment->socket_link = note->link;
	attachment->socket_link.interface[sizeof(note->link.interface) - 1] = '\0';
	attachment->count = note->count;
	memcpy(attachment->insns, message->insns, note->count * sizeof(*attachment->insns));
	attachment->fd = -1; /* it is the tool's */
	st_attachment_keep(broker->meter, attachment);
	broker_first_socket(broker, note->pid);
}

static void serve_classes(struct broker *broker, const struct st_socket_link *link)
{
	const struct worker_answer answer = {
		.link = link->link,
		.result = st_classes_serve(broker->meter, link),
	};

	send(broker->worker, &answer, sizeof(answer), MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* They are those since the tool's last call. */
static void add_statistics(struct report_drops *drops, const uint32_t *statistics)
{
	drops->reads++;
	drops->packets += statistics[0];
	drops->drops += statistics[1];
	drops->freezes += statistics[2];
	clock_gettime(CLOCK_REALTIME, &drops->last);
}

static void take_note(struct broker *broker, struct worker_message *message)
{
	struct worker_note *note = &message->note;

	switch (note->kind) {
	case WORKER_ASKED:
		broker->contacted = true;
		broker_watch_asked(broker, note->cookie);
		break;
	case WORKER_ATTACHED:
		if (broker->meter)
			take_attached(broker, message);
		break;
	case WORKER_STATISTICS:
		add_statistics(&broker->drops, note->statistics);
		break;
	case WORKER_FORGOT:
		if (!broker->meter)
			break;
		broker_keep_names(broker, note->cookie);
		socktally_forget(broker->meter, note->cookie);
		break;
	case WORKER_SAYS:
		note->text[sizeof(note->text) - 1] = '\0';
		broker_say(broker, note->pid, note->cause, "%s", note->text);
		break;
	case WORKER_ALIVE:
		broker->watch.answered++;
		break;
	case WORKER_FINISH:
		broker->finishing = true;
		break;
	case WORKER_CLASSES:
		if (broker->meter)
			serve_classes(broker, &note->link);
		break;
	default:
		break;
	}
}

void broker_hear_worker(struct broker *broker)
{
	static struct worker_message message;
	ssize_t size;

	/* all that has come: a report that is to be written has it */
	while (broker->worker >= 0) {
		size = recv(broker->worker, &message, sizeof(message), MSG_DONTWAIT);
		if (size < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (size <= 0) { /* it has ended: what is metered stays so */
			close(broker->worker);
			broker->worker = -1;
		} else if (size >= (ssize_t)sizeof(message.note) &&
			   message.note.count <= BROKER_MAX_INSNS &&
			   (size_t)size == sizeof(message.note) +
						   message.note.count * sizeof(*message.insns)) {
			take_note(broker, &message);
		}
	}
}
