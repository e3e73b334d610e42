/* SPDX-License-Identifier: Apache-2.0 */
/* execve from any thread, exits of groups in every order, threads that end before others.
 * abi-cflags: -pthread
 * abi-timeout: 60 */
#include "check.h"
#include <linux/sched.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static pid_t leader;
static volatile int go;

static void *spin(void *arg)
{
	while (!go)
		;
	for (;;)
		pause();
	return arg;
}

static void *sleeper(void *arg)
{
	char c;
	read(*(int *)arg, &c, 1);
	return NULL;
}

/* A program by a path that doesn't need the leader. */
static char self[512];

static void *exec_path(void *arg)
{
	char *args[] = { self, "after", arg, NULL };

	usleep(2000);
	execv(self, args);
	say("execv: %s\n", strerrorname_np(errno));
	return NULL;
}

static void *exec_thread(void *arg)
{
	char *args[] = { "/proc/self/exe", "after", arg, NULL };

	usleep(2000);
	execv("/proc/self/exe", args);
	say("execv: %s\n", strerrorname_np(errno));
	return NULL;
}

static void start(int n, void *(*f)(void *), void *arg)
{
	pthread_t t;

	while (n--)
		pthread_create(&t, NULL, f, arg);
}

static int threads(void)
{
	char line[64];
	int count = 0;
	FILE *f = fopen("/proc/self/status", "r");

	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, "Threads:", 8))
			count = atoi(line + 8);
	fclose(f);
	return count;
}

/* What the program that was executed finds. */
static int after(const char *text)
{
	char name[64], mask[32];
	sigset_t set;
	struct sigaction sa;
	int count = threads(), status;

	prctl(PR_GET_NAME, name);
	sigprocmask(SIG_BLOCK, NULL, &set);
	sigaction(SIGUSR1, NULL, &sa);
	snprintf(mask, sizeof(mask), "%d%d", sigismember(&set, SIGUSR1), sigismember(&set, SIGUSR2));
	say("after %s: leader %d threads %d ppid same %d name %s mask %s usr1 %d pending %d child %d\n", text,
	    gettid() == getpid(), count, getppid() == atoi(getenv("PARENT")), name, mask,
	    sa.sa_handler == SIG_DFL, (sigpending(&set), sigismember(&set, SIGUSR1)),
	    waitpid(-1, &status, WNOHANG) == -1 ? errno : 0);
	return 7;
}

static void handler(int sig)
{
}

static void from_leader(void)
{
	static int p[2];

	pipe(p);
	signal(SIGUSR1, handler);
	start(3, spin, NULL);
	start(3, sleeper, &p[0]);
	go = 1;
	exec_thread("leader");
}

static void from_other(void)
{
	static int p[2];
	sigset_t set;

	pipe(p);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	kill(getpid(), SIGUSR1);
	start(3, sleeper, &p[0]);
	start(1, exec_thread, "thread");
	go = 1;
	for (;;)
		pause();
}

static void after_leader_died(void)
{
	start(1, exec_thread, "leader gone");
	syscall(SYS_exit, 5);
}

static void after_leader_died_path(void)
{
	start(1, exec_path, "leader gone");
	syscall(SYS_exit, 5);
}

static int shared_child(void *arg)
{
	char *args[] = { "true", NULL };

	execv("/bin/true", args);
	return 1;
}

/* A child that shares the descriptors: its execve closes its own, not ours. */
static void shared_files(void)
{
	static char stack[65536];
	int fd = open("text", O_RDONLY | O_CLOEXEC), status;
	pid_t pid = clone(shared_child, stack + sizeof(stack), CLONE_FILES | SIGCHLD, NULL);

	waitpid(pid, &status, 0);
	SHOW(status);
	SHOW(fcntl(fd, F_GETFD));
}


static void two_at_once(void)
{
	start(1, exec_thread, "either");
	start(1, exec_thread, "either");
	for (;;)
		pause();
}

static void *exiter(void *arg)
{
	usleep(1000);
	if (arg)
		syscall(SYS_exit_group, (long)arg);
	syscall(SYS_exit, 9);
	return NULL;
}

