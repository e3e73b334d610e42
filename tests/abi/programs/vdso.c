/* SPDX-License-Identifier: Apache-2.0 */
/* The vDSO: found by its headers alone, called, compared with system calls, moved, written to. */
/* abi-cflags: -pthread */
#include "check.h"
#include <elf.h>
#include <pthread.h>
#include <sys/auxv.h>

typedef int (*gettime_fn)(clockid_t, struct timespec *);
typedef int (*gettimeofday_fn)(struct timeval *, struct timezone *);
typedef long (*time_fn)(long *);
typedef int (*getcpu_fn)(unsigned *, unsigned *, void *);

static char *image;
static gettime_fn gettime, getres;
static gettimeofday_fn timeofday;
static time_fn get_time;
static getcpu_fn get_cpu;

/* ---- Finding functions, as a dynamic linker does. */

static const char *strings;
static const Elf64_Sym *symbols;
static const uint32_t *gnu;
static const uint16_t *versym;
static const Elf64_Verdef *verdef;

static void walk(void)
{
	const Elf64_Ehdr *head = (void *)image;
	const Elf64_Phdr *segment = (void *)(image + head->e_phoff);
	const Elf64_Dyn *dyn = NULL;
	uint64_t soname = 0;
	int loads = 0;

	IS(!memcmp(head->e_ident, ELFMAG, SELFMAG));
	IS(head->e_type == ET_DYN && head->e_machine == EM_X86_64);
	for (int i = 0; i < head->e_phnum; i++) {
		if (segment[i].p_type == PT_LOAD) {
			loads++;
			IS(segment[i].p_flags == (PF_R | PF_X) && segment[i].p_vaddr == 0);
		}
		if (segment[i].p_type == PT_DYNAMIC)
			dyn = (void *)(image + segment[i].p_vaddr);
	}
	IS(loads == 1);
	for (; dyn->d_tag != DT_NULL; dyn++) {
		char *at = image + dyn->d_un.d_ptr;

		switch (dyn->d_tag) {
		case DT_STRTAB: strings = at; break;
		case DT_SYMTAB: symbols = (void *)at; break;
		case DT_GNU_HASH: gnu = (void *)at; break;
		case DT_VERSYM: versym = (void *)at; break;
		case DT_VERDEF: verdef = (void *)at; break;
		case DT_SONAME: soname = dyn->d_un.d_val; break;
		}
	}
	say("soname %s\n", strings + soname);
}

static uint32_t hash(const char *name)
{
	uint32_t value = 5381;

	while (*name)
		value = value * 33 + (unsigned char)*name++;
	return value;
}

static const char *version_of(unsigned number)
{
	for (const Elf64_Verdef *def = verdef;; def = (void *)((char *)def + def->vd_next)) {
		if ((def->vd_ndx & 0x7fff) == (versym[number] & 0x7fff))
			return strings + ((Elf64_Verdaux *)((char *)def + def->vd_aux))->vda_name;
		if (!def->vd_next)
			return "none";
	}
}

static void *find(const char *name)
{
	uint32_t wanted = hash(name);
	const uint32_t *buckets = gnu + 4 + gnu[2] * 2, *chain = buckets + gnu[0];
	const uint64_t *bloom = (void *)(gnu + 4);
	uint64_t word = bloom[wanted / 64 % gnu[2]];
	unsigned number = buckets[wanted % gnu[0]];

	if (!(word >> wanted % 64 & 1) || !(word >> (wanted >> gnu[3]) % 64 & 1))
		number = 0;
	for (; number; number++) {
		uint32_t value = chain[number - gnu[1]];

		if ((value | 1) == (wanted | 1) && !strcmp(strings + symbols[number].st_name, name)) {
			say("%s: %s %s %s\n", name,
			    ELF64_ST_BIND(symbols[number].st_info) == STB_WEAK ? "weak" : "global",
			    ELF64_ST_TYPE(symbols[number].st_info) == STT_FUNC ? "function" : "?",
			    version_of(number));
			return image + symbols[number].st_value;
		}
		if (value & 1)
			break;
	}
	say("%s: none\n", name);
	return NULL;
}

