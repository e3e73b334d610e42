/* SPDX-License-Identifier: Apache-2.0 */
/* Every blocking call interrupted: by a handler without and with SA_RESTART, by a signal that is
 * ignored, by a stop and a continuation. signal(7) says call by call what happens then.
 * abi-timeout: 90 */
#include "check.h"
#include <linux/futex.h>
#include <pty.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <termios.h>

struct shared {
	volatile int ready, handled, done, error, word, pi;
	volatile long result;
};

static struct shared *shared;
static int p[2], full[2], full2[2], pair[2], dgram[2], timed[2], timed2[2],
	listener, backlog, ev, evfull, tfd,
	sfd, ep, master, slave, lockfd, fdlock, ofdlock;
static pid_t sleeper;
static char buf[65536];
static const struct timespec hour = { 3600, 0 };
static struct timespec later;
static sigset_t none, usr2;
static struct sockaddr_un address = { AF_UNIX, "\0pygos-interrupts" };

struct waitv {
	uint64_t val, uaddr;
	uint32_t flags, reserved;
};

static void fill(int fd)
{
	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (write(fd, buf, 4096) > 0 || write(fd, buf, 1) > 0)
		;
	fcntl(fd, F_SETFL, 0);
}

static long call(const char *name)
{
	struct pollfd pfd = { p[0], POLLIN, 0 };
	struct iovec iov = { buf, 8 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct epoll_event event;
	struct timeval minute = { 60, 0 };
	struct flock lock = { .l_type = F_WRLCK };
	struct waitv waitv = { 0, (uintptr_t)&shared->word, 2, 0 };
	uint64_t most = ~1ull;
	fd_set set;
	int status;

#define CALL(text, expression)      \
	if (!strcmp(name, text))        \
		return (long)(expression)
	FD_ZERO(&set);
	FD_SET(p[0], &set);
	CALL("read pipe", read(p[0], buf, 8));
	CALL("readv pipe", readv(p[0], &iov, 1));
	CALL("write pipe", write(full[1], buf, 8));
	CALL("open fifo", open("fifo", O_RDONLY));
	CALL("splice", splice(p[0], NULL, full[1], NULL, 8, 0));
	CALL("tee", tee(p[0], full[1], 8, 0));
	CALL("vmsplice", vmsplice(full[1], &iov, 1, 0));
	CALL("read terminal", read(slave, buf, 8));
	CALL("read pty master", read(master, buf, 8));
	CALL("read socket", read(pair[0], buf, 8));
	CALL("recvmsg", recvmsg(pair[0], &msg, 0));
	CALL("recv datagram", recv(dgram[0], buf, 8, 0));
	CALL("recv with SO_RCVTIMEO", recv(timed2[0], buf, 8, 0));
	CALL("send with SO_SNDTIMEO", send(timed[1], buf, 8, 0));
	CALL("send", send(full2[1], buf, 8, 0));
	CALL("accept", accept(listener, NULL, NULL));
	CALL("connect", connect(backlog, (void *)&address, sizeof(address)));
	CALL("read eventfd", read(ev, buf, 8));
	CALL("write eventfd", write(evfull, &most, 8));
	CALL("read timerfd", read(tfd, buf, 8));
	CALL("read signalfd", read(sfd, buf, 128));
	CALL("poll", poll(&pfd, 1, -1));
	CALL("poll with a limit", poll(&pfd, 1, 60000));
	CALL("ppoll", ppoll(&pfd, 1, &hour, &none));
	CALL("select", select(p[0] + 1, &set, NULL, NULL, NULL));
	CALL("select with a limit", select(p[0] + 1, &set, NULL, NULL, &minute));
	CALL("pselect", pselect(p[0] + 1, &set, NULL, NULL, &hour, &none));
	CALL("epoll_wait", epoll_wait(ep, &event, 1, -1));
	CALL("epoll_pwait", epoll_pwait(ep, &event, 1, 60000, &none));
	CALL("epoll_pwait2", syscall(441, ep, &event, 1, &hour, NULL, 8));
	CALL("nanosleep", nanosleep(&hour, NULL));
	CALL("clock_nanosleep", clock_nanosleep(CLOCK_BOOTTIME, 0, &hour, NULL));
	CALL("clock_nanosleep absolute", clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &later, NULL));
	CALL("clock_nanosleep CPU time", clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, 0, &hour, NULL));
	CALL("pause", pause());
	CALL("sigsuspend", sigsuspend(&none));
	CALL("sigwaitinfo", syscall(SYS_rt_sigtimedwait, &usr2, NULL, NULL, 8));
	CALL("sigtimedwait", syscall(SYS_rt_sigtimedwait, &usr2, NULL, &hour, 8));
	CALL("wait4", wait4(-1, &status, 0, NULL));
	CALL("waitid", waitid(P_PID, sleeper, NULL, WEXITED));
	CALL("futex wait", syscall(SYS_futex, &shared->word, FUTEX_WAIT, 0, NULL));
	CALL("futex wait with a limit", syscall(SYS_futex, &shared->word, FUTEX_WAIT, 0, &hour));
	CALL("futex wait bitset",
	     syscall(SYS_futex, &shared->word, FUTEX_WAIT_BITSET, 0, &later, NULL, 1));
	CALL("futex lock pi", syscall(SYS_futex, &shared->pi, FUTEX_LOCK_PI, 0, NULL));
	CALL("futex_waitv", syscall(449, &waitv, 1, 0, NULL, 0));
	CALL("flock", flock(lockfd, LOCK_EX));
	CALL("F_SETLKW", fcntl(fdlock, F_SETLKW, &lock));
	CALL("F_OFD_SETLKW", fcntl(ofdlock, F_OFD_SETLKW, &lock));
	return -2;
}

