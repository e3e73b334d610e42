/* SPDX-License-Identifier: Apache-2.0 */
/* inotify(7): what is told of which change, in which order. */
#include "check.h"
#include <dirent.h>
#include <sys/inotify.h>
#include <sys/xattr.h>

static int fd;
static uint32_t cookies[16];

static int number(uint32_t cookie)
{
	for (int i = 0; i < 16; i++) {
		if (!cookies[i])
			cookies[i] = cookie;
		if (cookies[i] == cookie)
			return i + 1;
	}
	return 0;
}

static void events(const char *title)
{
	static const struct { uint32_t bit; const char *name; } names[] = {
		{ IN_ACCESS, "ACCESS" }, { IN_MODIFY, "MODIFY" }, { IN_ATTRIB, "ATTRIB" },
		{ IN_CLOSE_WRITE, "CLOSE_WRITE" }, { IN_CLOSE_NOWRITE, "CLOSE_NOWRITE" },
		{ IN_OPEN, "OPEN" }, { IN_MOVED_FROM, "MOVED_FROM" }, { IN_MOVED_TO, "MOVED_TO" },
		{ IN_CREATE, "CREATE" }, { IN_DELETE, "DELETE" }, { IN_DELETE_SELF, "DELETE_SELF" },
		{ IN_MOVE_SELF, "MOVE_SELF" }, { IN_UNMOUNT, "UNMOUNT" },
		{ IN_Q_OVERFLOW, "Q_OVERFLOW" }, { IN_IGNORED, "IGNORED" }, { IN_ISDIR, "ISDIR" },
	};
	static char buffer[65536];
	ssize_t n;

	say("-- %s\n", title);
	while ((n = read(fd, buffer, sizeof(buffer))) > 0)
		for (char *p = buffer; p < buffer + n;) {
			struct inotify_event *e = (struct inotify_event *)p;

			say("%d:", e->wd);
			for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++)
				if (e->mask & names[i].bit)
					say(" %s", names[i].name);
			if (e->cookie)
				say(" cookie %d", number(e->cookie));
			if (e->len)
				say(" %s (%u)", e->name, e->len);
			say("\n");
			p += sizeof(*e) + e->len;
		}
}

static void dir_events(void)
{
	char byte;
	int f;

	SHOW(inotify_add_watch(fd, "d", IN_ALL_EVENTS));
	f = open("d/file", O_RDWR | O_CREAT, 0644);
	write(f, "hello", 5);
	write(f, "again", 5);
	pread(f, &byte, 1, 0);
	write(f, "", 0);
	fchmod(f, 0600);
	ftruncate(f, 2);
	close(f);
	events("a file is made and written");
	close(open("d/file", O_RDONLY));
	close(open("d/file", O_WRONLY | O_TRUNC));
	close(open("d/none", O_RDONLY));
	close(open("d/file", O_PATH));
	stat("d/file", &(struct stat){ 0 });
	events("opens");
	mkdir("d/sub", 0755);
	symlink("file", "d/sym");
	link("d/file", "d/hard");
	mknod("d/fifo", S_IFIFO | 0644, 0);
	events("other kinds");
	closedir(opendir("d"));
	DIR *dir = opendir("d");
	while (readdir(dir))
		;
	closedir(dir);
	events("listing");
	rename("d/file", "d/renamed");
	rename("d/renamed", "outside");
	rename("outside", "d/file");
	rename("d/sub", "d/sub2");
	renameat2(AT_FDCWD, "d/hard", AT_FDCWD, "d/sub2", RENAME_EXCHANGE);
	renameat2(AT_FDCWD, "d/hard", AT_FDCWD, "d/sub2", RENAME_EXCHANGE);
	rename("d/sym", "d/fifo");
	events("renames");
	chmod("d/file", 0644);
	utimensat(AT_FDCWD, "d/file", NULL, 0);
	utimensat(AT_FDCWD, "d/file", (struct timespec[]){ { 1, 0 }, { 0, UTIME_OMIT } }, 0);
	utimensat(AT_FDCWD, "d/file", (struct timespec[]){ { 0, UTIME_OMIT }, { 1, 0 } }, 0);
	setxattr("d/file", "user.x", "y", 1, 0);
	removexattr("d/file", "user.x");
	truncate("d/file", 100);
	chmod("d", 0700);
	events("attributes");
	unlink("d/fifo");
	rmdir("d/sub2");
	unlink("d/hard");
	unlink("d/file");
	events("removal");
}

