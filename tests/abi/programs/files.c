/* SPDX-License-Identifier: Apache-2.0 */
/* open(2) flags, read, write, lseek, pread, truncate. */
#include "check.h"

int main(void)
{
	char buf[64] = { 0 };
	struct stat st;
	int fd;

	umask(022);
	SHOW(open("missing", O_RDONLY));
	SHOW(open("", O_RDONLY));
	SHOW(open(".", O_WRONLY));
	fd = SHOW(open("f", O_RDWR | O_CREAT | O_EXCL, 0666));
	SHOW(open("f", O_RDWR | O_CREAT | O_EXCL, 0666));
	SHOW(open("f", O_RDONLY | O_DIRECTORY));
	SHOW(open("f/", O_RDONLY));
	SHOW(open("f/x", O_RDONLY));
	SHOW(write(fd, "hello, world\n", 13));
	SHOW(lseek(fd, 7, SEEK_SET));
	SHOW(read(fd, buf, 5));
	say("[%.5s]\n", buf);
	SHOW(lseek(fd, 0, SEEK_CUR));
	SHOW(lseek(fd, -3, SEEK_END));
	SHOW(lseek(fd, -100, SEEK_CUR));
	SHOW(lseek(fd, 0, 99));
	SHOW(pread(fd, buf, 64, 5));
	SHOW(pread(fd, buf, 64, 13));
	SHOW(pread(fd, buf, 64, -1));
	SHOW(pwrite(fd, "HELLO", 5, 0));
	SHOW(pwrite(fd, "end", 3, 10000));
	SHOW(fstat(fd, &st));
	say("size %ld mode %o nlink %ld\n", (long)st.st_size, st.st_mode, (long)st.st_nlink);
	SHOW(pread(fd, buf, 4, 5000));
	IS(!memcmp(buf, "\0\0\0\0", 4));
	SHOW(ftruncate(fd, 5));
	SHOW(lseek(fd, 0, SEEK_END));
	SHOW(ftruncate(fd, 20));
	SHOW(ftruncate(fd, -1));
	SHOW(truncate("f", 12));
	SHOW(truncate("missing", 12));
	SHOW(truncate(".", 12));
	SHOW(close(fd));
	SHOW(close(fd));
	SHOW(read(fd, buf, 1));
	SHOW(write(fd, buf, 1));

	fd = SHOW(open("f", O_WRONLY | O_APPEND));
	SHOW(read(fd, buf, 1));
	SHOW(lseek(fd, 0, SEEK_SET));
	SHOW(write(fd, "tail", 4));
	SHOW(lseek(fd, 0, SEEK_CUR));
	SHOW(pwrite(fd, "appended too", 12, 0));
	close(fd);
	fd = SHOW(open("f", O_RDONLY));
	SHOW(write(fd, "x", 1));
	SHOW(read(fd, NULL, 1));
	SHOW(read(fd, NULL, 0));
	SHOW(ftruncate(fd, 1));
	close(fd);
	fd = SHOW(open("f", O_RDWR | O_TRUNC));
	SHOW(lseek(fd, 0, SEEK_END));
	SHOW(write(fd, "new contents\n", 13));
	SHOW(fsync(fd));
	SHOW(fdatasync(fd));
	close(fd);
	SHOW(creat("made", 0640));
	SHOW(open(".", O_RDONLY));
	SHOW(read(4, buf, 10));
	SHOW(open("f", O_PATH));
	SHOW(read(5, buf, 1));
	SHOW(fcntl(5, F_GETFL) & O_PATH);
	SHOW(unlink("made"));
	SHOW(write(3, "still there", 11));
	SHOW(fstat(3, &st));
	say("nlink %ld size %ld\n", (long)st.st_nlink, (long)st.st_size);
	return 0;
}
