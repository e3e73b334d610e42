/* SPDX-License-Identifier: Apache-2.0 */
/* abi-as: root */
/* abi-timeout: 90 */
/* Who may change what: owners, groups, sticky directories, permission bits, set-id bits. */
#include "check.h"
#include <grp.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <utime.h>

enum { OWNER = 1001, OTHER = 1002, THIRD = 1003, GROUP = 2001, SECOND = 2002, FOREIGN = 2003 };

static void as(uid_t uid, gid_t gid, int extra)
{
	gid_t groups[1] = { extra };

	seteuid(0);
	setegid(0);
	setgroups(extra ? 1 : 0, groups);
	setegid(gid);
	seteuid(uid);
}

static void root(void)
{
	as(0, 0, 0);
}

static void answer(const char *what, long result)
{
	printf(" %s=%s", what, result < 0 ? strerrorname_np(errno) : "ok");
}

static void show(const char *name)
{
	struct stat st = { 0 };

	lstat(name, &st);
	printf(" [%o %d:%d]", st.st_mode, st.st_uid, st.st_gid);
}

static void make(const char *name, mode_t type, mode_t mode, uid_t uid, gid_t gid)
{
	root();
	if (unlink(name) < 0)
		rmdir(name);
	if (S_ISDIR(type))
		mkdir(name, 0700);
	else if (S_ISLNK(type))
		symlink("nowhere", name);
	else
		mknod(name, type | 0600, makedev(1, 3));
	lchown(name, uid, gid);
	if (!S_ISLNK(type))
		chmod(name, mode);
}

static const mode_t types[] = { S_IFREG, S_IFDIR, S_IFIFO, S_IFCHR, S_IFSOCK, S_IFLNK };

/* What chown does to set-id bits, and who may. */
static void chowns(void)
{
	static const mode_t modes[] = { 06777, 06770, 06707, 02740, 04711, 02705, 0644, 07000, 02010 };
	static const struct { uid_t uid; gid_t gid; } to[] = {
		{ -1, -1 }, { OWNER, -1 }, { -1, GROUP }, { OWNER, GROUP }, { -1, SECOND },
		{ OWNER, SECOND }, { -1, FOREIGN }, { OWNER, FOREIGN }, { OTHER, -1 }, { OTHER, GROUP },
		{ 0, 0 },
	};
	static const uid_t who[] = { 0, OWNER, OTHER };

	for (int t = 0; t < 6; t++)
		for (int m = 0; m < (t < 2 ? 9 : 1); m++)
			for (int w = 0; w < 3; w++) {
				printf("chown type %o mode %o by %d:", types[t], modes[m], who[w]);
				for (int i = 0; i < 11; i++) {
					make("f", types[t], modes[m], OWNER, GROUP);
					as(who[w], who[w] ? GROUP : 0, SECOND);
					answer("", lchown("f", to[i].uid, to[i].gid));
					show("f");
				}
				printf("\n");
			}
}

static void chmods(void)
{
	static const mode_t to[] = { 0, 0111, 0777, 01777, 02777, 04777, 07777, 02010, 02000 };
	static const struct { uid_t uid; gid_t gid; int extra; } who[] = {
		{ 0, 0, 0 }, { OWNER, GROUP, 0 }, { OWNER, FOREIGN, 0 }, { OWNER, FOREIGN, GROUP },
		{ OTHER, GROUP, 0 },
	};

	for (int t = 0; t < 5; t++)
		for (int w = 0; w < 5; w++) {
			printf("chmod type %o by %d:%d:", types[t], who[w].uid, who[w].gid);
			for (int i = 0; i < 9; i++) {
				make("f", types[t], 0640, OWNER, GROUP);
				as(who[w].uid, who[w].gid, who[w].extra);
				answer("", chmod("f", to[i]));
				show("f");
			}
			printf("\n");
		}
}

