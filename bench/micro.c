/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Costs of single operations. `micro [-t MS] [-b BUSYBOX] [NAME...]` prints a line "NAME NS" for
 * each: nanoseconds per operation, the median of several batches that together take about MS.
 * The same binary runs natively and under pygos. With -n COUNT each is done that often, untimed:
 * to be measured from outside.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BATCHES 7
#define PAGE 4096L
#define POOL (32L << 20)

static char buffer[65536];
static int file, ping[2], pong[2];
static char *pool;
static const char *busybox = "/bin/busybox";

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e9 + ts.tv_nsec;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* A call that only the kernel can answer, as it changes something, and that does next to nothing. */
static void null_call(long n)
{
	while (n--)
		syscall(SYS_umask, 022);
}

static void getpid_call(long n)
{
	while (n--)
		syscall(SYS_getpid);
}

static void seek_read(long n)
{
	while (n--)
		if (lseek(file, 4096, SEEK_SET) != 4096 || read(file, buffer, 4096) != 4096)
			die("read");
}

static void read_64(long n)
{
	while (n--)
		if (pread(file, buffer, 64, 0) != 64)
			die("pread");
}

static void read_4k(long n)
{
	while (n--)
		if (pread(file, buffer, 4096, 4096) != 4096)
			die("pread");
}

static void read_64k(long n)
{
	while (n--)
		if (pread(file, buffer, 65536, 0) != 65536)
			die("pread");
}

static void write_4k(long n)
{
	while (n--)
		if (pwrite(file, buffer, 4096, 8192) != 4096)
			die("pwrite");
}

static void open_close(long n)
{
	while (n--) {
		int fd = open("micro.data", O_RDONLY);

		if (fd < 0)
			die("open");
		close(fd);
	}
}

static void stat_file(long n)
{
	struct stat st;

	while (n--)
		if (stat("micro.data", &st))
			die("stat");
}

static void clock_call(long n)
{
	struct timespec ts;

	while (n--)
		clock_gettime(CLOCK_MONOTONIC, &ts);
}

static void ping_pong(long n)
{
	char c = 0;
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid == 0) {
		for (long i = 0; i < n; i++)
			if (read(ping[0], &c, 1) != 1 || write(pong[1], &c, 1) != 1)
				_exit(1);
		_exit(0);
	}
	for (long i = 0; i < n; i++)
		if (write(ping[1], &c, 1) != 1 || read(pong[0], &c, 1) != 1)
			die("ping");
	waitpid(pid, NULL, 0);
}

static void fork_exit(long n)
{
	while (n--) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (pid == 0)
			_exit(0);
		waitpid(pid, NULL, 0);
	}
}

static void execute(const char *path, const char *name)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		die("fork");
	if (pid == 0) {
		execl(path, name, "true", NULL);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	if (status) {
		fprintf(stderr, "%s: status %x\n", path, status);
		exit(1);
	}
}

static void fork_exec(long n)
{
	while (n--)
		execute(busybox, "busybox");
}

/* A dynamic program: the loader and the C library are mapped and relocated too. */
static void fork_exec_dynamic(long n)
{
	while (n--)
		execute("/bin/true", "true");
}

static void *nothing(void *arg) { return arg; }

static void thread(long n)
{
	pthread_t t;

	while (n--) {
		if (pthread_create(&t, NULL, nothing, NULL))
			die("pthread_create");
		pthread_join(t, NULL);
	}
}

/* Each page is touched for the first time; the pages of one round are given back together. */
static void touch(long n)
{
	while (n > 0) {
		long size = n * PAGE < POOL ? n * PAGE : POOL;

		for (long i = 0; i < size; i += PAGE)
			*(volatile char *)(pool + i) = 1;
		madvise(pool, POOL, MADV_DONTNEED);
		n -= size / PAGE;
	}
}

static void map_unmap(long n)
{
	while (n--) {
		char *p = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			die("mmap");
		munmap(p, 16 * PAGE);
	}
}

static void on_signal(int sig) { (void)sig; }

static void signals(long n)
{
	pid_t self = getpid();

	signal(SIGUSR1, on_signal);
	while (n--)
		kill(self, SIGUSR1);
}

static volatile long got;

static void on_count(int sig) { got += sig == SIGUSR2; }

/* Signals between processes, each answered by one back. */
static void signal_pair(long n)
{
	sigset_t usr2, old;

	signal(SIGUSR2, on_count);
	sigemptyset(&usr2);
	sigaddset(&usr2, SIGUSR2);
	sigprocmask(SIG_BLOCK, &usr2, &old);
	got = 0;
	pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		die("fork");
	if (pid == 0) {
		for (long i = 1; i <= n; i++) {
			while (got < i)
				sigsuspend(&old);
			kill(parent, SIGUSR2);
		}
		_exit(0);
	}
	for (long i = 1; i <= n; i++) {
		kill(pid, SIGUSR2);
		while (got < i)
			sigsuspend(&old);
	}
	sigprocmask(SIG_SETMASK, &old, NULL);
	waitpid(pid, NULL, 0);
}

static int turn __attribute__((aligned(64)));
static long turns;

static void take_turns(int mine)
{
	for (long i = 0; i < turns; i++) {
		while (__atomic_load_n(&turn, __ATOMIC_ACQUIRE) != mine)
			syscall(SYS_futex, &turn, 128 /* WAIT | PRIVATE */, !mine, NULL, NULL, 0);
		__atomic_store_n(&turn, !mine, __ATOMIC_RELEASE);
		syscall(SYS_futex, &turn, 129 /* WAKE | PRIVATE */, 1, NULL, NULL, 0);
	}
}

