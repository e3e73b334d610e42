/* SPDX-License-Identifier: Apache-2.0 */
/* abi-as: root */
/* Policies, priorities and affinity: what is accepted, kept and refused. */
#include "check.h"
#include <pthread.h>

struct attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
	uint32_t min, max;
};

static struct sched_param param;

static int set(int policy, int priority)
{
	param.sched_priority = priority;
	return sched_setscheduler(0, policy, &param);
}

static void policies(void)
{
	struct timespec slice;

	for (int policy = -1; policy < 9; policy++) {
		say("policy %d\n", policy);
		SHOW(sched_get_priority_max(policy));
		SHOW(sched_get_priority_min(policy));
		SHOW(set(policy, 0));
		SHOW(set(policy, 1));
		SHOW(set(policy, 99));
		SHOW(set(policy, 100));
		SHOW(set(policy, -1));
		SHOW(set(policy | SCHED_RESET_ON_FORK, 0));
		SHOW(sched_getscheduler(0));
		SHOW(sched_getparam(0, &param));
		say("priority %d\n", param.sched_priority);
	}
	SHOW(set(SCHED_RR, 5));
	SHOW(sched_rr_get_interval(0, &slice));
	say("%ld %ld\n", (long)slice.tv_sec, slice.tv_nsec);
	SHOW(getpriority(PRIO_PROCESS, 0));
	SHOW(setpriority(PRIO_PROCESS, 0, 3));
	param.sched_priority = 7;
	SHOW(sched_setparam(0, &param));
	param.sched_priority = 0;
	SHOW(sched_setparam(0, &param));
	SHOW(set(SCHED_FIFO, 5));
	SHOW(sched_rr_get_interval(0, &slice));
	say("%ld %ld\n", (long)slice.tv_sec, slice.tv_nsec);
	SHOW(set(SCHED_OTHER, 0));
	SHOW(getpriority(PRIO_PROCESS, 0));
	SHOW(setpriority(PRIO_PROCESS, 0, 0));
}

static void errors(void)
{
	struct timespec slice;

	SHOW(sched_setscheduler(-1, SCHED_OTHER, &param));
	SHOW(sched_setscheduler(0x3fffffff, SCHED_OTHER, &param));
	SHOW(sched_setscheduler(0, SCHED_OTHER, NULL));
	SHOW(syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, 8));
	SHOW(sched_getscheduler(-1));
	SHOW(sched_getscheduler(0x3fffffff));
	SHOW(sched_getparam(-1, &param));
	SHOW(sched_getparam(0, NULL));
	SHOW(sched_getparam(0x3fffffff, &param));
	SHOW(sched_setparam(0x3fffffff, &param));
	SHOW(sched_setparam(-1, &param));
	SHOW(sched_rr_get_interval(-1, &slice));
	SHOW(sched_rr_get_interval(0x3fffffff, &slice));
	SHOW(syscall(SYS_sched_rr_get_interval, 0, 8));
	SHOW(getpriority(7, 0));
	SHOW(getpriority(PRIO_PROCESS, 0x3fffffff));
	SHOW(getpriority(PRIO_PROCESS, -1));
	SHOW(setpriority(PRIO_PGRP, 0x3fffffff, 0));
	SHOW(setpriority(PRIO_USER, 54321, 0));
	SHOW(setpriority(PRIO_PROCESS, 0, 77));
	SHOW(getpriority(PRIO_PROCESS, 0));
	SHOW(setpriority(PRIO_PROCESS, 0, -77));
	SHOW(getpriority(PRIO_PROCESS, 0));
	SHOW(nice(5));
	SHOW(nice(100));
	SHOW(nice(-100));
	SHOW(setpriority(PRIO_PROCESS, 0, 0));
}

