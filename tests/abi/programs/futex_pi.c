/* SPDX-License-Identifier: Apache-2.0 */
/* abi-timeout: 60 */
/* Locks with priority inheritance: words, errors, circles, requeueing, dying owners, shared keys. */
#include "check.h"
#include <linux/futex.h>
#include <pthread.h>
#include <stddef.h>

#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif

static uint32_t a, b, c, cond;
static volatile int order_used;
static char order[64];

static long futex(uint32_t *word, int op, uint32_t val, void *timeout, uint32_t *word2, uint32_t val3)
{
	return syscall(SYS_futex, word, op, val, timeout, word2, val3);
}

static pid_t tid(void) { return syscall(SYS_gettid); }

/* Print a word with thread ids as names. */
static void word(const char *what, uint32_t value)
{
	uint32_t id = value & FUTEX_TID_MASK;

	say("%s: %s%s%s\n", what, !id ? "0" : id == (uint32_t)tid() ? "me" : "other",
	    value & FUTEX_WAITERS ? " waiters" : "", value & FUTEX_OWNER_DIED ? " died" : "");
}

static void pause_ms(int ms) { usleep(ms * 1000); }

/* Wait until a thread sleeps in a system call. */
static void until_asleep(pid_t id)
{
	char path[64], text[256], *at;

	snprintf(path, sizeof path, "/proc/self/task/%d/stat", id);
	for (int i = 0; i < 2000; i++) {
		int fd = open(path, O_RDONLY);
		ssize_t got = read(fd, text, sizeof text - 1);

		close(fd);
		if (got > 0) {
			text[got] = 0;
			at = strrchr(text, ')');
			if (at && at[2] == 'S')
				return;
		}
		usleep(500);
	}
}

static pthread_t spawn(void *(*body)(void *), void *argument, volatile pid_t *id)
{
	pthread_t thread;

	*id = 0;
	pthread_create(&thread, NULL, body, argument);
	while (!*id)
		usleep(100);
	until_asleep(*id);
	return thread;
}

static volatile pid_t ids[8];