static void group_from_thread(void)
{
	start(4, sleeper, (int[]){ 99 });
	start(1, exiter, (void *)11);
	for (;;)
		pause();
}

static void leader_first(void)
{
	start(1, exiter, NULL);
	syscall(SYS_exit, 13);
}

static void leader_first_then_group(void)
{
	start(1, exiter, (void *)17);
	syscall(SYS_exit, 13);
}

static void many_exit(void)
{
	for (int i = 0; i < 20; i++)
		start(1, exiter, (void *)19);
	for (;;)
		pause();
}

static void *killer(void *arg)
{
	usleep(1000);
	kill(getpid(), SIGKILL);
	return NULL;
}

static void killed(void)
{
	go = 1;
	start(4, spin, NULL);
	start(1, killer, NULL);
	syscall(SYS_exit, 0);
}

static void *bad(void *arg)
{
	usleep(1000);
	*(volatile int *)arg = 1;
	return NULL;
}

static void crash(void)
{
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	go = 1;
	start(4, spin, NULL);
	start(1, bad, (void *)16);
	for (;;)
		pause();
}

static void bad_exec(void)
{
	char *args[] = { "x", NULL };

	start(2, spin, NULL);
	SHOW(execv("/nowhere", args));
	SHOW(execv("/", args));
	SHOW(execve("/bin/true", (void *)8, NULL));
	SHOW(execv("text", args));
	SHOW(execv("empty", args));
	SHOW(execv("script", args));
	SHOW(threads());
	_exit(3);
}

static void vfork_exec(void)
{
	int status;
	char *args[] = { "/proc/self/exe", "after", "vfork", NULL };
	pid_t pid = vfork();

	if (pid == 0) {
		execv("/proc/self/exe", args);
		_exit(1);
	}
	waitpid(pid, &status, 0);
	say("vfork child %d\n", WEXITSTATUS(status));
	pid = vfork();
	if (pid == 0)
		_exit(21);
	waitpid(pid, &status, 0);
	say("vfork child %d\n", WEXITSTATUS(status));
	pid = vfork();
	if (pid == 0)
		kill(getpid(), SIGKILL);
	waitpid(pid, &status, 0);
	say("vfork child killed %d\n", WTERMSIG(status));
}

static void children_of_threads(void)
{
	siginfo_t info;
	pid_t pid;
	int status;

	/* A child of a thread that ends stays a child of the process. */
	pid = fork();
	if (pid == 0)
		_exit(1);
	SHOW(waitid(P_PID, pid, &info, WEXITED | WNOWAIT) == 0 && info.si_status == 1);
	SHOW(waitid(P_PID, pid, &info, WEXITED | WNOWAIT) == 0 && info.si_status == 1);
	SHOW(wait4(pid, &status, 0, NULL) == pid);
	SHOW(wait4(pid, &status, 0, NULL));
}

int main(int argc, char **argv)
{
	char number[16];

	if (argc > 2 && !strcmp(argv[1], "after"))
		return after(argv[2]);
	leader = getpid();
	readlink("/proc/self/exe", self, sizeof(self) - 1);
	snprintf(number, sizeof(number), "%d", leader);
	setenv("PARENT", number, 1);
	put("text", "hello\n");
	chmod("text", 0755);
	put("empty", "");
	chmod("empty", 0755);
	put("script", "#!/nowhere/interpreter\n");
	chmod("script", 0755);
	for (int i = 0; i < 3; i++) {
		in_child("from leader", from_leader);
		in_child("from other", from_other);
		in_child("after leader died", after_leader_died);
		in_child("after leader died, by path", after_leader_died_path);
		in_child("two at once", two_at_once);
		in_child("exit_group from thread", group_from_thread);
		in_child("leader first", leader_first);
		in_child("leader first, then the group", leader_first_then_group);
		in_child("many", many_exit);
		in_child("killed", killed);
		in_child("crash", crash);
	}
	in_child("bad exec", bad_exec);
	in_child("vfork", vfork_exec);
	in_child("shared files", shared_files);
	in_child("children", children_of_threads);
	return 0;
}