static void attributes(void)
{
	struct attr attr = {.size = sizeof attr}, zero = {0};

	SHOW(syscall(SYS_sched_getattr, 0, &attr, sizeof attr, 0));
	say("size %u policy %u nice %d\n", attr.size, attr.policy, attr.nice);
	SHOW(syscall(SYS_sched_getattr, 0, &attr, 47, 0));
	SHOW(syscall(SYS_sched_getattr, 0, &attr, 4097, 0));
	SHOW(syscall(SYS_sched_getattr, 0, &attr, sizeof attr, 1));
	SHOW(syscall(SYS_sched_getattr, 0, NULL, sizeof attr, 0));
	SHOW(syscall(SYS_sched_getattr, -1, &attr, sizeof attr, 0));
	SHOW(syscall(SYS_sched_getattr, 0x3fffffff, &attr, sizeof attr, 0));
	SHOW(syscall(SYS_sched_setattr, 0, &zero, 0));
	zero.size = 10;
	SHOW(syscall(SYS_sched_setattr, 0, &zero, 0));
	say("size %u\n", zero.size);
	zero.size = 48;
	zero.policy = SCHED_FIFO;
	SHOW(syscall(SYS_sched_setattr, 0, &zero, 0));
	zero.priority = 3;
	SHOW(syscall(SYS_sched_setattr, 0, &zero, 0));
	SHOW(sched_getscheduler(0));
	SHOW(syscall(SYS_sched_setattr, 0, &zero, 1));
	SHOW(syscall(SYS_sched_setattr, 0, NULL, 0));
	SHOW(syscall(SYS_sched_setattr, -1, &zero, 0));
	zero.flags = 1ull << 40;
	SHOW(syscall(SYS_sched_setattr, 0, &zero, 0));
	zero.flags = 0;
	zero.priority = 0;
	zero.policy = 0;
	zero.nice = 7;
	SHOW(syscall(SYS_sched_setattr, 0, &zero, 0));
	SHOW(getpriority(PRIO_PROCESS, 0));
	SHOW(setpriority(PRIO_PROCESS, 0, 0));
}

static void affinity(void)
{
	cpu_set_t set, none;

	CPU_ZERO(&none);
	SHOW(sched_getaffinity(0, sizeof set, &set) == 0);
	SHOW(sched_getaffinity(0, 4, &set));
	SHOW(sched_getaffinity(0, 0, &set));
	SHOW(sched_getaffinity(0x3fffffff, sizeof set, &set));
	SHOW(syscall(SYS_sched_getaffinity, 0, 128, 8));
	SHOW(sched_setaffinity(0, sizeof none, &none));
	SHOW(sched_setaffinity(0x3fffffff, sizeof set, &set));
	SHOW(syscall(SYS_sched_setaffinity, 0, 128, 8));
	for (int cpu = 0; cpu < CPU_COUNT(&set) && cpu < 2; cpu++) {
		CPU_ZERO(&none);
		CPU_SET(cpu, &none);
		SHOW(sched_setaffinity(0, sizeof none, &none));
		IS(sched_getcpu() == cpu);
	}
}

static void unprivileged(void)
{
	struct rlimit limit = {0, 0}, up = {10, 10};

	setrlimit(RLIMIT_RTPRIO, &limit);
	setrlimit(RLIMIT_NICE, &limit);
	SHOW(setresuid(12345, 12345, 12345));
	SHOW(set(SCHED_FIFO, 2));
	SHOW(set(SCHED_FIFO, 3));
	SHOW(set(SCHED_RR, 1));
	SHOW(set(SCHED_OTHER, 0));
	SHOW(set(SCHED_IDLE, 0));
	SHOW(set(SCHED_OTHER, 0));
	SHOW(nice(15));
	SHOW(nice(-3));
	SHOW(nice(-15));
	SHOW(setpriority(PRIO_PROCESS, 1, 5));
	SHOW(sched_setscheduler(1, SCHED_BATCH, &param));
	param.sched_priority = 0;
	SHOW(sched_setscheduler(1, SCHED_OTHER, &param));
	cpu_set_t all;
	sched_getaffinity(0, sizeof all, &all);
	SHOW(sched_setaffinity(1, sizeof all, &all));
	SHOW(setrlimit(RLIMIT_RTPRIO, &up));
}

int main(void)
{
	policies();
	errors();
	attributes();
	affinity();
	in_child("unprivileged", unprivileged);
	return 0;
}
