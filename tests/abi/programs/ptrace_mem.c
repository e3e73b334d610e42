/* SPDX-License-Identifier: Apache-2.0 */
/* A debugger's writes reach one process alone: no other one, no file, no page cache. */
#include "ptrace.h"

static char *private_file, *shared_ro, *shared_rw, *none, *anon_ro, *cow;
static int fd;

__attribute__((noinline)) static int answer(void)
{
	__asm__ volatile("");
	return 1;
}

static void body(void)
{
	int (*volatile call)(void) = answer;

	raise(SIGTRAP);
	say("tracee: answer %d private %c cow %c anon %d shared %c\n", call(), private_file[0], cow[0],
	    anon_ro[0], shared_rw[0]);
	say("fault: ");
	fflush(stdout);
	*(volatile char *)private_file = 1;
}

static long poke(pid_t pid, void *where, long value)
{
	return pt(PTRACE_POKETEXT, pid, (long)where, value);
}

static long mem(pid_t pid, int flags, void *where, const char *data)
{
	char path[64];
	long result;
	int at;

	snprintf(path, sizeof path, "/proc/%d/mem", pid);
	at = open(path, flags);
	if (at < 0)
		return -1;
	result = pwrite(at, data, strlen(data), (long)where);
	close(at);
	return result;
}

static void show_file(const char *what)
{
	char text[5] = "";

	pread(fd, text, 4, 0);
	say("%s: file %s here %c %c cow %c\n", what, text, private_file[0], shared_ro[0], cow[0]);
}

static void process_vm(pid_t pid)
{
	char buffer[8192];
	struct iovec local = { buffer, 16 }, remote = { private_file, 16 };

	SHOW(process_vm_readv(pid, &local, 1, &remote, 1, 0));
	SHOW(process_vm_writev(pid, &local, 1, &remote, 1, 0));
	remote.iov_base = none;
	SHOW(process_vm_readv(pid, &local, 1, &remote, 1, 0));
	remote.iov_base = shared_ro + 4096 - 8;
	local.iov_len = 32;
	remote.iov_len = 32;
	SHOW(process_vm_readv(pid, &local, 1, &remote, 1, 0));
}

int main(void)
{
	char name[] = "/tmp/ptrace_mem.XXXXXX";
	pid_t pid, sibling;
	int status;
	long word;

	no_core();
	fd = mkstemp(name);
	unlink(name);
	if (ftruncate(fd, 4096) < 0 || pwrite(fd, "file", 4, 0) < 0)
		return 1;
	private_file = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	shared_ro = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	mmap(shared_ro + 4096, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	shared_rw = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	none = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	anon_ro = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	cow = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	cow[0] = 'c';
	pid = tracee(body);
	sibling = tracee(body);
	pt(PTRACE_CONT, pid, 0, 0);
	next_stop("ready", pid);
	pt(PTRACE_CONT, sibling, 0, 0);
	next_stop("sibling ready", sibling);

	pt(PTRACE_PEEKTEXT, pid, (long)answer, (long)&word);
	/* mov $2, %eax; ret */
	SHOW(poke(pid, (void *)answer, 0xc300000002b8));
	say("answer here %d\n", answer());
	SHOW(poke(pid, private_file, 'P'));
	SHOW(poke(pid, shared_ro, 'S'));
	SHOW(mem(pid, O_WRONLY, shared_ro, "M"));
	SHOW(poke(pid, none, 5));
	SHOW(pt(PTRACE_PEEKDATA, pid, (long)none, (long)&word));
	say("%ld\n", word);
	SHOW(poke(pid, anon_ro, 7));
	SHOW(poke(pid, cow, 'C'));
	SHOW(mem(pid, O_RDWR, shared_rw, "R"));
	show_file("after");
	say("shared %c\n", shared_rw[0]);
	process_vm(pid);
	pt(PTRACE_CONT, sibling, 0, 0);
	next_stop("sibling", sibling);
	pt(PTRACE_CONT, sibling, 0, SIGSEGV);
	next_stop("sibling", sibling);
	pt(PTRACE_CONT, pid, 0, 0);
	next_stop("tracee", pid);
	pt(PTRACE_CONT, pid, 0, SIGSEGV);
	waitpid(pid, &status, 0);
	show_status("tracee", status);
	show_file("end");
	return 0;
}