static void *take_a(void *number)
{
	long result;

	ids[(long)number] = tid();
	result = futex(&a, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
	order[order_used++] = '0' + (long)number;
	if (result)
		say("thread: %s\n", strerrorname_np(errno));
	word("thread has it", a);
	futex(&a, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
	return NULL;
}

static void plain(void)
{
	pthread_t threads[3];

	SHOW(futex(&a, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
	SHOW(futex(&a, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0));
	word("taken", a);
	SHOW(futex(&a, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0));
	SHOW(futex(&a, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
	SHOW(futex(&a, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
	word("free", a);
	SHOW(futex(&a, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
	for (long i = 0; i < 3; i++)
		threads[i] = spawn(take_a, (void *)i, &ids[i]);
	word("wanted", a);
	SHOW(futex(&a, FUTEX_WAKE, 1, NULL, NULL, 0));
	SHOW(futex(&a, FUTEX_WAKE_BITSET, 1, NULL, NULL, 1));
	SHOW(futex(&a, FUTEX_REQUEUE, 0, (void *)1, &b, 0));
	SHOW(futex(&a, FUTEX_CMP_REQUEUE, 1, (void *)1, &b, a));
	futex(&a, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	word("at the end", a);
	say("order %s\n", order);
}

static void *try_a(void *unused)
{
	struct timespec soon, past = {1, 0}, bad = {0, -1};

	(void)unused;
	clock_gettime(CLOCK_REALTIME, &soon);
	soon.tv_nsec += 30000000;
	if (soon.tv_nsec >= 1000000000) {
		soon.tv_nsec -= 1000000000;
		soon.tv_sec++;
	}
	SHOW(futex(&a, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0));
	word("after trying", a);
	SHOW(futex(&a, FUTEX_LOCK_PI, 0, &past, NULL, 0));
	SHOW(futex(&a, FUTEX_LOCK_PI, 0, &soon, NULL, 0));
	clock_gettime(CLOCK_MONOTONIC, &soon);
	soon.tv_sec++;
	SHOW(futex(&a, FUTEX_LOCK_PI2, 0, &past, NULL, 0));
	SHOW(futex(&a, FUTEX_LOCK_PI2 | FUTEX_CLOCK_REALTIME, 0, &past, NULL, 0));
	SHOW(futex(&a, FUTEX_LOCK_PI | FUTEX_CLOCK_REALTIME, 0, &past, NULL, 0));
	SHOW(futex(&a, FUTEX_LOCK_PI, 0, &bad, NULL, 0));
	SHOW(futex(&a, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
	return NULL;
}

static void timeouts(void)
{
	pthread_t thread;

	SHOW(futex(&a, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
	pthread_create(&thread, NULL, try_a, NULL);
	pthread_join(thread, NULL);
	word("marked", a);
	SHOW(futex(&a, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
	word("free", a);
	a = 0x3fffff0;
	SHOW(futex(&a, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
	SHOW(futex(&a, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0));
	a = FUTEX_OWNER_DIED;
	SHOW(futex(&a, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
	word("inherited", a);
	SHOW(futex(&a, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
	a = 0;
	SHOW(futex((uint32_t *)((char *)&a + 1), FUTEX_LOCK_PI, 0, NULL, NULL, 0));
	SHOW(futex((uint32_t *)8, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
	SHOW(futex((uint32_t *)8, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
}

static void *b_then_a(void *unused)
{
	(void)unused;
	futex(&b, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
	ids[0] = tid();
	futex(&a, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
	futex(&a, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
	futex(&b, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
	return NULL;
}

static void *c_then_b(void *unused)
{
	(void)unused;
	futex(&c, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
	ids[1] = tid();
	futex(&b, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
	futex(&b, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
	futex(&c, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
	return NULL;
}

static void circles(void)
{
	pthread_t one, two;

	a = b = c = 0;
	futex(&a, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
	one = spawn(b_then_a, NULL, &ids[0]);
	two = spawn(c_then_b, NULL, &ids[1]);
	SHOW(futex(&b, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
	SHOW(futex(&c, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
	SHOW(futex(&c, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0));
	SHOW(futex(&a, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
	pthread_join(one, NULL);
	pthread_join(two, NULL);
	say("words %u %u %u\n", a, b, c);
}

static void *wait_cond(void *number)
{
	long result;

	ids[(long)number] = tid();
	result = futex(&cond, FUTEX_WAIT_REQUEUE_PI, 0, NULL, &a, 0);
	order[order_used++] = '0' + (long)number;
	say("waiter %ld %s\n", result, result ? strerrorname_np(errno) : "");
	word("waiter", a);
	futex(&a, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
	return NULL;
}

static void *wait_plain(void *number)
{
	ids[(long)number] = tid();
	SHOW(futex(&cond, FUTEX_WAIT, 0, NULL, NULL, 0));
	return NULL;
}

static void moves(void)
{
	struct timespec past = {0, 1};
	pthread_t threads[3];

	a = b = cond = 0;
	memset(order, 0, sizeof order);
	order_used = 0;
	SHOW(futex(&cond, FUTEX_WAIT_REQUEUE_PI, 1, NULL, &a, 0));
	SHOW(futex(&cond, FUTEX_WAIT_REQUEUE_PI, 0, NULL, &cond, 0));
	SHOW(futex(&cond, FUTEX_WAIT_REQUEUE_PI, 0, &past, &a, 0));
	SHOW(futex(&cond, FUTEX_WAIT_REQUEUE_PI, 0, NULL, (uint32_t *)8, 0));
	SHOW(futex(&cond, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &a, 1));
	SHOW(futex(&cond, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &a, 0));
	SHOW(futex(&cond, FUTEX_CMP_REQUEUE_PI, 2, (void *)1, &a, 0));
	SHOW(futex(&cond, FUTEX_CMP_REQUEUE_PI, 0, (void *)1, &a, 0));
	SHOW(futex(&cond, FUTEX_CMP_REQUEUE_PI, 1, (void *)-1L, &a, 0));
	SHOW(futex(&cond, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &cond, 0));
	/* The lock is free: the first waiter gets it at once, the others wait for it. */
	for (long i = 0; i < 3; i++)
		threads[i] = spawn(wait_cond, (void *)i, &ids[i]);
	SHOW(futex(&cond, FUTEX_WAKE, 1, NULL, NULL, 0));
	SHOW(futex(&cond, FUTEX_CMP_REQUEUE, 1, (void *)1, &b, 0));
	SHOW(futex(&cond, FUTEX_CMP_REQUEUE_PI, 1, (void *)9, &b, 0));
	long moved = futex(&cond, FUTEX_CMP_REQUEUE_PI, 1, (void *)9, &a, 0);

	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	say("moved %ld\n", moved);
	say("order %s word %u\n", order, a);
	/* The lock is ours: all wait for it. */
	order_used = 0;
	futex(&a, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
	for (long i = 0; i < 3; i++)
		threads[i] = spawn(wait_cond, (void *)i, &ids[i]);
	SHOW(futex(&cond, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &a, 0));
	word("after moving two", a);
	SHOW(futex(&cond, FUTEX_CMP_REQUEUE_PI, 1, (void *)0, &a, 0));
	SHOW(futex(&cond, FUTEX_CMP_REQUEUE_PI, 1, (void *)0, &a, 0));
	moved = futex(&a, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	say("unlocking %ld\n", moved);
	say("order %s word %u\n", order, a);
	/* Waiters of another kind. */
	threads[0] = spawn(wait_plain, (void *)0, &ids[0]);
	SHOW(futex(&cond, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &a, 0));
	SHOW(futex(&cond, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
	moved = futex(&cond, FUTEX_WAKE, 1, NULL, NULL, 0);
	pthread_join(threads[0], NULL);
	say("woken %ld\n", moved);
}

static void on_signal(int sig) { (void)sig; }

static void *interrupted(void *how)
{
	struct timespec end;

	ids[0] = tid();
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += 2;
	SHOW(futex(&cond, FUTEX_WAIT_REQUEUE_PI, 0, how ? &end : NULL, &a, 0));
	word("interrupted", a);
	return NULL;
}

/* A signal before the move lets the call begin again, one after it ends it with EAGAIN. */
static void signals(void)
{
	struct sigaction action = {.sa_handler = on_signal};
	pthread_t thread;

	a = cond = 0;
	sigaction(SIGUSR1, &action, NULL);
	futex(&a, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
	thread = spawn(interrupted, NULL, &ids[0]);
	syscall(SYS_tgkill, getpid(), ids[0], SIGUSR1);
	pause_ms(20);
	until_asleep(ids[0]);
	SHOW(futex(&cond, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &a, 0));
	until_asleep(ids[0]);
	syscall(SYS_tgkill, getpid(), ids[0], SIGUSR1);
	pthread_join(thread, NULL);
	SHOW(futex(&a, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
	say("word %u\n", a);
}

struct robust {
	struct robust *next;
	uint32_t lock;
} *shared;

static struct robust_list_head head;

static void die_with_lock(void)
{
	head.list.next = &head.list;
	head.futex_offset = offsetof(struct robust, lock);
	syscall(SYS_set_robust_list, &head, sizeof head);
	futex(&shared->lock, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
	shared->next = (void *)&head;
	head.list.next = (void *)((long)shared | 1);
	pause_ms(100);
}

/* A process dies with a lock in shared memory; another waits for it, or comes later. */
static void robust(int fd)
{
	int status;
	pid_t pid;

	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);
	memset(shared, 0, sizeof *shared);
	pid = fork();
	if (!pid) {
		die_with_lock();
		_exit(0);
	}
	while (!*(volatile uint32_t *)&shared->lock)
		usleep(100);
	SHOW(futex(&shared->lock, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
	word("from the dying", shared->lock);
	SHOW(futex(&shared->lock, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
	word("given back", shared->lock);
	waitpid(pid, &status, 0);
	shared->lock = 0;
	pid = fork();
	if (!pid) {
		die_with_lock();
		_exit(0);
	}
	waitpid(pid, &status, 0);
	word("of the dead", shared->lock);
	SHOW(futex(&shared->lock, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
	word("mine", shared->lock);
	SHOW(futex(&shared->lock, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
	munmap(shared, 4096);
}

/* Two mappings of a file have the same locks, private futexes of them don't. */
static void keys(int fd)
{
	uint32_t *one = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	uint32_t *two = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	pid_t pid;

	one[1] = 7;
	pid = fork();
	if (!pid) {
		long result = futex(two + 1, FUTEX_WAIT, 7, NULL, NULL, 0);

		_exit(result ? errno : 0);
	}
	pause_ms(50);
	SHOW(futex(one + 1, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0));
	int woken = 0;
	for (int i = 0; i < 200 && !woken; i++) {
		woken = futex(one + 1, FUTEX_WAKE, 1, NULL, NULL, 0);
		usleep(5000);
	}
	say("woken %d\n", woken);
	int status;
	waitpid(pid, &status, 0);
	say("status %x\n", status);
	SHOW(futex(one + 1, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, two + 1, 7));
	munmap(one, 4096);
	munmap(two, 4096);
}

int main(void)
{
	char name[] = "/tmp/futex_pi.XXXXXX";
	int fd = mkstemp(name);

	setvbuf(stdout, NULL, _IONBF, 0);
	unlink(name);
	ftruncate(fd, 4096);
	plain();
	timeouts();
	circles();
	moves();
	signals();
	robust(-1);
	robust(fd);
	keys(fd);
	return 0;
}
