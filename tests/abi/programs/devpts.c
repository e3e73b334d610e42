/* SPDX-License-Identifier: Apache-2.0 */
/* abi-as: root */
/* Instances of devpts: numbers, options, limits, and which one a ptmx belongs to. */
#include "check.h"
#include <sched.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <termios.h>

static void look(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		say("%s: %s\n", path, strerrorname_np(errno));
	else
		say("%s: %o %d:%d dev %d:%d links %d\n", path, st.st_mode, st.st_uid, st.st_gid,
		    major(st.st_rdev), minor(st.st_rdev), (int)st.st_nlink);
}

static void options(const char *of)
{
	char line[500], where[200], kind[50], text[200];
	FILE *file = fopen("/proc/self/mounts", "r");

	while (fgets(line, sizeof line, file))
		if (sscanf(line, "%*s %199s %49s %199s", where, kind, text) == 3 &&
		    !strcmp(kind, "devpts") && strstr(where, of))
			say("%s %s\n", of, text);
	fclose(file);
}

static int pty(const char *ptmx)
{
	int fd = open(ptmx, O_RDWR | O_NOCTTY), number = -1, zero = 0;

	if (fd < 0)
		return -1;
	ioctl(fd, TIOCSPTLCK, &zero);
	ioctl(fd, TIOCGPTN, &number);
	say("%s: number %d\n", ptmx, number);
	return fd;
}

int main(void)
{
	char name[100];
	int a, b, c, peer, held[5];
	struct statfs fs;

	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		say("unshare: %s\n", strerrorname_np(errno));
	mkdir("one", 0755);
	mkdir("two", 0755);
	SHOW(mount("a", "one", "devpts", 0, "newinstance,ptmxmode=0666,mode=0640,gid=7,uid=3"));
	SHOW(mount("b", "two", "devpts", MS_NOSUID, "max=2"));
	SHOW(mount("c", "two", "devpts", 0, "max=-1"));
	SHOW(mount("c", "two", "devpts", 0, "max=2000000"));
	SHOW(mount("c", "two", "devpts", 0, "mode=9"));
	SHOW(mount("c", "two", "devpts", 0, "nonsense"));
	options("/one");
	options("/two");
	statfs("one", &fs);
	say("%lx\n", (long)fs.f_type);
	look("one/ptmx");
	look("two/ptmx");
	look("one");
	a = pty("one/ptmx");
	b = pty("one/ptmx");
	c = pty("two/ptmx");
	look("one/0");
	look("one/1");
	look("two/0");
	look("two/1");
	SHOW(ptsname_r(a, name, sizeof name));
	peer = ioctl(a, TIOCGPTPEER, O_RDWR | O_NOCTTY);
	SHOW(peer < 0);
	write(peer, "through\n", 8);
	say("%zd\n", read(a, name, sizeof name));
	IS((held[0] = open("one/0", O_RDWR | O_NOCTTY)) >= 0);
	struct stat st1, st2;
	fstat(peer, &st1);
	fstat(held[0], &st2);
	IS(st1.st_ino == st2.st_ino && st1.st_dev == st2.st_dev && st1.st_rdev == st2.st_rdev);
	close(held[0]);
	close(peer);
	close(a);
	look("one/0");
	look("one/1");
	a = pty("one/ptmx");
	held[0] = pty("two/ptmx");
	SHOW(open("two/ptmx", O_RDWR | O_NOCTTY));
	close(held[0]);
	held[0] = pty("two/ptmx");
	SHOW(mount(NULL, "two", NULL, MS_REMOUNT, "max=3,ptmxmode=0600"));
	held[1] = pty("two/ptmx");
	options("/two");
	look("two/ptmx");
	SHOW(mkdir("one/x", 0755));
	SHOW(unlink("one/1"));
	SHOW(unlink("one/ptmx"));
	SHOW(open("one/y", O_CREAT | O_RDWR, 0644));
	SHOW(symlink("a", "one/z"));
	SHOW(link("one/1", "one/2"));
	SHOW(mknod("one/3", S_IFCHR | 0600, makedev(136, 9)));
	SHOW(rename("one/1", "one/5"));
	SHOW(chmod("one/1", 0600));
	SHOW(chown("one/1", 1, 2));
	look("one/1");
	SHOW(chmod("one", 0700));
	look("one");
	/* A ptmx outside of any instance belongs to the "pts" beside it. */
	mkdir("beside", 0755);
	mkdir("beside/pts", 0755);
	SHOW(mknod("beside/ptmx", S_IFCHR | 0666, makedev(5, 2)));
	SHOW(open("beside/ptmx", O_RDWR | O_NOCTTY));
	SHOW(mount("one", "beside/pts", NULL, MS_BIND, NULL));
	held[2] = pty("beside/ptmx");
	look("one/2");
	mknod("lone", S_IFCHR | 0666, makedev(136, 0));
	SHOW(open("lone", O_RDWR | O_NOCTTY));
	mknod("wrong", S_IFCHR | 0666, makedev(136, 77));
	SHOW(open("wrong", O_RDWR | O_NOCTTY));
	SHOW(umount("one"));
	SHOW(umount2("one", MNT_DETACH));
	say("%zd\n", write(b, "x", 1));
	umount2("beside/pts", MNT_DETACH);
	umount2("two", MNT_DETACH);
	(void)c;
	return 0;
}
