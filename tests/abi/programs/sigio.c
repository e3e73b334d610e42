/* SPDX-License-Identifier: Apache-2.0 */
/* O_ASYNC: signals instead of poll. */
#include "check.h"
#include <pty.h>


static int fds[2];

static void handler(int signo, siginfo_t *info, void *context)
{
	if (info->si_code == SI_KERNEL)
		say("  %s kernel\n", sigabbrev_np(signo));
	else
		say("  %s code %d band %lx fd %s\n", sigabbrev_np(signo), info->si_code,
		    info->si_band, info->si_fd == fds[0] ? "read" : info->si_fd == fds[1] ?
		    "write" : "other");
}

static void catch(int signo)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };

	sigaction(signo, &action, NULL);
}

static void a_pipe(void)
{
	struct f_owner_ex owner = { F_OWNER_TID, getpid() };
	char buffer[65536];
	int on = 1;

	pipe(fds);
	SHOW(fcntl(fds[0], F_SETFL, O_ASYNC));
	SHOW(fcntl(fds[0], F_GETFL));
	SHOW(write(fds[1], "x", 1));
	IS(fcntl(fds[0], F_SETOWN, getpid()) == 0);
	SHOW(write(fds[1], "x", 1));
	SHOW(fcntl(fds[0], F_SETSIG, SIGUSR1));
	SHOW(write(fds[1], "x", 1));
	SHOW(fcntl(fds[0], F_SETSIG, SIGRTMIN + 1));
	SHOW(write(fds[1], "x", 1));
	SHOW(fcntl(fds[0], F_SETSIG, SIGCHLD));
	SHOW(write(fds[1], "x", 1));
	SHOW(fcntl(fds[0], F_SETOWN_EX, &owner));
	SHOW(write(fds[1], "x", 1));
	SHOW(fcntl(fds[0], F_SETSIG, 0));
	SHOW(write(fds[1], "x", 1));
	IS(fcntl(fds[0], F_SETOWN, -getpgrp()) == 0);
	SHOW(write(fds[1], "x", 1));
	SHOW(fcntl(fds[0], F_SETFL, 0));
	SHOW(fcntl(fds[0], F_GETFL));
	SHOW(write(fds[1], "x", 1));
	SHOW(ioctl(fds[0], FIOASYNC, &on));
	SHOW(ioctl(fds[0], FIOASYNC, &on));
	SHOW(write(fds[1], "x", 1));
	fcntl(fds[0], F_SETOWN, 0);
	IS(fcntl(fds[1], F_SETOWN, getpid()) == 0);
	SHOW(fcntl(fds[1], F_SETSIG, SIGUSR2));
	SHOW(fcntl(fds[1], F_SETFL, O_ASYNC | O_NONBLOCK));
	SHOW(read(fds[0], buffer, 1));
	while (write(fds[1], buffer, 4096) > 0)
		;
	SHOW(read(fds[0], buffer, sizeof(buffer)));
	on = 0;
	SHOW(ioctl(fds[1], FIOASYNC, &on));
	SHOW(close(fds[1]));
	close(fds[0]);
}

static void others(void)
{
	int fd = open("file", O_RDWR | O_CREAT, 0644), on = 1;

	fcntl(fd, F_SETOWN, getpid());
	SHOW(fcntl(fd, F_SETFL, O_ASYNC));
	SHOW(fcntl(fd, F_GETFL) & O_ASYNC);
	SHOW(ioctl(fd, FIOASYNC, &on));
	close(fd);
}

/* Linux delivers a terminal's input from a work queue, at a time of its own choosing. */
static void later(void)
{
	struct timespec second = { 1, 0 };
	siginfo_t info;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	say("  later: %d\n", sigtimedwait(&set, &info, &second));
}

static void a_terminal(void)
{
	int on = 1;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	sigprocmask(SIG_BLOCK, &set, NULL);
	openpty(&fds[1], &fds[0], NULL, NULL, NULL);
	SHOW(ioctl(fds[0], FIOASYNC, &on));
	IS(fcntl(fds[0], F_GETOWN) == getpid());
	SHOW(write(fds[1], "l", 1));
	later();
	SHOW(write(fds[1], "ine\n", 4));
	later();
}

int main(void)
{
	setpgid(0, 0);
	catch(SIGIO);
	catch(SIGUSR1);
	catch(SIGUSR2);
	catch(SIGCHLD);
	catch(SIGRTMIN + 1);
	a_pipe();
	others();
	a_terminal();
	return 0;
}
