/* SPDX-License-Identifier: Apache-2.0 */
/* abi-as: root */
/* In a setgid directory of another group nobody gets a setgid program, whatever the umask. */
#include "check.h"
#include <grp.h>

static void make(const char *name, mode_t mask)
{
	struct stat st;
	int fd;

	umask(mask);
	fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 02777);
	fstat(fd, &st);
	say("open %o: %o %d\n", mask, st.st_mode, st.st_gid);
	close(fd);
	unlink(name);
	mknod(name, S_IFREG | 02775, 0);
	stat(name, &st);
	say("mknod %o: %o %d\n", mask, st.st_mode, st.st_gid);
	unlink(name);
	mknod(name, S_IFIFO | 02775, 0);
	stat(name, &st);
	say("fifo %o: %o %d\n", mask, st.st_mode, st.st_gid);
	unlink(name);
	mkdir(name, 02777);
	stat(name, &st);
	say("mkdir %o: %o %d\n", mask, st.st_mode, st.st_gid);
	rmdir(name);
}

static void all(void)
{
	make("d/f", 0);
	make("d/f", 010);
	make("d/f", 02022);
	make("d/f", 0777);
}

static void member(void)
{
	gid_t group = 1234;

	setgroups(1, &group);
	setresgid(1000, 1000, 1000);
	setresuid(1000, 1000, 1000);
	all();
}

static void stranger(void)
{
	setgroups(0, NULL);
	setresgid(1000, 1000, 1000);
	setresuid(1000, 1000, 1000);
	all();
}

int main(void)
{
	chmod(".", 0755);
	mkdir("d", 0777);
	chown("d", 0, 1234);
	chmod("d", 02777);
	all();
	in_child("member", member);
	in_child("stranger", stranger);
	return 0;
}
