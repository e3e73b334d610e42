/* SPDX-License-Identifier: Apache-2.0 */
/* Alternate stacks, masks in frames, handlers that leave in every way. */
#include "check.h"
#include <setjmp.h>
#include <ucontext.h>

static char alt[65536], other[65536];
static sigjmp_buf jump;
static volatile int depth;

static void on_alt(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	stack_t now, new = { .ss_sp = other, .ss_size = sizeof(other) };
	char here;

	sigaltstack(NULL, &now);
	say("%s: on alt %d flags %x in frame %x size %zu\n", sigabbrev_np(sig), &here > alt && &here < alt + 65536,
	    now.ss_flags, uc->uc_stack.ss_flags, uc->uc_stack.ss_size);
	SHOW(sigaltstack(&new, NULL));
	if (sig == SIGUSR1)
		raise(SIGUSR2);
}

static void masks(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	sigset_t now;

	sigprocmask(0, NULL, &now);
	say("%s: blocked itself %d usr2 %d; in frame itself %d usr2 %d\n", sigabbrev_np(sig), sigismember(&now, sig),
	    sigismember(&now, SIGUSR2), sigismember(&uc->uc_sigmask, sig), sigismember(&uc->uc_sigmask, SIGUSR2));
	/* The mask that it returns to can be changed. */
	sigaddset(&uc->uc_sigmask, SIGTERM);
	sigaddset(&uc->uc_sigmask, SIGKILL);
}

static void recurse(int sig)
{
	if (++depth < 5)
		raise(sig);
	say("depth %d\n", depth--);
}

static void leap(int sig)
{
	siglongjmp(jump, sig);
}

static void skip(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	uc->uc_mcontext.gregs[REG_RIP] += 2; /* ud2 */
	uc->uc_mcontext.gregs[REG_RAX] = 4711;
}

static void deep(int sig, siginfo_t *info, void *context)
{
	say("overflow: on alt %d\n", (char *)&sig > alt && (char *)&sig < alt + 65536);
	siglongjmp(jump, 1);
}

static int eat(int n)
{
	volatile char room[4096];

	room[0] = n;
	return n < 0 ? 0 : room[0] + eat(n + 1);
}

static void small_stack(void)
{
	stack_t tiny = { .ss_sp = alt, .ss_size = 2048 };
	struct sigaction sa = { .sa_sigaction = on_alt, .sa_flags = SA_SIGINFO | SA_ONSTACK };

	signal(SIGSEGV, SIG_DFL);
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	SHOW(sigaltstack(&tiny, NULL));
	/* Beyond mapped memory: the frame can't be written. */
	tiny.ss_sp = (void *)0x10000;
	tiny.ss_size = 8192;
	SHOW(sigaltstack(&tiny, NULL));
	sigaction(SIGUSR1, &sa, NULL);
	raise(SIGUSR1);
	say("not reached\n");
}

static void no_restorer(void)
{
	struct {
		void *handler;
		unsigned long flags;
		void *restorer;
		unsigned long mask;
	} sa = { leap, SA_SIGINFO, NULL, 0 };

	signal(SIGSEGV, SIG_DFL);
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	SHOW(syscall(SYS_rt_sigaction, SIGUSR1, &sa, NULL, 8));
	raise(SIGUSR1);
	say("not reached\n");
}

static void bad_return(void)
{
	signal(SIGSEGV, SIG_DFL);
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	asm volatile("mov $15, %%eax; mov $0x10, %%rsp; syscall" ::: "memory");
	say("not reached\n");
}

static void autodisarm(int sig, siginfo_t *info, void *context)
{
	stack_t now, new = { .ss_sp = other, .ss_size = sizeof(other) };
	char here;

	sigaltstack(NULL, &now);
	say("autodisarm: on alt %d flags %x\n", &here > alt && &here < alt + 65536, now.ss_flags);
	SHOW(sigaltstack(&new, NULL));
}

int main(void)
{
	stack_t stack = { .ss_sp = alt, .ss_size = sizeof(alt) }, old;
	struct sigaction sa = { .sa_sigaction = on_alt, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	volatile long value;
	sigset_t now;

	SHOW(sigaltstack(&stack, NULL));
	sigaction(SIGUSR1, &sa, NULL);
	sigaction(SIGUSR2, &sa, NULL);
	raise(SIGUSR1);
	SHOW(sigaltstack(NULL, &old));
	say("flags %x same %d\n", old.ss_flags, old.ss_sp == alt);
	sa.sa_sigaction = masks;
	sa.sa_flags = SA_SIGINFO;
	sigemptyset(&sa.sa_mask);
	sigaddset(&sa.sa_mask, SIGUSR2);
	sigaction(SIGUSR1, &sa, NULL);
	raise(SIGUSR1);
	sigprocmask(0, NULL, &now);
	say("after: term %d kill %d usr1 %d\n", sigismember(&now, SIGTERM), sigismember(&now, SIGKILL),
	    sigismember(&now, SIGUSR1));
	sa.sa_handler = recurse;
	sa.sa_flags = SA_NODEFER;
	sigemptyset(&sa.sa_mask);
	sigaction(SIGUSR1, &sa, NULL);
	raise(SIGUSR1);
	sa.sa_handler = leap;
	sa.sa_flags = SA_RESETHAND;
	sigaction(SIGUSR1, &sa, NULL);
	for (int i = 0; i < 2; i++) {
		int sig = sigsetjmp(jump, 1);

		if (!sig) {
			sigaction(SIGUSR1, &sa, NULL);
			raise(SIGUSR1);
		}
		sigaction(SIGUSR1, NULL, &sa);
		say("leapt %d handler %d flags %x\n", sig, sa.sa_handler == SIG_DFL, sa.sa_flags);
		sa.sa_handler = leap;
	}
	sa.sa_sigaction = skip;
	sa.sa_flags = SA_SIGINFO;
	sigaction(SIGILL, &sa, NULL);
	asm volatile("ud2" : "=a"(value));
	say("skipped: %ld\n", value);
	sa.sa_sigaction = deep;
	sa.sa_flags = SA_SIGINFO | SA_ONSTACK;
	sigaction(SIGSEGV, &sa, NULL);
	setrlimit(RLIMIT_STACK, &(struct rlimit){ 1 << 20, RLIM_INFINITY });
	if (!sigsetjmp(jump, 1))
		eat(1);
	stack.ss_flags = 1u << 31; /* SS_AUTODISARM */
	SHOW(sigaltstack(&stack, NULL));
	sa.sa_sigaction = autodisarm;
	sigaction(SIGUSR1, &sa, NULL);
	raise(SIGUSR1);
	SHOW(sigaltstack(NULL, &old));
	say("flags %x same %d\n", old.ss_flags, old.ss_sp == alt);
	stack.ss_flags = 7;
	SHOW(sigaltstack(&stack, NULL));
	stack.ss_flags = SS_DISABLE;
	SHOW(sigaltstack(&stack, NULL));
	SHOW(sigaltstack(NULL, &old));
	say("flags %x sp %d size %zu\n", old.ss_flags, old.ss_sp != NULL, old.ss_size);
	in_child("small stack", small_stack);
	in_child("no restorer", no_restorer);
	in_child("bad return", bad_return);
	return 0;
}
