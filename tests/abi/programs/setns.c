/* SPDX-License-Identifier: Apache-2.0 */
/* abi-as: root */
/* Entering namespaces by their files and by pidfds; what those files tell. */
#include "check.h"
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/mount.h>

#ifndef NS_GET_PID_FROM_PIDNS
#define NS_GET_PID_FROM_PIDNS _IOR(NSIO, 0x6, int)
#define NS_GET_TGID_FROM_PIDNS _IOR(NSIO, 0x7, int)
#define NS_GET_PID_IN_PIDNS _IOR(NSIO, 0x8, int)
#define NS_GET_TGID_IN_PIDNS _IOR(NSIO, 0x9, int)
#endif

static const char *const kinds[] = { "cgroup", "ipc", "mnt", "net", "pid", "pid_for_children",
	"time", "time_for_children", "user", "uts" };

static int ns_of(pid_t pid, const char *kind)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/ns/%s", pid, kind);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static int same(int one, int other)
{
	struct stat a, b;

	return fstat(one, &a) == 0 && fstat(other, &b) == 0 && a.st_ino == b.st_ino &&
	       a.st_dev == b.st_dev;
}

static void first_ones(void)
{
	char path[64], text[64];
	struct statfs fs;
	struct stat st;
	uid_t uid = 99;

	for (int i = 0; i < 10; i++) {
		snprintf(path, sizeof path, "/proc/self/ns/%s", kinds[i]);
		ssize_t n = readlink(path, text, sizeof text);

		say("%s -> %.*s ", kinds[i], (int)(strchr(text, ':') - text), text);
		(void)n;
		int fd = open(path, O_RDONLY);

		fstatfs(fd, &fs);
		fstat(fd, &st);
		say("nsfs %d mode %o links %d size %d type %x\n", fs.f_type == NSFS_MAGIC, st.st_mode,
		    (int)st.st_nlink, (int)st.st_size, ioctl(fd, NS_GET_NSTYPE));
		SHOW(read(fd, text, 1));
		SHOW(write(fd, text, 1));
		SHOW(ioctl(fd, NS_GET_PARENT));
		SHOW(ioctl(fd, NS_GET_OWNER_UID, &uid));
		SHOW(ioctl(fd, FIONREAD, &uid));
		close(fd);
	}
	SHOW(open("/proc/self/ns/uts", O_RDWR));
	SHOW(open("/proc/self/ns/none", O_RDONLY));
	int fd = open("/proc/self/ns/uts", O_RDONLY);
	int owner = ioctl(fd, NS_GET_USERNS), user = ns_of(getpid(), "user");

	IS(owner >= 0 && same(owner, user));
	SHOW(ioctl(user, NS_GET_USERNS));
}

static void errors(void)
{
	int uts = ns_of(getpid(), "uts"), null = open("/dev/null", O_RDONLY);
	int path = open("/proc/self/ns/uts", O_PATH);

	SHOW(setns(uts, CLONE_NEWIPC));
	SHOW(setns(uts, CLONE_NEWUTS | CLONE_NEWIPC));
	SHOW(setns(uts, 1));
	SHOW(setns(uts, 0));
	SHOW(setns(uts, CLONE_NEWUTS));
	SHOW(setns(null, 0));
	SHOW(setns(path, 0));
	SHOW(setns(-1, 0));
	SHOW(setns(99, 1));
	SHOW(setns(ns_of(getpid(), "user"), 0));
	int pidfd = syscall(SYS_pidfd_open, getpid(), 0);

	SHOW(setns(pidfd, 0));
	SHOW(setns(pidfd, 1));
	SHOW(setns(pidfd, CLONE_NEWUTS | CLONE_NEWNET));
	SHOW(setns(pidfd, CLONE_NEWUTS | CLONE_NEWUSER));
	SHOW(setns(pidfd, CLONE_FS));
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	pidfd = syscall(SYS_pidfd_open, pid, 0);
	waitpid(pid, NULL, 0);
	SHOW(setns(pidfd, CLONE_NEWUTS));
	SHOW(setns(pidfd, 0));
}

static int ready[2], done[2];

/* A child in new namespaces, which waits until it is told to end. */
static pid_t host(int flags)
{
	char byte;

	fflush(stdout);
	pid_t pid = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);

	if (pid == 0) {
		sethostname("inner", 5);
		write(ready[1], "x", 1);
		read(done[0], &byte, 1);
		_exit(0);
	}
	if (pid > 0)
		read(ready[0], &byte, 1);
	return pid;
}

static void end(pid_t pid)
{
	write(done[1], "x", 1);
	waitpid(pid, NULL, 0);
}

static void show_name(void)
{
	struct utsname names;

	uname(&names);
	say("%d\n", strcmp(names.nodename, "inner") == 0);
}

static void enter(void)
{
	pid_t pid = host(CLONE_NEWUTS | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC);
	int old = ns_of(getpid(), "uts"), uts = ns_of(pid, "uts");

	IS(!same(old, uts));
	SHOW(setns(uts, 0));
	show_name();
	SHOW(setns(old, 0));
	show_name();
	int pidfd = syscall(SYS_pidfd_open, pid, 0);

	SHOW(setns(pidfd, CLONE_NEWUTS | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC));
	show_name();
	IS(getpid() > 1);
	IS(same(ns_of(getpid(), "pid_for_children"), ns_of(pid, "pid")) || errno == ENOENT);
	fflush(stdout);
	pid_t inner = fork();

	if (inner == 0) {
		SHOW(getpid());
		SHOW(getppid());
		_exit(0);
	}
	waitpid(inner, NULL, 0);
	end(pid);
	SHOW(fork());
}

