/* SPDX-License-Identifier: Apache-2.0 */
/* timer_create(2) and its relatives, interval timers, timeouts of many kinds. */
#include "check.h"

#include <pthread.h>

static volatile sig_atomic_t count;
static siginfo_t last;

static void handler(int signo, siginfo_t *info, void *context)
{
	count++;
	last = *info;
}

static void catch(int signo)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };

	sigaction(signo, &action, NULL);
}

static void one_shot(clockid_t clock)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN };
	struct itimerspec set = { .it_value.tv_nsec = 2000000 }, left;
	timer_t timer;

	event.sigev_value.sival_int = 42;
	SHOW(timer_create(clock, &event, &timer));
	count = 0;
	SHOW(timer_settime(timer, 0, &set, NULL));
	while (!count)
		usleep(500);
	say("code %d value %d overrun %d\n", last.si_code, last.si_value.sival_int, last.si_overrun);
	SHOW(timer_gettime(timer, &left));
	IS(!left.it_value.tv_sec && !left.it_value.tv_nsec);
	SHOW(timer_getoverrun(timer));
	SHOW(timer_delete(timer));
	SHOW(syscall(SYS_timer_delete, (long)timer));
}

static void overruns(void)
{
	struct itimerspec set = { { 0, 1000000 }, { 0, 1000000 } };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN };
	sigset_t mask, old;
	timer_t timer;

	sigemptyset(&mask);
	sigaddset(&mask, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &mask, &old);
	count = 0;
	timer_create(CLOCK_MONOTONIC, &event, &timer);
	timer_settime(timer, 0, &set, NULL);
	usleep(30000);
	sigprocmask(SIG_SETMASK, &old, NULL);
	timer_delete(timer);
	IS(count >= 1);
	IS(last.si_overrun >= 1 || count > 1);
}

static void *waits(void *unused)
{
	while (count < 2)
		usleep(500);
	return NULL;
}

static void errors(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = 65 };
	struct itimerspec set = { .it_value.tv_nsec = 1000000000 };
	timer_t timer;

	SHOW(timer_create(4711, NULL, &timer));
	SHOW(timer_create(CLOCK_MONOTONIC, &event, &timer));
	event.sigev_notify = 77;
	event.sigev_signo = 1;
	SHOW(timer_create(CLOCK_MONOTONIC, &event, &timer));
	SHOW(timer_create(CLOCK_MONOTONIC_RAW, NULL, &timer));
	SHOW(timer_create(CLOCK_MONOTONIC, NULL, &timer));
	SHOW(timer_settime(timer, 0, &set, NULL));
	SHOW(syscall(SYS_timer_settime, 4711, 0, &set, NULL));
	SHOW(syscall(SYS_timer_gettime, 4711, &set));
	SHOW(syscall(SYS_timer_getoverrun, 4711));
	SHOW(timer_delete(timer));
}

static void intervals(void)
{
	struct itimerval set = { { 0, 2000 }, { 0, 2000 } }, old;
	volatile unsigned long spin = 0;

	catch(SIGALRM);
	catch(SIGVTALRM);
	catch(SIGPROF);
	count = 0;
	SHOW(setitimer(ITIMER_REAL, &set, NULL));
	while (count < 5)
		usleep(500);
	say("signal %d code %x\n", last.si_signo, last.si_code);
	memset(&set, 0, sizeof(set));
	SHOW(setitimer(ITIMER_REAL, &set, &old));
	say("interval %ld\n", (long)old.it_interval.tv_usec);
	SHOW(getitimer(ITIMER_REAL, &old));
	say("left %ld\n", (long)old.it_value.tv_usec);
	set.it_value.tv_usec = 20000;
	SHOW(setitimer(ITIMER_VIRTUAL, &set, NULL));
	for (count = 0; !count;)
		spin++;
	say("signal %d\n", last.si_signo);
	SHOW(setitimer(ITIMER_PROF, &set, NULL));
	for (count = 0; !count;)
		spin++;
	say("signal %d\n", last.si_signo);
	set.it_value.tv_usec = 1000000;
	SHOW(setitimer(ITIMER_REAL, &set, NULL));
	SHOW(setitimer(9, &set, NULL));
	SHOW(getitimer(9, &set));
	SHOW(alarm(100));
	SHOW(alarm(0));
}

static void thread_timer(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN };
	struct itimerspec set = { .it_value.tv_nsec = 1000000 };
	pthread_t thread;
	timer_t timer;

	event._sigev_un._tid = 1;
	SHOW(timer_create(CLOCK_MONOTONIC, &event, &timer));
	event._sigev_un._tid = gettid();
	SHOW(timer_create(CLOCK_MONOTONIC, &event, &timer));
	pthread_create(&thread, NULL, waits, NULL);
	count = 0;
	timer_settime(timer, 0, &set, NULL);
	while (!count)
		usleep(500);
	SHOW(pthread_kill(thread, SIGRTMIN));
	pthread_join(thread, NULL);
	IS(count == 2);
}

int main(void)
{
	catch(SIGRTMIN);
	one_shot(CLOCK_MONOTONIC);
	one_shot(CLOCK_REALTIME);
	one_shot(CLOCK_BOOTTIME);
	overruns();
	errors();
	intervals();
	thread_timer();
	return 0;
}
