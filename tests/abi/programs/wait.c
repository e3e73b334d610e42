/* SPDX-License-Identifier: Apache-2.0 */
/* wait4(2) and waitid: statuses, options, stopped and continued children. */
#include "check.h"

static pid_t start(int how)
{
	pid_t pid;

	fflush(stdout);
	if ((pid = fork()) == 0) {
		if (how < 0)
			raise(-how);
		for (; how == 1000;)
			pause();
		_exit(how);
	}
	return pid;
}

static void show(const char *what, int status)
{
	if (WIFEXITED(status))
		say("%s: exited %d\n", what, WEXITSTATUS(status));
	else if (WIFSIGNALED(status))
		say("%s: killed %d\n", what, WTERMSIG(status));
	else if (WIFSTOPPED(status))
		say("%s: stopped %d\n", what, WSTOPSIG(status));
	else if (WIFCONTINUED(status))
		say("%s: continued\n", what);
}

int main(void)
{
	struct rlimit none = { 0, 0 };
	struct rusage usage;
	siginfo_t info;
	int status = 0;
	pid_t pid, other;

	setrlimit(RLIMIT_CORE, &none);
	SHOW(wait(&status));
	pid = start(3);
	IS(wait4(pid, &status, 0, &usage) == pid);
	show("wait4", status);
	for (int sig = 1; sig < 32; sig++) {
		if (sig == SIGSTOP || sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU)
			continue;
		pid = start(-sig);
		waitpid(pid, &status, 0);
		show(sigabbrev_np(sig), status);
	}
	pid = start(1000);
	SHOW(waitpid(pid, &status, WNOHANG));
	kill(pid, SIGSTOP);
	IS(waitpid(pid, &status, WUNTRACED) == pid);
	show("stop", status);
	SHOW(waitpid(pid, &status, WUNTRACED | WNOHANG));
	kill(pid, SIGCONT);
	IS(waitpid(pid, &status, WCONTINUED) == pid);
	show("cont", status);
	kill(pid, SIGTERM);
	IS(waitpid(-1, &status, 0) == pid);
	show("term", status);

	pid = start(9);
	memset(&info, 0, sizeof(info));
	SHOW(waitid(P_PID, pid, &info, WEXITED | WNOWAIT));
	IS(info.si_pid == pid && info.si_uid == getuid());
	say("signo %d code %d status %d\n", info.si_signo, info.si_code, info.si_status);
	SHOW(waitid(P_ALL, 0, &info, WEXITED));
	SHOW(waitid(P_ALL, 0, &info, WEXITED));
	pid = start(-SIGKILL);
	SHOW(waitid(P_PID, pid, &info, WEXITED));
	say("code %d status %d\n", info.si_code, info.si_status);
	pid = start(1000);
	memset(&info, 0, sizeof(info));
	SHOW(waitid(P_PID, pid, &info, WEXITED | WNOHANG));
	say("pid %d signo %d\n", info.si_pid, info.si_signo);
	SHOW(waitid(P_PID, pid, &info, 0));
	SHOW(waitid(9, pid, &info, WEXITED));
	SHOW(waitpid(pid, &status, 0x100));
	kill(pid, SIGKILL);
	wait(&status);

	pid = start(1);
	other = start(2);
	IS(waitpid(other, &status, 0) == other);
	show("other", status);
	IS(waitpid(0, &status, 0) == pid);
	show("first", status);
	pid = start(1000);
	setpgid(pid, pid);
	SHOW(waitpid(0, &status, WNOHANG));
	kill(-pid, SIGINT);
	IS(waitpid(-pid, &status, 0) == pid);
	show("group", status);
	SHOW(kill(pid, 0));
	return 0;
}
