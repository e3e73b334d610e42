/* SPDX-License-Identifier: Apache-2.0 */
/* The second half of memory management: advice, locks, limits, brk, stacks, other memories. */
#include "check.h"
#include <setjmp.h>

#define PAGE 4096L
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define RW (PROT_READ | PROT_WRITE)

static sigjmp_buf jump;
static siginfo_t seen;

static void on_fault(int sig, siginfo_t *info, void *context)
{
	seen = *info;
	siglongjmp(jump, sig);
}

static void touch(const char *what, volatile char *p, int write)
{
	int sig = sigsetjmp(jump, 1);

	if (sig) {
		say("%s: %s code %d addr %s\n", what, sigabbrev_np(sig), seen.si_code,
		    seen.si_addr == (void *)p ? "right" : "WRONG");
		return;
	}
	if (write)
		*p = 1;
	else
		(void)*p;
	say("%s: fine\n", what);
}

static char *area(long pages)
{
	return mmap(NULL, pages * PAGE, RW, ANON, -1, 0);
}

static void advice(void)
{
	char *p = area(8);
	int values[] = { MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED, MADV_DONTNEED,
			 MADV_FREE, MADV_REMOVE, MADV_DONTFORK, MADV_DOFORK, MADV_DONTDUMP,
			 MADV_DODUMP, MADV_WIPEONFORK, MADV_KEEPONFORK, 20, 21, 22, 23, 24, 555 };

	for (unsigned i = 0; i < sizeof values / sizeof *values; i++) {
		errno = 0;
		int result = madvise(p, 8 * PAGE, values[i]);
		say("advice %d: %d %s\n", values[i], result, strerrorname_np(errno));
	}
	munmap(p + 3 * PAGE, PAGE);
	memset(p, 'x', 2 * PAGE);
	memset(p + 4 * PAGE, 'x', 2 * PAGE);
	SHOW(madvise(p, 8 * PAGE, MADV_DONTNEED));
	say("%d %d\n", p[0], p[4 * PAGE]);
	SHOW(madvise(p + 1, PAGE, MADV_DONTNEED));
	SHOW(madvise(p, -PAGE, MADV_DONTNEED));
	SHOW(madvise(p, 0, MADV_DONTNEED));
	SHOW(madvise(p, 8 * PAGE, MADV_POPULATE_WRITE));
	mprotect(p, PAGE, PROT_READ);
	SHOW(madvise(p, PAGE, MADV_POPULATE_WRITE));
	SHOW(madvise(p, PAGE, MADV_POPULATE_READ));
	mprotect(p, PAGE, PROT_NONE);
	SHOW(madvise(p, PAGE, MADV_POPULATE_READ));
}

static char *kept, *wiped, *gone;

static void look(void)
{
	say("kept %d wiped %d\n", *kept, *wiped);
	(void)*(volatile char *)gone;
}

static void forks(void)
{
	kept = area(2);
	wiped = area(2);
	gone = area(2);
	*kept = *wiped = *gone = 7;
	madvise(wiped, 2 * PAGE, MADV_WIPEONFORK);
	madvise(gone, 2 * PAGE, MADV_DONTFORK);
	signal(SIGSEGV, SIG_DFL);
	in_child("child", look);
	say("still %d %d %d\n", *kept, *wiped, *gone);
}

static void faults(void)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER };
	int fd = open("f", O_RDWR | O_CREAT, 0644);
	char *p, *text;

	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	p = area(4);
	mprotect(p + PAGE, PAGE, PROT_READ);
	mprotect(p + 2 * PAGE, PAGE, PROT_NONE);
	munmap(p + 3 * PAGE, PAGE);
	touch("write read-only", p + PAGE + 5, 1);
	touch("read read-only", p + PAGE + 5, 0);
	touch("read none", p + 2 * PAGE + 5, 0);
	touch("write none", p + 2 * PAGE + 5, 1);
	touch("read unmapped", p + 3 * PAGE + 5, 0);
	touch("null", NULL, 0);
	touch("kernel", (char *)0xffffffff81000000, 0);
	ftruncate(fd, 100);
	text = mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0);
	touch("last page", text + 3000, 1);
	touch("beyond", text + PAGE + 1, 0);
	touch("beyond", text + PAGE + 1, 1);
	SHOW(write(fd, text + PAGE, 10));
	SHOW(read(fd, p + PAGE, 10));
	SHOW(write(fd, p + 2 * PAGE, 10));
	SHOW(pread(fd, (void *)-1, 10, 0));
	if (sigsetjmp(jump, 1) == 0)
		((void (*)(void))(p))();
	else
		say("run data: code %d addr %s\n", seen.si_code, seen.si_addr == p ? "right" : "WRONG");
	close(fd);
}

