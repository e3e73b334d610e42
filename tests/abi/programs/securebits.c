/* SPDX-License-Identifier: Apache-2.0 */
/* abi-as: root */
/* Securebits and their locks, capset, ambient capabilities, ids and capabilities, AT_SECURE. */
#include "check.h"
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/auxv.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <grp.h>

#define BIT(cap) (1u << (cap))
#define HIDDEN BIT(CAP_SYS_RESOURCE) /* the host may lack it */

static struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
static struct __user_cap_data_struct data[2];

static void sets(const char *what)
{
	syscall(SYS_capget, &header, data);
	say("%s: eff %08x prm %08x inh %08x bits %x keep %d dumpable %d\n", what,
	    data[0].effective & ~HIDDEN, data[0].permitted & ~HIDDEN, data[0].inheritable,
	    prctl(PR_GET_SECUREBITS), prctl(PR_GET_KEEPCAPS), prctl(PR_GET_DUMPABLE));
}

static long set(unsigned eff, unsigned prm, unsigned inh)
{
	struct __user_cap_data_struct new[2] = { { eff, prm, inh } };

	return syscall(SYS_capset, &header, new);
}

static void locks(void)
{
	SHOW(prctl(PR_SET_SECUREBITS, 0x1000));
	SHOW(prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS));
	SHOW(prctl(PR_GET_KEEPCAPS));
	SHOW(prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS_LOCKED));
	SHOW(prctl(PR_SET_KEEPCAPS, 1));
	SHOW(prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS | SECBIT_KEEP_CAPS_LOCKED));
	SHOW(prctl(PR_SET_SECUREBITS, 0));
	SHOW(prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS_LOCKED | SECBIT_NOROOT | SECBIT_NOROOT_LOCKED));
	SHOW(prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS_LOCKED | SECBIT_NOROOT));
	SHOW(prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS_LOCKED | SECBIT_NOROOT_LOCKED));
	sets("locked");
}

static void without_setpcap(void)
{
	set(BIT(CAP_CHOWN), BIT(CAP_CHOWN), 0);
	SHOW(prctl(PR_SET_SECUREBITS, SECBIT_NOROOT));
	SHOW(prctl(PR_SET_SECUREBITS, 0));
	SHOW(prctl(PR_CAPBSET_DROP, CAP_CHOWN));
	SHOW(prctl(PR_CAPBSET_READ, CAP_CHOWN));
	SHOW(prctl(PR_CAPBSET_READ, 64));
	SHOW(prctl(PR_SET_KEEPCAPS, 1));
	SHOW(prctl(PR_SET_KEEPCAPS, 2));
	SHOW(set(BIT(CAP_CHOWN), BIT(CAP_CHOWN), BIT(CAP_CHOWN)));
	SHOW(set(BIT(CAP_CHOWN), BIT(CAP_CHOWN), BIT(CAP_CHOWN) | BIT(CAP_KILL)));
	SHOW(set(BIT(CAP_CHOWN) | BIT(CAP_KILL), BIT(CAP_CHOWN) | BIT(CAP_KILL), 0));
	SHOW(set(BIT(CAP_CHOWN), 0, 0));
	SHOW(set(0, BIT(CAP_CHOWN), BIT(CAP_CHOWN)));
	sets("few");
}

static void calls(void)
{
	struct __user_cap_header_struct one = { _LINUX_CAPABILITY_VERSION_1, 0 }, odd = { 7, 0 };
	struct __user_cap_header_struct other = { _LINUX_CAPABILITY_VERSION_3, 1 };

	SHOW(syscall(SYS_capget, &one, data));
	SHOW(syscall(SYS_capget, &odd, NULL));
	IS(odd.version == _LINUX_CAPABILITY_VERSION_3);
	odd.version = 7;
	SHOW(syscall(SYS_capget, &odd, data));
	odd.version = 7;
	SHOW(syscall(SYS_capset, &odd, data));
	other.pid = -1;
	SHOW(syscall(SYS_capget, &other, data));
	other.pid = 4000000;
	SHOW(syscall(SYS_capget, &other, data));
	SHOW(syscall(SYS_capset, &other, data));
	other.pid = getppid();
	SHOW(syscall(SYS_capget, &other, data));
	SHOW(syscall(SYS_capset, &other, data));
	other.pid = getpid();
	SHOW(syscall(SYS_capget, &other, data));
	SHOW(syscall(SYS_capset, &other, data));
	SHOW(syscall(SYS_capget, &header, NULL));
	SHOW(syscall(SYS_capget, NULL, data));
	SHOW(syscall(SYS_capset, &header, 8));
}

static void ids(void)
{
	sets("root");
	SHOW(setresuid(-1, 1001, -1));
	sets("euid 1001");
	SHOW(setresuid(-1, 0, -1));
	sets("euid 0 again");
	SHOW(setfsuid(1001));
	sets("fsuid 1001");
	SHOW(setfsuid(0));
	sets("fsuid 0");
	SHOW(setresuid(1001, 1001, 1001));
	sets("1001");
	SHOW(setresuid(0, 0, 0));
}

