/* SPDX-License-Identifier: Apache-2.0 */
/* abi-as: root */
/* POSIX message queues: calls, sleepers, notification, limits, the file system. */
#include "ipc.h"
#include <mqueue.h>
#include <sys/mount.h>
#include <sys/statfs.h>

static mqd_t q;

static void rcv(void)
{
	char text[9000];
	unsigned prio = 99;
	ssize_t n = mq_receive(q, text, sizeof(text), &prio);

	if (n < 0)
		say("receive: %s\n", strerrorname_np(errno));
	else
		say("receive: %zd prio %u \"%.*s\"\n", n, prio, (int)n, text);
}

static void attributes(void)
{
	struct mq_attr a;

	if (SHOW(mq_getattr(q, &a)) == 0)
		say("flags %#lx maxmsg %ld msgsize %ld curmsgs %ld\n", a.mq_flags, a.mq_maxmsg, a.mq_msgsize,
		    a.mq_curmsgs);
}

static void opening(void)
{
	struct mq_attr a = { .mq_maxmsg = 4, .mq_msgsize = 16 };
	struct mq_attr zero = { .mq_maxmsg = 0, .mq_msgsize = 16 };
	struct mq_attr many = { .mq_maxmsg = 11, .mq_msgsize = 16 };
	struct mq_attr large = { .mq_maxmsg = 1, .mq_msgsize = 8193 };
	char name[300];

	SHOW(mq_open("/none", O_RDWR));
	SHOW(mq_open("none", O_RDWR | O_CREAT, 0600, NULL));
	SHOW(mq_open("/", O_RDWR | O_CREAT, 0600, NULL));
	SHOW(mq_open("/a/b", O_RDWR | O_CREAT, 0600, NULL));
	SHOW(mq_open("/..", O_RDWR | O_CREAT, 0600, NULL));
	memset(name, 'n', sizeof(name));
	name[0] = '/';
	name[256] = 0;
	SHOW(mq_open(name, O_RDWR, 0600, NULL));
	name[257 - 1] = 'n';
	name[257] = 0;
	SHOW(mq_open(name, O_RDWR, 0600, NULL));
	SHOW(mq_open("/q", O_RDWR | O_CREAT, 0600, &zero));
	SHOW(mq_open("/q", O_RDWR | O_CREAT, 0600, &many));
	SHOW(mq_open("/q", O_RDWR | O_CREAT, 0600, &large));
	SHOW(mq_open("/q", O_RDWR | O_CREAT, 0600, (void *)8));
	umask(022);
	q = mq_open("/q", O_RDWR | O_CREAT | O_EXCL, 0666, &a);
	IS(q >= 0);
	say("cloexec %d flags %#x\n", fcntl(q, F_GETFD), fcntl(q, F_GETFL));
	attributes();
	SHOW(mq_open("/q", O_RDWR | O_CREAT | O_EXCL, 0600, NULL));
	SHOW(mq_open("/q", O_RDWR | O_WRONLY));
	SHOW(mq_close(mq_open("/q", O_RDONLY | O_CREAT, 0600, &zero)));
}

static void sending(void)
{
	struct timespec past = { 1, 0 }, bad = { 1, -1 };
	mqd_t ro = mq_open("/q", O_RDONLY), wo = mq_open("/q", O_WRONLY | O_NONBLOCK);
	struct mq_attr a = { .mq_flags = O_NONBLOCK, .mq_maxmsg = 77 }, old, wrong = { .mq_flags = O_APPEND };
	struct pollfd pfd = { q, POLLIN | POLLOUT };
	char text[16];

	SHOW(poll(&pfd, 1, 0));
	say("%#x\n", pfd.revents);
	SHOW(mq_send(q, "low", 3, 1));
	SHOW(mq_send(q, "high", 4, 9));
	SHOW(mq_send(q, "low again", 9, 1));
	SHOW(poll(&pfd, 1, 0));
	say("%#x\n", pfd.revents);
	SHOW(mq_send(q, "", 0, 32767));
	SHOW(poll(&pfd, 1, 0));
	say("%#x\n", pfd.revents);
	SHOW(mq_send(q, "x", 1, 32768));
	SHOW(mq_send(q, "12345678901234567", 17, 1));
	SHOW(mq_send(q, (void *)8, 4, 1));
	SHOW(mq_send(ro, "x", 1, 1));
	SHOW(mq_send(wo, "x", 1, 1));
	SHOW(mq_send(0, "x", 1, 1));
	SHOW(mq_send(-1, "x", 1, 1));
	SHOW(mq_timedsend(q, "x", 1, 1, &past));
	SHOW(mq_timedsend(q, "x", 1, 1, &bad));
	attributes();
	SHOW(mq_receive(wo, text, 16, NULL));
	SHOW(mq_receive(q, text, 15, NULL));
	rcv();
	rcv();
	rcv();
	SHOW(mq_timedreceive(q, text, 16, NULL, &bad));
	rcv();
	SHOW(mq_timedreceive(q, text, 16, NULL, &past));
	SHOW(mq_setattr(q, &wrong, &old));
	SHOW(mq_setattr(q, &a, &old));
	say("%#lx %ld\n", old.mq_flags, old.mq_maxmsg);
	attributes();
	rcv();
	a.mq_flags = 0;
	mq_setattr(q, &a, NULL);
	SHOW(mq_getattr(0, &a));
	SHOW(read(q, text, 0));
	SHOW(write(q, text, 1));
	SHOW(lseek(q, 0, SEEK_END));
	mq_close(ro);
	mq_close(wo);
}