/* Set-id bits go when contents change. */
static void writes(void)
{
	static const mode_t modes[] = { 06777, 06767, 02777, 02767, 04744, 01777 };

	for (int w = 0; w < 2; w++)
		for (int m = 0; m < 6; m++) {
			printf("write mode %o by %s:", modes[m], w ? "other" : "root");
			for (int how = 0; how < 7; how++) {
				int fd;

				make("f", S_IFREG, 0644, OWNER, GROUP);
				truncate("f", 5000);
				chmod("f", modes[m] | 0666);
				if (w)
					as(OTHER, FOREIGN, 0);
				fd = open("f", O_RDWR | (how == 3 ? O_TRUNC : 0));
				if (how == 0)
					answer("write", write(fd, "x", 1));
				if (how == 1)
					answer("empty", write(fd, "", 0));
				if (how == 2)
					answer("ftruncate", ftruncate(fd, 10));
				if (how == 3)
					answer("O_TRUNC", fd);
				if (how == 4)
					answer("truncate", truncate("f", 5000));
				if (how == 5)
					answer("fallocate", fallocate(fd, 0, 0, 6000));
				if (how == 6)
					answer("utime", utime("f", NULL));
				close(fd);
				show("f");
			}
			printf("\n");
		}
}

/* Each permission bit, for each kind of user and operation. */
static void bits(void)
{
	static const struct { uid_t uid; gid_t gid; int extra; } who[] = {
		{ 0, 0, 0 }, { OWNER, FOREIGN, 0 }, { OTHER, GROUP, 0 }, { OTHER, FOREIGN, GROUP },
		{ OTHER, FOREIGN, 0 },
	};
	struct stat st;

	for (int w = 0; w < 5; w++)
		for (mode_t mode = 0; mode <= 0777; mode = mode ? mode << 1 : 1) {
			printf("by %d %d:%d mode %03o:", who[w].uid, who[w].gid, who[w].extra, mode);
			make("f", S_IFREG, mode, OWNER, GROUP);
			make("p", S_IFIFO, mode, OWNER, GROUP);
			chmod("d", 0777);
			make("d/in", S_IFREG, 0666, OTHER, GROUP);
			make("d/in2", S_IFREG, 0666, OTHER, GROUP);
			unlink("d/new");
			make("d/sub", S_IFDIR, 0777, OTHER, GROUP);
			chmod("d", mode);
			as(who[w].uid, who[w].gid, who[w].extra);
			answer("r", open("f", O_RDONLY));
			answer("w", open("f", O_WRONLY));
			answer("rw", open("f", O_RDWR));
			answer("t", open("f", O_RDONLY | O_TRUNC));
			answer("truncate", truncate("f", 0));
			answer("fifo", open("p", O_RDONLY | O_NONBLOCK));
			answer("noatime", open("f", O_RDONLY | O_NOATIME));
			answer("exec", faccessat(AT_FDCWD, "f", X_OK, AT_EACCESS));
			answer("utime", utime("f", NULL));
			answer("setxattr", setxattr("f", "user.x", "y", 1, 0));
			answer("getxattr", getxattr("f", "user.x", NULL, 0));
			answer("opendir", open("d", O_RDONLY | O_DIRECTORY));
			answer("chdir", chdir("d"));
			chdir("..");
			answer("stat", stat("d/in", &st));
			answer("statdot", stat("d/.", &st));
			answer("missing", stat("d/missing", &st));
			answer("creat", open("d/in", O_CREAT | O_WRONLY, 0644));
			answer("excl", open("d/in", O_CREAT | O_EXCL | O_WRONLY, 0644));
			answer("new", open("d/new", O_CREAT | O_WRONLY, 0644));
			answer("mkdir", mkdir("d/in", 0755));
			answer("rename", rename("d/in", "d/in3"));
			rename("d/in3", "d/in");
			answer("over", rename("d/in", "d/in2"));
			answer("link", link("d/in2", "d/in"));
			answer("rmdir", rmdir("d/sub"));
			answer("rmdirx", rmdir("d/missing"));
			answer("unlink", unlink("d/in2"));
			answer("symlink", symlink("x", "d/new2"));
			unlink("d/new2");
			answer("tmpfile", open("d", O_TMPFILE | O_RDWR, 0644));
			printf("\n");
			root();
			closefrom(3);
		}
	chmod("d", 0777);
}

