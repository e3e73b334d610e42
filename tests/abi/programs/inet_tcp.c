/* SPDX-License-Identifier: Apache-2.0 */
/* TCP over the loopback: connecting, states, bytes, closing, what poll says. */
#include "inet.h"

static char big[1 << 20];

static void names(void)
{
	int s = socket(AF_INET, SOCK_STREAM, 0), c, a, l;
	struct sockaddr_in any = in4("0.0.0.0", 0), bad = in4("192.0.2.1", 0), own = in4("127.0.0.1", 0);
	struct sockaddr_in6 six = in6("::1", 0);

	NAME(s);
	PEER(s);
	POLL(s);
	SHOW(bind(s, ADDR(bad)));
	SHOW(bind(s, (void *)&any, 8));
	SHOW(bind(s, ADDR(six)));
	SHOW(bind(s, ADDR(own)));
	SHOW(bind(s, ADDR(own)));
	NAME(s);
	SHOW(listen(s, 1));
	SHOW(listen(s, 2));
	POLL(s);
	SHOW(state(s));
	SHOW(option(s, SOL_SOCKET, SO_ACCEPTCONN));
	SHOW(connect(s, ADDR(own)));
	SHOW(send(s, "x", 1, MSG_NOSIGNAL));
	SHOW(recv(s, big, 1, 0));
	l = s;
	fcntl(l, F_SETFL, O_NONBLOCK);
	SHOW(accept(l, NULL, NULL));
	c = dial(port_of(l));
	POLL(l);
	a = accept(l, NULL, NULL);
	NAME(c);
	PEER(c);
	NAME(a);
	PEER(a);
	IS(port_of(a) == port_of(l));
	SHOW(state(a));
	SHOW(state(c));
	POLL(a);
	SHOW(connect(c, ADDR(own)));
	SHOW(listen(c, 1));
	SHOW(bind(c, ADDR(any)));
	SHOW(fcntl(a, F_GETFL) & O_NONBLOCK);
	close(a);
	POLL(c);
	SHOW(state(c));
	close(c);
	close(l);
}

static void refused(void)
{
	int s = socket(AF_INET, SOCK_STREAM, 0), n = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	int l = listener("127.0.0.1"), port = port_of(l);
	struct sockaddr_in a = in4("127.0.0.1", port), unspec = { .sin_family = AF_UNSPEC };

	close(l);
	SHOW(connect(s, ADDR(a)));
	SHOW(option(s, SOL_SOCKET, SO_ERROR));
	POLL(s);
	SHOW(connect(s, ADDR(a)));
	SHOW(connect(n, ADDR(a)));
	POLL(n);
	SHOW(option(n, SOL_SOCKET, SO_ERROR));
	SHOW(option(n, SOL_SOCKET, SO_ERROR));
	SHOW(connect(n, (void *)&a, 4));
	SHOW(send(s, "x", 1, MSG_NOSIGNAL));
	SHOW(recv(s, big, 1, 0));
	SHOW(shutdown(s, SHUT_WR));
	SHOW(shutdown(s, 7));
	SHOW(connect(s, ADDR(unspec)));
	close(n);
	l = listener("127.0.0.1");
	a = in4("127.0.0.1", port_of(l));
	n = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	SHOW(connect(n, ADDR(a)));
	POLL(n);
	SHOW(option(n, SOL_SOCKET, SO_ERROR));
	SHOW(connect(n, ADDR(a)));
	SHOW(connect(n, ADDR(a)));
	SHOW(connect(n, ADDR(unspec)));
	NAME(n);
	PEER(n);
	SHOW(connect(s, ADDR(a)));
	close(s);
	close(n);
	close(l);
}

