/* SPDX-License-Identifier: Apache-2.0 */
/* Permission bits: umask, chmod, access, what writing clears. */
#include "check.h"

static mode_t mode(const char *name)
{
	struct stat st = { 0 };

	lstat(name, &st);
	return st.st_mode;
}

int main(void)
{
	int fd;

	SHOW(umask(077));
	SHOW(umask(07777));
	SHOW(umask(022));
	close(creat("f", 0777));
	say("%o\n", mode("f"));
	SHOW(chmod("f", 07777));
	say("%o\n", mode("f"));
	SHOW(chmod("f", 0177777));
	say("%o\n", mode("f"));
	SHOW(chmod("missing", 0));
	SHOW(chown("f", -1, -1));
	SHOW(chown("f", getuid(), getgid()));
	say("%o\n", mode("f"));
	SHOW(chmod("f", 0));
	SHOW(access("f", X_OK));
	SHOW(access("f", F_OK));
	fd = SHOW(open("f", O_RDONLY | O_PATH));
	SHOW(fchmod(fd, 0600));
	close(fd);
	SHOW(chmod("f", 0600));
	fd = SHOW(open("f", O_RDWR));
	SHOW(fchmod(fd, 0444));
	SHOW(write(fd, "x", 1));
	say("%o\n", mode("f"));
	SHOW(fchown(fd, -1, -1));
	SHOW(fchownat(fd, "", -1, -1, AT_EMPTY_PATH));
	symlink("f", "l");
	SHOW(fchmodat(AT_FDCWD, "l", 0640, 0));
	say("%o %o\n", mode("f"), mode("l"));
	SHOW(lchown("l", -1, -1));
	mkdir("d", 0777);
	SHOW(chmod("d", 02755));
	close(creat("d/inherits", 0666));
	mkdir("d/sub", 0777);
	say("%o %o\n", mode("d/inherits"), mode("d/sub"));
	SHOW(chmod("d", 01777));
	say("%o\n", mode("d"));
	SHOW(mknod("node", S_IFREG | 0640, 0));
	SHOW(mknod("fifo", S_IFIFO | 0622, 0));
	say("%o %o\n", mode("node"), mode("fifo"));
	SHOW(mknod("dir", S_IFDIR | 0755, 0));
	SHOW(mknod("odd", 0170000, 0));
	return 0;
}
