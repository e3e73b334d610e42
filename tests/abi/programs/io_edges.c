/* SPDX-License-Identifier: Apache-2.0 */
/* The odd corners of reading, writing, seeking, copying and descriptors. */
#include "check.h"
#include <dirent.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/statvfs.h>
#include <sys/timerfd.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

static char buffer[70000];
static void *const bad = (void *)4096;

static int made(const char *name, int flags)
{
	int fd = open(name, flags | O_CREAT | O_TRUNC, 0644);

	write(fd, "0123456789", 10);
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static void vectors(void)
{
	struct iovec many[1025], some[3] = { { buffer, 3 }, { buffer + 10, 0 }, { buffer + 20, 4 } };
	struct iovec huge[2] = { { buffer, SIZE_MAX }, { buffer, 1 } };
	struct iovec faulty[2] = { { buffer, 5 }, { bad, 5 } };
	int fd = made("v", O_RDWR), reader = open("v", O_RDONLY), writer = open("v", O_WRONLY);
	int pipes[2];

	pipe(pipes);
	for (int i = 0; i < 1025; i++)
		many[i] = (struct iovec){ buffer + i, 1 };
	SHOW(readv(fd, some, 3));
	SHOW(lseek(fd, 0, SEEK_CUR));
	SHOW(readv(fd, some, 0));
	SHOW(readv(fd, many, 1024));
	SHOW(readv(fd, many, 1025));
	SHOW(readv(fd, huge, 2));
	SHOW(readv(fd, bad, 1));
	SHOW(lseek(fd, 0, SEEK_SET));
	SHOW(readv(fd, faulty, 2));
	SHOW(lseek(fd, 0, SEEK_CUR));
	SHOW(writev(fd, faulty, 2));
	SHOW(writev(fd, faulty + 1, 1));
	SHOW(writev(reader, some, 3));
	SHOW(readv(writer, some, 3));
	SHOW(preadv(fd, some, 3, -1));
	SHOW(preadv(fd, some, 3, 2));
	SHOW(pwritev(fd, some, 3, 20));
	SHOW(lseek(fd, 0, SEEK_END));
	SHOW(preadv(pipes[0], some, 3, 0));
	SHOW(pwritev(pipes[1], some, 3, 0));
	SHOW(preadv2(fd, some, 3, -1, 0));
	SHOW(preadv2(fd, some, 3, 0, 0x8000));
	SHOW(pwritev2(fd, some, 3, 0, RWF_APPEND));
	SHOW(lseek(fd, 0, SEEK_END));
	SHOW(pwritev2(fd, some, 3, -1, RWF_DSYNC));
	SHOW(preadv2(pipes[0], some, 3, -1, RWF_NOWAIT));
	SHOW(pread(fd, buffer, 5, -1));
	SHOW(pwrite(fd, buffer, 5, -1));
	SHOW(pread(pipes[0], buffer, 5, 0));
	SHOW(pwrite(pipes[1], buffer, 5, 0));
	SHOW(pread(fd, bad, 5, 0));
	SHOW(pread(fd, bad, 5, 1000));
	SHOW(pread(fd, bad, 0, 0));
	SHOW(syscall(SYS_read, fd, buffer, -1L));
	SHOW(write(fd, bad, 5));
	SHOW(write(-1, bad, 5));
	SHOW(read(1000, buffer, 0));
	SHOW(write(reader, "", 0));
	SHOW(read(writer, buffer, 0));
	SHOW(pwrite(fd, "x", 1, 0x7fffffffffffffff));
	SHOW(pread(fd, buffer, 1, 0x7fffffffffffffff));
}

static void seeking(void)
{
	int fd = made("s", O_RDWR), dir = open(".", O_RDONLY), event = eventfd(0, 0), pipes[2];

	pipe(pipes);
	SHOW(lseek(fd, -1, SEEK_SET));
	SHOW(lseek(fd, -11, SEEK_END));
	SHOW(lseek(fd, -10, SEEK_END));
	SHOW(lseek(fd, 5, SEEK_END));
	SHOW(lseek(fd, 0x7fffffffffffffff, SEEK_CUR));
	SHOW(lseek(fd, 0, 5));
	SHOW(lseek(fd, 0, -1));
	SHOW(lseek(fd, 0, SEEK_DATA));
	SHOW(lseek(fd, 0, SEEK_HOLE));
	SHOW(lseek(fd, 10, SEEK_HOLE));
	SHOW(lseek(fd, 10, SEEK_DATA));
	SHOW(lseek(fd, -1, SEEK_DATA));
	SHOW(ftruncate(fd, 1 << 20));
	SHOW(pwrite(fd, "x", 1, 512 * 1024));
	SHOW(lseek(fd, 4096, SEEK_DATA));
	SHOW(lseek(fd, 0, SEEK_HOLE));
	SHOW(lseek(fd, 512 * 1024, SEEK_HOLE));
	SHOW(lseek(fd, 600 * 1024, SEEK_DATA));
	SHOW(lseek(fd, 600 * 1024, SEEK_HOLE));
	SHOW(lseek(pipes[0], 0, SEEK_SET));
	SHOW(lseek(event, 0, SEEK_SET));
	SHOW(lseek(dir, 0, SEEK_SET));
	SHOW(lseek(dir, -1, SEEK_SET));
	SHOW(read(dir, buffer, 10));
	SHOW(pread(dir, buffer, 10, 0));
	SHOW(write(dir, buffer, 10));
	SHOW(ftruncate(dir, 0));
	SHOW(ftruncate(pipes[1], 0));
	SHOW(ftruncate(fd, -1));
	SHOW(ftruncate(open("s", O_RDONLY), 0));
	SHOW(fallocate(fd, 0, 0, 0));
	SHOW(fallocate(fd, 0, -1, 10));
	SHOW(fallocate(fd, 0, 0x7ffffffffffff000, 0x1000));
	SHOW(fallocate(pipes[1], 0, 0, 10));
	SHOW(fallocate(dir, 0, 0, 10));
	SHOW(fallocate(fd, 0x100, 0, 10));
	SHOW(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 10));
	SHOW(posix_fallocate(fd, 0, 2 << 20));
	SHOW(lseek(fd, 0, SEEK_END));
	SHOW(posix_fadvise(fd, 0, 0, 9));
	SHOW(posix_fadvise(pipes[0], 0, 0, POSIX_FADV_NORMAL));
	SHOW(posix_fadvise(fd, 0, -1, POSIX_FADV_NORMAL));
	SHOW(posix_fadvise(-1, 0, 0, POSIX_FADV_NORMAL));
	SHOW(readahead(fd, 0, 100));
	SHOW(readahead(pipes[0], 0, 100));
	SHOW(readahead(open("s", O_WRONLY), 0, 100));
	SHOW(fsync(pipes[0]));
	SHOW(fdatasync(dir));
	SHOW(fsync(dir));
	SHOW(fsync(event));
	SHOW(fsync(-1));
	SHOW(sync_file_range(fd, 0, 0, 7));
	SHOW(sync_file_range(fd, 0, 0, 8));
	SHOW(sync_file_range(fd, -1, 0, 1));
	SHOW(sync_file_range(pipes[0], 0, 0, 1));
	SHOW(syncfs(fd));
	SHOW(syncfs(-1));
}

