/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks, sleeps, timers and their overruns: values where they are sure, errors in order. */
#include "check.h"
#include <pthread.h>
#include <sys/timerfd.h>
#include <sys/times.h>

#define SAY(call) say("%s = %s\n", #call, ({ int e_ = (call); e_ ? strerrorname_np(e_) : "0"; }))

static volatile int fired, overruns;
static timer_t timer;

static void on_timer(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	fired++;
	overruns += timer_getoverrun(timer);
	if (info->si_code != SI_TIMER || info->si_value.sival_int != 77)
		say("odd %d %d\n", info->si_code, info->si_value.sival_int);
}

static void on_alarm(int sig) { fired = sig; }

static void clocks(void)
{
	struct timespec t, bad = {0, 1000000000}, negative = {-1, 0}, ns = {0, 1};
	clockid_t mine;

	for (int clock = -1; clock < 16; clock++) {
		say("%d: ", clock);
		SHOW(clock_gettime(clock, &t));
		SHOW(clock_getres(clock, &t));
		SHOW(clock_getres(clock, NULL));
		SHOW(syscall(SYS_clock_settime, clock, &bad));
		if (clock == CLOCK_PROCESS_CPUTIME_ID)
			continue;
		SAY(clock_nanosleep(clock, 0, &ns, NULL));
		SAY(clock_nanosleep(clock, TIMER_ABSTIME, &ns, NULL));
	}
	SAY(clock_nanosleep(CLOCK_MONOTONIC, 0, &bad, NULL));
	SAY(clock_nanosleep(CLOCK_MONOTONIC, 0, &negative, NULL));
	SAY(clock_nanosleep(CLOCK_MONOTONIC, 77, &ns, NULL));
	SHOW(syscall(SYS_clock_nanosleep, 0, 0, 8, NULL));
	SHOW(syscall(SYS_clock_gettime, 1, 8));
	SHOW(syscall(SYS_clock_getres, 1, 8));
	SHOW(syscall(SYS_nanosleep, &bad, NULL));
	SHOW(syscall(SYS_nanosleep, 8, NULL));
	SAY(clock_getcpuclockid(0, &mine));
	SHOW(clock_gettime(mine, &t));
	SAY(clock_getcpuclockid(getppid(), &mine));
	SAY(clock_getcpuclockid(0x3fffffff, &mine));
	SAY(pthread_getcpuclockid(pthread_self(), &mine));
	SHOW(clock_gettime(mine, &t));
	clock_getres(CLOCK_MONOTONIC, &t);
	say("res %ld %ld\n", (long)t.tv_sec, t.tv_nsec);
	clock_getres(CLOCK_MONOTONIC_COARSE, &t);
	say("res %ld %ld\n", (long)t.tv_sec, t.tv_nsec);
	SHOW(sysconf(_SC_CLK_TCK));
}

static void interrupted(void)
{
	struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
	struct itimerval soon = {{0, 0}, {0, 20000}};
	struct timespec second = {1, 0}, left = {9, 9}, until;

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	SHOW(nanosleep(&second, &left));
	IS(left.tv_sec == 0 && left.tv_nsec > 0);
	setitimer(ITIMER_REAL, &soon, NULL);
	left.tv_sec = 9;
	SAY(clock_nanosleep(CLOCK_MONOTONIC, 0, &second, &left));
	IS(left.tv_sec == 0);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec++;
	left.tv_sec = 9;
	setitimer(ITIMER_REAL, &soon, NULL);
	SAY(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, &left));
	IS(left.tv_sec == 9);
	SHOW(alarm(100));
	SHOW(alarm(0));
	SHOW(alarm(0));
}

static void itimers(void)
{
	struct itimerval value = {{0, 0}, {0, 1000000}}, old = {{1, 1}, {1, 1}};

	SHOW(setitimer(ITIMER_REAL, &value, &old));
	value.it_value.tv_usec = -1;
	SHOW(setitimer(ITIMER_REAL, &value, NULL));
	SHOW(setitimer(3, &value, NULL));
	SHOW(setitimer(-1, &old, NULL));
	SHOW(getitimer(3, &old));
	SHOW(syscall(SYS_getitimer, 0, 8));
	SHOW(syscall(SYS_setitimer, 0, 8, 0));
	value = (struct itimerval){{5, 5}, {100, 0}};
	SHOW(setitimer(ITIMER_VIRTUAL, &value, &old));
	SHOW(getitimer(ITIMER_VIRTUAL, &old));
	say("%ld %ld %ld\n", (long)old.it_interval.tv_sec, (long)old.it_interval.tv_usec,
	    (long)(old.it_value.tv_sec + 1) / 10);
	SHOW(syscall(SYS_setitimer, ITIMER_VIRTUAL, NULL, &old));
	SHOW(getitimer(ITIMER_VIRTUAL, &old));
	say("%ld %ld\n", (long)old.it_value.tv_sec, (long)old.it_value.tv_usec);
}

