/* SPDX-License-Identifier: Apache-2.0 */
/* seccomp(2): what is accepted, what each action does, chains, threads. */
/* abi-cflags: -pthread */
#include "check.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/prctl.h>

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RET(value) BPF_STMT(BPF_RET | BPF_K, value)
#define EQUAL(k, jt, jf) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, k, jt, jf)
#define PROG(...)                                                                 \
	(&(struct sock_fprog){                                                    \
		sizeof((struct sock_filter[]){ __VA_ARGS__ }) / 8,                \
		(struct sock_filter[]){ __VA_ARGS__ },                            \
	})
/* One action for getppid(), all else allowed. */
#define ON_GETPPID(action) \
	PROG(LOAD(nr), EQUAL(SYS_getppid, 0, 1), RET(action), RET(SECCOMP_RET_ALLOW))

static long seccomp(unsigned op, unsigned flags, void *args)
{
	return syscall(SYS_seccomp, op, flags, args);
}

static void no_new_privs(void)
{
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static void errors(void)
{
	static struct sock_filter many[4097];
	struct sock_fprog prog = { 0, many };
	unsigned action = SECCOMP_RET_ALLOW;
	unsigned short sizes[3] = { 0 };
	int i;

	for (i = 0; i < 4097; i++)
		many[i] = (struct sock_filter)RET(SECCOMP_RET_ALLOW);
	SHOW(seccomp(99, 0, NULL));
	SHOW(seccomp(SECCOMP_SET_MODE_STRICT, 1, NULL));
	SHOW(seccomp(SECCOMP_SET_MODE_STRICT, 0, &prog));
	SHOW(seccomp(SECCOMP_SET_MODE_FILTER, 64, &prog));
	SHOW(seccomp(SECCOMP_SET_MODE_FILTER, 0, NULL));
	SHOW(seccomp(SECCOMP_SET_MODE_FILTER, 0, (void *)8));
	SHOW(seccomp(SECCOMP_SET_MODE_FILTER, 0, &prog));
	SHOW(seccomp(SECCOMP_SET_MODE_FILTER, 1 | 8, &prog));
	SHOW(seccomp(SECCOMP_SET_MODE_FILTER, 32, &prog));
	SHOW(seccomp(SECCOMP_GET_ACTION_AVAIL, 0, &action));
	SHOW(seccomp(SECCOMP_GET_ACTION_AVAIL, 1, &action));
	SHOW(seccomp(SECCOMP_GET_ACTION_AVAIL, 0, NULL));
	action = 0x12340000;
	SHOW(seccomp(SECCOMP_GET_ACTION_AVAIL, 0, &action));
	SHOW(seccomp(SECCOMP_GET_NOTIF_SIZES, 0, sizes));
	say("%d %d %d\n", sizes[0], sizes[1], sizes[2]);
	SHOW(seccomp(SECCOMP_GET_NOTIF_SIZES, 1, sizes));
	SHOW(seccomp(SECCOMP_GET_NOTIF_SIZES, 0, (void *)8));
	SHOW(prctl(PR_SET_SECCOMP, 0));
	SHOW(prctl(PR_SET_SECCOMP, 3));
	SHOW(prctl(PR_SET_SECCOMP, 2, 0));
	no_new_privs();
	prog.len = 4097;
	SHOW(seccomp(SECCOMP_SET_MODE_FILTER, 0, &prog));
	prog.len = 3;
	prog.filter = (void *)8;
	SHOW(seccomp(SECCOMP_SET_MODE_FILTER, 0, &prog));
	SHOW(prctl(PR_GET_SECCOMP));
}

static void try(const char *what, struct sock_fprog *prog)
{
	long result = seccomp(SECCOMP_SET_MODE_FILTER, 0, prog);

	say("%s: %s\n", what, result ? strerrorname_np(errno) : "good");
}

#define A RET(SECCOMP_RET_ALLOW)
static void verifier(void)
{
	no_new_privs();
	try("no return", PROG(LOAD(nr)));
	try("jump behind the end", PROG(BPF_STMT(BPF_JMP | BPF_JA, 1), A));
	try("jump back", PROG(A, BPF_STMT(BPF_JMP | BPF_JA, -2), A));
	try("branch behind the end", PROG(EQUAL(0, 0, 1), A));
	try("branch", PROG(EQUAL(0, 0, 0), A));
	try("div 0", PROG(BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), A));
	try("div x", PROG(BPF_STMT(BPF_LDX | BPF_IMM, 1), BPF_STMT(BPF_ALU | BPF_DIV | BPF_X, 0), A));
	try("mod", PROG(BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, 3), A));
	try("mod x", PROG(BPF_STMT(BPF_ALU | BPF_MOD | BPF_X, 3), A));
	try("xor", PROG(BPF_STMT(BPF_ALU | BPF_XOR | BPF_K, 3), A));
	try("xor x", PROG(BPF_STMT(BPF_ALU | BPF_XOR | BPF_X, 3), A));
	try("neg", PROG(BPF_STMT(BPF_ALU | BPF_NEG, 3), A));
	try("neg x", PROG(BPF_STMT(BPF_ALU | BPF_NEG | BPF_X, 3), A));
	try("shift 32", PROG(BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 32), A));
	try("shift 31", PROG(BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 31), A));
	try("memory 16", PROG(BPF_STMT(BPF_ST, 16), A));
	try("memory unset", PROG(BPF_STMT(BPF_LD | BPF_MEM, 3), A));
	try("memory", PROG(BPF_STMT(BPF_ST, 3), BPF_STMT(BPF_LDX | BPF_MEM, 3), A));
	try("memory on one path", PROG(EQUAL(0, 1, 0), BPF_STMT(BPF_ST, 3), BPF_STMT(BPF_LD | BPF_MEM, 3), A));
	try("offset 64", PROG(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64), A));
	try("offset 60", PROG(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 60), A));
	try("offset 62", PROG(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 62), A));
	try("half word", PROG(BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 0), A));
	try("byte", PROG(BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0), A));
	try("indirect", PROG(BPF_STMT(BPF_LD | BPF_W | BPF_IND, 0), A));
	try("length", PROG(BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0), A));
	try("length x", PROG(BPF_STMT(BPF_LDX | BPF_W | BPF_LEN, 0), A));
	try("msh", PROG(BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0), A));
	try("ancillary", PROG(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SKF_AD_OFF), A));
	try("ret x", PROG(BPF_STMT(BPF_RET | BPF_X, 0)));
	try("ret a", PROG(BPF_STMT(BPF_LD | BPF_IMM, SECCOMP_RET_ALLOW), BPF_STMT(BPF_RET | BPF_A, 0)));
	try("garbage", PROG({ 0xffff, 0, 0, 0 }, A));
	try("tax txa", PROG(BPF_STMT(BPF_MISC | BPF_TAX, 0), BPF_STMT(BPF_MISC | BPF_TXA, 0), A));
	SHOW(prctl(PR_GET_SECCOMP));
}

