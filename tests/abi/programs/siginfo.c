/* SPDX-License-Identifier: Apache-2.0 */
/* siginfo_t of every source of signals, and what a handler sees of a fault in its context.
 * abi-cflags: -pthread
 * abi-timeout: 60 */
#include "check.h"
#include <pthread.h>
#include <setjmp.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <ucontext.h>

static siginfo_t seen;
static volatile int count;
static sigjmp_buf out;
static long trapno, err, cr2, oldmask;
static pid_t self;
static char *base;
/* Addresses are shown if they are ours or nobody's. */
#define OURS(a) ((char *)(a) >= base && (char *)(a) < base + 65536)

static void print(const char *what, const siginfo_t *info)
{
	const unsigned char *raw = (const void *)info;
	int other = 0;
	long addr;

	say("%s: signo %d code %d errno %d", what, info->si_signo, info->si_code, info->si_errno);
	switch (info->si_signo) {
	case SIGSEGV:
	case SIGBUS:
	case SIGFPE:
	case SIGILL:
	case SIGTRAP:
		addr = (long)info->si_addr;
		say(" addr %s%lx trap %ld err %lx cr2 %s", OURS(addr) ? "base+" : "",
		    OURS(addr) ? addr - (long)base : addr < 0x10000 ? addr : -1L, trapno, err,
		    cr2 == addr ? "same" : cr2 ? "other" : "0");
		break;
	case SIGCHLD:
		say(" pid %d uid %d status %d", info->si_pid > 0, info->si_uid, info->si_status);
		break;
	default:
		say(" pid %s uid %d int %d", info->si_pid == self ? "self" : info->si_pid ? "other" : "0", info->si_uid, info->si_code < 0 ? info->si_int : 0);
	}
	for (unsigned i = 48; i < sizeof(*info); i++)
		other |= raw[i];
	say("%s\n", other ? " and more" : "");
}

static void handler(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	seen = *info;
	trapno = uc->uc_mcontext.gregs[REG_TRAPNO];
	err = uc->uc_mcontext.gregs[REG_ERR];
	cr2 = uc->uc_mcontext.gregs[REG_CR2];
	oldmask = uc->uc_mcontext.gregs[REG_OLDMASK];
	count++;
	if (sig == SIGSEGV || sig == SIGBUS || sig == SIGFPE || sig == SIGILL)
		siglongjmp(out, 1);
}

#define FAULT(what, code)                  \
	do {                               \
		if (!sigsetjmp(out, 1)) {  \
			code;              \
			say("%s: none\n", what); \
		} else                     \
			print(what, &seen); \
	} while (0)

static void *thread(void *arg)
{
	int before = count;

	*(volatile int *)arg = 1;
	while (count == before)
		usleep(100);
	return NULL;
}

static void noop(void)
{
}

