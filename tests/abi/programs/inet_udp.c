/* SPDX-License-Identifier: Apache-2.0 */
/* UDP over the loopback, IPv6, and options of all levels. */
#include "inet.h"
#include <net/if.h>

static char buf[70000];

static int udp(const char *ip)
{
	struct sockaddr_in a = in4(ip, 0);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (ip[0] && bind(fd, ADDR(a)))
		say("bind: %s\n", strerrorname_np(errno));
	return fd;
}

static void datagrams(void)
{
	int a = udp("127.0.0.1"), b = udp(""), c = udp("");
	struct sockaddr_in to = in4("127.0.0.1", port_of(a)), who, unspec = { .sin_family = AF_UNSPEC };
	struct sockaddr_in far = in4("127.0.0.1", 0);
	socklen_t len = sizeof(who);

	POLL(a);
	NAME(b);
	SHOW(send(b, "x", 1, 0));
	SHOW(sendto(b, "hello", 5, 0, ADDR(to)));
	NAME(b);
	PEER(b);
	POLL(a);
	SHOW(queued(a));
	SHOW(recvfrom(a, buf, 3, MSG_PEEK | MSG_TRUNC, (void *)&who, &len));
	IS(ntohs(who.sin_port) == port_of(b));
	SHOW(recv(a, buf, 3, 0));
	SHOW(recv(a, buf, 3, MSG_DONTWAIT));
	SHOW(sendto(b, "", 0, 0, ADDR(to)));
	POLL(a);
	SHOW(recv(a, buf, 3, MSG_DONTWAIT));
	SHOW(sendto(b, buf, 65507, 0, ADDR(to)));
	SHOW(recv(a, buf, sizeof(buf), 0));
	SHOW(sendto(b, buf, 65508, 0, ADDR(to)));
	SHOW(sendto(b, "x", 1, MSG_OOB, ADDR(to)));
	SHOW(sendto(b, "x", 1, 0, (void *)&to, 8));
	SHOW(sendto(b, "x", 1, 0, ADDR(far)));
	SHOW(connect(b, ADDR(to)));
	PEER(b);
	SHOW(send(b, "one", 3, 0));
	SHOW(sendto(c, "two", 3, 0, (void *)&who, sizeof(who)));
	SHOW(recv(b, buf, 9, MSG_DONTWAIT));
	SHOW(recv(a, buf, 9, MSG_DONTWAIT));
	SHOW(connect(a, (void *)&who, sizeof(who)));
	SHOW(sendto(c, "no", 2, 0, ADDR(to)));
	SHOW(recv(a, buf, 9, MSG_DONTWAIT));
	close(a);
	SHOW(send(b, "lost", 4, 0));
	POLL(b);
	SHOW(send(b, "lost", 4, 0));
	SHOW(send(b, "lost", 4, 0));
	SHOW(option(b, SOL_SOCKET, SO_ERROR));
	SHOW(connect(b, ADDR(unspec)));
	NAME(b);
	PEER(b);
	SHOW(shutdown(b, SHUT_RDWR));
	SHOW(listen(c, 1));
	SHOW(accept(c, NULL, NULL));
	close(b);
	close(c);
}

static void info(void)
{
	int a = udp("0.0.0.0"), b = udp(""), one = 1;
	struct sockaddr_in to = in4("127.0.0.3", port_of(a));
	char control[256];
	struct iovec v = { buf, 16 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = control,
			    .msg_controllen = sizeof(control) };

	set(a, IPPROTO_IP, IP_PKTINFO, 1);
	set(a, IPPROTO_IP, IP_RECVTTL, 1);
	setsockopt(a, SOL_SOCKET, SO_TIMESTAMP, &one, sizeof(one));
	sendto(b, "x", 1, 0, ADDR(to));
	SHOW(recvmsg(a, &m, 0));
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		say("%d %d %zu\n", c->cmsg_level, c->cmsg_type, (size_t)c->cmsg_len);
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO)
			say("%s\n", inet_ntoa(((struct in_pktinfo *)CMSG_DATA(c))->ipi_addr));
	}
	close(a);
	close(b);
}

