/* SPDX-License-Identifier: Apache-2.0 */
/* abi-as: root */
/* Which times of a file and its directory an operation changes, done or refused. */
#include "check.h"
#include <sys/sendfile.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <utime.h>

static struct stat was[4];
static const char *const watched[4] = { "a/f", "a", "b", "a/g" };

static void tick(void)
{
	usleep(12000);
}

static void begin(void)
{
	struct timespec old[2] = { { 1000, 5 }, { 2000, 6 } };

	for (int i = 0; i < 4; i++) {
		utimensat(AT_FDCWD, watched[i], old, AT_SYMLINK_NOFOLLOW);
		memset(&was[i], 0, sizeof(was[i]));
		lstat(watched[i], &was[i]);
	}
	tick();
}

static int differs(struct timespec *a, struct timespec *b)
{
	return a->tv_sec != b->tv_sec || a->tv_nsec != b->tv_nsec;
}

static void end(const char *what, long result)
{
	int error = errno;
	struct stat st;

	say("%s: %s", what, result < 0 ? strerrorname_np(error) : "ok");
	for (int i = 0; i < 4; i++) {
		memset(&st, 0, sizeof(st));
		lstat(watched[i], &st);
		say(" %s=", watched[i]);
		if (was[i].st_ino != st.st_ino) {
			say(was[i].st_ino ? st.st_ino ? "other" : "gone" : "new");
			continue;
		}
		if (differs(&st.st_atim, &was[i].st_atim))
			say("a");
		if (differs(&st.st_mtim, &was[i].st_mtim))
			say("m");
		if (differs(&st.st_ctim, &was[i].st_ctim))
			say("c");
		if (!S_ISDIR(st.st_mode) && st.st_nlink)
			say("%d", (int)st.st_nlink);
	}
	say("\n");
}