static void file_events(void)
{
	int w, f;

	put("d/f", "x");
	w = SHOW(inotify_add_watch(fd, "d/f", IN_ALL_EVENTS));
	f = open("d/f", O_RDWR);
	write(f, "1", 1);
	close(f);
	events("a file and its directory");
	link("d/f", "d/g");
	rename("d/f", "d/h");
	unlink("d/g");
	events("names");
	f = open("d/h", O_RDWR);
	unlink("d/h");
	events("removed while open");
	write(f, "2", 1);
	close(f);
	events("closed");
	SHOW(inotify_rm_watch(fd, w));
	mkdir("d/s", 0755);
	SHOW(inotify_add_watch(fd, "d/s", IN_ALL_EVENTS));
	put("d/s/x", "y");
	rename("d/s/x", "d/y");
	rename("d/s", "d/t");
	rmdir("d/t");
	unlink("d/y");
	events("a directory in a directory");
	put("d/a", "x");
	put("d/b", "x");
	SHOW(inotify_add_watch(fd, "d/b", IN_ALL_EVENTS));
	rename("d/a", "d/b");
	events("renamed over");
	unlink("d/b");
	events("end");
}

static void flags(void)
{
	int w, f, other;

	put("d/f", "x");
	SHOW(inotify_add_watch(fd, "d", 0));
	SHOW(inotify_add_watch(fd, "d", IN_MASK_ADD | IN_MASK_CREATE | IN_OPEN));
	SHOW(inotify_add_watch(fd, "d", IN_MASK_CREATE | IN_OPEN));
	SHOW(inotify_add_watch(fd, "d/f", IN_ONLYDIR | IN_OPEN));
	SHOW(inotify_add_watch(fd, "d/none", IN_OPEN));
	SHOW(inotify_add_watch(0, "d", IN_OPEN));
	SHOW(inotify_add_watch(-1, "d", IN_OPEN));
	SHOW(inotify_add_watch(fd, (void *)8, IN_OPEN));
	SHOW(inotify_rm_watch(fd, 77));
	SHOW(inotify_rm_watch(0, 1));
	SHOW(inotify_init1(77));
	SHOW(inotify_add_watch(fd, "d", IN_CREATE));
	close(open("d/f", O_RDONLY));
	put("d/g", "x");
	SHOW(inotify_add_watch(fd, "d", IN_OPEN | IN_MASK_ADD));
	close(open("d/f", O_RDONLY));
	put("d/h", "x");
	events("masks");
	w = SHOW(inotify_add_watch(fd, "d/f", IN_OPEN | IN_ONESHOT));
	close(open("d/f", O_RDONLY));
	close(open("d/f", O_RDONLY));
	events("once");
	SHOW(inotify_rm_watch(fd, w));
	SHOW(inotify_add_watch(fd, "d", IN_MODIFY | IN_EXCL_UNLINK));
	f = open("d/g", O_WRONLY);
	write(f, "1", 1);
	unlink("d/g");
	write(f, "2", 1);
	close(f);
	events("not of what is unlinked");
	symlink("f", "d/link");
	w = SHOW(inotify_add_watch(fd, "d/link", IN_DONT_FOLLOW | IN_ATTRIB | IN_DELETE_SELF));
	lchown("d/link", getuid(), getgid());
	unlink("d/link");
	events("a link itself");
	other = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	say("%d %#x\n", fcntl(other, F_GETFD), fcntl(other, F_GETFL));
	SHOW(inotify_add_watch(other, "d", IN_OPEN));
	close(other);
}

static void queue(void)
{
	struct pollfd p = { fd, POLLIN };
	char small[16];
	int bytes = -1, w;
	pid_t pid;

	w = inotify_add_watch(fd, "d", IN_OPEN | IN_CLOSE);
	SHOW(poll(&p, 1, 0));
	SHOW(read(fd, small, 16));
	for (int i = 0; i < 3; i++)
		close(open("d/f", O_RDONLY));
	SHOW(poll(&p, 1, 0));
	SHOW(ioctl(fd, FIONREAD, &bytes));
	say("%d\n", bytes);
	SHOW(read(fd, small, 16));
	SHOW(write(fd, small, 1));
	SHOW(lseek(fd, 0, SEEK_SET));
	events("alternating");
	inotify_add_watch(fd, "d", IN_OPEN);
	for (int i = 0; i < 3; i++)
		close(open("d/f", O_RDONLY));
	events("merged");
	fcntl(fd, F_SETFL, 0);
	pid = fork();
	if (pid == 0) {
		usleep(20000);
		close(open("d/f", O_RDONLY));
		_exit(0);
	}
	SHOW(read(fd, (char[100]){ 0 }, 100));
	waitpid(pid, NULL, 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	inotify_rm_watch(fd, w);
	events("removed");
}

int main(void)
{
	SHOW(inotify_add_watch(0, "d", IN_OPEN));
	mkdir("d", 0755);
	fd = inotify_init1(IN_NONBLOCK);
	dir_events();
	file_events();
	flags();
	queue();
	return 0;
}
