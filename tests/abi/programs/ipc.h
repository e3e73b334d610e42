/* SPDX-License-Identifier: Apache-2.0 */
/* What the programs about System V IPC share. */
#ifndef IPC_H
#define IPC_H

#include "check.h"
#include <limits.h>
#include <linux/capability.h>
#include <sys/ipc.h>

/* Wait until a process sleeps (in the call that it was forked for). */
static inline void until_asleep(pid_t pid)
{
	char name[64], text[256];

	snprintf(name, sizeof(name), "/proc/%d/stat", pid);
	for (int i = 0; i < 5000; i++) {
		int fd = open(name, O_RDONLY);
		ssize_t n = read(fd, text, sizeof(text) - 1);
		char *p;

		close(fd);
		if (n <= 0)
			return;
		text[n] = 0;
		p = strrchr(text, ')');
		if (p && p[2] == 'S')
			return;
		usleep(1000);
	}
}

/* An IPC namespace of our own: ids begin at 0 and nobody is disturbed. */
static inline void own_ipc(void)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct caps[2];

	if (SHOW(unshare(CLONE_NEWIPC)) < 0)
		exit(1);
	/* not every root has it */
	syscall(SYS_capget, &header, caps);
	caps[0].effective &= ~(1 << CAP_SYS_RESOURCE);
	syscall(SYS_capset, &header, caps);
}

static inline int reap(pid_t pid)
{
	int status = 0;

	waitpid(pid, &status, 0);
	if (WIFEXITED(status))
		say("child: exited %d\n", WEXITSTATUS(status));
	else
		say("child: killed by %s\n", sigabbrev_np(WTERMSIG(status)));
	return status;
}

#endif
