/* SPDX-License-Identifier: Apache-2.0 */
/* Pipes: data, end of file, EPIPE, capacity, not blocking. */
#include "check.h"

static char block[65536];

static void write_without_reader(void)
{
	int p[2];

	pipe(p);
	close(p[0]);
	write(p[1], "x", 1);
}

int main(void)
{
	int p[2], n, status;
	char buf[16] = "";
	struct stat st;

	SHOW(pipe(p));
	SHOW(write(p[1], "hello", 5));
	SHOW(ioctl(p[0], FIONREAD, &n));
	say("%d\n", n);
	SHOW(read(p[0], buf, 2));
	SHOW(read(p[0], buf, 16));
	SHOW(read(p[1], buf, 1));
	SHOW(write(p[0], buf, 1));
	SHOW(lseek(p[0], 0, SEEK_SET));
	SHOW(pread(p[0], buf, 1, 0));
	SHOW(ftruncate(p[1], 0));
	fstat(p[0], &st);
	say("%o\n", st.st_mode & S_IFMT);
	SHOW(close(p[1]));
	SHOW(read(p[0], buf, 1));
	close(p[0]);

	SHOW(pipe2(p, O_NONBLOCK | O_CLOEXEC));
	SHOW(pipe2(p, O_APPEND));
	SHOW(fcntl(p[0], F_GETFL) & O_NONBLOCK);
	SHOW(read(p[0], buf, 1));
	SHOW(fcntl(p[0], F_GETPIPE_SZ));
	SHOW(write(p[1], block, 60000));
	SHOW(write(p[1], block, 10000));
	SHOW(write(p[1], block, 4096));
	SHOW(fcntl(p[1], F_SETPIPE_SZ, 131072));
	SHOW(write(p[1], block, 65536));
	SHOW(fcntl(p[1], F_SETPIPE_SZ, 4096));
	for (n = 0; (status = read(p[0], block, sizeof(block))) > 0;)
		n += status;
	say("drained %d\n", n);
	signal(SIGPIPE, SIG_IGN);
	close(p[0]);
	SHOW(write(p[1], "x", 1));
	close(p[1]);
	signal(SIGPIPE, SIG_DFL);
	in_child("write without reader", write_without_reader);

	pipe(p);
	if (fork() == 0) {
		close(p[0]);
		for (int i = 0; i < 16; i++) {
			memset(block, 'a' + i, sizeof(block));
			if (write(p[1], block, sizeof(block)) != sizeof(block))
				_exit(1);
		}
		_exit(0);
	}
	close(p[1]);
	unsigned long total = 0, sum = 0;
	while ((n = read(p[0], block, 10000)) > 0) {
		total += n;
		for (int i = 0; i < n; i++)
			sum += (unsigned char)block[i];
	}
	wait(&status);
	say("%lu bytes, sum %lu, child %d\n", total, sum, status);
	SHOW(pipe((int *)8));
	return 0;
}
