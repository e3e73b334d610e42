/* SPDX-License-Identifier: Apache-2.0 */
/* What calls count in /proc/PID/io, proc_pid_io(5). */
#include "check.h"
#include <dirent.h>
#include <pthread.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

struct io {
	long rchar, wchar, syscr, syscw, size;
};

/* The counters, and how many bytes it took to read them. */
static const char *counters = "/proc/self/io";

static struct io look(void)
{
	struct io io = {0};
	char text[500];
	int fd = open(counters, O_RDONLY);

	io.size = read(fd, text, sizeof text - 1);
	close(fd);
	text[io.size < 0 ? 0 : io.size] = 0;
	sscanf(text, "rchar: %ld wchar: %ld syscr: %ld syscw: %ld", &io.rchar, &io.wchar,
	       &io.syscr, &io.syscw);
	return io;
}

static char null[100000];

/* What the call counted, without the reading of the counters before it. */
#define COUNT(call)                                                                        \
	({                                                                                 \
		struct io a_ = look();                                                     \
		long result_ = (long)(call);                                               \
		int errno_ = errno;                                                        \
		struct io b_ = look();                                                     \
		char line_[300];                                                           \
		snprintf(line_, sizeof line_, "%s = %ld%s%s: read %ld in %ld, wrote %ld in %ld\n", \
			 #call, result_, result_ < 0 ? " " : "",                           \
			 result_ < 0 ? strerrorname_np(errno_) : "",                       \
			 b_.rchar - a_.rchar - a_.size, b_.syscr - a_.syscr - 1,             \
			 b_.wchar - a_.wchar, b_.syscw - a_.syscw);                        \
		strcat(lines, line_);                                                      \
	})

static char lines[20000];

static void *reader(void *fd)
{
	read(*(int *)fd, null, 50);
	return NULL;
}

static long in_thread(int fd)
{
	pthread_t thread;

	pthread_create(&thread, NULL, reader, &fd);
	pthread_join(thread, NULL);
	return 0;
}

static long in_a_child(int fd)
{
	pid_t pid = fork();

	if (pid == 0) {
		read(fd, null, 50);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	return 0;
}

int main(void)
{
	int fd, other, pipes[2], pair[2], zero;
	struct iovec vec[2] = {{null, 10}, {null + 100, 20}};
	struct msghdr msg = {.msg_iov = vec, .msg_iovlen = 2};
	struct stat st;

	memset(null, 'x', sizeof null);
	fd = open("f", O_RDWR | O_CREAT, 0644);
	other = open("g", O_RDWR | O_CREAT, 0644);
	zero = open("/dev/zero", O_RDWR);
	pipe(pipes);
	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	COUNT(0);
	COUNT(write(fd, null, 1000));
	COUNT(pwrite(fd, null, 500, 0));
	COUNT(writev(fd, vec, 2));
	COUNT(pread(fd, null, 300, 0));
	COUNT(read(fd, null, 100));
	COUNT(lseek(fd, 0, SEEK_SET));
	COUNT(read(fd, null, 100));
	COUNT(read(fd, null, 0));
	COUNT(readv(fd, vec, 2));
	COUNT(preadv(fd, vec, 2, 0));
	COUNT(read(-1, null, 10));
	COUNT(write(-1, null, 10));
	COUNT(read(fd, (void *)8, 10));
	COUNT(write(fd, (void *)8, 10));
	COUNT(read(zero, null, 777));
	COUNT(write(zero, null, 777));
	COUNT(write(pipes[1], null, 200));
	COUNT(read(pipes[0], null, 100));
	COUNT(send(pair[0], null, 50, 0));
	COUNT(recv(pair[1], null, 20, 0));
	COUNT(write(pair[0], null, 40));
	COUNT(read(pair[1], null, 30));
	COUNT(sendmsg(pair[0], &msg, 0));
	COUNT(sendfile(other, fd, NULL, 300));
	COUNT(copy_file_range(fd, &(loff_t){0}, other, &(loff_t){0}, 200, 0));
	COUNT(splice(fd, &(loff_t){0}, pipes[1], NULL, 100, 0));
	COUNT(tee(pipes[0], pair[0], 10, 0));
	COUNT(vmsplice(pipes[1], vec, 2, 0));
	COUNT(fstat(fd, &st));
	COUNT(ftruncate(fd, 10));
	COUNT(fcntl(pipes[0], F_SETFL, O_NONBLOCK));
	COUNT(read(pipes[0], null, 1000));
	COUNT(read(pipes[0], null, 1000));
	COUNT(getdents64(open(".", O_RDONLY), null, 5000) > 0);
	COUNT(in_thread(zero));
	COUNT(in_a_child(zero));
	counters = "/proc/thread-self/io";
	COUNT(read(zero, null, 10));
	COUNT(in_thread(zero));
	COUNT(in_a_child(zero));
	fputs(lines, stdout);
	return 0;
}
