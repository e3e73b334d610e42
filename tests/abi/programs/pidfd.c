/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors of processes: open, poll, signal, wait, duplicate a file; CLONE_PIDFD. */
#include "check.h"
#include <linux/sched.h>
#include <pthread.h>

static int pidfd_open_(pid_t pid, unsigned flags) { return syscall(SYS_pidfd_open, pid, flags); }
static int pidfd_kill(int fd, int sig, siginfo_t *info, unsigned flags)
{
	return syscall(SYS_pidfd_send_signal, fd, sig, info, flags);
}

static short ready(int fd)
{
	struct pollfd p = {fd, POLLIN, 0};

	poll(&p, 1, 0);
	return p.revents;
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
	(void)context;
	say("signal %d code %d mine %d\n", sig, info->si_code, info->si_pid == getpid());
}

static volatile pid_t thread_tid;
static volatile int thread_end;

static void *thread(void *unused)
{
	(void)unused;
	thread_tid = gettid();
	while (!thread_end)
		usleep(1000);
	return NULL;
}

static void errors(void)
{
	siginfo_t info = {0};
	int null = open("/dev/null", O_RDONLY), self = pidfd_open_(getpid(), 0);

	SHOW(pidfd_open_(0, 0));
	SHOW(pidfd_open_(-1, 0));
	SHOW(pidfd_open_(getpid(), 1));
	SHOW(pidfd_open_(0x3ffffff, 0));
	SHOW(pidfd_kill(null, 0, NULL, 0));
	SHOW(pidfd_kill(-1, 0, NULL, 0));
	SHOW(pidfd_kill(self, 0, NULL, 0));
	SHOW(pidfd_kill(self, 100, NULL, 0));
	SHOW(pidfd_kill(self, 0, NULL, 77));
	SHOW(pidfd_kill(self, SIGUSR1, &info, 0));
	SHOW(pidfd_kill(self, 0, (void *)8, 0));
	SHOW(fcntl(self, F_GETFD));
	SHOW(fcntl(self, F_GETFL));
	SHOW(read(self, &info, 8));
	SHOW(write(self, &info, 8));
	SHOW(syscall(SYS_pidfd_getfd, self, null, 1));
	SHOW(syscall(SYS_pidfd_getfd, null, null, 0));
	SHOW(syscall(SYS_pidfd_getfd, self, 900, 0));
	SHOW(waitid(P_PIDFD, 900, &info, WEXITED));
	SHOW(waitid(P_PIDFD, null, &info, WEXITED));
	SHOW(waitid(P_PIDFD, self, &info, WEXITED));
	SHOW(waitid(P_PIDFD, -1, &info, WEXITED));
	close(null);
	close(self);
}

static void child(void)
{
	siginfo_t info = {0};
	pid_t pid = fork();
	int fd, busy;

	if (!pid) {
		pause();
		_exit(1);
	}
	fd = pidfd_open_(pid, 0);
	busy = pidfd_open_(pid, O_NONBLOCK);
	SHOW(ready(fd));
	SHOW(waitid(P_PIDFD, busy, &info, WEXITED));
	SHOW(waitid(P_PIDFD, busy, &info, WEXITED | WNOHANG));
	SHOW(pidfd_kill(fd, SIGKILL, NULL, 0));
	SHOW(waitid(P_PIDFD, fd, &info, WEXITED | WNOWAIT));
	IS(info.si_pid == pid && info.si_status == SIGKILL);
	SHOW(ready(fd));
	SHOW(pidfd_kill(fd, 0, NULL, 0));
	SHOW(syscall(SYS_pidfd_getfd, fd, 0, 0));
	SHOW(waitid(P_PIDFD, fd, &info, WEXITED));
	SHOW(ready(fd));
	SHOW(pidfd_kill(fd, 0, NULL, 0));
	SHOW(syscall(SYS_pidfd_getfd, fd, 0, 0));
	SHOW(waitid(P_PIDFD, fd, &info, WEXITED));
	close(fd);
	close(busy);
}

static void sleeper(void)
{
	struct pollfd p = {-1, POLLIN, 0};
	pid_t pid = fork();

	if (!pid) {
		usleep(20000);
		_exit(3);
	}
	p.fd = pidfd_open_(pid, 0);
	SHOW(poll(&p, 1, 5000));
	SHOW(p.revents);
	waitpid(pid, NULL, 0);
	close(p.fd);
}

