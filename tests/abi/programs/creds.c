/* SPDX-License-Identifier: Apache-2.0 */
/* User and group ids of an ordinary user and of root who becomes one. */
#include "check.h"
#include <grp.h>
#include <sys/fsuid.h>

static void show(void)
{
	uid_t r, e, s;
	gid_t rg, eg, sg;

	getresuid(&r, &e, &s);
	getresgid(&rg, &eg, &sg);
	say("uid %u %u %u gid %u %u %u\n", r, e, s, rg, eg, sg);
}

static void drop(void)
{
	gid_t groups[3] = { 10, 20, 30 }, got[3];
	int n;

	SHOW(setgroups(3, groups));
	n = getgroups(3, got);
	say("%d groups: %u %u %u\n", n, got[0], got[1], got[2]);
	SHOW(getgroups(1, got));
	SHOW(getgroups(0, NULL));
	SHOW(setresgid(100, 200, 300));
	SHOW(setresuid(1000, 2000, 3000));
	show();
	SHOW(setuid(0));
	SHOW(seteuid(1000));
	SHOW(setreuid(-1, 3000));
	show();
	SHOW(setregid(300, 200));
	show();
	SHOW(setgroups(0, NULL));
	SHOW(setgid(5));
	SHOW(setfsuid(1000));
	SHOW(setfsuid(77));
	SHOW(setfsuid(-1));
	SHOW(open("secret", O_RDONLY));
	SHOW(access("secret", R_OK));
	SHOW(open("public", O_RDONLY));
	SHOW(open("public", O_WRONLY));
	SHOW(chmod("public", 0777));
	SHOW(chown("public", 1000, -1));
	SHOW(unlink("public"));
	SHOW(creat("new", 0600));
	SHOW(mkdir("closed/x", 0700));
	SHOW(access("closed/x", F_OK));
	SHOW(unlink("sticky/theirs"));
	SHOW(chroot("."));
	SHOW(kill(getppid(), 0));
	SHOW(setpriority(PRIO_PROCESS, 0, -5));
	SHOW(mknod("dev", S_IFCHR | 0600, 0x103));
	SHOW(sethostname("x", 1));
}

int main(void)
{
	show();
	IS(getuid() == geteuid());
	SHOW(setuid(getuid()));
	SHOW(setgid(getgid()));
	SHOW(setresuid(-1, -1, -1));
	if (getuid() == 0) {
		umask(0);
		chmod(".", 0755);
		put("secret", "s");
		chmod("secret", 0600);
		put("public", "p");
		mkdir("closed", 0700);
		mkdir("sticky", 01777);
		put("sticky/theirs", "x");
		SHOW(mknod("null", S_IFCHR | 0666, 0x103));
		SHOW(chown("public", 12, 34));
		in_child("drop", drop);
	}
	return 0;
}
