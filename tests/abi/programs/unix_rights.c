/* SPDX-License-Identifier: Apache-2.0 */
/* Control messages: descriptors and credentials through AF_UNIX. */
/* abi-hide: (?<=pid )[0-9]+ */
#include "unix.h"

#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76
#endif
#define SCM_PIDFD_ 4

static int give(int fd, const int *fds, int count, int extra_len, const char *data)
{
	union {
		char buf[CMSG_SPACE(sizeof(int) * 300)];
		struct cmsghdr align;
	} u;
	struct iovec v = { (char *)data, strlen(data) };
	struct msghdr m = { 0 };

	memset(&u, 0, sizeof(u));
	m.msg_iov = &v;
	m.msg_iovlen = 1;
	m.msg_control = u.buf;
	m.msg_controllen = CMSG_SPACE(sizeof(int) * count);
	CMSG_FIRSTHDR(&m)->cmsg_level = SOL_SOCKET;
	CMSG_FIRSTHDR(&m)->cmsg_type = SCM_RIGHTS;
	CMSG_FIRSTHDR(&m)->cmsg_len = CMSG_LEN(sizeof(int) * count) + extra_len;
	memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), fds, sizeof(int) * count);
	return sendmsg(fd, &m, MSG_NOSIGNAL);
}

static int last[300];

/* Receive with `room` bytes for control messages and show everything. */
static int take(int fd, size_t size, size_t room, int flags)
{
	static char buf[256];
	static char control[4096];
	struct iovec v = { buf, size };
	struct msghdr m = { 0 };
	struct cmsghdr *c;
	long n;
	int count = 0;

	memset(buf, 0, sizeof(buf));
	memset(control, 0, sizeof(control));
	m.msg_iov = &v;
	m.msg_iovlen = 1;
	m.msg_control = control;
	m.msg_controllen = room;
	errno = 0;
	n = recvmsg(fd, &m, flags);
	say("recvmsg %ld %s \"%s\" flags %#x controllen %zu\n", n, n < 0 ? strerrorname_np(errno) : "",
	    buf, m.msg_flags, m.msg_controllen);
	if (n < 0)
		return -1;
	for (c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		say("  level %d type %d len %zu", c->cmsg_level, c->cmsg_type, c->cmsg_len);
		if (c->cmsg_type == SCM_RIGHTS) {
			count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
			memcpy(last, CMSG_DATA(c), count * sizeof(int));
			for (int i = 0; i < count; i++)
				say(" fd%s", fcntl(last[i], F_GETFD) ? " cloexec" : "");
		} else if (c->cmsg_type == SCM_CREDENTIALS) {
			struct ucred u;

			memcpy(&u, CMSG_DATA(c), sizeof(u));
			say(" pid %d uid %d gid %d", u.pid == getpid() ? 1 : u.pid, u.uid, u.gid);
		}
		say("\n");
	}
	return count;
}

static void drop(int count)
{
	for (int i = 0; i < count; i++)
		close(last[i]);
}

static void rights(int type)
{
	int s[2], p[2], many[300], n;
	char c;

	say("type %d\n", type);
	socketpair(AF_UNIX, type, 0, s);
	pipe(p);
	SHOW(give(s[0], p, 2, 0, "two"));
	n = take(s[1], 100, 1000, 0);
	SHOW(n);
	write(last[1], "z", 1);
	SHOW(read(p[0], &c, 1));
	drop(n);
	SHOW(give(s[0], p, 2, 0, "two"));
	n = take(s[1], 100, 1000, MSG_CMSG_CLOEXEC);
	drop(n);
	SHOW(give(s[0], p, 2, 0, "room for one"));
	drop(take(s[1], 100, CMSG_LEN(4), 0));
	SHOW(give(s[0], p, 2, 0, "room for none"));
	drop(take(s[1], 100, 16, 0));
	SHOW(give(s[0], p, 2, 0, "no room"));
	drop(take(s[1], 100, 0, 0));
	SHOW(give(s[0], p, 2, 0, "by read"));
	SHOW(read(s[1], many, 100));
	SHOW(give(s[0], p, 1, 0, "abcdef"));
	SHOW(give(s[0], p, 1, 0, "ghi"));
	SHOW(write(s[0], "jkl", 3));
	drop(take(s[1], 2, 100, MSG_PEEK));
	drop(take(s[1], 2, 100, 0));
	drop(take(s[1], 100, 100, 0));
	drop(take(s[1], 100, 100, 0));
	drop(take(s[1], 100, 100, MSG_DONTWAIT));
	drop(take(s[1], 100, 100, MSG_DONTWAIT));
	for (int i = 0; i < 300; i++)
		many[i] = p[0];
	SHOW(give(s[0], many, 253, 0, "most"));
	n = take(s[1], 100, 4000, 0);
	SHOW(n);
	drop(n);
	SHOW(give(s[0], many, 254, 0, "too many"));
	SHOW(give(s[0], many, 0, 0, "none"));
	take(s[1], 100, 100, 0);
	SHOW(give(s[0], many, 2, 100, "malformed"));
	SHOW(give(s[0], many, 2, -12, "short"));
	SHOW(give(s[0], many, 2, -20, "short"));
	many[1] = 999;
	SHOW(give(s[0], many, 2, 0, "bad"));
	many[1] = -1;
	SHOW(give(s[0], many, 2, 0, "bad"));
	many[1] = open(".", O_PATH);
	SHOW(give(s[0], many, 2, 0, "path"));
	SHOW(give(s[0], many, 1, 0, "end"));
	close(s[0]);
	close(s[1]);
	close(many[1]);
	close(p[1]);
	SHOW(read(p[0], &c, 1));
	close(p[0]);
}

