/* SPDX-License-Identifier: Apache-2.0 */
/* The memory devices and random numbers. */
#include "check.h"
#include <sys/random.h>
#include <sys/sysmacros.h>

int main(void)
{
	const char *names[] = { "null", "zero", "full", "random", "urandom", "tty" };
	char buf[256], other[256], path[32];
	struct stat st;
	int fd;

	for (int i = 0; i < 6; i++) {
		snprintf(path, sizeof(path), "/dev/%s", names[i]);
		stat(path, &st);
		say("%s: %o %u:%u\n", path, st.st_mode, major(st.st_rdev), minor(st.st_rdev));
	}
	fd = open("/dev/null", O_RDWR);
	SHOW(read(fd, buf, 10));
	SHOW(write(fd, buf, 10));
	SHOW(lseek(fd, 100, SEEK_SET));
	SHOW(ftruncate(fd, 5));
	fd = open("/dev/zero", O_RDWR);
	memset(buf, 1, sizeof(buf));
	SHOW(read(fd, buf, sizeof(buf)));
	IS(buf[0] == 0 && !memcmp(buf, buf + 1, 255));
	SHOW(write(fd, buf, 10));
	char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	IS(p != MAP_FAILED && p[5] == 0);
	p[5] = 1;
	fd = open("/dev/full", O_RDWR);
	SHOW(read(fd, buf, 10));
	SHOW(write(fd, buf, 10));
	SHOW(write(fd, buf, 0));
	fd = open("/dev/urandom", O_RDONLY);
	SHOW(read(fd, buf, 256));
	SHOW(read(fd, other, 256));
	IS(memcmp(buf, other, 256) != 0);
	SHOW(getrandom(buf, 256, 0));
	SHOW(getrandom(other, 256, GRND_NONBLOCK));
	IS(memcmp(buf, other, 256) != 0);
	SHOW(getrandom(buf, 256, 0x80));
	SHOW(getrandom((void *)8, 256, 0));
	SHOW(access("/dev/stdin", F_OK));
	SHOW(access("/dev/fd/1", F_OK));
	SHOW(open("/dev/missing", O_RDONLY));
	SHOW(open("/dev/null", O_RDONLY | O_DIRECTORY));
	SHOW(open("/dev/null", O_WRONLY | O_TRUNC | O_CREAT, 0600) > 0);
	return 0;
}
