/* SPDX-License-Identifier: Apache-2.0 */
/* The order of checks: bad flags, numbers, descriptors and pointers at the same time. */
#include "check.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <sys/xattr.h>
#include <sys/timerfd.h>
#include <sys/signalfd.h>
#include <linux/openat2.h>
#include <sys/mount.h>

#define BAD ((void *)8)
static char longpath[5000];

static char buf[100];

static void show(const char *name, long result)
{
	say("%s = %ld %s\n", name, result, result == -1 ? strerrorname_np(errno) : "");
}

#define TRY(name, ...) show(name, syscall(__VA_ARGS__))

/* Each with: a bad path and bad flags; a path that's too long and bad flags; an empty path. */
/* With a path at a bad address, one that is too long, an empty one, and so on. */
#define PATHS(name, ...)                                                  \
	for (int i_ = 0; i_ < 7; i_++) {                                  \
		const char *p = paths[i_];                                \
		show(name, syscall(__VA_ARGS__));                         \
	}

static const char *paths[] = { BAD, longpath, "", "none", NULL, "f", "f/x" };

int main(void)
{
	memset(longpath, 'a', 4999);
	int rd, wr, dir, path, p[2];

	put("f", "text");
	rd = open("f", O_RDONLY); wr = open("f", O_WRONLY); dir = open(".", O_RDONLY); path = open("f", O_PATH); pipe(p);
	int bad = 99;
	/* paths and flags */
	PATHS("openat flags", SYS_openat, bad, p, O_CREAT | O_DIRECTORY | O_EXCL, 0);
	PATHS("openat acc3 tmpfile", SYS_openat, bad, p, O_TMPFILE, 0);
	PATHS("openat badfd", SYS_openat, bad, p, 0, 0);
	PATHS("openat filefd", SYS_openat, rd, p, 0, 0);
	{
		struct open_how how = { .flags = 1ull << 40 };
		PATHS("openat2 flags", SYS_openat2, bad, p, &how, sizeof how);
	}
	{
		struct open_how how = { .resolve = 1ull << 40 };
		PATHS("openat2 resolve", SYS_openat2, bad, p, &how, sizeof how);
	}
	{
		struct open_how how = { 0 };
		PATHS("openat2 size", SYS_openat2, bad, p, &how, 3);
	}
	{
		PATHS("openat2 badhow", SYS_openat2, bad, p, BAD, 24);
	}
	PATHS("unlinkat", SYS_unlinkat, bad, p, 0x1);
	PATHS("unlinkat fd", SYS_unlinkat, bad, p, 0);
	PATHS("mkdirat", SYS_mkdirat, bad, p, 0);
	PATHS("mknodat", SYS_mknodat, AT_FDCWD, p, 0050000 | S_IFDIR, 0);
	PATHS("mknodat dir", SYS_mknodat, AT_FDCWD, p, S_IFDIR, 0);
	PATHS("mknodat mode", SYS_mknodat, bad, p, 0170000, 0);
	PATHS("linkat", SYS_linkat, bad, p, bad, p, 0x1);
	PATHS("linkat fd", SYS_linkat, bad, p, dir, "g", 0);
	PATHS("linkat 2", SYS_linkat, dir, "f", bad, p, 0);
	PATHS("renameat2", SYS_renameat2, bad, p, bad, p, 0x80);
	PATHS("renameat2 b", SYS_renameat2, bad, p, bad, p, 3);
	PATHS("renameat2 fd", SYS_renameat2, bad, p, dir, p, 0);
	PATHS("renameat2 fd2", SYS_renameat2, dir, p, bad, p, 0);
	PATHS("symlinkat", SYS_symlinkat, p, bad, p);
	PATHS("readlinkat", SYS_readlinkat, bad, p, BAD, 0);
	PATHS("readlinkat neg", SYS_readlinkat, bad, p, BAD, -1);
	PATHS("readlinkat buf", SYS_readlinkat, AT_FDCWD, p, BAD, 10);
	PATHS("faccessat2", SYS_faccessat2, bad, p, 0x10, 0);
	PATHS("faccessat2 fl", SYS_faccessat2, bad, p, 0, 0x1);
	PATHS("faccessat", SYS_faccessat, bad, p, 0x10);
	PATHS("fchmodat", SYS_fchmodat, bad, p, -1);
	PATHS("fchmodat2", 452, bad, p, 0, 0x1);
	PATHS("fchownat", SYS_fchownat, bad, p, -1, -1, 0x1);
	PATHS("fchownat fd", SYS_fchownat, bad, p, -1, -1, 0);
	PATHS("newfstatat", SYS_newfstatat, bad, p, BAD, 0x1);
	PATHS("newfstatat fd", SYS_newfstatat, bad, p, BAD, 0);
	PATHS("newfstatat buf", SYS_newfstatat, AT_FDCWD, p, BAD, 0);
	PATHS("statx", SYS_statx, bad, p, 0x1, 0, BAD);
	PATHS("statx mask", SYS_statx, bad, p, 0, 0x80000000, BAD);
	PATHS("statx sync", SYS_statx, bad, p, 0x6000, 0, BAD);
	PATHS("statx buf", SYS_statx, AT_FDCWD, p, 0, 0, BAD);
	PATHS("utimensat", SYS_utimensat, bad, p, BAD, 0x1);
	PATHS("utimensat ts", SYS_utimensat, bad, p, BAD, 0);
	{
		struct timespec ts[2] = { { 0, -1 }, { 0, 0 } };
		PATHS("utimensat nsec", SYS_utimensat, bad, p, ts, 0);
		PATHS("utimensat nsec flags", SYS_utimensat, bad, p, ts, 1);
	}
	{ struct timespec ts[2] = { { 0, UTIME_OMIT }, { 0, UTIME_OMIT } }; PATHS("utimensat omit", SYS_utimensat, bad, p, ts, 0); PATHS("utimensat omit flags", SYS_utimensat, bad, p, ts, 1);}
	PATHS("futimesat", SYS_futimesat, bad, p, BAD);
	PATHS("utime", SYS_utime, p, BAD);
	PATHS("utimes", SYS_utimes, p, BAD);
	PATHS("chdir", SYS_chdir, p);
	PATHS("chroot", SYS_chroot, p);
	PATHS("truncate", SYS_truncate, p, -1L);
	PATHS("truncate 0", SYS_truncate, p, 0L);
	PATHS("statfs", SYS_statfs, p, BAD);
	PATHS("access", SYS_access, p, 0x10);
	PATHS("execve", SYS_execve, p, BAD, BAD);
	PATHS("execveat fd", SYS_execveat, bad, p, BAD, BAD, 0);
	PATHS("setxattr", SYS_setxattr, p, "user.a", BAD, 4, 0x100);
	PATHS("setxattr name", SYS_setxattr, p, BAD, BAD, 4, 0);
	PATHS("setxattr size", SYS_setxattr, p, "user.a", BAD, 1 << 20, 0);
	PATHS("setxattr noname", SYS_setxattr, p, "", BAD, 4, 0);
	PATHS("setxattr longname", SYS_setxattr, p, longpath, BAD, 4, 0);
	PATHS("getxattr", SYS_getxattr, p, BAD, BAD, 4);
	PATHS("getxattr noname", SYS_getxattr, p, "", BAD, 4);
	PATHS("removexattr", SYS_removexattr, p, BAD);
	PATHS("listxattr", SYS_listxattr, p, BAD, 4);
	PATHS("mount", SYS_mount, "x", p, "nosuch", 0, NULL);
	PATHS("umount2", SYS_umount2, p, 0x100);
	PATHS("umount2 0", SYS_umount2, p, 0);
	PATHS("memfd_create", SYS_memfd_create, p, 0x100);
	PATHS("memfd_create noflag", SYS_memfd_create, p == longpath ? longpath : p == NULL ? NULL : BAD, 0);
	PATHS("mq_open", SYS_mq_open, p, 0, 0, NULL);
	PATHS("mq_unlink", SYS_mq_unlink, p);
	/* descriptors and buffers */
	TRY("read wronly bad", SYS_read, wr, BAD, 10);
	TRY("read wronly kernel", SYS_read, wr, -4096L, 10);
	TRY("read bad", SYS_read, rd, BAD, 10);
	TRY("read zero bad", SYS_read, rd, BAD, 0);
	TRY("read kernel", SYS_read, rd, -4096L, 10);
	TRY("read huge", SYS_read, rd, buf, -1L);
	TRY("read dir", SYS_read, dir, BAD, 10);
	TRY("read path", SYS_read, path, BAD, 10);
	TRY("write rdonly bad", SYS_write, rd, BAD, 10);
	TRY("write rdonly kernel", SYS_write, rd, -4096L, 10);
	TRY("write bad", SYS_write, wr, BAD, 10);
	TRY("write kernel", SYS_write, wr, -4096L, 10);
	TRY("write pipe rd kernel", SYS_write, p[0], -4096L, 10);
	TRY("pread64 neg", SYS_pread64, wr, BAD, 10, -1L);
	TRY("pread64 neg kernel", SYS_pread64, rd, -4096L, 10, -1L);
	TRY("pread64 wr kernel", SYS_pread64, wr, -4096L, 10, 0L);
	TRY("pread64 pipe kernel", SYS_pread64, p[0], -4096L, 10, 0L);
	TRY("pread64 badfd kernel", SYS_pread64, bad, -4096L, 10, 0L);
	TRY("pwrite64 neg kernel", SYS_pwrite64, bad, -4096L, 10, -1L);
	TRY("pwrite64 pipe kernel", SYS_pwrite64, p[1], -4096L, 10, 0L);
	TRY("pwrite64 rd kernel", SYS_pwrite64, rd, -4096L, 10, 0L);
	TRY("readv badfd", SYS_readv, bad, BAD, 2);
	TRY("readv wronly", SYS_readv, wr, BAD, 2);
	TRY("readv many", SYS_readv, rd, BAD, 2000);
	TRY("readv wr many", SYS_readv, wr, BAD, 2000);
	TRY("readv bad", SYS_readv, rd, BAD, 2);
	TRY("readv 0", SYS_readv, rd, BAD, 0);
	TRY("readv wr 0", SYS_readv, wr, BAD, 0);
	TRY("writev rdonly", SYS_writev, rd, BAD, 2);
	TRY("preadv neg", SYS_preadv, bad, BAD, 2, -1L, 0);
	TRY("preadv pipe", SYS_preadv, p[0], BAD, 2, 0, 0);
	TRY("preadv wr", SYS_preadv, wr, BAD, 2, 0, 0);
	TRY("preadv2 flags", SYS_preadv2, rd, BAD, 2, 0, 0, 0x4000);
	TRY("preadv2 flags iov", SYS_preadv2, rd, &(struct iovec){ buf, 10 }, 1, 0, 0, 0x4000);
	TRY("pwritev2 flags wr", SYS_pwritev2, rd, BAD, 2, 0, 0, 0x4000);
	TRY("getdents64 file bad", SYS_getdents64, rd, BAD, 100);
	TRY("getdents64 bad", SYS_getdents64, dir, BAD, 1000);
	TRY("getdents64 small", SYS_getdents64, dir, BAD, 1);
	TRY("sendfile", SYS_sendfile, rd, wr, BAD, 10);
	TRY("sendfile badoff", SYS_sendfile, bad, bad, BAD, 10);
	TRY("copy_file_range", SYS_copy_file_range, bad, BAD, bad, BAD, 10, 1);
	TRY("copy_file_range off", SYS_copy_file_range, rd, BAD, wr, BAD, 10, 1);
	TRY("splice flags", SYS_splice, bad, BAD, bad, BAD, 10, 0x100);
	TRY("splice 0", SYS_splice, bad, BAD, bad, BAD, 0, 0);
	TRY("splice pipe off", SYS_splice, p[0], BAD, wr, BAD, 10, 0);
	TRY("splice file off", SYS_splice, rd, BAD, p[1], NULL, 10, 0);
	TRY("tee flags", SYS_tee, bad, bad, 10, 0x100);
	TRY("vmsplice flags", SYS_vmsplice, bad, BAD, 1, 0x100);
	TRY("vmsplice bad", SYS_vmsplice, rd, BAD, 1, 0);
	TRY("vmsplice many", SYS_vmsplice, p[1], BAD, 3000, 0);
	TRY("fallocate", SYS_fallocate, bad, 0x8000, -1L, 0L);
	TRY("sync_file_range", SYS_sync_file_range, bad, 0L, 0L, 0x100);
	TRY("fadvise64", SYS_fadvise64, bad, 0L, 0L, 99);
	TRY("fadvise64 pipe", SYS_fadvise64, p[0], 0L, 0L, 99);
	TRY("readahead", SYS_readahead, wr, 0L, 10L);
	TRY("ftruncate", SYS_ftruncate, bad, -1L);
	TRY("ftruncate rd", SYS_ftruncate, rd, -1L);
	TRY("lseek", SYS_lseek, bad, 0, 99);
	TRY("lseek pipe", SYS_lseek, p[0], 0, 99);
	TRY("flock", SYS_flock, bad, 99);
	TRY("fcntl", SYS_fcntl, bad, 999, 0);
	TRY("fcntl lk", SYS_fcntl, bad, F_SETLK, BAD);
	TRY("fcntl lk rd", SYS_fcntl, rd, F_SETLK, BAD);
	TRY("ioctl", SYS_ioctl, bad, 0x5401, BAD);
	TRY("dup3 same", SYS_dup3, bad, bad, 1);
	TRY("dup3 flags", SYS_dup3, bad, 5, 1);
	TRY("dup3 neg", SYS_dup3, bad, -1, 0);
	TRY("pipe2", SYS_pipe2, BAD, 1);
	TRY("pipe2 bad", SYS_pipe2, BAD, 0);
	TRY("eventfd2", SYS_eventfd2, 0, 1);
	TRY("epoll_create1", SYS_epoll_create1, 1);
	TRY("epoll_ctl", SYS_epoll_ctl, bad, 99, bad, BAD);
	TRY("epoll_ctl add", SYS_epoll_ctl, bad, 1, bad, BAD);
	TRY("epoll_ctl add rd", SYS_epoll_ctl, rd, 1, rd, NULL);
	TRY("epoll_wait", SYS_epoll_wait, bad, BAD, 0, 0);
	TRY("epoll_wait 1", SYS_epoll_wait, bad, BAD, 1, 0);
	TRY("epoll_wait kernel", SYS_epoll_wait, bad, -4096L, 1, 0);
	TRY("epoll_wait rd", SYS_epoll_wait, rd, BAD, 1, 0);
	TRY("epoll_pwait", SYS_epoll_pwait, bad, BAD, 0, 0, BAD, 4);
	TRY("epoll_pwait s", SYS_epoll_pwait, bad, BAD, 0, 0, BAD, 8);
	TRY("poll", SYS_poll, BAD, 1, 0);
	TRY("poll many", SYS_poll, BAD, 1 << 24, 0);
	TRY("ppoll", SYS_ppoll, BAD, 1, BAD, BAD, 4);
	TRY("ppoll t", SYS_ppoll, BAD, 1, NULL, BAD, 4);
	TRY("ppoll tv", SYS_ppoll, BAD, 1 << 24, &(struct timespec){ -1, 0 }, BAD, 4);
	TRY("select neg", SYS_select, -1, BAD, BAD, BAD, BAD);
	TRY("select neg notime", SYS_select, -1, BAD, BAD, BAD, NULL);
	TRY("select", SYS_select, 1, BAD, NULL, NULL, NULL);
	TRY("select tv", SYS_select, -1, BAD, NULL, NULL, &(struct timeval){ -1, 0 });
	TRY("pselect6", SYS_pselect6, -1, BAD, NULL, NULL, BAD, BAD);
	TRY("pselect6 sig", SYS_pselect6, -1, BAD, NULL, NULL, NULL, BAD);
	/* signals */
	TRY("rt_sigaction", SYS_rt_sigaction, 99, BAD, BAD, 4);
	TRY("rt_sigaction n", SYS_rt_sigaction, 99, BAD, BAD, 8);
	TRY("rt_sigaction kill", SYS_rt_sigaction, 9, BAD, NULL, 8);
	TRY("rt_sigaction kill old", SYS_rt_sigaction, 9, NULL, BAD, 8);
	TRY("rt_sigprocmask", SYS_rt_sigprocmask, 99, BAD, BAD, 4);
	TRY("rt_sigprocmask h", SYS_rt_sigprocmask, 99, BAD, BAD, 8);
	TRY("rt_sigprocmask hn", SYS_rt_sigprocmask, 99, NULL, BAD, 8);
	TRY("rt_sigprocmask hn2", SYS_rt_sigprocmask, 99, NULL, NULL, 8);
	TRY("rt_sigpending", SYS_rt_sigpending, BAD, 16);
	TRY("rt_sigsuspend", SYS_rt_sigsuspend, BAD, 4);
	TRY("rt_sigtimedwait", SYS_rt_sigtimedwait, BAD, BAD, BAD, 4);
	TRY("rt_sigtimedwait 8", SYS_rt_sigtimedwait, BAD, BAD, BAD, 8);
	{
		sigset_t none;
		sigemptyset(&none);
		TRY("rt_sigtimedwait t", SYS_rt_sigtimedwait, &none, BAD, BAD, 8);
		TRY("rt_sigtimedwait tv", SYS_rt_sigtimedwait, &none, BAD, &(struct timespec){ 0, -1 }, 8);
	}
	TRY("rt_sigqueueinfo", SYS_rt_sigqueueinfo, 99999, 99, BAD);
	{
		siginfo_t si = { 0 };
		si.si_code = -1;
		TRY("rt_sigqueueinfo pid", SYS_rt_sigqueueinfo, 9999999, 99, &si);
		TRY("rt_sigqueueinfo sig", SYS_rt_sigqueueinfo, getpid(), 99, &si);
		TRY("rt_tgsigqueueinfo", SYS_rt_tgsigqueueinfo, -1, 1, 99, BAD);
		TRY("rt_tgsigqueueinfo si", SYS_rt_tgsigqueueinfo, -1, 1, 99, &si);
	}
	TRY("kill", SYS_kill, 9999999, 99);
	TRY("kill self", SYS_kill, getpid(), 99);
	TRY("kill -1 99", SYS_kill, -9999999, 99);
	TRY("tgkill", SYS_tgkill, -1, 1, 99);
	TRY("tgkill s", SYS_tgkill, 9999999, 1, 99);
	TRY("signalfd4", SYS_signalfd4, bad, BAD, 4, 1);
	TRY("signalfd4 8", SYS_signalfd4, bad, BAD, 8, 1);
	{
		sigset_t none;
		sigemptyset(&none);
		TRY("signalfd4 set", SYS_signalfd4, bad, &none, 8, 1);
		TRY("signalfd4 fd", SYS_signalfd4, bad, &none, 8, 0);
		TRY("signalfd4 rd", SYS_signalfd4, rd, &none, 8, 0);
	}
	TRY("sigaltstack", SYS_sigaltstack, BAD, BAD);
	TRY("sigaltstack o", SYS_sigaltstack, NULL, BAD);
	/* time */
	TRY("clock_gettime", SYS_clock_gettime, 99, BAD);
	TRY("clock_gettime b", SYS_clock_gettime, 0, BAD);
	TRY("clock_settime", SYS_clock_settime, 99, BAD);
	TRY("clock_settime m", SYS_clock_settime, 1, BAD);
	TRY("clock_getres", SYS_clock_getres, 99, BAD);
	TRY("clock_nanosleep", SYS_clock_nanosleep, 99, 99, BAD, BAD);
	TRY("clock_nanosleep b", SYS_clock_nanosleep, 1, 99, BAD, BAD);
	TRY("clock_nanosleep n", SYS_clock_nanosleep, 1, 0, &(struct timespec){ -1, 0 }, BAD);
	TRY("clock_nanosleep raw", SYS_clock_nanosleep, 4, 0, &(struct timespec){ -1, 0 }, BAD);
	TRY("clock_nanosleep thr", SYS_clock_nanosleep, 3, 0, &(struct timespec){ 0, 0 }, BAD);
	TRY("clock_adjtime", SYS_clock_adjtime, 99, BAD);
	TRY("nanosleep", SYS_nanosleep, BAD, BAD);
	TRY("timer_create", SYS_timer_create, 99, BAD, BAD);
	TRY("timer_create b", SYS_timer_create, 0, BAD, BAD);
	TRY("timer_create c", SYS_timer_create, 0, NULL, BAD);
	{
		struct sigevent ev = { .sigev_notify = 77 }; timer_t id;
		TRY("timer_create n", SYS_timer_create, 99, &ev, &id);
		TRY("timer_create n0", SYS_timer_create, 0, &ev, &id);
		TRY("timer_create nb", SYS_timer_create, 0, &ev, BAD);
	}
	TRY("timer_settime", SYS_timer_settime, 99, 0, BAD, BAD);
	TRY("timer_settime null", SYS_timer_settime, 99, 0, NULL, BAD);
	TRY("timer_settime v", SYS_timer_settime, 99, 0, &(struct itimerspec){ .it_value = { -1, 0 } }, BAD);
	TRY("timer_gettime", SYS_timer_gettime, 99, BAD);
	TRY("timerfd_create", SYS_timerfd_create, 99, 0x100);
	TRY("timerfd_create c", SYS_timerfd_create, 99, 0);
	TRY("timerfd_settime", SYS_timerfd_settime, bad, 0x100, BAD, BAD);
	TRY("timerfd_settime f", SYS_timerfd_settime, bad, 0x100, &(struct itimerspec){ .it_value = { -1, 0 } }, BAD);
	TRY("timerfd_settime v", SYS_timerfd_settime, bad, 0, &(struct itimerspec){ .it_value = { -1, 0 } }, BAD);
	TRY("timerfd_gettime", SYS_timerfd_gettime, bad, BAD);
	TRY("timerfd_gettime rd", SYS_timerfd_gettime, rd, BAD);
	TRY("setitimer", SYS_setitimer, 99, BAD, BAD);
	TRY("setitimer v", SYS_setitimer, 99, &(struct itimerval){ .it_value = { -1, 0 } }, BAD);
	TRY("getitimer", SYS_getitimer, 99, BAD);
	TRY("gettimeofday", SYS_gettimeofday, BAD, BAD);
	TRY("settimeofday", SYS_settimeofday, BAD, BAD);
	TRY("times", SYS_times, BAD);
	/* processes */
	TRY("wait4", SYS_wait4, -1, BAD, 0x8000, BAD);
	TRY("wait4 none", SYS_wait4, -1, BAD, 0, BAD);
	TRY("waitid", SYS_waitid, 99, 0, BAD, 0x8000, BAD);
	TRY("waitid n", SYS_waitid, 99, 0, BAD, 4, BAD);
	TRY("waitid p", SYS_waitid, 3, 99, BAD, 4, BAD);
	TRY("waitid 0", SYS_waitid, 0, 0, BAD, 0, BAD);
	TRY("getrusage", SYS_getrusage, 99, BAD);
	TRY("getrusage b", SYS_getrusage, 0, BAD);
	TRY("getrlimit", SYS_getrlimit, 99, BAD);
	TRY("setrlimit", SYS_setrlimit, 99, BAD);
	TRY("setrlimit r", SYS_setrlimit, 99, &(struct rlimit){ 2, 1 });
	TRY("prlimit64", SYS_prlimit64, 9999999, 99, BAD, BAD);
	TRY("prlimit64 n", SYS_prlimit64, 9999999, 99, NULL, BAD);
	TRY("getgroups", SYS_getgroups, -1, BAD);
	TRY("setgroups", SYS_setgroups, 70000, BAD);
	TRY("setgroups b", SYS_setgroups, 7, BAD);
	TRY("sched_setaffinity", SYS_sched_setaffinity, 9999999, 8, BAD);
	TRY("sched_getaffinity", SYS_sched_getaffinity, 9999999, 1, BAD);
	TRY("sched_getaffinity 8", SYS_sched_getaffinity, 9999999, 8, BAD);
	TRY("sched_setscheduler", SYS_sched_setscheduler, -1, 99, BAD);
	TRY("sched_setscheduler b", SYS_sched_setscheduler, 9999999, 99, BAD);
	TRY("sched_setparam", SYS_sched_setparam, -1, BAD);
	TRY("sched_setparam 0", SYS_sched_setparam, 9999999, BAD);
	TRY("sched_getparam", SYS_sched_getparam, -1, BAD);
	TRY("sched_setattr", SYS_sched_setattr, -1, BAD, 1);
	TRY("sched_setattr 0", SYS_sched_setattr, 9999999, BAD, 0);
	TRY("sched_getattr", SYS_sched_getattr, 9999999, BAD, 10, 0);
	TRY("sched_rr", SYS_sched_rr_get_interval, 9999999, BAD);
	TRY("capget", SYS_capget, BAD, BAD);
	TRY("uname", SYS_uname, BAD);
	TRY("sysinfo", SYS_sysinfo, BAD);
	TRY("getcwd", SYS_getcwd, BAD, 1);
	TRY("getcwd b", SYS_getcwd, BAD, 4096);
	TRY("getrandom", SYS_getrandom, BAD, 10, 0x100);
	TRY("getrandom b", SYS_getrandom, BAD, 10, 0);
	TRY("getrandom both", SYS_getrandom, BAD, 10, 6);
	TRY("pidfd_open", SYS_pidfd_open, 9999999, 1);
	TRY("pidfd_open neg", SYS_pidfd_open, -1, 0);
	TRY("pidfd_send_signal", SYS_pidfd_send_signal, bad, 99, BAD, 0x100);
	TRY("pidfd_send_signal b", SYS_pidfd_send_signal, bad, 99, BAD, 0);
	TRY("pidfd_send_signal rd", SYS_pidfd_send_signal, rd, 99, BAD, 0);
	TRY("pidfd_getfd", SYS_pidfd_getfd, bad, bad, 1);
	TRY("kcmp", SYS_kcmp, 9999999, 9999999, 99, 0, 0);
	TRY("futex", SYS_futex, BAD, 99, 0, BAD, BAD, 0);
	TRY("futex wait", SYS_futex, BAD, 0, 0, BAD, BAD, 0);
	TRY("futex unaligned", SYS_futex, (void *)9, 0, 0, NULL, BAD, 0);
	TRY("futex unaligned tv", SYS_futex, (void *)9, 0, 0, &(struct timespec){ -1, 0 }, BAD, 0);
	TRY("futex op rt", SYS_futex, (void *)9, 256 | 1, 0, NULL, BAD, 0);
	TRY("set_robust_list", SYS_set_robust_list, BAD, 1);
	TRY("get_robust_list", SYS_get_robust_list, 9999999, BAD, BAD);
	TRY("get_robust_list 0", SYS_get_robust_list, 0, BAD, BAD);
	TRY("prctl name", SYS_prctl, 15, BAD);
	TRY("sethostname", SYS_sethostname, BAD, -1);
	TRY("sethostname b", SYS_sethostname, BAD, 5);
	/* memory */
	TRY("mmap", SYS_mmap, 1, 0, 7, 0, bad, 1);
	TRY("mmap fd", SYS_mmap, 0, 4096, 7, 2, bad, 0);
	TRY("mmap fd off", SYS_mmap, 0, 4096, 7, 2, bad, 1);
	TRY("mmap len0", SYS_mmap, 0, 0, 7, 2, bad, 0);
	TRY("mmap type", SYS_mmap, 0, 4096, 7, 0, rd, 0);
	TRY("mmap wr", SYS_mmap, 0, 4096, 1, 2, wr, 0);
	TRY("munmap", SYS_munmap, 1, 0);
	TRY("mprotect", SYS_mprotect, 1, 10, 0x1000);
	TRY("mremap", SYS_mremap, 1, 0, 0, 0x100, 0);
	TRY("msync", SYS_msync, 1, 10, 0x100);
	TRY("madvise", SYS_madvise, 1, 10, 999);
	TRY("mincore", SYS_mincore, 1, 10, BAD);
	TRY("mincore a", SYS_mincore, 0x10000, 4096, BAD);
	TRY("mlock2", SYS_mlock2, 1, 10, 0x100);
	TRY("process_vm_readv", SYS_process_vm_readv, 9999999, BAD, 1, BAD, 1, 1);
	TRY("process_vm_readv b", SYS_process_vm_readv, 9999999, BAD, 1, BAD, 1, 0);
	/* sockets */
	TRY("socket", SYS_socket, 99, 99, 99);
	TRY("socket t", SYS_socket, 1, 99, 99);
	TRY("socketpair", SYS_socketpair, 1, 1, 0, BAD);
	TRY("socketpair f", SYS_socketpair, 99, 1 | 0x10000, 0, BAD);
	TRY("bind", SYS_bind, bad, BAD, 10);
	TRY("bind rd", SYS_bind, rd, BAD, 1000);
	TRY("sendto", SYS_sendto, bad, BAD, 10, 0, BAD, 10);
	TRY("sendto k", SYS_sendto, bad, -4096L, 10, 0, BAD, 10);
	TRY("sendmsg", SYS_sendmsg, rd, BAD, 0);
	TRY("recvmmsg", SYS_recvmmsg, bad, BAD, 1, 0, BAD);
	TRY("getsockopt", SYS_getsockopt, rd, 1, 1, BAD, BAD);
	TRY("setsockopt", SYS_setsockopt, rd, 1, 1, BAD, -1);
	TRY("accept4", SYS_accept4, rd, BAD, BAD, 1);
	TRY("accept4 b", SYS_accept4, bad, BAD, BAD, 1);
	TRY("shutdown", SYS_shutdown, rd, 99);
	TRY("getsockname", SYS_getsockname, rd, BAD, BAD);
	{ int sv[2]; socketpair(1, 1, 0, sv);
	TRY("s sendmsg", SYS_sendmsg, sv[0], BAD, 0);
	TRY("s getsockopt", SYS_getsockopt, sv[0], 1, 1, BAD, BAD);
	TRY("s setsockopt", SYS_setsockopt, sv[0], 1, 1, BAD, -1);
	TRY("s setsockopt 4", SYS_setsockopt, sv[0], 1, 2, BAD, 4);
	TRY("s setsockopt lvl", SYS_setsockopt, sv[0], 99, 2, BAD, 4);
	TRY("s bind", SYS_bind, sv[0], BAD, 1000);
	TRY("s bind n", SYS_bind, sv[0], BAD, -1);
	TRY("s accept4", SYS_accept4, sv[0], BAD, BAD, 1);
	TRY("s accept4 0", SYS_accept4, sv[0], BAD, BAD, 0);
	TRY("s shutdown", SYS_shutdown, sv[0], 99);
	TRY("s recvfrom", SYS_recvfrom, sv[0], BAD, 10, 0x40, BAD, BAD);
	TRY("s recvfrom k", SYS_recvfrom, sv[0], -4096L, 10, 0x40, BAD, BAD);
	TRY("s sendto", SYS_sendto, sv[0], BAD, 10, 0x40, BAD, 2);
	TRY("s sendto a", SYS_sendto, sv[0], "x", 1, 0x40, BAD, 2000);
	TRY("s listen", SYS_listen, sv[0], -1);
	}
	unlink("f");
	return 0;
}
