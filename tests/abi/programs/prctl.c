/* SPDX-License-Identifier: Apache-2.0 */
/* prctl(2), scheduling calls, priorities, capabilities and the errors they give. */
#include "check.h"
#include <linux/capability.h>
#include <linux/sched.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <sys/sysinfo.h>
#include <asm/prctl.h>


static void names(void)
{
	char name[17] = "";
	SHOW(prctl(PR_SET_NAME, "a name longer than fifteen"));
	SHOW(prctl(PR_GET_NAME, name));
	say("<%s>\n", name);
	SHOW(prctl(PR_SET_NAME, 8));
}

static void flags(void)
{
	int value = -1;
	SHOW(prctl(PR_GET_DUMPABLE));
	SHOW(prctl(PR_SET_DUMPABLE, 2));
	SHOW(prctl(PR_SET_DUMPABLE, 0));
	SHOW(prctl(PR_GET_DUMPABLE));
	SHOW(prctl(PR_SET_DUMPABLE, 1));
	SHOW(prctl(PR_GET_KEEPCAPS));
	SHOW(prctl(PR_SET_KEEPCAPS, 2));
	SHOW(prctl(PR_SET_PDEATHSIG, 65));
	SHOW(prctl(PR_SET_PDEATHSIG, SIGUSR1));
	SHOW(prctl(PR_GET_PDEATHSIG, &value));
	say("%d\n", value);
	SHOW(prctl(PR_SET_PDEATHSIG, 0));
	SHOW(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
	SHOW(prctl(PR_SET_NO_NEW_PRIVS, 1, 1, 0, 0));
	SHOW(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	SHOW(prctl(PR_GET_NO_NEW_PRIVS, 1, 0, 0, 0));
	SHOW(prctl(PR_GET_TIMING));
	SHOW(prctl(PR_SET_TIMING, 1));
	SHOW(prctl(PR_GET_TSC, &value));
	say("%d\n", value);
	SHOW(prctl(PR_SET_TIMERSLACK, 1234));
	SHOW(prctl(PR_GET_TIMERSLACK));
	SHOW(prctl(PR_SET_TIMERSLACK, 0));
	SHOW(prctl(PR_GET_TIMERSLACK));
	SHOW(prctl(PR_SET_CHILD_SUBREAPER, 1));
	SHOW(prctl(PR_GET_CHILD_SUBREAPER, &value));
	say("%d\n", value);
	SHOW(prctl(PR_SET_CHILD_SUBREAPER, 0));
	SHOW(prctl(PR_GET_UNALIGN, &value));
	SHOW(prctl(PR_GET_FPEMU, &value));
	SHOW(prctl(PR_GET_ENDIAN, &value));
	SHOW(prctl(PR_GET_SECCOMP));
	SHOW(prctl(4711));
	SHOW(prctl(PR_CAPBSET_READ, 0));
	SHOW(prctl(PR_CAPBSET_READ, 64));
	SHOW(prctl(PR_GET_SECUREBITS));
	SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, 5, 0, 0));
	SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, 5, 1, 0));
	SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 64, 0, 0));
	SHOW(prctl(PR_CAP_AMBIENT, 9, 5, 0, 0));
	SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0));
	SHOW(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 1));
}

static void scheduling(void)
{
	struct sched_param param = { 0 };
	struct timespec slice;
	int policy;
	for (policy = -1; policy < 8; policy++) {
		if (policy == 7)
			continue;
		SHOW(sched_get_priority_max(policy));
		SHOW(sched_get_priority_min(policy));
	}
	SHOW(sched_getscheduler(0));
	SHOW(sched_getscheduler(-1));
	SHOW(sched_getscheduler(4000000));
	SHOW(sched_getparam(0, &param));
	SHOW(sched_setscheduler(0, SCHED_BATCH, &param));
	SHOW(sched_getscheduler(0));
	SHOW(sched_setscheduler(0, SCHED_IDLE, &param));
	SHOW(sched_getscheduler(0));
	SHOW(sched_setscheduler(0, SCHED_OTHER, &param));
	param.sched_priority = 5;
	SHOW(sched_setscheduler(0, SCHED_OTHER, &param));
	param.sched_priority = 0;
	SHOW(sched_setscheduler(0, SCHED_FIFO, &param));
	SHOW(sched_setscheduler(0, 99, &param));
	SHOW(sched_setscheduler(0, SCHED_OTHER, NULL));
	SHOW(sched_rr_get_interval(4000000, &slice));
	SHOW(sched_yield());
	SHOW(nice(5));
	SHOW(getpriority(PRIO_PROCESS, 0));
	SHOW(setpriority(PRIO_PROCESS, 0, 100));
	SHOW(getpriority(PRIO_PROCESS, 0));
	SHOW(getpriority(7, 0));
	SHOW(getpriority(PRIO_PROCESS, 4000000));
	SHOW(syscall(SYS_ioprio_get, 1, 0));
	SHOW(syscall(SYS_ioprio_set, 1, 0, 3 << 13));
	SHOW(syscall(SYS_ioprio_get, 1, 0));
	SHOW(syscall(SYS_ioprio_set, 1, 0, 5 << 13));
	SHOW(syscall(SYS_ioprio_set, 9, 0, 0));
}

