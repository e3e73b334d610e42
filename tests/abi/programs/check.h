/* SPDX-License-Identifier: Apache-2.0 */
/* Show what calls answer: the text of the call, the value, the name of the error. */
#ifndef CHECK_H
#define CHECK_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* "write(fd, buf, 3) = 3" or "... = -1 EBADF" */
#define SHOW(call)                                                                \
	({                                                                        \
		errno = 0;                                                        \
		long result_ = (long)(call);                                      \
		int errno_ = errno;                                               \
		printf("%s = %ld%s%s\n", #call, result_, result_ == -1 ? " " : "", \
		       result_ == -1 ? strerrorname_np(errno_) : "");             \
		fflush(stdout);                                                   \
		result_;                                                          \
	})

/* "name: yes": for what has no printable value of its own. */
#define IS(condition) (printf("%s: %s\n", #condition, (condition) ? "yes" : "NO"), fflush(stdout))

static inline void say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	fflush(stdout);
}

/* Run a function in a child and say how the child ended. */
static inline int in_child(const char *what, void (*function)(void))
{
	int status = 0;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		function();
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	if (WIFEXITED(status))
		say("%s: exited %d\n", what, WEXITSTATUS(status));
	else
		say("%s: killed by %s\n", what, sigabbrev_np(WTERMSIG(status)));
	return status;
}

/* Create a file with this text. */
static inline void put(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		say("put %s: %s\n", name, strerrorname_np(errno));
	close(fd);
}

#endif
