/* SPDX-License-Identifier: Apache-2.0 */
/* prctl(2): every option, its values and its errors. */
#include "check.h"
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#define PR_GET_MDWE 66
#endif
#ifndef PR_GET_AUXV
#define PR_GET_AUXV 0x41555856
#endif
#define PR_TIMER_CREATE_RESTORE_IDS 77
#define P(...) SHOW(prctl(__VA_ARGS__))

/* Options that aren't for this architecture, and what they say to any argument. */
static void not_here(void)
{
	static const int options[] = {
		0, 5, 6, 9, 10, 11, 12, 17, 18, 19, 20, 43, 44, 45, 46, 48, 49, 50, 51, 54, 55, 56,
		60, 61, 63, 64, 69, 70, 71, 72, 73, 74, 75, 76, 100, -1,
	};
	unsigned i;
	long value;

	for (i = 0; i < sizeof(options) / sizeof(*options); i++) {
		errno = 0;
		value = prctl(options[i], 0, 0, 0, 0);
		say("%d: %ld %s", options[i], value, strerrorname_np(errno));
		errno = 0;
		value = prctl(options[i], 1, 1, 1, 1);
		say(" %ld %s\n", value, strerrorname_np(errno));
	}
}

static void names(void)
{
	char name[17] = "";
	char *end = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	munmap(end + 4096, 4096);
	end += 4096;
	memset(end - 20, 'x', 20);
	P(PR_SET_NAME, end - 20, 0, 0, 0);
	P(PR_SET_NAME, end - 15, 0, 0, 0);
	P(PR_SET_NAME, end - 14, 0, 0, 0);
	P(PR_SET_NAME, "", 1, 2, 3);
	P(PR_GET_NAME, name, 9, 9, 9);
	P(PR_GET_NAME, end - 15, 0, 0, 0);
	P(PR_GET_NAME, 8, 0, 0, 0);
}

