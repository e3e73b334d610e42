/* SPDX-License-Identifier: Apache-2.0 */
/* abi-as: root */
/* abi-mount: cgroup2 */
/* CLONE_INTO_CGROUP, and cgroup namespaces. */
#include "check.h"
#include <linux/sched.h>
#include <pthread.h>

static char top[400], root[500];

static void find(void)
{
	char line[1000], kind[100];
	FILE *file = fopen("/proc/self/mounts", "r");

	while (fgets(line, sizeof line, file))
		if (sscanf(line, "%*s %399s %99s", top, kind) == 2 && !strcmp(kind, "cgroup2"))
			break;
	fclose(file);
	snprintf(root, sizeof root, "%s/pygos-abi-clone-%d", top, getpid());
}

static const char *path(const char *name)
{
	static char text[700];

	snprintf(text, sizeof text, "%s%s", root, name);
	return text;
}

static void set(const char *name, const char *value)
{
	int fd = open(path(name), O_WRONLY);

	say("%s = %s: %s\n", name, value,
	    write(fd, value, strlen(value)) < 0 ? strerrorname_np(errno) : "ok");
	close(fd);
}

/* The cgroup2 line of a process, without what differs between machines. */
static void place(const char *pid)
{
	char name[100], line[1000], *own;
	FILE *file;

	snprintf(name, sizeof name, "/proc/%s/cgroup", pid);
	file = fopen(name, "r");
	while (fgets(line, sizeof line, file)) {
		if (strncmp(line, "0::", 3))
			continue;
		own = strstr(line, "pygos-abi-clone-");
		if (own)
			own += strcspn(own, "/\n");
		say("place: %s", own ? own : line + 3);
	}
	fclose(file);
}

static pid_t clone_into(long long fd, unsigned long long flags, size_t size)
{
	struct clone_args args = {.flags = flags | CLONE_INTO_CGROUP, .exit_signal = SIGCHLD};
	pid_t pid;

	args.cgroup = fd;
	if (flags & CLONE_THREAD)
		args.exit_signal = 0;
	fflush(stdout);
	pid = syscall(SYS_clone3, &args, size);
	if (pid == 0) {
		place("self");
		_exit(3);
	}
	return pid;
}

static void into(long long fd, unsigned long long flags, size_t size)
{
	int status = 0;
	pid_t pid = clone_into(fd, flags, size);

	if (pid < 0) {
		say("no child: %s\n", strerrorname_np(errno));
		return;
	}
	waitpid(pid, &status, 0);
	say("child: %d\n", WEXITSTATUS(status));
}

static void cloning(void)
{
	int a = open(path("/a"), O_RDONLY | O_DIRECTORY), dir = open("/", O_RDONLY);
	int file = open(path("/a/cgroup.procs"), O_RDONLY), opath = open(path("/a"), O_PATH);
	int gone;

	into(a, 0, 88);
	into(opath, 0, 88);
	into(a, CLONE_VFORK, 88);
	into(a, 0, 80);
	into(-1, 0, 88);
	into(1LL << 32, 0, 88);
	into(12345, 0, 88);
	into(dir, 0, 88);
	into(file, 0, 88);
	into(a, CLONE_NEWCGROUP, 88);
	set("/a/b/cgroup.type", "threaded");
	into(a, 0, 88);
	gone = open(path("/c"), O_RDONLY | O_DIRECTORY);
	into(gone, 0, 88);
	rmdir(path("/c"));
	into(gone, 0, 88);
	set("/a/cgroup.freeze", "1");
	into(a, CLONE_VM | CLONE_SIGHAND | CLONE_THREAD, 80);
	set("/a/cgroup.freeze", "0");
	close(a), close(dir), close(file), close(opath), close(gone);
}

static void unprivileged(void)
{
	int a = open(path("/a"), O_RDONLY | O_DIRECTORY);

	if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
		say("setuid\n");
	into(a, 0, 88);
	SHOW(unshare(CLONE_NEWCGROUP));
}

static void namespace(void)
{
	char first[100] = "", second[100] = "";
	int old, out = open(path("/f/cgroup.procs"), O_WRONLY);
	int back = open(path("/d/cgroup.procs"), O_WRONLY);

	set("/d/cgroup.procs", "0");
	place("self");
	old = open("/proc/self/ns/cgroup", O_RDONLY);
	readlink("/proc/self/ns/cgroup", first, 99);
	SHOW(unshare(CLONE_NEWCGROUP));
	readlink("/proc/self/ns/cgroup", second, 99);
	IS(!strncmp(first, "cgroup:[", 8));
	IS(strcmp(first, second));
	place("self");
	set("/d/e/cgroup.procs", "0");
	place("self");
	/* What was opened outside goes by the rules of outside. */
	SHOW(write(out, "0", 1));
	place("self");
	SHOW(write(back, "0", 1));
	place("self");
	SHOW(setns(old, CLONE_NEWUTS));
	SHOW(setns(old, CLONE_NEWCGROUP));
	place("self");
	close(old), close(out), close(back);
}

int main(void)
{
	const char *names[] = {"", "/a", "/a/b", "/c", "/d", "/d/e", "/f"};

	find();
	for (int i = 0; i < 7; i++)
		mkdir(path(names[i]), 0755);
	cloning();
	in_child("unprivileged", unprivileged);
	in_child("namespace", namespace);
	for (int i = 6; i >= 0; i--)
		rmdir(path(names[i]));
	SHOW(access(root, F_OK));
	return 0;
}
