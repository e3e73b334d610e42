/* SPDX-License-Identifier: Apache-2.0 */
/* Files of pidfs: their inodes, what they say of the process, its namespaces, its exit.
 * abi-timeout: 30 */
#include "check.h"
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/statfs.h>

struct info {
	uint64_t mask, cgroupid;
	uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
	int32_t exit_code;
	uint32_t coredump_mask, spare;
	uint64_t more[8];
};

#define GET_INFO(size) _IOC(_IOC_READ | _IOC_WRITE, 0xFF, 11, size)
#define THREAD 0x80

static struct info info;

static void show(const char *what, int fd, uint64_t mask)
{
	memset(&info, 0xff, sizeof(info));
	info.mask = mask;
	SHOW(ioctl(fd, GET_INFO(64), &info));
	say("%s: mask %#lx cgroup %d pid %d tgid %d ppid %d ids %u %u %u %u exit %d\n", what, (long)info.mask,
	    info.cgroupid != 0 && info.cgroupid != ~0ull, info.pid == getpid() ? 1 : info.pid == ~0u ? -1 : 2,
	    info.tgid == info.pid, info.ppid == (uint32_t)getppid() ? 1 : info.ppid == (uint32_t)getpid() ? 2 : 3,
	    info.ruid, info.egid, info.suid, info.fsgid, info.exit_code);
	if (info.mask & 0x10)
		say("core dumps: %u\n", info.coredump_mask);
}

static long inode(int fd)
{
	struct stat st;

	fstat(fd, &st);
	return st.st_ino;
}

int main(void)
{
	struct stat st;
	struct statfs fs;
	char path[64], text[64] = "";
	int fd = pidfd_open(getpid(), 0), again = pidfd_open(getpid(), 0), thread, other, status;
	pid_t pid;

	SHOW(fstat(fd, &st));
	say("mode %o links %d size %ld uid %d blocks %ld\n", st.st_mode, (int)st.st_nlink, (long)st.st_size,
	    st.st_uid, (long)st.st_blocks);
	SHOW(fstatfs(fd, &fs));
	say("magic %lx name %ld block %ld\n", (long)fs.f_type, (long)fs.f_namelen, (long)fs.f_bsize);
	IS(inode(fd) == inode(again));
	thread = pidfd_open(getpid(), O_EXCL);
	SHOW(thread >= 0);
	IS(inode(fd) == inode(thread));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	SHOW(readlink(path, text, 63) > 0);
	say("%s\n", text);
	SHOW(fcntl(fd, F_GETFL));
	SHOW(fcntl(thread, F_GETFL));
	SHOW(fcntl(fd, F_GETFD));
	SHOW(read(fd, text, 1));
	SHOW(write(fd, text, 1));
	SHOW(lseek(fd, 0, SEEK_SET));
	SHOW(fchmod(fd, 0600));
	SHOW(fchown(fd, 1, 1));
	SHOW(ftruncate(fd, 0));
	SHOW(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED);
	SHOW(open(path, O_RDONLY) >= 0);
	show("self", fd, 0);
	show("self with all", fd, 0x1f);
	SHOW(ioctl(fd, GET_INFO(8), &info));
	SHOW(ioctl(fd, GET_INFO(63), &info));
	SHOW(ioctl(fd, GET_INFO(96), &info));
	SHOW(ioctl(fd, GET_INFO(64), NULL));
	SHOW(ioctl(fd, GET_INFO(64), (void *)8));
	SHOW(ioctl(fd, TCGETS, &info));
	SHOW(ioctl(fd, _IO(0xFF, 99), 0));
	/* Namespaces: 1 cgroup, 2 ipc, 3 mnt, 4 net, 5 pid, 6 pid for children, 7 time, 8 time for
	 * children, 9 user, 10 uts. */
	for (int i = 1; i <= 10; i++) {
		static const char *names[] = { "", "cgroup", "ipc", "mnt", "net", "pid", "pid_for_children",
					       "time", "time_for_children", "user", "uts" };
		int ns = ioctl(fd, _IO(0xFF, i), 0), own;

		snprintf(path, sizeof(path), "/proc/self/ns/%s", names[i]);
		own = open(path, O_RDONLY);
		say("%s: %s %d\n", names[i], ns < 0 ? strerrorname_np(errno) : "ok",
		    ns >= 0 && inode(ns) == inode(own));
		close(ns);
		close(own);
	}
	SHOW(ioctl(fd, _IO(0xFF, 5), 1));
	/* Of a child, alive, as a zombie, and gone. */
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		pause();
		_exit(0);
	}
	other = pidfd_open(pid, 0);
	IS(inode(fd) != inode(other));
	show("child", other, 1);
	kill(pid, SIGTERM);
	waitid(P_PID, pid, (siginfo_t *)text, WEXITED | WNOWAIT);
	show("zombie", other, 8);
	SHOW(ioctl(other, _IO(0xFF, 5), 0));
	SHOW(ioctl(other, _IO(0xFF, 10), 0));
	waitpid(pid, &status, 0);
	show("gone", other, 8);
	show("gone without", other, 0);
	SHOW(ioctl(other, _IO(0xFF, 10), 0));
	SHOW(pidfd_send_signal(other, 0, NULL, 0));
	SHOW(setns(other, CLONE_NEWUTS));
	close(other);
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		_exit(33);
	other = pidfd_open(pid, 0);
	waitpid(pid, &status, 0);
	show("exited", other, 0x18);
	prctl(PR_SET_DUMPABLE, 0);
	show("not dumpable", fd, 0x10);
	return 0;
}
