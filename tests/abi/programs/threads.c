/* SPDX-License-Identifier: Apache-2.0 */
/* POSIX threads: locks, conditions, barriers, thread-local storage, cancellation. */
/* abi-cflags: -pthread */
#include "check.h"
#include <pthread.h>
#include <semaphore.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static sem_t sem;
static __thread int local = 7;
static long sum, turns, destroyed;
static int queue[16], head, tail;

static int inits;
static void init_once(void) { inits++; }
static void destroy(void *value) { __atomic_add_fetch(&destroyed, (long)value, __ATOMIC_SEQ_CST); }

static void *add(void *arg)
{
	pthread_once(&once, init_once);
	pthread_setspecific(key, arg);
	local += (long)arg;
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < 10000; i++) {
		pthread_mutex_lock(&lock);
		sum++;
		pthread_mutex_unlock(&lock);
	}
	return (void *)(long)local;
}

static void *produce(void *arg)
{
	for (int i = 1; i <= 200; i++) {
		pthread_mutex_lock(&lock);
		while (head - tail == 16)
			pthread_cond_wait(&cond, &lock);
		queue[head++ % 16] = i;
		pthread_cond_broadcast(&cond);
		pthread_mutex_unlock(&lock);
	}
	return arg;
}

static void *consume(void *arg)
{
	for (int i = 0; i < 200; i++) {
		pthread_mutex_lock(&lock);
		while (head == tail)
			pthread_cond_wait(&cond, &lock);
		turns += queue[tail++ % 16];
		pthread_cond_broadcast(&cond);
		pthread_mutex_unlock(&lock);
	}
	return arg;
}

static void *sleeper(void *arg)
{
	sem_post(&sem);
	for (;;)
		pause();
	return arg;
}

static void *quick(void *arg) { return arg; }

static void *leave(void *arg)
{
	exit((int)(long)arg);
}

static void exit_from_thread(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, leave, (void *)17);
	for (;;)
		pause();
}

static void main_thread_leaves(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, quick, NULL);
	pthread_exit(NULL);
}

static void *crash(void *arg)
{
	*(volatile int *)8 = 0;
	return arg;
}

static void crash_in_thread(void)
{
	pthread_t thread;

	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	pthread_create(&thread, NULL, crash, NULL);
	for (;;)
		pause();
}

int main(void)
{
	pthread_t threads[8], other;
	struct timespec past = { 1, 0 };
	void *value;

	pthread_key_create(&key, destroy);
	pthread_barrier_init(&barrier, NULL, 8);
	for (long i = 0; i < 8; i++)
		SHOW(pthread_create(&threads[i], NULL, add, (void *)(i + 1)));
	for (int i = 0; i < 8; i++) {
		pthread_join(threads[i], &value);
		say("thread %d: %ld\n", i, (long)value);
	}
	say("sum %ld local %d destroyed %ld inits %d\n", sum, local, destroyed, inits);
	pthread_create(&threads[0], NULL, produce, NULL);
	pthread_create(&threads[1], NULL, consume, NULL);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	say("turns %ld\n", turns);
	pthread_mutex_lock(&lock);
	say("%s\n", strerrorname_np(pthread_cond_timedwait(&cond, &lock, &past)));
	say("%s\n", strerrorname_np(pthread_mutex_trylock(&lock)));
	pthread_mutex_unlock(&lock);
	sem_init(&sem, 0, 0);
	pthread_create(&other, NULL, sleeper, NULL);
	sem_wait(&sem);
	SHOW(pthread_cancel(other));
	pthread_join(other, &value);
	IS(value == PTHREAD_CANCELED);
	for (int i = 0; i < 100; i++) {
		pthread_create(&other, NULL, quick, (void *)(long)i);
		pthread_join(other, &value);
		if ((long)value != i)
			say("thread %d returned %ld\n", i, (long)value);
	}
	IS(syscall(SYS_gettid) == getpid());
	in_child("exit from thread", exit_from_thread);
	in_child("main thread leaves", main_thread_leaves);
	in_child("crash in thread", crash_in_thread);
	return 0;
}