static void six(void)
{
	int l = socket(AF_INET6, SOCK_STREAM, 0), c, a, u = socket(AF_INET6, SOCK_DGRAM, 0);
	struct sockaddr_in6 any = in6("::", 0), one = in6("::1", 0), four = in6("::ffff:127.0.0.1", 0);
	struct sockaddr_in old = in4("127.0.0.1", 0);

	NAME(l);
	SHOW(option(l, IPPROTO_IPV6, IPV6_V6ONLY));
	SHOW(bind(l, ADDR(old)));
	SHOW(bind(l, ADDR(any)));
	SHOW(set(l, IPPROTO_IPV6, IPV6_V6ONLY, 1));
	NAME(l);
	listen(l, 5);
	old.sin_port = one.sin6_port = four.sin6_port = htons(port_of(l));
	c = socket(AF_INET, SOCK_STREAM, 0);
	SHOW(bind(c, ADDR(old)));
	SHOW(connect(c, ADDR(old)));
	a = accept(l, NULL, NULL);
	NAME(a);
	PEER(a);
	close(a);
	close(c);
	c = socket(AF_INET6, SOCK_STREAM, 0);
	SHOW(connect(c, ADDR(one)));
	a = accept(l, NULL, NULL);
	NAME(c);
	PEER(a);
	close(a);
	close(c);
	c = socket(AF_INET6, SOCK_STREAM, 0);
	SHOW(connect(c, ADDR(four)));
	NAME(c);
	PEER(c);
	close(c);
	close(l);
	l = socket(AF_INET6, SOCK_STREAM, 0);
	set(l, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	one.sin6_port = 0;
	SHOW(bind(l, ADDR(one)));
	listen(l, 1);
	c = socket(AF_INET, SOCK_STREAM, 0);
	old.sin_port = htons(port_of(l));
	SHOW(connect(c, ADDR(old)));
	SHOW(bind(u, ADDR(one)));
	one.sin6_port = htons(port_of(u));
	SHOW(sendto(u, "self", 4, 0, ADDR(one)));
	SHOW(recv(u, buf, 9, 0));
	close(c);
	close(l);
	close(u);
}

static void options(void)
{
	int t = socket(AF_INET, SOCK_STREAM, 0), u = udp(""), s = socket(AF_INET6, SOCK_STREAM, 0);
	char name[16];
	socklen_t len = sizeof(name);

	SHOW(option(t, SOL_SOCKET, SO_TYPE));
	SHOW(option(t, SOL_SOCKET, SO_PROTOCOL));
	SHOW(option(s, SOL_SOCKET, SO_DOMAIN));
	SHOW(option(t, SOL_SOCKET, SO_SNDBUF));
	SHOW(option(t, SOL_SOCKET, SO_RCVBUF));
	SHOW(option(t, SOL_SOCKET, SO_KEEPALIVE));
	SHOW(option(t, SOL_SOCKET, SO_REUSEADDR));
	SHOW(set(t, SOL_SOCKET, SO_PASSCRED, 1));
	SHOW(option(t, IPPROTO_IP, IP_TTL));
	SHOW(set(t, IPPROTO_IP, IP_TTL, 0));
	SHOW(set(t, IPPROTO_IP, IP_TTL, 256));
	SHOW(set(t, IPPROTO_IP, IP_TTL, 7));
	SHOW(option(t, IPPROTO_IP, IP_TTL));
	SHOW(set(t, IPPROTO_IP, IP_TTL, -1));
	SHOW(option(t, IPPROTO_IP, IP_TTL));
	SHOW(set(u, IPPROTO_IP, IP_TOS, 0x10));
	SHOW(option(u, IPPROTO_IP, IP_TOS));
	SHOW(option(u, IPPROTO_IP, IP_MTU));
	SHOW(option(u, IPPROTO_IP, IP_MULTICAST_TTL));
	SHOW(option(u, IPPROTO_IP, IP_MULTICAST_LOOP));
	SHOW(set(u, IPPROTO_IP, IP_MULTICAST_TTL, 300));
	SHOW(set(u, IPPROTO_IP, 250, 1));
	SHOW(option(u, IPPROTO_IP, 250));
	SHOW(set(u, IPPROTO_TCP, TCP_NODELAY, 1));
	SHOW(option(t, IPPROTO_TCP, TCP_NODELAY));
	SHOW(set(t, IPPROTO_TCP, TCP_NODELAY, 5));
	SHOW(option(t, IPPROTO_TCP, TCP_NODELAY));
	SHOW(option(t, IPPROTO_TCP, TCP_KEEPIDLE));
	SHOW(set(t, IPPROTO_TCP, TCP_KEEPIDLE, 0));
	SHOW(set(t, IPPROTO_TCP, TCP_KEEPIDLE, 40000));
	SHOW(set(t, IPPROTO_TCP, TCP_KEEPIDLE, 33));
	SHOW(option(t, IPPROTO_TCP, TCP_KEEPIDLE));
	SHOW(option(t, IPPROTO_TCP, TCP_KEEPCNT));
	SHOW(option(t, IPPROTO_TCP, TCP_MAXSEG));
	SHOW(set(t, IPPROTO_TCP, TCP_MAXSEG, 10));
	SHOW(option(t, IPPROTO_TCP, TCP_SYNCNT));
	SHOW(option(t, IPPROTO_TCP, TCP_USER_TIMEOUT));
	SHOW(set(t, IPPROTO_TCP, TCP_USER_TIMEOUT, -1));
	SHOW(set(t, IPPROTO_TCP, 250, 1));
	SHOW(option(t, IPPROTO_TCP, 250));
	SHOW(setsockopt(t, IPPROTO_TCP, TCP_NODELAY, "x", 1));
	SHOW(getsockopt(t, IPPROTO_TCP, TCP_CONGESTION, name, &len));
	SHOW(setsockopt(t, IPPROTO_TCP, TCP_CONGESTION, "nothing", 7));
	SHOW(set(t, IPPROTO_IPV6, IPV6_V6ONLY, 1));
	SHOW(option(s, IPPROTO_IPV6, IPV6_UNICAST_HOPS));
	SHOW(set(s, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 256));
	SHOW(option(s, IPPROTO_IPV6, IPV6_TCLASS));
	SHOW(set(s, 250, 1, 1));
	SHOW(option(s, 250, 1));
	SHOW(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP));
	SHOW(socket(AF_INET, SOCK_DGRAM, IPPROTO_TCP));
	SHOW(socket(AF_INET, SOCK_SEQPACKET, 0));
	SHOW(socket(AF_INET, SOCK_STREAM, 300));
	SHOW(socket(AF_INET, SOCK_RDM, 0));
	SHOW(socketpair(AF_INET, SOCK_STREAM, 0, (int[2]){ 0 }));
	close(t);
	close(u);
	close(s);
}