static void nofile(void)
{
	struct rlimit limit;
	int s[2], p[2], n;

	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	pipe(p);
	give(s[0], p, 2, 0, "limited");
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = dup(0) + 1;
	setrlimit(RLIMIT_NOFILE, &limit);
	close(limit.rlim_cur - 1);
	n = take(s[1], 100, 100, 0);
	SHOW(n);
}

/* A socket sent through itself, and two sent through each other. */
static void loops(void)
{
	int s[2], t[2], p[2];
	char c;

	pipe(p);
	for (int i = 0; i < 3; i++) {
		socketpair(AF_UNIX, SOCK_DGRAM, 0, s);
		socketpair(AF_UNIX, SOCK_STREAM, 0, t);
		give(s[0], s, 2, 0, "itself");
		give(s[0], t, 2, 0, "other");
		give(t[0], s, 2, 0, "back");
		give(t[0], (int[]){ p[1] }, 1, 0, "pipe");
		close(s[0]);
		close(s[1]);
		close(t[0]);
		close(t[1]);
	}
	close(p[1]);
	socketpair(AF_UNIX, SOCK_DGRAM, 0, s);
	close(s[0]);
	close(s[1]);
	SHOW(read(p[0], &c, 1)); /* ends only when the writing ends in flight are gone */
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	give(s[0], s + 1, 1, 0, "reachable");
	close(s[1]);
	socketpair(AF_UNIX, SOCK_STREAM, 0, t);
	close(t[0]);
	close(t[1]);
	close(s[0]);
}

static int claim(int fd, pid_t pid, uid_t uid, gid_t gid)
{
	union {
		char buf[CMSG_SPACE(sizeof(struct ucred))];
		struct cmsghdr align;
	} u = { 0 };
	struct ucred cred = { pid, uid, gid };
	struct iovec v = { "claim", 5 };
	struct msghdr m = { 0 };

	m.msg_iov = &v;
	m.msg_iovlen = 1;
	m.msg_control = u.buf;
	m.msg_controllen = sizeof(u.buf);
	CMSG_FIRSTHDR(&m)->cmsg_level = SOL_SOCKET;
	CMSG_FIRSTHDR(&m)->cmsg_type = SCM_CREDENTIALS;
	CMSG_FIRSTHDR(&m)->cmsg_len = CMSG_LEN(sizeof(cred));
	memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &cred, sizeof(cred));
	return sendmsg(fd, &m, 0);
}

static void credentials(int type)
{
	struct ucred u;
	socklen_t len = sizeof(u);
	int s[2], p[2];

	say("credentials %d\n", type);
	socketpair(AF_UNIX, type, 0, s);
	pipe(p);
	SHOW(getsockopt(s[0], SOL_SOCKET, SO_PEERCRED, &u, &len));
	say("%d %d %d %d\n", u.pid == getpid(), u.uid == geteuid(), u.gid == getegid(), len);
	write(s[0], "before", 6);
	SHOW(set_option(s[1], SO_PASSCRED, 1));
	write(s[0], "after", 5);
	SHOW(claim(s[0], getpid(), getuid(), getgid()));
	take(s[1], 100, 100, 0);
	take(s[1], 100, 100, 0);
	take(s[1], 100, 100, MSG_DONTWAIT);
	SHOW(give(s[0], p, 2, 0, "with files"));
	drop(take(s[1], 100, 100, 0));
	SHOW(give(s[0], p, 2, 0, "little room"));
	drop(take(s[1], 100, 40, 0));
	write(s[0], "no room", 7);
	take(s[1], 100, 20, 0);
	write(s[0], "none", 4);
	take(s[1], 100, 0, 0);
	SHOW(claim(s[0], 0x7ffffff, getuid(), getgid()));
	if (!fork()) {
		if (geteuid() == 0) {
			setgid(1234);
			setuid(1234);
		}
		write(s[0], "child", 5);
		SHOW(claim(s[0], 1, getuid(), getgid()));
		SHOW(claim(s[0], getpid(), 7, getgid()));
		SHOW(claim(s[0], getpid(), getuid(), 7));
		SHOW(claim(s[0], getpid(), -1, 7));
		_exit(0);
	}
	wait(NULL);
	write(s[0], "parent", 6);
	take(s[1], 100, 100, 0);
	take(s[1], 100, 100, 0);
}

static void pidfd(void)
{
	union {
		char buf[100];
		struct cmsghdr align;
	} u = { 0 };
	char data[10];
	struct iovec v = { data, 10 };
	struct msghdr m = { 0 };
	int s[2], fd;

	m.msg_iov = &v;
	m.msg_iovlen = 1;
	m.msg_control = u.buf;
	m.msg_controllen = sizeof(u.buf);
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	SHOW(set_option(s[1], SO_PASSPIDFD, 1));
	write(s[0], "x", 1);
	SHOW(recvmsg(s[1], &m, 0));
	say("%d %d\n", CMSG_FIRSTHDR(&m)->cmsg_type, (int)CMSG_FIRSTHDR(&m)->cmsg_len);
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), 4);
	SHOW(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
	SHOW(option(s[0], 77) >= 0); /* SO_PEERPIDFD */
}

int main(void)
{
	rights(SOCK_STREAM);
	rights(SOCK_DGRAM);
	rights(SOCK_SEQPACKET);
	in_child("nofile", nofile);
	loops();
	credentials(SOCK_STREAM);
	credentials(SOCK_DGRAM);
	pidfd();
	return 0;
}
