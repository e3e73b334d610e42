/* SPDX-License-Identifier: Apache-2.0 */
/* Short hands for the programs about AF_INET. */
#ifndef INET_H
#define INET_H

#include "check.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <linux/sockios.h>
#include <sys/socket.h>

#define POLL(fd) say("poll " #fd ": %#x\n", poll_mask(fd))
#define ADDR(a) ((struct sockaddr *)&(a)), sizeof(a)

static inline int poll_mask(int fd)
{
	struct pollfd p = { fd, POLLIN | POLLOUT | POLLPRI | POLLRDHUP | POLLRDNORM | POLLWRNORM, 0 };

	poll(&p, 1, 0);
	return p.revents;
}

static inline struct sockaddr_in in4(const char *ip, int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };

	inet_pton(AF_INET, ip, &a.sin_addr);
	return a;
}

static inline struct sockaddr_in6 in6(const char *ip, int port)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

	inet_pton(AF_INET6, ip, &a.sin6_addr);
	return a;
}

static inline int port_of(int fd)
{
	struct sockaddr_storage a;
	socklen_t len = sizeof(a);

	getsockname(fd, (void *)&a, &len);
	return ntohs(((struct sockaddr_in *)&a)->sin_port);
}

/* "family ip port?": the port only as whether there is one. */
static inline void show_name(const char *what, int fd, int peer)
{
	struct sockaddr_storage a = { 0 };
	socklen_t len = sizeof(a);
	char text[64] = "";
	int r = peer ? getpeername(fd, (void *)&a, &len) : getsockname(fd, (void *)&a, &len);

	if (r) {
		say("%s: %s\n", what, strerrorname_np(errno));
		return;
	}
	if (a.ss_family == AF_INET)
		inet_ntop(AF_INET, &((struct sockaddr_in *)&a)->sin_addr, text, 64);
	else
		inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&a)->sin6_addr, text, 64);
	say("%s: %d %s %s len %d\n", what, a.ss_family, text,
	    ((struct sockaddr_in *)&a)->sin_port ? "port" : "0", len);
}

#define NAME(fd) show_name(#fd, fd, 0)
#define PEER(fd) show_name(#fd " peer", fd, 1)

static inline long option(int fd, int level, int name)
{
	int value = -99;
	socklen_t len = sizeof(value);

	if (getsockopt(fd, level, name, &value, &len))
		return -1000 - errno;
	return value;
}

static inline int set(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value));
}

static inline int state(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len))
		return -errno;
	return info.tcpi_state;
}

static inline int queued(int fd)
{
	int n = -1;

	ioctl(fd, FIONREAD, &n);
	return n;
}

/* A listener on a free port of the loopback. */
static inline int listener(const char *ip)
{
	struct sockaddr_in a = in4(ip, 0);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	bind(fd, ADDR(a));
	listen(fd, 8);
	return fd;
}

static inline int dial(int port)
{
	struct sockaddr_in a = in4("127.0.0.1", port);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (connect(fd, ADDR(a)))
		say("dial: %s\n", strerrorname_np(errno));
	return fd;
}

static inline void tcp_pair(int s[2])
{
	int l = listener("127.0.0.1");

	s[0] = dial(port_of(l));
	s[1] = accept(l, NULL, NULL);
	close(l);
}

#endif
