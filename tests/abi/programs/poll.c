/* SPDX-License-Identifier: Apache-2.0 */
/* poll(2), ppoll, select, pselect on pipes, files and nothing. */
#include "check.h"
#include <sys/select.h>

static void show(struct pollfd *fds, int n, int result)
{
	say("poll %d:", result);
	for (int i = 0; i < n; i++)
		say(" %#x", fds[i].revents);
	say("\n");
}

int main(void)
{
	struct timespec none = { 0, 0 }, bad = { 0, -1 };
	struct pollfd fds[4];
	fd_set r, w;
	struct timeval tv = { 0, 1000 };
	int p[2], q[2], file, status;
	char c;

	pipe(p);
	pipe(q);
	file = open("f", O_RDWR | O_CREAT, 0600);
	fds[0] = (struct pollfd){ p[0], POLLIN | POLLRDNORM, 0 };
	fds[1] = (struct pollfd){ p[1], POLLOUT | POLLWRNORM | POLLIN, 0 };
	fds[2] = (struct pollfd){ file, POLLIN | POLLOUT | POLLPRI, 0 };
	fds[3] = (struct pollfd){ 99, POLLIN, 0 };
	show(fds, 4, poll(fds, 4, 0));
	fds[3].fd = -5;
	write(p[1], "x", 1);
	show(fds, 4, poll(fds, 4, -1));
	read(p[0], &c, 1);
	show(fds, 1, poll(fds, 1, 5));
	SHOW(poll(NULL, 0, 2));
	SHOW(poll((void *)8, 1, 0));
	SHOW(ppoll(fds, 1, &none, NULL));
	SHOW(ppoll(fds, 1, &bad, NULL));
	close(q[1]);
	fds[0].fd = q[0];
	show(fds, 1, poll(fds, 1, -1));
	fds[0].events = 0;
	show(fds, 1, poll(fds, 1, -1));
	close(p[0]);
	show(fds + 1, 1, poll(fds + 1, 1, -1));
	close(p[1]);
	close(q[0]);

	pipe(p);
	FD_ZERO(&r);
	FD_ZERO(&w);
	FD_SET(p[0], &r);
	FD_SET(p[1], &w);
	SHOW(select(p[1] + 1, &r, &w, NULL, NULL));
	say("%d %d\n", FD_ISSET(p[0], &r), FD_ISSET(p[1], &w));
	FD_SET(p[0], &r);
	SHOW(select(p[0] + 1, &r, NULL, NULL, &tv));
	say("%d, left %ld\n", FD_ISSET(p[0], &r), (long)tv.tv_usec);
	FD_SET(p[0], &r);
	fflush(stdout);
	if (fork() == 0) {
		usleep(5000);
		write(p[1], "y", 1);
		_exit(0);
	}
	SHOW(select(p[0] + 1, &r, NULL, NULL, NULL));
	wait(&status);
	dup2(p[0], 200); /* numbers beyond the end of the table are ignored */
	FD_SET(99, &r);
	SHOW(select(100, &r, NULL, NULL, &tv));
	SHOW(select(-1, NULL, NULL, NULL, &tv));
	tv.tv_usec = -1;
	SHOW(select(0, NULL, NULL, NULL, &tv));
	SHOW(pselect(0, NULL, NULL, NULL, &none, NULL));
	return 0;
}
