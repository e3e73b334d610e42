/* SPDX-License-Identifier: Apache-2.0 */
/* abi-timeout: 60 */
/* Who reads while others append or write reads every byte once, and in order. */
#include "check.h"

#define COUNT 6000

static void append(void)
{
	int fd = open("log", O_WRONLY | O_APPEND);

	for (long i = 0; i < COUNT; i += 3) {
		long three[3] = {i, i + 1, i + 2};

		if (write(fd, three, sizeof(three)) != sizeof(three))
			_exit(1);
	}
	_exit(0);
}

static int in_order(int fd)
{
	long next = 0, got = -1;

	while (next < COUNT) {
		int n = read(fd, &got, 8);

		if (n == 0) {
			sched_yield();
			continue;
		}
		if (n != 8 || got != next)
			return 0;
		next++;
	}
	return read(fd, &got, 8) == 0 && lseek(fd, 0, SEEK_CUR) == COUNT * 8;
}

/* Another process makes the same file longer and shorter again, behind what is read. */
static void flicker(void)
{
	for (int i = 0; i < 300; i++)
		if (truncate("log", COUNT * 8 + 1 + i % 5000) || truncate("log", COUNT * 8))
			_exit(1);
	_exit(0);
}

int main(void)
{
	int fd, status, right = 1;
	pid_t child;

	close(open("log", O_CREAT | O_TRUNC | O_WRONLY, 0644));
	fd = open("log", O_RDONLY);
	child = fork();
	if (!child)
		append();
	close(fd); /* shared with the child: one of its own */
	fd = open("log", O_RDONLY);
	IS(in_order(fd));
	waitpid(child, &status, 0);
	SHOW(status);
	child = fork();
	if (!child)
		flicker();
	close(fd);
	fd = open("log", O_RDONLY);
	do {
		long next = 0, got;

		lseek(fd, 0, SEEK_SET);
		while (next < COUNT && read(fd, &got, 8) == 8)
			right &= got == next++;
		right &= next == COUNT;
	} while (!waitpid(child, &status, WNOHANG));
	IS(right);
	SHOW(status);
	return 0;
}
