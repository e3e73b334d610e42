/* SPDX-License-Identifier: Apache-2.0 */
/* What programs read from /proc about themselves. */
#include "check.h"
#include <dirent.h>
#include <sys/prctl.h>

static char *slurp(const char *path)
{
	static char buf[65536];
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? 0 : read(fd, buf, sizeof(buf) - 1);

	if (fd < 0)
		say("%s: %s\n", path, strerrorname_np(errno));
	close(fd);
	buf[n < 0 ? 0 : n] = 0;
	for (ssize_t i = 0; i < n; i++)
		if (!buf[i])
			buf[i] = '|';
	return buf;
}

static void link_of(const char *path)
{
	char target[4096];
	ssize_t n = readlink(path, target, sizeof(target) - 1);

	target[n < 0 ? 0 : n] = 0;
	say("%s -> %s\n", path, n < 0 ? strerrorname_np(errno) : strrchr(target, '/') ?: target);
}

static void field(const char *name)
{
	char *line = strstr(slurp("/proc/self/status"), name);

	say("%.*s\n", line ? (int)strcspn(line, "\n") : 7, line ?: "missing");
}

int main(void)
{
	char path[64], state;
	int pid, ppid, pgrp, n = 0;
	struct dirent *entry;
	DIR *dir;

	prctl(PR_SET_NAME, "renamed");
	say("comm %s", slurp("/proc/self/comm"));
	say("cmdline %s\n", strrchr(slurp("/proc/self/cmdline"), '/'));
	sscanf(slurp("/proc/self/stat"), "%d (renamed) %c %d %d", &pid, &state, &ppid, &pgrp);
	IS(pid == getpid() && ppid == getppid() && pgrp == getpgrp());
	say("state %c\n", state);
	field("Name:");
	field("State:");
	field("Umask:");
	field("Uid:");
	field("Threads:");
	field("SigBlk:");
	link_of("/proc/self/cwd");
	link_of("/proc/self/exe");
	link_of("/proc/self/root");
	put("opened", "contents");
	open("opened", O_RDONLY);
	link_of("/proc/self/fd/3");
	unlink("opened");
	link_of("/proc/self/fd/3");
	say("%s\n", slurp("/proc/self/fd/3"));
	SHOW(access("/proc/self/fd/77", F_OK));
	link_of("/proc/self/fd/77");
	dir = opendir("/proc/self/fd");
	while ((entry = readdir(dir)))
		n += entry->d_name[0] != '.';
	say("%d descriptors\n", n);
	snprintf(path, sizeof(path), "/proc/%d/comm", getpid());
	say("%s", slurp(path));
	snprintf(path, sizeof(path), "%d", getpid());
	IS(readlink("/proc/self", path + 32, 31) > 0 && !strncmp(path, path + 32, strlen(path)));
	IS(strstr(slurp("/proc/self/maps"), "[stack]") != NULL);
	IS(strstr(slurp("/proc/self/maps"), "r-xp") != NULL);
	IS(strstr(slurp("/proc/self/maps"), "[heap]") != NULL);
	IS(strstr(slurp("/proc/meminfo"), "MemTotal:") != NULL);
	IS(strstr(slurp("/proc/meminfo"), "MemAvailable:") != NULL);
	IS(strstr(slurp("/proc/cpuinfo"), "processor") != NULL);
	IS(strstr(slurp("/proc/stat"), "cpu ") != NULL);
	IS(strstr(slurp("/proc/mounts"), " /proc proc ") != NULL);
	IS(strstr(slurp("/proc/filesystems"), "tmpfs") != NULL);
	IS(strstr(slurp("/proc/version"), "Linux version ") != NULL);
	IS(atof(slurp("/proc/uptime")) > 0);
	IS(strlen(slurp("/proc/loadavg")) > 10);
	say("ostype %s", slurp("/proc/sys/kernel/ostype"));
	IS(atoi(slurp("/proc/sys/kernel/pid_max")) >= 32768);
	SHOW(access("/proc/999999", F_OK));
	SHOW(open("/proc/self/nothing", O_RDONLY));
	SHOW(open("/proc/self/stat", O_WRONLY | O_CREAT, 0600) == -1);
	SHOW(mkdir("/proc/x", 0755));
	SHOW(unlink("/proc/self/comm"));
	return 0;
}
