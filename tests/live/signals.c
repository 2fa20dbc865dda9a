// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * A host under a timer's signals that come faster than the kernel's verifier is through: it gets its
 * meter, hooks and filter, its handler runs, and its signal mask is the one from before.
 */
#include "tests/lib/hook_help.h"
#include <linux/filter.h>
#include <signal.h>
#include <sys/time.h>

static volatile sig_atomic_t ticks;

static void tick(int number)
{
	(void)number;
	ticks++;
}

/* Of what is blocked a bit each; SIGUSR2 is, by the host. */
static bool is_mask(const sigset_t *before)
{
	sigset_t now;

	sigprocmask(SIG_BLOCK, NULL, &now);
	for (int number = 1; number < NSIG; number++)
		if (sigismember(&now, number) != sigismember(before, number)) {
			printf("# signal %d: %d, before %d\n", number, sigismember(&now, number),
			       sigismember(before, number));
			return false;
		}
	return true;
}

static unsigned int errors;

static void take_log(void *ctx, enum socktally_log_level level, const char *text)
{
	(void)ctx;
	if (level != SOCKTALLY_LOG_ERROR)
		return;
	printf("# logged: %s\n", text);
	errors++;
}

static void timer_set(long microseconds)
{
	const struct itimerval timer = {{0, microseconds}, {0, microseconds}};

	if (setitimer(ITIMER_REAL, &timer, NULL))
		bail("setitimer");
}

int main(void)
{
	struct sock_filter accept[] = {{BPF_LD | BPF_B | BPF_ABS, 0, 0, 0},
				       {BPF_RET | BPF_K, 0, 0, 0xffff}};
	struct socktally_hook_opts opts = {.sz = sizeof(opts), .builtin = "talkers"};
	const struct sigaction action = {.sa_handler = tick};
	struct socktally_open_opts open_opts = {.sz = sizeof(open_opts), .log = take_log};
	struct socktally *meter = NULL;
	sigset_t blocked;
	int fd, result;

	own_network();
	fd = socket_on_lo(ETH_P_ALL);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR2);
	sigprocmask(SIG_SETMASK, &blocked, NULL);
	sigaction(SIGALRM, &action, NULL);
	timer_set(700);
	result = socktally_open(&meter, &open_opts);
	if (!ok(!result, "a meter is made"))
		printf("# %s\n", socktally_error(NULL));
	ok(is_mask(&blocked), "the signal mask is as before");
	if (!meter)
		return done();
	if (!ok(!socktally_hook_add(meter, &opts), "and a hook"))
		printf("# %s\n", socktally_error(meter));
	if (!ok(!socktally_attach(meter, fd, NULL), "a socket is attached"))
		printf("# %s\n", socktally_error(meter));
	ok(!socktally_set_filter(meter, fd, accept, 2), "and gets another filter");
	ok(is_mask(&blocked), "the signal mask is as before all the same");
	ok(ticks > 0, "the host's handler has run");
	ok(socktally_poll(meter, 60000) == -EINTR, "a wait ends with the signal");
	is_number(errors, 0, "and nothing of all that is an error in the log");
	socktally_close(meter);
	timer_set(0);
	/* what is loaded without a signal's coming is no different */
	ok(!socktally_open(&meter, NULL) && is_mask(&blocked), "without the timer, too");
	socktally_close(meter);
	return done();
}
