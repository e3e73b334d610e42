/* SPDX-License-Identifier: Apache-2.0 */
/* Record locks of fcntl(2) and flock(2), between processes. */
#include "check.h"
#include <sys/file.h>

static int fd;

static int lock(int cmd, int type, long start, long len)
{
	struct flock fl = { .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len };

	return fcntl(fd, cmd, &fl);
}

static void test(long start, long len)
{
	struct flock fl = { .l_type = F_WRLCK, .l_start = start, .l_len = len };

	fcntl(fd, F_GETLK, &fl);
	say("getlk %ld+%ld: type %d start %ld len %ld parent %d\n", start, len, fl.l_type,
	    (long)fl.l_start, (long)fl.l_len, fl.l_pid == getppid());
}

static void child(void)
{
	test(0, 100);
	test(15, 1);
	test(50, 0);
	SHOW(lock(F_SETLK, F_WRLCK, 12, 1));
	SHOW(lock(F_SETLK, F_RDLCK, 12, 1));
	SHOW(lock(F_SETLK, F_RDLCK, 35, 1));
	SHOW(lock(F_SETLK, F_WRLCK, 35, 1));
	SHOW(lock(F_SETLK, F_WRLCK, 100, 0));
	SHOW(flock(fd, LOCK_EX | LOCK_NB));
	fd = open("f", O_RDWR);
	SHOW(flock(fd, LOCK_EX | LOCK_NB));
	SHOW(flock(fd, LOCK_SH | LOCK_NB));
}

int main(void)
{
	int p[2], status;
	char c;

	put("f", "0123456789");
	fd = open("f", O_RDWR);
	SHOW(lock(F_SETLK, F_WRLCK, 10, 10));
	SHOW(lock(F_SETLK, F_RDLCK, 30, 10));
	SHOW(lock(F_SETLK, F_UNLCK, 14, 2));
	SHOW(lock(F_SETLK, 9, 0, 1));
	SHOW(lock(F_SETLK, F_WRLCK, 5, -10));
	SHOW(flock(fd, LOCK_EX));
	SHOW(flock(fd, 77));
	SHOW(flock(99, LOCK_EX));
	in_child("child", child);
	close(open("f", O_RDONLY));
	in_child("all record locks are gone with a close", child);
	SHOW(flock(fd, LOCK_UN));
	pipe(p);
	SHOW(lock(F_SETLK, F_WRLCK, 0, 0));
	fflush(stdout);
	if (fork() == 0) {
		write(p[1], "x", 1);
		SHOW(lock(F_SETLKW, F_WRLCK, 0, 1));
		_exit(0);
	}
	read(p[0], &c, 1);
	usleep(5000);
	say("unlocking\n");
	lock(F_SETLK, F_UNLCK, 0, 0);
	wait(&status);
	say("%x\n", status);
	return 0;
}
