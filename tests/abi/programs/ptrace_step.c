/* SPDX-License-Identifier: Apache-2.0 */
/* Single steps: instructions, system calls, breakpoints, the trap flag. T-ENT-07 */
#include "ptrace.h"

extern char code[], code_end[], marks[];
__asm__(".text\n"
	"code:	nop\n"
	"	mov $110, %eax\n"
	"	syscall\n"
	"	nop\n"
	"	pushf\n"
	"	pop %rdx\n"
	"	int3\n"
	"	nop\n"
	"	mov $3, %ecx\n"
	"1:	loop 1b\n"
	"	xor %eax, %eax\n"
	"	mov (%rax), %rax\n"
	"code_end: ud2\n");

static void body(void)
{
	__asm__ volatile("jmp code");
}

static void show(const char *what, pid_t pid)
{
	struct user_regs_struct regs;
	siginfo_t info;

	memset(&info, 0, sizeof info);
	pt(PTRACE_GETREGS, pid, 0, (long)&regs);
	pt(PTRACE_GETSIGINFO, pid, 0, (long)&info);
	say("%s: at +%lld signo %d code %d TF %d orig_rax %lld\n", what,
	    (long long)(regs.rip - (unsigned long)code), info.si_signo, info.si_code,
	    !!(regs.eflags & 0x100), (long long)regs.orig_rax);
	if (info.si_code > 0 && info.si_signo == SIGTRAP)
		say("  addr is rip: %d\n", (unsigned long)info.si_addr == regs.rip);
}

static void steps(void)
{
	struct user_regs_struct regs;
	pid_t pid = tracee(body);
	int n, status = 0;

	say("-- steps\n");
	pt(PTRACE_GETREGS, pid, 0, (long)&regs);
	regs.rip = (unsigned long)code;
	regs.orig_rax = -1;
	SHOW(pt(PTRACE_SETREGS, pid, 0, (long)&regs));
	for (n = 0; n < 20; n++) {
		pt(PTRACE_SINGLESTEP, pid, 0, 0);
		if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
			break;
		show("step", pid);
		if (WSTOPSIG(status) != SIGTRAP)
			break;
	}
	show_status("last", status);
	pt(PTRACE_CONT, pid, 0, SIGSEGV);
	next_stop("end", pid);
}

static volatile int traps, codes[8];

static void on_trap(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	(void)sig;
	if (traps < 8)
		codes[traps] = info->si_code;
	traps++;
	uc->uc_mcontext.gregs[REG_EFL] &= ~0x100L;
}

/* No tracer: the program sets the trap flag itself. */
static void own_flag(void)
{
	struct sigaction action = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO };
	long r11, rax, flags;

	say("-- own flag\n");
	sigaction(SIGTRAP, &action, NULL);
	__asm__ volatile("pushf\norq $0x100, (%%rsp)\npopf\nnop\nnop\n" ::: "memory");
	say("nop: traps %d code %d\n", traps, codes[0]);
	traps = 0;
	__asm__ volatile("mov $39, %%eax\npushf\norq $0x100, (%%rsp)\npopf\nsyscall\nnop\nnop\n"
			 : "=a"(rax), "=r"(r11)::"rcx", "r11", "memory");
	say("syscall: traps %d code %d result %d\n", traps, codes[0], rax == getpid());
	traps = 0;
	__asm__ volatile("int3");
	say("int3: traps %d code %d\n", traps, codes[0]);
	traps = 0;
	__asm__ volatile(".byte 0xf1");
	say("int1: traps %d code %d\n", traps, codes[0]);
	__asm__ volatile("pushf\npop %0" : "=r"(flags));
	say("TF %d\n", !!(flags & 0x100));
}

static void emulated_steps(void)
{
	struct user_regs_struct regs;
	pid_t pid = tracee(body);
	int n;

	say("-- sysemu steps\n");
	pt(PTRACE_GETREGS, pid, 0, (long)&regs);
	regs.rip = (unsigned long)code;
	regs.orig_rax = -1;
	pt(PTRACE_SETREGS, pid, 0, (long)&regs);
	for (n = 0; n < 6; n++) {
		pt(PTRACE_SYSEMU_SINGLESTEP, pid, 0, 0);
		next_stop("step", pid);
		show("step", pid);
	}
	kill(pid, SIGKILL);
	next_stop("end", pid);
}

static void on_usr(int sig)
{
	(void)sig;
	__asm__ volatile("nop");
}

static void with_handler(void)
{
	struct sigaction action = { .sa_handler = on_usr };

	sigaction(SIGUSR1, &action, NULL);
	raise(SIGTRAP);
}

/* A step that ends in a signal handler's frame; one out of it. */
static void handler_steps(void)
{
	struct user_regs_struct regs;
	siginfo_t info;
	pid_t pid = tracee(with_handler);
	unsigned long before;
	int n;

	say("-- steps and handlers\n");
	pt(PTRACE_CONT, pid, 0, 0);
	next_stop("ready", pid);
	pt(PTRACE_GETREGS, pid, 0, (long)&regs);
	before = regs.rip;
	pt(PTRACE_SINGLESTEP, pid, 0, SIGUSR1);
	next_stop("step with a signal", pid);
	pt(PTRACE_GETREGS, pid, 0, (long)&regs);
	pt(PTRACE_GETSIGINFO, pid, 0, (long)&info);
	say("at the handler %d code %d TF %d rdi %lld orig_rax %lld\n",
	    regs.rip == (unsigned long)on_usr, info.si_code, !!(regs.eflags & 0x100),
	    (long long)regs.rdi, (long long)regs.orig_rax);
	for (n = 0; n < 100 && regs.rip != before; n++) {
		pt(PTRACE_SINGLESTEP, pid, 0, 0);
		if (waitpid(pid, &(int){ 0 }, 0) != pid)
			break;
		pt(PTRACE_GETREGS, pid, 0, (long)&regs);
	}
	pt(PTRACE_GETSIGINFO, pid, 0, (long)&info);
	say("back after %d steps, code %d\n", n, info.si_code);
	pt(PTRACE_CONT, pid, 0, 0);
	next_stop("end", pid);
}

int main(void)
{
	no_core();
	handler_steps();
	steps();
	emulated_steps();
	own_flag();
	return 0;
}