static const char *names[] = {
	"read pipe", "readv pipe", "write pipe", "open fifo", "splice", "tee", "vmsplice",
	"read terminal", "read pty master", "read socket", "recvmsg", "recv datagram",
	"recv with SO_RCVTIMEO", "send with SO_SNDTIMEO", "send", "accept", "connect", "read eventfd",
	"write eventfd", "read timerfd", "read signalfd", "poll", "poll with a limit", "ppoll", "select",
	"select with a limit", "pselect", "epoll_wait", "epoll_pwait", "epoll_pwait2", "nanosleep",
	"clock_nanosleep", "clock_nanosleep absolute", "clock_nanosleep CPU time", "pause", "sigsuspend",
	"sigwaitinfo", "sigtimedwait", "wait4", "waitid", "futex wait", "futex wait with a limit",
	"futex wait bitset", "futex lock pi", "futex_waitv", "flock", "F_SETLKW", "F_OFD_SETLKW",
};

static void handler(int sig)
{
	shared->handled++;
}

/* The letter of the state in /proc/PID/stat. */
static char state(pid_t pid)
{
	char path[64], text[256], *paren;
	int fd, size;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY);
	size = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (size <= 0)
		return '?';
	text[size] = 0;
	paren = strrchr(text, ')');
	return paren ? paren[2] : '?';
}

static void nap(void)
{
	nanosleep(&(struct timespec){ 0, 500000 }, NULL);
}

/* Until the child sleeps in its call, or has finished it. */
static void settle(pid_t pid, int handled)
{
	for (int i = 0; i < 4000 && !shared->done; i++) {
		if (shared->ready && shared->handled >= handled && state(pid) == 'S') {
			nap();
			nap();
			if (shared->done || state(pid) == 'S')
				return;
		}
		nap();
	}
}

static void blocker(const char *name, int flags)
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = flags };

	if (flags >= 0)
		sigaction(SIGUSR1, &sa, NULL);
	else
		signal(SIGUSR1, SIG_IGN);
	if (!strncmp(name, "wait", 4) && (sleeper = fork()) == 0) {
		pause();
		_exit(0);
	}
	shared->ready = 1;
	errno = 0;
	shared->result = call(name);
	if (shared->result > 0 && !strncmp(name, "clock_n", 7)) {
		errno = shared->result;
		shared->result = -1;
	}
	shared->error = errno;
	shared->done = 1;
	if (sleeper > 0)
		kill(sleeper, SIGKILL);
	_exit(0);
}

