/* SPDX-License-Identifier: Apache-2.0 */
/* Errors of the memory calls, and what is left after partly failed ones. */
#include "check.h"

static char *area;
#define PAGE 4096
#define HIGH ((void *)0x7ffffffff000)

static void fresh(void)
{
	if (area)
		munmap(area, 16 * PAGE);
	area = mmap(area, 16 * PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | (area ? MAP_FIXED : 0), -1, 0);
}

/* mmap whose address doesn't matter */
static long map(void *at, size_t length, int prot, int flags, int fd, off_t offset)
{
	void *got = mmap(at, length, prot, flags, fd, offset);

	if (got == MAP_FAILED)
		return -1;
	munmap(got, length);
	return 0;
}

static void mapping(void)
{
	int read_only, write_only, directory, pipes[2], rw;

	put("file", "0123456789");
	read_only = open("file", O_RDONLY);
	write_only = open("file", O_WRONLY);
	rw = open("file", O_RDWR);
	directory = open(".", O_RDONLY);
	pipe(pipes);
	SHOW(map(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	SHOW(map(NULL, -1ul, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	SHOW(map(NULL, 1ul << 47, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	SHOW(map(NULL, PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0));
	SHOW(map(NULL, PAGE, PROT_READ, MAP_PRIVATE, -1, 0));
	SHOW(map(NULL, PAGE, PROT_READ, MAP_PRIVATE, rw, 1));
	SHOW(map((void *)1, PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, rw, 0));
	SHOW(map(HIGH, PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, rw, 0));
	SHOW(map(HIGH, PAGE, PROT_READ, MAP_PRIVATE, rw, 0));
	SHOW(map(area, PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED_NOREPLACE, rw, 0));
	SHOW(map(NULL, PAGE, PROT_WRITE, MAP_SHARED, read_only, 0));
	SHOW(map(NULL, PAGE, PROT_WRITE, MAP_PRIVATE, read_only, 0));
	SHOW(map(NULL, PAGE, PROT_READ, MAP_SHARED, write_only, 0));
	SHOW(map(NULL, PAGE, PROT_WRITE, MAP_SHARED, write_only, 0));
	SHOW(map(NULL, PAGE, PROT_READ, MAP_PRIVATE, write_only, 0));
	SHOW(map(NULL, PAGE, PROT_READ, MAP_SHARED, directory, 0));
	SHOW(map(NULL, PAGE, PROT_READ, MAP_SHARED, pipes[0], 0));
	SHOW(map(NULL, PAGE, PROT_READ, MAP_SHARED, rw, 1ul << 62));
	SHOW(map(NULL, PAGE, PROT_READ, MAP_SHARED_VALIDATE, rw, 0));
	SHOW(map(NULL, PAGE, PROT_READ, MAP_SHARED_VALIDATE | 1 << 30, rw, 0));
	SHOW(map(NULL, PAGE, PROT_READ, MAP_SHARED | 1 << 30, rw, 0));
	SHOW(map(NULL, PAGE, PROT_READ | 64, MAP_SHARED, rw, 0));
	SHOW(map(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_GROWSDOWN | MAP_ANONYMOUS, -1, 0));
	SHOW(map(NULL, PAGE, PROT_READ, MAP_SHARED | MAP_GROWSDOWN | MAP_ANONYMOUS, -1, 0));
	SHOW(map(NULL, PAGE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, 77, 3 * PAGE));
	SHOW(map(NULL, PAGE, PROT_READ, 4 | MAP_ANONYMOUS, -1, 0));
	for (int fd = read_only; fd <= pipes[1]; fd++)
		close(fd);
}

static void ranges(void)
{
	unsigned char here[16];

	fresh();
	SHOW(munmap(area + 1, PAGE));
	SHOW(munmap(area, 0));
	SHOW(munmap(HIGH, 2 * PAGE));
	SHOW(munmap((void *)0x10000, PAGE));
	SHOW(munmap(area + 3 * PAGE, 1));
	SHOW(mprotect(area + 1, PAGE, PROT_READ));
	SHOW(mprotect(area, 0, PROT_READ));
	SHOW(mprotect(area, 16 * PAGE, PROT_READ));
	SHOW(mprotect(area + 3 * PAGE, PAGE, PROT_READ));
	SHOW(mprotect(area, PAGE, 99));
	SHOW(mprotect(area, PAGE, PROT_READ | PROT_GROWSDOWN));
	SHOW(mprotect(area, PAGE, PROT_GROWSDOWN | PROT_GROWSUP));
	SHOW(mprotect(area, -PAGE, PROT_READ));
	SHOW(msync(area + 1, PAGE, MS_SYNC));
	SHOW(msync(area, PAGE, MS_SYNC | MS_ASYNC));
	SHOW(msync(area, PAGE, 99));
	SHOW(msync(area, 0, MS_SYNC));
	SHOW(msync(area, 16 * PAGE, MS_SYNC));
	SHOW(msync(area, PAGE, 0));
	SHOW(mincore(area + 1, PAGE, here));
	SHOW(mincore(area, 16 * PAGE, here));
	SHOW(mincore(area, PAGE, (void *)8));
	SHOW(mincore(area, 0, here));
	SHOW(mincore(HIGH, PAGE, here));
	SHOW(mlock(area, PAGE));
	SHOW(mlock(area + 100, 1));
	SHOW(mlock(area, 16 * PAGE));
	SHOW(mlock((void *)-PAGE, 2 * PAGE));
	SHOW(mlock(area, 0));
	SHOW(munlock(area, 16 * PAGE));
	SHOW(munlock(area, PAGE));
	SHOW(mlock2(area, PAGE, 2));
	SHOW(mlock2(area, PAGE, 1));
	SHOW(mlockall(0));
	SHOW(mlockall(8));
	SHOW(mlockall(4));
	SHOW(munlockall());
	SHOW(madvise(area + 1, PAGE, MADV_NORMAL));
	SHOW(madvise(area, PAGE, 7777));
	SHOW(madvise(area, 0, MADV_NORMAL));
	SHOW(madvise(area, -PAGE, MADV_NORMAL));
	SHOW(madvise(area, 16 * PAGE, MADV_NORMAL));
	SHOW(madvise(area, 16 * PAGE, MADV_DONTNEED));
	SHOW(madvise(area, PAGE, MADV_REMOVE));
	SHOW(madvise(area, PAGE, MADV_FREE));
	SHOW(madvise(area, PAGE, MADV_POPULATE_READ));
	SHOW(madvise(area + 3 * PAGE, PAGE, MADV_POPULATE_WRITE));
	SHOW(madvise(area, PAGE, MADV_WIPEONFORK));
	SHOW(madvise(area, PAGE, MADV_HWPOISON - 50));
}

static void moving(void)
{
	fresh();
	SHOW(mremap(area + 1, PAGE, PAGE, 0) == MAP_FAILED);
	SHOW(mremap(area, PAGE, 0, 0) == MAP_FAILED);
	SHOW(mremap(area, PAGE, PAGE, 64) == MAP_FAILED);
	SHOW(mremap(area, PAGE, PAGE, MREMAP_FIXED, area) == MAP_FAILED);
	SHOW(mremap(area, PAGE, PAGE, MREMAP_FIXED | MREMAP_MAYMOVE, area) == MAP_FAILED);
	SHOW(mremap(area, PAGE, PAGE, MREMAP_FIXED | MREMAP_MAYMOVE, area + 1) == MAP_FAILED);
	SHOW(mremap(area, PAGE, 1ul << 47, MREMAP_MAYMOVE) == MAP_FAILED);
	SHOW(mremap(area, PAGE, 2 * PAGE, 0) == MAP_FAILED);
	SHOW(mremap(area, 0, PAGE, MREMAP_MAYMOVE) == MAP_FAILED);
	SHOW(mremap(area, 16 * PAGE, 8 * PAGE, 0) == area);
	SHOW(mremap(area, 12 * PAGE, 16 * PAGE, 0) == MAP_FAILED);
	SHOW(mremap(area, 8 * PAGE, 16 * PAGE, 0) == area);
	SHOW(mremap(HIGH, PAGE, PAGE, MREMAP_MAYMOVE) == MAP_FAILED);
	SHOW(mremap(area, PAGE, PAGE, MREMAP_DONTUNMAP) == MAP_FAILED);
}

static void limits(void)
{
	struct rlimit locked = {PAGE, PAGE}, space = {64 << 20, 64 << 20};

	fresh();
	SHOW(setrlimit(RLIMIT_MEMLOCK, &locked));
	SHOW(setresuid(12345, 12345, 12345));
	SHOW(mlock(area, PAGE));
	SHOW(mlock(area, PAGE));
	SHOW(mlock(area, 2 * PAGE));
	SHOW(munlock(area, PAGE));
	SHOW(mlockall(MCL_CURRENT));
	SHOW(mlockall(MCL_FUTURE));
	SHOW(map(NULL, 2 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	SHOW(munlockall());
	SHOW(map(NULL, 2 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0));
	SHOW(setrlimit(RLIMIT_AS, &space));
	SHOW(map(NULL, 128 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	SHOW(sbrk(256 << 20) == (void *)-1);
	SHOW(mremap(area, PAGE, 128 << 20, MREMAP_MAYMOVE) == MAP_FAILED);
}

int main(void)
{
	fresh();
	mapping();
	ranges();
	moving();
	in_child("limits", limits);
	return 0;
}
