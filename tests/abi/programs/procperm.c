/* SPDX-License-Identifier: Apache-2.0 */
/* abi-as: root */
/* Who may read which file of a process, and what reads and writes of procfs files answer. */
#include "check.h"
#include <dirent.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>

static pid_t target;

static const char *const names[] = {
	"arch_status", "attr/current", "auxv", "cgroup", "clear_refs", "cmdline", "comm",
	"coredump_filter", "cpuset", "environ", "io", "limits", "loginuid", "maps", "mem", "mountinfo",
	"mounts", "mountstats", "numa_maps", "oom_adj", "oom_score", "oom_score_adj", "pagemap",
	"personality", "sched", "schedstat", "sessionid", "setgroups", "smaps",
	"smaps_rollup", "stack", "stat", "statm", "status", "syscall", "timers", "timerslack_ns",
	"uid_map", "wchan",
};

static const char *result(long value)
{
	return value < 0 ? strerrorname_np(errno) : "ok";
}

static void try_all(const char *who, const char *of)
{
	char path[200], text[64];
	struct stat st;

	say("== %s\n", who);
	for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(path, sizeof path, "/proc/%s/%s", of, names[i]);
		stat(path, &st);
		say("%s: %o %s", names[i], st.st_mode, st.st_uid ? "user" : "root");
		int fd = open(path, O_RDONLY);
		say(" open %s", result(fd));
		if (fd >= 0)
			say(" read %s", result(read(fd, text, sizeof text)));
		close(fd);
		fd = open(path, O_WRONLY);
		say(" open for writing %s\n", result(fd));
		close(fd);
	}
	static const char *const links[] = {"cwd", "root", "exe", "fd/0", "ns/uts", "ns/user"};

	for (int i = 0; i < 6; i++) {
		snprintf(path, sizeof path, "/proc/%s/%s", of, links[i]);
		say("%s: readlink %s", links[i], result(readlink(path, text, sizeof text)));
		say(" stat %s\n", result(stat(path, &st)));
	}
	static const char *const dirs[] = {"", "fd", "fdinfo", "map_files", "task", "ns", "attr"};

	for (int i = 0; i < 7; i++) {
		snprintf(path, sizeof path, "/proc/%s/%s", of, dirs[i]);
		stat(path, &st);
		say("%s: %o %s", dirs[i], st.st_mode, st.st_uid ? "user" : "root");
		DIR *dir = opendir(path);
		say(" opendir %s\n", result(dir ? 0 : -1));
		if (dir)
			closedir(dir);
	}
}

static void become(uid_t uid)
{
	if (setgroups(0, NULL) || setresgid(uid, uid, uid) || setresuid(uid, uid, uid))
		say("become: %s\n", strerrorname_np(errno));
	prctl(PR_SET_DUMPABLE, 1);
}

static void as_owner(void)
{
	char of[20];

	snprintf(of, sizeof of, "%d", target);
	become(1000);
	try_all("another process of the same user", of);
}

static void as_other(void)
{
	char of[20];

	snprintf(of, sizeof of, "%d", target);
	become(1001);
	try_all("another user", of);
}

static void as_self(void)
{
	become(1000);
	try_all("oneself", "self");
	try_all("one's thread", "thread-self");
}

static void tell(const char *name, const char *text)
{
	char path[100];
	int fd;

	snprintf(path, sizeof path, "/proc/self/%s", name);
	fd = open(path, O_WRONLY);
	say("%s < \"%s\": %s\n", name, text, result(write(fd, text, strlen(text))));
	close(fd);
}

static void writes(void)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct caps[2];

	syscall(SYS_capget, &head, caps);
	caps[0].effective &= ~(1U << CAP_SYS_RESOURCE);
	syscall(SYS_capset, &head, caps);
	tell("oom_score_adj", "1001");
	tell("oom_score_adj", "-1001");
	tell("oom_score_adj", "x");
	tell("oom_score_adj", "500\n");
	tell("oom_adj", "16");
	tell("oom_adj", "15");
	tell("oom_adj", "-18");
	tell("comm", "a name that is too long");
	tell("coredump_filter", "0x33");
	tell("coredump_filter", "zz");
	tell("clear_refs", "1");
	tell("clear_refs", "0");
	tell("clear_refs", "6");
	tell("timerslack_ns", "1000");
	tell("timerslack_ns", "-1");
	tell("attr/current", "x");
	tell("loginuid", "x");
	tell("setgroups", "maybe");
	become(1000);
	tell("oom_score_adj", "400");
	tell("oom_score_adj", "900");
	tell("oom_score_adj", "600");
}

static void gone(void)
{
	char path[100], text[100];
	int fd[6];
	static const char *const of[] = {"status", "cmdline", "maps", "environ", "stat", "mem"};
	pid_t pid = fork();

	if (!pid) {
		pause();
		_exit(0);
	}
	for (int i = 0; i < 6; i++) {
		snprintf(path, sizeof path, "/proc/%d/%s", pid, of[i]);
		fd[i] = open(path, O_RDONLY);
	}
	int dir = open("/proc/self", O_DIRECTORY);
	kill(pid, SIGKILL);
	siginfo_t info;
	waitid(P_PID, pid, &info, WEXITED | WNOWAIT);
	for (int i = 0; i < 6; i++)
		say("zombie %s: %s\n", of[i], result(read(fd[i], text, sizeof text)));
	waitpid(pid, NULL, 0);
	for (int i = 0; i < 6; i++)
		say("reaped %s: %s\n", of[i], result(pread(fd[i], text, sizeof text, 0)));
	say("open: %s\n", result(open(path, O_RDONLY)));
	SHOW(faccessat(dir, "status", R_OK, 0));
	SHOW(unlink("/proc/self/status"));
	SHOW(mkdir("/proc/x", 0755));
	SHOW(open("/proc/x", O_CREAT | O_RDWR, 0644));
	SHOW(chmod("/proc/self/status", 0777));
	SHOW(chown("/proc/self/status", 1, 1));
	SHOW(truncate("/proc/self/comm", 0));
	SHOW(access("/proc/self/status", W_OK));
	SHOW(open("/proc/self/nothing", O_RDONLY));
	SHOW(open("/proc/0/status", O_RDONLY));
	SHOW(open("/proc/01/status", O_RDONLY));
	SHOW(open("/proc/999999999/status", O_RDONLY));
	SHOW(rename("/proc/self/comm", "/proc/self/name"));
	SHOW(symlink("a", "/proc/self/b"));
	SHOW(rmdir("/proc/self/fd"));
}

int main(void)
{
	int p[2];
	char c;

	pipe(p);
	if (!(target = fork())) {
		become(1000);
		write(p[1], "x", 1);
		pause();
	}
	read(p[0], &c, 1);
	in_child("owner", as_owner);
	in_child("other", as_other);
	in_child("self", as_self);
	in_child("writes", writes);
	gone();
	kill(target, SIGKILL);
	return 0;
}
