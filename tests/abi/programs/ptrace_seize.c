/* SPDX-License-Identifier: Apache-2.0 */
/* PTRACE_SEIZE and ATTACH: interrupts, group stops, who hears of what, tracers that end. */
#include "ptrace.h"
#include <sys/prctl.h>

static pid_t idle(void)
{
	pid_t pid;

	fflush(stdout);
	if ((pid = fork()) == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	usleep(20000);
	return pid;
}

static void pause_forever(void)
{
	for (;;)
		pause();
}

static void nothing(const char *what, pid_t pid)
{
	int status = 0;
	pid_t got = waitpid(pid, &status, WNOHANG | __WALL);

	say("%s: %s\n", what, got == 0 ? "nothing" : got < 0 ? strerrorname_np(errno) : "something");
	if (got > 0)
		show_status(what, status);
}

static void info(const char *what, pid_t pid)
{
	siginfo_t si;
	long result;

	memset(&si, 0, sizeof si);
	errno = 0;
	result = pt(PTRACE_GETSIGINFO, pid, 0, (long)&si);
	say("%s: siginfo %ld %s signo %d code %x\n", what, result,
	    result ? strerrorname_np(errno) : "", si.si_signo, si.si_code);
}

static char state(pid_t pid)
{
	char path[64], line[512], *at;
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	file = fopen(path, "r");
	if (!file || !fgets(line, sizeof line, file))
		return '?';
	fclose(file);
	at = strrchr(line, ')');
	return at ? at[2] : '?';
}

static void tracer_line(pid_t pid)
{
	char path[64], line[256];
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/status", pid);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof line, file))
		if (!strncmp(line, "TracerPid:", 10))
			say("tracer is me: %d\n", atoi(line + 10) == getpid());
	fclose(file);
}

static void seize(void)
{
	pid_t pid = idle();

	say("-- seize\n");
	SHOW(pt(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESYSGOOD));
	nothing("seized", pid);
	tracer_line(pid);
	SHOW(pt(PTRACE_CONT, pid, 0, 0));
	SHOW(pt(PTRACE_INTERRUPT, pid, 0, 0));
	next_stop("interrupted", pid);
	info("interrupted", pid);
	say("state %c\n", state(pid));
	SHOW(pt(PTRACE_LISTEN, pid, 0, 0));
	SHOW(pt(PTRACE_CONT, pid, 0, 0));
	SHOW(pt(PTRACE_INTERRUPT, pid, 0, 0));
	next_stop("interrupted again", pid);
	SHOW(pt(PTRACE_INTERRUPT, pid, 0, 0));
	SHOW(pt(PTRACE_CONT, pid, 0, 0));
	next_stop("one more", pid);
	pt(PTRACE_CONT, pid, 0, 0);

	kill(pid, SIGSTOP);
	next_stop("signal", pid);
	info("signal", pid);
	SHOW(pt(PTRACE_LISTEN, pid, 0, 0));
	SHOW(pt(PTRACE_CONT, pid, 0, SIGSTOP));
	next_stop("group stop", pid);
	info("group stop", pid);
	SHOW(pt(PTRACE_LISTEN, pid, 0, 0));
	usleep(20000);
	nothing("listening", pid);
	SHOW(pt(PTRACE_GETSIGINFO, pid, 0, 8));
	kill(pid, SIGCONT);
	next_stop("news", pid);
	info("news", pid);
	SHOW(pt(PTRACE_CONT, pid, 0, 0));
	next_stop("SIGCONT", pid);
	SHOW(pt(PTRACE_CONT, pid, 0, SIGCONT));
	SHOW(pt(PTRACE_INTERRUPT, pid, 0, 0));
	next_stop("for detach", pid);
	SHOW(pt(PTRACE_DETACH, pid, 0, 0));
	usleep(20000);
	say("state %c\n", state(pid));
	kill(pid, SIGTERM);
	next_stop("end", pid);
}

static void attach(void)
{
	pid_t pid = idle();
	int status;

	say("-- attach\n");
	kill(pid, SIGSTOP);
	waitpid(pid, &status, WUNTRACED);
	show_status("before", status);
	SHOW(pt(PTRACE_ATTACH, pid, 0, 0));
	say("state %c\n", state(pid));
	next_stop("attached while stopped", pid);
	info("attached", pid);
	SHOW(pt(PTRACE_CONT, pid, 0, 0));
	next_stop("the SIGSTOP of attach", pid);
	info("signal", pid);
	SHOW(pt(PTRACE_CONT, pid, 0, SIGSTOP));
	next_stop("group stop", pid);
	SHOW(pt(PTRACE_DETACH, pid, 0, 0));
	usleep(20000);
	say("state %c\n", state(pid));
	kill(pid, SIGCONT);
	usleep(20000);
	say("state %c\n", state(pid));
	SHOW(pt(PTRACE_ATTACH, pid, 0, 0));
	next_stop("attached", pid);
	SHOW(pt(PTRACE_DETACH, pid, 0, SIGUSR1));
	next_stop("killed by detach", pid);
}

/* A tracer that is not the parent: both hear of the end, one after the other. */
static void stranger(void)
{
	pid_t pid = idle(), tracer;
	int status, go[2], done[2];
	char c;

	say("-- another tracer\n");
	if (pipe(go) < 0 || pipe(done) < 0)
		exit(1);
	fflush(stdout);
	if ((tracer = fork()) == 0) {
		say("attach %ld\n", pt(PTRACE_ATTACH, pid, 0, 0));
		next_stop("tracer sees", pid);
		pt(PTRACE_CONT, pid, 0, 0);
		c = write(done[1], "x", 1);
		next_stop("tracer sees", pid);
		pt(PTRACE_CONT, pid, 0, SIGTERM);
		usleep(50000);
		c = write(done[1], "x", 1);
		c = read(go[0], &c, 1);
		next_stop("tracer sees", pid);
		_exit(0);
	}
	c = read(done[0], &c, 1);
	nothing("parent sees", pid);
	kill(pid, SIGTERM);
	c = read(done[0], &c, 1);
	nothing("parent sees", pid);
	say("state %c\n", state(pid));
	c = write(go[1], "x", 1);
	waitpid(tracer, &status, 0);
	show_status("tracer", status);
	next_stop("parent sees", pid);
}

static void tracer_ends(const char *what, long options, int how)
{
	pid_t pid = idle(), tracer;
	int status;

	say("-- the tracer ends: %s\n", what);
	fflush(stdout);
	if ((tracer = fork()) == 0) {
		pt(PTRACE_SEIZE, pid, 0, options);
		pt(PTRACE_INTERRUPT, pid, 0, 0);
		waitpid(pid, &status, __WALL);
		if (how)
			pt(PTRACE_CONT, pid, 0, 0);
		_exit(0);
	}
	waitpid(tracer, &status, 0);
	show_status("tracer", status);
	usleep(30000);
	nothing("tracee", pid);
	kill(pid, SIGINT);
	if (waitpid(pid, &status, 0) == pid)
		show_status("tracee", status);
}

/* SIGCHLD's siginfo for the tracer, and waitid. */
static void waiting(void)
{
	siginfo_t si;
	pid_t pid = tracee(pause_forever);

	say("-- waitid\n");
	memset(&si, 0, sizeof si);
	pt(PTRACE_CONT, pid, 0, 0);
	kill(pid, SIGUSR1);
	SHOW(waitid(P_PID, pid, &si, WSTOPPED | WNOWAIT));
	say("code %d status %d\n", si.si_code, si.si_status);
	memset(&si, 0, sizeof si);
	SHOW(waitid(P_PID, pid, &si, WSTOPPED));
	say("code %d status %d\n", si.si_code, si.si_status);
	SHOW(waitid(P_PID, pid, &si, WSTOPPED | WNOHANG));
	SHOW(waitid(P_PID, pid, &si, WEXITED | WNOHANG));
	kill(pid, SIGKILL);
	memset(&si, 0, sizeof si);
	SHOW(waitid(P_PID, pid, &si, WEXITED));
	say("code %d status %d\n", si.si_code, si.si_status);
}

int main(void)
{
	no_core();
	seize();
	attach();
	stranger();
	tracer_ends("stopped tracee", 0, 0);
	tracer_ends("running tracee", 0, 1);
	tracer_ends("EXITKILL", PTRACE_O_EXITKILL, 1);
	waiting();
	return 0;
}
