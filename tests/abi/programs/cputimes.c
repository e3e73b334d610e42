/* SPDX-License-Identifier: Apache-2.0 */
/* abi-timeout: 60 */
/* CPU times and clocks: all that show the same thing agree. */
#include "check.h"
#include <sys/times.h>

static double timeval(struct timeval tv) { return tv.tv_sec + tv.tv_usec / 1e6; }

static double clock_now(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static double usage(int who)
{
	struct rusage usage;

	getrusage(who, &usage);
	return timeval(usage.ru_utime) + timeval(usage.ru_stime);
}

static void spin(double seconds)
{
	double end = clock_now(CLOCK_PROCESS_CPUTIME_ID) + seconds;
	volatile long x = 0;

	while (clock_now(CLOCK_PROCESS_CPUTIME_ID) < end)
		for (int i = 0; i < 100000; i++)
			x += i;
}

/* utime + stime of /proc/PID/stat in seconds. */
static double stat_time(const char *path)
{
	char text[1024], *at;
	unsigned long user, system;
	int fd = open(path, O_RDONLY);
	ssize_t got = read(fd, text, sizeof text - 1);

	close(fd);
	text[got > 0 ? got : 0] = 0;
	at = strrchr(text, ')');
	if (!at || sscanf(at, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
		return -1;
	return (user + system) / (double)sysconf(_SC_CLK_TCK);
}

/* Read both until nothing came between: do they agree? */
#define AGREE(a, b, most)                                                     \
	({                                                                    \
		int agree_ = 0;                                               \
		for (int try_ = 0; try_ < 50 && !agree_; try_++) {            \
			double first_ = (a), second_ = (b);                   \
			agree_ = first_ - second_ <= (most) && second_ - first_ <= (most); \
		}                                                             \
		say("%s is %s: %s\n", #a, #b, agree_ ? "yes" : "NO");         \
	})

static double times_time(int children)
{
	struct tms tms;

	times(&tms);
	return (children ? tms.tms_cutime + tms.tms_cstime : tms.tms_utime + tms.tms_stime) /
	       (double)sysconf(_SC_CLK_TCK);
}

static double schedstat_time(void)
{
	double value = -1;
	FILE *file = fopen("/proc/self/schedstat", "r");

	if (file && fscanf(file, "%lf", &value) == 1)
		value /= 1e9;
	if (file)
		fclose(file);
	return value;
}

static double uptime(void)
{
	double value = -1;
	FILE *file = fopen("/proc/uptime", "r");

	if (file)
		(void)!fscanf(file, "%lf", &value);
	if (file)
		fclose(file);
	return value;
}

static unsigned long line_of(const char *file, const char *name)
{
	char line[512];
	unsigned long value = 0;
	FILE *stream = fopen(file, "r");

	while (stream && fgets(line, sizeof line, stream))
		if (!strncmp(line, name, strlen(name)))
			sscanf(line + strlen(name), "%lu", &value);
	if (stream)
		fclose(stream);
	return value;
}

static void own(void)
{
	spin(0.3);
	AGREE(clock_now(CLOCK_PROCESS_CPUTIME_ID), usage(RUSAGE_SELF), 0.02);
	AGREE(clock_now(CLOCK_PROCESS_CPUTIME_ID), stat_time("/proc/self/stat"), 0.04);
	AGREE(clock_now(CLOCK_PROCESS_CPUTIME_ID), stat_time("/proc/thread-self/stat"), 0.04);
	AGREE(clock_now(CLOCK_PROCESS_CPUTIME_ID), times_time(0), 0.04);
	AGREE(clock_now(CLOCK_PROCESS_CPUTIME_ID), schedstat_time(), 0.04);
	AGREE(clock_now(CLOCK_PROCESS_CPUTIME_ID), clock_now(CLOCK_THREAD_CPUTIME_ID), 0.02);
	AGREE(usage(RUSAGE_THREAD), usage(RUSAGE_SELF), 0.02);
}

static void of_children(void)
{
	struct rusage usage_of;
	double mine, all, reported;
	int status, pipes[2];

	pipe(pipes);
	pid_t pid = fork();
	if (!pid) {
		pid_t inner = fork();

		if (!inner) {
			spin(0.1);
			_exit(0);
		}
		waitpid(inner, NULL, 0);
		spin(0.1);
		mine = usage(RUSAGE_SELF) + usage(RUSAGE_CHILDREN);
		write(pipes[1], &mine, sizeof mine);
		_exit(0);
	}
	wait4(pid, &status, 0, &usage_of);
	read(pipes[0], &reported, sizeof reported);
	all = timeval(usage_of.ru_utime) + timeval(usage_of.ru_stime);
	IS(reported >= 0.19);
	IS(all >= reported - 0.02);
	AGREE(usage(RUSAGE_CHILDREN), all, 0.001);
	AGREE(times_time(1), all, 0.04);
}

static void machine(void)
{
	unsigned long switches = line_of("/proc/stat", "ctxt "), made = line_of("/proc/stat", "processes ");
	struct rusage before, after;

	getrusage(RUSAGE_SELF, &before);
	for (int i = 0; i < 10; i++)
		usleep(1000);
	getrusage(RUSAGE_SELF, &after);
	IS(after.ru_nvcsw - before.ru_nvcsw >= 10);
	for (int i = 0; i < 5; i++) {
		pid_t pid = fork();

		if (!pid)
			_exit(0);
		waitpid(pid, NULL, 0);
	}
	IS(line_of("/proc/stat", "ctxt ") >= switches + 15);
	IS(line_of("/proc/stat", "processes ") >= made + 5);
	IS(line_of("/proc/stat", "procs_running ") >= 1);
	IS(line_of("/proc/stat", "btime ") > 1600000000);
	IS(clock_now(CLOCK_BOOTTIME) >= clock_now(CLOCK_MONOTONIC) - 0.1);
	AGREE(uptime(), clock_now(CLOCK_BOOTTIME), 0.02);
	AGREE(line_of("/proc/stat", "btime "), clock_now(CLOCK_REALTIME) - clock_now(CLOCK_BOOTTIME), 1.5);
}

int main(void)
{
	own();
	of_children();
	machine();
	return 0;
}
