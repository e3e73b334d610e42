/* SPDX-License-Identifier: Apache-2.0 */
/* abi-as: root */
/* abi-mount: cgroup2 */
/* Frozen processes and a tracer. */
#include "check.h"
#include <sys/ptrace.h>

static char root[500];

static void find(void)
{
	char line[1000], kind[100], top[400];
	FILE *file = fopen("/proc/self/mounts", "r");

	while (fgets(line, sizeof line, file))
		if (sscanf(line, "%*s %399s %99s", top, kind) == 2 && !strcmp(kind, "cgroup2"))
			break;
	fclose(file);
	snprintf(root, sizeof root, "%s/pygos-abi-ptrace-%d", top, getpid());
}

static void set(const char *name, const char *value)
{
	char path[700];
	int fd;

	snprintf(path, sizeof path, "%s/%s", root, name);
	fd = open(path, O_WRONLY);
	say("%s = %s: %s\n", name, strcmp(name, "cgroup.procs") ? value : "pid",
	    write(fd, value, strlen(value)) < 0 ? strerrorname_np(errno) : "ok");
	close(fd);
}

/* Wait until cgroup.events says so, and say what it says. */
static void wait_frozen(int wanted)
{
	char path[700], text[100];

	snprintf(path, sizeof path, "%s/cgroup.events", root);
	for (int i = 0; i < 1000; i++) {
		int fd = open(path, O_RDONLY);
		ssize_t size = read(fd, text, sizeof text - 1);

		close(fd);
		text[size < 0 ? 0 : size] = 0;
		if (strstr(text, wanted ? "frozen 1" : "frozen 0"))
			break;
		usleep(2000);
	}
	say("%s", strstr(text, "frozen"));
}

static char state(pid_t pid)
{
	char path[100], text[500];
	int fd;
	ssize_t size;

	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY);
	size = read(fd, text, sizeof text - 1);
	close(fd);
	text[size < 0 ? 0 : size] = 0;
	return *(strrchr(text, ')') + 2);
}

static void stopped(pid_t pid)
{
	int status = 0;

	SHOW(waitpid(pid, &status, __WALL) == pid);
	if (WIFSTOPPED(status))
		say("stopped by %s event %d\n", sigabbrev_np(WSTOPSIG(status)), status >> 16);
	else if (WIFSIGNALED(status))
		say("killed by %s\n", sigabbrev_np(WTERMSIG(status)));
	else
		say("exited\n");
}

int main(void)
{
	char text[20];
	pid_t pid;

	find();
	mkdir(root, 0755);
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		for (;;)
			pause();
	snprintf(text, sizeof text, "%d", pid);
	set("cgroup.procs", text);
	set("cgroup.freeze", "1");
	wait_frozen(1);
	SHOW(ptrace(PTRACE_SEIZE, pid, 0, 0));
	SHOW(ptrace(PTRACE_INTERRUPT, pid, 0, 0));
	stopped(pid);
	wait_frozen(1);
	say("%c\n", state(pid));
	SHOW(ptrace(PTRACE_CONT, pid, 0, 0));
	wait_frozen(1);
	SHOW(ptrace(PTRACE_INTERRUPT, pid, 0, 0));
	stopped(pid);
	set("cgroup.freeze", "0");
	wait_frozen(0);
	say("%c\n", state(pid));
	set("cgroup.freeze", "1");
	wait_frozen(1);
	SHOW(ptrace(PTRACE_DETACH, pid, 0, 0));
	wait_frozen(1);
	for (int i = 0; i < 1000 && state(pid) == 'R'; i++)
		usleep(2000);
	say("%c\n", state(pid));
	SHOW(ptrace(PTRACE_ATTACH, pid, 0, 0));
	SHOW(kill(pid, SIGKILL));
	stopped(pid);
	SHOW(rmdir(root));
	return 0;
}
