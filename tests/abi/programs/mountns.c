/* SPDX-License-Identifier: Apache-2.0 */
/* abi-as: root */
/* Mounts in a namespace: bind, move, remount, umount, pivot_root, lists. */
#include "mounts.h"
#include <sys/statvfs.h>

static int pivot(const char *new_root, const char *put_old)
{
	return syscall(SYS_pivot_root, new_root, put_old);
}

static void flags_of(const char *place)
{
	struct statvfs st;

	if (statvfs(place, &st) == 0)
		say("%s: %#lx\n", place, st.f_flag & ~ST_RELATIME);
}

static void basics(void)
{
	mkdir("a", 0755);
	mkdir("a/sub", 0755);
	mkdir("b", 0755);
	mkdir("c", 0755);
	put("file", "x");
	put("other", "y");
	SHOW(tmpfs("none"));
	SHOW(tmpfs("file"));
	SHOW(mount("none", "a", NULL, 0, NULL));
	SHOW(mount("none", "a", "nosuchfs", 0, NULL));
	SHOW(mount("none", "a", "tmpfs", 0, "nonsense"));
	SHOW(mount("none", "a", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=700"));
	put("a/in", "z");
	mkdir("a/deep", 0755);
	SHOW(tmpfs("a/deep"));
	SHOW(bind("a", "b"));
	SHOW(bind("file", "other"));
	SHOW(bind("file", "c"));
	SHOW(bind("none", "c"));
	SHOW(mount(NULL, "c", NULL, MS_BIND, NULL));
	SHOW(mount("a", "c", NULL, MS_BIND | MS_REC, NULL));
	show_mounts("binds");
	SHOW(access("b/in", F_OK));
	SHOW(rmdir("a/deep"));
	SHOW(rename("a/deep", "a/deeper"));
	SHOW(unlink("other"));
	SHOW(umount("other"));
	SHOW(umount("other"));
	SHOW(umount("a"));
	SHOW(umount2("a", 0x100));
	SHOW(umount("nowhere"));
	SHOW(umount("c"));
	SHOW(umount("c/deep"));
	SHOW(umount("c"));
	show_mounts("umounts");
}

static void remounts(void)
{
	SHOW(mount(NULL, "b", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
	SHOW(open("b/new", O_CREAT | O_WRONLY, 0644));
	put("a/new", "still");
	show_mounts("remounted b alone");
	SHOW(mount(NULL, "a", NULL, MS_REMOUNT | MS_RDONLY | MS_NOATIME, NULL));
	SHOW(open("a/newer", O_CREAT | O_WRONLY, 0644));
	SHOW(mount(NULL, "a", NULL, MS_REMOUNT, "mode=755"));
	SHOW(mount(NULL, "a/in", NULL, MS_REMOUNT, NULL));
	SHOW(mount(NULL, "a/deep/..", NULL, MS_REMOUNT | MS_BIND | MS_NOSUID | MS_STRICTATIME, NULL));
	flags_of("a");
	flags_of("b");
	show_mounts("remounted");
	SHOW(mount(NULL, "b", NULL, MS_REMOUNT | MS_BIND, NULL));
}

static void access_times(void)
{
	const char *options[] = { "relatime", "strictatime", "noatime" };
	const int flags[] = { 0, MS_STRICTATIME, MS_NOATIME };
	struct stat before, after;

	tmpfs("c");
	put("c/f", "x");
	for (int i = 0; i < 3; i++) {
		mount(NULL, "c", NULL, MS_REMOUNT | MS_BIND | MS_RELATIME * !i | flags[i], NULL);
		for (int round = 0; round < 2; round++) {
			int fd = open("c/f", O_RDONLY);

			fstat(fd, &before);
			usleep(20000);
			read(fd, (char[1]){ 0 }, 1);
			fstat(fd, &after);
			say("%s: atime moves: %d\n", options[i],
			    after.st_atim.tv_sec != before.st_atim.tv_sec ||
				    after.st_atim.tv_nsec != before.st_atim.tv_nsec);
			close(fd);
		}
	}
	umount("c");
}

static void stacked(void)
{
	int fd;

	SHOW(tmpfs("c"));
	put("c/first", "1");
	SHOW(tmpfs("c"));
	put("c/second", "2");
	SHOW(access("c/first", F_OK));
	SHOW(umount("c"));
	SHOW(access("c/first", F_OK));
	fd = open("c/first", O_RDONLY);
	SHOW(umount("c"));
	SHOW(umount2("c", MNT_DETACH));
	SHOW(access("c/first", F_OK));
	SHOW(read(fd, (char[2]){ 0 }, 1));
	close(fd);
	SHOW(tmpfs("c"));
	mkdir("c/d", 0755);
	SHOW(chdir("c/d"));
	SHOW(umount2("../../c", MNT_DETACH));
	SHOW(access("../d", F_OK));
	SHOW(access("../../a", F_OK));
	SHOW(bind(".", top));
	SHOW(chdir(top));
}

static void expiry(void)
{
	SHOW(tmpfs("c"));
	SHOW(umount2("c", MNT_EXPIRE | MNT_DETACH));
	SHOW(umount2("c", MNT_EXPIRE));
	access("c/x", F_OK);
	SHOW(umount2("c", MNT_EXPIRE));
	SHOW(umount2("c", MNT_EXPIRE));
	symlink("a", "link");
	SHOW(umount2("link", UMOUNT_NOFOLLOW));
	SHOW(umount2("file", MNT_DETACH));
}

static void moves(void)
{
	mkdir("from", 0755);
	mkdir("to", 0755);
	SHOW(tmpfs("from"));
	mkdir("from/x", 0755);
	SHOW(tmpfs("from/x"));
	SHOW(mount("from", "to", NULL, MS_MOVE, NULL));
	show_mounts("moved");
	SHOW(mount("to", "to/x", NULL, MS_MOVE, NULL));
	SHOW(mount("from", "a", NULL, MS_MOVE, NULL));
	SHOW(mount("to", "file", NULL, MS_MOVE, NULL));
	SHOW(mount("to/x", "nowhere", NULL, MS_MOVE, NULL));
	SHOW(umount("to"));
	SHOW(umount("to/x"));
	SHOW(umount("to"));
}

static void types(void)
{
	SHOW(type("a/deep/..", MS_SHARED));
	SHOW(type("a/in", MS_SHARED));
	SHOW(type("a", MS_SHARED | MS_PRIVATE));
	SHOW(type("a", MS_SHARED | MS_RDONLY));
	SHOW(type("a", MS_UNBINDABLE));
	SHOW(bind("a", "c"));
	show_mounts("unbindable");
	SHOW(type("a", MS_PRIVATE | MS_SILENT));
}

static void polled(void)
{
	struct pollfd p = { open("/proc/self/mounts", O_RDONLY), POLLIN | POLLPRI };

	SHOW(poll(&p, 1, 0));
	say("%#x\n", p.revents);
	tmpfs("c");
	SHOW(poll(&p, 1, 0));
	say("%#x\n", p.revents);
	SHOW(poll(&p, 1, 0));
	say("%#x\n", p.revents);
	umount("c");
	close(p.fd);
}

static void copied(void)
{
	SHOW(access("b/in", F_OK));
	SHOW(umount("b"));
	SHOW(tmpfs("c"));
	show_mounts("in a namespace");
}

static void busy_elsewhere(void)
{
	/* the parent removes the directory that is a mountpoint here */
	mkdir("here", 0755);
}

static void removed_mountpoint(void)
{
	int up[2], down[2];
	pid_t pid;
	char c;

	pipe(up);
	pipe(down);
	mkdir("gone", 0755);
	pid = fork();
	if (pid == 0) {
		unshare(CLONE_NEWNS);
		tmpfs("gone");
		write(up[1], "x", 1);
		read(down[0], &c, 1);
		show_mounts("after the directory was removed");
		_exit(0);
	}
	read(up[0], &c, 1);
	SHOW(rmdir("gone"));
	write(down[1], "x", 1);
	waitpid(pid, NULL, 0);
}

static void pivoting(void)
{
	mkdir("root", 0755);
	SHOW(pivot("root", "root"));
	SHOW(tmpfs("root"));
	mkdir("root/old", 0755);
	mkdir("root/proc", 0755);
	SHOW(pivot("root", "a"));
	SHOW(pivot("root/old", "root/old"));
	SHOW(pivot("file", "root/old"));
	SHOW(pivot("/", "root/old"));
	SHOW(type("root", MS_SHARED));
	SHOW(pivot("root", "root/old"));
	SHOW(type("root", MS_PRIVATE));
	SHOW(mount("none", "root/proc", "proc", 0, NULL));
	SHOW(chdir("root"));
	SHOW(pivot(".", "old"));
	SHOW(access("/old/proc/self", F_OK));
	SHOW(chdir("/"));
	SHOW(umount2("/old", MNT_DETACH));
	SHOW(access("/old/usr", F_OK));
	SHOW(access("/proc/self/mountinfo", F_OK));
	strcpy(top, "");
	show_mounts("all");
	/* the other way, without a directory for the old root */
	mkdir("/again", 0755);
	SHOW(tmpfs("/again"));
	SHOW(chdir("/again"));
	SHOW(pivot(".", "."));
	SHOW(umount2(".", MNT_DETACH));
	SHOW(access("/old", F_OK));
}

static void unprivileged(void)
{
	setresuid(1000, 1000, 1000);
	SHOW(tmpfs("c"));
	SHOW(tmpfs("nowhere"));
	SHOW(umount("a"));
	SHOW(umount("nowhere"));
	SHOW(pivot("a", "a"));
}

int main(void)
{
	own_mounts();
	basics();
	remounts();
	access_times();
	stacked();
	expiry();
	moves();
	types();
	polled();
	in_namespace("copied", copied);
	in_namespace("busy", busy_elsewhere);
	show_mounts("unchanged");
	removed_mountpoint();
	in_child("unprivileged", unprivileged);
	in_namespace("pivot", pivoting);
	chdir("..");
	SHOW(umount2("m", MNT_DETACH));
	SHOW(rmdir("m"));
	return 0;
}
