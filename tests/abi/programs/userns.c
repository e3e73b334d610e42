/* SPDX-License-Identifier: Apache-2.0 */
/* abi-as: root */
/* User namespaces: maps, ids, capabilities, and what they are not good for. */
#include "check.h"
#include <linux/capability.h>
#include <linux/sched.h>
#include <sys/fsuid.h>
#include <grp.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <sys/xattr.h>

static int up[2], down[2];

static long put_map(pid_t pid, const char *name, const char *text)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
	int fd = open(path, O_WRONLY);

	if (fd < 0)
		return -1;
	long n = write(fd, text, strlen(text));
	int error = errno;

	close(fd);
	errno = error;
	return n;
}

static void show_file(const char *name)
{
	char text[512];
	int fd = open(name, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);

	if (n < 0)
		say("%s: %s\n", name, strerrorname_np(errno));
	else
		say("%s: %.*s%s", name, (int)n, text, n ? "" : "(empty)\n");
	close(fd);
}

static void caps(const char *what)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = { 0 };

	syscall(SYS_capget, &header, data);
	say("%s: eff %08x prm %08x inh %08x bound %d sec %d\n", what, data[0].effective & ~(1 << 24),
	    data[0].permitted & ~(1 << 24), data[0].inheritable, prctl(PR_CAPBSET_READ, 0),
	    prctl(PR_GET_SECUREBITS));
}

static void ids(const char *what)
{
	uid_t r, e, s;
	gid_t list[32];
	int n;

	getresuid(&r, &e, &s);
	say("%s: uid %d %d %d", what, r, e, s);
	getresgid(&r, &e, &s);
	n = getgroups(32, list);
	say(" gid %d %d %d groups %d:", r, e, s, n);
	for (int i = 0; i < n; i++)
		say(" %d", list[i]);
	say("\n");
}

static void as(uid_t id)
{
	gid_t group = id;

	setgroups(1, &group);
	setresgid(id, id, id);
	setresuid(id, id, id);
	prctl(PR_SET_DUMPABLE, 1);
}

static void unmapped(void)
{
	as(12345);
	SHOW(unshare(CLONE_NEWUSER));
	ids("unmapped");
	caps("unmapped");
	show_file("/proc/self/uid_map");
	show_file("/proc/self/setgroups");
	SHOW(setuid(0));
	SHOW(setuid(12345));
	SHOW(setgroups(0, NULL));
	SHOW(sethostname("x", 1));
	SHOW(chroot("."));
	SHOW(unshare(CLONE_NEWUTS));
	SHOW(sethostname("x", 1));
	SHOW(unshare(CLONE_NEWUSER)); /* no id here to own it */
}

static void own_map(void)
{
	struct stat st;

	as(12345);
	SHOW(unshare(CLONE_NEWUSER));
	SHOW(put_map(getpid(), "uid_map", "0 0 1\n"));
	SHOW(put_map(getpid(), "uid_map", "0 12345 2\n"));
	SHOW(put_map(getpid(), "uid_map", ""));
	SHOW(put_map(getpid(), "uid_map", "0 12345\n"));
	SHOW(put_map(getpid(), "uid_map", "0 12345 0\n"));
	SHOW(put_map(getpid(), "uid_map", "0 12345 1 1\n"));
	SHOW(put_map(getpid(), "uid_map", "0 12345 1\n0 12345 1\n"));
	SHOW(put_map(getpid(), "uid_map", "0 12345 1\n4294967295 3 1\n"));
	SHOW(put_map(getpid(), "uid_map", "x 12345 1\n"));
	SHOW(put_map(getpid(), "uid_map", "0 12345 1"));
	SHOW(put_map(getpid(), "uid_map", "0 12345 1"));
	SHOW(put_map(getpid(), "gid_map", "0 12345 1"));
	SHOW(put_map(getpid(), "setgroups", "maybe"));
	SHOW(put_map(getpid(), "setgroups", "deny\n"));
	SHOW(put_map(getpid(), "setgroups", "allow"));
	SHOW(put_map(getpid(), "setgroups", "deny"));
	SHOW(put_map(getpid(), "gid_map", "7 12345 1"));
	SHOW(put_map(getpid(), "projid_map", "0 0 10"));
	ids("mapped");
	caps("mapped");
	show_file("/proc/self/uid_map");
	show_file("/proc/self/gid_map");
	show_file("/proc/self/projid_map");
	show_file("/proc/self/setgroups");
	SHOW(setgroups(0, NULL));
	SHOW(setuid(0));
	SHOW(setuid(1));
	SHOW(setresuid(-1, 1, -1));
	SHOW(setfsuid(9));
	SHOW(setgid(0));
	SHOW(setgid(7));
	put("mine", "x");
	SHOW(stat("mine", &st));
	say("mine: %d %d\n", st.st_uid, st.st_gid);
	SHOW(stat("/", &st));
	say("root directory: %d %d\n", st.st_uid, st.st_gid);
	SHOW(chown("mine", 0, 7));
	SHOW(chown("mine", 1, -1));
	SHOW(chown("mine", -1, 12345));
	SHOW(chmod("mine", 04755));
	SHOW(unlink("mine"));
}