static void posix_timers(void)
{
	struct sigaction action = {.sa_sigaction = on_timer, .sa_flags = SA_SIGINFO};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1};
	struct itimerspec fast = {{0, 1000000}, {0, 1000000}}, now, none = {0};
	struct itimerspec bad = {{0, 0}, {0, 1000000000}}, once = {{0, 0}, {100, 0}};
	struct timespec nap = {0, 30000000};
	sigset_t set;
	int left;

	event.sigev_value.sival_int = 77;
	sigaction(SIGRTMIN + 1, &action, NULL);
	for (int clock = -1; clock < 13; clock++) {
		int made;

		say("%d: ", clock);
		made = SHOW(timer_create(clock, &event, &timer)) == 0;
		if (made)
			timer_delete(timer);
	}
	event.sigev_signo = 65;
	SHOW(timer_create(CLOCK_MONOTONIC, &event, &timer));
	event.sigev_signo = SIGRTMIN + 1;
	event.sigev_notify = 99;
	SHOW(timer_create(CLOCK_MONOTONIC, &event, &timer));
	event.sigev_notify = SIGEV_THREAD_ID;
	event._sigev_un._tid = 0x3fffffff;
	SHOW(timer_create(CLOCK_MONOTONIC, &event, &timer));
	event.sigev_notify = SIGEV_SIGNAL;
	SHOW(timer_create(CLOCK_MONOTONIC, &event, &timer));
	SHOW(timer_settime(timer, 0, &bad, NULL));
	SHOW(timer_settime((timer_t)99, 0, &once, NULL));
	SHOW(timer_gettime((timer_t)99, &now));
	SHOW(timer_delete((timer_t)99));
	SHOW(timer_getoverrun((timer_t)99));
	SHOW(timer_settime(timer, 0, &once, &now));
	say("old %ld %ld\n", (long)now.it_value.tv_sec, now.it_value.tv_nsec);
	SHOW(timer_settime(timer, 0, &none, &now));
	say("old %ld\n", (long)now.it_value.tv_sec / 10);
	SHOW(timer_gettime(timer, &now));
	say("off %ld %ld\n", (long)now.it_value.tv_sec, now.it_value.tv_nsec);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	timer_settime(timer, 0, &fast, NULL);
	nanosleep(&nap, NULL);
	timer_gettime(timer, &now);
	IS(now.it_value.tv_sec == 0 && now.it_value.tv_nsec > 0 && now.it_interval.tv_nsec == 1000000);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	timer_settime(timer, 0, &none, NULL);
	left = overruns;
	IS(fired >= 1 && left >= 20);
	SHOW(timer_delete(timer));
	SHOW(timer_delete(timer));
	event.sigev_notify = SIGEV_NONE;
	SHOW(timer_create(CLOCK_REALTIME, &event, &timer));
	SHOW(timer_settime(timer, TIMER_ABSTIME, &fast, NULL));
	SHOW(timer_gettime(timer, &now));
	IS(now.it_value.tv_nsec > 0);
	pid_t pid = fork();
	if (!pid)
		_exit(timer_gettime(timer, &now) == -1 && errno == EINVAL ? 5 : 6);
	waitpid(pid, &left, 0);
	say("child has no timers: %d\n", WEXITSTATUS(left));
}

static void notify(union sigval value) { __atomic_add_fetch(&fired, value.sival_int, __ATOMIC_SEQ_CST); }

static void by_thread(void)
{
	struct sigevent event = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = notify};
	struct itimerspec soon = {{0, 0}, {0, 1000000}};

	fired = 0;
	event.sigev_value.sival_int = 5;
	SHOW(timer_create(CLOCK_MONOTONIC, &event, &timer));
	SHOW(timer_settime(timer, 0, &soon, NULL));
	for (int i = 0; i < 1000 && fired != 5; i++)
		usleep(1000);
	IS(fired == 5);
}

int main(void)
{
	struct tms t;

	clocks();
	interrupted();
	itimers();
	posix_timers();
	by_thread();
	IS(times(&t) != -1);
	SHOW(syscall(SYS_times, 8));
	SHOW(syscall(SYS_gettimeofday, 8, NULL));
	SHOW(syscall(SYS_time, 8));
	SHOW(syscall(SYS_getrusage, 5, &t));
	SHOW(syscall(SYS_getrusage, 0, 8));
	return 0;
}
