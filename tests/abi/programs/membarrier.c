/* SPDX-License-Identifier: Apache-2.0 */
/* membarrier(2): commands, registrations, who shares them. */
/* abi-cflags: -pthread */
#include "check.h"
#include <linux/membarrier.h>
#include <pthread.h>

#ifndef MEMBARRIER_CMD_GET_REGISTRATIONS
#define MEMBARRIER_CMD_GET_REGISTRATIONS (1 << 9)
#endif

static int membarrier(int cmd, unsigned flags, int cpu)
{
	return syscall(SYS_membarrier, cmd, flags, cpu);
}

static void errors(void)
{
	SHOW(membarrier(MEMBARRIER_CMD_QUERY, 0, 0));
	SHOW(membarrier(MEMBARRIER_CMD_QUERY, 1, 0));
	SHOW(membarrier(-1, 0, 0));
	SHOW(membarrier(3, 0, 0));
	SHOW(membarrier(1 << 10, 0, 0));
	SHOW(membarrier(MEMBARRIER_CMD_GLOBAL, 0, 99));
	SHOW(membarrier(MEMBARRIER_CMD_GLOBAL, 1, 0));
	SHOW(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0));
	SHOW(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0));
	SHOW(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, 0, 0));
	SHOW(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, 1, 0));
	SHOW(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, 2, 0));
	SHOW(membarrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0));
	SHOW(membarrier(MEMBARRIER_CMD_GET_REGISTRATIONS, 0, 0));
	SHOW(membarrier(MEMBARRIER_CMD_GET_REGISTRATIONS, 1, 0));
}

static void registrations(void)
{
	static const int commands[] = {
		MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ,
		MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED,
		MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE,
		MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED,
	};
	int i;

	for (i = 0; i < 4; i++) {
		SHOW(membarrier(commands[i], 0, 0));
		SHOW(membarrier(MEMBARRIER_CMD_GET_REGISTRATIONS, 0, 0));
		SHOW(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0));
		SHOW(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0));
		SHOW(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, 0, 0));
	}
	SHOW(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, 1, 0));
	SHOW(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, 1, 99999));
	SHOW(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, 1, -5));
	if (fork() == 0) {
		SHOW(membarrier(MEMBARRIER_CMD_GET_REGISTRATIONS, 0, 0));
		_exit(0);
	}
	wait(NULL);
	execl("/proc/self/exe", "self", "exec", NULL);
}

static volatile int stop, count;
static void *spin(void *arg)
{
	while (!stop)
		count++;
	return arg;
}

static void with_threads(void)
{
	pthread_t thread;
	int i, bad = 0;

	membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
	membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ, 0, 0);
	pthread_create(&thread, NULL, spin, NULL);
	for (i = 0; i < 20; i++) {
		bad |= membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
		bad |= membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, 0, 0);
		bad |= membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, 1, i % 2);
		bad |= membarrier(MEMBARRIER_CMD_GLOBAL, 0, 0);
	}
	stop = 1;
	pthread_join(thread, NULL);
	say("%d\n", bad);
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		SHOW(membarrier(MEMBARRIER_CMD_GET_REGISTRATIONS, 0, 0));
		return 0;
	}
	in_child("errors", errors);
	in_child("registrations", registrations);
	in_child("threads", with_threads);
	return 0;
}
