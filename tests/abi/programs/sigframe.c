/* SPDX-License-Identifier: Apache-2.0 */
/* What a signal frame says about the FPU state, and a handler on a small alternate stack. */
#include "check.h"
#include <ucontext.h>

static void on_frame(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	char *state = (char *)uc->uc_mcontext.fpregs;
	uint32_t *software = (uint32_t *)(state + 464);

	say("signal %d code %d flags %lx\n", sig, info->si_code, uc->uc_flags);
	say("magic %x extended %u features %llx size %u end %x\n", software[0], software[1],
	    (unsigned long long)software[2] | (unsigned long long)software[3] << 32,
	    software[4], *(uint32_t *)(state + software[4]));
	IS(((uintptr_t)state & 63) == 0);
	say("from fpstate to the context %ld\n", (long)(state - (char *)context) & ~127L);
}

static void on_signal(int sig) { say("signal %d\n", sig); }

int main(void)
{
	static char small[8192] __attribute__((aligned(64)));
	stack_t stack = {.ss_sp = small, .ss_size = sizeof small};
	struct sigaction action = {.sa_sigaction = on_frame, .sa_flags = SA_SIGINFO};

	sigaction(SIGUSR1, &action, NULL);
	raise(SIGUSR1);
	SHOW(sigaltstack(&stack, NULL));
	action.sa_handler = on_signal;
	action.sa_flags = SA_ONSTACK;
	sigaction(SIGUSR2, &action, NULL);
	raise(SIGUSR2);
	return 0;
}
