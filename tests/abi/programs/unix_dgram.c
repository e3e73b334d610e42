/* SPDX-License-Identifier: Apache-2.0 */
/* AF_UNIX datagrams and sequenced packets. */
#include "unix.h"

static char big[1 << 20];

static void receive(int fd, int size, int flags)
{
	struct sockaddr_un from;
	socklen_t len = sizeof(from);
	char buf[64] = "";
	long n;

	memset(&from, 0, sizeof(from));
	errno = 0;
	n = recvfrom(fd, buf, size, flags, (void *)&from, &len);
	say("received %ld %s %s ", n, n < 0 ? strerrorname_np(errno) : "", buf);
	if (n >= 0)
		show_name("from", &from, len);
	else
		say("\n");
}

static void pair(int type)
{
	int s[2];

	say("pair of %d\n", type);
	SHOW(socketpair(AF_UNIX, type, 0, s));
	POLL(s[0]);
	SHOW(write(s[0], "first", 5));
	SHOW(write(s[0], "second", 6));
	SHOW(write(s[0], "", 0));
	SHOW(write(s[0], "4", 1));
	SHOW(queued(s[1]));
	receive(s[1], 3, MSG_PEEK);
	receive(s[1], 3, MSG_PEEK | MSG_TRUNC);
	receive(s[1], 3, 0);
	SHOW(queued(s[1]));
	receive(s[1], 3, MSG_TRUNC);
	POLL(s[1]);
	receive(s[1], 3, 0);
	receive(s[1], 9, 0);
	receive(s[1], 9, MSG_DONTWAIT);
	SHOW(send(s[0], "oob", 3, MSG_OOB));
	SHOW(recv(s[0], big, 3, MSG_OOB));
	SHOW(shutdown(s[0], SHUT_WR));
	POLL(s[0]);
	POLL(s[1]);
	receive(s[1], 9, MSG_DONTWAIT);
	SHOW(send(s[0], "x", 1, MSG_NOSIGNAL));
	SHOW(send(s[1], "back", 4, MSG_NOSIGNAL));
	SHOW(shutdown(s[0], SHUT_RD));
	receive(s[0], 9, 0);
	receive(s[0], 9, 0);
	receive(s[0], 9, MSG_DONTWAIT);
	SHOW(send(s[1], "back", 4, MSG_NOSIGNAL));
	POLL(s[0]);
	POLL(s[1]);
	close(s[0]);
	close(s[1]);
	socketpair(AF_UNIX, type, 0, s);
	write(s[0], "one", 3);
	write(s[1], "two", 3);
	close(s[1]);
	POLL(s[0]);
	receive(s[0], 9, MSG_DONTWAIT);
	receive(s[0], 9, MSG_DONTWAIT);
	receive(s[0], 9, MSG_DONTWAIT);
	SHOW(send(s[0], "x", 1, MSG_NOSIGNAL));
	SHOW(send(s[0], "x", 1, MSG_NOSIGNAL));
	POLL(s[0]);
	close(s[0]);
}

static void seq_sigpipe(void)
{
	int s[2];

	socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s);
	close(s[1]);
	write(s[0], "x", 1);
	say("errno %s\n", strerrorname_np(errno));
}

static void sizes(int type)
{
	static const int sizes[] = { 1, 300, 3777, 16065, 65536, 150000, 212960 };
	int s[2], out;

	for (unsigned i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		int n = 0;

		socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, s);
		while (write(s[0], big, sizes[i]) > 0)
			n++;
		say("%d: %d %s\n", sizes[i], n, strerrorname_np(errno));
		ioctl(s[0], TIOCOUTQ, &out);
		say("%d\n", out);
		POLL(s[0]);
		close(s[0]);
		close(s[1]);
	}
	socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, s);
	SHOW(write(s[0], big, 212961));
	SHOW(set_option(s[0], SO_SNDBUF, 5000));
	SHOW(write(s[0], big, 10000));
	SHOW(write(s[0], big, 9968));
	SHOW(write(s[0], big, 9969));
}

