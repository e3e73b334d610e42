/* SPDX-License-Identifier: Apache-2.0 */
/* Names of AF_UNIX sockets: in the file system, abstract, none; and errors in their order. */
/* abi-hide: (?<=autobound )[0-9a-f]{5} */
#include "unix.h"

static int named(int type, const struct sockaddr_un *addr, socklen_t len)
{
	return bind(socket(AF_UNIX, type, 0), (void *)addr, len);
}

static void paths(void)
{
	struct sockaddr_un a;
	struct stat st;
	socklen_t len;
	int s;

	umask(027);
	s = socket(AF_UNIX, SOCK_STREAM, 0);
	names(s);
	fchmod(s, 0765);
	len = name_addr(&a, "path");
	SHOW(bind(s, (void *)&a, len));
	names(s);
	stat("path", &st);
	say("%o %d %d\n", st.st_mode, (int)st.st_size, (int)st.st_nlink);
	SHOW(bind(s, (void *)&a, len));
	len = name_addr(&a, "other");
	SHOW(bind(s, (void *)&a, len));
	SHOW(access("other", F_OK));
	SHOW(open("path", O_RDWR));
	SHOW(open("path", O_PATH) >= 0);
	SHOW(named(SOCK_STREAM, &a, name_addr(&a, "path")));
	SHOW(named(SOCK_STREAM, &a, name_addr(&a, "path/x")));
	SHOW(named(SOCK_STREAM, &a, name_addr(&a, "no/x")));
	SHOW(named(SOCK_STREAM, &a, name_addr(&a, "slash/")));
	SHOW(named(SOCK_STREAM, &a, name_addr(&a, ".")));
	symlink("nowhere", "dangling");
	SHOW(named(SOCK_STREAM, &a, name_addr(&a, "dangling")));
	memset(a.sun_path, 'n', sizeof(a.sun_path));
	SHOW(named(SOCK_STREAM, &a, sizeof(a)));
	SHOW(named(SOCK_STREAM, &a, sizeof(a) + 1));
	SHOW(named(SOCK_STREAM, &a, 5));
	name_addr(&a, "cut-here");
	SHOW(named(SOCK_STREAM, &a, 2 + 3));
	SHOW(named(SOCK_STREAM, &a, 1));
	SHOW(named(SOCK_STREAM, &a, 0));
	SHOW(named(SOCK_STREAM, &a, -1));
	SHOW(named(SOCK_STREAM, (void *)8, 20));
	a.sun_family = AF_INET;
	SHOW(named(SOCK_STREAM, &a, 10));
	SHOW(named(SOCK_STREAM, &a, 2));
	put("file", "plain");
	SHOW(connect_to(socket(AF_UNIX, SOCK_STREAM, 0), "file"));
	SHOW(connect_to(socket(AF_UNIX, SOCK_STREAM, 0), "."));
	SHOW(connect_to(socket(AF_UNIX, SOCK_STREAM, 0), "missing"));
	SHOW(connect_to(socket(AF_UNIX, SOCK_STREAM, 0), "file/x"));
	SHOW(connect_to(socket(AF_UNIX, SOCK_STREAM, 0), "path"));
	SHOW(connect_to(socket(AF_UNIX, SOCK_DGRAM, 0), "path"));
	SHOW(listen(s, 3));
	SHOW(connect_to(socket(AF_UNIX, SOCK_SEQPACKET, 0), "path"));
	SHOW(rename("path", "renamed"));
	SHOW(connect_to(socket(AF_UNIX, SOCK_STREAM, 0), "renamed"));
	SHOW(link("renamed", "linked"));
	SHOW(connect_to(socket(AF_UNIX, SOCK_STREAM, 0), "linked"));
	symlink("linked", "followed");
	SHOW(connect_to(socket(AF_UNIX, SOCK_STREAM, 0), "followed"));
	SHOW(mknod("node", S_IFSOCK | 0600, 0));
	SHOW(connect_to(socket(AF_UNIX, SOCK_STREAM, 0), "node"));
	names(s);
	close(s);
	SHOW(connect_to(socket(AF_UNIX, SOCK_STREAM, 0), "linked"));
	umask(022);
}

static void refused(void)
{
	int s = listening(SOCK_STREAM, "private", 5);

	(void)s;
	mkdir("closed", 0755);
	chmod("private", 0755);
	if (geteuid() == 0) {
		setgid(1234);
		setuid(1234);
	}
	SHOW(connect_to(socket(AF_UNIX, SOCK_STREAM, 0), "private"));
}

static void hidden(void)
{
	struct sockaddr_un a, b;
	socklen_t len = hidden_addr(&a, "one");
	int s = socket(AF_UNIX, SOCK_STREAM, 0), t, d;

	SHOW(bind(s, (void *)&a, len));
	SHOW(bind(s, (void *)&a, len));
	SHOW(named(SOCK_STREAM, &a, len));
	SHOW(named(SOCK_STREAM, &a, len + 1));
	d = socket(AF_UNIX, SOCK_DGRAM, 0);
	SHOW(bind(d, (void *)&a, len));
	SHOW(listen(s, 1));
	t = socket(AF_UNIX, SOCK_STREAM, 0);
	SHOW(connect(t, (void *)&a, len - 1));
	SHOW(connect(t, (void *)&a, len));
	SHOW(connect(socket(AF_UNIX, SOCK_SEQPACKET, 0), (void *)&a, len));
	SHOW(sendto(d, "me", 2, 0, (void *)&a, len));
	len = sizeof(b);
	getpeername(t, (void *)&b, &len);
	IS(!memcmp(&a, &b, len) && len > 10);
	close(s);
	len = hidden_addr(&a, "one");
	SHOW(named(SOCK_STREAM, &a, len));
}

