/* SPDX-License-Identifier: Apache-2.0 */
/* mmap(2) and its family: private, shared, files, protection, moving. */
#include "check.h"
#include <setjmp.h>

#define PAGE 4096L
static sigjmp_buf jump;

static void on_fault(int sig) { siglongjmp(jump, sig); }

static const char *touch(volatile char *p, int write)
{
	int sig = sigsetjmp(jump, 1);

	if (sig)
		return sigabbrev_np(sig);
	if (write)
		*p = *p + 1;
	else
		(void)*p;
	return "fine";
}

static char *map(long pages, int prot, int flags, int fd, long offset)
{
	char *p = mmap(NULL, pages * PAGE, prot, flags, fd, offset);

	if (p == MAP_FAILED)
		say("mmap: %s\n", strerrorname_np(errno));
	return p;
}

static void anonymous(void)
{
	char *p = map(8, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *q;
	long total = 0;

	for (long i = 0; i < 8 * PAGE; i++)
		total += p[i];
	say("zero: %ld\n", total);
	strcpy(p + 2 * PAGE, "third page");
	SHOW(mprotect(p + 2 * PAGE, PAGE, PROT_READ));
	say("%s %s\n", touch(p + 2 * PAGE, 0), touch(p + 2 * PAGE, 1));
	SHOW(mprotect(p + 2 * PAGE, PAGE, PROT_NONE));
	say("%s\n", touch(p + 2 * PAGE, 0));
	SHOW(mprotect(p + 2 * PAGE, PAGE, PROT_READ | PROT_WRITE));
	say("%s\n", p + 2 * PAGE);
	SHOW(munmap(p + 3 * PAGE, PAGE));
	say("%s %s\n", touch(p + 3 * PAGE, 0), touch(p + 4 * PAGE, 1));
	SHOW(mprotect(p, 8 * PAGE, PROT_READ));
	SHOW(mprotect(p + 1, PAGE, PROT_READ));
	SHOW(mprotect(p, PAGE, 0x100));
	SHOW(munmap(p, 8 * PAGE));
	SHOW(munmap(p, 0));
	SHOW(munmap(p + 1, PAGE));
	p = map(4, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	p[0] = 'a';
	p[3 * PAGE] = 'd';
	q = mremap(p, 4 * PAGE, 64 * PAGE, MREMAP_MAYMOVE);
	say("%c%c%d\n", q[0], q[3 * PAGE], q[63 * PAGE]);
	IS(mremap(q, 64 * PAGE, 2 * PAGE, 0) == q);
	say("%s\n", touch(q + 2 * PAGE, 0));
	p = map(1, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *place = map(32, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) + 16 * PAGE;
	IS(mremap(q, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, place) == place);
	say("%c %s\n", *place, touch(q, 0));
	SHOW((long)mremap((void *)PAGE, PAGE, 2 * PAGE, 0));
	SHOW(madvise(place, PAGE, MADV_DONTNEED));
	say("%d\n", *place);
	SHOW(madvise(p, PAGE, 9999));
	SHOW(madvise((void *)PAGE, PAGE, MADV_DONTNEED));
}

static void files(void)
{
	int fd = open("f", O_RDWR | O_CREAT, 0644), ro;
	char text[16] = "", *shared, *private, *read_only;
	unsigned char vec[4];

	ftruncate(fd, 2 * PAGE + 100);
	pwrite(fd, "first", 5, 0);
	pwrite(fd, "third", 5, 2 * PAGE);
	shared = map(3, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	private = map(3, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	say("%s %s\n", shared, shared + 2 * PAGE);
	memcpy(shared, "FIRST", 5);
	memcpy(private + 2 * PAGE, "mine ", 5);
	pread(fd, text, 5, 0);
	say("%s %s\n", text, private);
	pread(fd, text, 5, 2 * PAGE);
	say("%s %s %s\n", text, shared + 2 * PAGE, private + 2 * PAGE);
	pwrite(fd, "written", 7, PAGE);
	say("%s %s\n", shared + PAGE, private + PAGE);
	SHOW(msync(shared, 3 * PAGE, MS_SYNC));
	SHOW(msync(shared, 3 * PAGE, MS_SYNC | MS_ASYNC));
	SHOW(msync(shared + 1, PAGE, MS_SYNC));
	SHOW(mincore(shared, PAGE, vec));
	say("%d\n", vec[0] & 1);
	say("%s\n", touch(shared + 2 * PAGE + 4000, 1));
	ftruncate(fd, PAGE);
	say("%s %s\n", touch(shared + PAGE, 0), touch(private + PAGE, 0));
	ftruncate(fd, 2 * PAGE);
	say("%d\n", shared[PAGE]);
	ro = open("f", O_RDONLY);
	read_only = map(1, PROT_READ, MAP_SHARED, ro, 0);
	say("%.5s\n", read_only);
	SHOW(mprotect(read_only, PAGE, PROT_READ | PROT_WRITE));
	map(1, PROT_READ | PROT_WRITE, MAP_SHARED, ro, 0);
	map(1, PROT_READ | PROT_WRITE, MAP_PRIVATE, ro, 0);
	map(1, PROT_READ, MAP_SHARED, fd, 1);
	map(1, PROT_READ, 0, fd, 0);
	map(1, PROT_READ, MAP_PRIVATE, 99, 0);
	map(0, PROT_READ, MAP_PRIVATE, fd, 0);
	map(1, PROT_READ, MAP_PRIVATE, open(".", O_RDONLY), 0);
	close(fd);
	memcpy(shared, "last!", 5);
	pread(ro, text, 5, 0);
	say("%s\n", text);
}

static void forked(void)
{
	char *shared = map(1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char *private = map(1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int status;

	strcpy(shared, "before");
	strcpy(private, "before");
	fflush(stdout);
	if (fork() == 0) {
		strcpy(shared, "child");
		strcpy(private, "child");
		_exit(0);
	}
	wait(&status);
	say("%s %s\n", shared, private);
}

static void places(void)
{
	char *p = map(4, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	strcpy(p + PAGE, "gone soon");
	IS(mmap(p + PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p + PAGE);
	say("[%s]\n", p + PAGE);
	SHOW((long)mmap(p, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
	SHOW((long)mmap(p + 1, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	SHOW((long)mmap((void *)0x7ffffffff000, PAGE, 1, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	SHOW((long)mmap(NULL, 1L << 47, 1, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	SHOW((long)mmap(NULL, PAGE, 1, MAP_PRIVATE | MAP_ANONYMOUS | MAP_SHARED, -1, 0) == -1);
	IS(mmap(p, PAGE, 1, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != p);
	SHOW(mlock(p, PAGE));
	SHOW(munlock(p, PAGE));
	SHOW(mlock((void *)PAGE, PAGE));
	char *heap = sbrk(0);
	IS(sbrk(100000) == heap);
	memset(heap, 1, 100000);
	IS(sbrk(-100000) == heap + 100000);
	IS(sbrk(0) == heap);
	sbrk(8192);
	say("%d\n", heap[4096 + 3000]);
}

int main(void)
{
	signal(SIGSEGV, on_fault);
	signal(SIGBUS, on_fault);
	anonymous();
	files();
	forked();
	places();
	return 0;
}
