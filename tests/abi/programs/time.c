/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks, sleeping, interval timers. */
#include "check.h"
#include <sys/timerfd.h>
#include <sys/times.h>

static volatile int ticks;

static void tick(int sig)
{
	(void)sig;
	ticks++;
}

static double now(clockid_t clock)
{
	struct timespec ts = { 0 };

	clock_gettime(clock, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

int main(void)
{
	struct timespec ts = { 0, 5000000 }, bad = { 0, 1000000000 }, negative = { -1, 0 };
	struct itimerval timer = { { 0, 2000 }, { 0, 2000 } }, left;
	struct timeval tv;
	double start;

	setenv("TZ", "UTC", 1);
	for (int clock = 0; clock < 13; clock++) {
		struct timespec t = { 0 };

		say("clock %d: %s\n", clock, clock_gettime(clock, &t) ? strerrorname_np(errno) : "fine");
	}
	SHOW(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, 8));
	SHOW(clock_getres(CLOCK_MONOTONIC, &ts));
	say("%ld.%09ld\n", (long)ts.tv_sec, ts.tv_nsec);
	SHOW(clock_getres(99, &ts));
	ts = (struct timespec){ 0, 5000000 };
	start = now(CLOCK_MONOTONIC);
	SHOW(nanosleep(&ts, NULL));
	IS(now(CLOCK_MONOTONIC) - start >= 0.005);
	SHOW(nanosleep(&bad, NULL));
	SHOW(nanosleep(&negative, NULL));
	SHOW(clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL));
	SHOW(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL));
	SHOW(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &ts, NULL));
	SHOW(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &ts, NULL));
	SHOW(clock_nanosleep(77, 0, &ts, NULL));
	gettimeofday(&tv, NULL);
	IS(labs(tv.tv_sec - time(NULL)) <= 1);
	IS(now(CLOCK_BOOTTIME) >= now(CLOCK_MONOTONIC) - 1e-3);
	IS(times(NULL) > 0);
	signal(SIGALRM, tick);
	SHOW(setitimer(ITIMER_REAL, &timer, NULL));
	while (ticks < 5)
		pause();
	SHOW(getitimer(ITIMER_REAL, &left));
	IS(left.it_interval.tv_usec == 2000 && left.it_value.tv_usec <= 2000);
	timer = (struct itimerval){ { 0, 0 }, { 0, 0 } };
	SHOW(setitimer(ITIMER_REAL, &timer, &left));
	SHOW(setitimer(9, &timer, NULL));
	timer.it_value.tv_usec = 1000000;
	SHOW(setitimer(ITIMER_REAL, &timer, NULL));
	SHOW(alarm(100));
	SHOW(alarm(0));
	SHOW(usleep(1000));
	start = now(CLOCK_PROCESS_CPUTIME_ID);
	while (now(CLOCK_PROCESS_CPUTIME_ID) - start < 0.01)
		;
	say("burnt\n");
	return 0;
}
