/* SPDX-License-Identifier: Apache-2.0 */
/* abi-as: root */
/* Signals: flags of dispositions, queues and their order, masks, stacks, waiting for them. */
#include "check.h"
#include <ucontext.h>

static volatile int depth, calls, nestings;

static void plain(int sig)
{
	calls++;
	say("got %d depth %d\n", sig, depth);
}

static void queued(int sig, siginfo_t *info, void *context)
{
	(void)context;
	say("got SIGRTMIN+%d code %d value %d\n", sig - SIGRTMIN, info->si_code, info->si_value.sival_int);
}

static void nested(int sig)
{
	depth++;
	say("enter %d depth %d\n", sig, depth);
	if (++nestings < 4)
		raise(sig);
	depth--;
}

static void where(int sig)
{
	stack_t now;

	sigaltstack(NULL, &now);
	say("signal %d flags %d\n", sig, now.ss_flags);
	SHOW(sigaltstack(&now, NULL));
}

static void set(int sig, void (*handler)(int), int flags)
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = flags};

	sigemptyset(&action.sa_mask);
	SHOW(sigaction(sig, &action, NULL));
}

static void errors(void)
{
	struct sigaction old;
	union sigval value = {.sival_int = 1};
	siginfo_t info = {.si_code = SI_USER};
	sigset_t mask;

	SHOW(sigaction(0, NULL, &old));
	SHOW(sigaction(65, NULL, &old));
	SHOW(sigaction(SIGKILL, NULL, &old));
	SHOW(sigaction(SIGKILL, &old, NULL));
	SHOW(sigaction(SIGSTOP, &old, NULL));
	SHOW(syscall(SYS_rt_sigaction, SIGUSR1, 8, NULL, 8));
	SHOW(signal(SIGKILL, SIG_IGN) == SIG_ERR);
	SHOW(kill(getpid(), -1));
	SHOW(kill(getpid(), 65));
	SHOW(kill(0x3fffffff, 0));
	SHOW(kill(-0x3fffffff, 0));
	SHOW(sigqueue(getpid(), 65, value));
	SHOW(sigqueue(0x3fffffff, 0, value));
	SHOW(sigqueue(getppid(), 0, value));
	SHOW(syscall(SYS_rt_sigqueueinfo, getppid(), SIGUSR1, &info));
	SHOW(syscall(SYS_rt_sigprocmask, 77, &mask, NULL, 8));
	SHOW(syscall(SYS_rt_sigprocmask, 77, NULL, NULL, 8));
	SHOW(syscall(SYS_rt_sigprocmask, SIG_BLOCK, (void *)8, NULL, 8));
	SHOW(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, NULL, 4));
	SHOW(syscall(SYS_rt_sigpending, (void *)8, 8));
	SHOW(syscall(SYS_rt_sigpending, &mask, 9));
	SHOW(syscall(SYS_rt_sigsuspend, (void *)8, 8));
	SHOW(syscall(SYS_tgkill, getpid(), -1, 0));
	SHOW(syscall(SYS_tgkill, -1, getpid(), 0));
	SHOW(syscall(SYS_tkill, 0x3fffffff, 0));
}

static void order(void)
{
	struct sigaction action = {.sa_sigaction = queued, .sa_flags = SA_SIGINFO};
	sigset_t all, pending;
	int sum = 0;

	for (int i = 0; i < 4; i++)
		sigaction(SIGRTMIN + i, &action, NULL);
	sigfillset(&action.sa_mask);
	for (int i = 0; i < 4; i++)
		sigaction(SIGRTMIN + i, &action, NULL);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	for (int i = 3; i >= 0; i--)
		for (int j = 0; j < 3; j++)
			sigqueue(getpid(), SIGRTMIN + i, (union sigval){.sival_int = j});
	kill(getpid(), SIGRTMIN);
	raise(SIGRTMIN + 1);
	sigpending(&pending);
	for (int i = 1; i < 65; i++)
		sum += sigismember(&pending, i) == 1;
	say("pending %d\n", sum);
	sigemptyset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
}

