/* SPDX-License-Identifier: Apache-2.0 */
/* abi-as: root */
/* ioctl_tty(2): settings, speeds, locks, packet mode, flow, queues, hangups of a pty. */
#define TTY_NO_TERMIOS
#include "ttytest.h"
#include <asm/termbits.h>
#include <linux/tty.h>
#include <sys/sysmacros.h>
#define TIOCPKT_ 0x5420

struct old_termio {
	unsigned short iflag, oflag, cflag, lflag;
	unsigned char line, cc[8];
};

static void get(int fd)
{
	struct termios2 t;

	if (ioctl(fd, TCGETS2, &t)) {
		say("  TCGETS2 %s\n", strerrorname_np(errno));
		return;
	}
	say("  %x %x %x %x line %d speed %u %u", t.c_iflag, t.c_oflag, t.c_cflag, t.c_lflag,
	    t.c_line, t.c_ispeed, t.c_ospeed);
	for (int i = 0; i < 19; i++)
		say(" %d", t.c_cc[i]);
	say("\n");
}

static void settings(void)
{
	struct termios2 t, old;
	struct termios t1;
	struct old_termio t0;

	open_pair();
	get(slave);
	get(master);
	ioctl(slave, TCGETS2, &old);
	for (unsigned fill = 0; fill < 2; fill++) {
		memset(&t, fill ? 0xff : 0, sizeof t);
		SHOW(ioctl(slave, TCSETS2, &t));
		get(slave);
		SHOW(ioctl(master, TCSETS2, &t));
		get(master);
		get(slave);
		SHOW(ioctl(slave, TCSETSW2, &old));
		memset(&t1, fill ? 0xff : 0, sizeof t1);
		SHOW(ioctl(slave, TCSETSF, &t1));
		get(slave);
		memset(&t0, fill ? 0xff : 0, sizeof t0);
		SHOW(ioctl(slave, TCSETSF2, &old));
		SHOW(ioctl(slave, TCSETA, &t0));
		get(slave);
		SHOW(ioctl(slave, TCGETA, &t0));
		say("  %x %x %x %x %d\n", t0.iflag, t0.oflag, t0.cflag, t0.lflag, t0.line);
		SHOW(ioctl(slave, TCSETS2, &old));
	}
	for (int bits = 0; bits < 32; bits++) {
		t = old;
		t.c_cflag = (t.c_cflag & ~CBAUD) | (bits & 15) | (bits & 16 ? CBAUDEX : 0);
		t.c_ispeed = 12345;
		t.c_ospeed = 54321;
		say("%d: %d", bits, ioctl(slave, TCSETS2, &t));
		get(slave);
	}
	t = old;
	t.c_cflag = (t.c_cflag & ~(CBAUD | CIBAUD)) | BOTHER | (B9600 << IBSHIFT);
	t.c_ospeed = 115200;
	t.c_ispeed = 300;
	SHOW(ioctl(slave, TCSETS2, &t));
	get(slave);
	t.c_ospeed = 1234567;
	t.c_ispeed = 7;
	t.c_cflag = (t.c_cflag & ~CIBAUD) | (BOTHER << IBSHIFT);
	SHOW(ioctl(slave, TCSETS2, &t));
	get(slave);
	SHOW(ioctl(slave, TCGETS, &t1));
	SHOW(ioctl(slave, TCSETS, &t1));
	get(slave);
	t.c_line = 3;
	SHOW(ioctl(slave, TCSETS2, &t));
	get(slave);
	SHOW(ioctl(slave, TCGETS, NULL));
	SHOW(ioctl(slave, TCSETS, NULL));
	SHOW(ioctl(slave, TCGETA, NULL));
	SHOW(ioctl(slave, TCGETS2, 1));
	close_pair();
}

