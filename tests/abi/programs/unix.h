/* SPDX-License-Identifier: Apache-2.0 */
/* Short hands for the programs about AF_UNIX. */
#ifndef UNIX_H
#define UNIX_H

#include "check.h"
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#define POLL(fd) say("poll " #fd ": %#x\n", poll_mask(fd))
#define ADDR(a) ((struct sockaddr *)&(a)), sizeof(a)

static inline int poll_mask(int fd)
{
	struct pollfd p = { fd, POLLIN | POLLOUT | POLLPRI | POLLRDHUP | POLLRDNORM | POLLWRNORM |
				POLLWRBAND | POLLRDBAND, 0 };

	poll(&p, 1, 0);
	return p.revents;
}

static inline socklen_t name_addr(struct sockaddr_un *addr, const char *name)
{
	memset(addr, 0, sizeof(*addr));
	addr->sun_family = AF_UNIX;
	strcpy(addr->sun_path, name);
	return offsetof(struct sockaddr_un, sun_path) + strlen(name) + 1;
}

/* An abstract name that only this run has. */
static inline socklen_t hidden_addr(struct sockaddr_un *addr, const char *name)
{
	memset(addr, 0, sizeof(*addr));
	addr->sun_family = AF_UNIX;
	return offsetof(struct sockaddr_un, sun_path) + 1 +
	       sprintf(addr->sun_path + 1, "pygos-%d-%s", getpid(), name);
}

static inline int bound(int type, const char *name)
{
	struct sockaddr_un addr;
	socklen_t len = name_addr(&addr, name);
	int fd = socket(AF_UNIX, type, 0);

	if (bind(fd, (void *)&addr, len))
		say("bind %s: %s\n", name, strerrorname_np(errno));
	return fd;
}

static inline int listening(int type, const char *name, int backlog)
{
	int fd = bound(type, name);

	if (listen(fd, backlog))
		say("listen: %s\n", strerrorname_np(errno));
	return fd;
}

static inline int connect_to(int fd, const char *name)
{
	struct sockaddr_un addr;
	socklen_t len = name_addr(&addr, name);

	return connect(fd, (void *)&addr, len);
}

static inline void show_name(const char *what, struct sockaddr_un *addr, socklen_t len)
{
	say("%s: %d family %d", what, (int)len, len >= 2 ? addr->sun_family : -1);
	if (len > 2 && addr->sun_path[0])
		say(" %s", addr->sun_path);
	say("\n");
}

static inline void names(int fd)
{
	struct sockaddr_un addr;
	socklen_t len = sizeof(addr);

	memset(&addr, 0, sizeof(addr));
	if (getsockname(fd, (void *)&addr, &len))
		say("own name: %s\n", strerrorname_np(errno));
	else
		show_name("own name", &addr, len);
	len = sizeof(addr);
	memset(&addr, 0, sizeof(addr));
	if (getpeername(fd, (void *)&addr, &len))
		say("peer: %s\n", strerrorname_np(errno));
	else
		show_name("peer", &addr, len);
}

static inline int option(int fd, int name)
{
	int value = -77;
	socklen_t len = sizeof(value);

	if (getsockopt(fd, SOL_SOCKET, name, &value, &len))
		return -errno;
	return value;
}

static inline int set_option(int fd, int name, int value)
{
	return setsockopt(fd, SOL_SOCKET, name, &value, sizeof(value));
}

static inline int queued(int fd)
{
	int value = -77;

	if (ioctl(fd, FIONREAD, &value))
		return -errno;
	return value;
}

#endif
