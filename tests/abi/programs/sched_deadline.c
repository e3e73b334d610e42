/* SPDX-License-Identifier: Apache-2.0 */
/* abi-as: root */
/* abi-timeout: 60 */
/* SCHED_DEADLINE as user space sees it; slices; what sched_setattr(2) refuses, and in what order. */
#include "check.h"
#include <pthread.h>
#include <sys/prctl.h>

struct attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
	uint32_t min, max;
};

#define MS 1000000ull
#define FLAG_RESET 1
#define FLAG_OVERRUN 4
#define FLAG_KEEP_POLICY 8
#define FLAG_KEEP_PARAMS 16
#define FLAG_CLAMP_MIN 32

static int set(struct attr attr)
{
	if (!attr.size)
		attr.size = sizeof attr;
	return syscall(SYS_sched_setattr, 0, &attr, 0);
}

static struct attr get(pid_t pid)
{
	struct attr attr = {0};

	syscall(SYS_sched_getattr, pid, &attr, sizeof attr, 0);
	return attr;
}

static void show(void)
{
	struct attr a = get(0);

	say("policy %u flags %lu nice %d priority %u", a.policy, (unsigned long)a.flags, a.nice, a.priority);
	if (a.policy == SCHED_DEADLINE)
		say(" runtime %lu deadline %lu period %lu", (unsigned long)a.runtime,
		    (unsigned long)a.deadline, (unsigned long)a.period);
	say("\n");
}

static void parameters(void)
{
	struct timespec slice;

	SHOW(set((struct attr){.policy = SCHED_DEADLINE}));
	SHOW(set((struct attr){.policy = SCHED_DEADLINE, .runtime = 1000, .deadline = 10 * MS}));
	SHOW(set((struct attr){.policy = SCHED_DEADLINE, .runtime = 11 * MS, .deadline = 10 * MS}));
	SHOW(set((struct attr){.policy = SCHED_DEADLINE, .runtime = MS, .deadline = 10 * MS, .period = 9 * MS}));
	SHOW(set((struct attr){.policy = SCHED_DEADLINE, .runtime = 2000, .deadline = 3000}));
	SHOW(set((struct attr){.policy = SCHED_DEADLINE, .runtime = MS, .deadline = 5000 * MS}));
	SHOW(set((struct attr){.policy = SCHED_DEADLINE, .runtime = MS, .deadline = MS, .period = 1ull << 63}));
	SHOW(set((struct attr){.policy = SCHED_DEADLINE, .runtime = MS, .deadline = 10 * MS, .priority = 1}));
	SHOW(set((struct attr){.policy = SCHED_DEADLINE, .runtime = MS, .deadline = 10 * MS}));
	show();
	SHOW(sched_rr_get_interval(0, &slice));
	say("%ld %ld\n", (long)slice.tv_sec, slice.tv_nsec);
	SHOW(set((struct attr){.policy = SCHED_DEADLINE, .runtime = 2 * MS, .deadline = 10 * MS, .period = 20 * MS,
			       .flags = FLAG_OVERRUN}));
	show();
	SHOW(fork());
	SHOW(sched_getscheduler(0));
	SHOW(set((struct attr){.flags = FLAG_KEEP_POLICY | FLAG_KEEP_PARAMS}));
	show();
	SHOW(set((struct attr){.policy = SCHED_DEADLINE, .runtime = 2 * MS, .deadline = 10 * MS, .flags = FLAG_RESET}));
	show();
	pid_t child = fork();
	if (!child) {
		show();
		_exit(0);
	}
	waitpid(child, NULL, 0);
	SHOW(prctl(PR_GET_TIMERSLACK));
	SHOW(set((struct attr){.policy = SCHED_FIFO, .priority = 3}));
	show();
	SHOW(set((struct attr){.policy = SCHED_DEADLINE, .runtime = 2 * MS, .deadline = 10 * MS}));
	struct sched_param param = {0};
	SHOW(sched_setparam(0, &param));
	SHOW(sched_setscheduler(0, SCHED_DEADLINE, &param));
	SHOW(sched_setscheduler(0, SCHED_OTHER, &param));
	SHOW(prctl(PR_GET_TIMERSLACK));
	show();
}

static void admission(void)
{
	cpu_set_t one, all;
	int taken = 0;
	pid_t children[4096];

	sched_getaffinity(0, sizeof all, &all);
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	SHOW(set((struct attr){.policy = SCHED_DEADLINE, .runtime = MS, .deadline = 100 * MS}));
	if (CPU_COUNT(&all) > 1)
		SHOW(sched_setaffinity(0, sizeof one, &one));
	else
		say("sched_setaffinity(0, sizeof one, &one): -1 EBUSY\n");
	SHOW(sched_setaffinity(0, sizeof all, &all));
	SHOW(set((struct attr){.policy = SCHED_OTHER}));
	/* Take 40 % of a CPU each until no more is given. */
	for (; taken < 4096; taken++) {
		int ready[2];
		char answer;

		if (pipe(ready))
			break;
		children[taken] = fork();
		if (!children[taken]) {
			answer = set((struct attr){.policy = SCHED_DEADLINE, .runtime = 40 * MS, .deadline = 100 * MS})
					 ? errno
					 : 0;
			(void)!write(ready[1], &answer, 1);
			pause();
		}
		(void)!read(ready[0], &answer, 1);
		close(ready[0]);
		close(ready[1]);
		if (answer) {
			say("refused: %s\n", strerrorname_np(answer));
			break;
		}
	}
	IS(taken >= CPU_COUNT(&all) && taken <= 2 * CPU_COUNT(&all));
	for (int i = 0; i <= taken; i++) {
		kill(children[i], SIGKILL);
		waitpid(children[i], NULL, 0);
	}
	usleep(200000); /* Linux keeps what they had until their last period is over. */
	SHOW(set((struct attr){.policy = SCHED_DEADLINE, .runtime = 20 * MS, .deadline = 100 * MS}));
	SHOW(set((struct attr){.policy = SCHED_OTHER}));
	usleep(200000);
}

