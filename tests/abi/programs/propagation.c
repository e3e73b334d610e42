/* SPDX-License-Identifier: Apache-2.0 */
/* abi-as: root */
/* Shared, slave and unbindable mounts: who sees what. mount_namespaces(7). */
#include "mounts.h"

static void fresh(const char *place)
{
	char name[64];

	mkdir(place, 0755);
	tmpfs(place);
	for (const char *p = "xyz"; *p; p++) {
		snprintf(name, sizeof(name), "%s/%c", place, *p);
		mkdir(name, 0755);
	}
}

static void clear(const char *place)
{
	while (umount2(place, MNT_DETACH) == 0)
		;
}

static void peers(void)
{
	fresh("a");
	mkdir("b", 0755);
	mkdir("c", 0755);
	mkdir("d", 0755);
	SHOW(type("a", MS_SHARED));
	SHOW(bind("a", "b"));
	SHOW(bind("a/x", "c"));
	SHOW(tmpfs("a/x"));
	mkdir("a/x/in", 0755);
	SHOW(tmpfs("b/y"));
	show_mounts("a and b are peers, c shows a/x");
	SHOW(access("b/x/in", F_OK));
	SHOW(tmpfs("a/x/in"));
	show_mounts("a mount on a propagated one");
	SHOW(umount("b/x/in"));
	SHOW(umount("b/x"));
	show_mounts("unmounted at the peer");
	/* the one in use is busy for all */
	int fd = open("a/y", O_RDONLY);
	SHOW(umount("b/y"));
	close(fd);
	SHOW(umount("b/y"));
	show_mounts("gone");
	/* what a peer covers is unmounted at its own place */
	SHOW(tmpfs("a/z"));
	mkdir("b/z/more", 0755);
	SHOW(type("b/z", MS_PRIVATE));
	SHOW(tmpfs("b/z/more"));
	SHOW(umount("a/z"));
	show_mounts("b/z has a child and stays");
	clear("b/z/more");
	clear("b/z");
	clear("c");
	clear("b");
	clear("a");
	show_mounts("cleared");
}

static void slaves(void)
{
	fresh("a");
	type("a", MS_SHARED);
	bind("a", "b");
	SHOW(type("b", MS_SLAVE));
	bind("b", "c");
	show_mounts("b and c are slaves of a");
	SHOW(tmpfs("a/x"));
	SHOW(tmpfs("b/y"));
	show_mounts("a/x went down, b/y stayed");
	SHOW(type("b", MS_SHARED));
	SHOW(bind("b", "d"));
	SHOW(tmpfs("a/z"));
	mkdir("a/z/in", 0755);
	SHOW(tmpfs("d/z/in"));
	show_mounts("b is shared and slave, d its peer");
	SHOW(umount("a/z"));
	show_mounts("umount of a/z");
	SHOW(type("d", MS_SLAVE));
	show_mounts("d is a slave of b");
	SHOW(type("b", MS_PRIVATE));
	show_mounts("b private: d gets its master");
	SHOW(type("a", MS_PRIVATE));
	show_mounts("a private: no masters");
	clear("d/z");
	for (const char *p = "dcba"; *p; p++) {
		char name[2] = { *p };

		clear(name);
	}
	show_mounts("cleared");
}

static void trees(void)
{
	fresh("a");
	fresh("a/x");
	fresh("a/x/y");
	SHOW(type("a", MS_SHARED | MS_REC));
	SHOW(type("a/x/y", MS_UNBINDABLE));
	SHOW(mount("a", "b", NULL, MS_BIND | MS_REC, NULL));
	SHOW(bind("a/x/y", "c"));
	show_mounts("rbind without the unbindable");
	SHOW(type("b", MS_SLAVE | MS_REC));
	SHOW(mount("b", "c", NULL, MS_BIND | MS_REC, NULL));
	SHOW(type("c", MS_SHARED | MS_REC));
	show_mounts("types of whole trees");
	fresh("d");
	SHOW(mount("d", "a/z", NULL, MS_MOVE, NULL));
	show_mounts("moved into a shared mount");
	SHOW(mount("a/z", "d", NULL, MS_MOVE, NULL));
	SHOW(umount("a/z"));
	fresh("d");
	fresh("d/y");
	SHOW(type("d/y", MS_UNBINDABLE));
	SHOW(mount("d", "a/z", NULL, MS_MOVE, NULL));
	clear("d");
	SHOW(umount2("a/x", MNT_DETACH));
	show_mounts("a tree detached");
	for (const char *p = "dcba"; *p; p++) {
		char name[2] = { *p };

		clear(name);
	}
	show_mounts("cleared");
}

static void tucked(void)
{
	fresh("a");
	type("a", MS_SHARED);
	bind("a", "b");
	type("b", MS_SLAVE);
	tmpfs("b/x");
	mkdir("b/x/mine", 0755);
	SHOW(tmpfs("a/x"));
	SHOW(access("b/x/mine", F_OK));
	show_mounts("what b had at x lies on what came");
	SHOW(umount("a/x"));
	SHOW(access("b/x/mine", F_OK));
	show_mounts("and stays when that goes");
	clear("b/x");
	clear("b");
	clear("a");
}

static int up[2], down[2];

static void await(void)
{
	char c;

	read(down[0], &c, 1);
}

static void tell(void)
{
	write(up[1], "x", 1);
}

static void spaces(void)
{
	char c;
	pid_t pid;

	pipe(up);
	pipe(down);
	fresh("a");
	type("a", MS_SHARED);
	fresh("b");
	pid = fork();
	if (pid == 0) {
		unshare(CLONE_NEWNS);
		show_mounts("the copy");
		tell();
		await();
		show_mounts("after the parent's mount");
		tmpfs("a/y");
		tmpfs("b/y");
		tell();
		await();
		type("a", MS_SLAVE);
		tmpfs("a/z");
		tell();
		await();
		_exit(0);
	}
	read(up[0], &c, 1);
	SHOW(tmpfs("a/x"));
	write(down[1], "x", 1);
	read(up[0], &c, 1);
	show_mounts("after the child's mount");
	SHOW(umount("a/y"));
	write(down[1], "x", 1);
	read(up[0], &c, 1);
	show_mounts("after the child's mount as a slave");
	write(down[1], "x", 1);
	waitpid(pid, NULL, 0);
	/* a receiver from afar */
	mkdir("root", 0755);
	bind("a", "root");
	type("root", MS_SLAVE);
	mkdir("root/y/in", 0755);
	show_mounts("end");
}

static void self(void)
{
	fresh("a");
	type("a", MS_SHARED);
	SHOW(bind("a", "a/x"));
	show_mounts("bound into itself");
	SHOW(bind("a", "a/y"));
	show_mounts("twice");
	clear("a");
	show_mounts("cleared");
}

int main(void)
{
	own_mounts();
	peers();
	slaves();
	trees();
	tucked();
	self();
	spaces();
	chdir("..");
	umount2("m", MNT_DETACH);
	rmdir("m");
	return 0;
}
