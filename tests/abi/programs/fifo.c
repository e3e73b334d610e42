/* SPDX-License-Identifier: Apache-2.0 */
/* Named pipes: opening waits for the other end. */
#include "check.h"

int main(void)
{
	char buf[32] = "";
	int fd, other, status;

	SHOW(mkfifo("p", 0600));
	SHOW(mkfifo("p", 0600));
	SHOW(open("p", O_WRONLY | O_NONBLOCK));
	fd = SHOW(open("p", O_RDONLY | O_NONBLOCK));
	SHOW(read(fd, buf, 1));
	other = SHOW(open("p", O_WRONLY | O_NONBLOCK));
	SHOW(read(fd, buf, 1));
	SHOW(write(other, "through the fifo", 16));
	SHOW(read(fd, buf, sizeof(buf)));
	say("%s\n", buf);
	close(other);
	SHOW(read(fd, buf, 1));
	close(fd);
	fflush(stdout);
	if (fork() == 0) {
		fd = open("p", O_WRONLY);
		write(fd, "from the child", 14);
		_exit(fd < 0);
	}
	fd = SHOW(open("p", O_RDONLY));
	memset(buf, 0, sizeof(buf));
	SHOW(read(fd, buf, sizeof(buf)));
	say("%s\n", buf);
	SHOW(read(fd, buf, sizeof(buf)));
	wait(&status);
	say("%d\n", status);
	close(fd);
	fd = SHOW(open("p", O_RDWR));
	SHOW(write(fd, "self", 4));
	SHOW(read(fd, buf, 4));
	SHOW(unlink("p"));
	return 0;
}