static double cpu(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec * 1e3 + ts.tv_nsec / 1e6;
}

static double wall(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e3 + ts.tv_nsec / 1e6;
}

static volatile int overruns;

static void on_overrun(int sig) { overruns += sig == SIGXCPU; }

/* 10 ms in each 50: a loop gets a fifth of the time, and is told each time if it wants to be. */
static void bandwidth(void)
{
	double begin, used, passed;

	signal(SIGXCPU, on_overrun);
	SHOW(set((struct attr){.policy = SCHED_DEADLINE, .runtime = 10 * MS, .deadline = 50 * MS, .flags = FLAG_OVERRUN}));
	begin = wall();
	used = cpu();
	while (wall() - begin < 500)
		;
	used = cpu() - used;
	passed = wall() - begin;
	IS(used / passed < 0.35);
	IS(overruns >= 3);
	/* Yielding gives up the rest of a period. */
	begin = wall();
	for (int i = 0; i < 5; i++)
		sched_yield();
	passed = wall() - begin;
	IS(passed > 140);
	SHOW(set((struct attr){.policy = SCHED_OTHER}));
}

static void slices(void)
{
	struct attr a;

	SHOW(set((struct attr){.policy = SCHED_OTHER, .runtime = 5 * MS}));
	say("%lu\n", (unsigned long)get(0).runtime);
	SHOW(set((struct attr){.policy = SCHED_BATCH, .runtime = 1}));
	say("%lu\n", (unsigned long)get(0).runtime);
	SHOW(set((struct attr){.policy = SCHED_OTHER, .runtime = 1000 * MS}));
	say("%lu\n", (unsigned long)get(0).runtime);
	pid_t child = fork();
	if (!child) {
		say("child %lu\n", (unsigned long)get(0).runtime);
		_exit(0);
	}
	waitpid(child, NULL, 0);
	SHOW(set((struct attr){.policy = SCHED_OTHER}));
	a = get(0);
	IS(a.runtime >= 100000 && a.runtime < 5 * MS);
	SHOW(nice(3));
	show();
	SHOW(set((struct attr){.policy = SCHED_OTHER}));
	show();
}

static void refused(void)
{
	struct attr small = {.size = 48, .flags = FLAG_CLAMP_MIN};

	SHOW(set((struct attr){.policy = 7}));
	SHOW(set((struct attr){.policy = 4}));
	SHOW(set((struct attr){.policy = 8}));
	SHOW(set((struct attr){.policy = -1}));
	SHOW(set((struct attr){.policy = SCHED_OTHER, .flags = 1u << 8}));
	SHOW(set((struct attr){.policy = SCHED_OTHER, .priority = 5}));
	SHOW(set((struct attr){.policy = SCHED_FIFO, .priority = 100}));
	SHOW(syscall(SYS_sched_setattr, 0, &small, 0));
	SHOW(set((struct attr){.policy = SCHED_OTHER, .nice = 100}));
	show();
	SHOW(set((struct attr){.policy = SCHED_OTHER, .nice = -100}));
	show();
	SHOW(set((struct attr){.policy = SCHED_OTHER, .nice = 0, .flags = FLAG_RESET}));
	show();
	SHOW(set((struct attr){.policy = SCHED_RR, .priority = 7, .flags = FLAG_KEEP_POLICY}));
	show();
	SHOW(set((struct attr){.policy = SCHED_RR, .priority = 7, .flags = FLAG_KEEP_PARAMS}));
	SHOW(set((struct attr){.policy = SCHED_IDLE, .nice = 4}));
	show();
}

static void unprivileged(void)
{
	SHOW(setresuid(12345, 12345, 12345));
	SHOW(set((struct attr){.policy = SCHED_DEADLINE}));
	SHOW(set((struct attr){.policy = SCHED_DEADLINE, .runtime = MS, .deadline = 10 * MS}));
	SHOW(set((struct attr){.policy = SCHED_OTHER, .nice = -1}));
	SHOW(set((struct attr){.policy = SCHED_OTHER, .nice = 2}));
	SHOW(set((struct attr){.policy = SCHED_OTHER, .nice = 1}));
	SHOW(set((struct attr){.policy = SCHED_OTHER, .nice = 2, .flags = FLAG_RESET}));
	SHOW(set((struct attr){.policy = SCHED_OTHER, .nice = 2}));
	SHOW(set((struct attr){.policy = SCHED_OTHER, .nice = 2, .runtime = 50 * MS}));
}

int main(void)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	in_child("parameters", parameters);
	in_child("admission", admission);
	in_child("bandwidth", bandwidth);
	in_child("slices", slices);
	in_child("refused", refused);
	in_child("unprivileged", unprivileged);
	return 0;
}
