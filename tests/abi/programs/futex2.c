/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for several words, futex(2) in pieces, words that cannot be reached. */
#include "check.h"
#include <linux/futex.h>
#include <pthread.h>

struct waitv {
	uint64_t val, uaddr;
	uint32_t flags, reserved;
};

#define WAITV(v, n, flags, ts, clock) syscall(449, v, n, flags, ts, clock)
#define FWAKE(addr, mask, n, flags) syscall(454, addr, mask, n, flags)
#define FWAIT(addr, val, mask, flags, ts, clock) syscall(455, addr, val, mask, flags, ts, clock)
#define FREQUEUE(v, flags, wake, move) syscall(456, v, flags, wake, move)
#define FUTEX(addr, op, val, ts, addr2, val3) syscall(SYS_futex, addr, op, val, ts, addr2, val3)

static uint32_t words[3];

static void *waker(void *mask)
{
	while (FWAKE(&words[1], (long)mask, 1, 2 | 128) != 1)
		usleep(1000);
	return NULL;
}

static void in_thread(long mask, long (*wait)(void))
{
	pthread_t thread;

	pthread_create(&thread, NULL, waker, (void *)mask);
	SHOW(wait());
	pthread_join(thread, NULL);
}

static struct waitv v[3] = {
	{0, (uintptr_t)&words[0], 2 | 128, 0},
	{0, (uintptr_t)&words[1], 2 | 128, 0},
	{0, (uintptr_t)&words[2], 2 | 128, 0},
};

static long wait_many(void) { return WAITV(v, 3, 0, NULL, 0); }
static long wait_one(void) { return FWAIT(&words[1], 0, 4, 2 | 128, NULL, 0); }

static void errors(void)
{
	struct timespec now, bad = {0, -1};

	clock_gettime(CLOCK_MONOTONIC, &now);
	SHOW(WAITV(v, 0, 0, NULL, 0));
	SHOW(WAITV(v, 129, 0, NULL, 0));
	SHOW(WAITV(NULL, 1, 0, NULL, 0));
	SHOW(WAITV((void *)8, 1, 0, NULL, 0));
	SHOW(WAITV(v, 3, 1, NULL, 0));
	SHOW(WAITV(v, 3, 0, &now, 7));
	SHOW(WAITV(v, 3, 0, &bad, CLOCK_MONOTONIC));
	SHOW(WAITV(v, 3, 0, (void *)8, CLOCK_MONOTONIC));
	SHOW(WAITV(v, 3, 0, &now, CLOCK_MONOTONIC));
	SHOW(WAITV(v, 3, 0, &now, CLOCK_REALTIME));
	v[2].val = 1;
	SHOW(WAITV(v, 3, 0, NULL, 0));
	v[2].val = 1ull << 32;
	SHOW(WAITV(v, 3, 0, NULL, 0));
	v[2].val = 0;
	v[2].reserved = 1;
	SHOW(WAITV(v, 3, 0, NULL, 0));
	v[2].reserved = 0;
	v[2].flags = 3;
	SHOW(WAITV(v, 3, 0, NULL, 0));
	v[2].flags = 2 | 64;
	SHOW(WAITV(v, 3, 0, NULL, 0));
	v[2].flags = 2 | 128;
	v[2].uaddr++;
	SHOW(WAITV(v, 3, 0, NULL, 0));
	v[2].uaddr = 0;
	SHOW(WAITV(v, 3, 0, NULL, 0));
	v[2].uaddr = (uintptr_t)&words[2];
	SHOW(FWAIT(&words[0], 1, -1u, 2, NULL, 0));
	SHOW(FWAIT(&words[0], 0, 0, 2, NULL, 0));
	SHOW(FWAIT(&words[0], 0, -1u, 0, NULL, 0));
	SHOW(FWAIT(&words[0], 0, -1u, 2, &now, CLOCK_MONOTONIC));
	SHOW(FWAKE(&words[0], 0, 1, 2));
	SHOW(FWAKE(&words[0], 1, 1, 2));
	SHOW(FWAKE(&words[0], 1ul << 32, 1, 2));
	SHOW(FREQUEUE(v, 0, 1, 1));
	SHOW(FREQUEUE(v, 1, 1, 1));
	SHOW(FREQUEUE(v, 0, -1, 1));
	SHOW(FREQUEUE(NULL, 0, 1, 1));
}

static void unreachable(void)
{
	uint32_t *none = mmap(NULL, 4096, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint32_t *read_only = mmap(NULL, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint32_t *mine = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = open("short", O_RDWR | O_CREAT, 0600);
	uint32_t *past = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	void *high = (void *)0xffff800000000000;

	SHOW(FUTEX(none, FUTEX_WAKE, 1, NULL, NULL, 0));
	SHOW(FUTEX(none, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
	SHOW(FUTEX(none, FUTEX_WAIT_PRIVATE, 1, NULL, NULL, 0));
	SHOW(FUTEX(read_only, FUTEX_WAKE, 1, NULL, NULL, 0));
	SHOW(FUTEX(read_only, FUTEX_WAIT, 1, NULL, NULL, 0));
	SHOW(FUTEX(mine, FUTEX_WAKE, 1, NULL, NULL, 0));
	SHOW(FUTEX(past, FUTEX_WAKE, 1, NULL, NULL, 0));
	SHOW(FUTEX(8, FUTEX_WAKE, 1, NULL, NULL, 0));
	SHOW(FUTEX(8, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
	SHOW(FUTEX(high, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
	SHOW(FUTEX(words, FUTEX_CMP_REQUEUE, 1, 1, none, 0));
	SHOW(FUTEX(words, FUTEX_CMP_REQUEUE_PRIVATE, 1, 1, none, 0));
	SHOW(FUTEX(words, FUTEX_WAKE_OP, 1, 1, read_only, 0));
	SHOW(FUTEX(words, FUTEX_WAKE_OP_PRIVATE, 1, 1, read_only, 0));
	SHOW(FUTEX(read_only, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
	SHOW(FUTEX(none, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0));
	SHOW(FUTEX(none, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
}

int main(void)
{
	errors();
	in_thread(-1u, wait_many);
	in_thread(6, wait_one);
	unreachable();
	return 0;
}
