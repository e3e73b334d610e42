/* SPDX-License-Identifier: Apache-2.0 */
/* Path resolution: lengths, slashes, dots, what comes first when several things are wrong. */
#include "check.h"

int main(void)
{
	static char name[8192];
	struct stat st;
	int dir;

	mkdir("d", 0755);
	put("d/f", "x");
	memset(name, 'n', 255);
	SHOW(creat(name, 0600));
	SHOW(unlink(name));
	memset(name, 'n', 256);
	SHOW(creat(name, 0600));
	SHOW(stat(name, &st));
	for (int i = 0; i < 4094; i += 2)
		memcpy(name + i, "./", 2);
	name[4094] = 0;
	SHOW(stat(name, &st));
	memcpy(name + 4094, "d", 2);
	SHOW(stat(name, &st));
	memcpy(name + 4094, "./", 3);
	SHOW(stat(name, &st));
	SHOW(stat((char *)8, &st));
	SHOW(stat("d", (void *)8));
	SHOW(stat("missing", (void *)8));
	SHOW(stat("d//f", &st));
	SHOW(stat("d/./../d/f", &st));
	SHOW(stat("d/f/.", &st));
	SHOW(stat("d/f/..", &st));
	SHOW(stat("missing/..", &st));
	SHOW(stat("/../../..", &st));
	SHOW(stat("d/f/", &st));
	SHOW(open("new/", O_CREAT | O_WRONLY, 0644));
	SHOW(open("d/", O_CREAT | O_WRONLY, 0644));
	SHOW(open("d", O_CREAT | O_RDONLY, 0644));
	SHOW(mkdir("d/f/x", 0755));
	SHOW(mkdir("missing/x", 0755));
	SHOW(rename("missing", "d/f/x"));
	dir = SHOW(open("d", O_RDONLY | O_DIRECTORY));
	SHOW(openat(dir, "f", O_RDONLY));
	SHOW(openat(dir, "../d/f", O_RDONLY));
	SHOW(openat(0, "f", O_RDONLY));
	SHOW(openat(99, "f", O_RDONLY));
	SHOW(openat(99, "/", O_RDONLY));
	SHOW(fstatat(dir, "", &st, 0));
	SHOW(fstatat(dir, "", &st, AT_EMPTY_PATH));
	say("%o\n", st.st_mode & S_IFMT);
	SHOW(fstatat(dir, "f", &st, 0x8));
	SHOW(mkdirat(dir, "sub", 0750));
	SHOW(faccessat(dir, "sub", W_OK, 0));
	SHOW(faccessat(dir, "sub", 9, 0));
	SHOW(syscall(SYS_faccessat2, dir, "", R_OK, AT_EMPTY_PATH));
	return 0;
}
