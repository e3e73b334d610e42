/* SPDX-License-Identifier: Apache-2.0 */
/* File times: set, kept, changed by what should change them. */
#include "check.h"
#include <utime.h>

static struct stat st;

static void times_of(const char *name)
{
	stat(name, &st);
	say("%s: %ld.%09ld %ld.%09ld\n", name, (long)st.st_atim.tv_sec, st.st_atim.tv_nsec,
	    (long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

static int later(struct timespec a, struct timespec b)
{
	return a.tv_sec > b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec >= b.tv_nsec);
}

int main(void)
{
	struct timespec ts[2] = { { 1000000000, 123456789 }, { 1500000000, 987654321 } };
	struct timeval tv[2] = { { 100, 5 }, { 200, 6 } };
	struct utimbuf ut = { 11, 22 };
	struct stat old;
	int fd;

	put("f", "x");
	SHOW(utimensat(AT_FDCWD, "f", ts, 0));
	times_of("f");
	ts[0].tv_nsec = UTIME_OMIT;
	ts[1].tv_sec = 7;
	SHOW(utimensat(AT_FDCWD, "f", ts, 0));
	times_of("f");
	ts[0].tv_nsec = UTIME_NOW;
	ts[1].tv_nsec = UTIME_OMIT;
	SHOW(utimensat(AT_FDCWD, "f", ts, 0));
	stat("f", &st);
	IS(st.st_atim.tv_sec > 1600000000);
	IS(st.st_mtim.tv_sec == 7);
	ts[0].tv_nsec = 1000000000;
	SHOW(utimensat(AT_FDCWD, "f", ts, 0));
	SHOW(utimensat(AT_FDCWD, "missing", NULL, 0));
	SHOW(utimensat(AT_FDCWD, "f", NULL, 0x8));
	SHOW(utimes("f", tv));
	times_of("f");
	tv[0].tv_usec = 1000000;
	SHOW(utimes("f", tv));
	SHOW(utime("f", &ut));
	times_of("f");
	fd = open("f", O_RDWR);
	SHOW(futimens(fd, NULL));
	fstat(fd, &st);
	IS(st.st_mtim.tv_sec > 1600000000);
	SHOW(utime("f", &ut));
	fstat(fd, &old);
	SHOW(write(fd, "y", 1));
	fstat(fd, &st);
	IS(st.st_mtim.tv_sec > 1600000000);
	IS(st.st_atim.tv_sec == 11);
	IS(later(st.st_ctim, old.st_ctim));
	SHOW(utime("f", &ut));
	SHOW(chmod("f", 0600));
	times_of("f");
	SHOW(rename("f", "g"));
	times_of("g");
	SHOW(symlink("g", "l"));
	ts[0] = ts[1] = (struct timespec){ 5, 0 };
	SHOW(utimensat(AT_FDCWD, "l", ts, AT_SYMLINK_NOFOLLOW));
	times_of("g");
	lstat("l", &st);
	say("%ld\n", (long)st.st_mtim.tv_sec);
	mkdir("d", 0755);
	utimensat(AT_FDCWD, "d", ts, 0);
	put("d/new", "");
	stat("d", &st);
	IS(st.st_mtim.tv_sec > 1600000000);
	return 0;
}
