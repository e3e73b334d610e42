/* SPDX-License-Identifier: Apache-2.0 */
/* epoll(7): level, edge, one-shot, nesting, errors. */
#include "check.h"
#include <sys/epoll.h>

static int ep;

static void wait_for(const char *what, int timeout)
{
	struct epoll_event events[8];
	int n = epoll_wait(ep, events, 8, timeout);

	say("%s: %d%s%s", what, n, n < 0 ? " " : "", n < 0 ? strerrorname_np(errno) : "");
	for (int i = 0; i < n; i++)
		say(" [%#x %lx]", events[i].events, (long)events[i].data.u64);
	say("\n");
}

static int control(int op, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event event = { .events = events, .data.u64 = data };

	return epoll_ctl(ep, op, fd, &event);
}

int main(void)
{
	int p[2], file, inner, status;
	char buf[64];

	SHOW(epoll_create1(1));
	SHOW(epoll_create(0));
	ep = SHOW(epoll_create1(EPOLL_CLOEXEC));
	pipe(p);
	file = open("f", O_RDWR | O_CREAT, 0600);
	SHOW(control(EPOLL_CTL_ADD, p[0], EPOLLIN, 1));
	SHOW(control(EPOLL_CTL_ADD, p[0], EPOLLIN, 1));
	SHOW(control(EPOLL_CTL_ADD, file, EPOLLIN, 2));
	SHOW(control(EPOLL_CTL_ADD, 99, EPOLLIN, 2));
	SHOW(control(EPOLL_CTL_ADD, ep, EPOLLIN, 2));
	SHOW(control(EPOLL_CTL_MOD, p[1], EPOLLIN, 2));
	SHOW(control(EPOLL_CTL_DEL, p[1], EPOLLIN, 2));
	SHOW(control(9, p[0], EPOLLIN, 2));
	wait_for("nothing", 0);
	wait_for("timeout", 3);
	write(p[1], "abc", 3);
	wait_for("level", -1);
	wait_for("level again", -1);
	SHOW(control(EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLET, 0x1234567890));
	wait_for("edge", 0);
	wait_for("edge again", 0);
	write(p[1], "d", 1);
	wait_for("edge after a write", 0);
	SHOW(control(EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLONESHOT, 3));
	wait_for("one shot", 0);
	write(p[1], "e", 1);
	wait_for("after the shot", 0);
	SHOW(control(EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLONESHOT, 4));
	wait_for("armed again", 0);
	SHOW(control(EPOLL_CTL_ADD, p[1], EPOLLOUT, 5));
	wait_for("writable", 0);
	read(p[0], buf, sizeof(buf));
	inner = ep;
	ep = SHOW(epoll_create1(0));
	SHOW(control(EPOLL_CTL_ADD, inner, EPOLLIN, 6));
	wait_for("nested", 0);
	ep = inner;
	close(p[0]);
	wait_for("reader gone", 0);
	close(p[1]);
	wait_for("both gone", 0);
	pipe(p);
	SHOW(control(EPOLL_CTL_ADD, p[0], EPOLLIN, 7));
	fflush(stdout);
	if (fork() == 0) {
		usleep(5000);
		write(p[1], "z", 1);
		_exit(0);
	}
	wait_for("from a child", -1);
	wait(&status);
	read(p[0], buf, 1);
	close(p[1]);
	wait_for("hangup", -1);
	SHOW(control(EPOLL_CTL_DEL, p[0], 0, 0));
	wait_for("deleted", 0);
	SHOW(epoll_wait(ep, (void *)buf, 0, 0));
	SHOW(epoll_wait(file, (void *)buf, 1, 0));
	SHOW(read(ep, buf, 1));
	return 0;
}
