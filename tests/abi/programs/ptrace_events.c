/* SPDX-License-Identifier: Apache-2.0 */
/* PTRACE_O_TRACE*: fork, vfork, clone, exec, exit; children attached with their parents. */
#include "ptrace.h"
#include <pthread.h>

#define ALL                                                                              \
	(PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | \
	 PTRACE_O_TRACEVFORKDONE | PTRACE_O_TRACEEXIT)

static unsigned long known[16];
static int nknown;

static int number(unsigned long pid)
{
	for (int i = 0; i < nknown; i++)
		if (known[i] == pid)
			return i;
	known[nknown] = pid;
	return nknown++;
}

/* Follow one tracee until it blocks on nothing more: events in order. */
static void follow(const char *what, pid_t pid)
{
	unsigned long message;
	int status;

	for (;;) {
		if (waitpid(pid, &status, __WALL) != pid) {
			say("%s: gone\n", what);
			return;
		}
		message = 0;
		pt(PTRACE_GETEVENTMSG, pid, 0, (long)&message);
		show_status(what, status);
		if (!WIFSTOPPED(status))
			return;
		switch (status >> 16) {
		case PTRACE_EVENT_FORK:
		case PTRACE_EVENT_VFORK:
		case PTRACE_EVENT_CLONE:
			say("  child is number %d\n", number(message));
			pt(PTRACE_CONT, pid, 0, 0);
			break;
		case PTRACE_EVENT_VFORK_DONE:
			say("  done with number %d\n", number(message));
			pt(PTRACE_CONT, pid, 0, 0);
			break;
		case PTRACE_EVENT_EXEC:
			say("  was itself: %d\n", message == (unsigned long)pid);
			pt(PTRACE_CONT, pid, 0, 0);
			break;
		case PTRACE_EVENT_EXIT:
			say("  will exit with %lx\n", message);
			pt(PTRACE_CONT, pid, 0, 0);
			break;
		default:
			pt(PTRACE_CONT, pid, 0,
			   WSTOPSIG(status) == SIGSTOP || WSTOPSIG(status) == SIGTRAP ?
				   0 : WSTOPSIG(status));
		}
	}
}

static void forks(void)
{
	if (fork() == 0)
		_exit(5);
	wait(NULL);
	_exit(6);
}

static void vforks(void)
{
	if (vfork() == 0)
		execl("/bin/true", "true", NULL);
	wait(NULL);
	_exit(8);
}

static void *worker(void *arg)
{
	return arg;
}

static void threads(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, worker, NULL);
	pthread_join(thread, NULL);
	usleep(200000); /* let the tracer see the thread's end first */
	exit(9);
}

static void killed(void)
{
	kill(getpid(), SIGKILL);
}

static void segv(void)
{
	*(volatile int *)0 = 1;
}

static void run(const char *what, void (*function)(void), int children)
{
	pid_t pid;
	char name[32];

	say("-- %s\n", what);
	nknown = 0;
	pid = tracee(function);
	pt(PTRACE_SETOPTIONS, pid, 0, ALL);
	pt(PTRACE_CONT, pid, 0, 0);
	if (children) {
		/* The parent up to its event, then the child to its end, then the parent. */
		int status;

		waitpid(pid, &status, __WALL);
		show_status("parent", status);
		pt(PTRACE_GETEVENTMSG, pid, 0, (long)&known[0]);
		nknown = 1;
		pt(PTRACE_CONT, pid, 0, 0);
		snprintf(name, sizeof name, "child");
		follow(name, known[0]);
	}
	follow("parent", pid);
}

static void *execs(void *arg)
{
	usleep(50000);
	execl("/bin/sh", "sh", "-c", "exit 4", NULL);
	return arg;
}

static void exec_in_thread(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, execs, NULL);
	for (;;)
		pause();
}

/* The thread that execs becomes the leader; the old one just vanishes. */
static void thread_exec(void)
{
	unsigned long message = 0, thread = 0;
	int status, stops = 0;
	pid_t pid, got;

	say("-- exec in a thread\n");
	pid = tracee(exec_in_thread);
	pt(PTRACE_SETOPTIONS, pid, 0, ALL & ~PTRACE_O_TRACEEXIT);
	pt(PTRACE_CONT, pid, 0, 0);
	next_stop("leader", pid);
	pt(PTRACE_GETEVENTMSG, pid, 0, (long)&thread);
	pt(PTRACE_CONT, pid, 0, 0);
	while (stops++ < 20) {
		got = waitpid(-1, &status, __WALL);
		if (got < 0)
			break;
		say("%s: ", got == pid ? "leader" : (unsigned long)got == thread ? "thread" : "?");
		show_status("", status);
		if (WIFSTOPPED(status) && status >> 16 == PTRACE_EVENT_EXEC) {
			pt(PTRACE_GETEVENTMSG, pid, 0, (long)&message);
			say("  old number is the thread's: %d\n", message == thread);
		}
		if (WIFSTOPPED(status))
			pt(PTRACE_CONT, got, 0, 0);
	}
	SHOW(waitpid(-1, &status, __WALL));
}

static void plain_exec(void)
{
	pid_t pid;

	say("-- exec without the option\n");
	pid = tracee(vforks);
	pt(PTRACE_CONT, pid, 0, 0);
	follow("vforker", pid);
	pid = tracee(exec_in_thread);
	pt(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_EXITKILL);
	pt(PTRACE_KILL, pid, 0, 0);
	follow("killed", pid);
}

int main(void)
{
	no_core();
	run("fork", forks, 1);
	run("vfork", vforks, 1);
	run("threads", threads, 1);
	run("killed", killed, 0);
	run("segv", segv, 0);
	thread_exec();
	plain_exec();
	return 0;
}
