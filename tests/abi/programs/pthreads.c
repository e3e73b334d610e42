/* SPDX-License-Identifier: Apache-2.0 */
/* Locks, conditions, barriers and cancellation, also between processes. */
#include "check.h"
#include <pthread.h>
#include <semaphore.h>

#define SAY(call) say("%s = %s\n", #call, ({ int e_ = (call); e_ ? strerrorname_np(e_) : "0"; }))

struct shared {
	pthread_mutex_t mutex, robust;
	pthread_cond_t cond;
	pthread_barrier_t barrier;
	pthread_rwlock_t rwlock;
	sem_t sem;
	int value;
};

static struct shared *s;

static struct timespec in_ms(clockid_t clock, int ms)
{
	struct timespec t;

	clock_gettime(clock, &t);
	t.tv_nsec += ms * 1000000L;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return t;
}

static void prepare(void)
{
	pthread_mutexattr_t mutex;
	pthread_condattr_t cond;
	pthread_barrierattr_t barrier;
	pthread_rwlockattr_t rwlock;

	s = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_mutexattr_init(&mutex);
	pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
	SAY(pthread_mutex_init(&s->mutex, &mutex));
	pthread_mutexattr_setrobust(&mutex, PTHREAD_MUTEX_ROBUST);
	SAY(pthread_mutex_init(&s->robust, &mutex));
	pthread_condattr_init(&cond);
	pthread_condattr_setpshared(&cond, PTHREAD_PROCESS_SHARED);
	SAY(pthread_condattr_setclock(&cond, CLOCK_MONOTONIC));
	SAY(pthread_cond_init(&s->cond, &cond));
	pthread_barrierattr_init(&barrier);
	pthread_barrierattr_setpshared(&barrier, PTHREAD_PROCESS_SHARED);
	SAY(pthread_barrier_init(&s->barrier, &barrier, 3));
	pthread_rwlockattr_init(&rwlock);
	pthread_rwlockattr_setpshared(&rwlock, PTHREAD_PROCESS_SHARED);
	SAY(pthread_rwlock_init(&s->rwlock, &rwlock));
	SHOW(sem_init(&s->sem, 1, 0));
}

static void worker(void)
{
	for (int i = 0; i < 200; i++) {
		pthread_mutex_lock(&s->mutex);
		s->value++;
		pthread_mutex_unlock(&s->mutex);
	}
	pthread_barrier_wait(&s->barrier);
	pthread_mutex_lock(&s->mutex);
	while (s->value < 1000)
		pthread_cond_wait(&s->cond, &s->mutex);
	s->value++;
	pthread_mutex_unlock(&s->mutex);
	sem_post(&s->sem);
	_exit(0);
}

static void processes(void)
{
	struct timespec soon;

	for (int i = 0; i < 2; i++)
		if (!fork())
			worker();
	pthread_barrier_wait(&s->barrier);
	say("counted %d\n", s->value);
	pthread_mutex_lock(&s->mutex);
	soon = in_ms(CLOCK_MONOTONIC, 10);
	SAY(pthread_cond_timedwait(&s->cond, &s->mutex, &soon));
	s->value = 1000;
	pthread_cond_broadcast(&s->cond);
	pthread_mutex_unlock(&s->mutex);
	sem_wait(&s->sem);
	sem_wait(&s->sem);
	say("now %d\n", s->value);
	while (wait(NULL) > 0)
		;
	soon = in_ms(CLOCK_REALTIME, 10);
	SHOW(sem_timedwait(&s->sem, &soon));
	SHOW(sem_trywait(&s->sem));
}

static void robust(void)
{
	if (!fork()) {
		pthread_mutex_lock(&s->robust);
		_exit(0);
	}
	wait(NULL);
	SAY(pthread_mutex_lock(&s->robust));
	SAY(pthread_mutex_consistent(&s->robust));
	SAY(pthread_mutex_unlock(&s->robust));
	if (!fork()) {
		pthread_mutex_lock(&s->robust);
		kill(getpid(), SIGKILL);
	}
	SAY((usleep(20000), pthread_mutex_lock(&s->robust)));
	SAY(pthread_mutex_unlock(&s->robust));
	SAY(pthread_mutex_lock(&s->robust));
	wait(NULL);
}

