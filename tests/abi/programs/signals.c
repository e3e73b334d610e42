/* SPDX-License-Identifier: Apache-2.0 */
/* Signal handlers, masks, siginfo, alternate stacks, real-time queueing. */
#include "check.h"
#include <setjmp.h>

static volatile int count;
static char stack[65536];
static sigjmp_buf jump;

static void handler(int sig, siginfo_t *info, void *context)
{
	char low;
	sigset_t now;

	(void)context;
	sigprocmask(0, NULL, &now);
	say("handler %s code %d value %d own %d on altstack %d masked %d usr2 %d\n",
	    sigabbrev_np(sig), info->si_code, info->si_code == SI_QUEUE ? info->si_value.sival_int : 0,
	    info->si_code > 0 ? -1 : info->si_pid == getpid() && info->si_uid == getuid(),
	    &low >= stack && &low < stack + sizeof(stack), sigismember(&now, sig),
	    sigismember(&now, SIGUSR2));
	count++;
}

static void install(int sig, int flags)
{
	struct sigaction sa = { .sa_sigaction = handler, .sa_flags = flags | SA_SIGINFO };

	sigemptyset(&sa.sa_mask);
	sigaddset(&sa.sa_mask, SIGUSR2);
	SHOW(sigaction(sig, &sa, NULL));
}

static void crash(int sig, siginfo_t *info, void *context)
{
	(void)context;
	say("%s code %d addr %#lx\n", sigabbrev_np(sig), info->si_code,
	    sig == SIGSEGV || sig == SIGBUS ? (long)info->si_addr : 0);
	siglongjmp(jump, 1);
}

static void crashes(void)
{
	struct sigaction sa = { .sa_sigaction = crash, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	volatile int zero = 0;
	char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *low = mmap((void *)0x10000000, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGFPE, &sa, NULL);
	sigaction(SIGILL, &sa, NULL);
	sigaction(SIGTRAP, &sa, NULL);
	if (!sigsetjmp(jump, 1))
		*(volatile int *)16 = 1;
	if (!sigsetjmp(jump, 1))
		zero = *(volatile int *)24;
	if (!sigsetjmp(jump, 1))
		low[5] = 1;
	if (!sigsetjmp(jump, 1))
		((void (*)(void))low)();
	if (!sigsetjmp(jump, 1))
		*(volatile char *)0xffff800000000000 = 1;
	if (!sigsetjmp(jump, 1))
		say("%d\n", 1 / zero);
	if (!sigsetjmp(jump, 1))
		__builtin_trap();
	if (!sigsetjmp(jump, 1))
		asm volatile("int3");
	if (!sigsetjmp(jump, 1))
		asm volatile("hlt");
	munmap(page, 4096);
}

static int deeper(int depth)
{
	volatile char page[65536];

	page[0] = depth;
	return depth < 0 ? 0 : page[0] + deeper(depth + 1);
}

static void overflow(void)
{
	signal(SIGSEGV, SIG_DFL);
	setrlimit(RLIMIT_STACK, &(struct rlimit){ 1 << 20, 1 << 20 });
	say("%d\n", deeper(0));
}

static void die_of_alarm(void)
{
	struct itimerval soon = { { 0, 0 }, { 0, 1000 } };

	setitimer(ITIMER_REAL, &soon, NULL);
	for (;;)
		pause();
}

static void call_abort(void) { abort(); }

static void ignored_fault(void)
{
	signal(SIGSEGV, SIG_IGN);
	*(volatile int *)16 = 1;
}

int main(void)
{
	stack_t alternate = { .ss_sp = stack, .ss_size = sizeof(stack) }, old;
	struct sigaction sa;
	union sigval value;
	sigset_t set, saved;
	siginfo_t info;
	struct timespec none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	install(SIGUSR1, 0);
	SHOW(raise(SIGUSR1));
	SHOW(kill(getpid(), SIGUSR1));
	SHOW(sigaltstack(&alternate, NULL));
	install(SIGHUP, SA_ONSTACK | SA_NODEFER);
	SHOW(raise(SIGHUP));
	SHOW(sigaltstack(NULL, &old));
	say("flags %d size %zu\n", old.ss_flags, old.ss_size);
	alternate.ss_size = 100;
	SHOW(sigaltstack(&alternate, NULL));
	install(SIGINT, SA_RESETHAND);
	SHOW(raise(SIGINT));
	sigaction(SIGINT, NULL, &sa);
	IS(sa.sa_handler == SIG_DFL);
	SHOW(sigaction(SIGKILL, &sa, NULL));
	SHOW(sigaction(0, &sa, NULL));
	SHOW(sigaction(65, &sa, NULL));
	SHOW(syscall(SYS_rt_sigaction, SIGUSR1, &sa, NULL, 4));

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGRTMIN);
	sigaddset(&set, SIGKILL);
	SHOW(sigprocmask(SIG_BLOCK, &set, &saved));
	SHOW(sigprocmask(77, &set, NULL));
	raise(SIGUSR1);
	raise(SIGUSR1);
	sigpending(&set);
	say("pending %d %d\n", sigismember(&set, SIGUSR1), sigismember(&set, SIGUSR2));
	count = 0;
	SHOW(sigprocmask(SIG_SETMASK, &saved, NULL));
	say("delivered %d\n", count);

	install(SIGRTMIN, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (value.sival_int = 10; value.sival_int < 13; value.sival_int++)
		SHOW(sigqueue(getpid(), SIGRTMIN, value));
	SHOW(sigtimedwait(&set, &info, &none) == SIGRTMIN);
	say("value %d\n", info.si_value.sival_int);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	SHOW(sigtimedwait(&set, &info, &none));
	sigemptyset(&set);
	sigprocmask(SIG_BLOCK, NULL, &saved);
	sigaddset(&saved, SIGUSR1);
	sigprocmask(SIG_SETMASK, &saved, NULL);
	raise(SIGUSR1);
	SHOW(sigsuspend(&set));
	sigprocmask(0, NULL, &set);
	IS(sigismember(&set, SIGUSR1));
	SHOW(kill(getpid(), 0));
	SHOW(kill(getpid(), 65));
	SHOW(kill(999999, 0));
	crashes();
	in_child("stack overflow", overflow);
	in_child("alarm", die_of_alarm);
	in_child("abort", call_abort);
	in_child("ignored fault", ignored_fault);
	return 0;
}