static void appending(void)
{
	int fd = open("a", O_RDWR | O_CREAT | O_APPEND | O_TRUNC, 0644), other = open("a", O_RDWR);

	SHOW(write(fd, "abc", 3));
	SHOW(pwrite(fd, "def", 3, 0));
	SHOW(lseek(fd, 0, SEEK_CUR));
	SHOW(lseek(fd, 0, SEEK_SET));
	SHOW(read(fd, buffer, 100));
	say("%.6s\n", buffer);
	SHOW(fcntl(other, F_SETFL, O_APPEND));
	SHOW(write(other, "ghi", 3));
	SHOW(lseek(other, 0, SEEK_CUR));
	SHOW(fcntl(other, F_GETFL));
	SHOW(fcntl(fd, F_SETFL, O_RDONLY));
	SHOW(fcntl(fd, F_GETFL));
	SHOW(fcntl(fd, F_SETFL, -1));
	SHOW(fcntl(fd, F_GETFL));
	SHOW(fcntl(open("a", 3), F_GETFL));
	SHOW(fcntl(open("a", O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_DSYNC), F_GETFL));
	SHOW(fcntl(open("a", O_PATH | O_RDWR | O_APPEND), F_GETFL));
	SHOW(fcntl(open("a", O_RDWR | 0x40000000), F_GETFL));
	SHOW(read(open("a", 3), buffer, 1));
}

