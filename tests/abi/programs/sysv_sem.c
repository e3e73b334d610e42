/* SPDX-License-Identifier: Apache-2.0 */
/* abi-as: root */
/* System V semaphores: sets, operations, sleepers, SEM_UNDO, permissions. */
#include "ipc.h"
#include <sys/sem.h>

union semun {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
	struct seminfo *info;
};

static int id;
static char shared_stack[65536];

static int op(int num, int change, int flags)
{
	struct sembuf sop = { num, change, flags };

	return semop(id, &sop, 1);
}

static void values(void)
{
	unsigned short all[16] = { 0 };
	struct semid_ds ds = { 0 };

	semctl(id, 0, IPC_STAT, &ds);
	if (semctl(id, 0, GETALL, all) < 0)
		say("GETALL: %s\n", strerrorname_np(errno));
	say("values:");
	for (unsigned i = 0; i < ds.sem_nsems && i < 16; i++)
		say(" %d", all[i]);
	say("\n");
}

static int waiting(void)
{
	struct semid_ds ds = { 0 };
	int count = 0;

	semctl(id, 0, IPC_STAT, &ds);
	for (unsigned i = 0; i < ds.sem_nsems; i++)
		count += semctl(id, i, GETNCNT) + semctl(id, i, GETZCNT);
	return count;
}

static pid_t sleeper(struct sembuf *ops, int n)
{
	int before = waiting();
	pid_t pid = fork();

	if (pid == 0) {
		int r = semop(id, ops, n);

		_exit(r == 0 ? 0 : errno);
	}
	while (waiting() == before)
		usleep(1000);
	return pid;
}

static void stat_of(void)
{
	struct semid_ds ds;
	time_t now = time(NULL);

	if (SHOW(semctl(id, 0, IPC_STAT, &ds)) < 0)
		return;
	say("nsems %lu mode %o uid %d gid %d cuid %d cgid %d seq %d key %d otime %d ctime %d\n",
	    ds.sem_nsems, ds.sem_perm.mode, ds.sem_perm.uid, ds.sem_perm.gid, ds.sem_perm.cuid,
	    ds.sem_perm.cgid, ds.sem_perm.__seq, ds.sem_perm.__key,
	    ds.sem_otime ? labs(now - ds.sem_otime) < 100 : -1, labs(now - ds.sem_ctime) < 100);
}

static void ids(void)
{
	int a, b, c;

	a = SHOW(semget(IPC_PRIVATE, 1, 0600));
	b = SHOW(semget(IPC_PRIVATE, 1, 0600));
	SHOW(semctl(a, 0, IPC_RMID));
	c = SHOW(semget(IPC_PRIVATE, 1, 0600));
	SHOW(semctl(a, 0, GETVAL));
	SHOW(semctl(b, 0, IPC_RMID));
	SHOW(semctl(c, 0, IPC_RMID));
	SHOW(semctl(c, 0, IPC_RMID));
	for (int i = 0; i < 200; i++) {
		a = semget(IPC_PRIVATE, 1, 0600);
		if (i % 20 == 0)
			say("%d ", a);
		semctl(a, 0, IPC_RMID);
	}
	say("\n");
	SHOW(semget(0x1234, 0, 0600));
	SHOW(semget(0x1234, 0, IPC_CREAT | 0600));
	SHOW(semget(0x1234, -1, IPC_CREAT | 0600));
	SHOW(semget(0x1234, 32001, IPC_CREAT | 0600));
	a = semget(0x1234, 3, IPC_CREAT | 0640);
	IS(semget(0x1234, 0, 0) == a);
	IS(semget(0x1234, 3, 0600) == a);
	SHOW(semget(0x1234, 4, 0));
	SHOW(semget(0x1234, 3, IPC_CREAT | IPC_EXCL));
	IS(semget(0x1234, 3, IPC_CREAT) == a);
	id = a;
}