static void lo(void)
{
	struct ifreq r = { 0 };
	int fd = udp("");

	strcpy(r.ifr_name, "lo");
	SHOW(ioctl(fd, SIOCGIFFLAGS, &r));
	say("%#x\n", r.ifr_flags & (IFF_UP | IFF_LOOPBACK));
	SHOW(ioctl(fd, SIOCGIFADDR, &r));
	say("%s\n", inet_ntoa(((struct sockaddr_in *)&r.ifr_addr)->sin_addr));
	SHOW(ioctl(fd, SIOCGIFNETMASK, &r));
	say("%s\n", inet_ntoa(((struct sockaddr_in *)&r.ifr_addr)->sin_addr));
	SHOW(ioctl(fd, SIOCGIFMTU, &r));
	say("%d\n", r.ifr_mtu);
	SHOW(ioctl(fd, SIOCGIFINDEX, &r));
	say("%d\n", r.ifr_ifindex);
	r.ifr_ifindex = 1;
	SHOW(ioctl(fd, SIOCGIFNAME, &r));
	say("%s\n", r.ifr_name);
	SHOW(ioctl(fd, SIOCGIFHWADDR, &r));
	say("%d\n", r.ifr_hwaddr.sa_family);
	strcpy(r.ifr_name, "nosuch0");
	SHOW(ioctl(fd, SIOCGIFFLAGS, &r));
	SHOW(ioctl(fd, SIOCGIFADDR, &r));
	close(fd);
}

int main(void)
{
	in_child("datagrams", datagrams);
	in_child("info", info);
	in_child("six", six);
	in_child("options", options);
	in_child("lo", lo);
	return 0;
}
