// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Sockets of the tool that are not metered, or no longer: asking the watcher, and saying it. */
#include "tools/broker/broker.h"

#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Milliseconds: between two looks, which is longer each time; and that an answer may take at the end. */
enum { FIRST_PERIOD = 16, LAST_PERIOD = 500, FINAL_PATIENCE = 500 };

int64_t broker_milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The watcher's end is waited for as often, with as many milliseconds between. */
enum { END_TRIES = 50, END_PAUSE = 10 };

void broker_watch_start(struct broker *broker)
{
	struct broker_watch *watch = &broker->watch;

	watch->fd = watcher_start(&broker->address, &watch->pid);
	watch->period = FIRST_PERIOD;
	watch->next = watch->looked = broker_milliseconds();
}

void broker_watch_end(struct broker *broker)
{
	struct broker_watch *watch = &broker->watch;

	if (watch->fd >= 0)
		close(watch->fd);
	watch->fd = -1;
	if (watch->pid > 0)
		kill(watch->pid, SIGKILL);
	/* one that is in the kernel, where a hostile process holds it up, is init's to wait for */
	for (int i = 0; watch->pid > 0 && i < END_TRIES && !waitpid(watch->pid, NULL, WNOHANG); i++)
		poll(NULL, 0, END_PAUSE);
	watch->pid = 0;
}

void broker_watch_asked(struct broker *broker, uint64_t cookie)
{
	struct broker_watch *watch = &broker->watch;

	for (size_t i = 0; i < BROKER_ASKED; i++)
		if (watch->asked[i] == cookie)
			return;
	watch->asked[watch->next_asked] = cookie;
	watch->next_asked = (watch->next_asked + 1) % BROKER_ASKED;
}

static bool was_asked(const struct broker_watch *watch, uint64_t cookie)
{
	for (size_t i = 0; i < BROKER_ASKED; i++)
		if (watch->asked[i] == cookie)
			return true;
	return false;
}

static int add_metered(void *ctx, const struct socktally_socket *socket)
{
	struct watch_question *question = ctx;

	if (question->count < WATCH_SOCKETS)
		question->metered[question->count++] =
			(struct watch_metered){.cookie = socket->cookie,
					       .program = socket->program};
	return 0;
}

static void ask(struct broker *broker)
{
	static struct watch_question question;
	struct broker_watch *watch = &broker->watch;

	question.tool = broker->tool;
	question.count = 0;
	if (broker->meter)
		socktally_sockets(broker->meter, add_metered, &question);
	watch->waiting = send(watch->fd, &question, sizeof(question), MSG_NOSIGNAL) > 0;
	watch->asked_at = broker_milliseconds();
	watch->next = watch->asked_at + watch->period;
	watch->period = 2 * watch->period < LAST_PERIOD ? 2 * watch->period : LAST_PERIOD;
}

static const char *const reasons[] = {
	[WATCH_SAID] = "the library in the program could not ask for it",
	[WATCH_PAST] = "it was not opened by a function of the C library",
	[WATCH_STATIC] = "the program is linked statically",
	[WATCH_ENVIRONMENT] = "the program was started without LD_PRELOAD",
	[WATCH_REFUSED] = "LD_PRELOAD was ignored, as for a program with file capabilities",
};

/* A line for each reason: the report has a note for each socket. */
static void say(struct broker *broker, const struct broker_missed *missed)
{
	uint32_t cause = BROKER_CAUSE_MISSED + (uint32_t)missed->kind;

	broker->contacted = true; /* what was to be said of the tool is */
	if (missed->said)
		return;
	if (missed->kind == WATCH_LOST)
		broker_say_of(broker, missed->comm, missed->pid, cause,
			      "a filter was set on its socket %d (%s) past the C library: it is no "
			      "longer metered; run --attach meters it",
			      missed->fd, missed->interface);
	else
		broker_say_of(broker, missed->comm, missed->pid, cause,
			      "its socket %d (%s) is not metered: %s; run --attach meters it",
			      missed->fd, missed->interface, reasons[missed->kind]);
}

static struct broker_missed *find(struct broker_watch *watch, uint64_t cookie)
{
	for (unsigned int i = 0; i < watch->missed_count; i++)
		if (watch->missed[i].cookie == cookie)
			return &watch->missed[i];
	return NULL;
}

/*
 * A socket may have come onto the meter, or got its filter, while the watcher looked: it is believed when
 * the next look finds it again.
 */