static void bytes(void)
{
	int s[2];
	char buf[64];
	struct iovec v[2] = { { "abc", 3 }, { "defg", 4 } };
	struct sockaddr_in who;
	socklen_t len = sizeof(who);

	tcp_pair(s);
	SHOW(write(s[0], "hello", 5));
	SHOW(queued(s[1]));
	POLL(s[1]);
	SHOW(recv(s[1], buf, 3, MSG_PEEK));
	SHOW(recv(s[1], buf, 3, 0));
	SHOW(writev(s[0], v, 2));
	memset(buf, 0, sizeof(buf));
	SHOW(recv(s[1], buf, sizeof(buf), MSG_PEEK));
	say("%s\n", buf);
	SHOW(recv(s[1], buf, 2, MSG_TRUNC));
	SHOW(recvfrom(s[1], buf, sizeof(buf), 0, (void *)&who, &len));
	say("%d\n", len);
	SHOW(recv(s[1], buf, 4, MSG_DONTWAIT));
	SHOW(send(s[0], "", 0, 0));
	SHOW(queued(s[1]));
	SHOW(write(s[0], "wait", 4));
	SHOW(recv(s[1], buf, 8, MSG_WAITALL | MSG_DONTWAIT));
	SHOW(lseek(s[0], 0, SEEK_SET));
	SHOW(send(s[0], (void *)8, 4, MSG_NOSIGNAL));
	SHOW(write(s[0], "fault", 5));
	SHOW(recv(s[1], (void *)8, 4, MSG_DONTWAIT));
	SHOW(recv(s[1], buf, 9, MSG_DONTWAIT));
	SHOW(sendto(s[0], "to", 2, 0, (void *)&who, sizeof(who)));
	SHOW(set(s[1], SOL_SOCKET, SO_RCVLOWAT, 5));
	POLL(s[1]);
	SHOW(set(s[1], SOL_SOCKET, SO_RCVLOWAT, 1));
	SHOW(recv(s[1], buf, 9, 0));
	close(s[0]);
	close(s[1]);
}