static void copies(void)
{
	int from = made("from", O_RDWR), to = made("to", O_RDWR), append, pipes[2], dir = open(".", 0);
	int rdonly = open("from", O_RDONLY), wronly = open("from", O_WRONLY);
	off_t at = 2, out = 4, minus = -1;

	append = open("app", O_CREAT | O_WRONLY | O_APPEND, 0644);
	pipe(pipes);
	SHOW(sendfile(to, from, NULL, 4));
	SHOW(lseek(from, 0, SEEK_CUR));
	SHOW(sendfile(to, from, &at, 100));
	SHOW(at);
	SHOW(sendfile(to, from, &at, 100));
	SHOW(sendfile(to, from, &minus, 100));
	SHOW(sendfile(to, wronly, NULL, 1));
	SHOW(sendfile(rdonly, from, NULL, 1));
	SHOW(sendfile(append, from, NULL, 1));
	SHOW(sendfile(pipes[1], from, NULL, 3));
	SHOW(sendfile(to, pipes[0], NULL, 3));
	SHOW(sendfile(to, pipes[0], &at, 3));
	SHOW(sendfile(to, dir, NULL, 3));
	SHOW(sendfile(dir, from, NULL, 3));
	SHOW(sendfile(-1, from, NULL, 3));
	SHOW(sendfile(to, -1, NULL, 3));
	SHOW(sendfile(to, from, bad, 3));
	at = 2;
	SHOW(copy_file_range(from, &at, to, &out, 5, 0));
	SHOW(at);
	SHOW(out);
	SHOW(copy_file_range(from, &at, to, &out, 5, 1));
	SHOW(copy_file_range(wronly, NULL, to, NULL, 5, 0));
	SHOW(copy_file_range(from, NULL, rdonly, NULL, 5, 0));
	SHOW(copy_file_range(from, NULL, append, NULL, 5, 0));
	SHOW(copy_file_range(from, NULL, dir, NULL, 5, 0));
	SHOW(copy_file_range(dir, NULL, to, NULL, 5, 0));
	SHOW(copy_file_range(from, NULL, pipes[1], NULL, 5, 0));
	SHOW(copy_file_range(from, &minus, to, NULL, 5, 0));
	at = 0, out = 3;
	SHOW(copy_file_range(from, &at, from, &out, 5, 0));
	at = 100;
	SHOW(copy_file_range(from, &at, to, &out, 5, 0));
	SHOW(copy_file_range(from, &at, to, &out, 0, 0));
	at = 0;
	SHOW(splice(from, NULL, to, NULL, 5, 0));
	SHOW(splice(from, &at, pipes[1], NULL, 5, 0));
	SHOW(splice(pipes[0], &at, to, NULL, 5, 0));
	SHOW(splice(pipes[0], NULL, to, &at, 5, 0));
	SHOW(splice(pipes[0], NULL, append, NULL, 5, 0));
	SHOW(splice(pipes[0], NULL, to, NULL, 5, SPLICE_F_NONBLOCK));
	SHOW(splice(pipes[0], NULL, pipes[1], NULL, 5, 0));
	SHOW(splice(from, &minus, pipes[1], NULL, 5, 0));
	SHOW(splice(dir, NULL, pipes[1], NULL, 5, 0));
	SHOW(splice(from, NULL, pipes[1], NULL, 5, 0x40));
	SHOW(tee(pipes[0], pipes[1], 5, 0));
	SHOW(tee(from, pipes[1], 5, 0));
}

