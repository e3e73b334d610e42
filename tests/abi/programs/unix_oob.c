/* SPDX-License-Identifier: Apache-2.0 */
/* Out-of-band bytes of AF_UNIX streams. */
#include "unix.h"
#include <linux/sockios.h>

static void get(int fd, int size, int flags)
{
	char buf[32] = "";
	long n;

	errno = 0;
	n = recv(fd, buf, size, flags);
	say("recv(%d, %#x) = %ld %s \"%s\"\n", size, flags, n, n < 0 ? strerrorname_np(errno) : "", buf);
}

static int mark(int fd)
{
	int value = -1;

	ioctl(fd, SIOCATMARK, &value);
	return value;
}

static int urgent;

static void on_urgent(int sig)
{
	(void)sig;
	urgent++;
}

static int inputs;

static void on_io(int sig)
{
	(void)sig;
	inputs++;
}

int main(void)
{
	int s[2];

	signal(SIGURG, on_urgent);
	socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s);
	get(s[1], 1, MSG_OOB);
	SHOW(send(s[0], "", 0, MSG_OOB));
	SHOW(send(s[0], "hello", 5, MSG_OOB));
	SHOW(queued(s[1]));
	POLL(s[1]);
	SHOW(mark(s[1]));
	get(s[1], 10, 0);
	SHOW(mark(s[1]));
	POLL(s[1]);
	get(s[1], 1, MSG_OOB | MSG_PEEK);
	get(s[1], 1, MSG_OOB);
	get(s[1], 1, MSG_OOB);
	SHOW(mark(s[1]));
	POLL(s[1]);
	get(s[1], 10, 0);
	say("-- skipped by an ordinary read\n");
	SHOW(send(s[0], "abc", 3, MSG_OOB));
	SHOW(send(s[0], "def", 3, 0));
	get(s[1], 10, 0);
	get(s[1], 10, 0);
	get(s[1], 1, MSG_OOB);
	say("-- peeked\n");
	SHOW(send(s[0], "abc", 3, MSG_OOB));
	SHOW(send(s[0], "def", 3, 0));
	get(s[1], 10, MSG_PEEK);
	get(s[1], 10, MSG_PEEK);
	get(s[1], 1, MSG_OOB);
	get(s[1], 10, 0);
	say("-- a second one\n");
	SHOW(send(s[0], "a", 1, MSG_OOB));
	SHOW(send(s[0], "b", 1, MSG_OOB));
	get(s[1], 10, 0);
	get(s[1], 1, MSG_OOB);
	get(s[1], 10, 0);
	say("-- inline\n");
	SHOW(set_option(s[1], SO_OOBINLINE, 1));
	SHOW(send(s[0], "xyz", 3, MSG_OOB));
	SHOW(send(s[0], "uvw", 3, 0));
	get(s[1], 1, MSG_OOB);
	get(s[1], 10, 0);
	SHOW(mark(s[1]));
	get(s[1], 10, 0);
	get(s[1], 10, 0);
	say("-- owner\n");
	SHOW(set_option(s[1], SO_OOBINLINE, 0));
	fcntl(s[1], F_SETOWN, getpid());
	SHOW(send(s[0], "!", 1, MSG_OOB));
	SHOW(urgent);
	get(s[1], 1, MSG_OOB);
	get(s[1], 1, 0);
	say("-- SIGIO\n");
	signal(SIGIO, on_io);
	SHOW(fcntl(s[1], F_SETFL, O_ASYNC | O_NONBLOCK));
	write(s[0], "x", 1);
	SHOW(inputs);
	write(s[0], "y", 1);
	SHOW(inputs);
	shutdown(s[0], SHUT_WR);
	SHOW(inputs);
	close(s[0]);
	SHOW(inputs);
	SHOW(fcntl(s[1], F_GETFL) & O_ASYNC);
	return 0;
}
