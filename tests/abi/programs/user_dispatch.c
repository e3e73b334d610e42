/* SPDX-License-Identifier: Apache-2.0 */
/* PR_SET_SYSCALL_USER_DISPATCH: calls from outside of a range are signals. */
#include "check.h"
#include <sys/prctl.h>

static volatile char selector;
static int seen;

/* Calls from these lines are always made. */
extern char range_start[], range_end[];
long allowed(long nr, long a, long b, long c);
void allowed_return(void);
asm(".text\nrange_start:\n"
    ".globl allowed\nallowed:\n"
    "mov %rdi, %rax\n mov %rsi, %rdi\n mov %rdx, %rsi\n mov %rcx, %rdx\n syscall\n ret\n"
    ".globl allowed_return\nallowed_return:\n mov $15, %eax\n syscall\n"
    "range_end:\n");

static long outside(long nr, long a)
{
	long result;

	asm volatile("syscall" : "=a"(result) : "a"(nr), "D"(a) : "rcx", "r11", "memory");
	return result;
}

static void on_sigsys(int signo, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	unsigned char *at = info->si_call_addr;

	selector = 0;
	seen++;
	say("signal %d code %d errno %d nr %d arch %x syscall before %d rip %d rax %lld rdi %lld\n", signo,
	    info->si_code, info->si_errno, info->si_syscall, info->si_arch, at[-2] == 0x0f && at[-1] == 5,
	    (void *)uc->uc_mcontext.gregs[REG_RIP] == info->si_call_addr,
	    uc->uc_mcontext.gregs[REG_RAX], uc->uc_mcontext.gregs[REG_RDI]);
	uc->uc_mcontext.gregs[REG_RAX] = 4711;
}

static void install(void)
{
	struct sigaction sa = { .sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO };

	sigaction(SIGSYS, &sa, NULL);
}

static void dispatched(void)
{
	long result;

	install();
	SHOW(prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, range_start, range_end - range_start, &selector));
	selector = 1;
	result = outside(SYS_getppid, 5);
	say("%ld %d\n", result, selector);
	selector = 1;
	result = allowed(SYS_getpid, 0, 0, 0);
	selector = 0;
	IS(result == getpid());
	selector = 1;
	result = outside(-5, 6);
	say("%ld %d\n", result, seen);
	selector = 0;
	if (fork() == 0) {
		selector = 1;
		result = outside(SYS_getpid, 0);
		selector = 0;
		say("child: %d %d\n", result == getpid(), seen);
		_exit(0);
	}
	wait(NULL);
	SHOW(prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_OFF, 0, 0, 0));
	selector = 1;
	SHOW(outside(SYS_getpid, 0) == getpid());
}

static void bad_selector(void)
{
	install();
	SHOW(prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, 0, 0, &selector));
	selector = 7;
	outside(SYS_getpid, 0);
}

static void no_selector_memory(void)
{
	install();
	SHOW(prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, 0, 0, 8));
	outside(SYS_getpid, 0);
}

static void no_handler(void)
{
	selector = 0;
	SHOW(prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, 0, 0, &selector));
	selector = 1;
	outside(SYS_getpid, 0);
}

static void without_selector(void)
{
	SHOW(prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, range_start, range_end - range_start, 0));
}

static void across_exec(void)
{
	SHOW(prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, 0, 0, &selector));
	selector = 0;
	execl("/bin/echo", "echo", "executed", NULL);
}

int main(void)
{
	in_child("dispatched", dispatched);
	in_child("bad selector", bad_selector);
	in_child("no selector", no_selector_memory);
	in_child("no handler", no_handler);
	in_child("without selector", without_selector);
	in_child("across exec", across_exec);
	return 0;
}
