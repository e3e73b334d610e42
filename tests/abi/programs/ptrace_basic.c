/* SPDX-License-Identifier: Apache-2.0 */
/* ptrace(2): who may trace, stops for signals, memory, registers, siginfo, masks, errors. */
#include "ptrace.h"
#include <elf.h>

static volatile long word = 0x1122334455667788;
static char *readonly;
static volatile int handled;

static void on_usr(int sig)
{
	handled = sig;
}

static void body(void)
{
	signal(SIGUSR1, on_usr);
	signal(SIGUSR2, on_usr);
	raise(SIGUSR1);
	say("handled %d\n", handled);
	handled = 0;
	raise(SIGUSR1);
	say("handled %d\n", handled);
	raise(SIGUSR1);
	say("handled %d word %lx\n", handled, word);
	_exit(7);
}

static void who(void)
{
	pid_t pid;

	say("-- who\n");
	SHOW(pt(PTRACE_CONT, 0x7ffffff0, 0, 0));
	SHOW(pt(PTRACE_ATTACH, getpid(), 0, 0));
	SHOW(pt(PTRACE_CONT, getppid(), 0, 0));
	SHOW(pt(PTRACE_SEIZE, -1, 0, 0));
	if ((pid = fork()) == 0) {
		for (;;)
			pause();
	}
	SHOW(pt(PTRACE_SEIZE, pid, 1, 0));
	SHOW(pt(PTRACE_SEIZE, pid, 0, 0x10000000));
	SHOW(pt(PTRACE_GETREGS, pid, 0, 0));
	SHOW(pt(PTRACE_ATTACH, pid, 0, 0));
	SHOW(pt(PTRACE_ATTACH, pid, 0, 0));
	next_stop("attached", pid);
	SHOW(pt(0x9999, pid, 0, 0));
	SHOW(pt(PTRACE_INTERRUPT, pid, 0, 0));
	SHOW(pt(PTRACE_LISTEN, pid, 0, 0));
	SHOW(pt(PTRACE_CONT, pid, 0, 65));
	SHOW(pt(PTRACE_DETACH, pid, 0, 65));
	SHOW(pt(PTRACE_DETACH, pid, 0, SIGTERM));
	SHOW(pt(PTRACE_DETACH, pid, 0, 0));
	next_stop("detached", pid);
}

static void memory(pid_t pid)
{
	long out = 0;
	char path[64];
	int fd;

	say("-- memory\n");
	SHOW(pt(PTRACE_PEEKDATA, pid, (long)&word, (long)&out));
	say("%lx\n", out);
	SHOW(pt(PTRACE_PEEKTEXT, pid, 8, (long)&out));
	SHOW(pt(PTRACE_PEEKTEXT, pid, -8, (long)&out));
	SHOW(pt(PTRACE_PEEKDATA, pid, (long)&word, 1));
	SHOW(pt(PTRACE_POKEDATA, pid, (long)&word + 1, 0x99));
	SHOW(pt(PTRACE_POKEDATA, pid, (long)readonly, 0x77));
	SHOW(pt(PTRACE_PEEKDATA, pid, (long)readonly, (long)&out));
	say("%lx and here %x\n", out, readonly[0]);
	snprintf(path, sizeof path, "/proc/%d/mem", pid);
	fd = open(path, O_RDWR);
	IS(fd >= 0);
	SHOW(pwrite(fd, "abcd", 4, (long)readonly));
	SHOW(pread(fd, &out, 8, (long)readonly));
	say("%lx and here %x\n", out, readonly[0]);
	SHOW(pread(fd, &out, 8, 64));
	SHOW(lseek(fd, 10, SEEK_SET));
	SHOW(lseek(fd, 10, SEEK_CUR));
	SHOW(lseek(fd, 10, SEEK_END));
	SHOW(pwrite(fd, "x", 1, 0));
	close(fd);
}