static void keeping(void)
{
	prctl(PR_SET_KEEPCAPS, 1);
	SHOW(setresuid(1001, 1001, 1001));
	sets("kept");
	SHOW(set(BIT(CAP_SETUID), BIT(CAP_SETUID), 0));
	SHOW(setresuid(0, 0, 0));
	sets("root with one");
}

static void no_fixup(void)
{
	prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP);
	SHOW(setresuid(1001, 1001, 1001));
	sets("no fixup");
	SHOW(setfsuid(5));
	sets("no fixup");
}

static void ambient(void)
{
	SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0));
	set(~HIDDEN, ~HIDDEN, BIT(CAP_CHOWN) | BIT(CAP_KILL));
	SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0));
	SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 1, 0));
	SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 64, 0, 0));
	SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0));
	SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_CHOWN, 0, 0));
	SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, CAP_KILL, 0, 0));
	SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_KILL, 0, 0));
	SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 1, 0, 0));
	SHOW(set(~HIDDEN, ~HIDDEN, 0)); /* takes the ambient one along */
	SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_CHOWN, 0, 0));
	set(~HIDDEN, ~HIDDEN, BIT(CAP_CHOWN));
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0);
	prctl(PR_SET_SECUREBITS, SECBIT_NO_CAP_AMBIENT_RAISE);
	SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0));
	SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_CHOWN, 0, 0));
	prctl(PR_SET_KEEPCAPS, 1);
	setresuid(1001, 1001, 1001);
	SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_CHOWN, 0, 0));
}

static char *self;

static void again(void)
{
	execl(self, self, "secure", NULL);
	say("%s\n", strerrorname_np(errno));
}

static void plainly(void)
{
	again();
}

static void with_other_euid(void)
{
	setresuid(1001, 1002, 1001);
	again();
}

static void as_user(void)
{
	setgroups(0, NULL);
	setresgid(1001, 1001, 1001);
	setresuid(1001, 1001, 1001);
	again();
}

static void with_no_new_privs(void)
{
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	as_user();
}

static int sharer(void *unused)
{
	as_user();
	return *(int *)unused;
}

static void sharing_fs(void)
{
	static char stack[65536];
	int zero = 0;

	waitpid(clone(sharer, stack + sizeof stack, CLONE_FS | SIGCHLD, &zero), NULL, 0);
}

/* A tracer without privileges: the program gains none. */
static void traced(void)
{
	int status;

	setgroups(0, NULL);
	setresgid(1001, 1001, 1001);
	setresuid(1001, 1001, 1001);
	prctl(PR_SET_DUMPABLE, 1);
	pid_t pid = fork();

	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		again();
		_exit(1);
	}
	while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status))
		ptrace(PTRACE_CONT, pid, 0, WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status));
}

/* And one that may do it. */
static void traced_by_root(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		as_user();
		_exit(1);
	}
	while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status))
		ptrace(PTRACE_CONT, pid, 0, WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status));
}

static void nproc(void)
{
	struct rlimit limit = { 0, 0 };

	setrlimit(RLIMIT_NPROC, &limit);
	SHOW(fork() > 0 ? 1 : (_exit(0), 0));
	wait(NULL);
	SHOW(setresuid(12321, 12321, 12321));
	SHOW(fork());
	SHOW(execl("/bin/true", "true", NULL));
	limit.rlim_cur = limit.rlim_max = 0;
	SHOW(setuid(12321));
}

static void nproc_later(void)
{
	struct rlimit limit = { 0, 50 }, more = { 50, 50 };

	setrlimit(RLIMIT_NPROC, &limit);
	SHOW(setresuid(12322, 12322, 12322));
	setrlimit(RLIMIT_NPROC, &more);
	SHOW(execl("/bin/true", "true", NULL));
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		say("secure %ld euid %d egid %d\n", getauxval(AT_SECURE), geteuid(), getegid());
		sets("after exec");
		return 0;
	}
	in_child("locks", locks);
	in_child("without setpcap", without_setpcap);
	in_child("calls", calls);
	in_child("ids", ids);
	in_child("keeping", keeping);
	in_child("no fixup", no_fixup);
	in_child("ambient", ambient);
	char text[512];
	ssize_t n = readlink("/proc/self/exe", text, sizeof text - 1);

	text[n] = 0;
	int in = open(text, O_RDONLY), out = open("copy", O_WRONLY | O_CREAT | O_TRUNC, 0755);

	for (char block[65536]; (n = read(in, block, sizeof block)) > 0;)
		write(out, block, n);
	close(out);
	self = "./copy";
	chmod(".", 0755);
	for (int mode = 0; mode < 4; mode++) {
		chown("copy", mode == 3 ? 1003 : 0, 1004);
		chmod("copy", mode == 0 ? 0755 : mode == 1 ? 04755 : mode == 2 ? 02755 : 06755);
		say("mode %d\n", mode);
		in_child("plainly", plainly);
		in_child("other euid", with_other_euid);
		in_child("user", as_user);
		in_child("no new privileges", with_no_new_privs);
		in_child("sharing directories", sharing_fs);
		in_child("traced", traced);
		in_child("traced by root", traced_by_root);
	}
	chown("copy", 0, 0);
	chmod("copy", 0711); /* cannot be read */
	in_child("unreadable", as_user);
	unlink("copy");
	in_child("processes", nproc);
	in_child("processes later", nproc_later);
	return 0;
}