static void attempt(const char *name, const char *how, int flags)
{
	pid_t pid;

	memset(shared, 0, sizeof(*shared));
	shared->pi = getpid();
	sleeper = 0;
	if ((pid = fork()) == 0) {
		setpgid(0, 0);
		blocker(name, flags);
	}
	settle(pid, 0);
	if (shared->done) {
		say("%s didn't block: %ld %s\n", name, shared->result, strerrorname_np(shared->error));
	} else {
		if (flags == -2) {
			kill(pid, SIGSTOP);
			waitpid(pid, NULL, WUNTRACED);
			kill(pid, SIGCONT);
		} else {
			kill(pid, SIGUSR1);
		}
		settle(pid, flags >= 0);
		if (shared->done)
			say("%s, %s: %ld %s\n", name, how, shared->result,
			    shared->result == -1 ? strerrorname_np(shared->error) : "");
		else
			say("%s, %s: waits on%s\n", name, how, state(pid) == 'S' ? "" : ", but not asleep");
	}
	kill(-pid, SIGKILL);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void prepare(void)
{
	struct flock lock = { .l_type = F_WRLCK };
	struct timeval minute = { 60, 0 };
	uint64_t most = ~1ull;
	struct termios raw;
	int other;

	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	sigemptyset(&none);
	sigemptyset(&usr2);
	sigaddset(&usr2, SIGUSR2);
	sigprocmask(SIG_BLOCK, &usr2, NULL);
	clock_gettime(CLOCK_REALTIME, &later);
	later.tv_sec += 3600;
	pipe(p);
	pipe(full);
	fill(full[1]);
	mkfifo("fifo", 0600);
	openpty(&master, &slave, NULL, NULL, NULL);
	tcgetattr(slave, &raw);
	cfmakeraw(&raw);
	tcsetattr(slave, TCSANOW, &raw);
	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	socketpair(AF_UNIX, SOCK_STREAM, 0, full2);
	fill(full2[1]);
	socketpair(AF_UNIX, SOCK_DGRAM, 0, dgram);
	socketpair(AF_UNIX, SOCK_STREAM, 0, timed);
	socketpair(AF_UNIX, SOCK_STREAM, 0, timed2);
	setsockopt(timed2[0], SOL_SOCKET, SO_RCVTIMEO, &minute, sizeof(minute));
	setsockopt(timed[1], SOL_SOCKET, SO_SNDTIMEO, &minute, sizeof(minute));
	fill(timed[1]);
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	bind(listener, (void *)&address, 2);
	ev = eventfd(0, 0);
	evfull = eventfd(0, 0);
	write(evfull, &most, 8);
	tfd = timerfd_create(CLOCK_MONOTONIC, 0);
	timerfd_settime(tfd, 0, &(struct itimerspec){ .it_value = hour }, NULL);
	sfd = signalfd(-1, &usr2, 0);
	ep = epoll_create1(0);
	epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &(struct epoll_event){ .events = EPOLLIN });
	put("locked", "x");
	flock(open("locked", O_RDWR), LOCK_EX);
	lockfd = open("locked", O_RDWR);
	put("locked2", "x");
	fdlock = open("locked2", O_RDWR);
	fcntl(fdlock, F_SETLK, &lock);
	put("locked3", "x");
	fcntl(open("locked3", O_RDWR), F_OFD_SETLK, &lock);
	ofdlock = open("locked3", O_RDWR);
	/* A socket that waits for connections, with as many waiting as may, and one that wants more. */
	close(listener);
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	other = socket(AF_UNIX, SOCK_STREAM, 0);
	bind(other, (void *)&address, sizeof(address));
	listen(other, 0);
	connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&address, sizeof(address));
	backlog = socket(AF_UNIX, SOCK_STREAM, 0);
	bind(listener, (void *)&address, 2);
	listen(listener, 1);
}

int main(void)
{
	prepare();
	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++) {
		attempt(names[i], "handler", 0);
		attempt(names[i], "handler that restarts", SA_RESTART);
		attempt(names[i], "ignored", -1);
		attempt(names[i], "stopped", -2);
	}
	unlink("fifo");
	return 0;
}
