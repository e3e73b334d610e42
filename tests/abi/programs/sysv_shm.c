/* SPDX-License-Identifier: Apache-2.0 */
/* abi-as: root */
/* System V shared memory. */
#include "ipc.h"
#include <sys/shm.h>

static int id;

static void stat_of(int shmid)
{
	struct shmid_ds ds;
	time_t now = time(NULL);

	if (SHOW(shmctl(shmid, IPC_STAT, &ds)) < 0)
		return;
	say("mode %o size %zu nattch %lu cpid %d lpid %d atime %d dtime %d ctime %d key %#x\n",
	    ds.shm_perm.mode, ds.shm_segsz, ds.shm_nattch, ds.shm_cpid == getpid(),
	    ds.shm_lpid ? ds.shm_lpid == getpid() : -1,
	    ds.shm_atime ? labs(now - ds.shm_atime) < 100 : -1,
	    ds.shm_dtime ? labs(now - ds.shm_dtime) < 100 : -1, labs(now - ds.shm_ctime) < 100,
	    ds.shm_perm.__key);
}

static unsigned long nattch(void)
{
	struct shmid_ds ds = { 0 };

	shmctl(id, IPC_STAT, &ds);
	return ds.shm_nattch;
}

/* The lines of maps that name System V memory, without addresses and device. */
static void maps(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512], perms[8], dev[16], name[256];
	unsigned long lo, hi, off, ino;

	while (fgets(line, sizeof(line), f))
		if (strstr(line, "SYSV") &&
		    sscanf(line, "%lx-%lx %7s %lx %15s %lu %255[^\n]", &lo, &hi, perms, &off, dev, &ino,
			   name) == 7)
			say("maps: %lx %s %lx ino %lu %s\n", hi - lo, perms, off, ino, name);
	fclose(f);
}

static void getting(void)
{
	SHOW(shmget(0x99, 4096, 0));
	SHOW(shmget(IPC_PRIVATE, 0, 0600));
	SHOW(shmget(IPC_PRIVATE, 1UL << 62, 0600));
	SHOW(shmget(IPC_PRIVATE, -1UL, 0600));
	SHOW(shmget(IPC_PRIVATE, 4096, SHM_HUGETLB | (63 << 26) | 0600));
	id = SHOW(shmget(0x99, 10000, IPC_CREAT | 0640));
	SHOW(shmget(0x99, 10001, 0));
	IS(shmget(0x99, 10000, 0) == id);
	IS(shmget(0x99, 0, 0) == id);
	SHOW(shmget(0x99, 10, IPC_CREAT | IPC_EXCL));
	stat_of(id);
}

