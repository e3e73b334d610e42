/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptor numbers: dup, fcntl, close-on-exec, close_range. */
#include "check.h"

static void nothing(void)
{
	SHOW(dup(0));
}

int main(void)
{
	int fd, flags;

	put("f", "0123456789");
	fd = SHOW(open("f", O_RDWR));
	SHOW(dup(fd));
	SHOW(dup(99));
	in_child("after a failed dup", nothing);
	SHOW(dup2(fd, 10));
	SHOW(dup2(fd, fd));
	SHOW(dup2(99, 99));
	SHOW(dup2(99, 11));
	SHOW(dup2(fd, -1));
	SHOW(dup3(fd, 12, O_CLOEXEC));
	SHOW(dup3(fd, fd, 0));
	SHOW(dup3(fd, 13, O_APPEND));
	SHOW(fcntl(12, F_GETFD));
	SHOW(fcntl(fd, F_GETFD));
	SHOW(fcntl(fd, F_SETFD, FD_CLOEXEC));
	SHOW(fcntl(fd, F_GETFD));
	SHOW(fcntl(fd, F_DUPFD, 20));
	SHOW(fcntl(fd, F_DUPFD_CLOEXEC, 20));
	SHOW(fcntl(fd, F_DUPFD, -1));
	SHOW(fcntl(fd, F_DUPFD, 1 << 30));
	SHOW(fcntl(99, F_GETFD));
	SHOW(fcntl(fd, 9999));
	flags = fcntl(fd, F_GETFL);
	say("%o\n", flags);
	SHOW(fcntl(fd, F_SETFL, O_APPEND | O_NONBLOCK | O_RDONLY | O_CREAT));
	say("%o\n", fcntl(fd, F_GETFL));
	say("%o\n", fcntl(10, F_GETFL));
	SHOW(write(fd, "end", 3));
	SHOW(lseek(10, 0, SEEK_CUR));
	SHOW(fcntl(fd, F_SETFL, 0));
	SHOW(lseek(10, 2, SEEK_SET));
	SHOW(lseek(fd, 0, SEEK_CUR));
	SHOW(close(4));
	SHOW(open("f", O_RDONLY | O_CLOEXEC));
	SHOW(close_range(10, 15, 0));
	SHOW(fcntl(12, F_GETFD));
	SHOW(fcntl(20, F_GETFD));
	SHOW(close_range(20, ~0U, CLOSE_RANGE_CLOEXEC));
	SHOW(fcntl(20, F_GETFD));
	SHOW(close_range(5, 4, 0));
	SHOW(close_range(50, 60, 64));
	SHOW(close(20));
	SHOW(close(-1));
	return 0;
}
