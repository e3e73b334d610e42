/* SPDX-License-Identifier: Apache-2.0 */
/* A program that is being executed can't be written to, and one being written not executed. */
#include "check.h"

static void copy_self(const char *name)
{
	char buffer[65536];
	ssize_t count;
	int from = open("/proc/self/exe", O_RDONLY);
	int to = open(name, O_WRONLY | O_CREAT | O_EXCL, 0755);

	while ((count = read(from, buffer, sizeof(buffer))) > 0)
		write(to, buffer, count);
	close(from);
	close(to);
}

/* Start the copy; returns when it runs. */
static pid_t start(const char *name, const char *how, int *hold)
{
	int ready[2], wait_for[2];
	char byte;
	pid_t pid;

	pipe(ready);
	pipe(wait_for);
	pid = fork();
	if (pid == 0) {
		dup2(wait_for[0], 0);
		dup2(ready[1], 1);
		close(wait_for[1]);
		close(ready[0]);
		execl(name, name, how, NULL);
		_exit(127);
	}
	close(wait_for[0]);
	close(ready[1]);
	read(ready[0], &byte, 1);
	close(ready[0]);
	*hold = wait_for[1];
	return pid;
}

static void try_all(void)
{
	SHOW(creat("copy", 0644));
	SHOW(open("copy", O_RDWR));
	SHOW(open("copy", O_WRONLY | O_APPEND));
	SHOW(open("copy", O_RDONLY | O_TRUNC));
	SHOW(truncate("copy", 0));
	SHOW(access("copy", W_OK));
	close(SHOW(open("copy", O_RDONLY)));
	SHOW(chmod("copy", 0711));
	SHOW(open("copy", O_WRONLY));
	SHOW(rename("copy", "other"));
	SHOW(open("other", O_WRONLY));
	SHOW(rename("other", "copy"));
}

int main(int argc, char **argv)
{
	char byte;
	int hold, fd;
	pid_t pid;

	if (argc > 1) {
		if (argv[1][0] == 'f' && fork() != 0)
			_exit(0);
		write(1, "r", 1);
		close(1);
		read(0, &byte, 1);
		_exit(0);
	}
	copy_self("copy");
	pid = start("./copy", "stay", &hold);
	try_all();
	close(hold);
	waitpid(pid, NULL, 0);
	fd = SHOW(open("copy", O_WRONLY));
	SHOW(execl("./copy", "copy", "x", NULL));
	close(fd);
	pid = start("./copy", "fork", &hold);
	waitpid(pid, NULL, 0);
	say("a child of it is left\n");
	SHOW(open("copy", O_WRONLY));
	SHOW(unlink("copy"));
	close(hold);
	return 0;
}
