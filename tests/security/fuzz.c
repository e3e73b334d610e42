// SPDX-License-Identifier: Apache-2.0
/*
 * Random system calls from inside: fuzz SEED MILLISECONDS.
 *
 * Children make calls with plausible arguments until they die, hang or have made a few hundred;
 * everything that they leave behind is killed before the next one starts. Prints how many
 * children ran and how many calls they made.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static uint64_t state;
static char *area;		/* 64 KiB to scribble on; a page that can't be written; a hole */
static long *calls_made;	/* shared with the children */

static uint64_t rnd(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static uint64_t below(uint64_t n) { return rnd() % n; }

static const uint64_t edges[] = {
	0, 1, 2, 3, 4, 7, 8, 16, 24, 63, 64, 65, 128, 255, 1000, 1024, 1025, 4095, 4096, 4097,
	65536, 1 << 20, 0x7fffffff, 0x80000000, 0xffffffff, 1UL << 32, 1UL << 40, 1UL << 62,
	(1UL << 47) - 4096, 1UL << 47, (1UL << 63) - 1, 1UL << 63, -1UL, -2UL, -8UL, -100UL, -4096UL,
};

static const char *paths[] = {
	"/tmp/f", "/tmp/g", "/tmp/d", "/tmp/d/x", "/tmp/l", "/tmp/loop", "/tmp/fifo", "/tmp/new",
	"/tmp", ".", "..", "", "f", "d", "/proc/self/exe", "/proc/self/fd/3", "/proc/self/maps",
	"/proc/self/mem", "/proc/self/cwd", "/proc/self/task", "/proc/self/status", "/dev/null",
	"/dev/zero", "/dev/ptmx", "/dev/tty", "/dev/full", "/dev/shm/x", "/bin/true", "/etc/passwd",
	"/bin", "/sys/kernel", "/proc/1/root", "/proc/self/oom_score_adj", "user.a", "tmpfs", "proc",
};

static uint64_t address(void)
{
	static const uint64_t bad[] = {
		0, 1, 0x400000, 0x7fff80000000, 0x7fffffffe000, 0x7ffffffff000, 0x800000000000,
		-4096UL, 1UL << 63,
	};
	switch (below(6)) {
	case 0: return (uint64_t)area + 65536 - 8 + below(16);
	case 1: return (uint64_t)area + below(32) * 4096;
	case 2: return bad[below(sizeof bad / sizeof *bad)];
	case 3: return (uint64_t)&state + below(4096) * 8 - 16384;
	default: return (uint64_t)area + below(8192) * 8;
	}
}

static uint64_t number(void)
{
	switch (below(4)) {
	case 0: return below(64);
	case 1: return 1UL << below(64);
	case 2: return rnd() >> below(64);
	default: return edges[below(sizeof edges / sizeof *edges)];
	}
}

/* A pointer to something new: a path, words of some struct, or where it may. */
static uint64_t pointer(void)
{
	char *at = area + below(15) * 4096;
	uint64_t *words = (uint64_t *)at;
	switch (below(8)) {
	case 0: return address();
	case 1: case 2: case 3:
		return (uint64_t)strcpy(at, paths[below(sizeof paths / sizeof *paths)]);
	case 4:
		for (int i = 0; i < 32; i++)
			words[i] = below(3);
		return (uint64_t)at;
	case 5:
		for (int i = 0; i < 32; i += 2) {
			words[i] = address();
			words[i + 1] = below(10000);
		}
		return (uint64_t)at;
	default:
		for (int i = 0; i < 32; i++)
			words[i] = below(2) ? number() : below(40) | below(64) << 32;
		return (uint64_t)at + below(2) * below(16);
	}
}

static uint64_t argument(void)
{
	switch (below(8)) {
	case 0: case 1: return below(40);
	case 2: case 3: case 4: return pointer();
	case 5: return number();
	case 6: return below(3);
	default: return -100UL;
	}
}

/* What would end the test and not only the child that does it. */
static int excluded(long nr)
{
	switch (nr) {
	case SYS_exit: case SYS_exit_group: case SYS_reboot: case SYS_kill: case SYS_tkill:
	case SYS_tgkill: case SYS_rt_sigqueueinfo: case SYS_rt_tgsigqueueinfo:
	case SYS_prlimit64: case SYS_pause: case SYS_chroot: case SYS_pivot_root:
	case SYS_setrlimit: case SYS_vhangup: case SYS_umount2:
		return geteuid() == 0 || nr == SYS_exit || nr == SYS_exit_group || nr == SYS_pause;
	}
	return 0;
}

static void open_everything(void)
{
	int ends[2];
	for (unsigned i = 0; i < sizeof paths / sizeof *paths; i++)
		if (open(paths[i], O_RDWR | O_NONBLOCK) < 0)
			open(paths[i], O_RDONLY | O_NONBLOCK);
	pipe2(ends, O_NONBLOCK);
	pipe(ends);
	eventfd(1, EFD_NONBLOCK);
	epoll_create1(0);
	timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
	memfd_create("x", MFD_ALLOW_SEALING);
	socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
	socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, ends);
	socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
}

