/* SPDX-License-Identifier: Apache-2.0 */
/* abi-as: root */
/* Mounts by descriptor: fsopen, fsconfig, fsmount, move_mount, open_tree, mount_setattr, fspick. */
#include "mounts.h"

struct attr {
	uint64_t attr_set, attr_clr, propagation, userns_fd;
};

static int x_fsopen(const char *name, int flags)
{
	return syscall(SYS_fsopen, name, flags);
}

static int x_fsconfig(int fd, int cmd, const char *key, const void *value, int aux)
{
	return syscall(SYS_fsconfig, fd, cmd, key, value, aux);
}

static int x_fsmount(int fd, int flags, int attr)
{
	return syscall(SYS_fsmount, fd, flags, attr);
}

static int x_move(int from, const char *a, int to, const char *b, int flags)
{
	return syscall(SYS_move_mount, from, a, to, b, flags);
}

static int x_tree(int dfd, const char *name, int flags)
{
	return syscall(SYS_open_tree, dfd, name, flags);
}

static int x_setattr(const char *name, int flags, struct attr a)
{
	return syscall(SYS_mount_setattr, AT_FDCWD, name, flags, &a, sizeof(a));
}

static int x_fspick(const char *name, int flags)
{
	return syscall(SYS_fspick, AT_FDCWD, name, flags);
}

enum { FLAG, STRING, BINARY, PATH, PATH_EMPTY, FD, CREATE, RECONFIGURE };
enum { RDONLY = 1, NOSUID = 2, NODEV = 4, NOEXEC = 8, ATIME = 0x70, NOATIME = 0x10, STRICT = 0x20 };
enum { CLONE = 1, RECURSIVE = 0x8000, CLOEXEC = 02000000, F_EMPTY = 4, T_EMPTY = 0x40 };

static int new_tmpfs(int attr)
{
	int fs = x_fsopen("tmpfs", 0), fd;

	x_fsconfig(fs, CREATE, NULL, NULL, 0);
	fd = x_fsmount(fs, 0, attr);
	close(fs);
	return fd;
}

static void opening(void)
{
	int fs, fd;

	SHOW(x_fsopen("nosuchfs", 0));
	SHOW(x_fsopen("tmpfs", 77));
	SHOW(x_fsopen(NULL, 0));
	fs = x_fsopen("tmpfs", 1);
	say("%d\n", fcntl(fs, F_GETFD));
	SHOW(x_fsconfig(-1, FLAG, "ro", NULL, 0));
	SHOW(x_fsconfig(0, FLAG, "ro", NULL, 0));
	SHOW(x_fsconfig(fs, 99, NULL, NULL, 0));
	SHOW(x_fsconfig(fs, FLAG, NULL, NULL, 0));
	SHOW(x_fsconfig(fs, FLAG, "ro", "x", 0));
	SHOW(x_fsconfig(fs, STRING, "size", NULL, 0));
	SHOW(x_fsconfig(fs, CREATE, "x", NULL, 0));
	SHOW(x_fsconfig(fs, RECONFIGURE, NULL, NULL, 0));
	SHOW(x_fsmount(fs, 0, 0));
	SHOW(x_fsconfig(fs, STRING, "source", "here", 0));
	SHOW(x_fsconfig(fs, STRING, "source", "again", 0));
	SHOW(x_fsconfig(fs, STRING, "size", "1m", 0));
	SHOW(x_fsconfig(fs, STRING, "mode", "711", 0));
	SHOW(x_fsconfig(fs, CREATE, NULL, NULL, 0));
	SHOW(x_fsconfig(fs, CREATE, NULL, NULL, 0));
	SHOW(x_fsconfig(fs, STRING, "mode", "711", 0));
	SHOW(x_fsmount(fs, 77, 0));
	SHOW(x_fsmount(fs, 0, 0x1000000));
	SHOW(x_fsmount(fs, 0, ATIME));
	fd = x_fsmount(fs, 1, NOSUID | NOATIME);
	say("%d %#x\n", fcntl(fd, F_GETFD), fcntl(fd, F_GETFL) & ~0100000);
	SHOW(x_fsmount(fs, 1, 0));
	close(fs);
	SHOW(mkdirat(fd, "inside", 0755));
	mkdir("a", 0755);
	put("file", "x");
	SHOW(x_move(fd, "", AT_FDCWD, "file", F_EMPTY));
	SHOW(x_move(fd, "inside", AT_FDCWD, "a", 0));
	SHOW(x_move(fd, "", AT_FDCWD, "a", 0));
	SHOW(x_move(fd, "", AT_FDCWD, "a", 0x80000));
	SHOW(x_move(fd, "", AT_FDCWD, "a", F_EMPTY));
	SHOW(access("a/inside", F_OK));
	show_mounts("attached");
	close(fd);
	SHOW(access("a/inside", F_OK));
	SHOW(system("grep -o 'm/a .*' /proc/self/mounts | cut -d' ' -f1,2; grep m/a /proc/self/mounts | cut -d' ' -f1"));
	/* what isn't attached ends with its descriptor */
	fd = new_tmpfs(0);
	SHOW(mkdirat(fd, "d", 0755));
	SHOW(mount("none", "/proc/self/fd/none", "tmpfs", 0, NULL));
	close(fd);
}

