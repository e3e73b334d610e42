/* SPDX-License-Identifier: Apache-2.0 */
/* Filters as libseccomp makes them: rules on arguments, a binary tree, notifications. */
/* abi-cflags: -lseccomp */
#include "check.h"
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>

static void allow_list(void)
{
	static const char *names[] = {
		"read", "write", "exit_group", "exit", "brk", "mmap", "munmap", "fstat", "newfstatat",
		"rt_sigreturn", "rt_sigaction", "close", "getpid", "lseek", "clock_gettime", "futex",
		"openat", "getrandom", "mprotect", "poll", "dup", "fcntl", "access", "uname",
	};
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(ENOTNAM));
	unsigned i;

	for (i = 0; i < sizeof(names) / sizeof(*names); i++)
		seccomp_rule_add(ctx, SCMP_ACT_ALLOW, seccomp_syscall_resolve_name(names[i]), 0);
	SHOW(seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2));
	SHOW(seccomp_load(ctx));
	SHOW(getpid() > 0);
	SHOW(getppid());
	SHOW(getuid());
	SHOW(mkdir("d", 0777));
	SHOW(socket(AF_UNIX, SOCK_STREAM, 0));
	SHOW(kill(0, 9));
	seccomp_release(ctx);
}

static void argument_rules(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);

	seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EXDEV), SCMP_SYS(dup2), 1, SCMP_A1(SCMP_CMP_EQ, 77));
	seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EDOM), SCMP_SYS(dup2), 1, SCMP_A1(SCMP_CMP_GT, 100));
	seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOTBLK), SCMP_SYS(getpgid), 1,
			 SCMP_A0(SCMP_CMP_MASKED_EQ, 0xff00, 0x1200));
	seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EL2HLT), SCMP_SYS(lseek), 2,
			 SCMP_A1(SCMP_CMP_GE, 0x100000000), SCMP_A2(SCMP_CMP_NE, SEEK_SET));
	seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EILSEQ), SCMP_SYS(lseek), 1, SCMP_A1(SCMP_CMP_LT, 5));
	SHOW(seccomp_load(ctx));
	SHOW(dup2(0, 77));
	SHOW(dup2(0, 78));
	SHOW(dup2(0, 101));
	SHOW(dup2(0, 100));
	SHOW(getpgid(0x1234));
	SHOW(getpgid(0x7fff));
	SHOW(lseek(0, 0x100000000, SEEK_CUR));
	SHOW(lseek(0, 4, SEEK_CUR));
	SHOW(lseek(99, 5, SEEK_CUR));
	SHOW(lseek(99, 0x200000000, SEEK_SET));
}

static void kill_rule(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);

	seccomp_rule_add(ctx, SCMP_ACT_KILL_PROCESS, SCMP_SYS(getppid), 0);
	seccomp_rule_add(ctx, SCMP_ACT_LOG, SCMP_SYS(getuid), 0);
	SHOW(seccomp_load(ctx));
	IS(getuid() < 100000);
	getppid();
}

static void notified(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	struct seccomp_notif *req;
	struct seccomp_notif_resp *resp;
	pid_t pid;
	int fd, status;

	seccomp_rule_add(ctx, SCMP_ACT_NOTIFY, SCMP_SYS(getppid), 0);
	SHOW(seccomp_load(ctx));
	fd = seccomp_notify_fd(ctx);
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		_exit(syscall(SYS_getppid));
	SHOW(seccomp_notify_alloc(&req, &resp));
	memset(req, 0, sizeof(*req));
	SHOW(seccomp_notify_receive(fd, req));
	SHOW(seccomp_notify_id_valid(fd, req->id));
	IS(req->pid == (unsigned)pid);
	resp->id = req->id;
	resp->val = 42;
	SHOW(seccomp_notify_respond(fd, resp));
	waitpid(pid, &status, 0);
	say("%d\n", WEXITSTATUS(status));
	seccomp_notify_free(req, resp);
}

int main(void)
{
	say("api %u\n", seccomp_api_get());
	in_child("allow list", allow_list);
	in_child("arguments", argument_rules);
	in_child("kill", kill_rule);
	in_child("notified", notified);
	return 0;
}