static void *reader(void *unused)
{
	struct timespec soon = in_ms(CLOCK_REALTIME, 10);

	(void)unused;
	SAY(pthread_rwlock_tryrdlock(&s->rwlock));
	SAY(pthread_rwlock_timedrdlock(&s->rwlock, &soon));
	SAY(pthread_rwlock_timedwrlock(&s->rwlock, &soon));
	SAY(pthread_rwlock_rdlock(&s->rwlock));
	SAY(pthread_rwlock_unlock(&s->rwlock));
	return NULL;
}

static void rwlocks(void)
{
	pthread_t thread;

	SAY(pthread_rwlock_wrlock(&s->rwlock));
	pthread_create(&thread, NULL, reader, NULL);
	usleep(60000);
	pthread_rwlock_unlock(&s->rwlock);
	pthread_join(thread, NULL);
}

static void cleanup(void *what) { say("cleanup %s\n", (char *)what); }

static void *sleeper(void *unused)
{
	(void)unused;
	pthread_cleanup_push(cleanup, "sleeper");
	for (;;)
		pause();
	pthread_cleanup_pop(0);
	return NULL;
}

static void *reading(void *fd)
{
	char c;

	pthread_cleanup_push(cleanup, "reading");
	read((int)(long)fd, &c, 1);
	pthread_cleanup_pop(0);
	return NULL;
}

static void *condition(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&s->mutex);
	pthread_cleanup_push((void (*)(void *))pthread_mutex_unlock, &s->mutex);
	for (;;)
		pthread_cond_wait(&s->cond, &s->mutex);
	pthread_cleanup_pop(0);
	return NULL;
}

static void *busy(void *unused)
{
	(void)unused;
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
	for (;;)
		;
	return NULL;
}

static void *refusing(void *unused)
{
	(void)unused;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	usleep(40000);
	say("still here\n");
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
	pthread_testcancel();
	return NULL;
}

static void cancel(const char *what, void *(*body)(void *), void *argument)
{
	pthread_t thread;
	void *result;

	pthread_create(&thread, NULL, body, argument);
	usleep(10000);
	pthread_cancel(thread);
	pthread_join(thread, &result);
	say("%s canceled: %d\n", what, result == PTHREAD_CANCELED);
}

static void *at_end(void *unused) { return unused; }

static void joins(void)
{
	struct timespec soon = in_ms(CLOCK_REALTIME, 10);
	pthread_t thread;
	cpu_set_t set;
	int ends[2];

	pipe(ends);
	cancel("sleeper", sleeper, NULL);
	cancel("reading", reading, (void *)(long)ends[0]);
	cancel("condition", condition, NULL);
	SAY(pthread_mutex_trylock(&s->mutex));
	cancel("busy", busy, NULL);
	cancel("refusing", refusing, NULL);
	pthread_create(&thread, NULL, sleeper, NULL);
	SAY(pthread_tryjoin_np(thread, NULL));
	SAY(pthread_timedjoin_np(thread, NULL, &soon));
	SAY(pthread_setname_np(thread, "a name"));
	SAY(pthread_setname_np(thread, "a name too long for it"));
	SAY(pthread_getaffinity_np(thread, sizeof set, &set));
	SAY(pthread_kill(thread, 0));
	SAY(pthread_kill(thread, 99));
	pthread_cancel(thread);
	pthread_join(thread, NULL);
	pthread_create(&thread, NULL, at_end, NULL);
	SAY(pthread_detach(thread));
}

static void kinds(void)
{
	struct timespec soon = in_ms(CLOCK_REALTIME, 10);
	pthread_mutexattr_t attr;
	pthread_mutex_t mutex;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK);
	pthread_mutex_init(&mutex, &attr);
	SAY(pthread_mutex_unlock(&mutex));
	SAY(pthread_mutex_lock(&mutex));
	SAY(pthread_mutex_lock(&mutex));
	SAY(pthread_mutex_timedlock(&mutex, &soon));
	SAY(pthread_mutex_destroy(&mutex));
	SAY(pthread_mutex_unlock(&mutex));
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_NORMAL);
	pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
	pthread_mutex_init(&mutex, &attr);
	SAY(pthread_mutex_lock(&mutex));
	SAY(pthread_mutex_trylock(&mutex));
	SAY(pthread_mutex_timedlock(&mutex, &soon));
	SAY(pthread_mutex_unlock(&mutex));
	pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_PROTECT);
	SAY(pthread_mutexattr_setprioceiling(&attr, 5));
	SAY(pthread_mutex_init(&mutex, &attr));
	SAY(pthread_mutex_lock(&mutex));
}

int main(void)
{
	prepare();
	processes();
	robust();
	rwlocks();
	joins();
	kinds();
	return 0;
}