static void find_all(void)
{
	image = (char *)getauxval(AT_SYSINFO_EHDR);
	IS(image != NULL && ((uintptr_t)image & 4095) == 0);
	walk();
	gettime = find("__vdso_clock_gettime");
	getres = find("__vdso_clock_getres");
	timeofday = find("__vdso_gettimeofday");
	get_time = find("__vdso_time");
	get_cpu = find("__vdso_getcpu");
	IS(find("clock_gettime") == gettime);
	IS(find("clock_getres") == getres);
	IS(find("gettimeofday") == timeofday);
	IS(find("time") == get_time);
	IS(find("getcpu") == get_cpu);
	IS(find("getpid") == NULL);
}

/* ---- Time that goes forward, whoever asks whom. */

static const struct {
	clockid_t id;
	const char *name;
} clocks[] = {
	{ CLOCK_REALTIME, "realtime" },
	{ CLOCK_MONOTONIC, "monotonic" },
	{ CLOCK_MONOTONIC_RAW, "raw" },
	{ CLOCK_REALTIME_COARSE, "realtime coarse" },
	{ CLOCK_MONOTONIC_COARSE, "monotonic coarse" },
	{ CLOCK_BOOTTIME, "boottime" },
	{ CLOCK_TAI, "tai" },
};
#define CLOCKS ((int)(sizeof clocks / sizeof *clocks))

static int64_t ns(struct timespec ts)
{
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static int64_t by_vdso(clockid_t id)
{
	struct timespec ts = { -1, -1 };

	return gettime(id, &ts) == 0 && ts.tv_nsec >= 0 && ts.tv_nsec < 1000000000 ? ns(ts) : -1;
}

static int64_t by_call(clockid_t id)
{
	struct timespec ts = { -1, -1 };

	syscall(SYS_clock_gettime, id, &ts);
	return ns(ts);
}

static void in_turns(void)
{
	for (int i = 0; i < CLOCKS; i++) {
		int64_t last = by_call(clocks[i].id);
		int back = 0;

		for (int turn = 0; turn < 1000; turn++) {
			int64_t now = turn % 3 ? by_vdso(clocks[i].id) : by_call(clocks[i].id);

			back += now < last;
			last = now;
		}
		say("%s: %d steps back\n", clocks[i].name, back);
	}
	int64_t coarse = by_vdso(CLOCK_MONOTONIC_COARSE), fine = by_vdso(CLOCK_MONOTONIC);
	IS(coarse <= fine && fine - coarse < 1000000000);
	struct timeval before, after;
	int back = 0;
	for (int turn = 0; turn < 300; turn++) {
		struct timespec ts;

		timeofday(&before, NULL);
		gettime(CLOCK_REALTIME, &ts);
		syscall(SYS_gettimeofday, &after, NULL);
		int64_t us = ts.tv_sec * 1000000LL + ts.tv_nsec / 1000;
		back += us < before.tv_sec * 1000000LL + before.tv_usec;
		back += us > after.tv_sec * 1000000LL + after.tv_usec;
	}
	say("gettimeofday: %d steps back\n", back);
}

struct shared {
	_Atomic int64_t last;
	_Atomic int back;
};

/* Nobody reads a time before one that somebody else has told him of. */
static void *race(void *arg)
{
	struct shared *shared = arg;

	for (int i = 0; i < 100000; i++) {
		int64_t seen = shared->last;
		int64_t now = by_vdso(CLOCK_MONOTONIC);

		shared->back += now < seen;
		while (seen < now && !__atomic_compare_exchange_n(&shared->last, &seen, now, 0, 5, 5))
			;
	}
	return NULL;
}

static void among_threads(void)
{
	struct shared shared = { 0 };
	pthread_t threads[3];

	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, race, &shared);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	say("threads: %d steps back\n", (int)shared.back);
}

static void among_processes(void)
{
	struct shared *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status, failed = 0;

	fflush(stdout);
	for (int i = 0; i < 3; i++)
		if (fork() == 0) {
			race(shared);
			_exit(0);
		}
	while (wait(&status) > 0)
		failed += status != 0;
	say("processes: %d failed, %d steps back\n", failed, (int)shared->back);
}

static void of_files(void)
{
	struct stat st;
	int64_t before = by_vdso(CLOCK_REALTIME_COARSE);

	put("file", "x");
	stat("file", &st);
	IS(ns(st.st_mtim) >= before && ns(st.st_mtim) <= by_vdso(CLOCK_REALTIME));
	unlink("file");
}

