/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints what lies under a directory, one line a file in order of names: type and mode, links,
 * size (of files), a hash of the contents or the target of a link, and the name.
 */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void show_name(const char *name)
{
	for (; *name; name++)
		if (*name > ' ' && *name < 127 && *name != '%')
			putchar(*name);
		else
			printf("%%%02x", (unsigned char)*name);
}

static uint64_t hash(int dir, const char *name)
{
	static unsigned char buf[65536];
	uint64_t h = 0xcbf29ce484222325u;
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
	ssize_t n;

	while (fd >= 0 && (n = read(fd, buf, sizeof(buf))) > 0)
		for (ssize_t i = 0; i < n; i++)
			h = (h ^ buf[i]) * 0x100000001b3u;
	if (fd >= 0)
		close(fd);
	return h;
}

static void list(int dir, const char *path);

static void show(int dir, const char *path, const char *name)
{
	char full[4096], target[4096];
	struct stat st;

	snprintf(full, sizeof(full), "%s/%s", path, name);
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW)) {
		printf("? %s\n", full);
		return;
	}
	printf("%06o %lu ", st.st_mode, (unsigned long)(S_ISDIR(st.st_mode) ? 0 : st.st_nlink));
	if (S_ISREG(st.st_mode)) {
		printf("%jd %016" PRIx64 " ", (intmax_t)st.st_size, hash(dir, name));
	} else if (S_ISLNK(st.st_mode)) {
		ssize_t n = readlinkat(dir, name, target, sizeof(target) - 1);

		target[n < 0 ? 0 : n] = 0;
		printf("-> ");
		show_name(target);
		putchar(' ');
	}
	show_name(full);
	putchar('\n');
	if (S_ISDIR(st.st_mode)) {
		int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);

		if (fd >= 0)
			list(fd, full);
	}
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list(int dir, const char *path)
{
	DIR *stream = fdopendir(dir);
	size_t count = 0, room = 0;
	char **names = NULL;
	struct dirent *entry;

	while (stream && (entry = readdir(stream))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (count == room)
			names = realloc(names, (room = room * 2 + 16) * sizeof(*names));
		names[count++] = strdup(entry->d_name);
	}
	if (count)
		qsort(names, count, sizeof(*names), by_name);
	for (size_t i = 0; i < count; i++)
		show(dir, path, names[i]);
	closedir(stream);
}

int main(int argc, char **argv)
{
	int fd = open(argc > 1 ? argv[1] : ".", O_RDONLY | O_DIRECTORY);

	if (fd < 0) {
		perror("lister");
		return 1;
	}
	list(fd, ".");
	return 0;
}
