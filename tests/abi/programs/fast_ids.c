/* SPDX-License-Identifier: Apache-2.0 */
/* abi-as: root */
/* Ids that are asked for often are still right after they have changed, and tracers see it. */
#include "check.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sys/ptrace.h>
#include <sys/user.h>

static void warm(void)
{
	for (int i = 0; i < 40; i++) {
		syscall(SYS_getpid);
		syscall(SYS_gettid);
		syscall(SYS_getuid);
		syscall(SYS_geteuid);
		syscall(SYS_getgid);
		syscall(SYS_getegid);
	}
}

static void *thread(void *arg)
{
	warm();
	IS(syscall(SYS_gettid) != syscall(SYS_getpid));
	return syscall(SYS_getpid) == (long)arg ? arg : NULL;
}

static void changed(void)
{
	pid_t parent = getpid(), child;
	pthread_t one;
	void *same;

	warm();
	child = fork();
	if (!child) {
		IS(syscall(SYS_getpid) != parent);
		warm();
		IS(syscall(SYS_getpid) == syscall(SYS_gettid) && getppid() == parent);
		SHOW(setresgid(11, 12, 13));
		SHOW(syscall(SYS_getgid));
		SHOW(syscall(SYS_getegid));
		SHOW(setresuid(21, 22, 23));
		SHOW(syscall(SYS_getuid));
		SHOW(syscall(SYS_geteuid));
		warm();
		SHOW(seteuid(21));
		SHOW(syscall(SYS_geteuid));
		_exit(0);
	}
	waitpid(child, NULL, 0);
	IS(syscall(SYS_getpid) == parent && syscall(SYS_getuid) == 0);
	pthread_create(&one, NULL, thread, (void *)(long)parent);
	pthread_join(one, &same);
	IS(same != NULL);
}

/* A tracer that comes when the stub answers already sees every call. */
static void traced(void)
{
	int status, seen = 0;
	pid_t child = fork();

	if (!child) {
		warm();
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		for (int i = 0; i < 10; i++)
			syscall(SYS_getpid);
		raise(SIGSTOP);
		for (int i = 0; i < 10; i++)
			syscall(SYS_getuid);
		_exit(0);
	}
	waitpid(child, &status, 0);
	ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACESYSGOOD);
	for (;;) {
		struct user_regs_struct regs;

		ptrace(PTRACE_SYSCALL, child, 0, 0);
		if (waitpid(child, &status, 0) < 0 || WIFEXITED(status))
			break;
		if (WSTOPSIG(status) != (SIGTRAP | 0x80))
			continue;
		ptrace(PTRACE_GETREGS, child, 0, &regs);
		if ((regs.orig_rax == SYS_getpid || regs.orig_rax == SYS_getuid) && regs.rax == -38UL)
			seen++;
	}
	IS(seen >= 20);
}

static void futexes(void)
{
	unsigned word = 5, *bad = (unsigned *)8;
	struct timespec none = {0, 0};

	SHOW(syscall(SYS_futex, &word, FUTEX_WAIT, 4, NULL));
	SHOW(syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 4, NULL));
	SHOW(syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 5, &none));
	SHOW(syscall(SYS_futex, (char *)&word + 1, FUTEX_WAIT, 4, NULL));
	SHOW(syscall(SYS_futex, bad, FUTEX_WAIT, 4, NULL));
	SHOW(syscall(SYS_futex, (unsigned *)-4096L, FUTEX_WAIT, 4, NULL));
	SHOW(syscall(SYS_futex, &word, FUTEX_WAKE, 1));
}

int main(void)
{
	changed();
	traced();
	futexes();
	return 0;
}
