/* SPDX-License-Identifier: Apache-2.0 */
/* rseq(2): registration, the numbers in the area, aborts by signals, preemption, membarrier. */
/* abi-cflags: -pthread */
/* abi-env: GLIBC_TUNABLES=glibc.pthread.rseq=0 */
#include "check.h"
#include <linux/membarrier.h>
#include <pthread.h>
#include <sys/auxv.h>

#define SIG 0x53053053

struct area {
	unsigned cpu_id_start, cpu_id;
	unsigned long cs;
	unsigned flags, node_id, mm_cid, pad;
} __attribute__((aligned(32)));

struct section {
	unsigned version, flags;
	unsigned long start, length, abort;
} __attribute__((aligned(32)));

static struct area first __attribute__((aligned(64)));
static char room[128] __attribute__((aligned(64)));
static volatile int entered, go_on, handled;
static volatile unsigned long seen_ip;

/* Stay in a critical section until it is aborted or go_on is set: 1 or 0. */
long stay(struct area *area, struct section *section, volatile int *go, volatile int *entered);
extern char stay_start[], stay_end[], stay_abort[];
asm(".text\n.globl stay\nstay:\n"
    "mov %rsi, 8(%rdi)\n"
    ".globl stay_start\nstay_start:\n"
    "movl $1, (%rcx)\n"
    "1: pause\n cmpl $0, (%rdx)\n je 1b\n"
    ".globl stay_end\nstay_end:\n"
    "movq $0, 8(%rdi)\n xor %eax, %eax\n ret\n"
    ".long 0x53053053\n"
    ".globl stay_abort\nstay_abort:\n"
    "mov $1, %eax\n ret\n");

static struct section good;

static void prepare(void)
{
	good = (struct section){
		0, 0, (long)stay_start, stay_end - stay_start, (long)stay_abort,
	};
}

static int rseq(void *area, unsigned length, int flags, unsigned sig)
{
	return syscall(SYS_rseq, area, length, flags, sig);
}

static void registration(void)
{
	struct area *odd = (struct area *)(room + 16);

	SHOW(rseq(NULL, 32, 1, SIG));
	SHOW(rseq(&first, 32, 2, SIG));
	SHOW(rseq(&first, 32, 3, SIG));
	SHOW(rseq(&first, 31, 0, SIG));
	SHOW(rseq(&first, 0, 0, SIG));
	SHOW(rseq(odd, 32, 0, SIG));
	SHOW(rseq(odd, 33, 0, SIG));
	SHOW(rseq((void *)(1L << 47), 32, 0, SIG));
	SHOW(rseq((void *)-32L, 32, 0, SIG));
	SHOW(rseq((void *)4096, 32, 0, SIG));
	first.cs = 0x1234;
	first.cpu_id = 77;
	SHOW(rseq(&first, 32, 0, SIG));
	IS(first.cpu_id == first.cpu_id_start && first.cpu_id == (unsigned)sched_getcpu());
	say("cs %lx flags %x node %u cid %u\n", first.cs, first.flags, first.node_id, first.mm_cid);
	SHOW(rseq(&first, 32, 0, SIG));
	SHOW(rseq(&first, 32, 0, SIG + 1));
	SHOW(rseq(&first, 64, 0, SIG));
	SHOW(rseq(room, 32, 0, SIG));
	SHOW(rseq(room, 32, 1, SIG));
	SHOW(rseq(&first, 64, 1, SIG));
	SHOW(rseq(&first, 32, 1, SIG + 1));
	SHOW(rseq(&first, 32, 1, SIG));
	say("%d %d %d %d\n", first.cpu_id_start, (int)first.cpu_id, first.node_id, first.mm_cid);
	SHOW(rseq(&first, 32, 1, SIG));
	SHOW(rseq(room, 64, 0, 5));
	SHOW(rseq(room, 64, 1, 5));
	say("%lu %lu\n", getauxval(27), getauxval(28));
}

static void forked(void)
{
	rseq(&first, 32, 0, SIG);
	if (fork() == 0) {
		SHOW(rseq(&first, 32, 0, SIG));
		first.cs = 0;
		IS(first.cpu_id < 1024);
		_exit(0);
	}
	wait(NULL);
	fflush(stdout);
	if (vfork() == 0) {
		SHOW(rseq(room, 32, 0, SIG));
		_exit(0);
	}
	SHOW(rseq(&first, 32, 0, SIG));
}

static void executed(void)
{
	rseq(&first, 32, 0, SIG);
	execl("/proc/self/exe", "self", "exec", NULL);
}

static void on_signal(int signo, siginfo_t *info, void *context)
{
	handled = signo;
	seen_ip = ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
	(void)info;
}

