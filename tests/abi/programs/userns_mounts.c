/* SPDX-License-Identifier: Apache-2.0 */
/* abi-as: root */
/* What the root of a user namespace may mount, and what it can't take back or reach. */
#include "check.h"
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/xattr.h>

#define EFFECTIVE_V2 "\1\0\0\2\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0"

static void put_map(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY);

	if (write(fd, text, strlen(text)) < 0)
		say("%s: %s\n", name, strerrorname_np(errno));
	close(fd);
}

static void become(uid_t id)
{
	setresgid(id, id, id);
	setresuid(id, id, id);
	prctl(PR_SET_DUMPABLE, 1);
}

static void enter(void)
{
	become(12345);
	SHOW(unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS));
	put_map("/proc/self/uid_map", "0 12345 1");
	put_map("/proc/self/setgroups", "deny");
	put_map("/proc/self/gid_map", "0 12345 1");
}

static void mounts(void)
{
	unsigned char value[32];
	struct stat st;

	enter();
	SHOW(mount("none", "/", NULL, MS_REC | MS_SLAVE, NULL));
	SHOW(mount("none", "one", "tmpfs", 0, "uid=5"));
	SHOW(mount("none", "one", "tmpfs", 0, "mode=700,uid=0"));
	SHOW(mknod("one/zero", S_IFCHR | 0666, 0x105));
	SHOW(mknod("one/fifo", S_IFIFO | 0666, 0));
	put("one/x", "x");
	SHOW(chmod("one/x", 06755));
	SHOW(stat("one/x", &st));
	say("%o %d\n", st.st_mode, st.st_uid);
	SHOW(chown("one/x", 1, 1));
	SHOW(setxattr("one/x", "trusted.a", "b", 1, 0));
	SHOW(setxattr("one/x", "security.capability", EFFECTIVE_V2, 20, 0));
	SHOW(getxattr("one/x", "security.capability", value, sizeof value));
	SHOW(setxattr("one/x", "security.foo", "b", 1, 0));
	SHOW(mount("none", "two", "ramfs", 0, NULL));
	SHOW(mount("none", "two", "devtmpfs", 0, NULL));
	SHOW(mount("none", "two", "sysfs", 0, NULL)); /* it belongs to the network namespace */
	SHOW(umount("two"));
	SHOW(mount("/etc", "two", NULL, MS_BIND, NULL));
	SHOW(umount("two"));
	SHOW(mount("/etc", "two", NULL, MS_BIND | MS_REC, NULL));
	SHOW(mount(NULL, "two", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
	SHOW(open("two/x", O_CREAT | O_WRONLY, 0600));
	SHOW(mount(NULL, "/", NULL, MS_REMOUNT, NULL));
	SHOW(umount("/proc"));
	SHOW(umount2("/proc", MNT_DETACH));
	SHOW(chroot("one"));
}

static void tracing(void)
{
	fflush(stdout);
	pid_t outer = fork();

	if (outer == 0) {
		become(12345);
		for (;;)
			pause();
	}
	usleep(20000);
	pid_t pid = fork();

	if (pid == 0) {
		enter();
		SHOW(ptrace(PTRACE_ATTACH, outer, 0, 0)); /* one's own user, but outside */
		SHOW(kill(outer, 0));
		SHOW(kill(outer, SIGKILL));
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	waitpid(outer, NULL, 0);
}

int main(void)
{
	chmod(".", 0777);
	mkdir("one", 0777);
	mkdir("two", 0777);
	in_child("mounts", mounts);
	in_child("tracing", tracing);
	return 0;
}
