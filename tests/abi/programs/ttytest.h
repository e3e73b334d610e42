/* SPDX-License-Identifier: Apache-2.0 */
/* A pty pair to play with: what is typed at the master, what the slave and the screen get. */
#ifndef TTYTEST_H
#define TTYTEST_H

#include "check.h"
#ifndef TTY_NO_TERMIOS
#include <pty.h>
#else
int openpty(int *, int *, char *, const void *, const struct winsize *);
#endif
#ifndef TTY_NO_TERMIOS
#include <termios.h>
#endif

static int master, slave;

static inline void show_bytes(const char *who, const unsigned char *text, long size)
{
	printf("  %s \"", who);
	for (long i = 0; i < size; i++) {
		unsigned char c = text[i];

		if (c == '\\' || c == '"')
			printf("\\%c", c);
		else if (c >= 0x20 && c < 0x7f)
			putchar(c);
		else if (c == '\n')
			printf("\\n");
		else if (c == '\r')
			printf("\\r");
		else
			printf("\\x%02x", c);
	}
	printf("\"\n");
	fflush(stdout);
}

/* poll(2) also waits until the line discipline has seen what was written. */
static inline int ready(int fd, int timeout)
{
	struct pollfd p = {fd, POLLIN | POLLPRI, 0};

	poll(&p, 1, timeout);
	return p.revents;
}

/* All that can be read; at a slave each read apart, as they are lines. */
static inline void drain(const char *who, int fd)
{
	static unsigned char text[65536];
	long size, total = 0;

	ready(fd, 0);
	for (int ends = 0; ends < 8;) {
		size = read(fd, text + total, sizeof text - total);
		if (size < 0)
			break;
		if (fd == master && size) {
			total += size;
			continue;
		}
		show_bytes(who, text, size);
		ends += !size;
	}
	if (total)
		show_bytes(who, text, total);
	if (size < 0 && errno != EAGAIN)
		say("  %s %s\n", who, strerrorname_np(errno));
}

static inline void open_pair(void)
{
	if (openpty(&master, &slave, NULL, NULL, NULL))
		say("openpty: %s\n", strerrorname_np(errno));
	fcntl(master, F_SETFL, O_NONBLOCK);
	fcntl(slave, F_SETFL, O_NONBLOCK);
}

static inline void close_pair(void)
{
	close(slave);
	close(master);
}

/* Type at the keyboard; what the screen shows and what programs read. */
static inline void type_bytes(const char *text, size_t size)
{
	if (write(master, text, size) != (ssize_t)size)
		say("  short: %s\n", strerrorname_np(errno));
	drain("reader", slave);
	drain("screen", master);
}

#define TYPE(text) type_bytes(text, sizeof(text) - 1)

#endif
