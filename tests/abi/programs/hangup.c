/* SPDX-License-Identifier: Apache-2.0 */
/* A pty loses its master: who reads meanwhile, who reads later; and foreground groups by numbers
 * that are no group's. */
#include "check.h"
#include <pty.h>
#include <termios.h>

static void reads(int master, int slave)
{
	char c = 0;

	close(master);
	SHOW(read(slave, &c, 1));
	SHOW(read(slave, &c, 1));
	SHOW(write(slave, &c, 1));
	_exit(0);
}

static void groups(int slave)
{
	pid_t child;

	setsid();
	SHOW(ioctl(slave, TIOCSCTTY, 0));
	child = fork();
	if (child == 0) {
		pause();
		_exit(0);
	}
	SHOW(tcsetpgrp(slave, 99999));
	SHOW(tcsetpgrp(slave, getppid()));
	SHOW(tcsetpgrp(slave, -1));
	/* Of our session, but no group. */
	SHOW(tcsetpgrp(slave, child));
	SHOW(tcgetpgrp(slave) == child);
	kill(child, SIGKILL);
	_exit(0);
}

int main(void)
{
	int master, slave;

	openpty(&master, &slave, NULL, NULL, NULL);
	fflush(stdout);
	if (fork() == 0)
		reads(master, slave);
	usleep(20000);
	close(master);
	wait(NULL);
	close(slave);
	openpty(&master, &slave, NULL, NULL, NULL);
	if (fork() == 0)
		groups(slave);
	wait(NULL);
	return 0;
}
