/* SPDX-License-Identifier: Apache-2.0 */
/* fork(2) and vfork: what is copied, what is shared, who is whose parent. */
#include "check.h"
#include <spawn.h>

static int global = 1;

int main(void)
{
	char *args[] = { "/bin/echo", "spawned", NULL };
	int status, p[2], fd;
	pid_t parent = getpid(), pid, child;
	char *heap = malloc(100000);
	char c;

	strcpy(heap, "heap");
	put("f", "0123456789");
	fd = open("f", O_RDONLY);
	pipe(p);
	fflush(stdout);
	if ((pid = fork()) == 0) {
		IS(getppid() == parent);
		IS(getpid() != parent);
		IS(getpgrp() == getpgid(parent));
		global = 2;
		strcpy(heap, "changed");
		read(fd, &c, 1);
		write(p[1], "x", 1);
		chdir("/");
		umask(0);
		_exit(42);
	}
	SHOW(read(p[0], &c, 1));
	IS(pid > 0);
	IS(waitpid(pid, &status, 0) == pid);
	say("status %x\n", status);
	say("global %d heap %s\n", global, heap);
	SHOW(lseek(fd, 0, SEEK_CUR));
	say("umask %o\n", umask(022));
	IS(access("f", F_OK) == 0);
	SHOW(waitpid(pid, &status, 0));
	SHOW(waitpid(-1, &status, 0));

	fflush(stdout);
	if ((pid = vfork()) == 0) {
		global = 3;
		_exit(7);
	}
	waitpid(pid, &status, 0);
	say("vfork: global %d status %x\n", global, status);
	int error = posix_spawn(&child, args[0], NULL, NULL, args, NULL);
	waitpid(child, &status, 0);
	say("spawn %d status %x\n", error, status);
	args[0] = "/nowhere";
	say("%s\n", strerrorname_np(posix_spawn(&child, args[0], NULL, NULL, args, NULL)));

	/* An orphan gets a new parent. */
	fflush(stdout);
	if (fork() == 0) {
		pid_t middle = getpid();

		if (fork() == 0) {
			while (getppid() == middle)
				sched_yield();
			write(p[1], "o", 1);
			_exit(0);
		}
		_exit(0);
	}
	wait(NULL);
	read(p[0], &c, 1);
	say("orphan says %c\n", c);
	for (int i = 0; i < 200; i++) {
		if ((pid = fork()) == 0)
			_exit(i & 0x7f);
		if (waitpid(pid, &status, 0) != pid || WEXITSTATUS(status) != (i & 0x7f))
			say("child %d: %x\n", i, status);
	}
	return 0;
}
