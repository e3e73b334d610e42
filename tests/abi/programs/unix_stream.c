/* SPDX-License-Identifier: Apache-2.0 */
/* AF_UNIX streams: connecting, moving bytes, closing, what poll says. */
#include "unix.h"
#include <sys/sendfile.h>

static char big[1 << 20];

static void pair(void)
{
	int s[2];
	char buf[64];
	struct iovec v[2] = { { "abc", 3 }, { "defg", 4 } };

	SHOW(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	POLL(s[0]);
	names(s[0]);
	SHOW(write(s[0], "hello", 5));
	SHOW(queued(s[1]));
	POLL(s[1]);
	SHOW(recv(s[1], buf, 3, MSG_PEEK));
	SHOW(recv(s[1], buf, 3, 0));
	SHOW(writev(s[0], v, 2));
	memset(buf, 0, sizeof(buf));
	SHOW(recv(s[1], buf, sizeof(buf), MSG_PEEK));
	say("%s\n", buf);
	SHOW(read(s[1], buf, sizeof(buf)));
	say("%s\n", buf);
	SHOW(recv(s[1], buf, 4, MSG_DONTWAIT));
	SHOW(recv(s[1], buf, 0, MSG_DONTWAIT));
	SHOW(read(s[1], buf, 0));
	SHOW(send(s[0], "", 0, 0));
	SHOW(queued(s[1]));
	SHOW(write(s[0], "wait", 4));
	SHOW(recv(s[1], buf, 8, MSG_WAITALL | MSG_DONTWAIT));
	SHOW(lseek(s[0], 0, SEEK_SET));
	SHOW(pread(s[0], buf, 1, 0));
	SHOW(mmap(NULL, 4096, PROT_READ, MAP_SHARED, s[0], 0) == MAP_FAILED);
	SHOW(fsync(s[0]));
	SHOW(ftruncate(s[0], 0));
	SHOW(write(s[0], "unread", 6));
	SHOW(close(s[1]));
	POLL(s[0]);
	SHOW(option(s[0], SO_ERROR));
	SHOW(option(s[0], SO_ERROR));
	POLL(s[0]);
	SHOW(read(s[0], buf, 1));
	SHOW(send(s[0], "x", 1, MSG_NOSIGNAL));
	signal(SIGPIPE, SIG_IGN);
	SHOW(write(s[0], "x", 1));
	close(s[0]);
	signal(SIGPIPE, SIG_DFL);
}

static void reset(void)
{
	int s[2];
	char c;

	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	write(s[0], "unread", 6);
	write(s[1], "mine", 4);
	close(s[1]);
	SHOW(read(s[0], &c, 1));
	SHOW(recv(s[0], big, 10, 0));
	SHOW(recv(s[0], &c, 1, 0));
	SHOW(recv(s[0], &c, 1, 0));
	close(s[0]);
}

static void sigpipe(void)
{
	int s[2];

	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	close(s[1]);
	write(s[0], "x", 1);
	say("still here\n");
}

static void halves(void)
{
	int s[2];
	char c[8];

	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	write(s[0], "last", 4);
	SHOW(shutdown(s[0], SHUT_WR));
	POLL(s[0]);
	POLL(s[1]);
	SHOW(send(s[0], "x", 1, MSG_NOSIGNAL));
	SHOW(read(s[1], c, 8));
	SHOW(read(s[1], c, 8));
	SHOW(write(s[1], "back", 4));
	SHOW(read(s[0], c, 8));
	SHOW(shutdown(s[0], SHUT_RD));
	POLL(s[0]);
	POLL(s[1]);
	SHOW(send(s[1], "x", 1, MSG_NOSIGNAL));
	SHOW(read(s[0], c, 8));
	SHOW(shutdown(s[0], 3));
	SHOW(shutdown(s[0], -1));
	close(s[0]);
	close(s[1]);
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	SHOW(shutdown(s[0], SHUT_RD));
	SHOW(send(s[1], "x", 1, MSG_NOSIGNAL));
	SHOW(send(s[0], "y", 1, MSG_NOSIGNAL));
	SHOW(recv(s[0], c, 1, 0));
	SHOW(recv(s[1], c, 1, MSG_DONTWAIT));
	close(s[0]);
	close(s[1]);
}

static void server(void)
{
	struct sockaddr_un addr;
	socklen_t len;
	int l, c, a, c2, flags;
	char buf[16];

	l = bound(SOCK_STREAM, "server");
	POLL(l);
	c = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	POLL(c);
	SHOW(connect_to(c, "server"));
	SHOW(accept(l, NULL, NULL));
	SHOW(listen(l, 1));
	SHOW(option(l, SO_ACCEPTCONN));
	POLL(l);
	SHOW(connect_to(c, "server"));
	SHOW(connect_to(c, "server"));
	POLL(l);
	POLL(c);
	names(c);
	SHOW(send(c, "early", 5, 0));
	len = sizeof(addr);
	memset(&addr, 0, sizeof(addr));
	a = accept4(l, (void *)&addr, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
	show_name("accepted", &addr, len);
	flags = fcntl(a, F_GETFL);
	say("%#x %d\n", flags & O_NONBLOCK, fcntl(a, F_GETFD));
	names(a);
	SHOW(recv(a, buf, 16, 0));
	SHOW(recv(a, buf, 16, 0));
	SHOW(queued(l));
	SHOW(read(l, buf, 1));
	SHOW(write(l, buf, 1));
	SHOW(connect_to(l, "server"));
	fcntl(l, F_SETFL, O_NONBLOCK);
	SHOW(accept(l, NULL, NULL));
	for (int i = 0; i < 4; i++) {
		c2 = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		SHOW(connect_to(c2, "server"));
	}
	SHOW(accept(l, (void *)8, &len) < 0);
	SHOW(shutdown(l, SHUT_RD));
	POLL(l);
	c2 = socket(AF_UNIX, SOCK_STREAM, 0);
	SHOW(connect_to(c2, "server"));
	SHOW(accept(l, NULL, NULL) >= 0);
	SHOW(accept(l, NULL, NULL) >= 0);
	fcntl(l, F_SETFL, 0);
	SHOW(accept(l, NULL, NULL));
	SHOW(close(l));
	SHOW(connect_to(c2, "server"));
	SHOW(unlink("server"));
	SHOW(connect_to(c2, "server"));
	SHOW(send(c, "still", 5, 0));
	SHOW(recv(a, buf, 16, 0));
}

static void embryo(void)
{
	int l = listening(SOCK_STREAM, "embryo", 5), c = socket(AF_UNIX, SOCK_STREAM, 0);
	char b;

	SHOW(connect_to(c, "embryo"));
	close(l);
	POLL(c);
	SHOW(read(c, &b, 1));
	SHOW(read(c, &b, 1));
	close(c);
}

static void fill(void)
{
	static const int sizes[] = { 1, 100, 200, 1000, 4096, 5000, 20000, 48832, 65536, 200000 };
	int s[2], out;

	for (unsigned i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		long total = 0, n, calls = 0;

		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s);
		set_option(s[0], SO_SNDBUF, 212992 / 2);
		while ((n = write(s[0], big, sizes[i])) > 0)
			total += n, calls++;
		ioctl(s[0], TIOCOUTQ, &out);
		say("%d: %ld in %ld, %d, %s\n", sizes[i], total, calls, out, strerrorname_np(errno));
		POLL(s[0]);
		read(s[1], big, sizes[i]);
		POLL(s[0]);
		while (read(s[1], big, 4096) > 0)
			;
		POLL(s[0]);
		close(s[0]);
		close(s[1]);
	}
	SHOW(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s));
	SHOW(set_option(s[0], SO_SNDBUF, 1));
	SHOW(option(s[0], SO_SNDBUF));
	SHOW(write(s[0], big, 100000));
}

