/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Costs of single operations. `micro [-t MS] [-b BUSYBOX] [NAME...]` prints a line "NAME NS" for
 * each: nanoseconds per operation, the median of several batches that together take about MS.
 * The same binary runs natively and under pygos.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
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

static void null_call(long n)
{
	while (n--)
		syscall(SYS_getppid);
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

static void fork_exec(long n)
{
	while (n--) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (pid == 0) {
			execl(busybox, "busybox", "true", NULL);
			_exit(127);
		}
		int status;

		waitpid(pid, &status, 0);
		if (status) {
			fprintf(stderr, "%s: status %x\n", busybox, status);
			exit(1);
		}
	}
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

/* A mix of integer work and memory accesses that makes no system call. */
static void cpu(long n)
{
	static uint32_t table[16384];
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

static const struct {
	const char *name;
	void (*run)(long n);
} tests[] = {
	{ "null", null_call },	     { "clock", clock_call },	{ "read64", read_64 },
	{ "read4k", read_4k },	     { "read64k", read_64k },	{ "write4k", write_4k },
	{ "openclose", open_close }, { "stat", stat_file },	{ "pingpong", ping_pong },
	{ "signal", signals },	     { "fault", touch },	{ "mmap", map_unmap },
	{ "thread", thread },	     { "forkexit", fork_exit }, { "forkexec", fork_exec },
	{ "cpu", cpu },
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
	int option;

	while ((option = getopt(argc, argv, "t:b:")) != -1) {
		if (option == 't')
			budget = atof(optarg) * 1e6;
		else if (option == 'b')
			busybox = optarg;
		else
			return 2;
	}
	prepare();
	for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++) {
		int wanted = optind == argc;

		for (int j = optind; j < argc; j++)
			wanted |= !strcmp(argv[j], tests[i].name);
		if (wanted)
			measure(tests[i].name, tests[i].run, budget);
	}
	unlink("micro.data");
	return 0;
}
