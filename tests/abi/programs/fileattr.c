/* SPDX-License-Identifier: Apache-2.0 */
/* abi-as: root */
/* Immutable and append-only files and directories. */
#include "check.h"
#include <linux/fs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

static int set(const char *name, int flags)
{
	int fd = open(name, O_RDONLY | O_NONBLOCK), was = 0, result, error;

	ioctl(fd, FS_IOC_GETFLAGS, &was);
	flags |= was & ~(FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NODUMP_FL | FS_NOATIME_FL);
	result = ioctl(fd, FS_IOC_SETFLAGS, &flags);
	error = errno;
	close(fd);
	errno = error;
	return result;
}

static int get(const char *name)
{
	int fd = open(name, O_RDONLY | O_NONBLOCK), flags = 0;

	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
		flags = -1;
	close(fd);
	return flags < 0 ? flags :
	       flags & (FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NODUMP_FL | FS_NOATIME_FL);
}

static void on_file(void)
{
	struct stat st;
	int fd;

	SHOW(get("f"));
	SHOW(open("f", O_RDONLY) > 0);
	SHOW(open("f", O_WRONLY) > 0);
	SHOW(open("f", O_RDONLY | O_TRUNC) > 0);
	fd = open("f", O_WRONLY | O_APPEND);
	SHOW(fd > 0);
	if (fd > 0) {
		SHOW(write(fd, "x", 1));
		SHOW(ftruncate(fd, 0));
		SHOW(fcntl(fd, F_SETFL, 0));
		close(fd);
	}
	SHOW(truncate("f", 0));
	SHOW(chmod("f", 0600));
	SHOW(chown("f", 0, 0));
	SHOW(link("f", "g"));
	SHOW(rename("f", "g"));
	SHOW(rename("other", "f"));
	SHOW(unlink("f"));
	SHOW(utimensat(AT_FDCWD, "f", NULL, 0));
	SHOW(utimensat(AT_FDCWD, "f", (struct timespec[2]){ { 1, 1 }, { 1, 1 } }, 0));
	SHOW(setxattr("f", "user.a", "b", 1, 0));
	SHOW(removexattr("f", "user.a"));
	SHOW(access("f", W_OK));
	stat("f", &st);
	say("%lld\n", (long long)st.st_size);
}

static void on_directory(void)
{
	SHOW(get("d"));
	SHOW(open("d/new", O_CREAT | O_WRONLY, 0644) > 0);
	SHOW(mkdir("d/sub", 0755));
	SHOW(mknod("d/node", S_IFIFO | 0644, 0));
	SHOW(symlink("x", "d/link"));
	SHOW(link("other", "d/hard"));
	SHOW(rename("other", "d/other"));
	SHOW(rename("d/in", "d/out"));
	SHOW(unlink("d/in"));
	SHOW(rmdir("d/empty"));
	SHOW(open("d/in", O_WRONLY) > 0);
	SHOW(chmod("d", 0700));
	SHOW(rename("d", "e"));
	SHOW(rmdir("d"));
}

static void as_user(void)
{
	setgid(1000);
	setuid(1000);
	SHOW(set("f", 0));
	SHOW(set("mine", FS_NODUMP_FL));
	SHOW(get("mine"));
	SHOW(set("mine", FS_IMMUTABLE_FL));
	SHOW(set("mine", 0));
}

int main(void)
{
	static const int flags[] = { FS_IMMUTABLE_FL, FS_APPEND_FL, FS_NOATIME_FL | FS_NODUMP_FL };

	chmod(".", 0755);
	for (int i = 0; i < 3; i++) {
		say("flags %x\n", flags[i]);
		put("f", "text");
		put("other", "other");
		mkdir("d", 0755);
		mkdir("d/empty", 0755);
		put("d/in", "in");
		SHOW(set("f", flags[i]));
		on_file();
		SHOW(set("f", 0));
		SHOW(set("g", 0));
		put("other", "other");
		SHOW(set("d", flags[i]));
		on_directory();
		SHOW(set("d", 0));
		SHOW(set("e", 0));
		system("rm -rf f g d e other");
	}
	mkfifo("p", 0644);
	mknod("n", S_IFCHR | 0644, makedev(1, 3));
	SHOW(set("p", FS_NODUMP_FL));
	SHOW(set("n", FS_NODUMP_FL));
	put("f", "");
	put("mine", "");
	chown("mine", 1000, 1000);
	in_child("user", as_user);
	return 0;
}
