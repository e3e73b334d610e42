/* SPDX-License-Identifier: Apache-2.0 */
/* Options and ioctls of AF_UNIX sockets. */
/* abi-hide: socket:\[[0-9]+\] */
#include "unix.h"
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/xattr.h>

static const struct {
	const char *name;
	int number;
} options[] = {
	{ "DEBUG", SO_DEBUG }, { "REUSEADDR", SO_REUSEADDR }, { "TYPE", SO_TYPE },
	{ "ERROR", SO_ERROR }, { "DONTROUTE", SO_DONTROUTE }, { "BROADCAST", SO_BROADCAST },
	{ "SNDBUF", SO_SNDBUF }, { "RCVBUF", SO_RCVBUF }, { "KEEPALIVE", SO_KEEPALIVE },
	{ "OOBINLINE", SO_OOBINLINE }, { "NO_CHECK", SO_NO_CHECK }, { "PRIORITY", SO_PRIORITY },
	{ "REUSEPORT", SO_REUSEPORT }, { "PASSCRED", SO_PASSCRED }, { "RCVLOWAT", SO_RCVLOWAT },
	{ "SNDLOWAT", SO_SNDLOWAT }, { "ACCEPTCONN", SO_ACCEPTCONN }, { "DOMAIN", SO_DOMAIN },
	{ "PROTOCOL", SO_PROTOCOL }, { "TIMESTAMP", SO_TIMESTAMP }, { "PEEK_OFF", SO_PEEK_OFF },
	{ "RXQ_OVFL", SO_RXQ_OVFL }, { "MARK", SO_MARK }, { "PASSSEC", SO_PASSSEC },
	{ "NOFCS", SO_NOFCS }, { "LOCK_FILTER", SO_LOCK_FILTER }, { "BSDCOMPAT", SO_BSDCOMPAT },
	{ "999", 999 },
};

static void all(int fd)
{
	for (unsigned i = 0; i < sizeof(options) / sizeof(*options); i++) {
		int number = options[i].number, before = option(fd, number);

		errno = 0;
		int set = set_option(fd, number, 1);
		say("%s: %d, set %d %s", options[i].name, before, set, set ? strerrorname_np(errno) : "");
		say(", %d\n", option(fd, number));
		set_option(fd, number, before);
	}
}

