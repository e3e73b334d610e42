/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are read often: positions, ends, sharing and changes are those of any file. */
#include "check.h"

#define SIZE 20000
static char data[SIZE], buf[SIZE + 100];

static int fresh(const char *name, int flags)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);

	for (int i = 0; i < SIZE; i++)
		data[i] = i * 7 + i / 251;
	if (write(fd, data, SIZE) != SIZE)
		exit(1);
	close(fd);
	return open(name, flags);
}

/* Enough reads that nothing is new to the kernel. */
static void warm(int fd)
{
	for (int i = 0; i < 40; i++) {
		lseek(fd, (i % 4) * 4096, SEEK_SET);
		if (read(fd, buf, 4096) <= 0)
			exit(2);
		if (pread(fd, buf, 100, 50) != 100)
			exit(3);
	}
	lseek(fd, 0, SEEK_SET);
}

static int all_right(int fd)
{
	int pos = 0, n;

	while ((n = read(fd, buf, 777)) > 0) {
		if (memcmp(buf, data + pos, n))
			return 0;
		pos += n;
	}
	return n == 0 && pos == SIZE;
}

static void edges(int fd)
{
	warm(fd);
	IS(all_right(fd));
	SHOW(read(fd, buf, 10));
	SHOW(lseek(fd, 0, SEEK_CUR));
	SHOW(lseek(fd, -10, SEEK_END));
	SHOW(read(fd, buf, 100));
	IS(!memcmp(buf, data + SIZE - 10, 10));
	SHOW(lseek(fd, 5, SEEK_END));
	SHOW(read(fd, buf, 100));
	SHOW(lseek(fd, -1, SEEK_SET));
	SHOW(lseek(fd, -30000, SEEK_CUR));
	SHOW(lseek(fd, 0, 77));
	SHOW(lseek(fd, 0, SEEK_CUR));
	SHOW(lseek(fd, 3, SEEK_SET));
	SHOW(read(fd, buf, 0));
	SHOW(read(fd, (char *)8, 100));
	SHOW(lseek(fd, 0, SEEK_CUR));
	SHOW(read(fd, (char *)-4096L, 100));
	SHOW(pread(fd, buf, 100, SIZE - 1));
	SHOW(pread(fd, buf, 100, SIZE));
	SHOW(pread(fd, buf, 100, SIZE + 5));
	SHOW(pread(fd, buf, 100, -1));
	SHOW(pread(fd, buf, 10, 4090));
	IS(!memcmp(buf, data + 4090, 10));
	SHOW(syscall(SYS_read, fd | 0x500000000L, buf, 4L));
	SHOW(read(-1, buf, 4));
	SHOW(write(fd, buf, 4));
}

static void partial(int fd)
{
	char *two = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	munmap(two + 4096, 4096);
	lseek(fd, 0, SEEK_SET);
	SHOW(read(fd, two + 4000, 500));
	SHOW(lseek(fd, 0, SEEK_CUR));
	SHOW(pread(fd, two + 4000, 500, 8));
	mprotect(two, 4096, PROT_READ);
	SHOW(pread(fd, two, 500, 8));
}

static void sharing(int fd)
{
	int other, status;

	lseek(fd, 100, SEEK_SET);
	read(fd, buf, 100);
	other = dup(fd);
	SHOW(lseek(other, 0, SEEK_CUR));
	SHOW(read(fd, buf, 50));
	SHOW(lseek(other, 0, SEEK_CUR));
	close(other);
	warm(fd);
	lseek(fd, 300, SEEK_SET);
	if (!fork()) {
		for (int i = 0; i < 10; i++)
			read(fd, buf, 10);
		_exit(0);
	}
	wait(&status);
	SHOW(lseek(fd, 0, SEEK_CUR));
	SHOW(read(fd, buf, 10));
	IS(!memcmp(buf, data + 400, 10));
	warm(fd);
	lseek(fd, 500, SEEK_SET);
	if (!vfork()) {
		lseek(fd, 600, SEEK_SET);
		_exit(0);
	}
	wait(&status);
	SHOW(lseek(fd, 0, SEEK_CUR));
}

static void replaced(void)
{
	int a = fresh("a", O_RDONLY), b;

	warm(a);
	close(a);
	SHOW(read(a, buf, 10));
	SHOW(pread(a, buf, 10, 0));
	SHOW(lseek(a, 0, SEEK_SET));
	a = open("a", O_RDONLY);
	warm(a);
	b = open("/dev/zero", O_RDONLY);
	dup2(b, a);
	memset(buf, 1, 10);
	SHOW(read(a, buf, 10));
	IS(buf[0] == 0);
	close(a);
	close(b);
	SHOW(read(a, buf, 10));
}

static void changes(void)
{
	int fd = fresh("c", O_RDONLY), other = open("c", O_RDWR), status;

	warm(fd);
	SHOW(pwrite(other, "hello", 5, 10));
	SHOW(pread(fd, buf, 5, 10));
	IS(!memcmp(buf, "hello", 5));
	warm(fd);
	lseek(fd, 0, SEEK_END);
	SHOW(read(fd, buf, 10));
	SHOW(pwrite(other, "more", 4, SIZE));
	SHOW(read(fd, buf, 10));
	IS(!memcmp(buf, "more", 4));
	warm(fd);
	lseek(fd, 0, SEEK_END);
	if (!fork()) {
		int append = open("c", O_WRONLY | O_APPEND);
		_exit(write(append, "child", 5) != 5);
	}
	wait(&status);
	SHOW(read(fd, buf, 10));
	warm(fd);
	SHOW(truncate("c", 100));
	SHOW(pread(fd, buf, 500, 0));
	SHOW(pread(fd, buf, 500, 100));
	SHOW(lseek(fd, 0, SEEK_END));
	for (int i = 0; i < 30; i++)
		pread(fd, buf, 50, 0);
	SHOW(ftruncate(other, 9000));
	SHOW(pread(fd, buf, 9000, 0));
	IS(buf[99] == data[99] && buf[100] == 0 && buf[8999] == 0);
	SHOW(lseek(fd, 0, SEEK_END));
	lseek(fd, 0, SEEK_SET);
	SHOW(ftruncate(other, 0));
	SHOW(read(fd, buf, 10));
}

static void *reader(void *arg)
{
	static char part[2][64];
	long sum = 0, which = ((long *)arg)[0], fd = ((long *)arg)[1];
	int n;

	while ((n = read(fd, part[which], 8)) > 0)
		sum += n;
	((long *)arg)[2] = sum;
	return NULL;
}

#include <pthread.h>
static void threads(void)
{
	int fd = fresh("t", O_RDONLY);
	long a[3] = {0, fd, 0}, b[3] = {1, fd, 0};
	pthread_t one, two;

	warm(fd);
	pthread_create(&one, NULL, reader, a);
	pthread_create(&two, NULL, reader, b);
	pthread_join(one, NULL);
	pthread_join(two, NULL);
	IS(a[2] + b[2] == SIZE);
	SHOW(lseek(fd, 0, SEEK_CUR));
}

int main(void)
{
	int fd = fresh("f", O_RDONLY);

	edges(fd);
	partial(fd);
	sharing(fd);
	close(fd);
	fd = fresh("r", O_RDWR | O_APPEND);
	warm(fd);
	lseek(fd, 10, SEEK_SET);
	SHOW(write(fd, "xyz", 3));
	SHOW(lseek(fd, 0, SEEK_CUR));
	SHOW(pread(fd, buf, 10, SIZE));
	close(fd);
	replaced();
	changes();
	threads();
	return 0;
}
