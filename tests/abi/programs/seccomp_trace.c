/* SPDX-License-Identifier: Apache-2.0 */
/* SECCOMP_RET_TRACE: a tracer sees calls, changes and skips them; filters read by ptrace(2). */
#include "check.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/user.h>

#define EQUAL(nr, then) \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1), BPF_STMT(BPF_RET | BPF_K, then)
static struct sock_filter code[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	EQUAL(SYS_getppid, SECCOMP_RET_TRACE | 7),
	EQUAL(SYS_getpgid, SECCOMP_RET_TRACE | 0xffff),
	EQUAL(SYS_getsid, SECCOMP_RET_ERRNO | EXDEV),
	EQUAL(SYS_mkdir, SECCOMP_RET_KILL_PROCESS),
	EQUAL(SYS_rmdir, SECCOMP_RET_TRAP | 5),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};
static struct sock_fprog prog = { sizeof(code) / sizeof(*code), code };

static void tracee(void)
{
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	ptrace(PTRACE_TRACEME, 0, 0, 0);
	raise(SIGSTOP);
	syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_LOG, &prog);
	SHOW(syscall(SYS_getppid) > 0);	/* left alone */
	SHOW(syscall(SYS_getppid));	/* skipped with a result */
	SHOW(syscall(SYS_getppid));	/* skipped without one */
	SHOW(syscall(SYS_getppid));	/* changed to getsid: the filters see that too */
	SHOW(syscall(SYS_getppid) == getpid());	/* changed to getpid */
	SHOW(syscall(SYS_getpgid, 999999) == getpgid(0));	/* argument changed, but traced again */
	SHOW(syscall(SYS_getppid));	/* changed to rmdir: SIGSYS */
	SHOW(syscall(SYS_getppid));	/* changed to mkdir: the end */
}

static void trace(unsigned long options)
{
	int status, count = 0;
	unsigned long message;
	struct user_regs_struct regs;
	siginfo_t info;
	pid_t pid = fork();

	if (pid == 0) {
		tracee();
		_exit(0);
	}
	waitpid(pid, &status, 0);
	SHOW(ptrace(PTRACE_SETOPTIONS, pid, 0, options));
	ptrace(PTRACE_CONT, pid, 0, 0);
	while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status)) {
		long signo = 0;

		if (status >> 8 == (SIGTRAP | PTRACE_EVENT_SECCOMP << 8)) {
			ptrace(PTRACE_GETEVENTMSG, pid, 0, &message);
			ptrace(PTRACE_GETREGS, pid, 0, &regs);
			say("event %d: message %lx nr %lld rax %lld\n", count, message, regs.orig_rax, regs.rax);
			switch (count++) {
			case 1:
				regs.orig_rax = -1;
				regs.rax = 4711;
				break;
			case 2:
				regs.orig_rax = -1;
				break;
			case 3:
				regs.orig_rax = SYS_getsid;
				break;
			case 4:
				regs.orig_rax = SYS_getpid;
				break;
			case 5:
				regs.rdi = 0;
				break;
			case 6:
				regs.orig_rax = SYS_rmdir;
				regs.rdi = 0;
				break;
			case 7:
				regs.orig_rax = SYS_mkdir;
			}
			ptrace(PTRACE_SETREGS, pid, 0, &regs);
		} else {
			ptrace(PTRACE_GETSIGINFO, pid, 0, &info);
			say("stop %x signal %d code %d errno %d\n", status, info.si_signo, info.si_code,
			    info.si_signo == SIGSYS ? info.si_errno : 0);
			signo = WSTOPSIG(status) == SIGSYS && count == 7 ? 0 : WSTOPSIG(status);
		}
		ptrace(PTRACE_CONT, pid, 0, signo);
	}
	say("end %x\n", status & 0x7f ? status & 0x7f : status);
}

static void with_option(void) { trace(PTRACE_O_TRACESECCOMP); }
static void without_option(void) { trace(0); }

static void both_stops(void)
{
	int status, i;
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog);
		raise(SIGSTOP);
		syscall(SYS_getppid);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESECCOMP | PTRACE_O_TRACESYSGOOD);
	for (i = 0; i < 12; i++) {
		struct __ptrace_syscall_info info = { 0 };

		ptrace(PTRACE_SYSCALL, pid, 0, 0);
		if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
			break;
		ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info);
		say("stop %x op %d", status, info.op);
		if (info.op == PTRACE_SYSCALL_INFO_SECCOMP)
			say(" nr %lld data %x", info.seccomp.nr, info.seccomp.ret_data);
		if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
			say(" nr %lld", info.entry.nr);
		say("\n");
	}
	say("end %x\n", status);
}

static void read_filters(void)
{
	struct sock_filter copy[20];
	struct { unsigned long long offset, flags; } meta = { 0, 0 };
	int status;
	long count;
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_LOG, &prog);
		raise(SIGSTOP);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	SHOW(ptrace(PTRACE_SECCOMP_GET_FILTER, pid, 0, copy));
	SHOW(ptrace(PTRACE_SECCOMP_GET_METADATA, pid, sizeof(meta), &meta));
	ptrace(PTRACE_CONT, pid, 0, 0);
	waitpid(pid, &status, 0);
	count = SHOW(ptrace(PTRACE_SECCOMP_GET_FILTER, pid, 0, NULL));
	SHOW(ptrace(PTRACE_SECCOMP_GET_FILTER, pid, 0, copy));
	IS(count > 0 && !memcmp(copy, code, count * 8));
	SHOW(ptrace(PTRACE_SECCOMP_GET_FILTER, pid, 1, copy));
	SHOW(ptrace(PTRACE_SECCOMP_GET_FILTER, pid, 0, (void *)8));
	SHOW(ptrace(PTRACE_SECCOMP_GET_METADATA, pid, sizeof(meta), &meta));
	say("%llu %llu\n", meta.offset, meta.flags);
	SHOW(ptrace(PTRACE_SECCOMP_GET_METADATA, pid, 8, &meta));
	SHOW(ptrace(PTRACE_SECCOMP_GET_METADATA, pid, 7, &meta));
	meta.offset = 5;
	SHOW(ptrace(PTRACE_SECCOMP_GET_METADATA, pid, sizeof(meta), &meta));
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
}

int main(void)
{
	signal(SIGSYS, SIG_DFL);
	in_child("with option", with_option);
	in_child("without option", without_option);
	in_child("both stops", both_stops);
	in_child("read", read_filters);
	return 0;
}