int main(void)
{
	struct timeval t = { 1, 500000 };
	struct linger l = { 1, 5 };
	struct ifreq ifr = { 0 };
	struct stat st;
	char buf[64] = "";
	socklen_t len;
	int s[2], d, value = 5;

	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	d = socket(AF_UNIX, SOCK_DGRAM, 0);
	all(s[0]);
	all(d);
	SHOW(setsockopt(d, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)));
	len = sizeof(t);
	memset(&t, 0, sizeof(t));
	SHOW(getsockopt(d, SOL_SOCKET, SO_RCVTIMEO, &t, &len));
	say("%ld %ld %d\n", t.tv_sec, t.tv_usec, len);
	len = 4;
	SHOW(getsockopt(d, SOL_SOCKET, SO_RCVTIMEO, &t, &len));
	SHOW(setsockopt(d, SOL_SOCKET, SO_RCVTIMEO, &t, 4));
	t.tv_usec = 1000000;
	SHOW(setsockopt(d, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t)));
	t = (struct timeval){ -1, 0 };
	SHOW(setsockopt(d, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t)));
	SHOW(setsockopt(d, SOL_SOCKET, SO_LINGER, &l, sizeof(l)));
	len = sizeof(l);
	memset(&l, 0, sizeof(l));
	SHOW(getsockopt(d, SOL_SOCKET, SO_LINGER, &l, &len));
	say("%d %d\n", l.l_onoff, l.l_linger);
	SHOW(setsockopt(d, SOL_SOCKET, SO_LINGER, &l, 4));
	for (int size = 0; size < 5; size++)
		SHOW(setsockopt(d, SOL_SOCKET, SO_REUSEADDR, &value, size));
	len = 2;
	value = -1;
	SHOW(getsockopt(d, SOL_SOCKET, SO_TYPE, &value, &len));
	say("%#x %d\n", value, len);
	len = 100;
	SHOW(getsockopt(d, SOL_SOCKET, SO_TYPE, &value, &len));
	say("%#x %d\n", value, len);
	len = -1;
	SHOW(getsockopt(d, SOL_SOCKET, SO_TYPE, &value, &len));
	SHOW(getsockopt(d, SOL_SOCKET, SO_TYPE, &value, NULL));
	len = 4;
	SHOW(getsockopt(d, SOL_SOCKET, SO_TYPE, NULL, &len));
	SHOW(setsockopt(d, SOL_SOCKET, SO_TYPE, NULL, 4));
	SHOW(setsockopt(d, SOL_SOCKET, SO_TYPE, &value, -1));
	SHOW(setsockopt(d, SOL_SOCKET, 12345, NULL, 4));
	SHOW(setsockopt(d, 6, 1, &value, 4));
	SHOW(getsockopt(d, 6, 1, &value, &len));
	SHOW(setsockopt(d, 0, 1, &value, 4));
	for (int size = -1; size < 3000; size += 1000) {
		SHOW(set_option(d, SO_SNDBUF, size));
		SHOW(option(d, SO_SNDBUF));
		SHOW(set_option(d, SO_RCVBUF, size));
		SHOW(option(d, SO_RCVBUF));
	}
	SHOW(set_option(d, SO_RCVLOWAT, -1));
	SHOW(option(d, SO_RCVLOWAT));
	len = sizeof(buf);
	SHOW(getsockopt(s[0], SOL_SOCKET, SO_PEERNAME, buf, &len));
	len = 2;
	SHOW(getsockopt(s[0], SOL_SOCKET, SO_PEERNAME, buf, &len));
	SHOW(getsockopt(d, SOL_SOCKET, SO_PEERNAME, buf, &len));
	len = sizeof(buf);
	SHOW(getsockopt(d, SOL_SOCKET, SO_PEERCRED, buf, &len));
	say("%d %d %d\n", len, ((int *)buf)[0], ((int *)buf)[1]);
	len = 0;
	SHOW(getsockopt(d, SOL_SOCKET, SO_PEERGROUPS, buf, &len));
	SHOW(getsockopt(d, SOL_SOCKET, SO_PEERSEC, buf, &len));
	SHOW(getsockopt(d, SOL_SOCKET, 77, buf, &len));

	SHOW(ioctl(s[0], SIOCINQ, &value));
	SHOW(ioctl(s[0], SIOCOUTQ, &value));
	SHOW(ioctl(s[0], SIOCATMARK, &value));
	SHOW(ioctl(s[0], TCGETS, buf));
	SHOW(ioctl(s[0], 0x12345678, buf));
	SHOW(ioctl(s[0], SIOCINQ, NULL));
	value = 1;
	SHOW(ioctl(s[0], FIONBIO, &value));
	SHOW(read(s[0], buf, 1));
	value = getpid();
	SHOW(ioctl(s[0], FIOSETOWN, &value));
	value = 0;
	SHOW(ioctl(s[0], FIOGETOWN, &value));
	IS(value == getpid() && fcntl(s[0], F_GETOWN) == getpid());
	strcpy(ifr.ifr_name, "nosuch0");
	SHOW(ioctl(s[0], SIOCGIFINDEX, &ifr));
	fstat(s[0], &st);
	say("%o %d %d %d\n", st.st_mode, (int)st.st_size, (int)st.st_nlink, (int)st.st_blksize);
	memset(buf, 0, sizeof(buf));
	sprintf(buf, "/proc/self/fd/%d", s[0]);
	char link[64] = "";
	SHOW(readlink(buf, link, 63) > 9);
	say("%s\n", link);
	SHOW(open(buf, O_RDWR));
	memset(buf, 0, sizeof(buf));
	SHOW(fgetxattr(s[0], "system.sockprotoname", buf, 64));
	say("%s\n", buf);
	SHOW(flistxattr(s[0], buf, 64));
	say("%s\n", buf);
	SHOW(fchmod(s[0], 0600));
	SHOW(fallocate(s[0], 0, 0, 10));
	SHOW(lseek(s[0], 0, SEEK_CUR));
	SHOW(fchdir(s[0]));
	return 0;
}
