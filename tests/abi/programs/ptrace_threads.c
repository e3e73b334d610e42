/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that trace and are traced: who may ask, who may wait, when they are gone. */
#include "ptrace.h"
#include <pthread.h>

static pid_t pid;

static void *other_thread(void *arg)
{
	int status;

	say("from another thread:\n");
	SHOW(pt(PTRACE_CONT, pid, 0, 0));
	SHOW(pt(PTRACE_INTERRUPT, pid, 0, 0));
	SHOW(waitpid(pid, &status, WNOHANG | __WALL | __WNOTHREAD));
	SHOW(waitpid(pid, &status, WNOHANG | __WALL));
	return arg;
}

static void body(void)
{
	for (;;)
		pause();
}

static void which_thread(void)
{
	pthread_t thread;

	pid = tracee(body);
	pthread_create(&thread, NULL, other_thread, NULL);
	pthread_join(thread, NULL);
	SHOW(pt(PTRACE_KILL, pid, 0, 0));
	next_stop("killed", pid);
}

static void *attacher(void *arg)
{
	int status;

	say("attach %ld\n", pt(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESYSGOOD));
	pt(PTRACE_INTERRUPT, pid, 0, 0);
	waitpid(pid, &status, __WALL);
	show_status("tracer thread", status);
	return arg; /* and it ends: the tracee goes on untraced */
}

static void tracer_thread_ends(void)
{
	pthread_t thread;
	int status = 0;

	fflush(stdout);
	pid = fork();
	if (pid == 0)
		body();
	usleep(20000);
	pthread_create(&thread, NULL, attacher, NULL);
	pthread_join(thread, NULL);
	usleep(50000);
	SHOW(pt(PTRACE_CONT, pid, 0, 0));
	kill(pid, SIGTERM);
	SHOW(waitpid(pid, &status, 0) == pid);
	show_status("after its tracer", status);
}

static void *worker(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static void two_threads(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, worker, NULL);
	usleep(300000);
	exit(3);
}

/* exit_group: each thread stops for its end, the leader is reported last. */
static void group_exit(void)
{
	unsigned long message = 0, thread = 0;
	int status, exits = 0;
	pid_t got;

	pid = tracee(two_threads);
	pt(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXIT);
	pt(PTRACE_CONT, pid, 0, 0);
	next_stop("leader", pid);
	pt(PTRACE_GETEVENTMSG, pid, 0, (long)&thread);
	pt(PTRACE_CONT, pid, 0, 0);
	next_stop("thread", thread);
	pt(PTRACE_CONT, thread, 0, 0);
	while (exits < 2 && (got = waitpid(-1, &status, __WALL)) > 0) {
		if (status >> 16 != PTRACE_EVENT_EXIT) {
			say("unexpected %x\n", status);
			break;
		}
		pt(PTRACE_GETEVENTMSG, got, 0, (long)&message);
		say("about to exit with %lx\n", message);
		exits++;
	}
	pt(PTRACE_CONT, pid, 0, 0);
	usleep(20000);
	SHOW(waitpid(pid, &status, WNOHANG | __WALL));
	pt(PTRACE_CONT, thread, 0, 0);
	next_stop("thread", thread);
	next_stop("leader", pid);
}

/* Thread by thread: the group stop is complete when all have taken part. */
static void group_stop(void)
{
	pid_t child;
	int status;

	fflush(stdout);
	child = fork();
	if (child == 0)
		two_threads();
	usleep(100000);
	say("seize %ld\n", pt(PTRACE_SEIZE, child, 0, 0));
	kill(child, SIGSTOP);
	/* The untraced thread may take the signal: then the leader only joins the stop. */
	waitpid(child, &status, __WALL);
	if (status >> 16 == 0) {
		pt(PTRACE_CONT, child, 0, SIGSTOP);
		waitpid(child, &status, __WALL);
	}
	show_status("traced leader", status);
	pt(PTRACE_DETACH, child, 0, 0);
	kill(child, SIGCONT);
	SHOW(waitpid(child, &status, 0) == child);
	show_status("end", status);
}

int main(void)
{
	no_core();
	which_thread();
	tracer_thread_ends();
	group_exit();
	group_stop();
	return 0;
}