static void install(void)
{
	struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };

	sigaction(SIGALRM, &sa, NULL);
	sigaction(SIGUSR1, &sa, NULL);
	prepare();
	rseq(&first, 32, 0, SIG);
}

static void aborted_by_signal(void)
{
	struct itimerval timer = { { 0, 0 }, { 0, 20000 } };

	install();
	handled = 0;
	setitimer(ITIMER_REAL, &timer, NULL);
	SHOW(stay(&first, &good, &go_on, &entered));
	/* On a busy machine it may have been aborted before. */
	while (!handled)
		;
	say("cs %lx\n", first.cs);
	go_on = 1;
	SHOW(stay(&first, &good, &go_on, &entered) & 0);
	first.cs = (long)&good;
	raise(SIGUSR1);
	IS(seen_ip != (unsigned long)stay_abort);
	say("cs %lx\n", first.cs);
}

static void *compete(void *arg)
{
	entered = 2;
	while (!go_on)
		;
	return arg;
}

static void aborted_by_preemption(void)
{
	pthread_t thread;
	cpu_set_t one;
	int zero = 0;

	install();
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
	pthread_create(&thread, NULL, compete, NULL);
	SHOW(stay(&first, &good, &zero, &entered));
	go_on = 1;
	pthread_join(thread, NULL);
}

static void *barriers(void *arg)
{
	while (entered != 1)
		sched_yield();
	SHOW(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, 0, 0));
	return arg;
}

static void aborted_by_membarrier(void)
{
	pthread_t thread;
	int zero = 0;

	install();
	SHOW(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ, 0, 0));
	entered = 0;
	pthread_create(&thread, NULL, barriers, NULL);
	stay(&first, &good, &zero, &entered);
	pthread_join(thread, NULL);
}

static void moved(void)
{
	cpu_set_t old, one;
	int cpu, bad = 0, i;

	install();
	sched_getaffinity(0, sizeof(old), &old);
	for (i = 0; i < 20; i++)
		for (cpu = 0; cpu < 64; cpu++) {
			if (!CPU_ISSET(cpu, &old))
				continue;
			CPU_ZERO(&one);
			CPU_SET(cpu, &one);
			sched_setaffinity(0, sizeof(one), &one);
			bad += first.cpu_id != (unsigned)cpu || first.cpu_id_start != (unsigned)cpu;
			bad += sched_getcpu() != cpu || first.mm_cid != 0;
		}
	say("%d\n", bad);
}

/* Each of these ends in SIGSEGV when the signal comes. */
static void with_section(const struct section *section)
{
	static struct section bad;

	install();
	bad = *section;
	first.cs = (long)&bad;
	raise(SIGUSR1);
	say("handled %d\n", handled);
}

static void bad_version(void) { prepare(); good.version = 1; with_section(&good); }
static void bad_start(void) { prepare(); good.start = 1L << 47; with_section(&good); }
static void bad_length(void) { prepare(); good.length = 1L << 47; with_section(&good); }
static void bad_abort(void) { prepare(); good.abort = good.start + 1; with_section(&good); }
static void bad_high_abort(void) { prepare(); good.abort = 1L << 47; with_section(&good); }
static void bad_signature(void) { prepare(); good.abort++; with_section(&good); }
static void bad_flags_outside(void) { prepare(); good.flags = 7; with_section(&good); }
static void bad_pointer(void) { install(); first.cs = 8; raise(SIGUSR1); }
static void bad_high_pointer(void) { install(); first.cs = -8; raise(SIGUSR1); }

static void bad_flags(void)
{
	struct itimerval timer = { { 0, 0 }, { 0, 20000 } };

	install();
	good.flags = 1;
	setitimer(ITIMER_REAL, &timer, NULL);
	stay(&first, &good, &go_on, &entered);
	say("not here\n");
}

static void unmapped(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	install();
	rseq(&first, 32, 1, SIG);
	SHOW(rseq(page, 32, 0, SIG));
	munmap(page, 4096);
	raise(SIGUSR1);
	say("not here\n");
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		SHOW(rseq(&first, 32, 1, SIG));
		SHOW(rseq(room, 32, 0, SIG));
		return 0;
	}
	in_child("registration", registration);
	in_child("forked", forked);
	in_child("executed", executed);
	in_child("signal", aborted_by_signal);
	in_child("preemption", aborted_by_preemption);
	in_child("membarrier", aborted_by_membarrier);
	in_child("moved", moved);
	in_child("version", bad_version);
	in_child("start", bad_start);
	in_child("length", bad_length);
	in_child("abort", bad_abort);
	in_child("high abort", bad_high_abort);
	in_child("signature", bad_signature);
	in_child("flags outside", bad_flags_outside);
	in_child("pointer", bad_pointer);
	in_child("high pointer", bad_high_pointer);
	in_child("flags", bad_flags);
	in_child("unmapped", unmapped);
	return 0;
}