static void blocking(void)
{
	int s[2], status;
	long total = 0, n;

	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	if (!fork()) {
		close(s[0]);
		while ((n = read(s[1], big, 30000)) > 0)
			total += n;
		_exit(total == 1 << 20 ? 7 : 8);
	}
	close(s[1]);
	SHOW(write(s[0], big, 1 << 20));
	close(s[0]);
	wait(&status);
	SHOW(WEXITSTATUS(status));
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	if (!fork()) {
		for (int i = 0; i < 10; i++) {
			usleep(1000);
			write(s[1], big, 1000);
		}
		_exit(0);
	}
	SHOW(recv(s[0], big, 10000, MSG_WAITALL));
	wait(&status);
	if (!fork()) {
		write(s[1], big, 10);
		_exit(0);
	}
	wait(&status);
	close(s[1]);
	SHOW(recv(s[0], big, 100, MSG_WAITALL));
	SHOW(recv(s[0], big, 100, MSG_WAITALL));
	close(s[0]);
}

static void catch(int sig)
{
	(void)sig;
}

static void interrupted(void)
{
	struct sigaction act = { .sa_handler = catch };
	struct itimerval soon = { { 0, 0 }, { 0, 20000 } };
	struct timeval limit = { 0, 20000 };
	int s[2], l;

	sigaction(SIGALRM, &act, NULL);
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	setitimer(ITIMER_REAL, &soon, NULL);
	SHOW(read(s[0], big, 1));
	setitimer(ITIMER_REAL, &soon, NULL);
	write(s[1], "abc", 3);
	SHOW(recv(s[0], big, 10, MSG_WAITALL));
	set_option(s[0], SO_SNDBUF, 100000);
	setitimer(ITIMER_REAL, &soon, NULL);
	IS(write(s[0], big, 1 << 20) > 100000);
	setitimer(ITIMER_REAL, &soon, NULL);
	SHOW(write(s[0], big, 1 << 20));
	SHOW(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
	SHOW(setsockopt(s[0], SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)));
	SHOW(read(s[0], big, 1));
	SHOW(write(s[0], big, 1));
	l = listening(SOCK_STREAM, "timeout", 0);
	SHOW(setsockopt(l, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
	SHOW(accept(l, NULL, NULL));
	for (int i = 0; i < 2; i++) {
		int c = socket(AF_UNIX, SOCK_STREAM, 0);

		setsockopt(c, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
		SHOW(connect_to(c, "timeout"));
	}
}

static void copying(void)
{
	int s[2], p[2], f = open("file", O_RDWR | O_CREAT, 0600);

	pipe(p);
	write(f, "from a file", 11);
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	lseek(f, 0, SEEK_SET);
	SHOW(sendfile(s[0], f, NULL, 11));
	SHOW(read(s[1], big, 100));
	SHOW(write(p[1], "piped", 5));
	SHOW(splice(p[0], NULL, s[0], NULL, 100, 0));
	SHOW(splice(s[1], NULL, p[1], NULL, 100, 0));
	SHOW(read(p[0], big, 100));
}

static void edge(void)
{
	struct epoll_event e = { EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, { .u32 = 1 } };
	int s[2], ep = epoll_create1(0);

#define WAIT() say("events %d %#x\n", epoll_wait(ep, &e, 1, 0), e.events); e.events = 0
	socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s);
	SHOW(epoll_ctl(ep, EPOLL_CTL_ADD, s[0], &e));
	e.events = 0;
	WAIT();
	WAIT();
	write(s[1], "a", 1);
	WAIT();
	WAIT();
	write(s[1], "b", 1);
	WAIT();
	read(s[0], big, 10);
	WAIT();
	while (write(s[0], big, 10000) > 0)
		;
	WAIT();
	while (read(s[1], big, 100000) > 0)
		;
	WAIT();
	WAIT();
	shutdown(s[1], SHUT_WR);
	WAIT();
	close(s[1]);
	WAIT();
}

int main(void)
{
	pair();
	reset();
	in_child("sigpipe", sigpipe);
	halves();
	server();
	embryo();
	fill();
	blocking();
	interrupted();
	copying();
	edge();
	return 0;
}