static void filter(unsigned action)
{
	no_new_privs();
	if (seccomp(SECCOMP_SET_MODE_FILTER, 0, ON_GETPPID(action)))
		say("filter: %s\n", strerrorname_np(errno));
}

static void returns(void)
{
	filter(SECCOMP_RET_ALLOW);
	IS(getppid() > 0);
	filter(SECCOMP_RET_LOG);
	IS(getppid() > 0);
	filter(SECCOMP_RET_TRACE | 5);
	SHOW(getppid());
	filter(SECCOMP_RET_USER_NOTIF);
	SHOW(getppid());
	filter(SECCOMP_RET_ERRNO | EXDEV);
	SHOW(getppid());
	filter(SECCOMP_RET_ERRNO | EBUSY);
	SHOW(getppid());
	filter(SECCOMP_RET_ALLOW);
	SHOW(getppid());
	filter(SECCOMP_RET_ERRNO | 0xffff);
	SHOW(syscall(SYS_getppid));
	filter(SECCOMP_RET_ERRNO);
	SHOW(syscall(SYS_getppid));
}

static void kill_process(void) { filter(SECCOMP_RET_KILL_PROCESS); getppid(); }
static void kill_thread(void) { filter(SECCOMP_RET_KILL_THREAD); getppid(); }
static void kill_unknown(void) { filter(0x00010000); getppid(); }
static void kill_unknown_high(void) { filter(0x90000000); getppid(); }
static void trap_default(void) { filter(SECCOMP_RET_TRAP); getppid(); }

static void kill_blocked(void)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	signal(SIGSYS, SIG_IGN);
	kill_process();
}

static void kill_wins(void)
{
	filter(SECCOMP_RET_KILL_PROCESS);
	filter(SECCOMP_RET_KILL_THREAD);
	getppid();
}

static void *calls(void *arg)
{
	syscall(SYS_getppid);
	return arg;
}

static void kill_one_thread(void)
{
	pthread_t thread;
	void *value = &thread;

	no_new_privs();
	seccomp(SECCOMP_SET_MODE_FILTER, 0, ON_GETPPID(SECCOMP_RET_KILL_THREAD));
	pthread_create(&thread, NULL, calls, NULL);
	pthread_join(thread, &value);
	say("still here\n");
}

static void kill_all_threads(void)
{
	pthread_t thread;

	filter(SECCOMP_RET_KILL_PROCESS);
	pthread_create(&thread, NULL, calls, NULL);
	pthread_join(thread, NULL);
	say("not here\n");
}

