/* SPDX-License-Identifier: Apache-2.0 */
/* seccomp_unotify(2): a supervisor answers for the calls of another process. */
/* abi-cflags: -pthread */
#include "check.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>

static struct seccomp_notif req;
static struct seccomp_notif_resp resp;

static long seccomp(unsigned op, unsigned flags, void *args)
{
	return syscall(SYS_seccomp, op, flags, args);
}

static int listen_for(int nr, unsigned flags)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { 4, code };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return seccomp(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER | flags, &prog);
}

/* A child that runs `function` below a filter; our end of its listener. */
static pid_t supervise(int nr, unsigned flags, void (*function)(void), int *listener)
{
	int pair[2], fd;
	char byte = 0, space[CMSG_SPACE(sizeof(int))] = "";
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof(space),
	};
	struct cmsghdr *head = CMSG_FIRSTHDR(&msg);
	pid_t pid;

	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	pid = fork();
	if (pid == 0) {
		fd = listen_for(nr, flags);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(head), &fd, sizeof(int));
		sendmsg(pair[0], &msg, 0);
		close(pair[0]);
		close(pair[1]);
		close(fd);
		/* What it says comes after all that the supervisor says: see ended(). */
		fd = open("said", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0644);
		dup2(fd, 1);
		close(fd);
		function();
		_exit(0);
	}
	recvmsg(pair[1], &msg, 0);
	memcpy(listener, CMSG_DATA(head), sizeof(int));
	close(pair[0]);
	close(pair[1]);
	return pid;
}

static void ended(pid_t pid)
{
	int status, fd;
	char text[1000];
	long count;

	waitpid(pid, &status, 0);
	say("status %x\n", status);
	fd = open("said", O_RDONLY);
	while ((count = read(fd, text, sizeof(text))) > 0)
		write(1, text, count);
	close(fd);
	unlink("said");
}

static short events(int fd)
{
	struct pollfd poll_fd = { fd, POLLIN | POLLOUT, 0 };

	poll(&poll_fd, 1, 0);
	return poll_fd.revents;
}

static int receive(int fd)
{
	memset(&req, 0, sizeof(req));
	return ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &req);
}

static int answer(int fd, int error, long val, unsigned flags)
{
	resp = (struct seccomp_notif_resp){ req.id, val, error, flags };
	return ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &resp);
}

static void three_calls(void)
{
	SHOW(syscall(SYS_getpgid, 0x1234567800000007, 2, 3, 4, 5, 6));
	SHOW(syscall(SYS_getpgid, 0));
	SHOW(syscall(SYS_getpgid, 0) > 0);
}

static void basics(void)
{
	int fd;
	char name[64], path[64];
	pid_t pid = supervise(SYS_getpgid, 0, three_calls, &fd);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	name[readlink(path, name, 63)] = 0;
	say("%s flags %x cloexec %d\n", name, fcntl(fd, F_GETFL), fcntl(fd, F_GETFD));
	req.id = 1;
	SHOW(ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &req));
	SHOW(ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, NULL));
	SHOW(ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, NULL));
	SHOW(ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, NULL));
	SHOW(ioctl(fd, 0x1234, NULL));
	resp.id = req.id - 1;
	SHOW(ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &resp));
	SHOW(ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &resp.id));
	SHOW(receive(fd));
	IS(req.pid == (unsigned)pid);
	say("nr %d args %llx %llx %llx %llx %llx %llx flags %x\n", req.data.nr, req.data.args[0],
	    req.data.args[1], req.data.args[2], req.data.args[3], req.data.args[4], req.data.args[5],
	    req.flags);
	say("events %x\n", events(fd));
	SHOW(ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &req.id));
	SHOW(answer(fd, 0, 0, 2));
	SHOW(answer(fd, 1, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE));
	SHOW(answer(fd, 0, 1, SECCOMP_USER_NOTIF_FLAG_CONTINUE));
	SHOW(answer(fd, 0, 4711, 0));
	SHOW(receive(fd));
	SHOW(answer(fd, -EXDEV, 5, 0));
	SHOW(receive(fd));
	SHOW(answer(fd, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE));
	ended(pid);
	say("events %x\n", events(fd));
	SHOW(receive(fd));
	close(fd);
}

