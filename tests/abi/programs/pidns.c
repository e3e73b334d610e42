/* SPDX-License-Identifier: Apache-2.0 */
/* abi-as: root */
/* Process numbers in pid namespaces; their init, and what its end means. */
#include "check.h"
#include <linux/sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/un.h>

static int fds[2];

/* Run a function as process 1 of a new pid namespace; its wait status. */
static int as_init(const char *what, void (*function)(void), int more)
{
	int status = 0;

	fflush(stdout);
	pid_t pid = syscall(SYS_clone, CLONE_NEWPID | SIGCHLD | more, 0, 0, 0, 0);

	if (pid == 0) {
		function();
		fflush(stdout);
		_exit(7);
	}
	if (pid < 0) {
		say("%s: %s\n", what, strerrorname_np(errno));
		return -1;
	}
	IS(waitpid(pid, &status, 0) == pid);
	if (WIFEXITED(status))
		say("%s: exited %d\n", what, WEXITSTATUS(status));
	else
		say("%s: killed by %s\n", what, sigabbrev_np(WTERMSIG(status)));
	return status;
}

static void numbers(void)
{
	SHOW(getpid());
	SHOW(gettid());
	SHOW(getppid());
	SHOW(getpgid(0));
	SHOW(getsid(0));
	SHOW(setsid());
	SHOW(getpgid(0));
	SHOW(getsid(0));
	SHOW(kill(getppid(), 0) == 0);
	SHOW(kill(2, 0));
	SHOW(kill(-1, 0));
	pid_t pid = fork();

	if (pid == 0) {
		SHOW(getpid());
		SHOW(getppid());
		SHOW(getpgid(0));
		SHOW(getpgid(1));
		SHOW(setpgid(0, 0));
		SHOW(getpgrp());
		_exit(3);
	}
	int status;
	siginfo_t info;

	memset(&info, 0, sizeof info);
	SHOW(waitid(P_PID, pid, &info, WEXITED | WNOWAIT));
	SHOW(pid);
	SHOW(info.si_pid);
	SHOW(waitpid(pid, &status, 0));
	SHOW(WEXITSTATUS(status));
	SHOW(kill(pid, 0));
}

static volatile siginfo_t got;

static void note(int signo, siginfo_t *info, void *context)
{
	(void)context;
	(void)signo;
	got.si_pid = info->si_pid;
	got.si_code = info->si_code;
	got.si_uid = info->si_uid;
}

static void catch(int signo)
{
	struct sigaction action = { .sa_sigaction = note, .sa_flags = SA_SIGINFO };

	sigaction(signo, &action, NULL);
}

static void init_signals(void)
{
	/* Without a handler nothing from inside touches it. */
	SHOW(kill(1, SIGTERM));
	SHOW(kill(1, SIGKILL));
	SHOW(kill(1, SIGSTOP));
	SHOW(kill(getpid(), SIGSEGV));
	SHOW(raise(SIGABRT));
	catch(SIGUSR1);
	SHOW(kill(1, SIGUSR1));
	SHOW(got.si_pid);
	pid_t pid = fork();

	if (pid == 0) {
		SHOW(kill(1, SIGKILL));
		SHOW(kill(1, SIGUSR1));
		_exit(0);
	}
	while (waitpid(pid, NULL, 0) < 0)
		;
	IS(got.si_pid == pid);
	/* A child is no init. */
	pid = fork();
	if (pid == 0) {
		raise(SIGTERM);
		_exit(0);
	}
	int status;

	waitpid(pid, &status, 0);
	SHOW(WTERMSIG(status));
}

static void faulting(void)
{
	*(volatile int *)8 = 0;
}

static void from_outside(void)
{
	char byte;

	catch(SIGUSR2);
	write(fds[1], "r", 1);
	while (read(fds[1], &byte, 1) < 0 && errno == EINTR)
		;
	SHOW(got.si_pid);
	SHOW(got.si_code);
}

static void orphans(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (fork() == 0) {
			while (getppid() != 1)
				usleep(1000);
			_exit(5);
		}
		_exit(4);
	}
	SHOW(waitpid(pid, &status, 0) == pid);
	SHOW(WEXITSTATUS(status));
	SHOW(waitpid(-1, &status, 0));
	SHOW(WEXITSTATUS(status));
	SHOW(waitpid(-1, &status, 0));
}

