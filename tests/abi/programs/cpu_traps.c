/* SPDX-License-Identifier: Apache-2.0 */
/* rdtsc and cpuid that fault: PR_SET_TSC, ARCH_SET_CPUID, strict seccomp. */
/* abi-cflags: -pthread */
#include "check.h"
#include <asm/prctl.h>
#include <cpuid.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <setjmp.h>
#include <sys/prctl.h>

static sigjmp_buf back;

static void on_segv(int signo, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	say("signal %d code %d addr %p trap %lld\n", signo, info->si_code, info->si_addr,
	    uc->uc_mcontext.gregs[REG_TRAPNO]);
	siglongjmp(back, 1);
}

static void show_tsc(const char *what)
{
	int mode = 0;

	prctl(PR_GET_TSC, &mode);
	say("%s: mode %d\n", what, mode);
	if (!sigsetjmp(back, 1)) {
		__builtin_ia32_rdtsc();
		say("rdtsc works\n");
	}
}

static void show_cpuid(const char *what)
{
	unsigned a, b, c, d;

	say("%s: %ld\n", what, syscall(SYS_arch_prctl, ARCH_GET_CPUID, 0));
	if (!sigsetjmp(back, 1)) {
		__cpuid(0, a, b, c, d);
		say("cpuid works\n");
	}
}

static void *in_thread(void *arg)
{
	show_tsc("thread");
	prctl(PR_SET_TSC, PR_TSC_ENABLE);
	show_tsc("thread");
	return arg;
}

static void tsc(void)
{
	pthread_t thread;

	show_tsc("start");
	SHOW(prctl(PR_SET_TSC, PR_TSC_SIGSEGV));
	show_tsc("off");
	fflush(stdout);
	if (fork() == 0) {
		show_tsc("child");
		SHOW(prctl(PR_SET_TSC, PR_TSC_ENABLE));
		show_tsc("child");
		_exit(0);
	}
	wait(NULL);
	pthread_create(&thread, NULL, in_thread, NULL);
	pthread_join(thread, NULL);
	show_tsc("still off");
	SHOW(prctl(PR_SET_TSC, PR_TSC_ENABLE));
	show_tsc("on");
	/* Programs use rdtsc early: the dynamic linker keeps statistics with it. */
}

static void cpuid(void)
{
	show_cpuid("start");
	if (SHOW(syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0)))
		return;
	show_cpuid("off");
	fflush(stdout);
	if (fork() == 0) {
		show_cpuid("child");
		_exit(0);
	}
	wait(NULL);
	SHOW(syscall(SYS_arch_prctl, ARCH_SET_CPUID, 1));
	show_cpuid("on");
	SHOW(syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0));
	execl("/proc/self/exe", "self", "cpuid", NULL);
}

static void strict(void)
{
	int mode = 0;

	signal(SIGSEGV, SIG_DFL);
	prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
	write(1, "strict\n", 7);
	__builtin_ia32_rdtsc();
	write(1, "not here\n", 9);
	(void)mode;
	syscall(SYS_exit, 0);
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_sigaction = on_segv, .sa_flags = SA_SIGINFO };

	sigaction(SIGSEGV, &sa, NULL);
	if (argc > 1) {
		show_cpuid(argv[1]);
		return 0;
	}
	in_child("tsc", tsc);
	in_child("cpuid", cpuid);
	in_child("strict", strict);
	return 0;
}