static void operations(void)
{
	struct sembuf many[501] = { { 0 } }, ops[3] = { { 0, 2, 0 }, { 1, 3, 0 }, { 2, -1, IPC_NOWAIT } };
	struct timespec brief = { 0, 20000000 }, bad = { 0, 1000000000 }, none = { 0, 0 };
	unsigned short all[3] = { 5, 0, 7 };
	unsigned short big[3] = { 5, 40000, 7 };

	values();
	SHOW(op(0, 3, 0));
	SHOW(op(0, -2, 0));
	SHOW(op(0, -2, IPC_NOWAIT));
	SHOW(op(0, 0, IPC_NOWAIT));
	SHOW(op(1, 0, 0));
	SHOW(op(3, 1, 0));
	SHOW(op(0, 32767, 0));
	SHOW(semop(id, ops, 3));
	values();
	SHOW(semop(id, many, 501));
	SHOW(semop(id, many, 0));
	SHOW(semop(id, (void *)8, 1));
	SHOW(semop(-1, ops, 1));
	SHOW(semop(77777777, ops, 1));
	SHOW(semtimedop(id, (struct sembuf[]){ { 1, -1, 0 } }, 1, &brief));
	SHOW(semtimedop(id, (struct sembuf[]){ { 1, -1, 0 } }, 1, &none));
	SHOW(semtimedop(id, (struct sembuf[]){ { 1, -1, 0 } }, 1, &bad));
	SHOW(semtimedop(id, (struct sembuf[]){ { 1, 1, 0 } }, 1, &bad));
	SHOW(semtimedop(id, (struct sembuf[]){ { 1, 1, 0 } }, 1, (void *)8));
	SHOW(semop(id, (struct sembuf[]){ { 0, 1, 0 }, { 0, -2, 0 }, { 0, 0, 0 } }, 3));
	values();
	SHOW(semctl(id, 0, SETALL, all));
	SHOW(semctl(id, 0, SETALL, big));
	values();
	SHOW(semctl(id, 1, SETVAL, 9));
	SHOW(semctl(id, 1, SETVAL, -1));
	SHOW(semctl(id, 1, SETVAL, 32768));
	SHOW(semctl(id, 3, SETVAL, 1));
	SHOW(semctl(id, -1, GETVAL));
	SHOW(semctl(id, 1, GETVAL));
	IS(semctl(id, 1, GETPID) == getpid());
	SHOW(semctl(id, 0, 99));
	SHOW(semctl(-1, 0, GETVAL));
	SHOW(semctl(id, 0, IPC_STAT, (void *)8));
	SHOW(semctl(id, 0, GETALL, (void *)8));
	SHOW(semctl(id, 0, SETALL, (void *)8));
	SHOW(semctl(id, 0, IPC_SET, (void *)8));
	stat_of();
}

static void sleepers(void)
{
	pid_t a, b, c, d;

	semctl(id, 0, SETALL, (unsigned short[]){ 0, 0, 0 });
	a = sleeper((struct sembuf[]){ { 0, -2, 0 } }, 1);
	b = sleeper((struct sembuf[]){ { 0, -1, 0 }, { 1, -1, 0 } }, 2);
	c = sleeper((struct sembuf[]){ { 2, 1, 0 }, { 2, 0, 0 } }, 2);
	d = sleeper((struct sembuf[]){ { 0, -1, 0 } }, 1);
	say("ncnt %d %d zcnt %d %d\n", semctl(id, 0, GETNCNT), semctl(id, 1, GETNCNT),
	    semctl(id, 2, GETZCNT), semctl(id, 0, GETZCNT));
	SHOW(op(0, 1, 0)); /* enough for d only */
	reap(d);
	SHOW(op(0, 2, 0)); /* for a, which came first */
	reap(a);
	say("ncnt %d %d\n", semctl(id, 0, GETNCNT), semctl(id, 1, GETNCNT));
	SHOW(op(1, 1, 0));
	SHOW(op(0, 1, 0));
	reap(b);
	values();
	kill(c, SIGKILL);
	reap(c);
	say("zcnt %d\n", semctl(id, 2, GETZCNT));
	/* zero is seen before anybody changes it again */
	semctl(id, 0, SETALL, (unsigned short[]){ 1, 0, 0 });
	a = sleeper((struct sembuf[]){ { 0, 0, 0 } }, 1);
	b = sleeper((struct sembuf[]){ { 0, 0, 0 }, { 0, 5, 0 } }, 2);
	SHOW(op(0, -1, 0));
	reap(a);
	reap(b);
	values();
	IS(semctl(id, 0, GETPID) == b);
	/* removal wakes */
	a = sleeper((struct sembuf[]){ { 1, -1, 0 } }, 1);
	SHOW(semctl(id, 0, IPC_RMID));
	say("EIDRM is %d\n", EIDRM);
	reap(a);
}

static void handler(int signo)
{
}

static void interrupted(void)
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = SA_RESTART };
	struct itimerval timer = { { 0, 30000 }, { 0, 30000 } };

	id = semget(IPC_PRIVATE, 2, 0600);
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	SHOW(op(0, -1, 0));
	signal(SIGALRM, SIG_IGN);
	SHOW(semctl(id, 0, GETNCNT));
}

static int takes(void *arg)
{
	op(0, -1, SEM_UNDO);
	return 0;
}