static void leaves_children(void)
{
	int pair[2];
	char byte;

	pipe(pair);
	for (int i = 0; i < 3; i++)
		if (fork() == 0) {
			write(pair[1], "x", 1);
			close(fds[0]);
			for (;;)
				pause();
		}
	for (int i = 0; i < 3; i++)
		read(pair[0], &byte, 1);
	_exit(9);
}

static void nested_inner(void)
{
	SHOW(getpid());
	SHOW(getppid());
	char line[256];
	FILE *file = fopen("/proc/self/status", "r");

	/* This proc shows the outermost namespace. */
	while (file != NULL && fgets(line, sizeof line, file))
		if (!strncmp(line, "NSpid", 5) || !strncmp(line, "NStgid", 6)) {
			int numbers = 0;

			for (char *at = line; *at; at++)
				numbers += *at == '\t';
			say("%.5s: %d numbers\n", line, numbers);
		}
}

static void restarts(int command)
{
	int status;

	fflush(stdout);
	pid_t pid = syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);

	if (pid == 0) {
		if (fork() == 0)
			reboot(command);
		pause();
		_exit(0);
	}
	waitpid(pid, &status, 0);
	SHOW(status);
}

static void nested(void)
{
	SHOW(getpid());
	as_init("inner", nested_inner, 0);
	as_init("inner", nested_inner, 0);
}

static void unshared(void)
{
	SHOW(unshare(CLONE_NEWPID));
	IS(getpid() > 2);
	SHOW(unshare(CLONE_NEWPID));
	SHOW(syscall(SYS_clone, CLONE_VM | CLONE_SIGHAND | CLONE_THREAD, 0, 0, 0, 0));
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		SHOW(getpid());
		SHOW(getppid());
		_exit(0);
	}
	IS(waitpid(pid, &status, 0) == pid);
	/* Its process 1 is dead: nobody can be made there any more. */
	SHOW(fork());
	SHOW(vfork());
}

static void limits(void)
{
	struct clone_args args = { .exit_signal = SIGCHLD };
	pid_t wanted[3] = { 42, 0, 0 };
	int status;

	args.set_tid = (uintptr_t)wanted;
	args.set_tid_size = 1;
	pid_t pid = syscall(SYS_clone3, &args, sizeof args);

	if (pid == 0) {
		SHOW(getpid());
		_exit(0);
	}
	waitpid(pid, &status, 0);
	SHOW(pid);
	wanted[0] = 1;
	SHOW(syscall(SYS_clone3, &args, sizeof args));
	wanted[0] = -5;
	SHOW(syscall(SYS_clone3, &args, sizeof args));
	wanted[0] = 50;
	args.set_tid_size = 3;
	SHOW(syscall(SYS_clone3, &args, sizeof args));
	args.set_tid_size = 33;
	SHOW(syscall(SYS_clone3, &args, sizeof args));
	args.flags = CLONE_NEWPID;
	args.set_tid_size = 2;
	wanted[0] = 2;
	wanted[1] = 77;
	SHOW(syscall(SYS_clone3, &args, sizeof args));
	wanted[0] = 1;
	pid = syscall(SYS_clone3, &args, sizeof args);
	if (pid == 0) {
		SHOW(getpid());
		_exit(0);
	}
	waitpid(pid, &status, 0);
	SHOW(pid);
}