static void on_sigsys(int signo, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	unsigned char *at = info->si_call_addr;

	say("signal %d code %d errno %d nr %s arch %x after syscall %d rip %d rax %lld\n", signo,
	    info->si_code, info->si_errno, info->si_syscall == SYS_getppid ? "getppid" : "?",
	    info->si_arch, at[-2] == 0x0f && at[-1] == 0x05,
	    (void *)uc->uc_mcontext.gregs[REG_RIP] == info->si_call_addr,
	    uc->uc_mcontext.gregs[REG_RAX]);
	uc->uc_mcontext.gregs[REG_RAX] = 4711;
}

static void trap_handled(void)
{
	struct sigaction sa = { .sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO };

	sigaction(SIGSYS, &sa, NULL);
	filter(SECCOMP_RET_TRAP | 77);
	SHOW(syscall(SYS_getppid));
}

static void arguments(void)
{
	no_new_privs();
	SHOW(seccomp(SECCOMP_SET_MODE_FILTER, 0,
		     PROG(LOAD(nr), EQUAL(SYS_dup2, 0, 8), LOAD(args[0]), EQUAL(0x12345678, 0, 6),
			  BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 20), EQUAL(0x9abcdef0, 0, 4), LOAD(args[1]),
			  BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 100, 0, 1), RET(SECCOMP_RET_ERRNO | EXDEV),
			  RET(SECCOMP_RET_ERRNO | EDOM), RET(SECCOMP_RET_ALLOW))));
	SHOW(syscall(SYS_dup2, 0x9abcdef012345678, 101));
	SHOW(syscall(SYS_dup2, 0x9abcdef012345678, 100));
	SHOW(syscall(SYS_dup2, 0x8abcdef012345678, 101));
	SHOW(syscall(SYS_dup2, 0x9abcdef012345679, 101));
	SHOW(seccomp(SECCOMP_SET_MODE_FILTER, 0,
		     PROG(LOAD(arch), EQUAL(AUDIT_ARCH_X86_64, 0, 4), LOAD(nr), EQUAL(-1, 0, 1),
			  RET(SECCOMP_RET_ERRNO | ENOTBLK), RET(SECCOMP_RET_ALLOW), RET(SECCOMP_RET_KILL_PROCESS))));
	SHOW(syscall(-1));
	SHOW(syscall(9999));
	SHOW(syscall(0x100000000 | SYS_getpid) == getpid());
}

static void strict(void)
{
	SHOW(prctl(PR_SET_SECCOMP, 1));
	write(1, "written\n", 8);
	syscall(SYS_exit, 7);
}

static void strict_violated(void)
{
	SHOW(seccomp(SECCOMP_SET_MODE_STRICT, 0, NULL));
	getppid();
}

static void strict_exit_group(void)
{
	prctl(PR_SET_SECCOMP, 1);
	syscall(SYS_exit_group, 7);
}

static void strict_after_filter(void)
{
	filter(SECCOMP_RET_ALLOW);
	SHOW(prctl(PR_GET_SECCOMP));
	SHOW(prctl(PR_SET_SECCOMP, 1));
}

static void show_status(void)
{
	FILE *status = fopen("/proc/self/status", "r");
	char line[200];

	while (fgets(line, sizeof(line), status))
		if (!strncmp(line, "Seccomp", 7) || !strncmp(line, "NoNewPrivs", 10))
			say("%s", line);
	fclose(status);
}

static void inherited(void)
{
	filter(SECCOMP_RET_ERRNO | EXDEV);
	filter(SECCOMP_RET_ALLOW);
	show_status();
	SHOW(getppid());
}

static void across_fork_and_exec(void)
{
	filter(SECCOMP_RET_ERRNO | EXDEV);
	in_child("child", inherited);
	show_status();
	execl("/bin/sh", "sh", "-c", "grep -a Seccomp /proc/self/status", NULL);
}

static pthread_barrier_t barrier;
static struct sock_fprog *thread_prog;

static void *threaded(void *arg)
{
	if (thread_prog)
		seccomp(SECCOMP_SET_MODE_FILTER, 0, thread_prog);
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	*(long *)arg = syscall(SYS_getppid) == -1 ? errno : 0;
	return NULL;
}

static void sync_threads(void)
{
	pthread_t thread;
	long result = -1;

	pthread_barrier_init(&barrier, NULL, 2);
	no_new_privs();
	pthread_create(&thread, NULL, threaded, &result);
	pthread_barrier_wait(&barrier);
	SHOW(seccomp(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, ON_GETPPID(SECCOMP_RET_ERRNO | EXDEV)));
	pthread_barrier_wait(&barrier);
	pthread_join(thread, NULL);
	say("thread: %s\n", strerrorname_np(result));
}

