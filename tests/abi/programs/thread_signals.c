/* SPDX-License-Identifier: Apache-2.0 */
/* Signals and threads: who gets which, masks of their own, fork and exec from a thread. */
/* abi-cflags: -pthread */
#include "check.h"
#include <pthread.h>

static pthread_barrier_t barrier;
static __thread int me = -1;
static volatile int handled_by = -2, waited;

static void handler(int sig)
{
	(void)sig;
	handled_by = me;
}

static void *worker(void *arg)
{
	sigset_t set;
	int sig;

	me = (long)arg;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	if (me == 1)
		pthread_sigmask(SIG_BLOCK, &set, NULL);
	pthread_barrier_wait(&barrier);
	if (me == 1) {
		sigwait(&set, &sig);
		waited = sig;
	} else {
		while (handled_by == -2)
			sched_yield();
	}
	pthread_barrier_wait(&barrier);
	return NULL;
}

static void *forker(void *arg)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		IS(syscall(SYS_gettid) == getpid());
		_exit(4);
	}
	waitpid(pid, &status, 0);
	say("fork in a thread: %x\n", status);
	execl("/bin/echo", "echo", "exec from a thread", NULL);
	return arg;
}

int main(void)
{
	struct sigaction sa = { .sa_handler = handler };
	pthread_t threads[2], last;
	sigset_t set;

	me = 2;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	pthread_barrier_init(&barrier, NULL, 3);
	sigaction(SIGUSR2, &sa, NULL);
	for (long i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, worker, (void *)i);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	pthread_barrier_wait(&barrier);
	SHOW(pthread_kill(threads[1], SIGUSR1));
	SHOW(pthread_kill(threads[0], SIGUSR2));
	pthread_barrier_wait(&barrier);
	say("USR2 handled by thread %d, thread 1 got %s\n", handled_by, sigabbrev_np(waited));
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	SHOW(syscall(SYS_tgkill, getpid(), 999999, SIGUSR1));
	SHOW(syscall(SYS_tgkill, getpid(), getpid(), 65));
	SHOW(syscall(SYS_tkill, 0, SIGUSR1));
	pthread_create(&last, NULL, forker, NULL);
	pthread_join(last, NULL);
	say("not reached\n");
	return 0;
}