static void ends(void)
{
	int s[2];
	char c;
	struct linger now = { 1, 0 };

	signal(SIGPIPE, SIG_IGN);
	tcp_pair(s);
	SHOW(shutdown(s[0], SHUT_WR));
	SHOW(state(s[1]));
	POLL(s[0]);
	POLL(s[1]);
	SHOW(read(s[1], &c, 1));
	SHOW(write(s[0], "x", 1));
	SHOW(write(s[1], "back", 4));
	SHOW(read(s[0], &c, 1));
	SHOW(close(s[1]));
	POLL(s[0]);
	SHOW(state(s[0]));
	SHOW(recv(s[0], big, 9, 0));
	SHOW(read(s[0], &c, 1));
	SHOW(shutdown(s[0], SHUT_RD));
	close(s[0]);

	say("closed with unread bytes\n");
	tcp_pair(s);
	write(s[0], "unread", 6);
	close(s[1]);
	POLL(s[0]);
	SHOW(option(s[0], SOL_SOCKET, SO_ERROR));
	SHOW(read(s[0], &c, 1));
	SHOW(write(s[0], "x", 1));
	PEER(s[0]);
	close(s[0]);

	say("reset by linger\n");
	tcp_pair(s);
	setsockopt(s[1], SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	write(s[1], "last", 4);
	close(s[1]);
	POLL(s[0]);
	SHOW(recv(s[0], big, 9, 0));
	SHOW(recv(s[0], big, 9, 0));
	SHOW(recv(s[0], big, 9, 0));
	close(s[0]);

	say("written to what is closed\n");
	tcp_pair(s);
	close(s[1]);
	POLL(s[0]);
	SHOW(write(s[0], "one", 3));
	POLL(s[0]);
	SHOW(write(s[0], "two", 3));
	SHOW(read(s[0], &c, 1));
	close(s[0]);

	say("read side shut\n");
	tcp_pair(s);
	SHOW(shutdown(s[0], SHUT_RD));
	POLL(s[0]);
	SHOW(recv(s[0], &c, 1, 0));
	SHOW(write(s[1], "late", 4));
	SHOW(recv(s[0], big, 9, 0));
	SHOW(shutdown(s[0], SHUT_RDWR));
	POLL(s[0]);
	close(s[0]);
	close(s[1]);
}

static void much(void)
{
	int s[2], status;
	long sum = 0, n;

	tcp_pair(s);
	fcntl(s[0], F_SETFL, O_NONBLOCK);
	while ((n = write(s[0], big, sizeof(big))) > 0)
		sum += n;
	say("full: %s, more than 100000: %d\n", strerrorname_np(errno), sum > 100000);
	IS(!(poll_mask(s[0]) & POLLOUT));
	while ((n = recv(s[1], big, sizeof(big), MSG_DONTWAIT)) > 0)
		sum -= n;
	say("left %ld\n", sum);
	IS(poll_mask(s[0]) & POLLOUT);
	fcntl(s[0], F_SETFL, 0);
	if (fork() == 0) {
		close(s[0]);
		while ((n = read(s[1], big, 100000)) > 0)
			sum += n;
		_exit(sum == 8 << 20);
	}
	close(s[1]);
	for (int i = 0; i < 8; i++)
		if (write(s[0], big, sizeof(big)) != sizeof(big))
			say("short\n");
	close(s[0]);
	wait(&status);
	say("all came: %d\n", WEXITSTATUS(status));
}

static void ports(void)
{
	int l = listener("127.0.0.1"), a = socket(AF_INET, SOCK_STREAM, 0), one = 1, c, d;
	struct sockaddr_in same = in4("127.0.0.1", port_of(l)), any = in4("0.0.0.0", port_of(l));
	struct sockaddr_in other = in4("127.0.0.2", port_of(l));

	SHOW(bind(a, ADDR(same)));
	SHOW(bind(a, ADDR(any)));
	setsockopt(a, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	SHOW(bind(a, ADDR(same)));
	SHOW(bind(a, ADDR(other)));
	SHOW(listen(a, 5));
	c = socket(AF_INET, SOCK_STREAM, 0);
	SHOW(connect(c, ADDR(other)));
	NAME(c);
	PEER(c);
	d = accept(a, NULL, NULL);
	NAME(d);
	close(d);
	close(c);
	close(a);
	c = dial(port_of(l));
	d = accept(l, NULL, NULL);
	close(l);
	close(d);
	close(c);
	l = socket(AF_INET, SOCK_STREAM, 0);
	SHOW(bind(l, ADDR(same)));
	setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	SHOW(bind(l, ADDR(same)));
	close(l);
	l = socket(AF_INET, SOCK_STREAM, 0);
	a = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(l, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	setsockopt(a, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	same.sin_port = 0;
	bind(l, ADDR(same));
	same.sin_port = htons(port_of(l));
	SHOW(bind(a, ADDR(same)));
	SHOW(listen(l, 5));
	SHOW(listen(a, 5));
	close(a);
	close(l);
}

static void urgent(void)
{
	int s[2], n = 0;
	char buf[16] = "";

	tcp_pair(s);
	SHOW(send(s[0], "abc", 3, MSG_OOB));
	POLL(s[1]);
	SHOW(queued(s[1]));
	SHOW(recv(s[1], buf, 9, MSG_OOB));
	say("%c\n", buf[0]);
	SHOW(recv(s[1], buf, 9, MSG_OOB));
	SHOW(recv(s[1], buf, 9, 0));
	ioctl(s[1], SIOCATMARK, &n);
	say("at mark %d\n", n);
	SHOW(write(s[0], "rest", 4));
	SHOW(recv(s[1], buf, 9, 0));
	SHOW(recv(s[1], buf, 9, MSG_OOB));
	set(s[1], SOL_SOCKET, SO_OOBINLINE, 1);
	SHOW(send(s[0], "xyz", 3, MSG_OOB));
	SHOW(recv(s[1], buf, 9, 0));
	SHOW(recv(s[1], buf, 9, 0));
	say("%c\n", buf[0]);
	close(s[0]);
	close(s[1]);
}

int main(void)
{
	in_child("names", names);
	in_child("refused", refused);
	in_child("bytes", bytes);
	in_child("ends", ends);
	in_child("much", much);
	in_child("ports", ports);
	in_child("urgent", urgent);
	return 0;
}