static void one_call(void)
{
	SHOW(syscall(SYS_getpgid, 0));
}

static void closed(void)
{
	int fd;
	pid_t pid = supervise(SYS_getpgid, 0, one_call, &fd);

	receive(fd);
	close(fd);
	ended(pid);
	pid = supervise(SYS_getpgid, 0, three_calls, &fd);
	close(fd);
	ended(pid);
}

static void killed(void)
{
	int fd;
	pid_t pid = supervise(SYS_getpgid, 0, one_call, &fd);

	receive(fd);
	kill(pid, SIGKILL);
	ended(pid);
	SHOW(ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &req.id));
	SHOW(answer(fd, 0, 1, 0));
	say("events %x\n", events(fd));
	close(fd);
}

static volatile int handled;
static void on_signal(int signo)
{
	handled = signo;
}

static void interrupted_call(void)
{
	struct sigaction sa = { .sa_handler = on_signal };

	sigaction(SIGUSR1, &sa, NULL);
	SHOW(syscall(SYS_getpgid, 0));
	say("handled %d\n", handled);
	sa.sa_flags = SA_RESTART;
	sigaction(SIGUSR1, &sa, NULL);
	SHOW(syscall(SYS_getpgid, 0));
}

static void interrupted(void)
{
	int fd;
	unsigned long long id;
	pid_t pid = supervise(SYS_getpgid, 0, interrupted_call, &fd);

	receive(fd);
	id = req.id;
	kill(pid, SIGUSR1);
	while (ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0)
		;
	SHOW(answer(fd, 0, 1, 0));
	receive(fd);
	id = req.id;
	kill(pid, SIGUSR1);
	SHOW(receive(fd));
	IS(req.id != id);
	SHOW(answer(fd, 0, 77, 0));
	ended(pid);
	close(fd);
}

static void killable(void)
{
	int fd;
	struct timespec gap = { 0, 20000000 };
	pid_t pid = supervise(SYS_getpgid, SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, interrupted_call, &fd);

	receive(fd);
	kill(pid, SIGUSR1);
	nanosleep(&gap, NULL);
	SHOW(ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &req.id));
	SHOW(answer(fd, 0, 55, 0));
	receive(fd);
	SHOW(answer(fd, 0, 56, 0));
	ended(pid);
	pid = supervise(SYS_getpgid, SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, one_call, &fd);
	receive(fd);
	kill(pid, SIGKILL);
	ended(pid);
}

static void use_files(void)
{
	char text[4] = "";
	int fd = syscall(SYS_getpgid, 1);

	say("got %d cloexec %d\n", fd, fcntl(fd, F_GETFD));
	read(fd, text, 3);
	say("<%s>\n", text);
	fd = syscall(SYS_getpgid, 2);
	say("got %d cloexec %d\n", fd, fcntl(fd, F_GETFD));
	SHOW(syscall(SYS_getpgid, 3));
	say("cloexec %d\n", fcntl(50, F_GETFD));
}

