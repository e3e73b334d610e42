// SPDX-License-Identifier: Apache-2.0
/* Calls whose strace text is compared with strace(1)'s; the first one marks the beginning. */
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static char buffer[8192];
static int number;

static void handler(int signo) { (void)signo; }

static void files(void)
{
	struct stat st;
	struct statx stx;
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_END, .l_len = 7 };
	struct timespec times[2] = { { 1, 2 }, { 0, UTIME_NOW } };
	int fd = open("strace-file", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);

	syscall(SYS_write, fd, "line\n\t\"quoted\"\\ \001\0331 and more and more", 41);
	syscall(SYS_pread64, fd, buffer, sizeof(buffer), 3L);
	syscall(SYS_lseek, fd, -2L, SEEK_END);
	syscall(SYS_read, fd, buffer, 100);
	syscall(SYS_fstat, fd, &st);
	syscall(SYS_stat, "/dev/null", &st);
	syscall(SYS_stat, "/nonexistent", &st);
	syscall(SYS_newfstatat, AT_FDCWD, "strace-file", &st, AT_SYMLINK_NOFOLLOW);
	syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_SIZE, &stx);
	syscall(SYS_fcntl, fd, F_SETLK, &lock);
	syscall(SYS_fcntl, fd, F_SETFD, 0);
	syscall(SYS_fcntl, fd, F_GETFD);
	syscall(SYS_fcntl, fd, F_SETFL, O_APPEND | O_NONBLOCK);
	syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 20);
	syscall(SYS_flock, fd, LOCK_EX | LOCK_NB);
	syscall(SYS_ioctl, fd, TCGETS, buffer);
	syscall(SYS_ioctl, fd, FIOCLEX);
	syscall(SYS_fallocate, fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 0L, 1L);
	syscall(SYS_utimensat, AT_FDCWD, "strace-file", 0, 0);
	syscall(SYS_access, "strace-file", R_OK | W_OK);
	syscall(SYS_chmod, "strace-file", 04755);
	syscall(SYS_chown, "strace-file", -1, -1);
	syscall(SYS_rename, "strace-file", "strace-other");
	syscall(SYS_unlinkat, AT_FDCWD, "strace-other", 0);
	syscall(SYS_mknodat, AT_FDCWD, "strace-fifo", S_IFIFO | 0600, 0);
	syscall(SYS_unlink, "strace-fifo");
	syscall(SYS_mkdir, "strace-dir", 0750);
	syscall(SYS_rmdir, "strace-dir");
	syscall(SYS_umask, 027);
	syscall(SYS_close, 99);
	(void)times;
}

static void waiting(void)
{
	int fds[2];
	struct iovec iov[2] = { { "abc", 3 }, { buffer, 40 } };
	struct pollfd poll_fd = { .events = POLLIN };
	struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.u64 = 1 };
	struct timespec none = { 0, 0 };
	fd_set set;

	memset(buffer, 'x', 64);
	syscall(SYS_pipe2, fds, O_CLOEXEC | O_NONBLOCK);
	syscall(SYS_read, fds[0], buffer, 10);
	poll_fd.fd = fds[0];
	syscall(SYS_poll, &poll_fd, 1, 0);
	syscall(SYS_writev, fds[1], iov, 2);
	syscall(SYS_poll, &poll_fd, 1, -1);
	FD_ZERO(&set);
	FD_SET(fds[0], &set);
	syscall(SYS_pselect6, fds[0] + 1, &set, 0, 0, &none, 0);
	int epoll = syscall(SYS_epoll_create1, EPOLL_CLOEXEC);
	syscall(SYS_epoll_ctl, epoll, EPOLL_CTL_ADD, fds[0], &event);
	syscall(SYS_epoll_wait, epoll, buffer + 256, 10, 0);
	syscall(SYS_readv, fds[0], iov + 1, 1);
	syscall(SYS_dup2, fds[0], 50);
	syscall(SYS_eventfd2, 3, O_CLOEXEC);
}

static void others(void)
{
	struct utsname name;
	struct timespec ts = { 0, 1000 };
	struct rlimit limit;
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART };
	struct itimerval timer = { { 0, 0 }, { 100, 5 } };
	sigset_t set;

	syscall(SYS_nanosleep, &ts, 0);
	syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, 0);
	syscall(SYS_prctl, PR_SET_NAME, "renamed");
	syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGTERM);
	syscall(SYS_prctl, PR_GET_DUMPABLE);
	syscall(SYS_mmap, 0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0L);
	syscall(SYS_madvise, 0, 0, MADV_DONTNEED);
	syscall(SYS_mprotect, 1L, 4096, PROT_NONE);
	syscall(SYS_futex, &number, FUTEX_WAKE_PRIVATE, 5);
	syscall(SYS_futex, &number, FUTEX_WAIT_PRIVATE, 1, 0);
	syscall(SYS_setitimer, ITIMER_REAL, &timer, 0);
	syscall(SYS_getpriority, PRIO_PROCESS, 0);
	syscall(SYS_sched_getscheduler, 0);
	syscall(SYS_getgroups, -1, 0);
	syscall(SYS_kill, 1 << 21, SIGRTMIN + 2);
	syscall(SYS_openat, -1, "relative", O_DIRECTORY | O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	syscall(SYS_write, 1, (void *)16, 5);
	syscall(SYS_read, 0, (void *)-16L, 1);
	getrlimit(RLIMIT_CORE, &limit);
	(void)name;
	sigaction(SIGUSR1, &action, 0);
	sigfillset(&set);
	sigprocmask(SIG_BLOCK, &set, 0);
	sigemptyset(&set);
	raise(SIGUSR1);
	sigprocmask(SIG_SETMASK, &set, 0);
}

int main(void)
{
	int status;

	if (access("/strace-begins", F_OK) == 0)
		return 1;
	files();
	waiting();
	others();
	pid_t pid = fork();
	if (pid == 0)
		raise(SIGKILL);
	wait4(pid, &status, 0, 0);
	exit(status == SIGKILL ? 3 : 4);
}