static void procfs(void)
{
	char text[64];
	ssize_t n;

	SHOW(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	SHOW(mount("proc", "/proc", "proc", 0, NULL));
	n = readlink("/proc/self", text, sizeof text - 1);
	say("self: %.*s\n", (int)n, text);
	n = readlink("/proc/thread-self", text, sizeof text - 1);
	say("thread-self: %.*s\n", (int)n, text);
	SHOW(access("/proc/1/stat", F_OK));
	SHOW(access("/proc/2/stat", F_OK));
	pid_t pid = fork();

	if (pid == 0) {
		int fd = open("/proc/self/stat", O_RDONLY);

		n = read(fd, text, 40);
		text[n > 0 ? n : 0] = 0;
		int own = 0, parent = -1;

		sscanf(text, "%d %*s %*c %d", &own, &parent);
		say("stat: %d, parent %d\n", own, parent);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	FILE *file = fopen("/proc/sys/kernel/ns_last_pid", "r");
	int last = 0;

	fscanf(file, "%d", &last);
	say("last: %d\n", last);
	fclose(file);
	file = fopen("/proc/sys/kernel/ns_last_pid", "w");
	fprintf(file, "99");
	fclose(file);
	pid = fork();
	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
	SHOW(pid);
}

static void credentials(void)
{
	struct ucred who;
	socklen_t size = sizeof who;
	int pair[2];

	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	SHOW(getsockopt(pair[0], SOL_SOCKET, SO_PEERCRED, &who, &size));
	SHOW(who.pid);
	SHOW(getsockopt(fds[0], SOL_SOCKET, SO_PEERCRED, &who, &size));
	SHOW(who.pid);
	SHOW(fcntl(pair[0], F_SETOWN, getpid()));
	SHOW(fcntl(pair[0], F_GETOWN));
	SHOW(fcntl(fds[0], F_GETOWN));
	SHOW(getpriority(PRIO_PROCESS, 1) >= 0 || errno != ESRCH);
	SHOW(sched_getscheduler(1));
	SHOW(sched_getscheduler(30000));
	int fd = syscall(SYS_pidfd_open, 1, 0);

	SHOW(fd >= 0);
	SHOW(syscall(SYS_pidfd_open, 30000, 0));
	SHOW(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
}

static void hold(void)
{
	for (;;)
		pause();
}

static void seen_from_above(void)
{
	int status;
	pid_t pid = syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		hold();
	IS(getpgid(pid) == getpgrp());
	SHOW(kill(pid, SIGTERM)); /* ignored: it has no handler, and not even we are heard */
	usleep(20000);
	SHOW(waitpid(pid, &status, WNOHANG));
	SHOW(kill(pid, SIGSTOP));
	SHOW(waitpid(pid, &status, WUNTRACED) == pid);
	SHOW(WIFSTOPPED(status) ? WSTOPSIG(status) : -1);
	SHOW(kill(pid, SIGKILL));
	SHOW(waitpid(pid, &status, 0) == pid);
	SHOW(WTERMSIG(status));
}

/* A parent outside dies: the signal it has promised reaches even process 1. */
static void parent_dies(void)
{
	int pair[2];
	char byte;

	pipe(pair);
	fflush(stdout);
	if (fork() == 0) {
		pid_t pid = syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);

		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			write(pair[1], "x", 1);
			hold();
		}
		read(pair[0], &byte, 1);
		_exit(0);
	}
	close(pair[1]);
	wait(NULL);
	SHOW(read(pair[0], &byte, 1)); /* nobody is left to write */
}

int main(void)
{
	pid_t self = getpid();
	char byte;

	socketpair(AF_UNIX, SOCK_STREAM, 0, fds);
	fcntl(fds[0], F_SETOWN, self);
	as_init("numbers", numbers, 0);
	as_init("init signals", init_signals, 0);
	as_init("faulting", faulting, 0);
	as_init("orphans", orphans, 0);
	as_init("nested", nested, 0);
	as_init("limits", limits, 0);
	as_init("procfs", procfs, CLONE_NEWNS);
	as_init("credentials", credentials, 0);
	restarts(RB_AUTOBOOT); /* only this namespace ends */
	restarts(RB_POWER_OFF);
	in_child("unshared", unshared);
	in_child("seen from above", seen_from_above);
	in_child("parent dies", parent_dies);

	int pair[2];

	pipe(pair);
	fflush(stdout);
	pid_t pid = syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);

	if (pid == 0) {
		close(pair[0]);
		leaves_children();
	}
	close(pair[1]);
	int status;

	SHOW(waitpid(pid, &status, 0) == pid);
	SHOW(WEXITSTATUS(status));
	SHOW(read(pair[0], &byte, 1)); /* all of them are gone */

	pid = syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);
	if (pid == 0) {
		from_outside();
		fflush(stdout);
		_exit(0);
	}
	read(fds[0], &byte, 1);
	kill(pid, SIGUSR2);
	usleep(20000);
	write(fds[0], "g", 1);
	SHOW(waitpid(pid, &status, 0) == pid);
	SHOW(syscall(SYS_clone, CLONE_NEWPID | CLONE_THREAD | CLONE_SIGHAND | CLONE_VM, 0, 0, 0, 0));
	return 0;
}