static void wake(int signo) { (void)signo; }

/* Calls that sleep are interrupted now and then. */
static void start_alarms(void)
{
	struct sigaction action = {.sa_handler = wake};
	struct itimerval often = {{0, 20000}, {0, 20000}};

	sigaction(SIGALRM, &action, 0);
	setitimer(ITIMER_REAL, &often, 0);
}

static void child(int calls)
{
	struct rlimit few = {40, 40}, small = {64 << 20, 64 << 20};
	pid_t me = getpid();

	open_everything();
	if (below(3)) {
		setrlimit(RLIMIT_NPROC, &few);
		if (setresuid(1000, 1000, 1000))
			_exit(1);
	}
	setrlimit(RLIMIT_FSIZE, &small);
	start_alarms();
	/* Some of them make a few kinds of calls only, and so get deeper. */
	long kinds[12];
	int few_kinds = below(2);
	for (int i = 0; i < 12; i++)
		kinds[i] = below(470);
	for (int i = 0; i < calls; i++) {
		long nr = few_kinds ? kinds[below(12)] : (long)below(470);
		if (excluded(nr))
			continue;
		if (below(500) == 0)
			nr = number();
		__atomic_fetch_add(calls_made, 1, __ATOMIC_RELAXED);
		syscall(nr, argument(), argument(), argument(), argument(), argument(), argument());
		if (syscall(SYS_getpid) != me && below(8) == 0)
			break;
	}
	syscall(SYS_exit_group, 0);
}

static void prepare(void)
{
	int fd = open("/tmp/f", O_CREAT | O_RDWR, 0666);
	char text[8192];
	memset(text, 'a', sizeof text);
	if (fd >= 0)
		write(fd, text, sizeof text);
	close(fd);
	mkdir("/tmp/d", 0777);
	symlink("f", "/tmp/l");
	symlink("loop", "/tmp/loop");
	mkfifo("/tmp/fifo", 0666);
	area = mmap(0, 32 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mprotect(area + 16 * 4096, 8 * 4096, PROT_READ);
	munmap(area + 24 * 4096, 8 * 4096);
	calls_made = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static long now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int main(int argc, char **argv)
{
	uint64_t seed = strtoul(argv[1], 0, 0);
	long limit = strtol(argv[2], 0, 0), start = now(), spent = 0, children = 0;
	sigset_t chld;

	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, 0);
	chdir("/tmp");
	prepare();
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	while (spent < limit) {
		struct timespec patience = {1, 0}, none = {0, 0};
		state = (seed * 1000003 + children) * 0x9e3779b97f4a7c15 | 1;
		pid_t pid = fork();
		if (pid == 0) {
			sigprocmask(SIG_UNBLOCK, &chld, 0);
			child(300);
		}
		if (pid < 0) {
			perror("fork");
			return 1;
		}
		children++;
		sigtimedwait(&chld, 0, &patience);
		kill(-1, SIGKILL);
		while (waitpid(-1, 0, __WALL) > 0)
			;
		while (sigtimedwait(&chld, 0, &none) > 0)
			;
		/* The children may set the clock: what is monotonic stays so. */
		spent = now() - start;
	}
	printf("%ld children, %ld calls\n", children, *calls_made);
	return 0;
}
