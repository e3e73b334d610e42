/* SPDX-License-Identifier: Apache-2.0 */
/* abi-as: root */
/* System V message queues. */
#include "ipc.h"
#include <sys/msg.h>

struct text {
	long type;
	char data[9000];
};

static int id;

static int snd(long type, const char *data, int flags)
{
	struct text m = { type };

	strcpy(m.data, data);
	return msgsnd(id, &m, strlen(data), flags);
}

static void rcv(size_t size, long type, int flags)
{
	struct text m = { 0 };
	ssize_t n = msgrcv(id, &m, size, type, flags);

	if (n < 0)
		say("rcv(%zu, %ld, %#x): %s\n", size, type, flags, strerrorname_np(errno));
	else
		say("rcv(%zu, %ld, %#x): %zd type %ld \"%.*s\"\n", size, type, flags, n, m.type,
		    (int)(n < 40 ? n : 40), m.data);
}

static void stat_of(void)
{
	struct msqid_ds ds;
	time_t now = time(NULL);

	if (SHOW(msgctl(id, IPC_STAT, &ds)) < 0)
		return;
	say("mode %o cbytes %lu qnum %lu qbytes %lu lspid %d lrpid %d stime %d rtime %d ctime %d\n",
	    ds.msg_perm.mode, ds.__msg_cbytes, ds.msg_qnum, ds.msg_qbytes,
	    ds.msg_lspid == getpid(), ds.msg_lrpid == getpid(),
	    ds.msg_stime ? labs(now - ds.msg_stime) < 100 : -1,
	    ds.msg_rtime ? labs(now - ds.msg_rtime) < 100 : -1, labs(now - ds.msg_ctime) < 100);
}

static pid_t receiver(size_t size, long type, int flags)
{
	pid_t pid = fork();

	if (pid == 0) {
		struct text m;

		_exit(msgrcv(id, &m, size, type, flags) >= 0 ? m.type : errno);
	}
	until_asleep(pid);
	return pid;
}

static pid_t sender(long type, const char *data)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(snd(type, data, 0) == 0 ? 0 : errno);
	until_asleep(pid);
	return pid;
}

static void basics(void)
{
	struct text m = { 1 };

	SHOW(msgget(0x5, 0));
	id = SHOW(msgget(0x5, IPC_CREAT | 0600));
	SHOW(msgget(0x5, IPC_CREAT | IPC_EXCL | 0600));
	IS(msgget(0x5, 0600) == id);
	stat_of();
	SHOW(snd(0, "x", 0));
	SHOW(snd(-1, "x", 0));
	SHOW(msgsnd(id, &m, -1, 0));
	SHOW(msgsnd(id, &m, 8193, 0));
	SHOW(msgsnd(id, (void *)8, 1, 0));
	SHOW(msgsnd(-1, &m, 1, 0));
	SHOW(msgsnd(12345678, &m, 1, 0));
	SHOW(msgrcv(12345678, &m, 1, 0, 0));
	SHOW(msgrcv(id, &m, -1, 0, 0));
	SHOW(msgrcv(id, &m, 10, 0, IPC_NOWAIT));
	snd(3, "three", 0);
	snd(1, "one", 0);
	snd(2, "two", 0);
	snd(1, "another one", 0);
	snd(5, "", 0);
	stat_of();
	rcv(100, 0, MSG_COPY | IPC_NOWAIT);
	rcv(100, 3, MSG_COPY | IPC_NOWAIT);
	rcv(100, 5, MSG_COPY | IPC_NOWAIT);
	rcv(100, 0, MSG_COPY);
	rcv(100, 0, MSG_COPY | MSG_EXCEPT | IPC_NOWAIT);
	rcv(2, 0, 0);
	rcv(2, 1, 0);
	rcv(100, 7, IPC_NOWAIT);
	rcv(100, -2, 0);
	rcv(3, -1, 0);
	rcv(3, -1, MSG_NOERROR);
	rcv(100, -1, IPC_NOWAIT);
	rcv(100, 3, MSG_EXCEPT);
	rcv(100, LONG_MIN, 0);
	rcv(0, 0, 0);
	stat_of();
	snd(4, "to nowhere", 0);
	SHOW(msgrcv(id, (void *)8, 100, 0, 0));
	SHOW(msgrcv(id, &m, 100, 0, IPC_NOWAIT));
}

