/* SPDX-License-Identifier: Apache-2.0 */
/* statx(2), statfs and the fields of stat. */
#include "check.h"
#include <sys/statfs.h>
#include <sys/sysmacros.h>

int main(void)
{
	struct statx sx;
	struct stat st;
	struct statfs fs;
	int fd;

	put("f", "12345");
	SHOW(statx(AT_FDCWD, "f", 0, STATX_BASIC_STATS, &sx));
	stat("f", &st);
	IS((sx.stx_mask & STATX_BASIC_STATS) == STATX_BASIC_STATS);
	IS(sx.stx_ino == st.st_ino);
	IS(makedev(sx.stx_dev_major, sx.stx_dev_minor) == st.st_dev);
	IS(sx.stx_mtime.tv_sec == st.st_mtim.tv_sec && sx.stx_mtime.tv_nsec == st.st_mtim.tv_nsec);
	say("%o %u %llu\n", sx.stx_mode, sx.stx_nlink, sx.stx_size);
	SHOW(statx(AT_FDCWD, "missing", 0, STATX_BASIC_STATS, &sx));
	SHOW(statx(AT_FDCWD, "f", 0, 0x80000000, &sx));
	SHOW(statx(AT_FDCWD, "f", 0x8, STATX_BASIC_STATS, &sx));
	SHOW(statx(AT_FDCWD, "f", AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC, 0, &sx));
	fd = open("f", O_RDONLY);
	SHOW(statx(fd, "", AT_EMPTY_PATH, STATX_SIZE, &sx));
	say("%llu\n", sx.stx_size);
	SHOW(statx(fd, "", 0, STATX_SIZE, &sx));
	SHOW(stat("/dev/null", &st));
	say("%o %u:%u\n", st.st_mode, major(st.st_rdev), minor(st.st_rdev));
	SHOW(statfs(".", &fs));
	IS(fs.f_bsize == 4096);
	IS(fs.f_namelen == 255);
	IS(fs.f_blocks >= fs.f_bfree && fs.f_bfree >= fs.f_bavail);
	SHOW(statfs("missing", &fs));
	SHOW(fstatfs(99, &fs));
	return 0;
}
