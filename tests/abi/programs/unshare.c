/* SPDX-License-Identifier: Apache-2.0 */
/* abi-as: root */
/* Giving up what is shared: directory, descriptors, names; what cannot be given up. */
#include "check.h"
#include <pthread.h>
#include <sys/utsname.h>

static char stack[65536];

static void *idle(void *unused)
{
	(void)unused;
	pause();
	return NULL;
}

static int sharer(void *flags)
{
	SHOW(unshare((int)(long)flags));
	chdir("/");
	close(9);
	return 0;
}

static void with(const char *what, int share, int flags)
{
	char name[4096];
	int status;

	dup2(1, 9);
	pid_t pid = clone(sharer, stack + sizeof stack, share | SIGCHLD, (void *)(long)flags);

	waitpid(pid, &status, 0);
	say("%s: here %d, descriptor %d\n", what, strcmp(getcwd(name, sizeof name), "/") != 0,
	    fcntl(9, F_GETFD));
}

static void unprivileged(void)
{
	SHOW(setresuid(12345, 12345, 12345));
	SHOW(unshare(CLONE_FS | CLONE_FILES));
	SHOW(unshare(CLONE_NEWUTS));
	SHOW(unshare(CLONE_NEWNS));
	SHOW(unshare(CLONE_NEWUTS | 1));
	SHOW(syscall(SYS_clone, CLONE_NEWUTS | SIGCHLD, 0, 0, 0, 0));
	SHOW(syscall(SYS_clone, CLONE_NEWIPC | SIGCHLD, 0, 0, 0, 0));
}

int main(void)
{
	char directory[4096];
	pthread_t thread;

	getcwd(directory, sizeof directory);
	SHOW(unshare(0));
	SHOW(unshare(1));
	SHOW(unshare(CLONE_SETTLS));
	SHOW(unshare(CLONE_THREAD | CLONE_VM | CLONE_SIGHAND | CLONE_SYSVSEM));
	with("nothing shared", 0, CLONE_FS | CLONE_FILES);
	with("both shared", CLONE_FS | CLONE_FILES, CLONE_FS | CLONE_FILES);
	with("one given up", CLONE_FS | CLONE_FILES, CLONE_FS);
	with("none given up", CLONE_FS | CLONE_FILES, 0);
	chdir(directory);
	in_child("unprivileged", unprivileged);
	pthread_create(&thread, NULL, idle, NULL);
	SHOW(unshare(CLONE_THREAD));
	SHOW(unshare(CLONE_VM));
	SHOW(unshare(CLONE_FILES));
	return 0;
}