static void signals(void)
{
	int value = 7;

	P(PR_SET_PDEATHSIG, 64, 0, 0, 0);
	P(PR_SET_PDEATHSIG, 65, 0, 0, 0);
	P(PR_SET_PDEATHSIG, -1L, 0, 0, 0);
	P(PR_SET_PDEATHSIG, 1L << 32, 0, 0, 0);
	P(PR_GET_PDEATHSIG, &value, 0, 0, 0);
	say("%d\n", value);
	P(PR_GET_PDEATHSIG, 8, 0, 0, 0);
	P(PR_SET_PDEATHSIG, 0, 0, 0, 0);
	P(PR_SET_CHILD_SUBREAPER, 0x100000000, 0, 0, 0);
	P(PR_GET_CHILD_SUBREAPER, &value, 0, 0, 0);
	say("%d\n", value);
	P(PR_GET_CHILD_SUBREAPER, 8, 0, 0, 0);
	P(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
}

static void dumpable(void)
{
	P(PR_SET_DUMPABLE, -1, 0, 0, 0);
	P(PR_SET_DUMPABLE, 0x100000001, 0, 0, 0);
	P(PR_SET_DUMPABLE, 1, 2, 3, 4);
	P(PR_GET_DUMPABLE, 1, 2, 3, 4);
}

static void machine_checks(void)
{
	P(PR_MCE_KILL_GET, 0, 0, 0, 0);
	P(PR_MCE_KILL_GET, 1, 0, 0, 0);
	P(PR_MCE_KILL_GET, 0, 0, 0, 1);
	P(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0);
	P(PR_MCE_KILL_GET, 0, 0, 0, 0);
	P(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_LATE, 0, 0);
	P(PR_MCE_KILL_GET, 0, 0, 0, 0);
	P(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_DEFAULT, 0, 0);
	P(PR_MCE_KILL_GET, 0, 0, 0, 0);
	P(PR_MCE_KILL, PR_MCE_KILL_SET, 3, 0, 0);
	P(PR_MCE_KILL_GET, 0, 0, 0, 0);
	P(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0);
	if (fork() == 0) {
		P(PR_MCE_KILL_GET, 0, 0, 0, 0);
		_exit(0);
	}
	wait(NULL);
	P(PR_MCE_KILL, PR_MCE_KILL_CLEAR, 1, 0, 0);
	P(PR_MCE_KILL, PR_MCE_KILL_CLEAR, 0, 0, 0);
	P(PR_MCE_KILL_GET, 0, 0, 0, 0);
	P(PR_MCE_KILL, 2, 0, 0, 0);
	P(PR_MCE_KILL, 0, 0, 1, 0);
	P(PR_MCE_KILL, 0, 0, 0, 1);
}

static void slack(void)
{
	P(PR_SET_TIMERSLACK, 77, 1, 2, 3);
	P(PR_GET_TIMERSLACK, 1, 2, 3, 4);
	if (fork() == 0) {
		P(PR_SET_TIMERSLACK, 99, 0, 0, 0);
		P(PR_SET_TIMERSLACK, 0, 0, 0, 0);
		P(PR_GET_TIMERSLACK, 0, 0, 0, 0);
		_exit(0);
	}
	wait(NULL);
	P(PR_SET_TIMERSLACK, 1L << 40, 0, 0, 0);
	P(PR_GET_TIMERSLACK, 0, 0, 0, 0);
	P(PR_SET_TIMERSLACK, -3L, 0, 0, 0);
	P(PR_GET_TIMERSLACK, 0, 0, 0, 0);
	P(PR_SET_TIMERSLACK, 0, 0, 0, 0);
	P(PR_GET_TIMERSLACK, 0, 0, 0, 0);
}

static void privileges(void)
{
	P(PR_CAPBSET_READ, 41, 0, 0, 0);
	P(PR_CAPBSET_READ, -1, 0, 0, 0);
	P(PR_CAPBSET_READ, 1L << 32, 0, 0, 0);
	P(PR_CAPBSET_DROP, 41, 0, 0, 0);
	P(PR_CAPBSET_DROP, CAP_SYSLOG, 0, 0, 0);
	P(PR_CAPBSET_READ, CAP_SYSLOG, 0, 0, 0);
	P(PR_SET_KEEPCAPS, 1, 0, 0, 0);
	P(PR_GET_KEEPCAPS, 0, 0, 0, 0);
	P(PR_GET_SECUREBITS, 0, 0, 0, 0);
	P(PR_SET_SECUREBITS, 1 << 8, 0, 0, 0);
	P(PR_SET_SECUREBITS, -1, 0, 0, 0);
	P(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS_LOCKED, 0, 0, 0);
	P(PR_SET_KEEPCAPS, 1, 0, 0, 0);
	P(PR_SET_SECUREBITS, 0, 0, 0, 0);
	P(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE, 0, 0, 0);
	P(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0);
	P(PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, CAP_CHOWN, 0, 0);
	P(PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, 41, 0, 0);
	P(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, -1, 0, 0);
	P(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 1, 0, 0);
	P(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 1, 0);
	P(PR_CAP_AMBIENT, 0, 0, 0, 0);
	P(PR_CAP_AMBIENT, 5, 41, 0, 0);
}

static void io_flusher(void)
{
	if (setuid(12345) == 0) {
		P(PR_GET_IO_FLUSHER, 0, 0, 0, 0);
		P(PR_SET_IO_FLUSHER, 7, 0, 0, 0);
		P(PR_CAPBSET_DROP, 41, 0, 0, 0);
		P(PR_SET_SECUREBITS, 0, 0, 0, 0);
		P(PR_SET_MM, PR_SET_MM_BRK, 0, 0, 0);
		P(PR_GET_DUMPABLE, 0, 0, 0, 0);
	}
}

static void mdwe(void)
{
	long size = 4096;
	void *code = mmap(NULL, size, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	P(PR_GET_MDWE, 1, 0, 0, 0);
	P(PR_GET_MDWE, 0, 0, 0, 0);
	P(PR_SET_MDWE, 4, 0, 0, 0);
	P(PR_SET_MDWE, 2, 0, 0, 0);
	P(PR_SET_MDWE, 1, 1, 0, 0);
	P(PR_SET_MDWE, 0, 0, 0, 0);
	P(PR_SET_MDWE, 1, 0, 0, 0);
	P(PR_GET_MDWE, 0, 0, 0, 0);
	P(PR_SET_MDWE, 1, 0, 0, 0);
	P(PR_SET_MDWE, 0, 0, 0, 0);
	P(PR_SET_MDWE, 3, 0, 0, 0);
	SHOW(mmap(NULL, size, PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	IS(mmap(NULL, size, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
	SHOW(mprotect(code, size, PROT_READ));
	SHOW(mprotect(code, size, PROT_READ | PROT_EXEC));
	code = mmap(NULL, size, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	SHOW(mprotect(code, size, PROT_READ | PROT_EXEC));
	SHOW(mprotect(code, size, PROT_WRITE | PROT_EXEC));
	if (fork() == 0) {
		P(PR_GET_MDWE, 0, 0, 0, 0);
		_exit(0);
	}
	wait(NULL);
}

static void mdwe_not_inherited(void)
{
	P(PR_SET_MDWE, 3, 0, 0, 0);
	P(PR_GET_MDWE, 0, 0, 0, 0);
	if (fork() == 0) {
		P(PR_GET_MDWE, 0, 0, 0, 0);
		_exit(0);
	}
	wait(NULL);
}

static void huge_pages(void)
{
	P(PR_GET_THP_DISABLE, 0, 0, 0, 0);
	P(PR_GET_THP_DISABLE, 1, 0, 0, 0);
	P(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	P(PR_GET_THP_DISABLE, 0, 0, 0, 0);
	if (fork() == 0) {
		P(PR_GET_THP_DISABLE, 0, 0, 0, 0);
		P(PR_SET_THP_DISABLE, 0, 0, 0, 0);
		P(PR_GET_THP_DISABLE, 0, 0, 0, 0);
		_exit(0);
	}
	wait(NULL);
	P(PR_GET_THP_DISABLE, 0, 0, 0, 0);
	P(PR_SET_THP_DISABLE, 0, 0, 1, 0);
	P(PR_SET_THP_DISABLE, 0, 0, 0, 0);
}

static void others(void)
{
	int value = 9;
	static char vector[1000];

	P(PR_TASK_PERF_EVENTS_DISABLE, 0, 0, 0, 0);
	P(PR_TASK_PERF_EVENTS_ENABLE, 0, 0, 0, 0);
	P(PR_SET_TIMING, 0, 0, 0, 0);
	P(PR_SET_TIMING, 2, 0, 0, 0);
	P(PR_GET_TSC, &value, 0, 0, 0);
	say("%d\n", value);
	P(PR_GET_TSC, 8, 0, 0, 0);
	P(PR_SET_TSC, 3, 0, 0, 0);
	P(PR_SET_TSC, PR_TSC_ENABLE, 0, 0, 0);
	P(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0);
	P(PR_SET_NO_NEW_PRIVS, 2, 0, 0, 0);
	P(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 1);
	P(PR_GET_TID_ADDRESS, 8, 0, 0, 0);
	P(PR_GET_SPECULATION_CTRL, 3, 0, 0, 0);
	P(PR_GET_SPECULATION_CTRL, 0, 1, 0, 0);
	P(PR_SET_SPECULATION_CTRL, 3, PR_SPEC_ENABLE, 0, 0);
	P(PR_SET_SPECULATION_CTRL, 0, PR_SPEC_ENABLE, 1, 0);
	P(PR_TIMER_CREATE_RESTORE_IDS, 2, 0, 0, 0);
	P(PR_TIMER_CREATE_RESTORE_IDS, 1, 0, 0, 0);
	P(PR_TIMER_CREATE_RESTORE_IDS, 2, 0, 0, 0);
	P(PR_TIMER_CREATE_RESTORE_IDS, 3, 0, 0, 0);
	P(PR_TIMER_CREATE_RESTORE_IDS, 0, 1, 0, 0);
	P(PR_TIMER_CREATE_RESTORE_IDS, 0, 0, 0, 0);
	IS(prctl(PR_GET_AUXV, vector, sizeof(vector), 0, 0) > 300);
	IS(prctl(PR_GET_AUXV, vector, 16, 0, 0) > 300);
	P(PR_GET_AUXV, 8, 16, 0, 0);
	P(PR_GET_AUXV, vector, 16, 1, 0);
}

static void timer_ids(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_NONE };
	int id = 1234;

	P(PR_TIMER_CREATE_RESTORE_IDS, 1, 0, 0, 0);
	SHOW(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id));
	say("%d\n", id);
	SHOW(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id));
	id = -1;
	SHOW(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id));
	SHOW(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, NULL));
	id = 7;
	SHOW(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id));
	say("%d\n", id);
	if (fork() == 0) {
		P(PR_TIMER_CREATE_RESTORE_IDS, 2, 0, 0, 0);
		_exit(0);
	}
	wait(NULL);
}

static void dispatch_errors(void)
{
	static volatile char selector;

	P(PR_SET_SYSCALL_USER_DISPATCH, 3, 0, 0, 0);
	P(PR_SET_SYSCALL_USER_DISPATCH, 0, 1, 0, 0);
	P(PR_SET_SYSCALL_USER_DISPATCH, 0, 0, 1, 0);
	P(PR_SET_SYSCALL_USER_DISPATCH, 0, 0, 0, &selector);
	P(PR_SET_SYSCALL_USER_DISPATCH, 1, 1, 0, &selector);
	P(PR_SET_SYSCALL_USER_DISPATCH, 1, -1L, 1, &selector);
	P(PR_SET_SYSCALL_USER_DISPATCH, 1, 0, -1L, -1L);
	P(PR_SET_SYSCALL_USER_DISPATCH, 1, 0, -1L, &selector);
	P(PR_SET_SYSCALL_USER_DISPATCH, 0, 0, 0, 0);
}

int main(void)
{
	in_child("not here", not_here);
	in_child("names", names);
	in_child("signals", signals);
	in_child("dumpable", dumpable);
	in_child("machine checks", machine_checks);
	in_child("slack", slack);
	in_child("privileges", privileges);
	in_child("io flusher", io_flusher);
	in_child("mdwe", mdwe);
	in_child("mdwe not inherited", mdwe_not_inherited);
	in_child("huge pages", huge_pages);
	in_child("others", others);
	in_child("timer ids", timer_ids);
	in_child("dispatch", dispatch_errors);
	return 0;
}