static void numbers(void)
{
	int fd = made("n", O_RDWR), pipes[2];
	struct flock lock = { F_WRLCK, SEEK_SET, 0, 0, 0 };

	SHOW(dup(-1));
	SHOW(dup2(fd, -1));
	SHOW(dup2(fd, fd) == fd);
	SHOW(dup2(-1, -1));
	SHOW(dup2(1000, 1000));
	SHOW(dup3(fd, fd, 0));
	SHOW(dup3(fd, 900, 1));
	SHOW(dup3(fd, 900, O_CLOEXEC));
	SHOW(fcntl(900, F_GETFD));
	SHOW(dup2(fd, 900));
	SHOW(fcntl(900, F_GETFD));
	SHOW(fcntl(900, F_SETFD, -1));
	SHOW(fcntl(900, F_GETFD));
	SHOW(fcntl(fd, F_DUPFD, -1));
	SHOW(fcntl(fd, F_DUPFD, 1 << 20));
	SHOW(fcntl(fd, F_DUPFD, 901));
	SHOW(fcntl(fd, F_DUPFD_CLOEXEC, 901));
	SHOW(fcntl(fd, 9999));
	SHOW(fcntl(-1, F_GETFD));
	SHOW(fcntl(fd, F_GETOWN));
	SHOW(fcntl(fd, F_SETOWN, 99999999));
	SHOW(fcntl(fd, F_SETSIG, 65));
	SHOW(fcntl(fd, F_GETPIPE_SZ));
	SHOW(fcntl(fd, F_GET_SEALS));
	SHOW(fcntl(fd, F_SETLK, &lock));
	lock.l_type = 9;
	SHOW(fcntl(fd, F_SETLK, &lock));
	lock = (struct flock){ F_RDLCK, 7, 0, 0, 0 };
	SHOW(fcntl(fd, F_SETLK, &lock));
	lock = (struct flock){ F_RDLCK, SEEK_SET, -1, 0, 0 };
	SHOW(fcntl(fd, F_SETLK, &lock));
	lock = (struct flock){ F_RDLCK, SEEK_SET, 5, -3, 0 };
	SHOW(fcntl(fd, F_SETLK, &lock));
	SHOW(fcntl(fd, F_SETLK, bad));
	SHOW(flock(fd, 0));
	SHOW(flock(fd, LOCK_EX | LOCK_SH));
	SHOW(flock(-1, LOCK_EX));
	SHOW(close(-1));
	SHOW(close(fd));
	SHOW(close(fd));
	SHOW(close_range(5, 4, 0));
	SHOW(close_range(850, 2000, 8));
	SHOW(close_range(850, ~0U, CLOSE_RANGE_CLOEXEC));
	SHOW(fcntl(900, F_GETFD));
	SHOW(close_range(850, ~0U, 0));
	SHOW(fcntl(900, F_GETFD));
	SHOW(pipe2(pipes, 0x40));
	SHOW(pipe2(pipes, O_NONBLOCK | O_CLOEXEC | O_DIRECT));
	SHOW(fcntl(pipes[0], F_GETFL));
	SHOW(pipe(bad));
	SHOW(fcntl(pipes[0], F_SETPIPE_SZ, 5000));
	SHOW(fcntl(pipes[0], F_SETPIPE_SZ, 0));
	SHOW(fcntl(pipes[0], F_SETPIPE_SZ, -1));
	SHOW(read(pipes[0], buffer, 1));
	SHOW(write(pipes[1], "abc", 3));
	SHOW(write(pipes[1], "def", 3));
	SHOW(read(pipes[0], buffer, 2));
	SHOW(read(pipes[0], buffer, 10));
}

