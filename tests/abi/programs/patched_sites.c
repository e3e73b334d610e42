/* SPDX-License-Identifier: Apache-2.0 */
/* abi-needs: gcc */
/* Call sites that are used often: what a program, its debugger and its files see of them.
   Where a kernel changes such code for speed, all of this must look as if it had not. */
#include "check.h"
#include <pthread.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <ucontext.h>

#define MANY 100

/* Three forms of a call: its number just before it; further before it; and none. */
asm(".text\n.balign 4096\n"
    "sites: .globl sites\n"
    "near_call: mov $110, %eax\nnear_site: syscall\nnear_end: ret\n"
    ".balign 16\n"
    "far_call: mov $110, %eax\nxor $0x81, %sil\nxor %r10d, %r10d\nfar_site: syscall\n"
    "far_end: ret\n"
    ".balign 16\n"
    "any_call: mov %rdi, %rax\nmov %rsi, %rdi\nmov %rdx, %rsi\nmov %rcx, %rdx\n"
    "any_site: syscall\nany_end: cmp $-4095, %rax\njae 1f\nret\n1: neg %rax\nor $0x10000, %rax\nret\n"
    ".byte 0x0f, 0x1f, 0x44, 0, 0\n"
    ".balign 16\n"
    "jumper: mov $110, %eax\njmp near_site\n"
    ".balign 4096\n");
extern char sites[], near_site[], near_end[], far_end[], any_site[], any_end[];
extern long near_call(void), far_call(void), jumper(void), any_call(long, long, long, long);

static char before[4096];
static long parent;

static int works(void)
{
	int i, good = 0;

	for (i = 0; i < MANY; i++)
		good += near_call() == parent && far_call() == parent && jumper() == parent &&
			any_call(SYS_getppid, 0, 0, 0) == parent &&
			any_call(SYS_close, -1, 0, 0) == (0x10000 | EBADF);
	return good == MANY;
}

static int same(const char *page)
{
	return !memcmp(page, before, sizeof(before));
}

static void files(void)
{
	char page[4096] = "";
	struct iovec to = { page, sizeof(page) }, from = { sites, sizeof(page) };
	int fd = open("/proc/self/mem", O_RDWR);

	IS(pread(fd, page, sizeof(page), (long)sites) == sizeof(page) && same(page));
	memset(page, 0, sizeof(page));
	IS(process_vm_readv(getpid(), &to, 1, &from, 1, 0) == sizeof(page) && same(page));
	memset(page, 0, sizeof(page));
	IS(pread(fd, page, 3, (long)near_site - 1) == 3 && !memcmp(page, before + 4, 3));
	/* What is written there stays. */
	IS(pwrite(fd, "\x90", 1, (long)sites + 4095) == 1);
	IS(sites[4095] == (char)0x90);
	IS(works());
	before[4095] = (char)0x90;
	IS(same(sites));
	close(fd);
}