static void locked(void)
{
	struct termios lock, t, old;

	open_pair();
	memset(&lock, 0xee, sizeof lock);
	SHOW(ioctl(slave, TIOCGLCKTRMIOS, &lock));
	say("%x %x %x %x %d\n", lock.c_iflag, lock.c_oflag, lock.c_cflag, lock.c_lflag,
	    lock.c_cc[0]);
	lock.c_lflag = ECHO | ICANON;
	lock.c_iflag = ICRNL;
	lock.c_cc[VINTR] = 1;
	SHOW(ioctl(slave, TIOCSLCKTRMIOS, &lock));
	ioctl(slave, TCGETS, &old);
	t = old;
	t.c_lflag = 0;
	t.c_iflag = 0;
	t.c_cc[VINTR] = 7;
	t.c_cc[VQUIT] = 8;
	SHOW(ioctl(slave, TCSETS, &t));
	get(slave);
	SHOW(ioctl(master, TIOCGLCKTRMIOS, &lock));
	say("%x %x %x %x %d\n", lock.c_iflag, lock.c_oflag, lock.c_cflag, lock.c_lflag,
	    lock.c_cc[0]);
	if (fork() == 0) {
		setresuid(1, 1, 1);
		SHOW(ioctl(slave, TIOCSLCKTRMIOS, &lock));
		SHOW(ioctl(slave, TIOCGLCKTRMIOS, &lock));
		_exit(0);
	}
	wait(NULL);
	SHOW(ioctl(slave, TIOCSLCKTRMIOS, NULL));
	close_pair();
}

static const char *names(int mask)
{
	static char text[100];

	snprintf(text, sizeof text, "%s%s%s%s%s", mask & POLLIN ? "IN " : "",
		 mask & POLLOUT ? "OUT " : "", mask & POLLPRI ? "PRI " : "",
		 mask & POLLERR ? "ERR " : "", mask & POLLHUP ? "HUP " : "");
	return text;
}

static int polled(int fd)
{
	struct pollfd p = {fd, POLLIN | POLLPRI | POLLOUT, 0};

	poll(&p, 1, 0);
	return p.revents;
}

static void packets(void)
{
	struct termios t, old;
	int on = 1, off = 0, value;

	open_pair();
	SHOW(ioctl(slave, TIOCPKT_, &on));
	SHOW(ioctl(master, TIOCPKT_, NULL));
	SHOW(ioctl(master, TIOCPKT_, &on));
	SHOW(ioctl(master, TIOCGPKT, &value));
	say("%d\n", value);
	SHOW(ioctl(slave, TIOCGPKT, &value));
	say("%s\n", names(polled(master)));
	write(slave, "text\n", 5);
	drain("packet", master);
	SHOW(ioctl(slave, TCFLSH, TCIFLUSH));
	say("%s\n", names(polled(master)));
	drain("packet", master);
	SHOW(ioctl(slave, TCFLSH, TCOFLUSH));
	drain("packet", master);
	SHOW(ioctl(slave, TCFLSH, TCIOFLUSH));
	drain("packet", master);
	SHOW(ioctl(slave, TCFLSH, 3));
	SHOW(ioctl(slave, TCXONC, TCOOFF));
	SHOW(ioctl(slave, TCXONC, TCOOFF));
	drain("packet", master);
	SHOW(write(slave, "held", 4));
	say("%s\n", names(polled(slave)));
	SHOW(ioctl(slave, TCXONC, TCOON));
	drain("packet", master);
	SHOW(write(slave, "sent", 4));
	drain("packet", master);
	SHOW(ioctl(slave, TCXONC, TCIOFF));
	drain("packet", master);
	SHOW(ioctl(slave, TCXONC, TCION));
	drain("packet", master);
	SHOW(ioctl(slave, TCXONC, 4));
	ioctl(slave, TCGETS, &old);
	t = old;
	t.c_iflag &= ~IXON;
	SHOW(ioctl(slave, TCSETS, &t));
	drain("packet", master);
	SHOW(ioctl(slave, TCSETS, &old));
	drain("packet", master);
	t = old;
	t.c_cc[VSTOP] = 1;
	SHOW(ioctl(slave, TCSETS, &t));
	drain("packet", master);
	t = old;
	t.c_lflag |= EXTPROC;
	SHOW(ioctl(slave, TCSETS, &t));
	drain("packet", master);
	SHOW(ioctl(slave, TCSETS, &old));
	drain("packet", master);
	SHOW(ioctl(slave, TCSETS, &old));
	drain("packet", master);
	write(master, "\023", 1);
	ready(slave, 0);
	drain("packet", master);
	write(master, "\021", 1);
	ready(slave, 0);
	drain("packet", master);
	write(master, "\003", 1);
	ready(slave, 0);
	drain("packet", master);
	SHOW(ioctl(master, TIOCPKT_, &off));
	SHOW(ioctl(slave, TCFLSH, TCIOFLUSH));
	drain("plain", master);
	close_pair();
}

