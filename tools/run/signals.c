// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Signals that are sent to `run` and meant for the tool, and job control: a shell waits for us, so when
 * the tool is stopped we stop as well.
 */
#include "tools/run/run.h"

#include <stdint.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

bool run_signals_open(struct run_signals *signals)
{
	struct sigaction by_default = {.sa_handler = SIG_DFL};
	sigset_t all;

	/* where SIGCHLD is ignored a child's exit status is lost */
	sigaction(SIGCHLD, &by_default, &signals->child_before);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &signals->mask_before);
	signals->fd = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
	return signals->fd >= 0;
}

void run_signals_restore(const struct run_signals *signals)
{
	sigaction(SIGCHLD, &signals->child_before, NULL);
	sigprocmask(SIG_SETMASK, &signals->mask_before, NULL);
}

static bool is_job_control(int number)
{
	return number == SIGTSTP || number == SIGTTIN || number == SIGTTOU;
}

/*
 * A positive code is the kernel's: its signals from the terminal reach the whole process group, and so
 * the tool. From ourselves is the SIGPIPE of a write.
 */
static void forward(const struct signalfd_siginfo *signal, pid_t tool)
{
	const union sigval value = {.sival_ptr = (void *)(uintptr_t)signal->ssi_ptr};
	pid_t sender = (pid_t)signal->ssi_pid;

	if (signal->ssi_code > 0 || sender == tool || sender == getpid())
		return;
	if (signal->ssi_code == SI_QUEUE)
		sigqueue(tool, (int)signal->ssi_signo, value);
	else
		kill(tool, (int)signal->ssi_signo);
}

/* By the same signal, which the shell shows. Goes on when we are continued. */
static void stop_ourselves(int number)
{
	struct sigaction by_default = {.sa_handler = SIG_DFL}, before;
	bool changed = !sigaction(number, &by_default, &before); /* not SIGSTOP */
	sigset_t one;

	sigemptyset(&one);
	sigaddset(&one, number);
	raise(number);
	sigprocmask(SIG_UNBLOCK, &one, NULL);
	sigprocmask(SIG_BLOCK, &one, NULL);
	if (changed)
		sigaction(number, &before, NULL);
}

/*
 * Many programs tidy the terminal up on SIGTSTP and then stop themselves by SIGSTOP. A SIGSTOP out of
 * nothing is meant for the tool alone: if we stopped too, its SIGCONT would not continue us.
 */
static void follow_stop(struct run_signals *signals, pid_t tool)
{
	siginfo_t state = {0};

	if (waitid(P_PID, (id_t)tool, &state, WSTOPPED | WNOHANG) || !state.si_pid ||
	    getpgid(tool) != getpgrp())
		return;
	if (is_job_control(state.si_status) ||
	    (state.si_status == SIGSTOP && signals->stop_requested))
		stop_ourselves(state.si_status);
}

bool run_signals_forward(struct run_signals *signals, pid_t tool)
{
	struct signalfd_siginfo signal;
	siginfo_t state = {0};

	while (read(signals->fd, &signal, sizeof(signal)) == sizeof(signal)) {
		if (is_job_control((int)signal.ssi_signo))
			signals->stop_requested = true;
		else if (signal.ssi_signo == SIGCONT)
			signals->stop_requested = false;
		forward(&signal, tool);
	}
	follow_stop(signals, tool);
	return !waitid(P_PID, (id_t)tool, &state, WEXITED | WNOHANG | WNOWAIT) && state.si_pid;
}