static void traced(void)
{
	struct user_regs_struct regs;
	long word;
	int status;
	int i, good = 1, calls = 0;
	pid_t pid = fork();

	if (pid == 0) {
		parent = getppid();
		works();
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		any_call(SYS_getppid, 0, 0, 0);
		near_call();
		_exit(same(sites) && works() ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	for (i = 0; i < 4096; i += 8) {
		word = ptrace(PTRACE_PEEKTEXT, pid, sites + i, 0);
		good = good && !memcmp(&word, before + i, 8);
	}
	IS(good);
	/* A breakpoint on a call, as debuggers make it. */
	word = ptrace(PTRACE_PEEKTEXT, pid, near_call, 0);
	SHOW(ptrace(PTRACE_POKETEXT, pid, near_call, (word & ~0xffL) | 0xcc));
	SHOW(ptrace(PTRACE_CONT, pid, 0, 0));
	waitpid(pid, &status, 0);
	ptrace(PTRACE_GETREGS, pid, 0, &regs);
	IS(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
	IS(regs.rip == (unsigned long)near_call + 1);
	SHOW(ptrace(PTRACE_POKETEXT, pid, near_call, word));
	regs.rip = (unsigned long)near_call;
	SHOW(ptrace(PTRACE_SETREGS, pid, 0, &regs));
	/* Step through it. */
	for (i = 0; i < 4; i++) {
		ptrace(PTRACE_SINGLESTEP, pid, 0, 0);
		waitpid(pid, &status, 0);
		ptrace(PTRACE_GETREGS, pid, 0, &regs);
		if (regs.rip >= (unsigned long)sites && regs.rip < (unsigned long)sites + 4096)
			say("step at sites + %#lx\n", (long)regs.rip - (long)sites);
	}
	/* And from call to call. */
	ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD);
	for (i = 0; i < 20; i++) {
		ptrace(PTRACE_SYSCALL, pid, 0, 0);
		if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
			break;
		ptrace(PTRACE_GETREGS, pid, 0, &regs);
		calls += regs.rip == (unsigned long)near_end || regs.rip == (unsigned long)any_end ||
			 regs.rip == (unsigned long)far_end;
	}
	IS(calls == 20);
	SHOW(ptrace(PTRACE_DETACH, pid, 0, 0));
	waitpid(pid, &status, 0);
	IS(status == 0);
}

static volatile unsigned long *seen;
static volatile int odd;

static void handler(int sig, siginfo_t *info, void *context)
{
	*seen = ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
}

/* A child that sends SIGALRM when its parent sleeps, and then a byte if it sleeps again. */
static void alarm_asleep(int fd)
{
	char name[64], text[256], state;
	pid_t pid = getpid();
	int file, times;

	if (fork())
		return;
	snprintf(name, sizeof(name), "/proc/%d/stat", pid);
	for (times = 0; times < (fd < 0 ? 1 : 2);) {
		file = open(name, O_RDONLY);
		text[read(file, text, sizeof(text) - 1)] = 0;
		close(file);
		if (sscanf(strrchr(text, ')'), ") %c", &state) != 1)
			_exit(1);
		if (state != 'S') {
			usleep(1000);
			continue;
		}
		if (times++)
			_exit(write(fd, "x", 1) != 1);
		kill(pid, SIGALRM);
		while (fd >= 0 && !*seen)
			usleep(1000);
	}
	_exit(0);
}

/* Where a call is that a signal interrupts: behind it, or on it if it is made again. */
static void interrupted(void)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };
	int fds[2];
	char c;

	SHOW(pipe(fds));
	sigaction(SIGALRM, &action, NULL);
	alarm_asleep(-1);
	IS(any_call(SYS_read, fds[0], (long)&c, 1) == (0x10000 | EINTR));
	IS(*seen == (unsigned long)any_end);
	wait(NULL);
	action.sa_flags |= SA_RESTART;
	sigaction(SIGALRM, &action, NULL);
	*seen = 0;
	alarm_asleep(fds[1]);
	IS(any_call(SYS_read, fds[0], (long)&c, 1) == 1 && c == 'x');
	IS(*seen == (unsigned long)any_site);
	wait(NULL);
	close(fds[0]);
	close(fds[1]);
}

static char *low[64], *high[64];
static int areas;

/* The program's own code: what maps has a file for, and the vDSO. */
static void know_text(void)
{
	char line[512];
	FILE *maps = fopen("/proc/self/maps", "r");

	areas = 0;
	while (areas < 64 && fgets(line, sizeof(line), maps))
		if (strstr(line, "r-xp") && (strchr(line, '/') || strstr(line, "[v")))
			if (sscanf(line, "%p-%p", (void **)&low[areas], (void **)&high[areas]) == 2)
				areas++;
	fclose(maps);
}

static void where(int sig, siginfo_t *info, void *context)
{
	char *rip = (char *)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
	int i;

	++*seen;
	for (i = 0; i < areas; i++)
		if (rip >= low[i] && rip < high[i])
			return;
	odd++;
}

/* Signals at any moment never show an address that isn't the program's. */
static void at_any_moment(void)
{
	struct sigaction action = { .sa_sigaction = where, .sa_flags = SA_SIGINFO | SA_RESTART };
	struct itimerval often = { { 0, 500 }, { 0, 500 } }, never = { 0 };
	int good = 1;

	know_text();
	*seen = 0;
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	while (*seen < 300 && good)
		good = works();
	setitimer(ITIMER_REAL, &never, NULL);
	IS(good);
	IS(odd == 0);
}

static volatile char *steps[64];
static volatile int stepped;

static void step(int sig, siginfo_t *info, void *context)
{
	char *rip = (char *)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];

	if (rip >= sites && rip < sites + 4096 && stepped < 64)
		steps[stepped++] = rip;
	if (stepped == 64)
		((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] &= ~0x100;
}