static void halves(void)
{
	int fds[2];
	char *p = area(2);
	struct iovec iov[3] = { { p + PAGE - 10, 10 }, { p + PAGE, 10 }, { p, 10 } };

	munmap(p + PAGE, PAGE);
	pipe2(fds, O_NONBLOCK);
	SHOW(write(open("g", O_CREAT | O_RDWR, 0644), p + PAGE - 10, 20));
	SHOW(writev(open("h", O_CREAT | O_RDWR, 0644), iov, 3));
	write(fds[1], "0123456789abcdef", 16);
	SHOW(read(fds[0], p, 20));
	SHOW(readv(fds[0], iov, 3));
	iov[0].iov_len = -1;
	SHOW(readv(fds[0], iov, 3));
	SHOW(readv(fds[0], iov, 2000));
	SHOW(readv(fds[0], iov, -1));
	SHOW(syscall(SYS_readv, fds[0], 8, 1));
}

static void locks(void)
{
	struct rlimit limit = { 8 * PAGE, 8 * PAGE };
	char *p = area(16);

	SHOW(mlock(p, 4 * PAGE));
	SHOW(mlock(p + 5, 10));
	SHOW(munlock(p, 16 * PAGE));
	SHOW(mlock2(p, PAGE, MLOCK_ONFAULT));
	SHOW(mlock2(p, PAGE, 2));
	SHOW(munlockall());
	munmap(p + 8 * PAGE, PAGE);
	SHOW(mlock(p, 16 * PAGE));
	SHOW(munlock(p, 16 * PAGE));
	SHOW(mlockall(0));
	SHOW(mlockall(64));
	SHOW(mlockall(MCL_ONFAULT));
	setrlimit(RLIMIT_MEMLOCK, &limit);
	SHOW(madvise(p, PAGE, MADV_DONTNEED));
}

static void resident(void)
{
	unsigned char vec[8];
	char *p = area(64);

	SHOW(mincore(p, 8 * PAGE, vec));
	for (int i = 0; i < 8; i++)
		say("%d", vec[i] & 1);
	memset(p, 1, 64 * PAGE);
	mincore(p, 8 * PAGE, vec);
	for (int i = 0; i < 8; i++)
		say("%d", vec[i] & 1);
	say("\n");
	SHOW(mincore(p + 1, PAGE, vec));
	SHOW(mincore(p, PAGE, (void *)8));
	munmap(p + PAGE, PAGE);
	SHOW(mincore(p, 2 * PAGE, vec));
	SHOW(mincore(p, 0, NULL));
}

static void heap(void)
{
	char *start = sbrk(0), *end;

	IS(sbrk(3 * PAGE) == start);
	memset(start, 1, 3 * PAGE);
	end = sbrk(0);
	IS(end == start + 3 * PAGE);
	IS(brk(start) == 0);
	sbrk(PAGE);
	say("%d\n", *start);
	SHOW(syscall(SYS_brk, 0) == (long)sbrk(0));
	SHOW(syscall(SYS_brk, -1L) == (long)sbrk(0));
	struct rlimit limit = { 1 << 20, RLIM_INFINITY };
	setrlimit(RLIMIT_DATA, &limit);
	IS(sbrk(8 << 20) == (void *)-1);
	IS(mmap(NULL, 8 << 20, RW, ANON, -1, 0) == MAP_FAILED);
	IS(mmap(NULL, 8 << 20, PROT_READ, ANON, -1, 0) != MAP_FAILED);
	limit.rlim_cur = 1 << 20;
	setrlimit(RLIMIT_AS, &limit);
	IS(mmap(NULL, PAGE, PROT_READ, ANON, -1, 0) == MAP_FAILED);
}

static int depth(int n)
{
	volatile char frame[8192];

	frame[0] = n;
	return n ? depth(n - 1) + frame[0] * 0 : 0;
}

static void deep(void) { depth(700); }
static void too_deep(void) { depth(1100); }

static void stacks(void)
{
	char *p = mmap(NULL, 8 * PAGE, RW, ANON | MAP_GROWSDOWN, -1, 0);

	IS(p != MAP_FAILED);
	p[7 * PAGE] = 1;
	SHOW(mprotect(p + 4 * PAGE, PAGE, PROT_READ | PROT_GROWSDOWN));
	SHOW(mprotect(p + 4 * PAGE, PAGE, RW | PROT_GROWSDOWN | PROT_GROWSUP));
	signal(SIGSEGV, SIG_DFL);
	in_child("deep", deep);
	in_child("too deep", too_deep);
}

