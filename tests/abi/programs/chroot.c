/* SPDX-License-Identifier: Apache-2.0 */
/* chroot(2): the new root has no way up. */
/* abi-as: root */
#include "check.h"

int main(void)
{
	struct stat root, up;
	char cwd[4096];
	int outside;

	mkdir("jail", 0755);
	mkdir("jail/inside", 0755);
	put("outside", "x");
	put("jail/file", "in jail");
	symlink("/file", "jail/absolute");
	symlink("../../../../outside", "jail/inside/escape");
	outside = open(".", O_RDONLY);
	SHOW(chroot("missing"));
	SHOW(chroot("outside"));
	SHOW(chroot("jail"));
	SHOW(chdir("/"));
	say("%s\n", getcwd(cwd, sizeof(cwd)));
	stat("/", &root);
	stat("/../..", &up);
	IS(root.st_ino == up.st_ino);
	SHOW(access("/file", F_OK));
	SHOW(access("/absolute", F_OK));
	SHOW(access("/inside/escape", F_OK));
	SHOW(access("/outside", F_OK));
	SHOW(access("/bin/sh", F_OK));
	SHOW(execl("/bin/sh", "sh", NULL));
	SHOW(fchdir(outside));
	SHOW(access("outside", F_OK));
	SHOW(syscall(SYS_getcwd, cwd, sizeof(cwd)) > 0);
	say("%.13s\n", cwd);
	SHOW(chdir("/inside"));
	say("%s\n", getcwd(cwd, sizeof(cwd)));
	return 0;
}