static void trees(void)
{
	int fd, other;

	mkdir("a/x", 0755);
	tmpfs("a/x");
	mkdir("b", 0755);
	SHOW(x_tree(AT_FDCWD, "a", 0x10));
	SHOW(x_tree(AT_FDCWD, "a", RECURSIVE));
	SHOW(x_tree(AT_FDCWD, "none", CLONE));
	fd = x_tree(AT_FDCWD, "a", CLONE | CLOEXEC);
	say("%d\n", fcntl(fd, F_GETFD));
	SHOW(faccessat(fd, "inside", F_OK, 0));
	SHOW(x_move(fd, "", AT_FDCWD, "b", F_EMPTY));
	SHOW(x_move(fd, "", AT_FDCWD, "b/inside", F_EMPTY));
	show_mounts("a clone moved");
	close(fd);
	SHOW(umount("b"));
	SHOW(umount("b/inside"));
	fd = x_tree(AT_FDCWD, "a", CLONE | RECURSIVE);
	mkdir("a/x/deep", 0755);
	SHOW(faccessat(fd, "x/deep", F_OK, 0));
	SHOW(x_move(fd, "", AT_FDCWD, "b", F_EMPTY));
	show_mounts("a recursive clone");
	other = x_tree(AT_FDCWD, "b", 0);
	SHOW(x_move(other, "", AT_FDCWD, "b/x/deep", F_EMPTY));
	SHOW(umount2("b", MNT_DETACH));
	SHOW(x_move(other, "", AT_FDCWD, "b", F_EMPTY));
	close(other);
	close(fd);
	/* by name, as mount --move */
	mkdir("c", 0755);
	SHOW(x_move(AT_FDCWD, "a", AT_FDCWD, "c", 0));
	SHOW(x_move(AT_FDCWD, "a", AT_FDCWD, "c", 0));
	show_mounts("moved by name");
	/* into a shared mount */
	SHOW(type("c", MS_SHARED));
	SHOW(bind("c", "b"));
	fd = new_tmpfs(0);
	SHOW(x_move(fd, "", AT_FDCWD, "c/inside", F_EMPTY));
	show_mounts("propagated");
	close(fd);
}

static void attributes(void)
{
	SHOW(x_setattr("c", 0, (struct attr){ 0 }));
	SHOW(x_setattr("c", 0x10, (struct attr){ RDONLY }));
	SHOW(x_setattr("c", 0, (struct attr){ 0x4000000 }));
	SHOW(x_setattr("c/none", 0, (struct attr){ RDONLY }));
	SHOW(x_setattr("c/x/deep", 0, (struct attr){ RDONLY }));
	SHOW(x_setattr("c", 0, (struct attr){ STRICT }));
	SHOW(x_setattr("c", 0, (struct attr){ 0, NOATIME }));
	SHOW(x_setattr("c", 0, (struct attr){ 0, 0, MS_SHARED | MS_SLAVE }));
	SHOW(x_setattr("c", 0, (struct attr){ 0, 0, 1 }));
	SHOW(x_setattr("c", 0, (struct attr){ RDONLY | NODEV, NOSUID }));
	show_mounts("flags of one");
	SHOW(x_setattr("c", RECURSIVE, (struct attr){ NOEXEC | STRICT, ATIME | RDONLY }));
	show_mounts("flags of a tree");
	SHOW(x_setattr("c", RECURSIVE, (struct attr){ 0, ATIME, MS_PRIVATE }));
	show_mounts("private");
	SHOW(syscall(SYS_mount_setattr, AT_FDCWD, "c", 0, &(struct attr){ 0 }, 8));
	SHOW(syscall(SYS_mount_setattr, AT_FDCWD, "c", 0, &(struct attr){ 0 }, 5000));
	SHOW(syscall(SYS_mount_setattr, AT_FDCWD, "c", 0, (void *)8, 32));
}

static void picking(void)
{
	int fs;

	SHOW(x_fspick("none", 0));
	SHOW(x_fspick("c/inside/..", 99));
	SHOW(x_fspick("file", 0));
	fs = x_fspick("c", 1);
	SHOW(x_fsconfig(fs, CREATE, NULL, NULL, 0));
	SHOW(x_fsconfig(fs, FLAG, "ro", NULL, 0));
	SHOW(x_fsconfig(fs, RECONFIGURE, NULL, NULL, 0));
	SHOW(open("c/new", O_CREAT | O_WRONLY, 0644));
	SHOW(x_fsconfig(fs, FLAG, "rw", NULL, 0));
	SHOW(x_fsconfig(fs, RECONFIGURE, NULL, NULL, 0));
	SHOW(close(open("c/new", O_CREAT | O_WRONLY, 0644)));
	close(fs);
}

static void unprivileged(void)
{
	setresuid(1000, 1000, 1000);
	SHOW(x_fsopen("tmpfs", 0));
	SHOW(x_fspick("c", 0));
	SHOW(x_tree(AT_FDCWD, "c", CLONE));
	SHOW(x_tree(AT_FDCWD, "c", 0) >= 0);
	SHOW(x_move(AT_FDCWD, "c", AT_FDCWD, "b", 0));
	SHOW(x_setattr("c", 0, (struct attr){ RDONLY }));
	SHOW(x_fsmount(0, 0, 0));
}

int main(void)
{
	own_mounts();
	opening();
	trees();
	attributes();
	picking();
	in_child("unprivileged", unprivileged);
	chdir("..");
	umount2("m", MNT_DETACH);
	rmdir("m");
	return 0;
}
