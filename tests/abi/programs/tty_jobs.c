/* SPDX-License-Identifier: Apache-2.0 */
/* abi-as: root */
/* Controlling terminals, sessions, foreground and background groups, hangups. */
#include "ttytest.h"
#include <sys/prctl.h>

static char name[64];
static pid_t reaper;
static volatile int seen[65];
static int order[16], n_order;

static void note(int signo)
{
	seen[signo]++;
	if (n_order < 16)
		order[n_order++] = signo;
}

static void catch(int signo)
{
	struct sigaction act = {.sa_handler = note};

	sigaction(signo, &act, NULL);
}

static void show_seen(const char *who)
{
	say("  %s saw:", who);
	for (int i = 0; i < n_order; i++)
		say(" %s", sigabbrev_np(order[i]));
	say("\n");
	n_order = 0;
	memset((void *)seen, 0, sizeof seen);
}

static void report(const char *who, pid_t pid)
{
	int status;

	if (waitpid(pid, &status, WUNTRACED) != pid) {
		say("%s: no child\n", who);
		return;
	}
	if (WIFSTOPPED(status))
		say("%s: stopped by %s\n", who, sigabbrev_np(WSTOPSIG(status)));
	else if (WIFSIGNALED(status))
		say("%s: killed by %s\n", who, sigabbrev_np(WTERMSIG(status)));
	else
		say("%s: exited %d\n", who, WEXITSTATUS(status));
}

