/* SPDX-License-Identifier: Apache-2.0 */
/* abi-as: root */
/* Real-time policies on one CPU: who runs first, who is pushed aside, who lends priority. */
#include "check.h"
#include <pthread.h>
#include <semaphore.h>

static char order[64];
static int filled;
static sem_t gate;
static pthread_mutex_t mutex;
static volatile int stop;

static void mark(char what) { order[__atomic_fetch_add(&filled, 1, __ATOMIC_SEQ_CST)] = what; }

static pthread_t start(int policy, int priority, void *(*body)(void *), void *argument)
{
	struct sched_param param = {.sched_priority = priority};
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
	pthread_attr_setschedpolicy(&attr, policy);
	pthread_attr_setschedparam(&attr, &param);
	errno = pthread_create(&thread, &attr, body, argument);
	if (errno)
		say("pthread_create %s\n", strerrorname_np(errno));
	return thread;
}

static void show(const char *what)
{
	say("%s: %s\n", what, order);
	memset(order, 0, sizeof order);
	filled = 0;
}

static void *waiter(void *name)
{
	sem_wait(&gate);
	mark((char)(long)name);
	return NULL;
}

static void *marker(void *name)
{
	mark((char)(long)name);
	return NULL;
}

static void *yielder(void *name)
{
	for (int i = 0; i < 3; i++) {
		mark((char)(long)name);
		sched_yield();
	}
	return NULL;
}

static void *spinner(void *name)
{
	struct timespec start, now;

	clock_gettime(CLOCK_MONOTONIC, &start);
	mark((char)(long)name);
	do
		clock_gettime(CLOCK_MONOTONIC, &now);
	while ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000 < 60);
	mark((char)((long)name + 'A' - 'a'));
	return NULL;
}

static void by_priority(void)
{
	pthread_t threads[4];

	sem_init(&gate, 0, 0);
	threads[0] = start(SCHED_FIFO, 20, waiter, (void *)'l');
	threads[1] = start(SCHED_FIFO, 40, waiter, (void *)'h');
	threads[2] = start(SCHED_RR, 30, waiter, (void *)'m');
	threads[3] = start(SCHED_FIFO, 40, waiter, (void *)'i');
	usleep(20000);
	for (int i = 0; i < 4; i++)
		sem_post(&gate);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	show("woken by priority");
}

static void preempting(void)
{
	pthread_t one, two, three;

	/* We have priority 10: the higher one runs at once, the lower one when we wait. */
	one = start(SCHED_FIFO, 5, marker, (void *)'l');
	two = start(SCHED_FIFO, 15, marker, (void *)'h');
	three = start(SCHED_FIFO, 10, marker, (void *)'e');
	mark('m');
	pthread_join(one, NULL);
	pthread_join(two, NULL);
	pthread_join(three, NULL);
	show("pushed aside");
}

static void yielding(void)
{
	pthread_t a = start(SCHED_FIFO, 8, yielder, (void *)'a');
	pthread_t b = start(SCHED_FIFO, 8, yielder, (void *)'b');

	pthread_join(a, NULL);
	pthread_join(b, NULL);
	show("taking turns");
}

static void no_slices(void)
{
	pthread_t a = start(SCHED_FIFO, 8, spinner, (void *)'a');
	pthread_t b = start(SCHED_FIFO, 8, spinner, (void *)'b');

	pthread_join(a, NULL);
	pthread_join(b, NULL);
	show("one after the other");
}

static void *holder(void *unused)
{
	struct timespec start, now;

	(void)unused;
	pthread_mutex_lock(&mutex);
	mark('1');
	sem_post(&gate);
	clock_gettime(CLOCK_MONOTONIC, &start);
	do
		clock_gettime(CLOCK_MONOTONIC, &now);
	while ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000 < 60);
	mark('2');
	pthread_mutex_unlock(&mutex);
	mark('6');
	return NULL;
}

static void *wanter(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&mutex);
	mark('3');
	pthread_mutex_unlock(&mutex);
	mark('4');
	return NULL;
}

static void inheritance(void)
{
	pthread_mutexattr_t attr;
	pthread_t low, middle, high;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
	SHOW(pthread_mutex_init(&mutex, &attr));
	sem_init(&gate, 0, 0);
	low = start(SCHED_FIFO, 2, holder, NULL);
	sem_wait(&gate);
	/* The middle one would keep the low one from its lock for ever, but for the loan. */
	high = start(SCHED_FIFO, 6, wanter, NULL);
	middle = start(SCHED_FIFO, 4, marker, (void *)'5');
	pthread_join(high, NULL);
	pthread_join(middle, NULL);
	pthread_join(low, NULL);
	show("priority inherited");
}

int main(void)
{
	struct sched_param param = {.sched_priority = 10};
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	SHOW(sched_setaffinity(0, sizeof set, &set));
	SHOW(sched_getcpu());
	SHOW(sched_setscheduler(0, SCHED_FIFO, &param));
	by_priority();
	preempting();
	yielding();
	no_slices();
	inheritance();
	return 0;
}
