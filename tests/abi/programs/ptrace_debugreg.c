/* SPDX-License-Identifier: Apache-2.0 */
/* Debug registers: breakpoints and watchpoints in hardware. */
#include "ptrace.h"

#define DR(n) ((long)offsetof(struct user, u_debugreg) + 8 * (n))

static volatile long watched[4];
static volatile int here;

__attribute__((noinline)) static void spot(void)
{
	here++;
}

static void body(void)
{
	raise(SIGTRAP);
	watched[0] = 1;
	watched[1] = 2;
	here = watched[1];
	spot();
	watched[0] = 3;
}

static void peek(pid_t pid, int n)
{
	unsigned long value = 0;
	long result = pt(PTRACE_PEEKUSER, pid, DR(n), (long)&value);

	say("dr%d: %ld %lx\n", n, result, value);
}

static void show(pid_t pid)
{
	siginfo_t info;
	long value = 0, count = 0;

	pt(PTRACE_GETSIGINFO, pid, 0, (long)&info);
	pt(PTRACE_PEEKDATA, pid, (long)watched, (long)&value);
	pt(PTRACE_PEEKDATA, pid, (long)&here, (long)&count);
	say("code %d watched %ld here %d at the spot %d\n", info.si_code, value, (int)count,
	    info.si_addr == (void *)spot);
	peek(pid, 6);
}

int main(void)
{
	pid_t pid;

	no_core();
	pid = tracee(body);
	for (int i = 0; i < 8; i++)
		peek(pid, i);
	SHOW(pt(PTRACE_POKEUSER, pid, DR(0), 0xffff800000000000));
	SHOW(pt(PTRACE_POKEUSER, pid, DR(0), (long)&watched[0] + 1));
	SHOW(pt(PTRACE_POKEUSER, pid, DR(7), 0x000d0001));
	SHOW(pt(PTRACE_POKEUSER, pid, DR(0), (long)&watched[0]));
	SHOW(pt(PTRACE_POKEUSER, pid, DR(1), (long)spot));
	SHOW(pt(PTRACE_POKEUSER, pid, DR(4), 1));
	SHOW(pt(PTRACE_POKEUSER, pid, DR(6), 0));
	SHOW(pt(PTRACE_POKEUSER, pid, DR(7), 0x00090005));
	peek(pid, 7);
	for (int i = 0; i < 6; i++) {
		pt(PTRACE_CONT, pid, 0, 0);
		if (!WIFSTOPPED(next_stop("stop", pid)))
			break;
		show(pid);
	}
	return 0;
}
