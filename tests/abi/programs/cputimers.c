/* SPDX-License-Identifier: Apache-2.0 */
/* Timers on CPU time: the thread whose time it is gets the signal, while it computes.
 * abi-cflags: -pthread
 * abi-timeout: 60 */
#include "check.h"
#include <pthread.h>

static volatile int hits[3], stop;
static volatile pid_t tids[2];

static void handler(int sig)
{
	pid_t me = gettid();

	hits[me == tids[0] ? 0 : me == tids[1] ? 1 : 2]++;
}

static void *compute(void *arg)
{
	timer_t id;
	struct sigevent ev = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN };
	struct itimerspec time = { { 0, 5000000 }, { 0, 5000000 } };

	tids[(long)arg] = ev._sigev_un._tid = gettid();
	if (timer_create(CLOCK_THREAD_CPUTIME_ID, &ev, &id) == 0)
		timer_settime(id, 0, &time, NULL);
	while (!stop)
		;
	return NULL;
}

static void *burn(void *arg)
{
	tids[0] = gettid();
	while (!stop)
		;
	return arg;
}

static void nap(void)
{
	struct timespec left = { 0, 20000000 };

	while (nanosleep(&left, &left))
		;
}

int main(void)
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = SA_RESTART };
	struct itimerval time = { { 0, 10000 }, { 0, 10000 } }, left;
	pthread_t t[2];

	sigaction(SIGRTMIN, &sa, NULL);
	sigaction(SIGPROF, &sa, NULL);
	sigaction(SIGVTALRM, &sa, NULL);
	/* Of each thread, to that thread. */
	pthread_create(&t[0], NULL, compute, (void *)0);
	pthread_create(&t[1], NULL, compute, (void *)1);
	for (int i = 0; i < 500 && (hits[0] < 20 || hits[1] < 20); i++)
		nap();
	stop = 1;
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	say("of threads: %d %d %d\n", hits[0] >= 20, hits[1] >= 20, hits[2]);
	/* Of the process: to the thread that computes, not to the one that sleeps. */
	for (int which = ITIMER_VIRTUAL; which <= ITIMER_PROF; which++) {
		hits[0] = hits[2] = stop = 0;
		pthread_create(&t[0], NULL, burn, NULL);
		setitimer(which, &time, NULL);
		for (int i = 0; i < 500 && hits[0] < 20; i++)
			nap();
		SHOW(getitimer(which, &left));
		say("left %d interval %ld\n", left.it_value.tv_usec > 0 && left.it_value.tv_usec <= 20000,
		    left.it_interval.tv_usec);
		setitimer(which, &(struct itimerval){ 0 }, NULL);
		stop = 1;
		pthread_join(t[0], NULL);
		say("of the process: %d %d\n", hits[0] >= 20, hits[2] < 5);
	}
	return 0;
}