static void named(void)
{
	struct sockaddr_un a, b, none = { .sun_family = AF_UNSPEC };
	socklen_t alen = name_addr(&a, "a"), blen = name_addr(&b, "b");
	int x = bound(SOCK_DGRAM, "a"), y = bound(SOCK_DGRAM, "b"), z = socket(AF_UNIX, SOCK_DGRAM, 0);

	SHOW(send(z, "x", 1, 0));
	SHOW(sendto(z, "from z", 6, 0, (void *)&a, alen));
	SHOW(sendto(y, "from y", 6, 0, (void *)&a, alen));
	receive(x, 9, 0);
	receive(x, 9, 0);
	SHOW(connect(y, (void *)&a, alen));
	names(y);
	names(x);
	SHOW(send(y, "connected", 9, 0));
	receive(x, 9, 0);
	SHOW(sendto(y, "both", 4, 0, (void *)&b, blen));
	receive(y, 9, MSG_DONTWAIT);
	SHOW(connect(x, (void *)&b, blen));
	SHOW(sendto(z, "stranger", 8, 0, (void *)&a, alen));
	SHOW(connect(z, (void *)&a, alen));
	SHOW(write(x, "pending", 7));
	SHOW(connect(y, (void *)&b, blen));
	receive(y, 9, MSG_DONTWAIT);
	SHOW(option(x, SO_ERROR));
	SHOW(write(x, "again", 5));
	SHOW(connect(x, (void *)&none, sizeof(none)));
	SHOW(connect(x, (void *)&none, 1));
	SHOW(write(x, "again", 5));
	SHOW(connect(z, (void *)&a, alen));
	SHOW(listen(x, 1));
	SHOW(accept(x, NULL, NULL));
	SHOW(close(x));
	SHOW(write(z, "dead", 4));
	SHOW(write(z, "dead", 4));
	SHOW(sendto(z, "dead", 4, 0, (void *)&a, alen));
	unlink("a");
	SHOW(sendto(z, "dead", 4, 0, (void *)&a, alen));
	SHOW(sendto(z, "self", 4, 0, (void *)&b, 2));
	SHOW(sendto(z, "self", 4, 0, (void *)&b, 200));
	close(y);
	close(z);
	unlink("b");
}

static void limits(void)
{
	struct sockaddr_un a;
	socklen_t alen = name_addr(&a, "full");
	struct epoll_event e = { EPOLLOUT | EPOLLET, { .u32 = 1 } };
	int x = bound(SOCK_DGRAM, "full"), y = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0), n = 0;
	int ep = epoll_create1(0), status;

	while (sendto(y, "x", 1, 0, (void *)&a, alen) == 1)
		n++;
	say("%d datagrams, %s\n", n, strerrorname_np(errno));
	POLL(y);
	SHOW(connect(y, (void *)&a, alen));
	POLL(y);
	SHOW(epoll_ctl(ep, EPOLL_CTL_ADD, y, &e));
	SHOW(epoll_wait(ep, &e, 1, 0));
	receive(x, 9, 0);
	SHOW(epoll_wait(ep, &e, 1, 0));
	POLL(y);
	SHOW(write(y, "y", 1));
	SHOW(write(y, "y", 1));
	SHOW(epoll_wait(ep, &e, 1, 0));
	fcntl(y, F_SETFL, 0);
	if (!fork()) {
		usleep(10000);
		receive(x, 9, 0);
		_exit(0);
	}
	n = write(y, "waits", 5);
	wait(&status);
	SHOW(n);
	shutdown(x, SHUT_RD);
	POLL(y);
	SHOW(write(y, "too late", 8));
}