static void sleepers(void)
{
	pid_t a, b, c;
	static char big[8193];

	a = receiver(100, 2, 0);
	b = receiver(3, 0, 0);
	c = receiver(100, -5, 0);
	snd(9, "nine", 0); /* too long for b */
	reap(b);
	rcv(100, 0, IPC_NOWAIT);
	snd(4, "four", 0);
	reap(c);
	snd(2, "two", 0);
	reap(a);
	a = receiver(2, 0, MSG_NOERROR);
	snd(1, "truncated", 0);
	reap(a);
	/* full */
	memset(big, 'x', 8192);
	SHOW(snd(1, big, 0));
	SHOW(snd(1, big, 0));
	SHOW(snd(1, "y", IPC_NOWAIT));
	SHOW(snd(1, "", IPC_NOWAIT));
	a = sender(7, big);
	rcv(10, 1, MSG_NOERROR);
	reap(a);
	b = sender(8, "small");
	rcv(10, 1, MSG_NOERROR);
	reap(b);
	stat_of();
	a = receiver(100, 99, 0);
	rcv(10, 7, MSG_NOERROR);
	SHOW(snd(1, big, 0));
	SHOW(snd(1, "z", 0));
	b = sender(8, big);
	msgctl(id, IPC_RMID, NULL);
	say("EIDRM is %d\n", EIDRM);
	reap(a);
	reap(b);
}

static void handler(int signo)
{
}

static void interrupted(void)
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = SA_RESTART };
	struct itimerval timer = { { 0, 30000 }, { 0, 30000 } };

	id = msgget(IPC_PRIVATE, 0600);
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	rcv(10, 0, 0);
	setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL);
	signal(SIGALRM, SIG_IGN);
	signal(SIGUSR1, handler);
	pid_t me = getpid(), pid = fork();
	if (pid == 0) {
		until_asleep(me);
		kill(me, SIGSTOP);
		usleep(20000);
		kill(me, SIGCONT);
		usleep(20000);
		snd(3, "after a stop", 0);
		_exit(0);
	}
	rcv(20, 0, 0);
	reap(pid);
}

static void others(void)
{
	struct msqid_ds ds;

	setresgid(1000, 1000, 1000);
	setresuid(1000, 1000, 1000);
	SHOW(snd(1, "x", IPC_NOWAIT));
	rcv(10, 0, IPC_NOWAIT);
	SHOW(msgctl(id, IPC_STAT, &ds));
	SHOW(msgctl(id, IPC_SET, &ds));
	SHOW(msgctl(id, IPC_RMID, NULL));
	memset(&ds, 0, sizeof(ds));
	SHOW(msgctl(0, MSG_STAT_ANY, &ds) >= 0);
}

static void settings(void)
{
	struct msqid_ds ds;
	struct msginfo info;

	msgctl(id, IPC_STAT, &ds);
	ds.msg_qbytes = 20;
	ds.msg_perm.mode = 0622;
	SHOW(msgctl(id, IPC_SET, &ds));
	SHOW(snd(1, "0123456789012345", 0));
	SHOW(snd(1, "012345", IPC_NOWAIT));
	stat_of();
	in_child("others", others);
	ds.msg_qbytes = 1 << 20;
	SHOW(msgctl(id, IPC_SET, &ds));
	ds.msg_perm.uid = -1;
	SHOW(msgctl(id, IPC_SET, &ds));
	SHOW(msgctl(id, IPC_SET, NULL));
	SHOW(msgctl(id, IPC_STAT, (void *)8));
	SHOW(msgctl(id, 77, &ds));
	SHOW(msgctl(-1, IPC_STAT, &ds));
	SHOW(msgctl(0, IPC_INFO, (void *)&info) >= 0);
	say("%d %d %d %d %d %d %d %d\n", info.msgpool, info.msgmap, info.msgmax, info.msgmnb,
	    info.msgmni, info.msgssz, info.msgtql, info.msgseg);
	SHOW(msgctl(0, MSG_INFO, (void *)&info) >= 0);
	say("%d %d %d\n", info.msgpool, info.msgmap, info.msgtql);
	put("/proc/sys/kernel/msgmax", "5\n");
	SHOW(snd(1, "123456", IPC_NOWAIT));
	put("/proc/sys/kernel/msgmni", "2\n");
	SHOW(msgget(IPC_PRIVATE, 0600) >= 0);
	SHOW(msgget(IPC_PRIVATE, 0600));
	put("/proc/sys/kernel/msg_next_id", "1234567\n");
	put("/proc/sys/kernel/msgmni", "20\n");
	SHOW(msgget(IPC_PRIVATE, 0600));
}

int main(void)
{
	own_ipc();
	basics();
	sleepers();
	interrupted();
	settings();
	return 0;
}
