/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions, process groups, the terminal that isn't there, uname, prctl. */
#include "check.h"
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <termios.h>

static void leader(void)
{
	SHOW(setsid() == getpid());
	SHOW(setsid());
	SHOW(setpgid(0, 0));
	IS(getsid(0) == getpid() && getpgrp() == getpid());
}

static void member(void)
{
	pid_t pid;
	int p[2];
	char c;

	pipe(p);
	if ((pid = fork()) == 0) {
		read(p[0], &c, 1);
		_exit(0);
	}
	SHOW(setpgid(pid, pid));
	IS(getpgid(pid) == pid);
	SHOW(setpgid(0, pid));
	IS(getpgrp() == pid);
	SHOW(setpgid(0, 999999));
	SHOW(setpgid(0, -1));
	SHOW(setpgid(1, 0));
	SHOW(getpgid(999999));
	SHOW(getsid(999999));
	write(p[1], "x", 1);
	wait(NULL);
}

int main(void)
{
	struct utsname name;
	struct winsize size;
	struct termios t;
	char comm[16];
	int p[2], value = 0;

	pipe(p);
	SHOW(uname(&name));
	say("%s %s %s\n", name.sysname, name.machine, name.domainname);
	SHOW(gethostname(comm, 1));
	in_child("leader", leader);
	in_child("member", member);
	for (int fd = 0; fd < 5; fd++)
		say("fd %d: %d %s\n", fd, isatty(fd), strerrorname_np(errno));
	SHOW(ioctl(p[0], TIOCGWINSZ, &size));
	SHOW(ioctl(0, TCGETS, &t));
	SHOW(ioctl(99, TIOCGWINSZ, &size));
	SHOW(tcgetpgrp(0));
	SHOW(open("/dev/tty", O_RDWR));
	SHOW(prctl(PR_SET_NAME, "a name that is too long"));
	SHOW(prctl(PR_GET_NAME, comm));
	say("%s\n", comm);
	SHOW(prctl(PR_GET_PDEATHSIG, &value));
	SHOW(prctl(PR_SET_PDEATHSIG, SIGUSR1));
	SHOW(prctl(PR_GET_PDEATHSIG, &value));
	say("%d\n", value);
	SHOW(prctl(PR_SET_PDEATHSIG, 99));
	SHOW(prctl(PR_SET_PDEATHSIG, 0));
	SHOW(prctl(PR_GET_DUMPABLE));
	SHOW(prctl(PR_GET_KEEPCAPS));
	SHOW(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	SHOW(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	SHOW(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	SHOW(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
	SHOW(prctl(PR_SET_CHILD_SUBREAPER, 1));
	SHOW(prctl(123456, 0, 0, 0, 0));
	SHOW(personality(0xffffffff));
	SHOW(syscall(SYS_getcpu, &value, NULL, NULL));
	SHOW(sched_getscheduler(0));
	SHOW(sched_get_priority_max(SCHED_FIFO));
	SHOW(syscall(999));
	SHOW(syscall(-1));
	return 0;
}
