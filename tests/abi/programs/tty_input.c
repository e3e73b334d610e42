/* SPDX-License-Identifier: Apache-2.0 */
/* N_TTY's input: every flag of termios(3) that acts on what is typed. */
#include "ttytest.h"

struct mode {
	const char *name;
	tcflag_t iset, iclear, lset, lclear, oset;
	int key, value;
};

static void with(const struct mode *mode)
{
	struct termios t;

	open_pair();
	tcgetattr(slave, &t);
	t.c_iflag = (t.c_iflag & ~mode->iclear) | mode->iset;
	t.c_lflag = (t.c_lflag & ~mode->lclear) | mode->lset;
	t.c_oflag |= mode->oset;
	if (mode->key >= 0)
		t.c_cc[mode->key] = mode->value;
	say("%s: %d\n", mode->name, tcsetattr(slave, TCSANOW, &t));
	tcgetattr(slave, &t);
	say("  %x %x %x %x\n", t.c_iflag, t.c_oflag, t.c_cflag, t.c_lflag);
	TYPE("plain Text\n");
	TYPE("a\rb\r\nc\n\n");
	TYPE("rub\177\177\177x\n");
	TYPE("tab\there\177\177\177\177\177\177y\n");
	TYPE("\tt\177\177\n");
	TYPE("a\t\tb\177\177\177c\n");
	TYPE("two words  here\027\027Z\n");
	TYPE("a_b.c d-e\027x\027\n");
	TYPE("kill this\025me\n");
	TYPE("ctrl\001\002\033[A\177\177!\n");
	TYPE("lit\026\026\026\025\026\003\177z\n");
	TYPE("rep\022rint\n");
	TYPE("eof\004");
	TYPE("\004");
	TYPE("x\004\n");
	TYPE("utf \303\244\342\202\254\177\177ok\n");
	TYPE("bad \244\244\177\n");
	TYPE("high \377 \377\377\n");
	TYPE("stop\023held\021go\n");
	TYPE("\023");
	TYPE("any\n");
	TYPE("\021");
	TYPE("UPPER \\lower\n");
	TYPE("discard\017ed\n");
	TYPE("\014\n");
	TYPE("nul\0x\n");
	TYPE("eol|two\n");
	close_pair();
}

static const struct mode modes[] = {
	{"default", 0, 0, 0, 0, 0, -1, 0},
	{"raw", 0, ICRNL | IXON, 0, ICANON | ISIG | ECHO | IEXTEN, 0, -1, 0},
	{"noicanon", 0, 0, 0, ICANON, 0, -1, 0},
	{"noicanon noecho", 0, 0, 0, ICANON | ECHO, 0, -1, 0},
	{"noecho", 0, 0, 0, ECHO, 0, -1, 0},
	{"echonl", 0, 0, ECHONL, ECHO, 0, -1, 0},
	{"noechoe", 0, 0, 0, ECHOE, 0, -1, 0},
	{"noechok", 0, 0, 0, ECHOK, 0, -1, 0},
	{"noechoke", 0, 0, 0, ECHOKE, 0, -1, 0},
	{"echoprt", 0, 0, ECHOPRT, 0, 0, -1, 0},
	{"noechoctl", 0, 0, 0, ECHOCTL, 0, -1, 0},
	{"noiexten", 0, 0, 0, IEXTEN, 0, -1, 0},
	{"noisig", 0, 0, 0, ISIG, 0, -1, 0},
	{"extproc", 0, 0, EXTPROC, 0, 0, -1, 0},
	{"extproc noicanon", 0, 0, EXTPROC, ICANON, 0, -1, 0},
	{"xcase", IUCLC, 0, XCASE, 0, OLCUC, -1, 0},
	{"iuclc", IUCLC, 0, 0, 0, 0, -1, 0},
	{"olcuc", 0, 0, 0, 0, OLCUC, -1, 0},
	{"flusho pendin", 0, 0, FLUSHO | PENDIN, 0, 0, -1, 0},
	{"inlcr", INLCR, 0, 0, 0, 0, -1, 0},
	{"igncr", IGNCR, 0, 0, 0, 0, -1, 0},
	{"noicrnl", 0, ICRNL, 0, 0, 0, -1, 0},
	{"istrip", ISTRIP, 0, 0, 0, 0, -1, 0},
	{"parmrk", PARMRK, 0, 0, 0, 0, -1, 0},
	{"parmrk raw", PARMRK, ICRNL | IXON, 0, ICANON | ISIG | ECHO | IEXTEN, 0, -1, 0},
	{"parmrk inpck ignpar", PARMRK | INPCK | IGNPAR, 0, 0, 0, 0, -1, 0},
	{"iutf8", IUTF8, 0, 0, 0, 0, -1, 0},
	{"iutf8 echoprt", IUTF8, 0, ECHOPRT, 0, 0, -1, 0},
	{"ixany", IXANY, 0, 0, 0, 0, -1, 0},
	{"noixon", 0, IXON, 0, 0, 0, -1, 0},
	{"ixoff", IXOFF, 0, 0, 0, 0, -1, 0},
	{"imaxbel", IMAXBEL, 0, 0, 0, 0, -1, 0},
	{"noimaxbel", 0, IMAXBEL, 0, 0, 0, -1, 0},
	{"ignbrk brkint", IGNBRK | BRKINT, 0, 0, 0, 0, -1, 0},
	{"eol", 0, 0, 0, 0, 0, VEOL, '|'},
	{"eol2", 0, 0, 0, 0, 0, VEOL2, '|'},
	{"eol 377", PARMRK, 0, 0, 0, 0, VEOL, 0377},
	{"erase off", 0, 0, 0, 0, 0, VERASE, 0},
	{"eof is x", 0, 0, 0, 0, 0, VEOF, 'x'},
	{"onocr", 0, 0, 0, 0, ONOCR, -1, 0},
	{"ocrnl onlret", 0, 0, 0, 0, OCRNL | ONLRET, -1, 0},
	{"xtabs", 0, 0, 0, 0, XTABS, -1, 0},
	{"vmin 5", 0, 0, 0, ICANON, 0, VMIN, 5},
	{"vmin 0", 0, 0, 0, ICANON, 0, VMIN, 0},
};

