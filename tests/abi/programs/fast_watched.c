/* SPDX-License-Identifier: Apache-2.0 */
/* abi-as: root */
/* Calls that are asked for often are still filtered, and ids are those of the namespace. */
#include "check.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/prctl.h>

static char buf[4096];
static volatile int filtered, done;

static void warm(void)
{
	for (int i = 0; i < 40; i++) {
		syscall(SYS_getpid);
		syscall(SYS_getuid);
		syscall(SYS_gettid);
	}
}

static void filter(unsigned nr, unsigned flags)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EDOM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {4, code};

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	SHOW(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program));
}

static void own_filter(void)
{
	warm();
	filter(SYS_getpid, 0);
	SHOW(syscall(SYS_getpid));
	IS(syscall(SYS_gettid) > 0);
	warm();
	SHOW(syscall(SYS_getpid));
	_exit(0);
}

static void read_filter(void)
{
	int fd = open("/etc/passwd", O_RDONLY);

	for (int i = 0; i < 40; i++) {
		lseek(fd, 0, SEEK_SET);
		read(fd, buf, 20);
	}
	filter(SYS_read, 0);
	SHOW(read(fd, buf, 20));
	SHOW(lseek(fd, 0, SEEK_CUR));
	SHOW(lseek(fd, 3, SEEK_SET));
	SHOW(pread(fd, buf, 20, 1));
	_exit(0);
}

static void *busy(void *arg)
{
	warm();
	done = 1;
	while (!filtered)
		syscall(SYS_getuid);
	IS(syscall(SYS_getuid) == -1 && errno == EDOM);
	return arg;
}

/* Another thread's filter is for the one that is in the middle of such calls, too. */
static void synchronised(void)
{
	pthread_t one;

	pthread_create(&one, NULL, busy, NULL);
	while (!done)
		sched_yield();
	filter(SYS_getuid, SECCOMP_FILTER_FLAG_TSYNC);
	filtered = 1;
	pthread_join(one, NULL);
	_exit(0);
}

static void namespaces(void)
{
	warm();
	SHOW(unshare(CLONE_NEWUSER));
	SHOW(syscall(SYS_getuid));
	SHOW(syscall(SYS_geteuid));
	warm();
	SHOW(syscall(SYS_getgid));
	_exit(0);
}

static void numbers(void)
{
	pid_t self = syscall(SYS_getpid);

	warm();
	SHOW(unshare(CLONE_NEWPID));
	IS(syscall(SYS_getpid) == self);
	if (!fork()) {
		warm();
		SHOW(syscall(SYS_getpid));
		SHOW(syscall(SYS_gettid));
		_exit(0);
	}
	wait(NULL);
	IS(syscall(SYS_getpid) == self);
	_exit(0);
}

int main(void)
{
	in_child("own_filter", own_filter);
	in_child("read_filter", read_filter);
	in_child("synchronised", synchronised);
	in_child("namespaces", namespaces);
	in_child("numbers", numbers);
	return 0;
}
