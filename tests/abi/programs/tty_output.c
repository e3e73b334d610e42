/* SPDX-License-Identifier: Apache-2.0 */
/* N_TTY's output: every flag of termios(3) that acts on what programs write. */
#include "ttytest.h"

static void with(const char *name, tcflag_t set, tcflag_t clear, tcflag_t iset)
{
	static const char *const texts[] = {
		"line\nnext\r\n", "a\tb\n", "abcdefg\th\n", "\b\b\tx\n", "one\rtwo\r\r\n", "\r\r\n",
		"\f\v\n", "Mixed Case \303\244\303\204 \344\304\n", "\303\244\tu\n", "\001\177\t.\n",
		"no newline", "\t|\n", "\033[1mbold\033[0m\t.\n",
	};
	struct termios t;

	open_pair();
	tcgetattr(slave, &t);
	t.c_oflag = (t.c_oflag & ~clear) | set;
	t.c_iflag |= iset;
	say("%s: %d\n", name, tcsetattr(slave, TCSANOW, &t));
	tcgetattr(slave, &t);
	say("  %x %x %x %x\n", t.c_iflag, t.c_oflag, t.c_cflag, t.c_lflag);
	for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++) {
		long size = write(slave, texts[i], strlen(texts[i]));

		say(" %ld\n", size);
		drain("screen", master);
	}
	close_pair();
}

static void full(void)
{
	static char text[100000];
	int count;
	long size, total = 0;

	open_pair();
	memset(text, '.', sizeof text);
	size = 0;
	/* Linux hands output on in the background: until then there is room once more. */
	for (int tries = 0; tries < 100; tries++) {
		long more = write(slave, text, sizeof text);

		size += more > 0 ? more : 0;
		usleep(more > 0 ? 0 : 500);
	}
	IS(size > 1024 && size < 100000);
	SHOW(write(slave, "x", 1));
	SHOW(ioctl(slave, TIOCOUTQ, &count));
	IS(count >= 0);
	IS(!(ready(master, 0) & POLLPRI));
	while ((count = read(master, text, sizeof text)) > 0)
		total += count;
	IS(total == size);
	SHOW(write(slave, "x", 1));
	drain("screen", master);
	close_pair();
}

int main(void)
{
	with("default", 0, 0, 0);
	with("noopost", 0, OPOST, 0);
	with("noonlcr", 0, ONLCR, 0);
	with("ocrnl", OCRNL, 0, 0);
	with("ocrnl onlret", OCRNL | ONLRET, 0, 0);
	with("onocr", ONOCR, 0, 0);
	with("onlret", ONLRET, 0, 0);
	with("onlret noonlcr", ONLRET, ONLCR, 0);
	with("olcuc", OLCUC, 0, 0);
	with("xtabs", XTABS, 0, 0);
	with("tab1", TAB1, 0, 0);
	with("delays", NL1 | CR2 | BS1 | VT1 | FF1, 0, 0);
	with("fill", OFILL | OFDEL, 0, 0);
	with("iutf8", 0, 0, IUTF8);
	with("iutf8 xtabs", XTABS, 0, IUTF8);
	full();
	return 0;
}
