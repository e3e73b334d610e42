/* SPDX-License-Identifier: Apache-2.0 */
/* Who leaves a core file: by limit, signal, dumpability and name. */
#include "check.h"
#include <elf.h>
#include <sys/prctl.h>

/* Where the parts of NT_X86_XSTATE are: newer kernels only. */
#define NT_XSAVE_LAYOUT 0x205

static int signal_number, dumpable = 1;
static rlim_t limit = RLIM_INFINITY;
static char text[8192] = "found in the dump";

static void die(void)
{
	struct rlimit r = {limit, RLIM_INFINITY};

	SHOW(setrlimit(RLIMIT_CORE, &r));
	prctl(PR_SET_DUMPABLE, dumpable);
	text[5000] = 'x';
	raise(signal_number);
}

static void try(const char *what, int signal)
{
	siginfo_t info = {0};
	pid_t pid;

	signal_number = signal;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		die();
		_exit(0);
	}
	waitid(P_PID, pid, &info, WEXITED);
	say("%s: code %d status %d core file %d\n", what, info.si_code, info.si_status,
	    access("core", F_OK) == 0);
}

static void look(void)
{
	static char data[1 << 20];
	int fd = open("core", O_RDONLY), loads = 0, notes = 0, found = 0;
	ssize_t size = read(fd, data, sizeof data);
	Elf64_Ehdr *head = (void *)data;
	Elf64_Phdr *part = (void *)(data + head->e_phoff);
	struct stat st;

	fstat(fd, &st);
	say("mode %o links %ld type %d machine %d\n", st.st_mode, (long)st.st_nlink, head->e_type,
	    head->e_machine);
	for (int i = 0; i < head->e_phnum; i++) {
		loads += part[i].p_type == PT_LOAD;
		notes += part[i].p_type == PT_NOTE;
		if (part[i].p_type == PT_LOAD && part[i].p_vaddr <= (uintptr_t)text &&
		    (uintptr_t)text < part[i].p_vaddr + part[i].p_filesz) {
			char copy[32] = "";
			pread(fd, copy, 18, part[i].p_offset + (uintptr_t)text - part[i].p_vaddr);
			found = !strcmp(copy, text);
		}
	}
	IS(loads > 5 && notes == 1);
	IS(found);
	part = (void *)(data + head->e_phoff);
	for (char *at = data + part->p_offset; at < data + part->p_offset + part->p_filesz;) {
		Elf64_Nhdr *note = (void *)at;
		int exact = note->n_type != NT_AUXV && note->n_type != NT_FILE;

		if (note->n_type != NT_XSAVE_LAYOUT)
			say("note %s %x size %d\n", at + 12, note->n_type, exact ? note->n_descsz : 0);
		at += 12 + ((note->n_namesz + 3) & ~3) + ((note->n_descsz + 3) & ~3);
	}
	IS(size > 0);
	close(fd);
}

int main(void)
{
	char pattern[64] = "";
	int fd = open("/proc/sys/kernel/core_pattern", O_RDONLY);

	read(fd, pattern, 60);
	say("%s", pattern);
	umask(022);
	limit = 0;
	try("limit 0", SIGABRT);
	limit = 4095;
	try("limit 4095", SIGABRT);
	limit = 4096;
	try("limit 4096", SIGABRT);
	unlink("core");
	limit = RLIM_INFINITY;
	try("SIGTERM", SIGTERM);
	dumpable = 0;
	try("not dumpable", SIGSEGV);
	dumpable = 1;
	mkdir("core", 0700);
	try("a directory", SIGSEGV);
	rmdir("core");
	put("core", "mine");
	try("readable by others", SIGSEGV);
	chmod("core", 0600);
	try("over an old one", SIGQUIT);
	look();
	unlink("core");
	try("abort", SIGABRT);
	unlink("core");
	return 0;
}