static void alarmed(int signo)
{
}

static void handler(int signo, siginfo_t *info, void *context)
{
	say("signal %d code %d value %d from me %d uid %d\n", signo, info->si_code,
	    info->si_value.sival_int, info->si_pid == getpid(), info->si_uid);
}

static void sleepers(void)
{
	struct timespec soon;
	struct sigaction sa = { .sa_handler = alarmed };
	struct itimerval timer = { { 0, 20000 }, { 0, 20000 } };
	pid_t pid = fork(), second;

	if (pid == 0) {
		rcv();
		_exit(0);
	}
	until_asleep(pid);
	mq_send(q, "for the child", 13, 3);
	reap(pid);
	for (int i = 0; i < 4; i++)
		mq_send(q, "filler", 6, i);
	pid = fork();
	if (pid == 0)
		_exit(mq_send(q, "late", 4, 20));
	until_asleep(pid);
	second = fork();
	if (second == 0)
		_exit(mq_send(q, "later", 5, 30));
	until_asleep(second);
	rcv();
	reap(pid);
	rcv();
	reap(second);
	clock_gettime(CLOCK_REALTIME, &soon);
	soon.tv_nsec += 30000000;
	if (soon.tv_nsec >= 1000000000) {
		soon.tv_sec++;
		soon.tv_nsec -= 1000000000;
	}
	SHOW(mq_timedsend(q, "x", 1, 1, &soon));
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	errno = 0;
	say("%d", mq_send(q, "x", 1, 1));
	say(" %s\n", strerrorname_np(errno));
	setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL);
	rcv();
	rcv();
	rcv();
	rcv();
}

static void notify(void)
{
	struct sigaction sa = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	struct sigevent none = { .sigev_notify = SIGEV_NONE };
	struct sigevent wrong = { .sigev_notify = 77 };
	struct sigevent far = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = 65 };
	char line[200] = "";
	pid_t pid;

	event.sigev_value.sival_int = 42;
	sigaction(SIGUSR1, &sa, NULL);
	SHOW(mq_notify(q, &wrong));
	SHOW(mq_notify(q, &far));
	SHOW(mq_notify(0, &event));
	SHOW(mq_notify(q, NULL));
	SHOW(mq_notify(q, &event));
	SHOW(mq_notify(q, &event));
	SHOW(lseek(q, 0, SEEK_SET));
	SHOW(read(q, line, 199));
	*strstr(line, "NOTIFY_PID") = 0;
	say("%s\n", line);
	SHOW(mq_send(q, "a", 1, 0));
	SHOW(mq_send(q, "b", 1, 0));
	SHOW(mq_notify(q, &event));
	SHOW(mq_send(q, "c", 1, 0));
	rcv();
	rcv();
	rcv();
	lseek(q, 0, SEEK_SET);
	SHOW(read(q, line, 199));
	say("%.40s\n", line);
	/* a receiver that waits gets the message, the listener hears nothing */
	pid = fork();
	if (pid == 0) {
		rcv();
		_exit(0);
	}
	until_asleep(pid);
	mq_send(q, "d", 1, 0);
	reap(pid);
	SHOW(mq_notify(q, NULL));
	SHOW(mq_notify(q, &none));
	SHOW(mq_send(q, "e", 1, 0));
	rcv();
	SHOW(mq_notify(q, &event));
	/* another process' close doesn't matter, one's own does */
	pid = fork();
	if (pid == 0) {
		SHOW(mq_notify(q, &event));
		SHOW(mq_notify(q, NULL));
		_exit(mq_close(q));
	}
	reap(pid);
	mq_close(dup(q));
	SHOW(mq_send(q, "f", 1, 0));
	rcv();
}

