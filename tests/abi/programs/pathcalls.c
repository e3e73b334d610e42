/* SPDX-License-Identifier: Apache-2.0 */
/* abi-as: root */
/* abi-timeout: 90 */
/* Every call that takes a path, with every kind of path that may go wrong. */
#include "check.h"
#include <sys/statfs.h>
#include <sys/xattr.h>
#include <sys/sysmacros.h>
#include <utime.h>

static char name255[256], name256[257], path4095[4096], path4096[4098];

static const char *const paths[] = {
	"file", "dir", "full", "fifo", "dev", "link", "dirlink", "dangling", "loop", "loop/x",
	"missing", "missing/x", "file/x", "file/", "file/.", "file/..", "dir/", "dir/.", "dir/..",
	"dir//x", "dir/x/", "dir/x/.", "full/", "full/.", "full/..", "link/", "link/x", "dirlink/",
	"dirlink/.", "dirlink/..", "dirlink/x", "dirlink/x/", "dangling/", "dangling/x", "missing/",
	"missing/.", "missing/..", "", ".", "..", "./", "../", "fifo/", "fifo/x", "dev/x",
	"noexec", "noexec/", "noexec/x", "noexec/x/y", "nowrite/x", "nowrite/there", "nowrite/",
	"noread/there", "noread/x", "selfloop/../x", "two", "two/", "two/x",
	name255, name256, path4095, path4096,
	"dir/deep/../../file", "dir/deep/./../x", "nofile/../file",
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int answer(long result)
{
	if (result < 0)
		printf(" %s", strerrorname_np(errno));
	else
		printf(" ok");
	return result >= 0;
}

static void opened(int fd)
{
	answer(fd);
	if (fd >= 0)
		close(fd);
}

/* Put everything back as it was, as root. */
static void prepare(void)
{
	uid_t uid = geteuid();
	const char *remove[] = { "missing", "dir/x", "dirtarget", "dirtarget/x", name255, "target",
				 "link", "dangling", "file", "nowrite/x", "noread/x", "other", "x",
				 "fifo", "dev", "dirlink", "two", "noexec/x" };

	seteuid(0);
	for (size_t i = 0; i < COUNT(remove); i++)
		if (unlink(remove[i]) < 0)
			rmdir(remove[i]);
	rmdir("empty");
	unlink("empty");
	unlink("full");
	unlink("dir");
	unlink("noexec");
	mkdir("dir", 0777);
	mkdir("dir/deep", 0777);
	mkdir("full", 0777);
	close(open("full/there", O_CREAT | O_WRONLY, 0666));
	mkdir("empty", 0777);
	mkdir("noexec", 0777);
	mkdir("nowrite", 0777);
	mkdir("noread", 0777);
	close(open("nowrite/there", O_CREAT | O_WRONLY, 0666));
	close(open("noread/there", O_CREAT | O_WRONLY, 0666));
	close(open("file", O_CREAT | O_WRONLY | O_TRUNC, 0666));
	close(open("other", O_CREAT | O_WRONLY | O_TRUNC, 0666));
	mkfifo("fifo", 0666);
	mknod("dev", S_IFCHR | 0666, makedev(1, 3));
	symlink("file", "link");
	symlink("dir", "dirlink");
	symlink("missing", "dangling");
	symlink("loop", "loop");
	symlink(".", "selfloop");
	symlink("dirlink", "two");
	chmod("file", 0666);
	chmod("dir", 0777);
	chmod("full", 0777);
	chmod("noexec", 0666);
	chmod("nowrite", 0555);
	chmod("noread", 0333);
	seteuid(uid);
}

static void one(const char *path)
{
	char buffer[128];
	struct stat st;
	struct statfs fs;
	struct timespec times[2] = { { 1, 0 }, { 2, 0 } };

	answer(stat(path, &st));
	answer(lstat(path, &st));
	answer(access(path, F_OK));
	answer(access(path, W_OK));
	answer(statfs(path, &fs));
	answer(readlink(path, buffer, sizeof(buffer)));
	answer(getxattr(path, "user.x", buffer, sizeof(buffer)));
	answer(lgetxattr(path, "trusted.x", buffer, sizeof(buffer)));
	answer(setxattr(path, "bogus", "x", 1, 0));
	answer(listxattr(path, buffer, 0));
	answer(removexattr(path, "user.x"));
	printf(" |");
	opened(open(path, O_RDONLY | O_NONBLOCK));
	opened(open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW));
	opened(open(path, O_RDONLY | O_DIRECTORY));
	opened(open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
	opened(open(path, O_RDWR | O_NONBLOCK));
	opened(open(path, O_WRONLY | O_NONBLOCK | O_TRUNC));
	opened(open(path, O_PATH | O_NOFOLLOW));
	opened(open(path, O_PATH));
	prepare();
	opened(open(path, O_CREAT | O_RDWR | O_NONBLOCK, 0644));
	prepare();
	opened(open(path, O_CREAT | O_RDWR | O_NONBLOCK | O_NOFOLLOW, 0644));
	prepare();
	opened(open(path, O_CREAT | O_EXCL | O_RDWR, 0644));
	prepare();
	opened(open(path, O_TMPFILE | O_RDWR, 0644));
	opened(open(path, O_CREAT | O_TRUNC | O_NONBLOCK, 0644));
	prepare();
	printf(" |");
	answer(mkdir(path, 0755));
	prepare();
	answer(mkfifo(path, 0644));
	prepare();
	answer(mknod(path, S_IFREG | 0644, 0));
	prepare();
	answer(mknod(path, S_IFCHR | 0644, makedev(1, 3)));
	prepare();
	answer(symlink("text", path));
	prepare();
	answer(link("other", path));
	prepare();
	if (geteuid() == 0) { /* fs.protected_hardlinks */
		answer(link(path, "target"));
		prepare();
		answer(linkat(AT_FDCWD, path, AT_FDCWD, "target", AT_SYMLINK_FOLLOW));
		prepare();
	}
	printf(" |");
	answer(unlink(path));
	prepare();
	answer(rmdir(path));
	prepare();
	answer(rename("other", path));
	prepare();
	answer(rename(path, "target"));
	if (access("target", F_OK) == 0 || readlink("target", buffer, 1) == 1)
		rename("target", path);
	prepare();
	answer(rename("empty", path));
	prepare();
	answer(renameat2(AT_FDCWD, "other", AT_FDCWD, path, RENAME_NOREPLACE));
	prepare();
	if (answer(renameat2(AT_FDCWD, "other", AT_FDCWD, path, RENAME_EXCHANGE)))
		renameat2(AT_FDCWD, "other", AT_FDCWD, path, RENAME_EXCHANGE);
	prepare();
	printf(" |");
	answer(chmod(path, 0777));
	answer(chown(path, -1, -1));
	answer(lchown(path, -1, -1));
	answer(fchmodat(AT_FDCWD, path, 0777, AT_SYMLINK_NOFOLLOW));
	answer(truncate(path, 0));
	answer(utimensat(AT_FDCWD, path, times, 0));
	answer(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW));
	answer(utimensat(AT_FDCWD, path, NULL, 0));
	answer(utime(path, NULL));
	prepare();
	if (geteuid() == 0) {
		int fd = open(".", O_RDONLY);

		answer(chdir(path));
		fchdir(fd);
		close(fd);
	} else {
		answer(chroot(path));
	}
	printf("\n");
}

static void all(void)
{
	for (size_t i = 0; i < COUNT(paths); i++) {
		prepare();
		printf("%.12s(%zu):", paths[i], strlen(paths[i]));
		one(paths[i]);
	}
	prepare();
	printf("fault:");
	one((char *)4096);
}

static void user(void)
{
	setgid(1000);
	seteuid(1000);
	all();
}

int main(void)
{
	umask(0);
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	memset(name255, 'n', 255);
	memset(name256, 'm', 256);
	for (int i = 0; i < 4095; i++)
		path4096[i] = path4095[i] = i & 1 ? '/' : '.';
	memcpy(path4095 + 4090, "/file", 5);
	memcpy(path4096 + 4090, "//file", 6);
	mkdir("work", 0777);
	chdir("work");
	prepare();
	all();
	in_child("user", user);
	return 0;
}