#define DO(call)                        \
	do {                            \
		begin();                \
		end(#call, (call));     \
	} while (0)

static void fresh(mode_t type)
{
	unlink("a/f");
	unlink("a/g");
	unlink("b/f");
	unlink("b/g");
	rmdir("a/f");
	rmdir("a/g");
	rmdir("b/f");
	if (S_ISDIR(type))
		mkdir("a/f", 0755);
	else if (S_ISLNK(type))
		symlink("../b/target", "a/f");
	else
		mknod("a/f", type | 0644, makedev(1, 3));
}

static void names(mode_t type)
{
	say("type %o\n", type);
	fresh(type);
	DO(chmod("a/f", 0600));
	DO(chmod("a/f", 0600));
	DO(lchown("a/f", 5, 6));
	DO(lchown("a/f", 5, 6));
	DO(lchown("a/f", -1, 7));
	DO(lchown("a/f", -1, -1));
	DO(rename("a/f", "a/f"));
	DO(rename("a/f", "a/h"));
	DO(rename("a/h", "a/f"));
	DO(rename("a/f", "b/f"));
	DO(rename("b/f", "a/f"));
	if (!S_ISDIR(type)) {
		DO(link("a/f", "a/g"));
		DO(rename("a/f", "a/g"));
		DO(link("a/f", "b/f"));
		DO(link("a/f", "b/f"));
		DO(unlink("b/f"));
		DO(unlink("a/g"));
		close(creat("a/g", 0644));
		DO(rename("a/f", "a/g"));
		DO(rename("a/g", "a/f"));
		close(creat("a/g", 0644));
		DO(renameat2(AT_FDCWD, "a/f", AT_FDCWD, "a/g", RENAME_EXCHANGE));
		DO(rename("a/g", "b"));
		DO(rename("a/f", "b/missing/x"));
	} else {
		mkdir("a/g", 0755);
		DO(rename("a/f", "a/g"));
		DO(rename("a/g", "a/f"));
		close(creat("a/f/x", 0644));
		mkdir("a/g", 0755);
		DO(rename("a/g", "a/f"));
		DO(rmdir("a/f"));
		DO(unlink("a/f/x"));
		DO(rmdir("a/g"));
		DO(creat("a/f/y", 0644));
		DO(unlink("a/f/y"));
		DO(mkdir("a/f/y", 0644));
		DO(rmdir("a/f/y"));
	}
	DO(S_ISDIR(type) ? rmdir("a/f") : unlink("a/f"));
}

static void contents(void)
{
	char buffer[10000];
	struct iovec iov = { buffer, 10 };
	struct timespec both[2] = { { 5, 0 }, { 6, 0 } };
	struct timespec omit[2] = { { 0, UTIME_OMIT }, { 0, UTIME_OMIT } };
	struct timespec some[2] = { { 0, UTIME_OMIT }, { 0, UTIME_NOW } };
	struct timespec wrong[2] = { { 0, 1000000000 }, { 0, 0 } };
	void *map;
	off_t at = 0;
	int fd, other;

	say("contents\n");
	fresh(S_IFREG);
	unlink("a/f");
	DO(fd = open("a/f", O_RDWR | O_CREAT, 0644));
	DO(write(fd, buffer, 0));
	DO(write(fd, "hello", 5));
	DO(pwrite(fd, "hello", 5, 8192));
	DO(pread(fd, buffer, 5, 0));
	DO(pread(fd, buffer, 5, 0));
	DO(pread(fd, buffer, 5, 100000));
	DO(preadv(fd, &iov, 1, 0));
	DO(lseek(fd, 0, SEEK_SET));
	DO(ftruncate(fd, 8197));
	DO(ftruncate(fd, 100));
	DO(ftruncate(fd, 100));
	DO(truncate("a/f", 100));
	DO(truncate("a/f", 50));
	DO(truncate("a/f", 5000));
	DO(fallocate(fd, 0, 0, 6000));
	DO(fallocate(fd, 0, 0, 6000));
	DO(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 9000));
	DO(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
	DO(fsync(fd));
	DO(fchmod(fd, 0644));
	DO(fchown(fd, 1, 1));
	DO(futimens(fd, both));
	DO(futimens(fd, omit));
	DO(futimens(fd, some));
	DO(futimens(fd, wrong));
	DO(futimens(fd, NULL));
	DO(utime("a/f", NULL));
	DO(setxattr("a/f", "user.x", "v", 1, 0));
	DO(getxattr("a/f", "user.x", buffer, 5));
	DO(setxattr("a/f", "user.x", "v", 1, XATTR_CREATE));
	DO(removexattr("a/f", "user.x"));
	DO(removexattr("a/f", "user.x"));
	DO(open("a/f", O_RDONLY));
	DO(open("a/f", O_WRONLY | O_TRUNC));
	DO(open("a/f", O_WRONLY | O_TRUNC));
	DO(open("a/f", O_WRONLY | O_CREAT, 0644));
	DO(open("a/f", O_WRONLY | O_CREAT | O_EXCL, 0644));
	write(fd, buffer, 10000);
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	DO(*(volatile char *)map);
	munmap(map, 4096);
	other = open("a/g", O_RDWR | O_CREAT, 0644);
	DO(sendfile(other, fd, &at, 100));
	at = 0;
	DO(copy_file_range(fd, &at, other, NULL, 100, 0));
	DO(open("a", O_TMPFILE | O_RDWR, 0600));
	DO(chdir("."));
	symlink("f", "a/link");
	DO(readlink("a/link", buffer, 5));
	DO(access("a/link", R_OK));
	unlink("a/link");
	DO(close(fd));
}

static void directories(void)
{
	char buffer[4096];
	int fd = open("a", O_RDONLY | O_DIRECTORY);

	say("directories\n");
	fresh(S_IFREG);
	DO(syscall(SYS_getdents64, fd, buffer, sizeof(buffer)) > 0);
	DO(syscall(SYS_getdents64, fd, buffer, sizeof(buffer)));
	DO(mkdir("a/d", 0755));
	DO(mkdir("a/d", 0755));
	DO(mkdir("a/missing/d", 0755));
	DO(rmdir("a/d"));
	DO(rmdir("a/d"));
	DO(symlink("x", "a/s"));
	DO(symlink("x", "a/s"));
	DO(unlink("a/s"));
	DO(mkfifo("a/p", 0644));
	DO(unlink("a/p"));
	DO(mknod("a/n", S_IFCHR | 0644, makedev(1, 3)));
	DO(open("a/n", O_RDWR | O_TRUNC));
	DO(unlink("a/n"));
	DO(unlink("a"));
	DO(rmdir("a"));
	DO(rename("a", "c"));
	DO(rename("c", "a"));
	DO(rename("b", "a/b"));
	DO(rename("a/b", "b"));
	DO(chmod("a", 0700));
	DO(chmod("a", 0755));
}

int main(void)
{
	mkdir("a", 0755);
	mkdir("b", 0755);
	names(S_IFREG);
	names(S_IFIFO);
	names(S_IFCHR);
	names(S_IFSOCK);
	names(S_IFLNK);
	names(S_IFDIR);
	contents();
	directories();
	return 0;
}
