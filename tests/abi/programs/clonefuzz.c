/* SPDX-License-Identifier: Apache-2.0 */
/* clone and clone3 with flags by chance, the same ones in both places: which are refused, with
 * what error, and what the child shares of those that are not (T-RACE-07).
 * abi-timeout: 60 */
#include "check.h"
#include <linux/sched.h>

static uint64_t state = 88172645463325252ull;

static uint64_t next(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

struct args {
	uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
		set_tid_size, cgroup;
};

/* Without namespaces, and what kills or stops the parent. */
static const uint64_t bits[] = {
	CLONE_VM, CLONE_FS, CLONE_FILES, CLONE_SIGHAND, CLONE_PIDFD, CLONE_VFORK, CLONE_PARENT,
	CLONE_THREAD, CLONE_SYSVSEM, CLONE_PARENT_SETTID, CLONE_CHILD_CLEARTID, CLONE_DETACHED,
	CLONE_UNTRACED, CLONE_CHILD_SETTID, CLONE_CLEAR_SIGHAND, CLONE_IO,
};

static char stack[65536] __attribute__((aligned(16)));
static volatile int done, shared_word;
static int parent_tid, child_tid, pidfd;

/* What the child does, without a library that believes in threads. */
static int child(void)
{
	shared_word = 7;
	syscall(SYS_chdir, "sub");
	syscall(SYS_dup2, 1, 77);
	done = 1;
	syscall(SYS_exit, 3);
	return 0;
}

static long raw_clone(long flags, void *sp)
{
	long ret;
	register long r10 asm("r10") = (long)&child_tid;
	register long r8 asm("r8") = 0;

	asm volatile("syscall\n\ttest %%rax, %%rax\n\tjnz 1f\n\txor %%ebp, %%ebp\n\tcall *%[f]\n1:"
		     : "=a"(ret)
		     : "0"((long)SYS_clone), "D"(flags), "S"(sp), "d"(&parent_tid), "r"(r10), "r"(r8),
		       [f] "b"(child)
		     : "rcx", "r11", "memory");
	return ret;
}

static long raw_clone3(struct args *args, long size)
{
	long ret;

	asm volatile("syscall\n\ttest %%rax, %%rax\n\tjnz 1f\n\txor %%ebp, %%ebp\n\tcall *%[f]\n1:"
		     : "=a"(ret)
		     : "0"((long)SYS_clone3), "D"(args), "S"(size), [f] "b"(child)
		     : "rcx", "r11", "memory");
	return ret;
}

static void report(long ret, uint64_t flags)
{
	int status = 0, got;
	char where[512];

	if (ret < 0) {
		say("%s\n", strerrorname_np(-ret));
		return;
	}
	if (flags & CLONE_THREAD) {
		for (int i = 0; i < 20000 && !(flags & CLONE_CHILD_CLEARTID ? !child_tid : done); i++)
			usleep(50);
		usleep(200);
		say("thread");
	} else {
		got = waitpid(ret, &status, __WALL);
		say("%s %x", got == ret ? "child" : strerrorname_np(errno), status);
		if (got == -1) { /* CLONE_PARENT: not ours */
			struct pollfd p = { syscall(SYS_pidfd_open, ret, 0), POLLIN, 0 };

			if (p.fd >= 0) /* else somebody has waited for it already */
				poll(&p, 1, 500);
			close(p.fd);
		}
	}
	getcwd(where, sizeof(where));
	say(" word %d dir %d fd %d ptid %d ctid %d pidfd %d\n", shared_word,
	    !strcmp(where + strlen(where) - 3, "sub"), fcntl(77, F_GETFD) != -1, parent_tid == ret,
	    child_tid == ret ? 1 : child_tid ? 2 : 0, pidfd > 0);
}

static void one(int i)
{
	struct args args = { 0 };
	uint64_t flags = 0;
	int number = next() % 5, three = next() & 1;

	while (number--)
		flags |= bits[next() % (sizeof(bits) / sizeof(*bits))];
	if (!(next() % 8))
		flags |= 1ull << (next() % 41);
	flags &= ~(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
		   CLONE_NEWPID | CLONE_NEWNET | CLONE_PTRACE | CLONE_SETTLS);
	if (three)
		flags &= ~(uint64_t)CLONE_NEWTIME;
	else
		flags = (flags & 0xffffff00) | (next() & 1 ? SIGCHLD : next() % 4 ? 0 : next() & 255);
	args.exit_signal = next() & 1 ? SIGCHLD : next() % 4 ? 0 : next() % 100;
	flags &= ~CLONE_INTO_CGROUP;
	if (flags & CLONE_VM || next() & 1) {
		args.stack = (uintptr_t)stack;
		args.stack_size = sizeof(stack) - (next() % 8 ? 0 : 64);
		if (!(next() % 16) && three)
			args.stack_size = 0;
	}
	args.flags = flags;
	args.pidfd = (uintptr_t)&pidfd;
	args.parent_tid = (uintptr_t)&parent_tid;
	args.child_tid = (uintptr_t)&child_tid;
	if (!(next() % 16))
		args.set_tid = next() & 1;
	if (!(next() % 16))
		args.set_tid_size = next() % 40;
	say("%d %s %#lx stack %d signal %ld: ", i, three ? "clone3" : "clone", flags,
	    args.stack ? (int)args.stack_size : 0, three ? (long)args.exit_signal : 0);
	if (three && args.stack && !args.stack_size)
		say("(bad) ");
	/* In a process of its own: what is shared does no harm there. */
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		signal(SIGALRM, SIG_DFL);
		for (int s = 1; s < 65; s++)
			if (s != SIGCHLD && s != SIGKILL && s != SIGSTOP)
				signal(s, SIG_IGN);
		if (three)
			report(raw_clone3(&args, 88), flags);
		else
			report(raw_clone(flags, args.stack ? stack + args.stack_size : 0), flags);
		_exit(0);
	}
	int status, siblings = 0;
	pid_t ended;
	while ((ended = waitpid(-1, &status, __WALL)) > 0) {
		siblings += ended != pid;
		if (status != (ended == pid ? 0 : 0x300))
			say("ended %x\n", status);
	}
	if (siblings)
		say("%d: a sibling\n", i);
}

int main(void)
{
	mkdir("sub", 0700);
	for (int i = 0; i < 600; i++)
		one(i);
	struct args args = { .exit_signal = SIGCHLD };
	say("%ld %ld\n", raw_clone3(&args, 0), raw_clone3(&args, 63));
	say("%ld %ld %ld\n", raw_clone3(&args, 4097), raw_clone3((void *)8, 88), raw_clone3(NULL, 4096));
	char big[128] = { 0 };
	memcpy(big, &args, sizeof(args));
	big[100] = 1;
	say("%ld\n", raw_clone3((void *)big, 128));
	rmdir("sub");
	return 0;
}
