/* SPDX-License-Identifier: Apache-2.0 */
/* Directories: making, removing, listing, changing into them. */
#include "check.h"
#include <dirent.h>

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list(const char *path)
{
	char *names[256];
	int count = 0;
	DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir && count < 256 && (entry = readdir(dir)))
		asprintf(&names[count++], "%s(%d)", entry->d_name, entry->d_type);
	qsort(names, count, sizeof(*names), by_name);
	say("%s:", path);
	for (int i = 0; i < count; i++)
		say(" %s", names[i]);
	say("\n");
	if (dir)
		closedir(dir);
}

int main(void)
{
	char cwd[4096], top[4096], name[32];
	struct stat st;
	int fd, n = 0;

	umask(027);
	getcwd(top, sizeof(top));
	SHOW(mkdir("a", 0777));
	SHOW(mkdir("a", 0777));
	SHOW(mkdir("a/b/c", 0777));
	SHOW(mkdir("a/b", 0700));
	SHOW(mkdir("a/b/", 0700));
	SHOW(mkdir("a/c/", 01777));
	SHOW(mkdir("", 0777));
	SHOW(mkdir(".", 0777));
	put("a/f", "x");
	SHOW(mkdir("a/f", 0777));
	SHOW(mkdir("a/f/g", 0777));
	SHOW(symlink("b", "a/l"));
	list("a");
	SHOW(stat("a", &st));
	say("mode %o\n", st.st_mode);
	SHOW(rmdir("a"));
	SHOW(rmdir("a/f"));
	SHOW(rmdir("a/l"));
	SHOW(rmdir("a/b/."));
	SHOW(rmdir("a/b/.."));
	SHOW(rmdir("missing"));
	SHOW(unlink("a/b"));
	SHOW(rmdir("a/b"));
	SHOW(unlinkat(AT_FDCWD, "a/c", AT_REMOVEDIR));
	SHOW(unlinkat(AT_FDCWD, "a/f", AT_REMOVEDIR));
	SHOW(unlinkat(AT_FDCWD, "a/f", 0x4000));
	SHOW(chdir("a"));
	SHOW(strcmp(getcwd(cwd, sizeof(cwd)) + strlen(top), "/a"));
	SHOW(syscall(SYS_getcwd, cwd, 3));
	SHOW(chdir("f"));
	SHOW(chdir("nowhere"));
	fd = SHOW(open("..", O_RDONLY | O_DIRECTORY));
	SHOW(fchdir(fd));
	SHOW(strcmp(getcwd(cwd, sizeof(cwd)), top));
	SHOW(fchdir(0));
	SHOW(mkdir("gone", 0777));
	SHOW(chdir("gone"));
	SHOW(rmdir("../gone"));
	SHOW(syscall(SYS_getcwd, cwd, sizeof(cwd)));
	SHOW(mkdir("x", 0777));
	SHOW(open("x", O_CREAT | O_RDWR, 0644));
	list(".");
	SHOW(chdir(".."));
	SHOW(fchdir(fd));
	SHOW(mkdir("many", 0777));
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "many/file-%03d", i);
		close(creat(name, 0600));
	}
	DIR *dir = opendir("many");
	long middle = 0;
	struct dirent *entry;
	while ((entry = readdir(dir)))
		if (++n == 150)
			middle = telldir(dir);
	say("%d entries\n", n);
	seekdir(dir, middle);
	for (n = 0; readdir(dir); n++)
		;
	say("%d after the middle\n", n);
	rewinddir(dir);
	for (n = 0; readdir(dir); n++)
		;
	say("%d again\n", n);
	closedir(dir);
	SHOW(syscall(SYS_getdents64, fd, cwd, 1));
	SHOW(syscall(SYS_getdents64, 0, cwd, 1000));
	return 0;
}
