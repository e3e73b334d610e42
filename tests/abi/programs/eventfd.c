/* SPDX-License-Identifier: Apache-2.0 */
/* eventfd(2): counter and semaphore. */
#include "check.h"
#include <sys/eventfd.h>

int main(void)
{
	uint64_t value = 0, big = ~0UL;
	struct pollfd pfd;
	int fd = SHOW(eventfd(5, EFD_NONBLOCK)), sem, status;

	pfd = (struct pollfd){ fd, POLLIN | POLLOUT, 0 };
	SHOW(read(fd, &value, 8));
	say("%lu\n", value);
	SHOW(read(fd, &value, 8));
	SHOW(read(fd, &value, 4));
	value = 3;
	SHOW(write(fd, &value, 8));
	SHOW(write(fd, &value, 8));
	SHOW(write(fd, &value, 7));
	SHOW(write(fd, &big, 8));
	SHOW(poll(&pfd, 1, 0));
	say("%#x\n", pfd.revents);
	SHOW(read(fd, &value, 8));
	say("%lu\n", value);
	value = ~0UL - 1;
	SHOW(write(fd, &value, 8));
	value = 1;
	SHOW(write(fd, &value, 8));
	SHOW(poll(&pfd, 1, 0));
	say("%#x\n", pfd.revents);
	sem = SHOW(eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC));
	SHOW(read(sem, &value, 8));
	say("%lu\n", value);
	SHOW(read(sem, &value, 8));
	SHOW(read(sem, &value, 8));
	SHOW(eventfd(0, 0x1234));
	fd = eventfd(0, 0);
	fflush(stdout);
	if (fork() == 0) {
		value = 77;
		usleep(3000);
		write(fd, &value, 8);
		_exit(0);
	}
	SHOW(read(fd, &value, 8));
	wait(&status);
	say("%lu\n", value);
	SHOW(lseek(fd, 0, SEEK_SET));
	return 0;
}