/* A program that steps itself sees its own instructions and nothing else. */
static void by_itself(void)
{
	struct sigaction action = { .sa_sigaction = step, .sa_flags = SA_SIGINFO };
	long result;
	int i;

	IS(works());
	sigaction(SIGTRAP, &action, NULL);
	asm volatile("pushfq; orq $0x100, (%%rsp); popfq; call near_call\n"
		     "pushfq; andq $~0x100, (%%rsp); popfq"
		     : "=a"(result) : : "rcx", "r11", "memory", "cc");
	IS(result == parent);
	for (i = 0; i < stepped; i++)
		say("stepped to sites + %#lx\n", (long)(steps[i] - sites));
	IS(works());
}

static void *worker(void *arg)
{
	long good = 1, i;

	for (i = 0; i < 200 && good; i++)
		good = works();
	return (void *)good;
}

static void *reader(void *arg)
{
	char c;

	for (;;)
		if (read(*(int *)arg, &c, 1) != 1)
			return NULL;
}

static void threads(void)
{
	pthread_t thread[6];
	void *result;
	int i, good = 0, fds[2];

	for (i = 0; i < 6; i++)
		pthread_create(&thread[i], NULL, worker, NULL);
	for (i = 0; i < 6; i++) {
		pthread_join(thread[i], &result);
		good += (long)result;
	}
	IS(good == 6);
	SHOW(pipe(fds));
	pthread_create(&thread[0], NULL, reader, &fds[0]);
	for (i = 0; i < MANY; i++)
		if (write(fds[1], "x", 1) != 1)
			break;
	usleep(20000);
	SHOW(pthread_cancel(thread[0]));
	SHOW(pthread_join(thread[0], &result));
	IS(result == PTHREAD_CANCELED);
}

/* Code made at run time: written, executed, written again, moved. */
static void made_code(void)
{
	static const unsigned char code[] = { 0xb8, 110, 0, 0, 0, 0x0f, 0x05, 0xc3 };
	unsigned char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *other;
	int i, good = 0;

	memcpy(page, code, sizeof(code));
	mprotect(page, 4096, PROT_READ | PROT_EXEC);
	for (i = 0; i < MANY; i++)
		good += ((long (*)(void))page)() == parent;
	IS(good == MANY);
	SHOW(mprotect(page, 4096, PROT_READ | PROT_WRITE));
	IS(!memcmp(page, code, sizeof(code)));
	page[1] = SYS_getpid;
	SHOW(mprotect(page, 4096, PROT_READ | PROT_EXEC));
	for (i = good = 0; i < MANY; i++)
		good += ((long (*)(void))page)() == getpid();
	IS(good == MANY);
	other = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	page = mremap(page, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, other);
	IS(page == other);
	for (i = good = 0; i < MANY; i++)
		good += ((long (*)(void))page)() == getpid();
	IS(good == MANY);
	SHOW(munmap(page, 4096));
}

/* The program's own text: made writable, given up, all that isn't known unmapped. */
static void own_text(void)
{
	char line[512], *start, *end;
	FILE *maps;

	IS(works());
	SHOW(mprotect(sites, 4096, PROT_READ | PROT_WRITE | PROT_EXEC));
	IS(same(sites));
	IS(works());
	SHOW(mprotect(sites, 4096, PROT_READ | PROT_EXEC));
	IS(works());
	SHOW(madvise(sites, 4096, MADV_DONTNEED));
	before[4095] = sites[4095];
	IS(works());
	SHOW(mprotect(sites, 4096, PROT_READ));
	IS(same(sites));
	SHOW(mprotect(sites, 4096, PROT_READ | PROT_EXEC));
	IS(works());
	maps = fopen("/proc/self/maps", "r");
	while (fgets(line, sizeof(line), maps))
		if (strstr(line, "[pygos]") && sscanf(line, "%p-%p", (void **)&start, (void **)&end) == 2)
			munmap(start, end - start);
	fclose(maps);
	IS(works());
}

static void child(void)
{
	parent = getppid();
	if (!works())
		_exit(1);
	made_code();
}

int main(void)
{
	memcpy(before, sites, sizeof(before));
	parent = getppid();
	seen = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	threads();
	IS(works());
	interrupted();
	at_any_moment();
	by_itself();
	files();
	in_child("child", child);
	traced();
	parent = getppid();
	made_code();
	own_text();
	return 0;
}