static void sticky(void)
{
	static const uid_t ids[] = { 0, OWNER, OTHER, THIRD };

	root();
	mkdir("s", 0777);
	mkdir("t", 0777);
	chmod("t", 0777);
	for (int t = 0; t < 6; t++)
		for (int dir = 1; dir < 4; dir++)
			for (int file = 1; file < 4; file++) {
				printf("sticky type %o dir %d file %d:", types[t], ids[dir], ids[file]);
				chown("s", ids[dir], GROUP);
				chmod("s", 01777);
				make("s/f", types[t], 0777, ids[file], GROUP);
				make("s/g", types[t], 0777, ids[file], GROUP);
				as(OWNER, GROUP, 0);
				answer("unlink", S_ISDIR(types[t]) ? rmdir("s/f") : unlink("s/f"));
				make("s/f", types[t], 0777, ids[file], GROUP);
				as(OWNER, GROUP, 0);
				answer("rename", rename("s/f", "s/h"));
				root();
				rename("s/h", "s/f");
				as(OWNER, GROUP, 0);
				answer("out", rename("s/f", "t/f"));
				root();
				rename("t/f", "s/f");
				make("t/f", types[t], 0777, OWNER, GROUP);
				as(OWNER, GROUP, 0);
				answer("over", rename("t/f", "s/f"));
				make("t/f", types[t], 0777, OWNER, GROUP);
				make("s/f", types[t], 0777, ids[file], GROUP);
				as(OWNER, GROUP, 0);
				answer("exchange", renameat2(AT_FDCWD, "t/f", AT_FDCWD, "s/f",
							     RENAME_EXCHANGE));
				answer("new", mknod("s/n", S_IFREG | 0600, 0));
				root();
				unlink("s/n");
				if (unlink("t/f"))
					rmdir("t/f");
				printf("\n");
			}
}

/* Moving a directory changes its "..", for which it must be writable. */
static void moving(void)
{
	root();
	for (mode_t mode = 0; mode <= 0777; mode = mode ? mode << 1 : 1) {
		make("m", S_IFDIR, mode, OWNER, GROUP);
		as(OWNER, GROUP, 0);
		printf("move %03o:", mode);
		answer("same", rename("m", "n"));
		rename("n", "m");
		answer("other", rename("m", "t/m"));
		root();
		rename("t/m", "m");
		printf("\n");
	}
}

static void inherits(void)
{
	root();
	for (mode_t mode = 0777; mode <= 03777; mode += 01000) {
		make("i", S_IFDIR, mode, OTHER, FOREIGN);
		as(OWNER, GROUP, 0);
		printf("in %o:", mode);
		mkdir("i/d", 0755);
		mkdir("i/d/d", 0755);
		close(open("i/f", O_CREAT | O_WRONLY, 0644));
		symlink("x", "i/l");
		mkfifo("i/p", 0644);
		show("i/d");
		show("i/d/d");
		show("i/f");
		show("i/l");
		show("i/p");
		printf("\n");
		root();
		rmdir("i/d/d");
		rmdir("i/d");
		unlink("i/f");
		unlink("i/l");
		unlink("i/p");
	}
}

static void stamps(void)
{
	static const uid_t who[] = { 0, OWNER, OTHER };
	static const mode_t modes[] = { 0644, 0666, 0000 };
	struct timespec times[][2] = {
		{ { 1, 2 }, { 3, 4 } }, { { 0, UTIME_NOW }, { 0, UTIME_NOW } },
		{ { 0, UTIME_OMIT }, { 0, UTIME_OMIT } }, { { 0, UTIME_NOW }, { 0, UTIME_OMIT } },
		{ { 0, UTIME_OMIT }, { 7, 7 } }, { { 0, -1 }, { 0, 0 } }, { { -5, 0 }, { 1LL << 33, 0 } },
	};

	for (int m = 0; m < 3; m++)
		for (int w = 0; w < 3; w++) {
			printf("times %03o by %d:", modes[m], who[w]);
			make("f", S_IFREG, modes[m], OWNER, GROUP);
			as(who[w], who[w] ? FOREIGN : 0, 0);
			for (int i = 0; i < 7; i++) {
				answer("", utimensat(AT_FDCWD, "f", times[i], 0));
				answer("", utimensat(AT_FDCWD, "f", times[i], AT_SYMLINK_NOFOLLOW));
			}
			answer("null", utimensat(AT_FDCWD, "f", NULL, 0));
			answer("utime", utime("f", &(struct utimbuf){ 1, 2 }));
			printf("\n");
		}
}

int main(void)
{
	umask(0);
	chmod(".", 0777);
	mkdir("d", 0777);
	chown("d", OWNER, GROUP);
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	chowns();
	chmods();
	writes();
	bits();
	sticky();
	moving();
	inherits();
	stamps();
	root();
	return 0;
}