static void *second(void *arg)
{
	take_turns(1);
	return arg;
}

/* Two threads that wake each other through a futex. */
static void futex_turns(long n)
{
	pthread_t t;

	turn = 0;
	turns = n;
	if (pthread_create(&t, NULL, second, NULL))
		die("pthread_create");
	take_turns(0);
	pthread_join(t, NULL);
}

static void futex_wake(long n)
{
	static int word;

	while (n--)
		syscall(SYS_futex, &word, 129, 1, NULL, NULL, 0);
}

static void yield_call(long n)
{
	while (n--)
		sched_yield();
}

/* Fork of a process that has written 100 MiB. They stay: run this last. */
static void fork_big(long n)
{
	static char *big;
	long size = 100L << 20;

	if (!big) {
		big = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (big == MAP_FAILED)
			die("mmap");
		madvise(big, size, MADV_NOHUGEPAGE);
		memset(big, 1, size);
	}
	fork_exit(n);
}

static void exec_again(long left)
{
	char count[32];

	if (!left)
		exit(0);
	snprintf(count, sizeof(count), "%ld", left - 1);
	execl("/proc/self/exe", "micro", "-x", count, NULL);
	exit(127);
}

/* This program executes itself, over and over, in one process. */
static void exec_only(long n)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		die("fork");
	if (pid == 0)
		exec_again(n);
	waitpid(pid, &status, 0);
	if (status)
		die("exec");
}

/* A mix of integer work and memory accesses that makes no system call. */
static void cpu(long n)
{
	static __thread uint32_t table[16384];
	uint64_t x = 88172645463325252u;

	while (n--) {
		for (int i = 0; i < 4096; i++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			table[x & 16383] += x >> 32;
		}
	}
	buffer[0] = table[x & 16383];
}

static void *cpu_thread(void *n)
{
	cpu((long)n);
	return NULL;
}

/* The same in two threads at once. */
static void cpu_twice(long n)
{
	pthread_t t;

	if (pthread_create(&t, NULL, cpu_thread, (void *)n))
		die("pthread_create");
	cpu(n);
	pthread_join(t, NULL);
}

static const struct {
	const char *name;
	void (*run)(long n);
} tests[] = {
	{ "null", null_call },	     { "clock", clock_call },	{ "read64", read_64 },
	{ "read4k", read_4k },	     { "read64k", read_64k },	{ "write4k", write_4k },
	{ "openclose", open_close }, { "stat", stat_file },	{ "pingpong", ping_pong },
	{ "signal", signals },	     { "fault", touch },	{ "mmap", map_unmap },
	{ "thread", thread },	     { "forkexit", fork_exit }, { "forkexec", fork_exec },
	{ "cpu", cpu },		     { "cpu2", cpu_twice },	{ "signalpair", signal_pair },
	{ "futex", futex_turns },    { "futexwake", futex_wake }, { "yield", yield_call },
	{ "exec", exec_only },	     { "getpid", getpid_call }, { "seekread", seek_read },
	{ "forktrue", fork_exec_dynamic }, { "forkbig", fork_big },
};

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double timed(void (*run)(long), long n)
{
	double start = now();

	run(n);
	return now() - start;
}

static void measure(const char *name, void (*run)(long), double budget)
{
	double cost[BATCHES], spent;
	long n = 1;

	run(1);
	while ((spent = timed(run, n)) < budget / BATCHES / 2 && n < 1L << 30)
		n *= spent < budget / BATCHES / 20 ? 8 : 2;
	for (int i = 0; i < BATCHES; i++)
		cost[i] = timed(run, n) / n;
	qsort(cost, BATCHES, sizeof(*cost), ascending);
	printf("%s %.1f\n", name, cost[BATCHES / 2]);
	fflush(stdout);
}

static void prepare(void)
{
	memset(buffer, 1, sizeof(buffer)); /* whoever reads something also looks at it */
	file = open("micro.data", O_RDWR | O_CREAT | O_TRUNC, 0644);
	if (file < 0 || write(file, buffer, sizeof(buffer)) != sizeof(buffer))
		die("micro.data");
	if (pipe(ping) || pipe(pong))
		die("pipe");
	pool = mmap(NULL, POOL, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pool == MAP_FAILED)
		die("mmap");
	madvise(pool, POOL, MADV_NOHUGEPAGE);
}

int main(int argc, char **argv)
{
	double budget = 300e6;
	long count = 0;
	int option;

	while ((option = getopt(argc, argv, "t:b:x:n:")) != -1) {
		if (option == 't')
			budget = atof(optarg) * 1e6;
		else if (option == 'b')
			busybox = optarg;
		else if (option == 'n')
			count = atol(optarg);
		else if (option == 'x')
			exec_again(atol(optarg));
		else
			return 2;
	}
	prepare();
	for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++) {
		int wanted = optind == argc;

		for (int j = optind; j < argc; j++)
			wanted |= !strcmp(argv[j], tests[i].name);
		if (wanted && count)
			tests[i].run(count);
		else if (wanted)
			measure(tests[i].name, tests[i].run, budget);
	}
	unlink("micro.data");
	return 0;
}
