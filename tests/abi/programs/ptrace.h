/* SPDX-License-Identifier: Apache-2.0 */
/* What the ptrace programs share: starting tracees, showing stops. */
#ifndef PTRACE_H
#define PTRACE_H

#include "check.h"
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/user.h>

#ifndef PTRACE_EVENT_STOP
#define PTRACE_EVENT_STOP 128
#endif

static inline long pt(long request, pid_t pid, long addr, long data)
{
	return syscall(SYS_ptrace, request, pid, addr, data);
}

static inline const char *event_name(int event)
{
	static const char *const names[] = { "none", "fork",   "vfork", "clone",
					     "exec", "vfork-done", "exit", "seccomp" };

	return event == PTRACE_EVENT_STOP ? "STOP" : event < 8 ? names[event] : "?";
}

/* "what: stopped by SIGTRAP event fork" */
static inline int show_status(const char *what, int status)
{
	if (WIFEXITED(status))
		say("%s: exited %d\n", what, WEXITSTATUS(status));
	else if (WIFSIGNALED(status))
		say("%s: killed by %s%s\n", what, sigabbrev_np(WTERMSIG(status)),
		    WCOREDUMP(status) ? " core" : "");
	else if (WIFCONTINUED(status))
		say("%s: continued\n", what);
	else if (WIFSTOPPED(status) && WSTOPSIG(status) == (SIGTRAP | 0x80))
		say("%s: syscall stop\n", what);
	else if (WIFSTOPPED(status))
		say("%s: stopped by %s event %s\n", what, sigabbrev_np(WSTOPSIG(status)),
		    event_name(status >> 16));
	return status;
}

/* Wait for one tracee and show what happened. */
static inline int next_stop(const char *what, pid_t pid)
{
	int status = -1;
	pid_t got = waitpid(pid, &status, __WALL);

	if (got != pid) {
		say("%s: waitpid gave %s\n", what, got < 0 ? strerrorname_np(errno) : "another");
		return -1;
	}
	return show_status(what, status);
}

/* A child that traces itself, stops, and then runs `function`. */
static inline pid_t tracee(void (*function)(void))
{
	pid_t pid;
	int status;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		function();
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return pid;
}

static inline void no_core(void)
{
	struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
}

#endif