static void others(void)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];
	struct utsname uts;
	struct sysinfo info;
	unsigned cpu, node;
	unsigned long base;
	long list, length;
	stack_t stack = { .ss_sp = &stack, .ss_size = 100 };
	SHOW(syscall(SYS_capget, &head, data));
	head.version = 7;
	SHOW(syscall(SYS_capget, &head, data));
	say("%x\n", head.version);
	head.version = 7;
	SHOW(syscall(SYS_capget, &head, NULL));
	head.pid = -3;
	SHOW(syscall(SYS_capget, &head, data));
	head.pid = 4000000;
	SHOW(syscall(SYS_capget, &head, data));
	SHOW(uname(&uts));
	say("%s %s\n", uts.sysname, uts.machine);
	SHOW(uname((void *)8));
	SHOW(sysinfo(&info));
	IS(info.totalram * info.mem_unit > 0 && info.procs > 0);
	SHOW(syscall(SYS_getcpu, &cpu, &node, NULL));
	SHOW(syscall(SYS_getcpu, 8, &node, NULL));
	SHOW(syscall(SYS_arch_prctl, ARCH_SET_GS, 0x12345));
	SHOW(syscall(SYS_arch_prctl, ARCH_GET_GS, &base));
	say("%lx\n", base);
	SHOW(syscall(SYS_arch_prctl, ARCH_SET_GS, 1L << 47));
	SHOW(syscall(SYS_arch_prctl, ARCH_SET_GS, -1L));
	SHOW(syscall(SYS_arch_prctl, ARCH_GET_FS, 8));
	SHOW(syscall(SYS_arch_prctl, 0x77, 0));
	SHOW(syscall(SYS_get_robust_list, 0, &list, &length));
	say("%ld\n", length);
	SHOW(syscall(SYS_set_robust_list, 0, 23));
	SHOW(sigaltstack(&stack, NULL));
	stack.ss_flags = 77;
	SHOW(sigaltstack(&stack, NULL));
	SHOW(syscall(SYS_membarrier, 99, 0, 0));
	SHOW(syscall(SYS_membarrier, 0, 1, 0));
	SHOW(syscall(SYS_restart_syscall));
	SHOW(syscall(SYS_getrusage, 5, 0));
	SHOW(syscall(SYS_personality, 0xffffffff));
	SHOW(syscall(SYS_rt_sigpending, 8, 8));
	SHOW(syscall(SYS_rt_sigpending, &base, 9));
	SHOW(syscall(SYS_rt_sigaction, 10, 0, 0, 9));
	SHOW(syscall(SYS_rt_sigprocmask, 77, 0, 0, 8));
	SHOW(syscall(SYS_rt_sigprocmask, 77, &base, 0, 8));
	SHOW(syscall(SYS_tgkill, getpid(), 0, 0));
	SHOW(syscall(SYS_tgkill, 0, getpid(), 0));
	SHOW(syscall(SYS_tgkill, getpid(), getpid(), 0));
	SHOW(syscall(SYS_tgkill, getpid(), getpid(), 65));
	SHOW(kill(4000000, 0));
	SHOW(kill(-4000000, 0));
	SHOW(syscall(SYS_kill, -2147483647 - 1, 0));
	SHOW(syscall(SYS_set_tid_address, 0) == getpid());
}

int main(void)
{
	names();
	flags();
	scheduling();
	others();
	return 0;
}