static void attaching(void)
{
	char *p, *q, *room;
	int pid;

	p = shmat(id, NULL, 0);
	IS(p != (void *)-1);
	strcpy(p, "shared");
	p[12287] = 'z'; /* the last page is whole */
	q = shmat(id, NULL, SHM_RDONLY);
	IS(strcmp(q, "shared") == 0 && q != p);
	stat_of(id);
	maps();
	SHOW(mprotect(q, 4096, PROT_READ | PROT_WRITE));
	SHOW((long)shmat(id, (void *)8, 0));
	SHOW((long)shmat(id, NULL, SHM_REMAP));
	SHOW((long)shmat(-1, NULL, 0));
	SHOW((long)shmat(424242, NULL, 0));
	room = mmap(NULL, 65536, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	SHOW((long)shmat(id, room, 0));
	IS(shmat(id, room + 4096 + 123, SHM_RND | SHM_REMAP) == room + 4096);
	IS(strcmp(room + 4096, "shared") == 0);
	munmap(room, 4096);
	IS(shmat(id, room, 0) == (void *)-1);
	say("nattch %lu\n", nattch());
	SHOW(shmdt(room + 4096));
	SHOW(shmdt(room + 4096));
	SHOW(shmdt(p + 4096));
	SHOW(shmdt((void *)12345));
	say("nattch %lu\n", nattch());
	/* a split attachment counts for each part */
	SHOW(mprotect(p + 4096, 4096, PROT_READ));
	say("nattch %lu\n", nattch());
	SHOW(mprotect(p + 4096, 4096, PROT_READ | PROT_WRITE));
	say("nattch %lu\n", nattch());
	pid = fork();
	if (pid == 0) {
		say("nattch in a child %lu\n", nattch());
		SHOW(strcmp(p, "shared"));
		strcpy(p, "child was here");
		SHOW(shmdt(q));
		say("nattch %lu\n", nattch());
		_exit(0);
	}
	reap(pid);
	say("%s\n", q);
	say("nattch %lu\n", nattch());
	pid = fork();
	if (pid == 0) {
		execl("/bin/true", "true", NULL);
		_exit(1);
	}
	reap(pid);
	say("nattch %lu\n", nattch());
	SHOW(munmap(p + 4096, 4096));
	say("nattch %lu\n", nattch());
	SHOW(shmdt(p));
	say("nattch %lu\n", nattch());
	maps();
	SHOW(mremap(q, 12288, 4096, 0) == q);
	say("nattch %lu\n", nattch());
	SHOW(shmctl(id, IPC_RMID, NULL));
	stat_of(id);
	SHOW(shmget(0x99, 0, 0));
	p = shmat(id, NULL, 0);
	say("%s\n", p);
	maps();
	SHOW(shmdt(p));
	SHOW(shmdt(q));
	stat_of(id);
}

static void others(void)
{
	struct shmid_ds ds;

	setresgid(1000, 1000, 1000);
	setresuid(1000, 1000, 1000);
	SHOW((long)shmat(id, NULL, 0));
	SHOW((long)shmat(id, NULL, SHM_RDONLY) > 0);
	SHOW((long)shmat(id, NULL, SHM_RDONLY | SHM_EXEC));
	SHOW(shmctl(id, IPC_STAT, &ds));
	SHOW(shmctl(id, IPC_SET, &ds));
	SHOW(shmctl(id, IPC_RMID, NULL));
	SHOW(shmctl(id, SHM_LOCK, NULL));
	memset(&ds, 0, sizeof(ds));
	SHOW(shmctl(id & 0x7fff, SHM_STAT, &ds) == id);
}

static void locks(void)
{
	struct rlimit small = { 8192, 8192 }, none = { 0, 0 };
	int mine;

	setrlimit(RLIMIT_MEMLOCK, &small);
	setresgid(1000, 1000, 1000);
	setresuid(1000, 1000, 1000);
	mine = shmget(IPC_PRIVATE, 8193, 0600);
	SHOW(shmctl(mine, SHM_LOCK, NULL));
	shmctl(mine, IPC_RMID, NULL);
	mine = shmget(IPC_PRIVATE, 8192, 0600);
	SHOW(shmctl(mine, SHM_LOCK, NULL));
	stat_of(mine);
	SHOW(shmctl(mine, SHM_UNLOCK, NULL));
	setrlimit(RLIMIT_MEMLOCK, &none);
	SHOW(shmctl(mine, SHM_LOCK, NULL));
	shmctl(mine, IPC_RMID, NULL);
}

static void more(void)
{
	struct shmid_ds ds;
	struct shminfo limits;
	struct shm_info info;
	int pid, orphan;
	char *p;

	id = shmget(IPC_PRIVATE, 1 << 20, 0604);
	p = shmat(id, NULL, 0);
	memset(p, 1, 5 * 4096);
	in_child("others", others);
	in_child("locks", locks);
	shmctl(id, IPC_STAT, &ds);
	ds.shm_perm.uid = 1000;
	ds.shm_perm.mode = 07646;
	SHOW(shmctl(id, IPC_SET, &ds));
	stat_of(id);
	SHOW(shmctl(id, SHM_LOCK, NULL));
	stat_of(id);
	SHOW(shmctl(id, SHM_UNLOCK, NULL));
	SHOW(shmctl(id, 88, NULL));
	SHOW(shmctl(id, IPC_STAT, (void *)8));
	SHOW(shmctl(0, IPC_INFO, (void *)&limits) >= 0);
	say("%lu %lu %lu %lu %lu\n", limits.shmmax, limits.shmmin, limits.shmmni, limits.shmseg,
	    limits.shmall);
	SHOW(shmctl(0, SHM_INFO, (void *)&info) >= 0);
	say("%d %lu %lu %lu\n", info.used_ids, info.shm_tot, info.shm_rss, info.shm_swp);
	put("/proc/sys/kernel/shmmax", "4096");
	SHOW(shmget(IPC_PRIVATE, 4097, 0600));
	put("/proc/sys/kernel/shmmax", "104857600");
	put("/proc/sys/kernel/shmall", "300");
	SHOW(shmget(IPC_PRIVATE, 100 * 4096, 0600));
	put("/proc/sys/kernel/shmmni", "1");
	SHOW(shmget(IPC_PRIVATE, 1, 0600));
	put("/proc/sys/kernel/shmmni", "10");
	pid = fork();
	if (pid == 0)
		_exit(shmget(0x4242, 1, IPC_CREAT | 0600) < 0);
	reap(pid);
	orphan = shmget(0x4242, 1, 0);
	IS(orphan >= 0);
	put("/proc/sys/kernel/shm_rmid_forced", "1");
	SHOW(shmget(0x4242, 1, 0));
	pid = fork();
	if (pid == 0)
		_exit(shmget(0x4242, 1, IPC_CREAT | 0600) < 0);
	reap(pid);
	SHOW(shmget(0x4242, 1, 0));
	SHOW(shmctl(orphan, IPC_RMID, NULL));
	SHOW(shmdt(p));
	stat_of(id);
}

int main(void)
{
	own_ipc();
	getting();
	attaching();
	more();
	return 0;
}
