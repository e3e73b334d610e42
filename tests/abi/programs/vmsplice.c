/* SPDX-License-Identifier: Apache-2.0 */
/* vmsplice puts in what there is room for; it doesn't wait for the rest to fit. */
#include "check.h"

static char data[256 * 1024] __attribute__((aligned(4096)));

int main(void)
{
	struct iovec one = { data, sizeof(data) };
	struct iovec two[2] = { { data, 5 }, { data + 5, 4096 } };
	char back[64];
	int fds[2];

	memset(data, 'a', sizeof(data));
	pipe(fds);
	SHOW(vmsplice(fds[1], &one, 1, 0));
	SHOW(vmsplice(fds[1], &one, 1, SPLICE_F_NONBLOCK));
	fcntl(fds[1], F_SETFL, O_NONBLOCK);
	SHOW(vmsplice(fds[1], &one, 1, SPLICE_F_NONBLOCK));
	SHOW(read(fds[0], data, 65536));
	SHOW(vmsplice(fds[1], two, 2, 0));
	SHOW(ioctl(fds[0], FIONREAD, &one.iov_len));
	say("%zu\n", one.iov_len);
	one.iov_base = back;
	one.iov_len = sizeof(back);
	SHOW(vmsplice(fds[0], &one, 1, 0));
	SHOW(vmsplice(0, &one, 0, 0x100));
	close(fds[0]);
	signal(SIGPIPE, SIG_IGN);
	SHOW(vmsplice(fds[1], two, 2, 0));
	return 0;
}