static void files(void)
{
	struct statfs fs;
	struct stat st;
	char line[100] = "";
	int fd;
	mqd_t other;

	if (SHOW(unshare(CLONE_NEWNS)) < 0 || SHOW(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL)) < 0)
		exit(1);
	mkdir("mq", 0755);
	SHOW(mount("none", "mq", "mqueue", 0, NULL));
	SHOW(statfs("mq", &fs));
	say("%#lx\n", (long)fs.f_type);
	stat("mq", &st);
	say("%o %ld\n", st.st_mode, (long)st.st_size);
	mq_send(q, "12345", 5, 0);
	stat("mq/q", &st);
	say("%o %ld %ld\n", st.st_mode, (long)st.st_size, (long)st.st_nlink);
	fd = open("mq/q", O_RDWR);
	SHOW(read(fd, line, 99));
	say("%s", line);
	SHOW(mq_send(fd, "via file", 8, 1));
	rcv();
	rcv();
	close(fd);
	fd = open("mq/made", O_RDWR | O_CREAT, 0640);
	IS(fd >= 0);
	close(fd);
	other = mq_open("/made", O_RDONLY);
	say("%d\n", other >= 0);
	mq_close(other);
	SHOW(mkdir("mq/dir", 0755));
	SHOW(rename("mq/made", "mq/name"));
	SHOW(link("mq/made", "mq/name"));
	SHOW(symlink("made", "mq/name"));
	SHOW(truncate("mq/made", 0));
	SHOW(chmod("mq/made", 0600));
	system("ls mq");
	SHOW(unlink("mq/made"));
	SHOW(mq_unlink("/made"));
	SHOW(mq_unlink("/q"));
	SHOW(mq_unlink("/q"));
	attributes();
	SHOW(umount("mq"));
	rmdir("mq");
}

static void limits(void)
{
	struct rlimit few = { 10000, 10000 };
	struct mq_attr a = { .mq_maxmsg = 10, .mq_msgsize = 800 };
	mqd_t one;

	setrlimit(RLIMIT_MSGQUEUE, &few);
	setresuid(1234, 1234, 1234);
	one = mq_open("/one", O_RDWR | O_CREAT, 0600, &a);
	say("%d\n", one >= 0);
	SHOW(mq_open("/two", O_RDWR | O_CREAT, 0600, &a));
	mq_unlink("/one");
	SHOW(mq_open("/two", O_RDWR | O_CREAT, 0600, &a));
	mq_close(one);
	say("%d\n", mq_open("/two", O_RDWR | O_CREAT, 0600, &a) >= 0);
	mq_unlink("/two");
}

static void others(void)
{
	setresuid(1235, 1235, 1235);
	SHOW(mq_open("/theirs", O_RDWR));
	say("%d\n", mq_open("/theirs", O_RDONLY) >= 0);
	SHOW(mq_unlink("/theirs"));
	put("/proc/sys/fs/mqueue/msg_max", "5");
}

int main(void)
{
	own_ipc();
	opening();
	sending();
	sleepers();
	notify();
	files();
	in_child("limits", limits);
	mq_close(mq_open("/theirs", O_RDWR | O_CREAT, 0644, NULL));
	in_child("others", others);
	put("/proc/sys/fs/mqueue/queues_max", "1");
	SHOW(mq_open("/more", O_RDWR | O_CREAT, 0600, NULL));
	put("/proc/sys/fs/mqueue/queues_max", "10");
	put("/proc/sys/fs/mqueue/msg_default", "3");
	put("/proc/sys/fs/mqueue/msgsize_default", "200");
	put("/proc/sys/fs/mqueue/msgsize_max", "100");
	q = mq_open("/more", O_RDWR | O_CREAT, 0600, NULL);
	attributes();
	system("grep . /proc/sys/fs/mqueue/*");
	return 0;
}