static void overflow(void)
{
	static char text[9000];
	unsigned char back[9000];
	long size;

	open_pair();
	memset(text, 'a', sizeof text);
	say("overflow: %zd\n", write(master, text, 5000));
	ready(slave, 0);
	SHOW(read(slave, back, sizeof back));
	ready(master, 0);
	for (size = 0; size >= 0; size = read(master, back, sizeof back)) {
		ready(slave, 0);
		ready(master, 0);
	}
	write(master, "\n", 1);
	ready(slave, 0);
	SHOW(size = read(slave, back, sizeof back));
	show_bytes("end", back + size - 4, 4);
	drain("screen", master);
	close_pair();
}

static void switching(void)
{
	struct termios t, raw;
	int count;

	open_pair();
	tcgetattr(slave, &t);
	raw = t;
	raw.c_lflag &= ~ICANON;
	write(master, "one\ntwo\npart", 12);
	ready(slave, 0);
	SHOW(ioctl(slave, FIONREAD, &count));
	say("%d\n", count);
	tcsetattr(slave, TCSANOW, &raw);
	SHOW(ioctl(slave, FIONREAD, &count));
	say("%d\n", count);
	drain("raw", slave);
	write(master, "no line", 7);
	ready(slave, 0);
	tcsetattr(slave, TCSANOW, &t);
	SHOW(ioctl(slave, FIONREAD, &count));
	say("%d\n", count);
	drain("cooked", slave);
	write(master, " end\n", 5);
	drain("cooked", slave);
	write(master, "ab\004cd\004", 6);
	ready(slave, 0);
	tcsetattr(slave, TCSANOW, &raw);
	drain("raw", slave);
	tcsetattr(slave, TCSANOW, &t);
	write(master, "flush\nme", 8);
	ready(slave, 0);
	tcsetattr(slave, TCSAFLUSH, &t);
	write(master, "next\n", 5);
	drain("cooked", slave);
	write(master, "long line\n", 10);
	ready(slave, 0);
	char small[4];
	for (int i = 0; i < 4; i++) {
		long size = read(slave, small, 4);
		show_bytes("piece", (unsigned char *)small, size < 0 ? 0 : size);
	}
	write(master, "abcd\004", 5);
	ready(slave, 0);
	for (int i = 0; i < 2; i++)
		say("eof piece %zd\n", read(slave, small, 4));
	close_pair();
}

int main(void)
{
	for (unsigned i = 0; i < sizeof modes / sizeof *modes; i++)
		with(&modes[i]);
	overflow();
	switching();
	return 0;
}
