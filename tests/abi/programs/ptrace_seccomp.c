/* SPDX-License-Identifier: Apache-2.0 */
/* abi-as: root */
/* PTRACE_EVENT_SECCOMP, filters seen by a tracer, rseq and user dispatch of a tracee. */
#include "ptrace.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

#define NR(nr, action)                                       \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),       \
		BPF_STMT(BPF_RET | BPF_K, action)

static void filter(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		NR(SYS_alarm, SECCOMP_RET_TRACE | 7),
		NR(SYS_getpgid, SECCOMP_RET_ERRNO | 33),
		NR(SYS_kill, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { sizeof code / sizeof *code, code };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog);
}

static void body(void)
{
	filter();
	say("alarm: %ld errno %d\n", syscall(SYS_alarm, 0), errno);
	say("again: %ld errno %d\n", syscall(SYS_alarm, 0), errno);
	say("getpgid: %ld errno %d\n", syscall(SYS_getpgid, 0), errno);
	kill(getpid(), 0);
}

static void untraced(void)
{
	filter();
	errno = 0;
	say("without a tracer: %ld errno %d\n", syscall(SYS_alarm, 0), errno);
}

static void events(void)
{
	struct sock_filter insns[32];
	struct {
		uint64_t offset, flags;
	} metadata = { 0, 99 };
	unsigned long message = 0;
	char info[88];
	pid_t pid = tracee(body);
	long size;

	say("-- events\n");
	pt(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESECCOMP | PTRACE_O_TRACESYSGOOD);
	SHOW(pt(PTRACE_SECCOMP_GET_FILTER, pid, 0, 0));
	pt(PTRACE_CONT, pid, 0, 0);
	next_stop("first", pid);
	SHOW(pt(PTRACE_GETEVENTMSG, pid, 0, (long)&message));
	say("message %lu\n", message);
	size = pt(0x420e, pid, sizeof info, (long)info);
	say("info size %ld op %d nr %ld data %d\n", size, info[0], *(long *)(info + 24),
	    *(int *)(info + 80));
	SHOW(pt(PTRACE_SECCOMP_GET_FILTER, pid, 0, 0));
	SHOW(pt(PTRACE_SECCOMP_GET_FILTER, pid, 0, (long)insns));
	SHOW(pt(PTRACE_SECCOMP_GET_FILTER, pid, 1, 0));
	SHOW(pt(PTRACE_SECCOMP_GET_METADATA, pid, sizeof metadata, (long)&metadata));
	say("flags %lu\n", metadata.flags);
	/* Skip it, with a result. */
	pt(PTRACE_POKEUSER, pid, 8 * 15, -1);
	pt(PTRACE_POKEUSER, pid, 8 * 10, 4242);
	pt(PTRACE_CONT, pid, 0, 0);
	next_stop("second", pid);
	/* Another call: the filter sees it and denies it. */
	pt(PTRACE_POKEUSER, pid, 8 * 15, SYS_getpgid);
	pt(PTRACE_SYSCALL, pid, 0, 0);
	next_stop("its exit", pid);
	pt(PTRACE_CONT, pid, 0, 0);
	next_stop("third", pid);
	if (pt(PTRACE_GETEVENTMSG, pid, 0, (long)&message) == 0) {
		kill(pid, SIGKILL);
		next_stop("end", pid);
	}
}

static void suspended(void)
{
	pid_t pid = tracee(untraced);

	say("-- suspended\n");
	SHOW(pt(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_SUSPEND_SECCOMP));
	pt(PTRACE_CONT, pid, 0, 0);
	next_stop("end", pid);
	pid = tracee(untraced);
	pt(PTRACE_DETACH, pid, 0, 0);
	next_stop("end", pid);
}

static void configurations(void)
{
	struct {
		uint64_t addr;
		uint32_t size, signature, flags, pad;
	} rseq = { 1, 1, 1, 1, 1 };
	uint64_t dispatch[4] = { 9, 9, 9, 9 };
	pid_t pid = tracee(body);

	say("-- configurations\n");
	SHOW(pt(PTRACE_GET_RSEQ_CONFIGURATION, pid, sizeof rseq, (long)&rseq));
	say("size %u signature %x flags %u address %d\n", rseq.size, rseq.signature, rseq.flags,
	    rseq.addr != 0);
	SHOW(pt(0x4211, pid, sizeof dispatch, (long)dispatch));
	say("%lu %lu %lu %lu\n", dispatch[0], dispatch[1], dispatch[2], dispatch[3]);
	SHOW(pt(0x4211, pid, 8, (long)dispatch));
	dispatch[0] = 1;
	dispatch[2] = 0;
	dispatch[3] = 1UL << 46;
	SHOW(pt(0x4210, pid, sizeof dispatch, (long)dispatch));
	SHOW(pt(0x4211, pid, sizeof dispatch, (long)dispatch));
	say("%lu %lu %lu %lu\n", dispatch[0], dispatch[1], dispatch[2], dispatch[3]);
	dispatch[0] = 5;
	SHOW(pt(0x4210, pid, sizeof dispatch, (long)dispatch));
	kill(pid, SIGKILL);
	next_stop("end", pid);
}

int main(void)
{
	no_core();
	events();
	suspended();
	configurations();
	return 0;
}