static void upwards(void)
{
	int outer = ns_of(getpid(), "pid");

	SHOW(unshare(CLONE_NEWPID));
	SHOW(setns(outer, CLONE_NEWPID));
	SHOW(unshare(CLONE_NEWPID));
	fflush(stdout);
	pid_t pid = fork();

	if (pid == 0) {
		SHOW(setns(outer, CLONE_NEWPID));
		int own = open("/proc/self/ns/pid", O_RDONLY);

		SHOW(ioctl(outer, NS_GET_PARENT));
		SHOW(ioctl(own, NS_GET_PARENT));
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

static void translation(void)
{
	pid_t pid = host(CLONE_NEWPID);
	int inner = ns_of(pid, "pid");

	SHOW(ioctl(inner, NS_GET_PID_IN_PIDNS, pid));
	SHOW(ioctl(inner, NS_GET_TGID_IN_PIDNS, pid));
	IS(ioctl(inner, NS_GET_PID_FROM_PIDNS, 1) == pid);
	IS(ioctl(inner, NS_GET_TGID_FROM_PIDNS, 1) == pid);
	SHOW(ioctl(inner, NS_GET_PID_FROM_PIDNS, 2));
	SHOW(ioctl(inner, NS_GET_PID_IN_PIDNS, getpid()));
	SHOW(ioctl(ns_of(pid, "uts"), NS_GET_PID_IN_PIDNS, pid));
	int parent = ioctl(inner, NS_GET_PARENT);

	IS(parent >= 0 && same(parent, ns_of(getpid(), "pid")));
	end(pid);
}

static void abstract_names(void)
{
	struct sockaddr_un name = { AF_UNIX, "\0abi-setns" }, file = { AF_UNIX, "socket" };
	int listener = socket(AF_UNIX, SOCK_STREAM, 0), fd;

	bind(listener, (void *)&name, 13);
	listen(listener, 1);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	bind(fd, (void *)&file, sizeof file);
	listen(fd, 1);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	SHOW(connect(fd, (void *)&name, 13));
	SHOW(unshare(CLONE_NEWNET));
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	SHOW(connect(fd, (void *)&name, 13));
	SHOW(bind(fd, (void *)&name, 13));
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	SHOW(connect(fd, (void *)&file, sizeof file));
	unlink("socket");
}

static void *idle(void *unused)
{
	pause();
	return unused;
}

static void with_threads(void)
{
	pthread_t thread;
	pid_t pid = host(CLONE_NEWUTS | CLONE_NEWNS | CLONE_NEWUSER | CLONE_NEWPID);

	pthread_create(&thread, NULL, idle, NULL);
	SHOW(setns(ns_of(pid, "user"), 0));
	SHOW(setns(ns_of(pid, "mnt"), 0));
	SHOW(setns(ns_of(pid, "time"), 0));
	SHOW(setns(ns_of(pid, "uts"), 0));
	SHOW(setns(ns_of(pid, "pid"), 0));
	SHOW(pthread_create(&thread, NULL, idle, NULL));
	SHOW(unshare(CLONE_NEWUTS));
	end(pid);
}

static void users(void)
{
	pid_t pid;
	uid_t uid = 7;

	setresgid(12345, 12345, 12345);
	setresuid(12345, 12345, 12345);
	pid = host(CLONE_NEWUSER | CLONE_NEWUTS);
	int user = ns_of(pid, "user");

	SHOW(user >= 0 ? 0 : -1);
	SHOW(ioctl(user, NS_GET_OWNER_UID, &uid));
	SHOW(uid);
	SHOW(setns(ns_of(pid, "uts"), 0));
	SHOW(setns(user, 0));
	SHOW(getuid());
	SHOW(setns(ns_of(pid, "uts"), 0));
	show_name();
	SHOW(setns(user, 0));
	int uts = open("/proc/self/ns/uts", O_RDONLY);
	int owner = ioctl(uts, NS_GET_USERNS);

	IS(owner >= 0);
	SHOW(ioctl(user, NS_GET_PARENT));
	SHOW(ioctl(user, NS_GET_USERNS));
	end(pid);
}

static void bound(void)
{
	SHOW(unshare(CLONE_NEWNS | CLONE_NEWUTS));
	SHOW(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	sethostname("inner", 5);
	put("file", "");
	SHOW(mount("/proc/self/ns/uts", "file", NULL, MS_BIND, NULL));
	SHOW(unshare(CLONE_NEWUTS));
	sethostname("other", 5);
	show_name();
	int fd = open("file", O_RDONLY);

	SHOW(setns(fd, CLONE_NEWUTS));
	show_name();
	close(fd);
	SHOW(umount("file"));
	unlink("file");
}

int main(void)
{
	pipe(ready);
	pipe(done);
	first_ones();
	in_child("errors", errors);
	in_child("enter", enter);
	in_child("upwards", upwards);
	in_child("translation", translation);
	in_child("abstract names", abstract_names);
	in_child("with threads", with_threads);
	in_child("users", users);
	in_child("bound", bound);
	return 0;
}