/* ---- What the functions leave to the kernel. */

static void other_clocks(void)
{
	static const clockid_t ids[] = { 8, 9, 10, 12, 15, 16, 99, -1, -3, INT32_MIN, INT32_MAX };
	struct timespec ts;

	IS(by_vdso(CLOCK_PROCESS_CPUTIME_ID) > 0);
	IS(by_vdso(CLOCK_THREAD_CPUTIME_ID) > 0);
	IS(by_vdso(-2) > 0 && by_vdso(-6) > 0); /* one's own, by number */
	for (unsigned i = 0; i < sizeof ids / sizeof *ids; i++) {
		errno = 0;
		long called = syscall(SYS_clock_gettime, ids[i], &ts);
		int result = gettime(ids[i], &ts);
		say("clock %d: %s\n", ids[i], result == (called < 0 ? -errno : 0) ? "same" : "OTHER");
	}
	SHOW(gettime(CLOCK_PROCESS_CPUTIME_ID, (void *)8) == -EFAULT);
	SHOW(getres(99, &ts) == -EINVAL);
	SHOW(getres(99, NULL) == -EINVAL);
	SHOW(getres(CLOCK_MONOTONIC, NULL));
	for (int i = 0; i < CLOCKS; i++) {
		struct timespec own = { 7, 7 }, kernels = { 8, 8 };

		getres(clocks[i].id, &own);
		syscall(SYS_clock_getres, clocks[i].id, &kernels);
		say("%s: resolution %s\n", clocks[i].name, ns(own) == ns(kernels) ? "same" : "OTHER");
	}
}

static void others(void)
{
	struct timezone zone = { 7, 7 }, kernels = { 8, 8 };
	struct timeval tv;
	long now = 0, result;
	unsigned cpu = 77, node = 77, want_cpu = 78, want_node = 78;
	cpu_set_t set;

	SHOW(timeofday(NULL, NULL));
	SHOW(timeofday(&tv, &zone));
	syscall(SYS_gettimeofday, NULL, &kernels);
	IS(zone.tz_minuteswest == kernels.tz_minuteswest && zone.tz_dsttime == kernels.tz_dsttime);
	result = get_time(&now);
	IS(result == now && now >= tv.tv_sec && now <= tv.tv_sec + 60);
	IS(get_time(NULL) >= now);
	syscall(SYS_getcpu, &cpu, NULL, NULL);
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	IS(sched_setaffinity(0, sizeof set, &set) == 0);
	syscall(SYS_getcpu, &want_cpu, &want_node, NULL);
	SHOW(get_cpu(&cpu, &node, NULL));
	IS(cpu == want_cpu && node == want_node);
	SHOW(get_cpu(NULL, NULL, NULL));
}

static void bad_timespec(void)
{
	gettime(CLOCK_MONOTONIC, (void *)8);
}

static void bad_timeval(void)
{
	timeofday((void *)8, NULL);
}

static void bad_zone(void)
{
	timeofday(NULL, (void *)8);
}

static void bad_time(void)
{
	get_time((void *)8);
}

static void bad_res(void)
{
	getres(CLOCK_MONOTONIC, (void *)8);
}

/* ---- The mappings. */

struct area {
	char *start, *end;
	char rights[5];
	char name[20];
};

static int areas(struct area *found, int most)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[400];
	int count = 0;

	while (fgets(line, sizeof line, maps)) {
		struct area *area = &found[count];

		if (strstr(line, " [v") && !strstr(line, "[vsyscall]") && count < most &&
		    sscanf(line, "%p-%p %4s %*s %*s %*s %19s", (void **)&area->start,
			   (void **)&area->end, area->rights, area->name) == 4)
			count++;
	}
	fclose(maps);
	return count;
}

static void write_vvar(void)
{
	struct area area[4];

	areas(area, 4);
	*(volatile char *)area[0].start = 1;
}

static void patch(void)
{
	struct area area[4];
	int count = areas(area, 4);
	volatile char *last = area[count - 1].end - 1;

	SHOW(mprotect(area[count - 1].start, area[count - 1].end - area[count - 1].start,
		      PROT_READ | PROT_WRITE | PROT_EXEC));
	*last = 0x5a;
	IS(*last == 0x5a);
	IS(by_vdso(CLOCK_MONOTONIC) > 0);
}