static void waiting(void)
{
	struct pollfd polls[3] = { { 0, 0, 0 }, { -1, POLLIN, 7 }, { 1000, POLLIN, 0 } };
	struct timeval tv = { 0, 0 }, negative = { -1, 0 }, wrong = { 0, 1000000 };
	struct timespec ts = { 0, 0 }, badts = { 0, 1000000000 };
	struct itimerspec timer = { { 0, 0 }, { 0, 1000 } };
	uint64_t value = 5;
	fd_set set;
	int fd, file = made("w", O_RDWR);

	SHOW(poll(polls, 3, 0));
	say("%x %x %x\n", polls[0].revents, polls[1].revents, polls[2].revents);
	SHOW(poll(bad, 1, 0));
	SHOW(syscall(SYS_poll, polls, 1 << 30, 0));
	SHOW(poll(NULL, 0, 0));
	polls[0] = (struct pollfd){ file, 0xff, 0 };
	SHOW(poll(polls, 1, 0));
	say("%x\n", polls[0].revents);
	SHOW(ppoll(polls, 1, &badts, NULL));
	SHOW(ppoll(polls, 1, &ts, NULL));
	FD_ZERO(&set);
	SHOW(select(0, NULL, NULL, NULL, &tv));
	SHOW(select(-1, NULL, NULL, NULL, &tv));
	SHOW(select(1, NULL, NULL, NULL, &negative));
	SHOW(select(1, NULL, NULL, NULL, &wrong));
	SHOW(select(1, bad, NULL, NULL, &tv));
	FD_SET(1000, &set);
	SHOW(select(1001, &set, NULL, NULL, &tv));
	SHOW(pselect(0, NULL, NULL, NULL, &badts, NULL));
	FD_ZERO(&set);
	FD_SET(file, &set);
	SHOW(select(file + 1, &set, NULL, NULL, &tv));
	fd = SHOW(eventfd(0, EFD_NONBLOCK)) ;
	SHOW(eventfd(0, 0x100));
	SHOW(read(fd, &value, 8));
	SHOW(read(fd, &value, 7));
	SHOW(write(fd, &value, 7));
	SHOW(write(fd, &value, 8));
	value = ~0ULL;
	SHOW(write(fd, &value, 8));
	value = ~0ULL - 1;
	SHOW(write(fd, &value, 8));
	SHOW(read(fd, buffer, 100));
	memcpy(&value, buffer, 8);
	say("%llu\n", (unsigned long long)value);
	close(fd);
	fd = SHOW(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
	SHOW(timerfd_create(99, 0));
	SHOW(timerfd_create(CLOCK_MONOTONIC, 1));
	SHOW(read(fd, &value, 8));
	SHOW(read(fd, &value, 4));
	SHOW(write(fd, &value, 8));
	SHOW(timerfd_settime(fd, 0, &timer, NULL));
	SHOW(timerfd_settime(fd, 99, &timer, NULL));
	SHOW(timerfd_settime(file, 0, &timer, NULL));
	SHOW(timerfd_settime(fd, 0, bad, NULL));
	timer.it_value.tv_nsec = 1000000000;
	SHOW(timerfd_settime(fd, 0, &timer, NULL));
	SHOW(timerfd_gettime(fd, bad));
	usleep(2000);
	SHOW(read(fd, &value, 8));
	close(fd);
	fd = SHOW(signalfd(-1, &(sigset_t){ { 1 << (SIGUSR1 - 1) } }, SFD_NONBLOCK));
	SHOW(signalfd(-1, &(sigset_t){ { 0 } }, 0x100));
	SHOW(signalfd(file, &(sigset_t){ { 0 } }, 0));
	SHOW(read(fd, buffer, 128));
	SHOW(read(fd, buffer, 127));
	SHOW(write(fd, buffer, 128));
}

static void attributes(void)
{
	struct statvfs vfs;
	struct statx stx;
	char name[300] = "user.";
	int fd = made("x", O_RDWR), path = open("x", O_PATH);

	memset(name + 5, 'a', 250);
	SHOW(setxattr("x", name, "v", 1, 0));
	name[255] = 'a';
	SHOW(setxattr("x", name, "v", 1, 0));
	SHOW(setxattr("x", "", "v", 1, 0));
	SHOW(setxattr("x", "user.", "v", 1, 0));
	SHOW(setxattr("x", "user.big", buffer, 65537, 0));
	SHOW(setxattr("x", "user.a", "v", 1, 9));
	SHOW(setxattr("x", "user.a", "v", 1, XATTR_REPLACE));
	SHOW(setxattr("x", "user.a", "v", 1, XATTR_CREATE));
	SHOW(setxattr("x", "user.a", "v", 1, XATTR_CREATE));
	SHOW(setxattr("x", "user.a", "value", 5, XATTR_REPLACE));
	SHOW(setxattr("x", "user.empty", NULL, 0, 0));
	SHOW(setxattr("x", "nonsense", "v", 1, 0));
	SHOW(setxattr("x", "system.foo", "v", 1, 0));
	SHOW(setxattr("x", bad, "v", 1, 0));
	SHOW(setxattr("x", "user.a", bad, 1, 0));
	SHOW(getxattr("x", "user.a", buffer, 0));
	SHOW(getxattr("x", "user.a", buffer, 4));
	SHOW(getxattr("x", "user.a", buffer, 5));
	SHOW(getxattr("x", "user.empty", buffer, 5));
	SHOW(getxattr("x", "user.none", buffer, 5));
	SHOW(getxattr("x", "bogus.none", buffer, 5));
	SHOW(fgetxattr(path, "user.a", buffer, 5));
	SHOW(listxattr("x", buffer, 3));
	SHOW(listxattr("x", NULL, 0) > 0);
	SHOW(removexattr("x", "user.none"));
	SHOW(fremovexattr(fd, "user.a"));
	SHOW(fremovexattr(fd, "user.a"));
	SHOW(fchmod(path, 0600));
	SHOW(fchown(path, -1, -1));
	SHOW(futimens(path, NULL));
	SHOW(fstatvfs(path, &vfs));
	SHOW(ftruncate(path, 0));
	SHOW(read(path, buffer, 1));
	SHOW(ioctl(path, FIONREAD, buffer));
	SHOW(fchdir(path));
	SHOW(fchdir(fd));
	SHOW(fsync(path));
	SHOW(dup(path) > 0);
	SHOW(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, path, 0) == MAP_FAILED);
	SHOW(statx(fd, "", AT_EMPTY_PATH, STATX_ALL, &stx));
	SHOW(statx(fd, "", 0, STATX_ALL, &stx));
	SHOW(statx(fd, "", AT_EMPTY_PATH, 0x80000000, &stx));
	SHOW(statx(fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC, 0, &stx));
	SHOW(fstatat(fd, "", (struct stat *)buffer, 0));
	SHOW(fstatat(fd, "", (struct stat *)buffer, AT_EMPTY_PATH));
	SHOW(fstatat(fd, "y", (struct stat *)buffer, 0));
	SHOW(fstatat(-1, "y", (struct stat *)buffer, 0));
	SHOW(fstatat(-1, "/", (struct stat *)buffer, 0));
	SHOW(fstatat(AT_FDCWD, "x", (struct stat *)buffer, 0x4000));
	SHOW(fchmodat(fd, "", 0600, AT_EMPTY_PATH));
	SHOW(fchownat(AT_FDCWD, "x", -1, -1, 0x4000));
	SHOW(faccessat(AT_FDCWD, "x", 8, 0));
	SHOW(faccessat(AT_FDCWD, "x", R_OK, 0x8000));
	SHOW(faccessat(fd, "", R_OK, AT_EMPTY_PATH));
	SHOW(unlinkat(AT_FDCWD, "x", 1));
	SHOW(linkat(AT_FDCWD, "x", AT_FDCWD, "y", 1));
	SHOW(linkat(fd, "", AT_FDCWD, "y", 0));
	SHOW(renameat2(AT_FDCWD, "x", AT_FDCWD, "y", 8));
	SHOW(renameat2(AT_FDCWD, "x", AT_FDCWD, "y", RENAME_NOREPLACE | RENAME_EXCHANGE));
	SHOW(readlink("x", buffer, 0));
	SHOW(readlinkat(fd, "", buffer, 10));
	SHOW(utimensat(AT_FDCWD, NULL, NULL, 0));
	SHOW(utimensat(fd, NULL, NULL, AT_SYMLINK_NOFOLLOW));
	SHOW(utimensat(AT_FDCWD, "x", bad, 0));
	SHOW(utimensat(AT_FDCWD, "x", NULL, 0x400));
	SHOW(syscall(SYS_getdents64, fd, buffer, 100));
	SHOW(syscall(SYS_getdents64, open(".", 0), buffer, 10));
	SHOW(syscall(SYS_getdents64, open(".", 0), bad, 1000));
	SHOW(getcwd(buffer, 1) == NULL);
	SHOW(syscall(SYS_ustat, 0, buffer));
}

int main(void)
{
	void (*const parts[])(void) = {
		vectors, seeking, appending, copies, numbers, waiting, attributes,
	};

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		say("-- %zu\n", i);
		in_child("part", parts[i]);
	}
	return 0;
}
