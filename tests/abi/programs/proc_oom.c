/* SPDX-License-Identifier: Apache-2.0 */
/* abi-as: root */
/* oom_score_adj and oom_adj: values, errors, inheritance, and who may lower them. */
#include "check.h"
#include <linux/capability.h>

/* Tests may run as a root that hasn't got it. */
static void drop_sys_resource(void)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2];

	syscall(SYS_capget, &head, data);
	data[0].effective &= ~(1U << CAP_SYS_RESOURCE);
	data[0].permitted &= ~(1U << CAP_SYS_RESOURCE);
	syscall(SYS_capset, &head, data);
}

static void set(const char *name, const char *value)
{
	char path[100];
	int fd;
	ssize_t done;

	snprintf(path, sizeof path, "/proc/self/%s", name);
	fd = open(path, O_WRONLY);
	done = write(fd, value, strlen(value));
	say("%s = '%s': %s\n", name, value, done < 0 ? strerrorname_np(errno) : "ok");
	close(fd);
}

static void get(const char *name)
{
	char path[100], text[100] = "";
	int fd;

	snprintf(path, sizeof path, "/proc/self/%s", name);
	fd = open(path, O_RDONLY);
	read(fd, text, 99);
	close(fd);
	say("%s: %s", name, text);
}

static void both(void)
{
	get("oom_score_adj");
	get("oom_adj");
}

static void unprivileged(void)
{
	get("oom_score_adj");
	/* Not dumpable, the files would be root's. */
	if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
		say("setuid\n");
	SHOW(open("/proc/self/oom_score_adj", O_WRONLY) >= 0);
}

static void lowering(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY), i;
	const char *values[] = {"300", "200", "150", "100", "99", "50", "-1", "500"};

	if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
		say("setuid\n");
	for (i = 0; i < 8; i++)
		say("%s: %s\n", values[i],
		    pwrite(fd, values[i], strlen(values[i]), 0) < 0 ? strerrorname_np(errno) : "ok");
	both();
}

int main(void)
{
	const char *values[] = {"0", "500", "-500", "1000", "1000\n", "-1000", "1001", "-1001", "x",
				"", "5x", " 7", "0x10", "010", "1 2", "9999999999999"};
	const char *old[] = {"0", "15", "-17", "-16", "16", "-18", "8", "1", "-1", "x"};
	size_t i;

	drop_sys_resource();
	both();
	for (i = 0; i < sizeof values / sizeof *values; i++) {
		set("oom_score_adj", values[i]);
		both();
	}
	for (i = 0; i < sizeof old / sizeof *old; i++) {
		set("oom_adj", old[i]);
		both();
	}
	set("oom_score_adj", "100");
	in_child("unprivileged", unprivileged);
	in_child("lowering", lowering);
	set("oom_score_adj", "1000");
	get("oom_score_adj");
	set("oom_score", "1");
	return 0;
}