static void move(void)
{
	struct area area[4];
	int count = areas(area, 4);
	size_t size = area[count - 1].end - area[0].start;
	char *place = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int moved = 0;

	for (int i = 0; i < count; i++) {
		char *to = place + (area[i].start - area[0].start);
		size_t length = area[i].end - area[i].start;

		moved += mremap(area[i].start, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to;
	}
	IS(moved == count);
	gettime = (gettime_fn)((char *)gettime - area[0].start + place);
	IS(by_vdso(CLOCK_MONOTONIC) > 0 && by_vdso(CLOCK_REALTIME) > 0);
	int64_t before = by_call(CLOCK_MONOTONIC), at = by_vdso(CLOCK_MONOTONIC);
	IS(before <= at && at <= by_call(CLOCK_MONOTONIC));
	areas(area, 4);
	IS(area[0].start == place && !strcmp(area[0].name, "[vvar]"));
}

static void drop(void)
{
	struct area area[4];
	int count = areas(area, 4);

	for (int i = 0; i < count; i++)
		if (munmap(area[i].start, area[i].end - area[i].start))
			say("munmap %s: %s\n", area[i].name, strerrorname_np(errno));
	IS(areas(area, 4) == 0);
	IS(by_call(CLOCK_MONOTONIC) > 0);
	gettime(CLOCK_MONOTONIC, &(struct timespec){ 0 });
}

static void mappings(void)
{
	struct area area[4];
	int count = areas(area, 4);
	char data[4] = "", *vvar = area[0].start, *vdso = area[count - 1].start;
	int fd = open("/proc/self/mem", O_RDONLY), ends[2];

	say("first %s %s, last %s %s\n", area[0].name, area[0].rights, area[count - 1].name,
	    area[count - 1].rights);
	IS(vdso == image);
	IS(area[0].end <= vdso && vdso - vvar < 1 << 20);
	SHOW(pread(fd, data, 4, (off_t)(uintptr_t)vdso));
	IS(!memcmp(data, ELFMAG, SELFMAG));
	SHOW(pread(fd, data, 4, (off_t)(uintptr_t)vvar));
	close(fd);
	SHOW(pipe(ends));
	SHOW(write(ends[1], vdso, 4));
	SHOW(read(ends[0], data, 4));
	SHOW(read(ends[0], vvar, 0));
	SHOW(write(ends[1], "xxxx", 4));
	SHOW(read(ends[0], vvar, 4));
	SHOW(read(ends[0], vdso, 4));
	SHOW(mprotect(vvar, 4096, PROT_READ | PROT_WRITE));
	SHOW(munmap(vvar, 4096));
	SHOW(madvise(vvar, area[0].end - vvar, MADV_DONTNEED));
	SHOW(madvise(vvar, area[0].end - vvar, MADV_DODUMP));
	SHOW(mremap(vdso, area[count - 1].end - vdso, 1 << 20, MREMAP_MAYMOVE) == MAP_FAILED);
	SHOW(mremap(vvar, area[0].end - vvar, 1 << 20, MREMAP_MAYMOVE) == MAP_FAILED);
	SHOW(madvise(vdso, area[count - 1].end - vdso, MADV_DONTNEED));
	IS(by_vdso(CLOCK_MONOTONIC) > 0);
}

static void auxv(void)
{
	unsigned long words[200];
	int fd = open("/proc/self/auxv", O_RDONLY);
	ssize_t count = read(fd, words, sizeof words) / (ssize_t)sizeof *words;

	close(fd);
	for (ssize_t i = 0; i + 1 < count; i += 2)
		if (words[i] == AT_SYSINFO_EHDR)
			say("auxv: %s\n", (char *)words[i + 1] == image ? "same" : "OTHER");
}

int main(void)
{
	find_all();
	auxv();
	in_turns();
	among_threads();
	among_processes();
	of_files();
	other_clocks();
	others();
	in_child("bad timespec", bad_timespec);
	in_child("bad timeval", bad_timeval);
	in_child("bad zone", bad_zone);
	in_child("bad time", bad_time);
	in_child("bad resolution", bad_res);
	mappings();
	in_child("write to vvar", write_vvar);
	in_child("patch", patch);
	in_child("after the patch of another", in_turns);
	in_child("move", move);
	in_child("drop", drop);
	return 0;
}
