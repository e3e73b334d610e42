/* SPDX-License-Identifier: Apache-2.0 */
/* abi-as: root */
/* Mounts in a user namespace: what may be mounted, what is locked. */
#include "mounts.h"
#include <sys/sysmacros.h>

static int up[2], down[2];

static void meet(int to, int from)
{
	char c;

	write(to, "x", 1);
	read(from, &c, 1);
}

static void become(int flags)
{
	if (SHOW(unshare(CLONE_NEWUSER | CLONE_NEWNS | flags)) < 0)
		exit(1);
	put("/proc/self/setgroups", "deny");
	put("/proc/self/uid_map", "0 0 1");
	put("/proc/self/gid_map", "0 0 1");
}

static void types(void)
{
	become(0);
	mkdir("t", 0755);
	SHOW(tmpfs("t"));
	SHOW(mount("none", "t", "ramfs", 0, NULL));
	SHOW(mount("none", "t", "devpts", 0, "newinstance"));
	SHOW(mount("none", "t", "mqueue", 0, NULL));
	SHOW(mount("none", "t", "proc", 0, NULL));
	SHOW(mount("none", "t", "devtmpfs", 0, NULL));
	SHOW(mount("none", "t", "nosuchfs", 0, NULL));
	show_mounts("what may be mounted");
	SHOW(umount2("t", MNT_DETACH));
	SHOW(umount2("t", MNT_DETACH));
	SHOW(umount2("t", MNT_DETACH));
	SHOW(tmpfs("t"));
	SHOW(mknod("t/null", S_IFCHR | 0666, makedev(1, 3)));
	SHOW(umount2("t", MNT_FORCE));
	SHOW(umount2("ro", MNT_FORCE));
}

static void in_ipc(void)
{
	become(CLONE_NEWIPC);
	mkdir("t", 0755);
	SHOW(mount("none", "t", "mqueue", 0, NULL));
	show_mounts("a message queue file system");
}

static void locked(void)
{
	become(0);
	show_mounts("as inherited");
	SHOW(umount("ro"));
	SHOW(umount2("ro", MNT_DETACH));
	SHOW(umount("tree/x"));
	SHOW(mount("ro", "b", NULL, MS_MOVE, NULL));
	SHOW(bind("tree", "b"));
	SHOW(mount("tree", "b", NULL, MS_BIND | MS_REC, NULL));
	show_mounts("bound");
	SHOW(umount("b/x"));
	SHOW(umount("b"));
	SHOW(umount2("b", MNT_DETACH));
	SHOW(bind("ro", "b"));
	SHOW(mount(NULL, "b", NULL, MS_REMOUNT | MS_BIND, NULL));
	SHOW(mount(NULL, "b", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
	SHOW(mount(NULL, "b", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NODEV, NULL));
	SHOW(mount(NULL, "b", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NODEV | MS_NOATIME, NULL));
	SHOW(mount(NULL, "b", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NODEV | MS_NOSUID, NULL));
	SHOW(mount(NULL, "b", NULL, MS_REMOUNT | MS_RDONLY | MS_NODEV | MS_NOSUID, NULL));
	SHOW(umount("b"));
	SHOW(tmpfs("b"));
	SHOW(mount("b", "c", NULL, MS_MOVE, NULL));
	SHOW(mount(NULL, "c", NULL, MS_REMOUNT, "size=1m"));
	SHOW(umount("c"));
	meet(up[1], down[0]);
	show_mounts("what came from outside");
	SHOW(umount("shared/x"));
	SHOW(umount("shared/x/y"));
	SHOW(tmpfs("shared/z"));
	meet(up[1], down[0]);
	show_mounts("after the unmounts outside");
}

int main(void)
{
	int status;
	pid_t pid;

	own_mounts();
	pipe(up);
	pipe(down);
	mkdir("ro", 0755);
	mkdir("b", 0755);
	mkdir("c", 0755);
	mkdir("tree", 0755);
	mkdir("shared", 0755);
	mount("none", "ro", "tmpfs", MS_RDONLY | MS_NODEV, NULL);
	tmpfs("tree");
	mkdir("tree/x", 0755);
	tmpfs("tree/x");
	tmpfs("shared");
	mkdir("shared/x", 0755);
	mkdir("shared/z", 0755);
	type("shared", MS_SHARED);
	in_child("types", types);
	in_child("in_ipc", in_ipc);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		locked();
		_exit(0);
	}
	read(up[0], (char[1]){ 0 }, 1);
	tmpfs("shared/x");
	mkdir("shared/x/y", 0755);
	tmpfs("shared/x/y");
	meet(down[1], up[0]);
	show_mounts("outside");
	SHOW(umount("shared/x/y"));
	SHOW(umount("shared/x"));
	write(down[1], "x", 1);
	waitpid(pid, &status, 0);
	say("%#x\n", status);
	chdir("..");
	umount2("m", MNT_DETACH);
	rmdir("m");
	return 0;
}