static void packets(void)
{
	int l = listening(SOCK_SEQPACKET, "seq", 2), c = socket(AF_UNIX, SOCK_SEQPACKET, 0), a;

	POLL(c);
	SHOW(send(c, "x", 1, 0));
	SHOW(recv(c, big, 1, 0));
	SHOW(connect_to(c, "seq"));
	SHOW(send(c, "early", 5, MSG_EOR));
	a = accept(l, NULL, NULL);
	names(a);
	receive(a, 9, 0);
	struct sockaddr_un addr;
	socklen_t len = name_addr(&addr, "seq");
	SHOW(sendto(a, "addressed", 9, 0, (void *)&addr, len));
	receive(c, 20, 0);
	SHOW(connect_to(socket(AF_UNIX, SOCK_STREAM, 0), "seq"));
	SHOW(connect_to(socket(AF_UNIX, SOCK_DGRAM, 0), "seq"));
	write(c, "unread", 6);
	close(a);
	POLL(c);
	SHOW(recv(c, big, 1, MSG_DONTWAIT));
	SHOW(recv(c, big, 1, MSG_DONTWAIT));
	SHOW(send(c, "x", 1, MSG_NOSIGNAL));
}

static void batches(void)
{
	struct mmsghdr m[4] = { 0 };
	struct iovec v[4];
	char buf[4][8] = { "one", "two!", "three", "" };
	struct timespec limit = { 0, 10000000 };
	int s[2];

	socketpair(AF_UNIX, SOCK_DGRAM, 0, s);
	for (int i = 0; i < 4; i++) {
		v[i].iov_base = buf[i];
		v[i].iov_len = strlen(buf[i]);
		m[i].msg_hdr.msg_iov = &v[i];
		m[i].msg_hdr.msg_iovlen = 1;
	}
	SHOW(sendmmsg(s[0], m, 4, 0));
	say("%d %d %d %d\n", m[0].msg_len, m[1].msg_len, m[2].msg_len, m[3].msg_len);
	for (int i = 0; i < 4; i++)
		v[i].iov_len = 4;
	SHOW(recvmmsg(s[1], m, 2, 0, NULL));
	SHOW(recvmmsg(s[1], m, 4, MSG_DONTWAIT, NULL));
	say("%d %#x %d %#x\n", m[0].msg_len, m[0].msg_hdr.msg_flags, m[1].msg_len, m[1].msg_hdr.msg_flags);
	SHOW(recvmmsg(s[1], m, 4, MSG_DONTWAIT, NULL));
	write(s[0], "x", 1);
	SHOW(recvmmsg(s[1], m, 4, MSG_WAITFORONE, NULL));
	write(s[0], "x", 1);
	write(s[0], "x", 1);
	SHOW(recvmmsg(s[1], m, 2, 0, &limit));
	SHOW(recvmmsg(s[1], m, 0, 0, NULL));
	limit.tv_nsec = -1;
	SHOW(recvmmsg(s[1], m, 2, 0, &limit));
	SHOW(sendmmsg(99, m, 2, 0));
}

static void peek_offset(void)
{
	int s[2];

	for (int type = SOCK_STREAM; type <= SOCK_DGRAM; type++) {
		socketpair(AF_UNIX, type, 0, s);
		write(s[0], "abcdef", 6);
		write(s[0], "ghijkl", 6);
		SHOW(option(s[1], SO_PEEK_OFF));
		SHOW(set_option(s[1], SO_PEEK_OFF, 2));
		receive(s[1], 3, MSG_PEEK);
		SHOW(option(s[1], SO_PEEK_OFF));
		receive(s[1], 3, MSG_PEEK);
		SHOW(option(s[1], SO_PEEK_OFF));
		receive(s[1], 3, MSG_PEEK);
		receive(s[1], 2, 0);
		SHOW(option(s[1], SO_PEEK_OFF));
		receive(s[1], 2, MSG_PEEK);
		receive(s[1], 20, 0);
		SHOW(option(s[1], SO_PEEK_OFF));
	}
}

int main(void)
{
	pair(SOCK_DGRAM);
	pair(SOCK_SEQPACKET);
	in_child("seqpacket to nobody", seq_sigpipe);
	sizes(SOCK_DGRAM);
	sizes(SOCK_SEQPACKET);
	named();
	limits();
	packets();
	batches();
	peek_offset();
	return 0;
}
