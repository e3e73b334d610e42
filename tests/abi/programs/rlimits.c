/* SPDX-License-Identifier: Apache-2.0 */
/* Resource limits and what happens at them. */
#include "check.h"

static void file_size(void)
{
	struct rlimit limit = { 100, 100 };
	char buf[64] = "";
	int fd = open("limited", O_WRONLY | O_CREAT, 0600);

	setrlimit(RLIMIT_FSIZE, &limit);
	SHOW(write(fd, buf, 64));
	SHOW(write(fd, buf, 64));
	signal(SIGXFSZ, SIG_IGN);
	SHOW(write(fd, buf, 64));
	SHOW(ftruncate(fd, 200));
	signal(SIGXFSZ, SIG_DFL);
	write(fd, buf, 64);
}

static void cpu(void)
{
	struct rlimit limit = { 1, 2 };

	setrlimit(RLIMIT_CPU, &limit);
	for (;;)
		;
}

static void address_space(void)
{
	struct rlimit limit = { 64 << 20, 64 << 20 };

	setrlimit(RLIMIT_AS, &limit);
	SHOW((long)mmap(NULL, 128 << 20, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	IS(mmap(NULL, 1 << 20, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
}

int main(void)
{
	struct rlimit limit;
	struct rusage usage;
	int fd;

	SHOW(getrlimit(RLIMIT_NOFILE, &limit));
	limit.rlim_cur = 6;
	SHOW(setrlimit(RLIMIT_NOFILE, &limit));
	while ((fd = open("/dev/null", O_RDONLY)) >= 0)
		say("fd %d\n", fd);
	say("%s\n", strerrorname_np(errno));
	SHOW(dup2(0, 6));
	SHOW(dup2(0, 5));
	SHOW(fcntl(0, F_DUPFD, 6));
	SHOW(pipe((int[2]){ 0 }));
	limit.rlim_cur = limit.rlim_max + 1;
	SHOW(setrlimit(RLIMIT_NOFILE, &limit));
	SHOW(getrlimit(99, &limit));
	SHOW(prlimit(0, RLIMIT_NOFILE, NULL, &limit));
	say("%ld\n", (long)limit.rlim_cur);
	SHOW(prlimit(999999, RLIMIT_NOFILE, NULL, &limit));
	close(5);
	close(4);
	in_child("file size", file_size);
	in_child("cpu", cpu);
	in_child("address space", address_space);
	SHOW(getrusage(RUSAGE_CHILDREN, &usage));
	double used = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec +
		      (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
	IS(used > 0.1 && used < 5);
	SHOW(getrusage(7, &usage));
	SHOW(getpriority(PRIO_PROCESS, 0));
	SHOW(setpriority(PRIO_PROCESS, 0, 5));
	SHOW(getpriority(PRIO_PROCESS, 0));
	SHOW(nice(100));
	SHOW(getpriority(9, 0));
	return 0;
}