static void registers(pid_t pid)
{
	struct user_regs_struct regs, bad;
	struct user_fpregs_struct fp;
	struct iovec iov = { &regs, sizeof regs };
	static char xsave[16384];
	long out = 0;

	say("-- registers\n");
	SHOW(pt(PTRACE_GETREGS, pid, 0, (long)&regs));
	say("cs %llx ss %llx orig_rax %lld rax %lld\n", regs.cs, regs.ss, (long long)regs.orig_rax,
	    (long long)regs.rax);
	SHOW(pt(PTRACE_GETREGS, pid, 0, 8));
	SHOW(pt(PTRACE_PEEKUSER, pid, 8 * 17, (long)&out));
	say("%lx\n", out);
	SHOW(pt(PTRACE_PEEKUSER, pid, 3, (long)&out));
	SHOW(pt(PTRACE_PEEKUSER, pid, sizeof(struct user), (long)&out));
	SHOW(pt(PTRACE_PEEKUSER, pid, offsetof(struct user, u_debugreg), (long)&out));
	say("%lx\n", out);
	bad = regs;
	bad.fs_base = 1UL << 47;
	SHOW(pt(PTRACE_SETREGS, pid, 0, (long)&bad));
	bad = regs;
	bad.cs = 0x10;
	SHOW(pt(PTRACE_SETREGS, pid, 0, (long)&bad));
	bad.cs = 0;
	SHOW(pt(PTRACE_SETREGS, pid, 0, (long)&bad));
	SHOW(pt(PTRACE_POKEUSER, pid, 8 * 22, -1));
	SHOW(pt(PTRACE_POKEUSER, pid, 8 * 24, 3));
	SHOW(pt(PTRACE_POKEUSER, pid, 8 * 24, 0));
	bad = regs;
	bad.eflags = ~0UL;
	SHOW(pt(PTRACE_SETREGS, pid, 0, (long)&bad));
	pt(PTRACE_GETREGS, pid, 0, (long)&bad);
	say("eflags %llx\n", bad.eflags);
	SHOW(pt(PTRACE_SETREGS, pid, 0, (long)&regs));
	SHOW(pt(PTRACE_GETREGSET, pid, NT_PRSTATUS, (long)&iov));
	say("length %zu\n", iov.iov_len);
	iov.iov_len = 17 * 8;
	SHOW(pt(PTRACE_SETREGSET, pid, NT_PRSTATUS, (long)&iov));
	say("length %zu\n", iov.iov_len);
	iov.iov_len = 7;
	SHOW(pt(PTRACE_GETREGSET, pid, NT_PRSTATUS, (long)&iov));
	SHOW(pt(PTRACE_GETREGSET, pid, 0x77, (long)&iov));
	SHOW(pt(PTRACE_GETREGSET, pid, NT_PRSTATUS, 8));
	SHOW(pt(PTRACE_GETFPREGS, pid, 0, (long)&fp));
	say("cwd %x mxcsr %x\n", fp.cwd, fp.mxcsr);
	fp.xmm_space[0] = 0x12345678;
	SHOW(pt(PTRACE_SETFPREGS, pid, 0, (long)&fp));
	memset(&fp, 0, sizeof fp);
	pt(PTRACE_GETFPREGS, pid, 0, (long)&fp);
	say("xmm0 %x\n", fp.xmm_space[0]);
	fp.mxcsr = -1;
	SHOW(pt(PTRACE_SETFPREGS, pid, 0, (long)&fp));
	iov.iov_base = xsave;
	iov.iov_len = sizeof xsave;
	SHOW(pt(PTRACE_GETREGSET, pid, NT_X86_XSTATE, (long)&iov));
	IS(iov.iov_len >= 576 && iov.iov_len < sizeof xsave);
	say("xmm0 %x\n", ((struct user_fpregs_struct *)xsave)->xmm_space[0]);
	SHOW(pt(PTRACE_SETREGSET, pid, NT_X86_XSTATE, (long)&iov));
	xsave[520] = 1;
	SHOW(pt(PTRACE_SETREGSET, pid, NT_X86_XSTATE, (long)&iov));
	iov.iov_len = 512;
	SHOW(pt(PTRACE_SETREGSET, pid, NT_X86_XSTATE, (long)&iov));
	SHOW(pt(PTRACE_ARCH_PRCTL, pid, (long)&out, 0x1003));
	IS(out == (long)regs.fs_base);
	SHOW(pt(PTRACE_ARCH_PRCTL, pid, 0, 0x9999));
}

