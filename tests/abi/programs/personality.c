/* SPDX-License-Identifier: Apache-2.0 */
/* personality(2): what it changes, and what an exec leaves of it. */
#include "check.h"
#include <sys/personality.h>
#include <sys/select.h>
#include <sys/utsname.h>

static int bss;

static int prot_of(void *addr)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[300], mode[5];
	unsigned long start, end;
	int prot = -1;

	while (fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx %4s", &start, &end, mode) == 3 && start <= (unsigned long)addr &&
		    (unsigned long)addr < end)
			prot = (mode[0] == 'r') | (mode[1] == 'w') << 1 | (mode[2] == 'x') << 2;
	fclose(maps);
	return prot;
}

/* A line that tells where things are. */
static void where(char *text, size_t size)
{
	void *mapped = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	snprintf(text, size, "%p %p %p %p", (void *)&text, (void *)where, sbrk(0), mapped);
}

static void again(const char *self, unsigned long persona, const char *what)
{
	fflush(stdout);
	if (fork() == 0) {
		personality(persona);
		execl(self, self, what, NULL);
		_exit(1);
	}
	wait(NULL);
}

static void twice(const char *self, unsigned long persona, const char *name)
{
	char line[2][200] = { "", "" };
	int i, p[2];

	for (i = 0; i < 2; i++) {
		pipe(p);
		if (fork() == 0) {
			dup2(p[1], 1);
			personality(persona);
			execl(self, self, "where", NULL);
			_exit(1);
		}
		close(p[1]);
		read(p[0], line[i], sizeof(line[i]));
		close(p[0]);
		wait(NULL);
	}
	say("%s: %s\n", name, strcmp(line[0], line[1]) ? "differ" : "same");
}

static void calls(void)
{
	struct utsname uts;
	void *mem;

	SHOW(personality(0xffffffff));
	SHOW(personality(0x12345678));
	SHOW(personality(0xffffffff));
	SHOW(syscall(SYS_personality, 0x100000000 | PER_LINUX));
	SHOW(personality(0xffffffff));
	SHOW(personality(READ_IMPLIES_EXEC));
	mem = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	say("read: %d\n", prot_of(mem));
	mem = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	say("none: %d\n", prot_of(mem));
	mprotect(mem, 4096, PROT_WRITE);
	say("write: %d\n", prot_of(mem));
	mprotect(mem, 4096, PROT_READ | PROT_WRITE);
	say("both: %d\n", prot_of(mem));
	SHOW(personality(PER_LINUX32));
	uname(&uts);
	say("%s\n", uts.machine);
	SHOW(personality(0x0020000));
	uname(&uts);
	say("%.4s\n", uts.release);
	SHOW(personality(0));
	uname(&uts);
	say("%s %d\n", uts.machine, strncmp(uts.release, "2.6.", 4) != 0);
}

static void sticky(void)
{
	struct timeval tv = { 0, 1000 };
	struct timespec ts = { 0, 1000 };

	personality(STICKY_TIMEOUTS);
	select(0, NULL, NULL, NULL, &tv);
	syscall(SYS_pselect6, 0, NULL, NULL, NULL, &ts, NULL);
	say("%ld %ld\n", (long)tv.tv_usec, ts.tv_nsec);
	personality(0);
	select(0, NULL, NULL, NULL, &tv);
	syscall(SYS_pselect6, 0, NULL, NULL, NULL, &ts, NULL);
	say("%ld %ld\n", (long)tv.tv_usec, ts.tv_nsec);
}

int main(int argc, char **argv)
{
	char line[200];
	FILE *file;

	if (argc > 1 && !strcmp(argv[1], "where")) {
		where(line, sizeof(line));
		say("%s", line);
		return 0;
	}
	if (argc > 1) {
		file = fopen("/proc/self/personality", "r");
		fgets(line, sizeof(line), file);
		say("%s: %x %s", argv[1], personality(0xffffffff), line);
		say("stack %d bss %d page zero %d\n", prot_of(line), prot_of(&bss), prot_of(0));
		return 0;
	}
	in_child("calls", calls);
	in_child("sticky", sticky);
	again(argv[0], 0, "nothing");
	again(argv[0], READ_IMPLIES_EXEC, "read implies exec");
	again(argv[0], ADDR_NO_RANDOMIZE | 0x0020000, "no randomize, 2.6");
	again(argv[0], PER_LINUX32 | ADDR_LIMIT_3GB | ADDR_LIMIT_32BIT, "limits");
	again(argv[0], MMAP_PAGE_ZERO, "page zero");
	again(argv[0], ADDR_COMPAT_LAYOUT | SHORT_INODE | WHOLE_SECONDS, "legacy");
	twice(argv[0], 0, "random");
	twice(argv[0], ADDR_NO_RANDOMIZE, "not random");
	twice(argv[0], ADDR_NO_RANDOMIZE | ADDR_COMPAT_LAYOUT, "legacy");
	return 0;
}