/* Run as the leader of a new session without a terminal. */
static void session(const char *what, void (*function)(void))
{
	int status = -1;
	pid_t pid;

	say("== %s\n", what);
	open_pair();
	strcpy(name, ttyname(slave));
	fcntl(slave, F_SETFL, 0);
	if ((pid = fork()) == 0) {
		setsid();
		function();
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	while (wait(NULL) > 0)
		;
	say("%s: %x\n", what, status);
	close_pair();
}

static void getting(void)
{
	int fd;

	SHOW(open("/dev/tty", O_RDWR));
	SHOW(tcgetpgrp(slave));
	SHOW(tcgetsid(slave));
	SHOW(tcsetpgrp(slave, getpgrp()));
	SHOW(ioctl(slave, TIOCNOTTY));
	SHOW(close(open(name, O_RDWR | O_NOCTTY)));
	SHOW(open("/dev/tty", O_RDWR));
	SHOW(close(open(name, O_WRONLY)));
	SHOW(open("/dev/tty", O_RDWR));
	SHOW(close(open(name, O_RDONLY)));
	IS((fd = open("/dev/tty", O_RDWR)) >= 0);
	IS(tcgetpgrp(fd) == getpgrp());
	IS(tcgetsid(slave) == getsid(0));
	SHOW(tcgetpgrp(master) == getpgrp());
	SHOW(tcgetsid(master) == getsid(0));
	SHOW(ioctl(slave, TIOCSCTTY, 0));
	SHOW(ioctl(master, TIOCSCTTY, 0));
	SHOW(ioctl(slave, TIOCSCTTY, 1));
	SHOW(tcsetpgrp(slave, -1));
	SHOW(tcsetpgrp(slave, 999999));
	SHOW(tcsetpgrp(slave, 1));
	SHOW(tcsetpgrp(slave, getpgrp()));
	SHOW(tcsetpgrp(master, getpgrp()));
	SHOW(ioctl(slave, TIOCSPGRP, NULL));
	IS(!strcmp(ttyname(fd), "/dev/tty"));
	catch(SIGHUP);
	catch(SIGCONT);
	SHOW(ioctl(fd, TIOCNOTTY));
	show_seen("leader");
	SHOW(open("/dev/tty", O_RDWR));
	SHOW(tcgetpgrp(slave));
	SHOW(tcgetpgrp(master));
	SHOW(tcgetsid(master));
	SHOW(ioctl(slave, TIOCSCTTY, 0));
	IS(tcgetpgrp(slave) == getpgrp());
	if (fork() == 0) {
		SHOW(ioctl(slave, TIOCNOTTY));
		SHOW(open("/dev/tty", O_RDWR));
		SHOW(ioctl(slave, TIOCSCTTY, 0));
		_exit(0);
	}
	wait(NULL);
	IS(tcgetpgrp(slave) == getpgrp());
}

static void stealing(void)
{
	pid_t pid;
	int p[2];
	char c;

	pipe(p);
	catch(SIGHUP);
	catch(SIGCONT);
	SHOW(ioctl(slave, TIOCSCTTY, 0));
	if ((pid = fork()) == 0) {
		SHOW(setsid() == getpid());
		SHOW(ioctl(slave, TIOCSCTTY, 0));
		SHOW(ioctl(slave, TIOCSCTTY, 2));
		if (fork() == 0) {
			SHOW(setresuid(1, 1, 1));
			SHOW(setsid() == getpid());
			SHOW(ioctl(slave, TIOCSCTTY, 1));
			_exit(0);
		}
		wait(NULL);
		SHOW(ioctl(slave, TIOCSCTTY, 1));
		IS(tcgetpgrp(slave) == getpgrp());
		write(p[1], "x", 1);
		pause();
	}
	read(p[0], &c, 1);
	SHOW(open("/dev/tty", O_RDWR));
	SHOW(tcgetpgrp(slave));
	show_seen("old owner");
	kill(pid, SIGKILL);
	report("thief", pid);
	SHOW(tcgetpgrp(master));
}

static void in_background(const char *what, void (*function)(void))
{
	pid_t pid;

	if ((pid = fork()) == 0) {
		setpgid(0, 0);
		function();
		_exit(0);
	}
	setpgid(pid, pid);
	report(what, pid);
	kill(pid, SIGKILL);
	kill(pid, SIGCONT);
	waitpid(pid, NULL, 0);
}

static char one;

static void just_read(void)
{
	SHOW(read(slave, &one, 1));
}

static void read_ignored(void)
{
	signal(SIGTTIN, SIG_IGN);
	SHOW(read(slave, &one, 1));
}

static void read_blocked(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTTIN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	SHOW(read(slave, &one, 1));
}

static void just_write(void)
{
	SHOW(write(slave, "w", 1));
}

static void just_poll(void)
{
	say("poll %d\n", ready(slave, 0));
}

static void set_mode(void)
{
	struct termios t;

	SHOW(tcgetattr(slave, &t));
	SHOW(tcsetattr(slave, TCSANOW, &t));
}

static void set_mode_ignored(void)
{
	signal(SIGTTOU, SIG_IGN);
	set_mode();
	SHOW(tcflush(slave, TCIFLUSH));
	SHOW(tcflow(slave, TCOON));
	SHOW(tcdrain(slave));
	SHOW(tcsendbreak(slave, 0));
	SHOW(write(slave, "w", 1));
	SHOW(tcsetpgrp(slave, getpgrp()));
	IS(tcgetpgrp(slave) == getpgrp());
	SHOW(tcsetpgrp(slave, getppid()));
}

static void set_group(void)
{
	SHOW(tcsetpgrp(slave, getpgrp()));
}

static void set_size(void)
{
	struct winsize size = {5, 6, 0, 0};

	SHOW(ioctl(slave, TIOCSWINSZ, &size));
	SHOW(ioctl(slave, FIONREAD, &size));
}

static void set_ldisc(void)
{
	int disc = 0;

	SHOW(ioctl(slave, TIOCSETD, &disc));
}

static void flush(void)
{
	SHOW(tcflush(slave, TCIFLUSH));
}

static void flow(void)
{
	SHOW(tcflow(slave, TCOON));
}

static void drain_it(void)
{
	SHOW(tcdrain(slave));
}

static void orphan(void)
{
	int p[2], done[2];
	char c;
	pid_t pid;

	pipe(p);
	pipe(done);
	if (fork() == 0) {
		if ((pid = fork()) == 0) {
			read(p[0], &c, 1);
			IS(getppid() == reaper);
			SHOW(read(slave, &one, 1));
			SHOW(tcflush(slave, TCIFLUSH));
			SHOW(tcsetpgrp(slave, getpgrp()));
			SHOW(write(slave, "o", 1));
			signal(SIGTTOU, SIG_IGN);
			SHOW(tcflush(slave, TCIFLUSH));
			SHOW(raise(SIGTSTP));
			SHOW(raise(SIGTTIN));
			say("still running\n");
			_exit(3);
		}
		setpgid(pid, pid);
		_exit(0);
	}
	wait(NULL);
	write(p[1], "x", 1);
	close(done[1]);
	read(done[0], &c, 1);
}

static void background(void)
{
	struct termios t;

	signal(SIGHUP, SIG_IGN);
	SHOW(ioctl(slave, TIOCSCTTY, 0));
	in_background("read", just_read);
	in_background("read ignored", read_ignored);
	in_background("read blocked", read_blocked);
	in_background("write", just_write);
	in_background("poll", just_poll);
	in_background("tcsetattr", set_mode);
	in_background("tcsetattr ignored", set_mode_ignored);
	in_background("tcsetpgrp", set_group);
	in_background("size", set_size);
	in_background("ldisc", set_ldisc);
	in_background("flush", flush);
	in_background("flow", flow);
	in_background("drain", drain_it);
	tcgetattr(slave, &t);
	t.c_lflag |= TOSTOP;
	tcsetattr(slave, TCSANOW, &t);
	in_background("write tostop", just_write);
	in_background("write tostop ignored", set_mode_ignored);
	t.c_lflag &= ~TOSTOP;
	tcsetattr(slave, TCSANOW, &t);
	orphan();
}

static void signals(void)
{
	pid_t pid;
	int p[2];
	char c;

	pipe(p);
	signal(SIGHUP, SIG_IGN);
	SHOW(ioctl(slave, TIOCSCTTY, 0));
	static const char keys[] = "\003\034\032";
	for (int i = 0; i < 3; i++) {
		if ((pid = fork()) == 0) {
			setpgid(0, 0);
			signal(SIGTTOU, SIG_IGN);
			tcsetpgrp(slave, getpgrp());
			prctl(PR_SET_DUMPABLE, 0);
			write(p[1], "x", 1);
			for (;;)
				pause();
		}
		read(p[0], &c, 1);
		write(master, keys + i, 1);
		report("key", pid);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		signal(SIGTTOU, SIG_IGN);
		SHOW(tcsetpgrp(slave, getpgrp()));
	}
	catch(SIGWINCH);
	struct winsize size = {7, 7, 0, 0};
	SHOW(ioctl(master, TIOCSWINSZ, &size));
	SHOW(ioctl(master, TIOCSWINSZ, &size));
	show_seen("resize");
	SHOW(ioctl(slave, TIOCSWINSZ, &size));
	size.ws_xpixel = 1;
	SHOW(ioctl(slave, TIOCSWINSZ, &size));
	show_seen("resize");
	catch(SIGINT);
	SHOW(ioctl(master, TIOCSIG, SIGINT));
	show_seen("TIOCSIG");
	drain("screen", master);
}

static void hang(void)
{
	SHOW(ioctl(slave, TIOCSCTTY, 0));
	catch(SIGHUP);
	catch(SIGCONT);
	SHOW(syscall(SYS_vhangup));
	show_seen("leader");
	SHOW(read(slave, &one, 1));
	SHOW(open("/dev/tty", O_RDWR));
	SHOW(tcgetpgrp(master));
	close(slave);
	IS((slave = open(name, O_RDWR)) >= 0);
	IS(tcgetpgrp(slave) == getpgrp());
	show_seen("leader");
}

static void master_closed(void)
{
	int p[2];
	pid_t pid, other;
	char c;

	pipe(p);
	close(slave);
	if ((pid = fork()) == 0) {
		setsid();
		slave = open(name, O_RDWR);
		close(master);
		catch(SIGHUP);
		catch(SIGCONT);
		if ((other = fork()) == 0) {
			setpgid(0, 0);
			write(p[1], "x", 1);
			pause();
			_exit(0);
		}
		setpgid(other, other);
		write(p[1], "x", 1);
		while (!seen[SIGHUP] || !seen[SIGCONT])
			usleep(1000);
		show_seen("leader");
		SHOW(read(slave, &one, 1));
		SHOW(tcgetpgrp(slave));
		SHOW(open("/dev/tty", O_RDWR));
		SHOW(kill(other, 0));
		kill(other, SIGKILL);
		_exit(0);
	}
	read(p[0], &c, 1);
	read(p[0], &c, 1);
	close(master);
	report("session", pid);
}

static void leader_exits(void)
{
	int p[2];
	char c;

	pipe(p);
	ioctl(slave, TIOCSCTTY, 0);
	if (fork() == 0) {
		catch(SIGHUP);
		catch(SIGCONT);
		write(p[1], "x", 1);
		while (!seen[SIGHUP])
			usleep(1000);
		while (getppid() != reaper)
			usleep(1000);
		show_seen("foreground");
		SHOW(open("/dev/tty", O_RDWR));
		SHOW(tcgetpgrp(slave));
		SHOW(tcgetpgrp(master));
		SHOW(tcgetsid(master));
		_exit(0);
	}
	read(p[0], &c, 1);
}

static void stopped_orphans(void)
{
	pid_t pid;

	if ((pid = fork()) == 0) {
		setpgid(0, 0);
		catch(SIGHUP);
		catch(SIGCONT);
		raise(SIGSTOP);
		show_seen("stopped member");
		_exit(5);
	}
	setpgid(pid, pid);
	waitpid(pid, NULL, WUNTRACED);
}

int main(void)
{
	reaper = getpid();
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	alarm(10);
	session("getting", getting);
	session("stealing", stealing);
	session("background", background);
	session("signals", signals);
	session("hang", hang);
	say("== master closed\n");
	open_pair();
	strcpy(name, ttyname(slave));
	master_closed();
	session("leader exits", leader_exits);
	session("stopped orphans", stopped_orphans);
	return 0;
}