static void from_clone(void)
{
	struct clone_args args = {0};
	siginfo_t info = {0};
	int fd = -1;
	pid_t pid;

	args.flags = CLONE_PIDFD;
	args.pidfd = (uintptr_t)&fd;
	args.exit_signal = SIGCHLD;
	pid = syscall(SYS_clone3, &args, sizeof args);
	if (!pid)
		_exit(7);
	IS(pid > 0 && fd >= 0);
	SHOW(fcntl(fd, F_GETFD));
	SHOW(waitid(P_PIDFD, fd, &info, WEXITED));
	IS(info.si_pid == pid && info.si_status == 7);
	close(fd);
	args.pidfd = 8;
	SHOW(syscall(SYS_clone3, &args, sizeof args));
	args.pidfd = args.parent_tid = (uintptr_t)&fd;
	args.flags = CLONE_PIDFD | CLONE_PARENT_SETTID;
	SHOW(syscall(SYS_clone3, &args, sizeof args));
	SHOW(syscall(SYS_clone, CLONE_PIDFD | CLONE_PARENT_SETTID | SIGCHLD, 0, &fd, 0, 0));
	SHOW(syscall(SYS_clone, CLONE_PIDFD | CLONE_DETACHED | SIGCHLD, 0, &fd, 0, 0));
	SHOW(wait(NULL));
}

static void chosen_number(void)
{
	struct clone_args args = {0};
	pid_t pid, tids[2] = {0, 0};

	args.exit_signal = SIGCHLD;
	args.set_tid = (uintptr_t)tids;
	SHOW(syscall(SYS_clone3, &args, sizeof args));
	args.set_tid_size = 33;
	SHOW(syscall(SYS_clone3, &args, sizeof args));
	args.set_tid_size = 1;
	SHOW(syscall(SYS_clone3, &args, sizeof args));
	tids[0] = -1;
	SHOW(syscall(SYS_clone3, &args, sizeof args));
	args.set_tid = 8;
	SHOW(syscall(SYS_clone3, &args, sizeof args));
	args.set_tid = 0;
	SHOW(syscall(SYS_clone3, &args, sizeof args));
	args.set_tid = (uintptr_t)tids;
	tids[0] = getpid();
	SHOW(syscall(SYS_clone3, &args, sizeof args));
	for (tids[0] = 31000; kill(tids[0], 0) == 0; tids[0]++)
		;
	pid = syscall(SYS_clone3, &args, sizeof args);
	if (!pid)
		_exit(getpid() == tids[0]);
	IS(pid == tids[0]);
	waitpid(pid, NULL, 0);
}

static void threads(void)
{
	pthread_t id;
	int fd;

	pthread_create(&id, NULL, thread, NULL);
	while (!thread_tid)
		usleep(1000);
	SHOW(pidfd_open_(thread_tid, 0));
	fd = pidfd_open_(thread_tid, O_EXCL);
	IS(fd >= 0);
	SHOW(ready(fd));
	SHOW(pidfd_kill(fd, 0, NULL, 0));
	thread_end = 1;
	pthread_join(id, NULL);
	struct pollfd p = {fd, POLLIN, 0};
	SHOW(poll(&p, 1, 5000));
	close(fd);
}

static void signals(void)
{
	struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
	siginfo_t info = {.si_signo = SIGUSR1, .si_code = SI_QUEUE};
	int self = pidfd_open_(getpid(), 0), proc = open("/proc/self", O_RDONLY | O_DIRECTORY);

	sigaction(SIGUSR1, &action, NULL);
	SHOW(pidfd_kill(self, SIGUSR1, NULL, 0));
	SHOW(pidfd_kill(self, SIGUSR1, NULL, 1));
	SHOW(pidfd_kill(self, SIGUSR1, &info, 0));
	SHOW(pidfd_kill(proc, SIGUSR1, NULL, 0));
	SHOW(pidfd_kill(-10000, SIGUSR1, NULL, 0));
	SHOW(pidfd_kill(-10001, SIGUSR1, NULL, 0));
	int pipe_ends[2], copy;
	pipe(pipe_ends);
	copy = syscall(SYS_pidfd_getfd, self, pipe_ends[1], 0);
	SHOW(write(copy, "x", 1));
	SHOW(fcntl(copy, F_GETFD));
}

int main(void)
{
	errors();
	child();
	sleeper();
	from_clone();
	chosen_number();
	threads();
	signals();
	return 0;
}