static void sync_fails(void)
{
	pthread_t thread;
	long result = -1;

	pthread_barrier_init(&barrier, NULL, 2);
	no_new_privs();
	thread_prog = ON_GETPPID(SECCOMP_RET_ERRNO | EDOM);
	pthread_create(&thread, NULL, threaded, &result);
	pthread_barrier_wait(&barrier);
	IS(seccomp(SECCOMP_SET_MODE_FILTER, 1, ON_GETPPID(SECCOMP_RET_ERRNO | EXDEV)) > 0);
	SHOW(seccomp(SECCOMP_SET_MODE_FILTER, 1 | 16, ON_GETPPID(SECCOMP_RET_ERRNO | EXDEV)));
	SHOW(prctl(PR_GET_SECCOMP));
	SHOW(seccomp(SECCOMP_SET_MODE_FILTER, 2 | 4, ON_GETPPID(SECCOMP_RET_ERRNO | EBUSY)));
	SHOW(prctl(PR_GET_SECCOMP));
	pthread_barrier_wait(&barrier);
	pthread_join(thread, NULL);
	say("thread: %s\n", strerrorname_np(result));
	SHOW(getppid());
}

static void limit_with(const char *what, struct sock_filter insn, int len)
{
	static struct sock_filter many[4096];
	struct sock_fprog prog = { len, many };
	int i, count = 0;

	for (i = 1; i < len - 1; i++)
		many[i] = insn;
	many[0] = many[len - 1] = (struct sock_filter)A;
	while (!seccomp(SECCOMP_SET_MODE_FILTER, 0, &prog) && count < 1000)
		count++;
	say("%s: %d filters, then %s", what, count, strerrorname_np(errno));
	many[len - prog.len] = (struct sock_filter)A;
	while (--prog.len && seccomp(SECCOMP_SET_MODE_FILTER, 0, &prog)) {
		prog.filter++;
		*prog.filter = (struct sock_filter)A;
	}
	say(", then one of %d\n", prog.len);
}

static void limit_loads(void) { no_new_privs(); limit_with("loads", (struct sock_filter)LOAD(nr), 4000); }
static void limit_returns(void) { no_new_privs(); limit_with("returns", (struct sock_filter)RET(7), 1000); }
static void limit_jumps(void) { no_new_privs(); limit_with("jumps", (struct sock_filter)EQUAL(5, 0, 0), 1000); }
static void limit_both(void)
{
	struct sock_filter filters[6] = {
		A, EQUAL(0x90000000, 1, 2), A, A, BPF_STMT(BPF_ALU | BPF_DIV | BPF_X, 0), A,
	};
	struct sock_fprog prog = { 6, filters };
	int count = 0;

	no_new_privs();
	while (!seccomp(SECCOMP_SET_MODE_FILTER, 0, &prog))
		count++;
	say("both ways: %d\n", count);
	filters[1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 5, 0, 1);
	for (count = 0, prog.len = 4; !seccomp(SECCOMP_SET_MODE_FILTER, 0, &prog) && count < 9;)
		count++;
	say("then %d\n", count);
}

static void restarted(void)
{
	struct timespec one = { 0, 50000000 };
	struct itimerval timer = { { 0, 10000000 }, { 0, 10000000 } };
	struct sigaction sa = { .sa_handler = SIG_IGN };
	int p[2];
	char byte;

	filter(SECCOMP_RET_ERRNO | EXDEV);
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	SHOW(nanosleep(&one, NULL));
	pipe(p);
	if (fork() == 0) {
		nanosleep(&one, NULL);
		write(p[1], "x", 1);
		_exit(0);
	}
	SHOW(read(p[0], &byte, 1));
}

int main(void)
{
	in_child("errors", errors);
	in_child("verifier", verifier);
	in_child("returns", returns);
	in_child("kill process", kill_process);
	in_child("kill thread", kill_thread);
	in_child("kill unknown", kill_unknown);
	in_child("kill unknown high", kill_unknown_high);
	in_child("kill blocked", kill_blocked);
	in_child("kill wins", kill_wins);
	in_child("kill one thread", kill_one_thread);
	in_child("kill all threads", kill_all_threads);
	in_child("trap", trap_default);
	in_child("trap handled", trap_handled);
	in_child("arguments", arguments);
	in_child("strict", strict);
	in_child("strict violated", strict_violated);
	in_child("strict exit_group", strict_exit_group);
	in_child("strict after filter", strict_after_filter);
	in_child("fork and exec", across_fork_and_exec);
	in_child("sync", sync_threads);
	in_child("sync fails", sync_fails);
	in_child("limit", limit_loads);
	in_child("limit", limit_returns);
	in_child("limit", limit_jumps);
	in_child("limit", limit_both);
	in_child("restart", restarted);
	return 0;
}
