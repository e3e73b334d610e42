/* SPDX-License-Identifier: Apache-2.0 */
/* Programs whose segments lie in odd ways, made here byte by byte: what they find in memory. */
#include "check.h"
#include <elf.h>

#define BASE 0x10000000UL

struct segment {
	unsigned flags;
	unsigned long offset, vaddr, filesz, memsz;
};

/* Exits with the sum (mod 256) of the bytes at up to four addresses. */
static int write_code(unsigned char *code, const unsigned long *reads, int count)
{
	unsigned char *p = code;

	*p++ = 0x31, *p++ = 0xff; /* xor edi, edi */
	for (int i = 0; i < count; i++) {
		unsigned addr = reads[i];

		*p++ = 0xb8; /* mov eax, addr */
		memcpy(p, &addr, 4);
		p += 4;
		*p++ = 0x0f, *p++ = 0xb6, *p++ = 0x00; /* movzx eax, byte [rax] */
		*p++ = 0x01, *p++ = 0xc7;	       /* add edi, eax */
	}
	memcpy(p, "\xb8\x3c\x00\x00\x00\x0f\x05", 7); /* exit(edi) */
	return p + 7 - code;
}

static void try(const char *what, const struct segment *segments, int count,
		const unsigned long *reads, int reading)
{
	static unsigned char file[5 * 4096];
	Elf64_Ehdr *header = (void *)file;
	Elf64_Phdr *program = (void *)(file + 64);
	int fd, status;
	pid_t pid;

	for (size_t i = 0; i < sizeof(file); i++)
		file[i] = i / 4096 + 1;
	memset(file, 0, 64 + 8 * 56);
	memcpy(header->e_ident, "\x7f" "ELF\2\1\1", 7);
	header->e_type = ET_EXEC;
	header->e_machine = EM_X86_64;
	header->e_version = 1;
	header->e_entry = BASE + 0x400;
	header->e_phoff = 64;
	header->e_ehsize = 64;
	header->e_phentsize = 56;
	header->e_phnum = count;
	for (int i = 0; i < count; i++)
		program[i] = (Elf64_Phdr){ PT_LOAD, segments[i].flags, segments[i].offset,
					   segments[i].vaddr, segments[i].vaddr,
					   segments[i].filesz, segments[i].memsz, 4096 };
	write_code(file + 0x400, reads, reading);
	unlink("odd");
	fd = open("odd", O_WRONLY | O_CREAT | O_EXCL, 0755);
	write(fd, file, sizeof(file));
	close(fd);
	for (int round = 0; round < 2; round++) { /* the second time it is known */
		pid = fork();
		if (pid == 0) {
			execl("./odd", "odd", NULL);
			_exit(255);
		}
		waitpid(pid, &status, 0);
		if (WIFSIGNALED(status))
			say("%s: signal %d\n", what, WTERMSIG(status));
		else
			say("%s: %d\n", what, WEXITSTATUS(status));
	}
}

#define TRY(what, reads, ...)                                                         \
	do {                                                                          \
		static const struct segment s_[] = { __VA_ARGS__ };                   \
		const unsigned long r_[] = reads;                                     \
		try(what, s_, sizeof(s_) / sizeof(*s_), r_, sizeof(r_) / sizeof(*r_)); \
	} while (0)
#define AT(...) { __VA_ARGS__ }

int main(void)
{
	TRY("one segment", AT(BASE + 0xfff, BASE + 0xa00), { 5, 0, BASE, 0x1000, 0x1000 });
	TRY("to the end of the page", AT(BASE + 0xfff), { 5, 0, BASE, 0x600, 0x600 });
	TRY("data", AT(BASE + 0x1000, BASE + 0x2fff), { 5, 0, BASE, 0x1000, 0x1000 },
	    { 6, 0x1000, BASE + 0x1000, 0x2000, 0x2000 });
	TRY("data and zeros", AT(BASE + 0x15ff, BASE + 0x1600, BASE + 0x1fff, BASE + 0x4fff),
	    { 5, 0, BASE, 0x1000, 0x1000 }, { 6, 0x1000, BASE + 0x1000, 0x600, 0x4000 });
	TRY("zeros only", AT(BASE + 0x9000, BASE + 0x9fff), { 5, 0, BASE, 0x1000, 0x1000 },
	    { 6, 0, BASE + 0x9000, 0, 0x1000 });
	TRY("not at the start of a page", AT(BASE + 0x2000, BASE + 0x2123, BASE + 0x2fff),
	    { 5, 0, BASE, 0x1000, 0x1000 }, { 6, 0x3123, BASE + 0x2123, 0x100, 0x100 });
	TRY("two in a page", AT(BASE + 0x400, BASE + 0x900), { 5, 0, BASE, 0x800, 0x800 },
	    { 5, 0x800, BASE + 0x800, 0x800, 0x800 });
	TRY("the second covers the first", AT(BASE + 0x800),
	    { 5, 0x1000, BASE, 0x1000, 0x1000 }, { 5, 0, BASE, 0x1000, 0x1000 });
	TRY("the same file page twice", AT(BASE + 0xa00, BASE + 0x5a00),
	    { 5, 0, BASE, 0x1000, 0x1000 }, { 6, 0, BASE + 0x5000, 0x1000, 0x1000 });
	TRY("a hole between", AT(BASE + 0x2000), { 5, 0, BASE, 0x1000, 0x1000 },
	    { 6, 0x1000, BASE + 0x8000, 0x1000, 0x1000 });
	TRY("behind the end of the file", AT(BASE + 0x4fff, BASE + 0x5000),
	    { 5, 0, BASE, 0x1000, 0x1000 }, { 4, 0x1000, BASE + 0x1000, 0x5000, 0x5000 });
	TRY("no code there", AT(BASE + 0x1000), { 4, 0, BASE, 0x1000, 0x1000 });
	unlink("odd");
	return 0;
}
