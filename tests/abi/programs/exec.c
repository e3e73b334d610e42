/* SPDX-License-Identifier: Apache-2.0 */
/* execve(2): arguments, environment, scripts, what survives, what is refused. */
#include "check.h"

extern char **environ;
static char *self;

static void exec(const char *path, char **argv, char **envp)
{
	char what[256];
	pid_t pid;
	int status;

	snprintf(what, sizeof(what), "%s", strrchr(path, '/') ? strrchr(path, '/') : path);
	fflush(stdout);
	if ((pid = fork()) == 0) {
		execve(path, argv, envp);
		say("%s: %s\n", what, strerrorname_np(errno));
		_exit(1);
	}
	waitpid(pid, &status, 0);
	say("%s: status %x\n", what, status);
}

static void script(const char *name, const char *text, mode_t mode)
{
	put(name, text);
	chmod(name, mode);
	exec(name, (char *[]){ "argv0", "one", "two words", NULL }, (char *[]){ "A=1", NULL });
}

static int inner(int argc, char **argv)
{
	struct sigaction sa;
	sigset_t set;

	say("inner:");
	for (int i = 0; i < argc; i++)
		say(" [%s]", argv[i]);
	for (char **e = environ; *e; e++)
		say(" {%s}", *e);
	sigaction(SIGUSR1, NULL, &sa);
	say(" usr1 %s", sa.sa_handler == SIG_DFL ? "default" : "other");
	sigaction(SIGUSR2, NULL, &sa);
	say(" usr2 %s", sa.sa_handler == SIG_IGN ? "ignored" : "other");
	sigprocmask(0, NULL, &set);
	say(" hup %s", sigismember(&set, SIGHUP) ? "blocked" : "open");
	say(" 10: %d 11: %d\n", fcntl(10, F_GETFD), fcntl(11, F_GETFD));
	return 5;
}

static void handler(int sig) { (void)sig; }

int main(int argc, char **argv)
{
	char buf[16384], *big[2] = { NULL }, text[512];
	sigset_t set;
	ssize_t n;
	int fd;

	if (argc && strcmp(argv[0], "inner") == 0)
		return inner(argc, argv);
	self = "/proc/self/exe";
	n = readlink(self, buf, sizeof(buf) - 1);
	buf[n] = 0;
	self = strdup(buf);
	signal(SIGUSR1, handler);
	signal(SIGUSR2, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	dup2(1, 10);
	dup3(1, 11, O_CLOEXEC);
	exec(self, (char *[]){ "inner", "a", "", "c d", NULL }, (char *[]){ "X=y", "", "Z", NULL });
	exec("missing", argv, environ);
	exec(".", argv, environ);
	exec("", argv, environ);
	script("not-executable", "#!/bin/echo\n", 0644);
	script("no-interpreter", "#!/nowhere/at all\n", 0755);
	script("empty", "", 0755);
	script("text", "just text\n", 0755);
	script("blank", "#!\n", 0755);
	script("echo", "#!/bin/echo\n", 0755);
	script("echo-arg", "#! /bin/echo   some argument  \nx", 0755);
	script("nested", "#!./echo-arg nested\n", 0755);
	snprintf(text, sizeof(text), "#!./loop\n");
	script("loop", text, 0755);
	script("crlf", "#!/bin/echo\r\n", 0755);
	script("not-elf", "\177ELF\2\1\1", 0755);
	fd = open(self, O_RDONLY);
	n = read(fd, buf, sizeof(buf));
	buf[18] = 0xb7;
	fd = open("wrong-arch", O_WRONLY | O_CREAT, 0755);
	write(fd, buf, n);
	close(fd);
	exec("wrong-arch", argv, environ);
	buf[18] = 62;
	fd = open("written", O_WRONLY | O_CREAT, 0755);
	write(fd, buf, n);
	exec("written", argv, environ);
	close(fd);
	exec("exec.txt", (char *[]){ NULL }, environ);
	big[0] = malloc(140000);
	memset(big[0], 'x', 140000);
	big[0][139999] = 0;
	exec("/bin/true", big, environ);
	big[0][131071] = 0;
	exec("/bin/true", big, environ);
	exec("/bin/true", (char **)8, environ);
	execlp("no-such-command-here", "x", NULL);
	say("execlp: %s\n", strerrorname_np(errno));
	fd = open(self, O_RDONLY | O_CLOEXEC);
	fexecve(fd, (char *[]){ "inner", "by descriptor", NULL }, (char *[]){ NULL });
	return 1;
}