static void moves(void)
{
	char *p = area(8), *q, *shared;

	memset(p, 'm', 8 * PAGE);
	q = mremap(p, 8 * PAGE, 8 * PAGE, MREMAP_MAYMOVE | 4 /* MREMAP_DONTUNMAP */, NULL);
	IS(q != MAP_FAILED && q != p);
	say("%c %d\n", q[5 * PAGE], p[5 * PAGE]);
	SHOW((long)mremap(q, 8 * PAGE, 0, 0));
	SHOW((long)mremap(q + 1, PAGE, PAGE, 0));
	SHOW((long)mremap(q, PAGE, PAGE, 64));
	SHOW((long)mremap(q, PAGE, 2 * PAGE, 4 | MREMAP_MAYMOVE, NULL));
	SHOW((long)mremap(q, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, q + PAGE));
	shared = mmap(NULL, 2 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	q = mremap(shared, 0, 2 * PAGE, MREMAP_MAYMOVE);
	shared[PAGE] = 'S';
	say("%c\n", q[PAGE]);
	SHOW((long)mremap(p, 0, PAGE, MREMAP_MAYMOVE));
}

static void others(void)
{
	char *mine = area(2), *theirs = area(2);
	struct iovec local = { mine, 20 }, remote = { theirs + PAGE - 5, 20 };
	int ready[2], done[2];
	char c;
	pid_t pid;

	strcpy(theirs + PAGE - 5, "parent");
	pipe(ready);
	pipe(done);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		strcpy(theirs + PAGE - 5, "child!");
		write(ready[1], "x", 1);
		read(done[0], &c, 1);
		_exit(strcmp(theirs + PAGE - 5, "NEWone"));
	}
	read(ready[0], &c, 1);
	SHOW(process_vm_readv(pid, &local, 1, &remote, 1, 0));
	say("%s %s\n", mine, theirs + PAGE - 5);
	memcpy(mine, "NEWone", 6);
	local.iov_len = 6;
	SHOW(process_vm_writev(pid, &local, 1, &remote, 1, 0));
	SHOW(process_vm_readv(pid, &local, 1, &remote, 1, 1));
	remote.iov_base = (void *)8;
	SHOW(process_vm_readv(pid, &local, 1, &remote, 1, 0));
	SHOW(process_vm_readv(1 << 29, &local, 1, &remote, 1, 0));
	write(done[1], "x", 1);
	int status;
	waitpid(pid, &status, 0);
	say("child saw it: %s\n", status ? "NO" : "yes");
}

static void map_lines(char *start, char *end)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512], perms[8];
	unsigned long from, to, offset;

	while (fgets(line, sizeof line, maps))
		if (sscanf(line, "%lx-%lx %4s %lx", &from, &to, perms, &offset) == 4 &&
		    from >= (unsigned long)start && to <= (unsigned long)end)
			say("+%lx %lx %s %lx\n", from - (unsigned long)start, to - from, perms, offset);
	fclose(maps);
}

static void maps(void)
{
	char *p = mmap(NULL, 64 * PAGE, PROT_NONE, ANON, -1, 0);
	int fd = open("f", O_RDWR | O_CREAT, 0644);

	ftruncate(fd, 8 * PAGE);
	mprotect(p + 4 * PAGE, 8 * PAGE, RW);
	mprotect(p + 6 * PAGE, 2 * PAGE, PROT_READ);
	mmap(p + 20 * PAGE, 2 * PAGE, PROT_READ, MAP_FIXED | MAP_PRIVATE, fd, PAGE);
	mmap(p + 22 * PAGE, 2 * PAGE, PROT_READ, MAP_FIXED | MAP_PRIVATE, fd, 3 * PAGE);
	mmap(p + 24 * PAGE, 2 * PAGE, PROT_READ, MAP_FIXED | MAP_PRIVATE, fd, PAGE);
	mmap(p + 26 * PAGE, 2 * PAGE, RW, MAP_FIXED | MAP_SHARED, fd, 0);
	mprotect(p + 20 * PAGE, PAGE, RW);
	munmap(p + 40 * PAGE, 4 * PAGE);
	map_lines(p, p + 64 * PAGE);
	mprotect(p + 20 * PAGE, PAGE, PROT_READ);
	mprotect(p + 4 * PAGE, 8 * PAGE, PROT_NONE);
	map_lines(p, p + 64 * PAGE);
	close(fd);
}

int main(int argc, char **argv)
{
	struct { const char *name; void (*run)(void); } parts[] = {
		{ "advice", advice }, { "forks", forks }, { "faults", faults }, { "halves", halves },
		{ "locks", locks }, { "resident", resident }, { "heap", heap }, { "stacks", stacks },
		{ "moves", moves }, { "others", others }, { "maps", maps },
	};

	for (unsigned i = 0; i < sizeof parts / sizeof *parts; i++)
		if (argc < 2 || strcmp(argv[1], parts[i].name) == 0)
			in_child(parts[i].name, parts[i].run);
	return 0;
}