int main(void)
{
	struct sigaction sa = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };
	int fd, p[2], status;
	pthread_t t;
	timer_t id;
	siginfo_t info;
	volatile int zero = 0;

	self = getpid();
	for (int sig = 1; sig < 65; sig++)
		sigaction(sig, &sa, NULL);
	kill(self, SIGUSR1);
	print("kill", &seen);
	raise(SIGUSR2);
	print("raise", &seen);
	syscall(SYS_tkill, self, SIGTERM);
	print("tkill", &seen);
	sigqueue(self, SIGRTMIN + 3, (union sigval){ .sival_int = 4711 });
	print("sigqueue", &seen);
	memset(&info, 0, sizeof(info));
	info.si_code = -77;
	info.si_errno = 5;
	info.si_pid = 3;
	SHOW(syscall(SYS_rt_sigqueueinfo, self, SIGUSR1, &info));
	print("rt_sigqueueinfo", &seen);
	info.si_code = 3;
	SHOW(syscall(SYS_rt_sigqueueinfo, self, SIGUSR1, &info));
	print("own code", &seen);
	SHOW(syscall(SYS_rt_tgsigqueueinfo, self, self, SIGUSR2, &info));
	print("rt_tgsigqueueinfo", &seen);
	info.si_code = SI_TKILL;
	SHOW(syscall(SYS_rt_sigqueueinfo, getppid(), 0, &info));
	memset((char *)&info + 100, 1, 28);
	info.si_code = -9;
	SHOW(syscall(SYS_rt_sigqueueinfo, self, SIGUSR1, &info));
	print("much", &seen);
	pipe(p);
	close(p[0]);
	write(p[1], "", 1);
	print("SIGPIPE", &seen);
	alarm(0);
	setitimer(ITIMER_REAL, &(struct itimerval){ .it_value = { 0, 1000 } }, NULL);
	pause();
	print("ITIMER_REAL", &seen);
	for (int which = ITIMER_VIRTUAL; which <= ITIMER_PROF; which++) {
		count = 0;
		setitimer(which, &(struct itimerval){ .it_value = { 0, 1000 } }, NULL);
		while (!count)
			;
		print(which == ITIMER_PROF ? "ITIMER_PROF" : "ITIMER_VIRTUAL", &seen);
	}
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value.sival_int = 99 };
	timer_create(CLOCK_MONOTONIC, &ev, &id);
	timer_settime(id, 0, &(struct itimerspec){ .it_value = { 0, 1000000 } }, NULL);
	count = 0;
	while (!count)
		pause();
	say("timer: %d %d %d %d\n", seen.si_code, seen.si_int, seen.si_timerid, seen.si_overrun);
	/* Children. */
	sigaction(SIGCHLD, &sa, NULL);
	if (fork() == 0)
		_exit(5);
	wait(&status);
	print("exited", &seen);
	pid_t pid = fork();
	if (pid == 0) {
		for (;;)
			pause();
	}
	kill(pid, SIGSTOP);
	waitpid(pid, &status, WUNTRACED);
	print("stopped", &seen);
	count = 0;
	kill(pid, SIGCONT);
	waitpid(pid, &status, WCONTINUED);
	while (!count)
		usleep(100);
	print("continued", &seen);
	kill(pid, SIGKILL);
	waitid(P_PID, pid, &info, WEXITED);
	print("killed", &seen);
	info.si_utime = info.si_stime = 0;
	memset((char *)&info + 48, 0, 80);
	print("waitid", &info);
	if ((pid = fork()) == 0) {
		setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
		signal(SIGABRT, SIG_DFL);
		abort();
	}
	waitpid(pid, &status, 0);
	print("aborted", &seen);
	/* Faults. */
	base = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	fd = open("short", O_RDWR | O_CREAT, 0600);
	ftruncate(fd, 100);
	base[4096] = base[32768] = 1;
	mprotect(base, 4096, PROT_NONE);
	mprotect(base + 4096, 4096, PROT_READ);
	munmap(base + 8192, 4096);
	mmap(base + 12288, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
	mprotect(base + 32768, 4096, PROT_READ | PROT_WRITE);
	FAULT("read of nothing", *(volatile char *)(base + 8200));
	FAULT("write to nothing", *(volatile char *)(base + 8200) = 1);
	FAULT("read of PROT_NONE", *(volatile char *)(base + 8));
	FAULT("write to PROT_NONE", *(volatile char *)(base + 8) = 1);
	FAULT("write to PROT_READ", *(volatile char *)(base + 4100) = 1);
	FAULT("read beyond the end", *(volatile char *)(base + 16384));
	FAULT("write beyond the end", *(volatile char *)(base + 16385) = 1);
	FAULT("null", *(volatile char *)8);
	FAULT("write null", *(volatile char *)8 = 1);
	FAULT("no such address", *(volatile char *)0x800000000000);
	FAULT("kernel", *(volatile char *)0xffffffff81000000);
	FAULT("kernel write", *(volatile char *)0xffffffff81000000 = 1);
	FAULT("call data", ((void (*)(void))(base + 32768))());
	FAULT("call nothing", ((void (*)(void))(base + 8192))());
	FAULT("call null", ((void (*)(void))(long)zero)());
	FAULT("call non-canonical", ((void (*)(void))0x8000000000000000)());
	FAULT("divide", asm volatile("xor %%ecx, %%ecx; mov $1, %%eax; cdq; idiv %%ecx" ::: "rax", "rcx", "rdx"));
	FAULT("ud2", __builtin_trap());
	FAULT("hlt", asm volatile("hlt"));
	FAULT("cli", asm volatile("cli"));
	FAULT("in", asm volatile("inb $0x60, %%al" ::: "eax"));
	FAULT("int 3e", asm volatile("int $0x3e"));
	FAULT("mov cr0", asm volatile("mov %%cr0, %%rax" ::: "rax"));
	FAULT("movaps", asm volatile("movaps (%0), %%xmm0" ::"r"(base + 32769)));
	FAULT("bad selector", asm volatile("mov %0, %%fs" ::"r"(0x5555)));
	FAULT("x87", ({ short cw = 0x0370; asm volatile("fninit; fldcw %0; fldz; fld1; fdivp; fwait" ::"m"(cw)); }));
	FAULT("SSE", ({ unsigned m = 0x1f80 & ~0x200; float a = 1, b = 0; asm volatile("ldmxcsr %2; divss %1, %0" : "+x"(a) : "x"(b), "m"(m)); }));
	asm volatile("fninit");
	count = 0;
	asm volatile("int3");
	print("int3", &seen);
	asm volatile("sub $128, %rsp; pushf; orl $0x100, (%rsp); popf; nop; pushf; andl $-257, (%rsp); popf; add $128, %rsp");
	say("%d\n", count);
	print("single step", &seen);
	asm volatile(".byte 0xf1");
	print("icebp", &seen);
	status = 0;
	pthread_create(&t, NULL, thread, &status);
	while (!*(volatile int *)&status)
		usleep(100);
	pthread_sigqueue(t, SIGRTMIN + 1, (union sigval){ .sival_int = 8 });
	pthread_join(t, NULL);
	print("pthread_sigqueue", &seen);
	/* Through a signalfd. */
	sigset_t set;
	sigfillset(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	int sfd = signalfd(-1, &set, SFD_NONBLOCK);
	struct signalfd_siginfo ssi;
	sigqueue(self, SIGRTMIN + 3, (union sigval){ .sival_int = 4711 });
	kill(self, SIGUSR1);
	if ((pid = fork()) == 0)
		_exit(9);
	wait(&status);
	write(p[1], "", 1);
	timer_settime(id, 0, &(struct itimerspec){ .it_value = { 0, 1 }, .it_interval = { 0, 100000 } }, NULL);
	usleep(5000);
	while (read(sfd, &ssi, sizeof(ssi)) == sizeof(ssi)) {
		int more = 0;
		say("signalfd %u code %d errno %d pid %s uid %u status %d int %d ptr %s tid %d overrun %s addr %lx trap %u lsb %u syscall %d\n", ssi.ssi_signo, ssi.ssi_code, ssi.ssi_errno,
		    ssi.ssi_pid == self ? "self" : ssi.ssi_pid ? "other" : "0", ssi.ssi_uid, ssi.ssi_status, ssi.ssi_int, ssi.ssi_ptr ? "yes" : "0", ssi.ssi_tid, ssi.ssi_overrun > 10 ? "many" : "few",
		    (long)ssi.ssi_addr, ssi.ssi_trapno, ssi.ssi_addr_lsb, ssi.ssi_syscall);
		for (unsigned i = sizeof(ssi) - 20; i < sizeof(ssi); i++)
			more |= ((char *)&ssi)[i];
		if (more)
			say("more\n");
		if (ssi.ssi_signo == (unsigned)SIGRTMIN)
			break;
	}
	timer_delete(id);
	unlink("short");
	in_child("noop", noop);
	return 0;
}