static void over_others(void)
{
	struct stat st;

	/* Full of capabilities, but not over what belongs to the parent. */
	as(12345);
	unshare(CLONE_NEWUSER);
	put_map(getpid(), "uid_map", "0 12345 1");
	put_map(getpid(), "setgroups", "deny");
	put_map(getpid(), "gid_map", "0 12345 1");
	SHOW(open("secret", O_RDONLY));
	SHOW(open("secret", O_WRONLY));
	SHOW(open("private/file", O_RDONLY));
	SHOW(chown("secret", 0, 0));
	SHOW(chmod("secret", 0777));
	SHOW(unlink("sticky/others"));
	SHOW(setxattr("secret", "user.a", "b", 1, 0));
	SHOW(setxattr("readable", "security.capability", "\1\0\0\2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20, 0));
	SHOW(setxattr("readable", "trusted.a", "b", 1, 0));
	SHOW(getxattr("readable", "trusted.a", NULL, 0));
	SHOW(utimensat(AT_FDCWD, "secret", NULL, 0));
	SHOW(truncate("secret", 0));
	SHOW(mknod("device", S_IFCHR | 0600, 0x103));
	SHOW(mknod("sticky/fifo", S_IFIFO | 0600, 0));
	SHOW(kill(getppid(), SIGUSR1));
	SHOW(kill(1, SIGTERM));
	SHOW(mount("none", "private", "tmpfs", 0, NULL));
	SHOW(umount("/proc"));
	SHOW(sethostname("x", 1));
	SHOW(setpriority(PRIO_PROCESS, 0, -5));
	struct sched_param param = { .sched_priority = 1 };

	SHOW(sched_setscheduler(0, SCHED_FIFO, &param));
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	SHOW(clock_settime(CLOCK_REALTIME, &now));
	SHOW(syscall(SYS_reboot, 0xfee1dead, 672274793, 0, 0));
	struct rlimit limit = { 1 << 20, 1 << 21 };

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_max++;
	SHOW(setrlimit(RLIMIT_NOFILE, &limit));
	SHOW(syscall(SYS_setns, open("/proc/1/ns/uts", O_RDONLY), 0) < 0);
	SHOW(fstat(0, &st) < 0);
	char line[256];

	snprintf(line, sizeof line, "/proc/%d/environ", getppid());
	SHOW(open(line, O_RDONLY));
	snprintf(line, sizeof line, "/proc/%d/mem", getppid());
	SHOW(open(line, O_RDWR));
	SHOW(syscall(SYS_kcmp, getpid(), getppid(), 1, 0, 0));
	struct iovec mine = { line, 1 }, theirs = { line, 1 };

	SHOW(process_vm_readv(getppid(), &mine, 1, &theirs, 1, 0));
	put("sticky/own", "own");
	SHOW(stat("sticky/own", &st));
	say("%d %d\n", st.st_uid, st.st_gid);
	SHOW(setxattr("sticky/own", "security.capability", "\1\0\0\2\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20, 0));
	unsigned char value[32];

	SHOW(getxattr("sticky/own", "security.capability", value, sizeof value));
	say("%02x\n", value[3]);
}

static void wait_for(int fd)
{
	char byte;

	read(fd, &byte, 1);
}

/* A child in a new user namespace, whose maps its parent writes. */
static void mapped_by_parent(void)
{
	fflush(stdout);
	pid_t pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);

	if (pid == 0) {
		wait_for(down[0]);
		ids("before");
		SHOW(setgroups(0, NULL));
		SHOW(setresgid(0, 0, 0));
		SHOW(setresuid(0, 0, 0));
		caps("root");
		ids("root");
		SHOW(setresuid(1000, 1000, 1000));
		caps("user");
		SHOW(setresuid(0, 0, 0));
		SHOW(put_map(getpid(), "uid_map", "0 0 1"));
		struct stat st;

		SHOW(stat("secret", &st));
		say("secret: %d %d\n", st.st_uid, st.st_gid);
		SHOW(stat("shifted", &st));
		say("shifted: %d %d\n", st.st_uid, st.st_gid);
		show_file("/proc/self/uid_map");
		_exit(0);
	}
	SHOW(put_map(pid, "uid_map", "0 100000 1000\n1000 200000 10\n"));
	SHOW(put_map(pid, "gid_map", "0 100000 1000\n"));
	SHOW(put_map(pid, "setgroups", "deny"));
	write(down[1], "g", 1);
	waitpid(pid, NULL, 0);
}

static void nested(void)
{
	int depth = 0;

	as(12345);
	while (unshare(CLONE_NEWUSER) == 0) {
		char text[32];

		snprintf(text, sizeof text, "0 %d 1", depth ? 0 : 12345);
		if (put_map(getpid(), "uid_map", text) < 0 || put_map(getpid(), "setgroups", "deny") < 0 ||
		    put_map(getpid(), "gid_map", text) < 0)
			break;
		depth++;
	}
	say("%d levels, then %s\n", depth, strerrorname_np(errno));
	show_file("/proc/self/uid_map");
	ids("deep");
}

static void keeps(void)
{
	/* exec gives root of the namespace its capabilities again, and others none. */
	as(12345);
	unshare(CLONE_NEWUSER);
	put_map(getpid(), "uid_map", "5 12345 1");
	fflush(stdout);
	if (fork() == 0) {
		execl("/bin/grep", "grep", "-E", "^(Cap[IPEA]|Uid)", "/proc/self/status", NULL);
		_exit(1);
	}
	wait(NULL);
	prctl(PR_SET_KEEPCAPS, 1);
	SHOW(prctl(PR_GET_KEEPCAPS));
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = { { 1 << CAP_SYS_ADMIN, 1 << CAP_SYS_ADMIN, 1 << CAP_SYS_ADMIN } };

	SHOW(syscall(SYS_capset, &header, data));
	SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_ADMIN, 0, 0));
	fflush(stdout);
	if (fork() == 0) {
		execl("/bin/grep", "grep", "-E", "^Cap[IPEA]", "/proc/self/status", NULL);
		_exit(1);
	}
	wait(NULL);
	SHOW(prctl(PR_CAPBSET_DROP, CAP_SYS_ADMIN));
}

static void in_chroot(void)
{
	chroot("sticky");
	SHOW(unshare(CLONE_NEWUSER));
	SHOW(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
}

static void *idle(void *unused)
{
	pause();
	return unused;
}

static void combinations(void)
{
	SHOW(syscall(SYS_clone, CLONE_NEWUSER | CLONE_FS | SIGCHLD, 0, 0, 0, 0));
	SHOW(syscall(SYS_clone, CLONE_NEWUSER | CLONE_THREAD | CLONE_SIGHAND | CLONE_VM, 0, 0, 0, 0));
	SHOW(syscall(SYS_clone, CLONE_NEWIPC | CLONE_SYSVSEM | SIGCHLD, 0, 0, 0, 0));
	SHOW(syscall(SYS_clone, CLONE_NEWNS | CLONE_FS | SIGCHLD, 0, 0, 0, 0));
	extern int pthread_create();
	unsigned long thread;

	pthread_create(&thread, NULL, idle, NULL);
	SHOW(unshare(CLONE_NEWUSER));
	SHOW(unshare(CLONE_NEWPID));
}

static void messages(void)
{
	struct ucred who;
	socklen_t size = sizeof who;
	int pair[2], status;
	siginfo_t info;

	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	fflush(stdout);
	pid_t pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);

	if (pid == 0) {
		SHOW(getsockopt(pair[0], SOL_SOCKET, SO_PEERCRED, &who, &size));
		say("peer %d %d\n", who.uid, who.gid);
		pid_t inner = fork();

		if (inner == 0)
			_exit(0);
		waitid(P_PID, inner, &info, WEXITED);
		say("child of %d\n", info.si_uid);
		SHOW(getpriority(PRIO_USER, 0) != -1 || errno == 0);
		errno = 0;
		getpriority(PRIO_USER, 12345);
		say("%s\n", strerrorname_np(errno));
		_exit(0);
	}
	waitpid(pid, &status, 0);
}

/* What is queued counts for the maker of the namespace too, with the limit it had. */
static void signals(void)
{
	struct rlimit few = { 3, 10 }, more = { 10, 10 };
	char line[200];
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	as(12346);
	setrlimit(RLIMIT_SIGPENDING, &few);
	SHOW(unshare(CLONE_NEWUSER));
	put_map(getpid(), "uid_map", "0 12346 1");
	setrlimit(RLIMIT_SIGPENDING, &more);
	for (int i = 0; i < 5; i++)
		SHOW(sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = i }));
	FILE *file = fopen("/proc/self/status", "r");

	while (fgets(line, sizeof line, file))
		if (!strncmp(line, "SigQ", 4))
			say("%s", line);
	for (int i = 0; i < 3; i++)
		SHOW(sigwaitinfo(&all, NULL));
	SHOW(sigqueue(getpid(), SIGRTMIN, (union sigval){ 0 }));
}

int main(void)
{
	pipe(up);
	pipe(down);
	umask(0);
	chmod(".", 0777);
	put("secret", "secret");
	chmod("secret", 0600);
	put("readable", "x");
	put("shifted", "x");
	chown("shifted", 100005, 100006);
	mkdir("private", 0700);
	put("private/file", "x");
	mkdir("sticky", 01777);
	put("sticky/others", "x");
	signal(SIGUSR1, SIG_IGN);
	in_child("unmapped", unmapped);
	in_child("own map", own_map);
	in_child("over others", over_others);
	in_child("mapped by parent", mapped_by_parent);
	in_child("nested", nested);
	in_child("keeps", keeps);
	in_child("chroot", in_chroot);
	in_child("combinations", combinations);
	in_child("messages", messages);
	in_child("signals", signals);
	return 0;
}