static void undo(void)
{
	pid_t pid, a;

	SHOW(semctl(id, 0, SETVAL, 5));
	if ((pid = fork()) == 0) {
		SHOW(op(0, -3, SEM_UNDO));
		SHOW(op(0, 1, SEM_UNDO));
		SHOW(op(1, 4, SEM_UNDO));
		SHOW(op(1, 32000, SEM_UNDO));
		SHOW(op(1, 700, SEM_UNDO));
		values();
		_exit(0);
	}
	reap(pid);
	values();
	IS(semctl(id, 0, GETPID) == pid);
	/* what is undone wakes; it can't make a value negative */
	a = sleeper((struct sembuf[]){ { 0, -7, 0 } }, 1);
	if ((pid = fork()) == 0) {
		op(0, -3, SEM_UNDO);
		op(0, 4, 0);
		values();
		_exit(0);
	}
	reap(pid);
	reap(a);
	values();
	if ((pid = fork()) == 0) {
		op(0, 5, SEM_UNDO);
		op(0, -4, 0);
		_exit(0);
	}
	reap(pid);
	values();
	/* SETVAL forgets */
	semctl(id, 0, SETVAL, 3);
	if ((pid = fork()) == 0) {
		op(0, -1, SEM_UNDO);
		op(1, 1, SEM_UNDO);
		semctl(id, 0, SETVAL, 2);
		_exit(0);
	}
	reap(pid);
	values();
	/* a child made without CLONE_SYSVSEM undoes for itself, with it at the end of both */
	semctl(id, 0, SETVAL, 9);
	pid = clone(takes, shared_stack + sizeof(shared_stack), SIGCHLD, NULL);
	reap(pid);
	values();
	if ((pid = fork()) == 0) {
		pid_t inner = clone(takes, shared_stack + sizeof(shared_stack),
				    SIGCHLD | CLONE_SYSVSEM, NULL);
		reap(inner);
		values();
		op(0, -2, SEM_UNDO);
		values();
		SHOW(unshare(CLONE_SYSVSEM));
		values();
		_exit(0);
	}
	reap(pid);
	values();
	execl("/bin/true", "true", NULL);
}

static void others(void)
{
	struct semid_ds ds;

	setresgid(1000, 1000, 1000);
	setresuid(1000, 1000, 1000);
	SHOW(op(0, 1, 0));
	SHOW(op(0, 0, IPC_NOWAIT));
	SHOW(semctl(id, 0, GETVAL));
	SHOW(semctl(id, 0, SETVAL, 1));
	SHOW(semctl(id, 0, IPC_STAT, &ds));
	SHOW(semctl(id, 0, IPC_SET, &ds));
	SHOW(semctl(id, 0, IPC_RMID));
	SHOW(semget(0x77, 1, 0));
	SHOW(semget(0x77, 1, 0400));
	SHOW(semget(0x77, 1, 0200));
	SHOW(semctl(0, 0, SEM_STAT_ANY, &ds) >= 0);
}

static void limits(void)
{
	struct seminfo info;
	struct semid_ds ds;

	SHOW(semctl(0, 0, IPC_INFO, &info) >= 0);
	say("%d %d %d %d %d %d %d %d %d %d\n", info.semmap, info.semmni, info.semmns, info.semmnu,
	    info.semmsl, info.semopm, info.semume, info.semusz, info.semvmx, info.semaem);
	SHOW(semctl(0, 0, SEM_INFO, &info) >= 0);
	say("%d %d\n", info.semusz, info.semaem);
	memset(&ds, 0, sizeof(ds));
	SHOW(semctl(99, 0, SEM_STAT, &ds));
	put("/proc/sys/kernel/sem", "10 20 4 3\n");
	SHOW(semget(IPC_PRIVATE, 11, 0600));
	int a = semget(IPC_PRIVATE, 10, 0600);
	SHOW(semget(IPC_PRIVATE, 10, 0600));
	int b = semget(IPC_PRIVATE, 1, 0600);
	SHOW(semget(IPC_PRIVATE, 1, 0600));
	SHOW(semop(a, (struct sembuf[5]){ { 0 } }, 5));
	semctl(a, 0, IPC_RMID);
	semctl(b, 0, IPC_RMID);
	put("/proc/sys/kernel/sem_next_id", "77\n");
	SHOW(semget(IPC_PRIVATE, 1, 0600));
	SHOW(system("cat /proc/sys/kernel/sem /proc/sys/kernel/sem_next_id"));
}

int main(void)
{
	struct semid_ds ds;

	own_ipc();
	ids();
	operations();
	sleepers();
	interrupted();
	in_child("undo", undo);
	values();
	semget(0x77, 1, IPC_CREAT | 0604);
	semctl(id, 0, IPC_STAT, &ds);
	ds.sem_perm.mode = 0644;
	SHOW(semctl(id, 0, IPC_SET, &ds));
	in_child("others", others);
	ds.sem_perm.mode = 07640;
	ds.sem_perm.uid = 1000;
	SHOW(semctl(id, 0, IPC_SET, &ds));
	stat_of();
	in_child("others", others);
	limits();
	return 0;
}