static void misc(void)
{
	struct winsize size = {1, 2, 3, 4};
	int value = 42, lock = 1;
	char c = 'x';

	open_pair();
	SHOW(ioctl(slave, TIOCGWINSZ, &size));
	say("%d %d %d %d\n", size.ws_row, size.ws_col, size.ws_xpixel, size.ws_ypixel);
	size = (struct winsize){10, 20, 30, 40};
	SHOW(ioctl(master, TIOCSWINSZ, &size));
	memset(&size, 0, sizeof size);
	SHOW(ioctl(slave, TIOCGWINSZ, &size));
	say("%d %d %d %d\n", size.ws_row, size.ws_col, size.ws_xpixel, size.ws_ypixel);
	SHOW(ioctl(slave, TIOCSWINSZ, NULL));
	SHOW(ioctl(slave, TIOCGETD, &value));
	say("%d\n", value);
	for (value = -1; value < 35; value += value == 0 ? 29 : 1) {
		int asked = value;
		say("ldisc %d: %d %s\n", value, ioctl(slave, TIOCSETD, &asked),
		    strerrorname_np(errno));
	}
	SHOW(ioctl(slave, TIOCGEXCL, &value));
	say("%d\n", value);
	SHOW(ioctl(slave, TIOCEXCL));
	SHOW(ioctl(slave, TIOCGEXCL, &value));
	say("%d\n", value);
	IS(open(ttyname(slave), O_RDWR | O_NOCTTY) >= 0);
	if (fork() == 0) {
		char *name = ttyname(slave);

		fchown(slave, 1, 1);
		setresuid(1, 1, 1);
		SHOW(open(name, O_RDWR | O_NOCTTY));
		SHOW(ioctl(slave, TIOCVHANGUP));
		_exit(0);
	}
	wait(NULL);
	SHOW(ioctl(slave, TIOCNXCL));
	SHOW(ioctl(slave, TIOCGEXCL, &value));
	say("%d\n", value);
	SHOW(ioctl(slave, TIOCOUTQ, &value));
	say("%d\n", value);
	write(slave, "abc", 3);
	SHOW(ioctl(slave, TIOCOUTQ, &value));
	say("%d\n", value);
	drain("screen", master);
	SHOW(ioctl(slave, TIOCGDEV, &value));
	IS(major(value) == 136);
	SHOW(ioctl(master, TIOCGDEV, &value));
	IS(major(value) == 136);
	SHOW(ioctl(slave, TIOCGSOFTCAR, &value));
	say("%d\n", value);
	value = 1;
	SHOW(ioctl(slave, TIOCSSOFTCAR, &value));
	SHOW(ioctl(slave, TIOCGSOFTCAR, &value));
	say("%d\n", value);
	get(slave);
	SHOW(ioctl(slave, TIOCMGET, &value));
	SHOW(ioctl(slave, TIOCMSET, &value));
	SHOW(ioctl(slave, TIOCGICOUNT, &value));
	SHOW(ioctl(slave, TIOCMIWAIT, &value));
	SHOW(ioctl(slave, TIOCGSERIAL, &value));
	SHOW(ioctl(slave, TIOCLINUX, &c));
	SHOW(ioctl(slave, TIOCSBRK));
	SHOW(ioctl(slave, TIOCCBRK));
	SHOW(ioctl(slave, TCSBRK, 0));
	SHOW(ioctl(slave, TCSBRK, 1));
	SHOW(ioctl(slave, TCSBRKP, 1));
	SHOW(ioctl(slave, TIOCGRS485, &value));
	SHOW(ioctl(slave, TIOCGPTN, &value));
	SHOW(ioctl(master, TIOCGPTN, &value));
	SHOW(ioctl(slave, TIOCGPTLCK, &value));
	SHOW(ioctl(master, TIOCGPTLCK, &value));
	say("%d\n", value);
	SHOW(ioctl(master, TIOCSPTLCK, &lock));
	IS(open(ttyname(slave), O_RDWR | O_NOCTTY) < 0 && errno == EIO);
	SHOW(ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY));
	lock = 0;
	SHOW(ioctl(master, TIOCSPTLCK, &lock));
	value = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	IS(value > 0);
	say("%x %d\n", fcntl(value, F_GETFL), fcntl(value, F_GETFD));
	close(value);
	SHOW(ioctl(slave, TIOCGPTPEER, O_RDWR));
	SHOW(ioctl(master, TIOCSIG, 2));
	SHOW(ioctl(master, TIOCSIG, 9));
	SHOW(ioctl(slave, TIOCSIG, 2));
	SHOW(ioctl(slave, FIONREAD, NULL));
	SHOW(ioctl(slave, 0x54ff, NULL));
	SHOW(ioctl(master, 0x54ff, NULL));
	value = 1;
	SHOW(ioctl(slave, FIONBIO, &value));
	SHOW(ioctl(slave, FIOASYNC, &value));
	value = 0;
	SHOW(ioctl(slave, FIOASYNC, &value));
	SHOW(ioctl(slave, FIOCLEX));
	SHOW(fcntl(slave, F_GETFD));
	SHOW(ioctl(slave, FIONCLEX));
	SHOW(lseek(slave, 0, SEEK_SET));
	SHOW(pread(slave, &c, 1, 0));
	SHOW(read(slave, &c, 0));
	SHOW(write(slave, &c, 0));
	SHOW(write(slave, NULL, 1));
	SHOW(fsync(slave));
	SHOW(ftruncate(slave, 0));
	close_pair();
}

