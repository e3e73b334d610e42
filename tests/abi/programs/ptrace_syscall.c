/* SPDX-License-Identifier: Apache-2.0 */
/* System call stops: what a tracer sees and changes; steps; restarted calls. */
#include "ptrace.h"

struct info {
	uint8_t op, reserved;
	uint16_t flags;
	uint32_t arch;
	uint64_t ip, sp;
	union {
		struct {
			uint64_t nr, args[6];
		} entry;
		struct {
			int64_t rval;
			uint8_t is_error;
		} exit;
		uint64_t words[8];
	};
};

static void show_info(const char *what, pid_t pid)
{
	struct info info;
	long size;

	memset(&info, 0, sizeof info);
	size = pt(0x420e, pid, sizeof info, (long)&info);
	say("%s: size %ld op %d arch %x", what, size, info.op, info.arch);
	if (info.op == 1 && info.entry.nr == SYS_exit_group)
		say(" exit_group");
	else if (info.op == 1)
		say(" nr %ld arg0 %ld arg1 %ld", (long)info.entry.nr, (long)info.entry.args[0],
		    (long)info.entry.args[1]);
	else if (info.op == 2)
		say(" rval %ld error %d", (long)info.exit.rval, info.exit.is_error);
	say("\n");
}

static void show_regs(const char *what, pid_t pid)
{
	struct user_regs_struct regs;

	pt(PTRACE_GETREGS, pid, 0, (long)&regs);
	say("%s: orig_rax %lld rax %lld\n", what, (long long)regs.orig_rax, (long long)regs.rax);
}

static void to_syscall(const char *what, pid_t pid)
{
	pt(PTRACE_SYSCALL, pid, 0, 0);
	next_stop(what, pid);
	show_info(what, pid);
	show_regs(what, pid);
}

static volatile long result[4];

static void calls(void)
{
	result[0] = syscall(SYS_alarm, 0, 22);
	result[1] = syscall(SYS_alarm, 0, 33);
	result[2] = syscall(SYS_kill, 0, 77);
	result[3] = syscall(SYS_alarm, 0, 44);
	_exit(result[0] == 555 && result[1] == 0 && result[3] == 42 ? 0 : 1);
}

static void change(void)
{
	pid_t pid = tracee(calls);
	long out;

	say("-- change\n");
	SHOW(pt(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD));
	show_info("signal", pid);
	SHOW(pt(0x420e, pid, 8, (long)&out));
	to_syscall("entry 1", pid);
	to_syscall("exit 1", pid);
	pt(PTRACE_POKEUSER, pid, 8 * 10, 555); /* rax */
	to_syscall("entry 2", pid);
	pt(PTRACE_POKEUSER, pid, 8 * 15, SYS_close); /* orig_rax: another call */
	pt(PTRACE_POKEUSER, pid, 8 * 14, dup(0)); /* rdi */
	to_syscall("exit 2", pid);
	to_syscall("entry 3", pid);
	pt(PTRACE_POKEUSER, pid, 8 * 15, -1); /* none */
	to_syscall("exit 3", pid);
	to_syscall("entry 4", pid);
	pt(PTRACE_POKEUSER, pid, 8 * 15, -1);
	pt(PTRACE_POKEUSER, pid, 8 * 10, 42);
	to_syscall("exit 4", pid);
	pt(PTRACE_PEEKDATA, pid, (long)&result[2], (long)&out);
	say("skipped call gave %ld (errno %d)\n", out, ENOSYS);
	to_syscall("entry 5", pid);
	SHOW(pt(PTRACE_SYSCALL, pid, 0, 0));
	next_stop("end", pid);
}

static void emulated(void)
{
	long value = syscall(SYS_getppid);

	_exit(value == 1234 ? 3 : 4);
}

static void sysemu(void)
{
	pid_t pid = tracee(emulated);

	say("-- sysemu\n");
	SHOW(pt(PTRACE_SYSEMU, pid, 0, 0));
	next_stop("emulated", pid);
	show_regs("emulated", pid);
	pt(PTRACE_POKEUSER, pid, 8 * 10, 1234);
	SHOW(pt(PTRACE_SYSEMU, pid, 0, 0));
	next_stop("emulated", pid);
	show_regs("emulated", pid);
	pt(PTRACE_CONT, pid, 0, 0);
	next_stop("left alone", pid);
}

static void on_alarm(int sig)
{
	(void)sig;
}

static void sleeper(void)
{
	struct timespec time = { 0, 150000000 };
	char c;
	int fds[2];

	say("nanosleep %d\n", nanosleep(&time, NULL));
	signal(SIGUSR1, on_alarm);
	if (pipe(fds) < 0)
		_exit(1);
	if (fork() == 0) {
		usleep(100000);
		kill(getppid(), SIGUSR1);
		usleep(100000);
		_exit(write(fds[1], "x", 1) != 1);
	}
	say("read %zd\n", read(fds[0], &c, 1));
}

static void restarts(void)
{
	struct timespec wait = { 0, 30000000 };
	int status, stops = 0;
	pid_t pid = tracee(sleeper);

	say("-- restarts\n");
	pt(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD);
	do
		pt(PTRACE_SYSCALL, pid, 0, 0), waitpid(pid, &status, 0), stops++;
	while (stops < 100 && pt(PTRACE_PEEKUSER, pid, 120, (long)&result[0]) == 0 &&
	       result[0] != SYS_clock_nanosleep && result[0] != SYS_nanosleep);
	pt(PTRACE_SYSCALL, pid, 0, 0);
	nanosleep(&wait, NULL);
	kill(pid, SIGCHLD); /* ignored, but it interrupts a traced task */
	next_stop("interrupted", pid);
	show_regs("interrupted", pid);
	to_syscall("signal", pid);
	show_regs("signal", pid);
	to_syscall("again", pid);
	to_syscall("done", pid);
	for (;;) {
		pt(PTRACE_SYSCALL, pid, 0, 0);
		waitpid(pid, &status, 0);
		if (!WIFSTOPPED(status))
			break;
		if (WSTOPSIG(status) == SIGUSR1 || WSTOPSIG(status) == SIGCHLD) {
			show_regs("with a signal", pid);
			pt(PTRACE_CONT, pid, 0, WSTOPSIG(status));
			waitpid(pid, &status, 0);
			break;
		}
	}
	for (; WIFSTOPPED(status);) {
		pt(PTRACE_CONT, pid, 0, WSTOPSIG(status) & 0x7f);
		waitpid(pid, &status, 0);
	}
	show_status("end", status);
}

int main(void)
{
	no_core();
	change();
	sysemu();
	restarts();
	return 0;
}