static void waiting(void)
{
	struct timespec none = {0, 0}, brief = {0, 5000000}, bad = {0, 1000000000};
	sigset_t usr, empty;
	siginfo_t info;
	int got = 0;

	sigemptyset(&empty);
	sigemptyset(&usr);
	sigaddset(&usr, SIGUSR1);
	sigaddset(&usr, SIGRTMIN + 5);
	sigprocmask(SIG_BLOCK, &usr, NULL);
	SHOW(sigtimedwait(&usr, &info, &none));
	SHOW(sigtimedwait(&usr, &info, &brief));
	SHOW(sigtimedwait(&usr, &info, &bad));
	kill(getpid(), SIGUSR1);
	kill(getpid(), SIGUSR1);
	SHOW(sigtimedwait(&usr, &info, &bad));
	SHOW(sigwait(&usr, &got));
	SHOW(sigtimedwait(&usr, NULL, &none));
	sigqueue(getpid(), SIGRTMIN + 5, (union sigval){.sival_int = 42});
	SHOW(sigwaitinfo(&usr, &info));
	say("%d %d %d\n", info.si_signo - SIGRTMIN, info.si_code, info.si_value.sival_int);
	set(SIGUSR1, plain, 0);
	kill(getpid(), SIGUSR1);
	SHOW(sigsuspend(&empty));
	sigpending(&usr);
	SHOW(sigismember(&usr, SIGUSR1));
	sigprocmask(SIG_SETMASK, &empty, NULL);
}

static void flags(void)
{
	struct sigaction now;

	set(SIGUSR1, nested, 0);
	raise(SIGUSR1);
	nestings = 0;
	set(SIGUSR1, nested, SA_NODEFER);
	raise(SIGUSR1);
	set(SIGUSR1, plain, SA_RESETHAND);
	raise(SIGUSR1);
	sigaction(SIGUSR1, NULL, &now);
	say("reset %d flags %x\n", now.sa_handler == SIG_DFL, now.sa_flags & ~0x04000000);
	set(SIGUSR1, plain, 0x00000400 | 0x00000800 | 0x00001000);
	sigaction(SIGUSR1, NULL, &now);
	say("flags %x\n", now.sa_flags & ~0x04000000);
	set(SIGCHLD, SIG_IGN, 0);
	if (!fork())
		_exit(0);
	SHOW(wait(NULL));
	set(SIGCHLD, plain, SA_NOCLDWAIT);
	if (!fork())
		_exit(0);
	SHOW(wait(NULL));
	set(SIGCHLD, plain, SA_NOCLDSTOP | SA_RESTART);
	pid_t pid = fork();
	if (!pid) {
		raise(SIGSTOP);
		usleep(50000);
		_exit(0);
	}
	int status;
	waitpid(pid, &status, WUNTRACED);
	say("stopped %d calls so far %d\n", WIFSTOPPED(status), calls);
	kill(pid, SIGCONT);
	waitpid(pid, &status, WCONTINUED);
	say("continued %d\n", WIFCONTINUED(status));
	waitpid(pid, &status, 0);
	set(SIGCHLD, SIG_DFL, 0);
}

static void stacks(void)
{
	static char space[65536];
	stack_t stack = {.ss_sp = space, .ss_size = sizeof space}, old;

	SHOW(sigaltstack(&stack, &old));
	say("old flags %d\n", old.ss_flags);
	set(SIGUSR1, where, SA_ONSTACK);
	raise(SIGUSR1);
	stack.ss_flags = 99;
	SHOW(sigaltstack(&stack, NULL));
	stack.ss_flags = 0;
	stack.ss_size = 100;
	SHOW(sigaltstack(&stack, NULL));
	stack.ss_flags = SS_DISABLE;
	SHOW(sigaltstack(&stack, NULL));
	SHOW(sigaltstack((void *)8, NULL));
	raise(SIGUSR1);
	stack.ss_size = sizeof space;
	stack.ss_flags = SS_ONSTACK;
	SHOW(sigaltstack(&stack, NULL));
	stack.ss_flags = 1u << 31;
	SHOW(sigaltstack(&stack, NULL));
	raise(SIGUSR1);
}

static void limit(void)
{
	struct rlimit few = {3, 3};
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	setuid(12345);
	SHOW(setrlimit(RLIMIT_SIGPENDING, &few));
	for (int i = 0; i < 5; i++)
		SHOW(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = i}));
	SHOW(kill(getpid(), SIGRTMIN + 1));
	SHOW(kill(getpid(), SIGUSR1));
	SHOW(kill(1, 0));
}

int main(void)
{
	errors();
	order();
	waiting();
	flags();
	stacks();
	in_child("limit", limit);
	return 0;
}
