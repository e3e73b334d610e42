/* SPDX-License-Identifier: Apache-2.0 */
/* abi-as: root */
/* Every resource limit where Linux enforces it. getrlimit(2) */
#include "check.h"
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sched.h>
#include <sys/file.h>

static void limit(int what, rlim_t soft, rlim_t hard)
{
	struct rlimit r = {soft, hard};

	if (setrlimit(what, &r))
		say("setrlimit: %s\n", strerrorname_np(errno));
}

#define M (1UL << 20)

static void *map(size_t size, int prot, int flags)
{
	return mmap(NULL, size, prot, flags | MAP_ANONYMOUS, -1, 0);
}

static void unprivileged(void)
{
	if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
		say("setresuid: %s\n", strerrorname_np(errno));
}

static void as(void)
{
	void *p;

	limit(RLIMIT_AS, 64 * M, 64 * M);
	IS(map(256 * M, PROT_READ, MAP_PRIVATE) == MAP_FAILED && errno == ENOMEM);
	IS(map(256 * M, PROT_NONE, MAP_PRIVATE) == MAP_FAILED && errno == ENOMEM);
	IS(map(256 * M, PROT_READ, MAP_SHARED) == MAP_FAILED && errno == ENOMEM);
	IS((p = map(4 * M, PROT_READ, MAP_PRIVATE)) != MAP_FAILED);
	IS(mremap(p, 4 * M, 128 * M, MREMAP_MAYMOVE) == MAP_FAILED && errno == ENOMEM);
	IS(sbrk(128 * M) == (void *)-1 && errno == ENOMEM);
}

static void data(void)
{
	void *p;

	limit(RLIMIT_DATA, 32 * M, 32 * M);
	IS(map(64 * M, PROT_READ | PROT_WRITE, MAP_PRIVATE) == MAP_FAILED && errno == ENOMEM);
	IS(map(64 * M, PROT_READ | PROT_WRITE, MAP_SHARED) != MAP_FAILED);
	IS((p = map(64 * M, PROT_READ, MAP_PRIVATE)) != MAP_FAILED);
	SHOW(mprotect(p, 64 * M, PROT_READ | PROT_WRITE));
	IS(sbrk(64 * M) == (void *)-1 && errno == ENOMEM);
	IS(map(1 * M, PROT_READ | PROT_WRITE, MAP_PRIVATE) != MAP_FAILED);
}

static int deep(int n)
{
	volatile char room[4096];

	memset((char *)room, n, sizeof room);
	return n ? deep(n - 1) + room[9] : 0;
}

static void stack(void)
{
	struct rlimit r = {1 * M, RLIM_INFINITY};

	setrlimit(RLIMIT_STACK, &r);
	r.rlim_cur = 0;
	setrlimit(RLIMIT_CORE, &r);
	deep(100);
	say("fits\n");
	deep(1000);
	say("fits too\n");
}

static void fsize(void)
{
	char text[1000];
	int fd = open("sized", O_RDWR | O_CREAT | O_TRUNC, 0600);

	memset(text, 'x', sizeof text);
	signal(SIGXFSZ, SIG_IGN);
	limit(RLIMIT_FSIZE, 1500, RLIM_INFINITY);
	SHOW(write(fd, text, 1000));
	SHOW(write(fd, text, 1000));
	SHOW(write(fd, text, 1000));
	SHOW(write(fd, text, 0));
	SHOW(pwrite(fd, text, 10, 5000));
	SHOW(pwrite(fd, text, 10, 0));
	SHOW(ftruncate(fd, 2000));
	SHOW(ftruncate(fd, 1500));
	SHOW(posix_fallocate(fd, 0, 4000));
	SHOW(lseek(fd, 1400, SEEK_SET));
	struct iovec io[2] = {{text, 50}, {text, 200}};
	SHOW(writev(fd, io, 2));
	signal(SIGXFSZ, SIG_DFL);
	write(fd, text, 1);
	say("not reached\n");
}

static void nofile(void)
{
	int p[2], fd;

	limit(RLIMIT_NOFILE, 20, 30);
	SHOW(dup2(0, 19));
	SHOW(dup2(0, 20));
	SHOW(fcntl(0, F_DUPFD, 20));
	SHOW(fcntl(0, F_DUPFD, 21));
	while ((fd = dup(0)) >= 0)
		;
	say("%s\n", strerrorname_np(errno));
	SHOW(open("/dev/null", O_RDONLY));
	SHOW(pipe(p));
	SHOW(poll(NULL, 21, 0));
	limit(RLIMIT_NOFILE, 30, 30);
	SHOW(dup2(0, 25));
	limit(RLIMIT_NOFILE, 5, 30);
	SHOW(fcntl(25, F_GETFD));
	limit(RLIMIT_NOFILE, 1UL << 40, 1UL << 40);
}

