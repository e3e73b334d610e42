/* SPDX-License-Identifier: Apache-2.0 */
/* What the programs about mounts share. They never touch the mounts of whoever runs them. */
#ifndef MOUNTS_H
#define MOUNTS_H

#include "check.h"
#include <limits.h>
#include <sys/mount.h>

static char top[PATH_MAX];
static int groups[64];

/* A mount namespace of our own in which nothing is shared with the old one. */
static inline void own_mounts(void)
{
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		say("no mount namespace: %s\n", strerrorname_np(errno));
		exit(1);
	}
	getcwd(top, sizeof(top));
	mkdir("m", 0755);
	if (mount("none", "m", "tmpfs", 0, NULL) < 0 || chdir("m") < 0)
		exit(1);
	strcat(top, "/m");
}

/* Peer groups are numbered in the order in which they are first seen. */
static inline int number(int id)
{
	for (int i = 0; i < 64; i++) {
		if (!groups[i])
			groups[i] = id;
		if (groups[i] == id)
			return i + 1;
	}
	return -1;
}

static inline int by_place(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* What mountinfo has below the scratch mount: place, root, options, tags, type. */
static inline void show_mounts(const char *title)
{
	FILE *f = fopen("/proc/self/mountinfo", "r");
	char line[2048], *lines[256];
	int n = 0;

	say("-- %s\n", title);
	while (fgets(line, sizeof(line), f)) {
		char root[512], place[512], options[512], text[2048], *p, *word, *save;
		int skip;

		if (sscanf(line, "%*d %*d %*s %511s %511s %511s%n", root, place, options, &skip) != 3)
			continue;
		if (strncmp(place, top, strlen(top)))
			continue;
		sprintf(text, ".%s of %s %s", place + strlen(top), root, options);
		p = line + skip;
		for (word = strtok_r(p, " \n", &save); word && strcmp(word, "-");
		     word = strtok_r(NULL, " \n", &save)) {
			char *colon = strchr(word, ':');

			if (colon)
				sprintf(text + strlen(text), " %.*s:%d", (int)(colon - word), word,
					number(atoi(colon + 1)));
			else
				sprintf(text + strlen(text), " %s", word);
		}
		word = strtok_r(NULL, " \n", &save);
		sprintf(text + strlen(text), " %s", word);
		if (n < 256)
			lines[n++] = strdup(text);
	}
	fclose(f);
	qsort(lines, n, sizeof(*lines), by_place);
	for (int i = 0; i < n; i++)
		say("%s\n", lines[i]);
}

static inline int bind(const char *from, const char *to)
{
	return mount(from, to, NULL, MS_BIND, NULL);
}

static inline int type(const char *place, unsigned long flags)
{
	return mount(NULL, place, NULL, flags, NULL);
}

static inline int tmpfs(const char *place)
{
	return mount("none", place, "tmpfs", 0, NULL);
}

/* Run a function in a child that has a mount namespace of its own. */
static inline void in_namespace(const char *what, void (*function)(void))
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		if (unshare(CLONE_NEWNS) < 0)
			_exit(99);
		function();
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	say("%s: %#x\n", what, status);
}

#endif
