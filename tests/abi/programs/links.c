/* SPDX-License-Identifier: Apache-2.0 */
/* Hard and symbolic links, and walking over them. */
#include "check.h"

int main(void)
{
	char text[64] = "", name[300];
	struct stat st, other;

	put("f", "contents");
	SHOW(link("f", "g"));
	SHOW(link("f", "g"));
	SHOW(link("missing", "h"));
	SHOW(link(".", "h"));
	SHOW(link("f", "nowhere/h"));
	stat("f", &st);
	stat("g", &other);
	IS(st.st_ino == other.st_ino);
	say("nlink %ld\n", (long)st.st_nlink);
	SHOW(unlink("f"));
	SHOW(access("f", F_OK));
	SHOW(access("g", R_OK));
	SHOW(symlink("g", "l"));
	SHOW(symlink("", "e"));
	SHOW(symlink("missing", "dangling"));
	SHOW(symlink("loop2", "loop1"));
	SHOW(symlink("loop1", "loop2"));
	SHOW(symlink(".", "here"));
	SHOW(symlink("x", "l"));
	SHOW(readlink("l", text, sizeof(text)));
	SHOW(readlink("dangling", text, 3));
	say("[%.3s]\n", text);
	SHOW(readlink("g", text, sizeof(text)));
	SHOW(readlink("l", text, 0));
	SHOW(readlink("missing", text, 1));
	SHOW(lstat("l", &st));
	say("%o %ld\n", st.st_mode, (long)st.st_size);
	SHOW(stat("l", &st));
	say("%o %ld\n", st.st_mode, (long)st.st_size);
	SHOW(stat("dangling", &st));
	SHOW(stat("loop1", &st));
	SHOW(lstat("loop1", &st));
	SHOW(lstat("l/", &st));
	SHOW(lstat("here/", &st));
	say("%o\n", st.st_mode & S_IFMT);
	SHOW(open("l", O_RDONLY | O_NOFOLLOW));
	SHOW(open("here/here/here/l", O_RDONLY));
	SHOW(open("dangling", O_CREAT | O_EXCL | O_WRONLY, 0644));
	SHOW(open("dangling", O_CREAT | O_WRONLY, 0644));
	SHOW(access("missing", F_OK));
	SHOW(open("l", O_PATH | O_NOFOLLOW));
	SHOW(fstat(5, &st));
	say("%o\n", st.st_mode & S_IFMT);
	SHOW(readlinkat(5, "", text, sizeof(text)));
	SHOW(linkat(AT_FDCWD, "l", AT_FDCWD, "hard-link-to-link", 0));
	SHOW(linkat(AT_FDCWD, "l", AT_FDCWD, "hard-link-to-file", AT_SYMLINK_FOLLOW));
	SHOW(linkat(AT_FDCWD, "l", AT_FDCWD, "x", 1));
	SHOW(chmod("dangling", 0600));
	SHOW(unlink("here/"));
	SHOW(unlink("here"));
	SHOW(unlink("."));
	for (int i = 0; i < 45; i++) {
		snprintf(name, sizeof(name), i ? "chain%d" : "g", i - 1);
		snprintf(text, sizeof(text), "chain%d", i);
		symlink(name, text);
	}
	SHOW(access("chain39", R_OK));
	SHOW(access("chain40", R_OK));
	return 0;
}