static void add_files(void)
{
	int fd, source;
	struct seccomp_notif_addfd add = { 0 };
	pid_t pid = supervise(SYS_getpgid, 0, use_files, &fd);

	put("data", "abc");
	source = open("data", O_RDONLY);
	receive(fd);
	add.id = req.id + 1;
	add.srcfd = source;
	SHOW(ioctl(fd, SECCOMP_IOCTL_NOTIF_ADDFD, &add));
	add.id = req.id;
	add.srcfd = 99;
	SHOW(ioctl(fd, SECCOMP_IOCTL_NOTIF_ADDFD, &add));
	add.srcfd = source;
	add.newfd = 5;
	SHOW(ioctl(fd, SECCOMP_IOCTL_NOTIF_ADDFD, &add));
	add.newfd_flags = O_CREAT;
	add.newfd = 0;
	SHOW(ioctl(fd, SECCOMP_IOCTL_NOTIF_ADDFD, &add));
	add.newfd_flags = 0;
	add.flags = 8;
	SHOW(ioctl(fd, SECCOMP_IOCTL_NOTIF_ADDFD, &add));
	SHOW(ioctl(fd, _IOC(_IOC_WRITE, '!', 3, 23), &add));
	SHOW(ioctl(fd, _IOC(_IOC_WRITE, '!', 3, 4096), &add));
	SHOW(ioctl(fd, SECCOMP_IOCTL_NOTIF_ADDFD, NULL));
	add.flags = SECCOMP_ADDFD_FLAG_SEND;
	say("got number: %d\n", ioctl(fd, SECCOMP_IOCTL_NOTIF_ADDFD, &add) >= 3);
	receive(fd);
	add = (struct seccomp_notif_addfd){ req.id, 0, source, 0, O_CLOEXEC };
	answer(fd, 0, ioctl(fd, SECCOMP_IOCTL_NOTIF_ADDFD, &add), 0);
	receive(fd);
	add = (struct seccomp_notif_addfd){ req.id, SECCOMP_ADDFD_FLAG_SETFD, source, 50, O_CLOEXEC };
	SHOW(ioctl(fd, SECCOMP_IOCTL_NOTIF_ADDFD, &add));
	add.newfd = 1 << 30;
	SHOW(ioctl(fd, SECCOMP_IOCTL_NOTIF_ADDFD, &add));
	SHOW(answer(fd, 0, 50, 0));
	ended(pid);
	close(fd);
	close(source);
}

static void second_listener(void)
{
	int fd = listen_for(SYS_getpgid, 0);

	IS(fd >= 3);
	SHOW(listen_for(SYS_getpgid, 0));
	SHOW(fcntl(fd + 1, F_GETFD));
	close(fd);
	IS(listen_for(SYS_getpgid, 0) == fd);
}

static void *calls(void *arg)
{
	*(long *)arg = syscall(SYS_getpgid, 0);
	return NULL;
}

static void same_process(void)
{
	pthread_t thread;
	long result = 0;
	int fd;

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	fd = listen_for(SYS_getpgid, SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH);
	pthread_create(&thread, NULL, calls, &result);
	SHOW(receive(fd));
	SHOW(answer(fd, 0, 33, 0));
	pthread_join(thread, NULL);
	say("%ld\n", result);
}

static void two_callers(void)
{
	int child = fork() == 0;

	long result = syscall(SYS_getpgid, child ? 2 : 1);

	if (!child)
		wait(NULL);
	say("%d: %ld\n", child, result);
}

static void several(void)
{
	int fd, i;
	unsigned long long ids[2];
	struct pollfd poll_fd;
	pid_t pid = supervise(SYS_getpgid, 0, two_callers, &fd);

	poll_fd = (struct pollfd){ fd, POLLIN, 0 };
	for (i = 0; i < 2; i++) {
		SHOW(poll(&poll_fd, 1, -1));
		receive(fd);
		ids[req.data.args[0] - 1] = req.id;
	}
	req.id = ids[1];
	SHOW(answer(fd, 0, 10, 0));
	req.id = ids[0];
	SHOW(answer(fd, 0, 11, 0));
	ended(pid);
	SHOW(poll(&poll_fd, 1, -1));
	say("%x\n", poll_fd.revents);
}

int main(void)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	in_child("basics", basics);
	in_child("closed", closed);
	in_child("killed", killed);
	in_child("interrupted", interrupted);
	in_child("killable", killable);
	in_child("files", add_files);
	in_child("second", second_listener);
	in_child("same process", same_process);
	in_child("several", several);
	return 0;
}