static void memlock(void)
{
	char *p;

	limit(RLIMIT_MEMLOCK, 64 << 10, 64 << 10);
	p = map(1 * M, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	SHOW(mlock(p, 1 * M));
	munlock(p, 1 * M);
	unprivileged();
	SHOW(mlock(p, 32 << 10));
	SHOW(mlock(p, 64 << 10));
	SHOW(mlock(p, 65 << 10));
	SHOW(mlock2(p + (64 << 10), 4096, MLOCK_ONFAULT));
	IS(map(128 << 10, PROT_READ, MAP_PRIVATE | MAP_LOCKED) == MAP_FAILED && errno == EAGAIN);
	SHOW(mlockall(MCL_CURRENT));
	SHOW(mlockall(MCL_FUTURE));
	IS(map(128 << 10, PROT_READ, MAP_PRIVATE) == MAP_FAILED && errno == EAGAIN);
	SHOW(munlockall());
	limit(RLIMIT_MEMLOCK, 0, 64 << 10);
	SHOW(mlock(p, 4096));
	SHOW(mlockall(MCL_CURRENT));
}

static volatile int xcpu;

static void on_xcpu(int signo)
{
	xcpu++;
}

static void cpu(void)
{
	struct rlimit r = {1, 2};

	signal(SIGXCPU, on_xcpu);
	setrlimit(RLIMIT_CPU, &r);
	while (!xcpu)
		;
	getrlimit(RLIMIT_CPU, &r);
	say("got SIGXCPU, limit %ld %ld\n", (long)r.rlim_cur, (long)r.rlim_max);
	for (;;)
		;
}

static void priorities(void)
{
	struct sched_param param = {.sched_priority = 5};

	limit(RLIMIT_NICE, 0, 0);
	limit(RLIMIT_RTPRIO, 0, 0);
	unprivileged();
	SHOW(setpriority(PRIO_PROCESS, 0, 10));
	SHOW(setpriority(PRIO_PROCESS, 0, -5));
	SHOW(setpriority(PRIO_PROCESS, 0, -6));
	SHOW(getpriority(PRIO_PROCESS, 0));
	SHOW(sched_setscheduler(0, SCHED_FIFO, &param));
	param.sched_priority = 6;
	SHOW(sched_setscheduler(0, SCHED_RR, &param));
	param.sched_priority = 4;
	SHOW(sched_setparam(0, &param));
	limit(RLIMIT_RTPRIO, 0, 0);
	SHOW(sched_setparam(0, &param));
	param.sched_priority = 0;
	SHOW(sched_setscheduler(0, SCHED_OTHER, &param));
	param.sched_priority = 1;
	SHOW(sched_setscheduler(0, SCHED_FIFO, &param));
}

static void rttime(void)
{
	struct sched_param param = {.sched_priority = 1};

	signal(SIGXCPU, on_xcpu);
	limit(RLIMIT_RTTIME, 100000, 300000);
	if (sched_setscheduler(0, SCHED_FIFO, &param))
		say("sched_setscheduler: %s\n", strerrorname_np(errno));
	while (!xcpu)
		;
	say("got SIGXCPU\n");
	for (;;)
		;
}

static void queued(void)
{
	union sigval value = {.sival_int = 1};
	sigset_t set;
	timer_t timer;
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};

	unprivileged();
	sigfillset(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	limit(RLIMIT_SIGPENDING, 3, 3);
	for (int i = 0; i < 5; i++)
		SHOW(sigqueue(getpid(), SIGRTMIN, value));
	SHOW(sigqueue(getpid(), SIGUSR1, value));
	SHOW(kill(getpid(), SIGUSR2));
	SHOW(kill(getpid(), SIGRTMIN + 1));
	SHOW(timer_create(CLOCK_MONOTONIC, &event, &timer));
}

static void locks(void)
{
	int fd = open("locked", O_RDWR | O_CREAT, 0600);

	limit(RLIMIT_LOCKS, 0, 0);
	SHOW(flock(fd, LOCK_EX));
	SHOW(lockf(fd, F_LOCK, 10));
}

static void core(void)
{
	limit(RLIMIT_CORE, 0, RLIM_INFINITY);
	abort();
}

static void setting(void)
{
	struct rlimit r, big = {10, 5};

	SHOW(setrlimit(RLIMIT_NOFILE, &big));
	SHOW(setrlimit(99, &big));
	SHOW(getrlimit(-1, &r));
	unprivileged();
	r = (struct rlimit){10, 10};
	SHOW(setrlimit(RLIMIT_LOCKS, &r));
	r.rlim_max = 11;
	SHOW(setrlimit(RLIMIT_LOCKS, &r));
	SHOW(prlimit(1, RLIMIT_LOCKS, NULL, &r));
	SHOW(prlimit(0, RLIMIT_LOCKS, &(struct rlimit){5, 10}, &r));
	say("%ld %ld\n", (long)r.rlim_cur, (long)r.rlim_max);
	SHOW(prlimit(999999, RLIMIT_LOCKS, NULL, &r));
}

int main(void)
{
	umask(0);
	chmod(".", 0777);
	in_child("as", as);
	in_child("data", data);
	in_child("stack", stack);
	in_child("fsize", fsize);
	in_child("nofile", nofile);
	in_child("memlock", memlock);
	in_child("cpu", cpu);
	in_child("priorities", priorities);
	in_child("rttime", rttime);
	in_child("sigpending", queued);
	in_child("locks", locks);
	in_child("core", core);
	in_child("setting", setting);
	return 0;
}
