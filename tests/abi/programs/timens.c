/* SPDX-License-Identifier: Apache-2.0 */
/* abi-as: root */
/* Time namespaces: shifted clocks since boot, and all that is counted on them. */
#include "check.h"
#include <linux/futex.h>
#include <linux/sched.h>
#include <sys/sysinfo.h>
#include <sys/timerfd.h>

#define DAY 86400L

static long seconds(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec;
}

static long put_offsets(const char *text)
{
	int fd = open("/proc/self/timens_offsets", O_WRONLY);
	long n = write(fd, text, strlen(text));
	int error = errno;

	close(fd);
	errno = error;
	return n;
}

static void show_offsets(void)
{
	char text[200];
	int fd = open("/proc/self/timens_offsets", O_RDONLY);
	ssize_t n = read(fd, text, sizeof text);

	say("%.*s", (int)(n > 0 ? n : 0), text);
	close(fd);
}

static long base[12];

static void shifted(void)
{
	struct timespec at, left;
	struct sysinfo info;
	struct itimerspec spec = { { 0 }, { 0 } }, now;
	char text[64];
	timer_t timer;
	uint64_t ticks;

	say("monotonic %ld days\n", (seconds(CLOCK_MONOTONIC) - base[CLOCK_MONOTONIC]) / DAY);
	say("raw %ld days\n", (seconds(CLOCK_MONOTONIC_RAW) - base[CLOCK_MONOTONIC_RAW]) / DAY);
	say("coarse %ld days\n", (seconds(CLOCK_MONOTONIC_COARSE) - base[CLOCK_MONOTONIC_COARSE]) / DAY);
	say("boottime %ld days\n", (seconds(CLOCK_BOOTTIME) - base[CLOCK_BOOTTIME]) / DAY);
	say("realtime %ld days\n", (seconds(CLOCK_REALTIME) - base[CLOCK_REALTIME]) / DAY);
	sysinfo(&info);
	say("uptime %ld days\n", (info.uptime - base[CLOCK_BOOTTIME]) / DAY);
	int fd = open("/proc/uptime", O_RDONLY);

	read(fd, text, sizeof text);
	say("/proc/uptime %ld days\n", (atol(text) - base[CLOCK_BOOTTIME]) / DAY);
	for (int i = 0; i < 2; i++) {
		clockid_t clock = i ? CLOCK_BOOTTIME : CLOCK_MONOTONIC;

		clock_gettime(clock, &at);
		at.tv_nsec += 20000000;
		if (at.tv_nsec >= 1000000000)
			at.tv_sec++, at.tv_nsec -= 1000000000;
		SHOW(clock_nanosleep(clock, TIMER_ABSTIME, &at, NULL));
		clock_gettime(clock, &left);
		IS(left.tv_sec > at.tv_sec || left.tv_nsec >= at.tv_nsec || left.tv_sec == at.tv_sec);
		fd = timerfd_create(clock, 0);
		spec.it_value = left;
		spec.it_value.tv_sec += 100;
		SHOW(timerfd_settime(fd, TFD_TIMER_ABSTIME, &spec, NULL));
		SHOW(timerfd_gettime(fd, &now));
		IS(now.it_value.tv_sec > 90 && now.it_value.tv_sec <= 100);
		spec.it_value = at;
		SHOW(timerfd_settime(fd, TFD_TIMER_ABSTIME, &spec, NULL));
		SHOW(read(fd, &ticks, 8));
		struct sigevent none = { .sigev_notify = SIGEV_NONE };

		timer_create(clock, &none, &timer);
		spec.it_value = left;
		spec.it_value.tv_sec += 100;
		SHOW(timer_settime(timer, TIMER_ABSTIME, &spec, NULL));
		timer_gettime(timer, &now);
		IS(now.it_value.tv_sec > 90 && now.it_value.tv_sec <= 100);
	}
	uint32_t word = 0;

	clock_gettime(CLOCK_MONOTONIC, &at);
	SHOW(syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, 0, &at, NULL, -1));
	fd = open("/proc/self/stat", O_RDONLY);
	char line[600];
	ssize_t n = read(fd, line, sizeof line - 1);

	line[n > 0 ? n : 0] = 0;
	unsigned long long start = 0;

	sscanf(strrchr(line, ')') + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", &start);
	say("started %lld days later\n", ((long long)start / 100 - base[CLOCK_BOOTTIME]) / DAY);
	SHOW(put_offsets("monotonic 1 0\n"));
}

static void unprivileged(void)
{
	setresuid(12345, 12345, 12345);
	SHOW(unshare(CLONE_NEWTIME));
}

int main(void)
{
	for (int i = 0; i < 12; i++)
		base[i] = seconds(i);
	show_offsets();
	SHOW(put_offsets("monotonic 1 0\n"));
	in_child("unprivileged", unprivileged);
	struct clone_args args = { .flags = CLONE_NEWTIME, .exit_signal = SIGCHLD };

	fflush(stdout);
	pid_t pid = syscall(SYS_clone3, &args, sizeof args);

	if (pid == 0) {
		SHOW(put_offsets("monotonic 1 0\n")); /* it lives there: too late */
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	SHOW(unshare(CLONE_NEWTIME));
	say("still %ld days\n", (seconds(CLOCK_MONOTONIC) - base[CLOCK_MONOTONIC]) / DAY);
	SHOW(put_offsets("monotonic 1 1000000000\n"));
	SHOW(put_offsets("monotonic 1\n"));
	SHOW(put_offsets("realtime 1 0\n"));
	SHOW(put_offsets("monotonic -1000000000 0\n"));
	SHOW(put_offsets("boottime 9000000000 0\n"));
	SHOW(put_offsets(""));
	SHOW(put_offsets("monotonic 864000 5\nboottime 1728000 0\n"));
	show_offsets();
	SHOW(put_offsets("1 864000 0\n"));
	SHOW(put_offsets("7 1728000 0"));
	show_offsets();
	in_child("shifted", shifted);
	say("still %ld days\n", (seconds(CLOCK_MONOTONIC) - base[CLOCK_MONOTONIC]) / DAY);
	SHOW(put_offsets("monotonic 1 0\n"));
	int fd = open("/proc/self/ns/time_for_children", O_RDONLY);

	SHOW(setns(fd, CLONE_NEWTIME));
	say("then %ld days\n", (seconds(CLOCK_MONOTONIC) - base[CLOCK_MONOTONIC]) / DAY);
	return 0;
}