static void signals(pid_t pid)
{
	siginfo_t info;
	struct __ptrace_peeksiginfo_args args = { 0, 0, 4 };
	siginfo_t infos[4];
	union sigval value = { .sival_int = 42 };
	uint64_t mask = 0;

	say("-- signals\n");
	SHOW(pt(PTRACE_GETSIGMASK, pid, 8, (long)&mask));
	say("%lx\n", mask);
	SHOW(pt(PTRACE_GETSIGMASK, pid, 4, (long)&mask));
	mask = -1;
	SHOW(pt(PTRACE_SETSIGMASK, pid, 8, (long)&mask));
	SHOW(pt(PTRACE_GETSIGMASK, pid, 8, (long)&mask));
	say("%lx\n", mask);
	sigqueue(pid, SIGRTMIN + 3, value);
	kill(pid, SIGHUP);
	SHOW(pt(PTRACE_PEEKSIGINFO, pid, (long)&args, (long)infos));
	args.flags = PTRACE_PEEKSIGINFO_SHARED;
	SHOW(pt(PTRACE_PEEKSIGINFO, pid, (long)&args, (long)infos));
	say("%d %d %d\n", infos[0].si_signo, infos[0].si_value.sival_int, infos[1].si_signo);
	args.off = 1;
	SHOW(pt(PTRACE_PEEKSIGINFO, pid, (long)&args, (long)infos));
	args.flags = 2;
	SHOW(pt(PTRACE_PEEKSIGINFO, pid, (long)&args, (long)infos));
	mask = (1UL << (SIGRTMIN + 3 - 1)) | 1;
	pt(PTRACE_SETSIGMASK, pid, 8, (long)&mask);
	SHOW(pt(PTRACE_CONT, pid, 0, 0));
	next_stop("SIGUSR1", pid);
	SHOW(pt(PTRACE_GETSIGINFO, pid, 0, (long)&info));
	say("signo %d code %d pid %s\n", info.si_signo, info.si_code,
	    info.si_pid == pid ? "its own" : "other");
	pt(PTRACE_CONT, pid, 0, 0); /* suppressed */
	next_stop("again", pid);
	pt(PTRACE_CONT, pid, 0, SIGUSR1); /* delivered */
	next_stop("third", pid);
	pt(PTRACE_CONT, pid, 0, SIGUSR2); /* replaced */
	next_stop("end", pid);
	SHOW(pt(PTRACE_CONT, pid, 0, 0));
}

static void options(pid_t pid)
{
	unsigned long message = 99;

	say("-- options\n");
	SHOW(pt(PTRACE_SETOPTIONS, pid, 0, 0x7f));
	SHOW(pt(PTRACE_SETOPTIONS, pid, 0, 1 << 8));
	SHOW(pt(PTRACE_SETOPTIONS, pid, 0, 0));
	SHOW(pt(PTRACE_GETEVENTMSG, pid, 0, (long)&message));
	say("message %lu\n", message);
	SHOW(pt(PTRACE_GETEVENTMSG, pid, 0, 8));
	SHOW(pt(PTRACE_GETSIGINFO, pid, 0, 8));
	SHOW(pt(PTRACE_SINGLEBLOCK, pid, 0, 65));
}

int main(void)
{
	pid_t pid;

	no_core();
	readonly = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	who();
	pid = tracee(body);
	options(pid);
	memory(pid);
	registers(pid);
	signals(pid);
	return 0;
}