static void hung_up(void)
{
	char c = 'c';
	int value;
	struct termios t;
	char name[64];

	open_pair();
	strcpy(name, ttyname(slave));
	write(master, "left", 4);
	close(master);
	say("slave %s\n", names(polled(slave)));
	SHOW(read(slave, &c, 1));
	SHOW(write(slave, &c, 1));
	SHOW(ioctl(slave, TCGETS, &t));
	SHOW(ioctl(slave, TIOCSPGRP, &value));
	SHOW(ioctl(slave, TIOCGWINSZ, &value));
	SHOW(ioctl(slave, FIONREAD, &value));
	IS(open(name, O_RDWR | O_NOCTTY) < 0);
	IS(isatty(slave));
	close(slave);
	open_pair();
	write(slave, "last words", 10);
	close(slave);
	say("master %s\n", names(polled(master)));
	drain("screen", master);
	say("master %s\n", names(polled(master)));
	SHOW(read(master, &c, 1));
	SHOW(write(master, &c, 1));
	SHOW(ioctl(master, TCGETS, &t));
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_NONBLOCK);
	SHOW(read(slave, &c, 1));
	say("master %s\n", names(polled(master)));
	drain("reader", slave);
	SHOW(ioctl(slave, TIOCVHANGUP));
	say("slave %s\n", names(polled(slave)));
	SHOW(read(slave, &c, 1));
	SHOW(write(slave, &c, 1));
	say("master %s\n", names(polled(master)));
	SHOW(read(master, &c, 1));
	close_pair();
}

static long elapsed(void)
{
	static struct timespec before;
	struct timespec now;
	long ms;

	clock_gettime(CLOCK_MONOTONIC, &now);
	ms = (now.tv_sec - before.tv_sec) * 1000 + (now.tv_nsec - before.tv_nsec) / 1000000;
	before = now;
	return ms;
}

static void min_time(void)
{
	struct termios t;
	char text[32];
	long took;

	open_pair();
	fcntl(slave, F_SETFL, 0);
	ioctl(slave, TCGETS, &t);
	t.c_lflag &= ~(ICANON | ECHO);
	for (int min = 0; min <= 3; min += 3) {
		for (int time = 0; time <= 2; time += 2) {
			t.c_cc[VMIN] = min;
			t.c_cc[VTIME] = time;
			ioctl(slave, TCSETS, &t);
			say("min %d time %d\n", min, time);
			if (!min) {
				elapsed();
				SHOW(read(slave, text, 9));
				took = elapsed();
				IS(took >= time * 100 && took < time * 100 + 300);
			}
			write(master, "ab", 2);
			say("%s\n", names(polled(slave)));
			if (min && !time)
				write(master, "cd", 2);
			elapsed();
			SHOW(read(slave, text, 9));
			took = elapsed();
			IS(took >= (min ? time * 100 - 20 : 0) && took < time * 100 + 300);
			write(master, "abcdef", 6);
			ready(slave, 0);
			SHOW(read(slave, text, 2));
			SHOW(read(slave, text, 9));
			if (min) {
				fcntl(slave, F_SETFL, O_NONBLOCK);
				SHOW(read(slave, text, 9));
				write(master, "x", 1);
				ready(slave, 0);
				SHOW(read(slave, text, 9));
				fcntl(slave, F_SETFL, 0);
			}
		}
	}
	close_pair();
}

int main(void)
{
	settings();
	locked();
	packets();
	misc();
	hung_up();
	min_time();
	return 0;
}