static void automatic(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX }, b;
	socklen_t len = sizeof(b);
	int s = socket(AF_UNIX, SOCK_DGRAM, 0), t = socket(AF_UNIX, SOCK_DGRAM, 0);

	SHOW(bind(s, (void *)&a, 2));
	getsockname(s, (void *)&b, &len);
	say("%d %d autobound %.5s\n", len, b.sun_path[0], b.sun_path + 1);
	SHOW(bind(s, (void *)&a, 2));
	a = b;
	SHOW(bind(s, (void *)&a, len));
	SHOW(sendto(t, "x", 1, 0, (void *)&b, len));
	SHOW(set_option(t, SO_PASSCRED, 1));
	SHOW(sendto(t, "x", 1, 0, (void *)&b, len));
	len = sizeof(b);
	getsockname(t, (void *)&b, &len);
	say("%d\n", len);
}

static void lengths(void)
{
	struct sockaddr_un a;
	char small[4] = "....";
	int s = listening(SOCK_STREAM, "lengths", 1);
	socklen_t len = 4;

	SHOW(getsockname(s, (void *)small, &len));
	say("%d\n", len);
	len = 0;
	SHOW(getsockname(s, NULL, &len));
	say("%d\n", len);
	len = -1;
	SHOW(getsockname(s, (void *)&a, &len));
	len = 4;
	SHOW(getsockname(s, NULL, &len));
	SHOW(getsockname(s, (void *)&a, NULL));
	SHOW(getpeername(s, (void *)&a, NULL));
}

static void making(void)
{
	int s[2] = { -5, -6 };

	SHOW(socket(AF_UNIX, SOCK_RAW, 0) >= 0);
	SHOW(option(socket(AF_UNIX, SOCK_RAW, 0), SO_TYPE));
	SHOW(socket(AF_UNIX, SOCK_RDM, 0));
	SHOW(socket(AF_UNIX, 0, 0));
	SHOW(socket(AF_UNIX, 11, 0));
	SHOW(socket(AF_UNIX, SOCK_STREAM, 1) >= 0);
	SHOW(socket(AF_UNIX, SOCK_STREAM, 2));
	SHOW(socket(AF_UNIX, SOCK_RDM, 2));
	SHOW(socket(46, SOCK_STREAM, 0));
	SHOW(socket(46, 11, 0));
	SHOW(socket(AF_UNIX, SOCK_STREAM | 0x40000, 0));
	SHOW(socketpair(AF_UNIX, SOCK_STREAM, 0, NULL));
	SHOW(socketpair(AF_UNIX, SOCK_RDM, 0, s));
	SHOW(socketpair(AF_UNIX, SOCK_STREAM, 5, s));
	SHOW(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, s));
	say("%d %d %#x\n", fcntl(s[0], F_GETFD), fcntl(s[1], F_GETFD), fcntl(s[1], F_GETFL));
	SHOW(listen(s[0], 1));
	SHOW(accept(s[0], NULL, NULL));
	SHOW(connect_to(s[0], "lengths"));
	SHOW(listen(socket(AF_UNIX, SOCK_STREAM, 0), 1));
	SHOW(sendto(s[0], "x", 1, 0, (void *)"\1\0x", 4));
	SHOW(sendto(socket(AF_UNIX, SOCK_STREAM, 0), "x", 1, 0, (void *)"\1\0x", 4));
	SHOW(send(socket(AF_UNIX, SOCK_STREAM, 0), "x", 1, 0));
	SHOW(recv(socket(AF_UNIX, SOCK_STREAM, 0), s, 1, 0));
	SHOW(recv(socket(AF_UNIX, SOCK_DGRAM, 0), s, 1, MSG_DONTWAIT));
	SHOW(send(s[0], NULL, 1, 0));
	SHOW(send(s[0], (void *)-1L, 1, 0));
	SHOW(write(s[0], "abc", 3));
	SHOW(recv(s[1], NULL, 3, 0));
	SHOW(recv(s[1], s, 3, 0));
	SHOW(sendmsg(s[0], NULL, 0));
	SHOW(sendmsg(s[0], &(struct msghdr){ .msg_iovlen = 2000 }, 0));
	SHOW(sendmsg(s[0], &(struct msghdr){ .msg_iovlen = 1 }, 0));
	SHOW(sendmsg(s[0], &(struct msghdr){ .msg_controllen = 1UL << 40 }, 0));
	SHOW(sendmsg(s[0], &(struct msghdr){ .msg_name = s, .msg_namelen = -1 }, 0));
	SHOW(shutdown(socket(AF_UNIX, SOCK_STREAM, 0), SHUT_RD));
}

int main(void)
{
	paths();
	in_child("refused", refused);
	hidden();
	automatic();
	lengths();
	making();
	return 0;
}
