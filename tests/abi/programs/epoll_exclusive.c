/* SPDX-License-Identifier: Apache-2.0 */
/* EPOLLEXCLUSIVE: of several sleepers an event wakes one. */
#include "check.h"
#include <sys/epoll.h>

enum { SLEEPERS = 4 };

static int fds[2], report[2];

static void sleeper(void)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET | EPOLLEXCLUSIVE };
	int ep = epoll_create1(0);

	epoll_ctl(ep, EPOLL_CTL_ADD, fds[0], &event);
	write(report[1], "r", 1);
	epoll_wait(ep, &event, 1, -1);
	write(report[1], "w", 1);
	_exit(0);
}

static int told(void)
{
	struct pollfd one = { report[0], POLLIN, 0 };
	char byte;
	int count = 0;

	while (poll(&one, 1, 200) > 0 && read(report[0], &byte, 1) == 1)
		count++;
	return count;
}

int main(void)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLEXCLUSIVE };
	int ep = epoll_create1(0);

	pipe(fds);
	pipe(report);
	for (int i = 0; i < SLEEPERS; i++)
		if (fork() == 0)
			sleeper();
	say("ready %d\n", told());
	for (int i = 0; i < SLEEPERS; i++) {
		write(fds[1], "x", 1);
		say("woken %d\n", told());
	}
	while (wait(NULL) > 0)
		;
	SHOW(epoll_ctl(ep, EPOLL_CTL_ADD, fds[0], &event));
	SHOW(epoll_wait(ep, &event, 1, 0));
	event.events = EPOLLIN;
	SHOW(epoll_ctl(ep, EPOLL_CTL_MOD, fds[0], &event));
	SHOW(epoll_ctl(ep, EPOLL_CTL_DEL, fds[0], NULL));
	event.events = EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT;
	SHOW(epoll_ctl(ep, EPOLL_CTL_ADD, fds[0], &event));
	return 0;
}
