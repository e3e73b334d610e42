/* SPDX-License-Identifier: Apache-2.0 */
/* readv(2), writev, preadv, pwritev and their limits. */
#include "check.h"

int main(void)
{
	static struct iovec many[1025];
	char a[4] = "", b[8] = "", c[16] = "";
	struct iovec out[3] = { { "one ", 4 }, { "", 0 }, { "two three\n", 10 } };
	struct iovec in[3] = { { a, 3 }, { b, 6 }, { c, 16 } };
	int fd = SHOW(open("f", O_RDWR | O_CREAT, 0644));

	SHOW(writev(fd, out, 3));
	SHOW(lseek(fd, 0, SEEK_SET));
	SHOW(readv(fd, in, 3));
	say("[%.3s][%.6s][%.16s]\n", a, b, c);
	SHOW(readv(fd, in, 3));
	SHOW(preadv(fd, in, 2, 4));
	say("[%.3s][%.6s]\n", a, b);
	SHOW(pwritev(fd, out, 1, 100));
	SHOW(lseek(fd, 0, SEEK_END));
	SHOW(readv(fd, in, 0));
	SHOW(readv(fd, in, -1));
	SHOW(writev(fd, many, 1024));
	SHOW(writev(fd, many, 1025));
	in[0].iov_len = -1;
	SHOW(readv(fd, in, 1));
	in[0].iov_base = (void *)8;
	in[0].iov_len = 10;
	SHOW(preadv(fd, in, 1, 0));
	SHOW(readv(fd, (void *)8, 1));
	SHOW(preadv(fd, in, 1, -1));
	return 0;
}
