/* SPDX-License-Identifier: Apache-2.0 */
/* PR_SET_MM: what a process shows of its memory. */
#include "check.h"
#include <linux/prctl.h>
#include <sys/prctl.h>

#define P(...) SHOW(prctl(__VA_ARGS__))

static unsigned long field(int number)
{
	FILE *stat = fopen("/proc/self/stat", "r");
	char text[1000] = "", *at;

	fread(text, 1, sizeof(text) - 1, stat);
	fclose(stat);
	at = strrchr(text, ')') + 2;
	for (number -= 3; number; number--)
		at = strchr(at, ' ') + 1;
	return strtoul(at, NULL, 10);
}

static void map(void)
{
	unsigned size = 0;
	struct prctl_mm_map map = { 0 };
	static char arguments[] = "other\0arguments";

	arguments[0] = 'O';
	P(PR_SET_MM, PR_SET_MM_MAP_SIZE, &size, 0, 0);
	say("%u %zu\n", size, sizeof(map));
	P(PR_SET_MM, PR_SET_MM_MAP_SIZE, 8, 0, 0);
	P(PR_SET_MM, PR_SET_MM_MAP_SIZE, &size, 0, 1);
	P(PR_SET_MM, PR_SET_MM_BRK, 8, 1, 0);
	map.start_code = field(26);
	map.end_code = field(27);
	map.start_data = field(45);
	map.end_data = field(46);
	map.start_brk = field(47);
	map.brk = (unsigned long)sbrk(0);
	map.start_stack = field(28);
	map.env_start = field(50);
	map.env_end = field(51);
	map.arg_start = (unsigned long)arguments;
	map.arg_end = (unsigned long)arguments + sizeof(arguments);
	map.exe_fd = -1;
	P(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof(map) - 1, 0);
	P(PR_SET_MM, PR_SET_MM_MAP, 8, sizeof(map), 0);
	map.brk = map.start_brk - 1;
	P(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof(map), 0);
	map.brk = -1;
	P(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof(map), 0);
	map.brk = (unsigned long)sbrk(0);
	map.auxv_size = 16;
	P(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof(map), 0);
	map.auxv = (void *)8;
	P(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof(map), 0);
	map.auxv_size = 100000;
	P(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof(map), 0);
	map.auxv_size = 0;
	P(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof(map), 0);
}

static void program(void)
{
	int fd = open("/bin/true", O_RDONLY), dir = open("/", O_RDONLY);

	P(PR_SET_MM, PR_SET_MM_EXE_FILE, 999, 0, 0);
	P(PR_SET_MM, PR_SET_MM_EXE_FILE, dir, 0, 0);
	P(PR_SET_MM, PR_SET_MM_EXE_FILE, fd, 0, 0);
	P(PR_SET_MM, PR_SET_MM_EXE_FILE, fd, 1, 0);
	P(PR_SET_MM, PR_SET_MM_BRK, 8, 0, 0);
	P(PR_SET_MM, 77, 1 << 20, 0, 0);
}

int main(void)
{
	in_child("map", map);
	setuid(4711);
	in_child("program", program);
	return 0;
}
