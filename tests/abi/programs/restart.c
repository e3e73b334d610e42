/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupted calls: EINTR, SA_RESTART, SIGCHLD and its flags. */
#include "check.h"

static volatile int got, child_code, child_status;

static void handler(int sig, siginfo_t *info, void *context)
{
	(void)context;
	got = sig;
	if (sig == SIGCHLD) {
		child_code = info->si_code;
		child_status = info->si_status;
	}
}

static void install(int sig, int flags)
{
	struct sigaction sa = { .sa_sigaction = handler, .sa_flags = flags | SA_SIGINFO };

	sigaction(sig, &sa, NULL);
}

/* A child that signals us until it is told (through the pipe) that we have seen it. */
static pid_t nudger(int p[2], int and_write)
{
	pid_t pid, parent = getpid();
	struct timespec gap = { 0, 20000000 };

	fflush(stdout);
	if ((pid = fork()) == 0) {
		nanosleep(&gap, NULL);
		kill(parent, SIGUSR1);
		if (and_write) {
			nanosleep(&gap, NULL);
			write(p[1], "data", 4);
		}
		_exit(0);
	}
	return pid;
}

int main(void)
{
	struct timespec left, hour = { 3600, 0 };
	struct pollfd pfd = { .events = POLLIN };
	char buf[8];
	int p[2], status;

	pipe(p);
	pfd.fd = p[0];
	install(SIGUSR1, 0);
	nudger(p, 0);
	SHOW(read(p[0], buf, 8));
	wait(&status);
	install(SIGUSR1, SA_RESTART);
	nudger(p, 1);
	SHOW(read(p[0], buf, 8));
	wait(&status);
	nudger(p, 0);
	SHOW(nanosleep(&hour, &left));
	IS(left.tv_sec == 3599);
	wait(&status);
	nudger(p, 0);
	SHOW(poll(&pfd, 1, 60000));
	wait(&status);
	nudger(p, 0);
	SHOW(pause());
	wait(&status);
	nudger(p, 0);
	SHOW(select(0, NULL, NULL, NULL, &(struct timeval){ 60, 0 }));
	wait(&status);
	IS(got == SIGUSR1);

	install(SIGCHLD, SA_RESTART);
	if (fork() == 0)
		_exit(33);
	wait(&status);
	say("chld %d code %d status %d\n", got == SIGCHLD, child_code, child_status);
	fflush(stdout);
	if (fork() == 0)
		raise(SIGKILL);
	wait(&status);
	say("code %d status %d\n", child_code, child_status);
	install(SIGCHLD, SA_NOCLDWAIT);
	if (fork() == 0)
		_exit(0);
	SHOW(wait(&status));
	signal(SIGCHLD, SIG_IGN);
	if (fork() == 0)
		_exit(0);
	SHOW(wait(&status));
	return 0;
}
