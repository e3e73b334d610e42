/* SPDX-License-Identifier: Apache-2.0 */
/* rename(2) and renameat2 with flags. */
#include "check.h"

#define RENAME2(old, new, flags) syscall(SYS_renameat2, AT_FDCWD, old, AT_FDCWD, new, flags)

int main(void)
{
	struct stat before, after;

	put("a", "a");
	put("b", "b");
	mkdir("d", 0755);
	mkdir("e", 0755);
	mkdir("full", 0755);
	put("full/x", "x");
	stat("a", &before);
	SHOW(rename("a", "c"));
	stat("c", &after);
	IS(before.st_ino == after.st_ino);
	SHOW(rename("c", "b"));
	SHOW(access("c", F_OK));
	SHOW(rename("missing", "b"));
	SHOW(rename("b", "missing/b"));
	SHOW(rename("b", "d"));
	SHOW(rename("d", "b"));
	SHOW(rename("d", "e"));
	SHOW(rename("e", "full"));
	SHOW(rename("full", "full/inside"));
	SHOW(rename("full/x", "full"));
	SHOW(rename("full", "e/"));
	SHOW(rename("b", "new/"));
	SHOW(rename("e", "moved/"));
	SHOW(rename("moved/.", "x"));
	SHOW(rename("moved", "."));
	SHOW(rename("moved/..", "x"));
	SHOW(rename("b", "b"));
	link("b", "hard");
	SHOW(rename("b", "hard"));
	SHOW(access("b", F_OK));
	symlink("b", "sym");
	SHOW(rename("sym", "sym2"));
	SHOW(RENAME2("b", "hard", RENAME_NOREPLACE));
	SHOW(RENAME2("b", "fresh", RENAME_NOREPLACE));
	put("other", "other");
	SHOW(RENAME2("other", "moved", RENAME_EXCHANGE));
	SHOW(RENAME2("other", "missing", RENAME_EXCHANGE));
	SHOW(RENAME2("other", "x", RENAME_EXCHANGE | RENAME_NOREPLACE));
	SHOW(RENAME2("other", "x", 0x40));
	mkdir("p", 0755);
	mkdir("p/q", 0755);
	SHOW(rename("p/q", "q"));
	SHOW(rename("q", "p/q2"));
	return 0;
}
