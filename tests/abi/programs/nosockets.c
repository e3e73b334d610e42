/* SPDX-License-Identifier: Apache-2.0 */
/* Socket calls on what is no socket, and families that nobody has. */
#include "check.h"
#include <sys/socket.h>

int main(void)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	int p[2], value = 0;

	pipe(p);
	for (int fd = 0; fd < 5; fd++)
		SHOW(getpeername(fd, (void *)&addr, &len));
	SHOW(getpeername(99, (void *)&addr, &len));
	SHOW(getsockname(p[0], (void *)&addr, &len));
	SHOW(bind(p[0], (void *)&addr, len));
	SHOW(connect(p[0], (void *)&addr, len));
	SHOW(listen(p[0], 5));
	SHOW(accept(p[0], NULL, NULL));
	SHOW(accept4(p[0], NULL, NULL, 0x1));
	SHOW(send(p[1], "x", 1, 0));
	SHOW(recv(p[0], &value, 1, 0));
	SHOW(sendmsg(p[1], &(struct msghdr){ 0 }, 0));
	SHOW(recvmsg(p[0], &(struct msghdr){ 0 }, 0));
	SHOW(shutdown(p[0], SHUT_RD));
	SHOW(setsockopt(p[0], SOL_SOCKET, SO_REUSEADDR, &value, sizeof(value)));
	SHOW(setsockopt(p[0], SOL_SOCKET, SO_REUSEADDR, &value, -1));
	SHOW(getsockopt(p[0], SOL_SOCKET, SO_TYPE, &value, &len));
	SHOW(socket(14, SOCK_STREAM, 0));
	SHOW(socket(999, SOCK_STREAM, 0));
	SHOW(socket(-1, SOCK_STREAM, 0));
	SHOW(socket(AF_INET, 15, 0));
	SHOW(socket(AF_INET, SOCK_STREAM | 0x10000, 0));
	SHOW(socketpair(14, SOCK_STREAM, 0, p));
	return 0;
}