static void take(struct broker *broker, const struct watch_finding *finding, bool final)
{
	struct broker_watch *watch = &broker->watch;
	struct broker_missed *missed = find(watch, finding->cookie);
	char name[IF_NAMESIZE] = "all interfaces";

	if (finding->kind < WATCH_LOST || finding->kind > WATCH_REFUSED ||
	    (finding->kind != WATCH_LOST && was_asked(watch, finding->cookie)))
		return;
	if (!missed) {
		if (watch->missed_count == BROKER_MISSED)
			return;
		missed = &watch->missed[watch->missed_count++];
		*missed = (struct broker_missed){.cookie = finding->cookie,
						 .kind = (enum watch_kind)finding->kind,
						 .pid = finding->pid,
						 .fd = finding->fd,
						 .said = finding->said,
						 .since = watch->looked};
		clock_gettime(CLOCK_REALTIME, &missed->time);
		snprintf(missed->comm, sizeof(missed->comm), "%.15s", finding->comm);
		if (finding->ifindex)
			if_indextoname((unsigned int)finding->ifindex, name);
		snprintf(missed->interface, sizeof(missed->interface), "%s", name);
		watch->period = FIRST_PERIOD;
		watch->next = broker_milliseconds() + FIRST_PERIOD;
		broker_ping_worker(broker);
		missed->ping = watch->pings;
		if (!final)
			return;
	}
	missed->said |= finding->said != 0;
	/* while the worker hangs it can't tell that the socket has got another program */
	if (missed->kind == WATCH_LOST && !final && broker->worker >= 0 &&
	    watch->answered < missed->ping)
		return;
	missed->until = broker_milliseconds();
	if (!missed->certain)
		say(broker, missed);
	missed->certain = true;
}

static void take_answer(struct broker *broker, bool final)
{
	struct broker_watch *watch = &broker->watch;
	struct watch_answer answer;
	ssize_t size = recv(watch->fd, &answer, sizeof(answer), MSG_DONTWAIT);

	if (size < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	watch->waiting = false;
	if (size != sizeof(answer)) { /* it has ended */
		close(watch->fd);
		watch->fd = -1;
		return;
	}
	for (uint32_t i = 0; i < answer.count && i < WATCH_FINDINGS; i++)
		take(broker, &answer.findings[i], final);
	watch->looked = watch->asked_at;
}

int broker_watch_timeout(const struct broker *broker, int timeout)
{
	const struct broker_watch *watch = &broker->watch;
	int64_t left;

	if (watch->fd < 0 || watch->waiting || !broker->tool)
		return timeout;
	left = watch->next - broker_milliseconds();
	left = left < 0 ? 0 : left;
	return timeout < 0 || left < timeout ? (int)left : timeout;
}

void broker_watch_step(struct broker *broker)
{
	struct broker_watch *watch = &broker->watch;

	if (watch->fd >= 0 && watch->waiting)
		take_answer(broker, false);
	if (watch->fd >= 0 && !watch->waiting && broker->tool &&
	    broker_milliseconds() >= watch->next)
		ask(broker);
}

static void wait_for_answer(struct broker *broker, bool final)
{
	struct pollfd answer = {.fd = broker->watch.fd, .events = POLLIN};

	if (poll(&answer, 1, FINAL_PATIENCE) > 0)
		take_answer(broker, final);
}

void broker_watch_now(struct broker *broker)
{
	struct broker_watch *watch = &broker->watch;

	if (watch->fd >= 0 && watch->waiting)
		wait_for_answer(broker, false);
	if (watch->fd < 0 || watch->waiting)
		return;
	broker_hear_worker(broker);
	ask(broker);
	if (watch->waiting)
		wait_for_answer(broker, true);
}

size_t broker_watch_notes(struct broker *broker, struct report_note *notes)
{
	struct broker_watch *watch = &broker->watch;
	size_t count = 0;

	for (unsigned int i = 0; i < watch->missed_count; i++) {
		struct broker_missed *missed = &watch->missed[i];
		double seconds = (double)(missed->until - missed->since) / 1000;

		if (!missed->certain)
			continue;
		if (missed->kind == WATCH_LOST)
			snprintf(missed->text, sizeof(missed->text),
				 "%s (pid %d) set a filter on %s past the C library: up to %.1f s "
				 "of packets are not counted",
				 missed->comm, (int)missed->pid, missed->interface, seconds);
		else
			snprintf(missed->text, sizeof(missed->text),
				 "%s (pid %d) has a socket on %s that is not metered: up to %.1f s "
				 "of packets are not counted: %s",
				 missed->comm, (int)missed->pid, missed->interface, seconds,
				 reasons[missed->kind]);
		notes[count++] = (struct report_note){.time = missed->time,
						      .event = "unmetered",
						      .text = missed->text};
	}
	return count;
}
