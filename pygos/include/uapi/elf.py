# SPDX-License-Identifier: Apache-2.0
"""ELF: linux/elf.h, linux/elf-em.h."""

from __future__ import annotations

from typing import Annotated, Final

from pygos.include.uapi.cstruct import CStruct, u8, u16, u32, u64

PT_NULL: Final = 0
PT_LOAD: Final = 1
PT_DYNAMIC: Final = 2
PT_INTERP: Final = 3
PT_NOTE: Final = 4
PT_SHLIB: Final = 5
PT_PHDR: Final = 6
PT_TLS: Final = 7
PT_LOOS: Final = 0x60000000
PT_HIOS: Final = 0x6FFFFFFF
PT_LOPROC: Final = 0x70000000
PT_HIPROC: Final = 0x7FFFFFFF
PT_GNU_EH_FRAME: Final = 0x6474E550
PT_GNU_STACK: Final = 0x6474E551
PT_GNU_RELRO: Final = 0x6474E552
PT_GNU_PROPERTY: Final = 0x6474E553
PT_AARCH64_MEMTAG_MTE: Final = 0x70000002

PN_XNUM: Final = 0xFFFF
ET_NONE: Final = 0
ET_REL: Final = 1
ET_EXEC: Final = 2
ET_DYN: Final = 3
ET_CORE: Final = 4
ET_LOPROC: Final = 0xFF00
ET_HIPROC: Final = 0xFFFF

EM_NONE: Final = 0
EM_SPARC: Final = 2
EM_386: Final = 3
EM_68K: Final = 4
EM_MIPS: Final = 8
EM_PARISC: Final = 15
EM_PPC: Final = 20
EM_PPC64: Final = 21
EM_ARM: Final = 40
EM_SH: Final = 42
EM_IA_64: Final = 50
EM_X86_64: Final = 62
EM_S390: Final = 22
EM_AARCH64: Final = 183
EM_RISCV: Final = 243
EM_BPF: Final = 247
EM_LOONGARCH: Final = 258
EM_ALPHA: Final = 0x9026

EI_NIDENT: Final = 16
EI_MAG0: Final = 0
EI_MAG1: Final = 1
EI_MAG2: Final = 2
EI_MAG3: Final = 3
EI_CLASS: Final = 4
EI_DATA: Final = 5
EI_VERSION: Final = 6
EI_OSABI: Final = 7
EI_PAD: Final = 8
SELFMAG: Final = 4
ELFCLASSNONE: Final = 0
ELFCLASS32: Final = 1
ELFCLASS64: Final = 2
ELFCLASSNUM: Final = 3
ELFDATANONE: Final = 0
ELFDATA2LSB: Final = 1
ELFDATA2MSB: Final = 2
EV_NONE: Final = 0
EV_CURRENT: Final = 1
EV_NUM: Final = 2
ELFOSABI_NONE: Final = 0
ELFOSABI_LINUX: Final = 3

ELFMAG: Final = b"\x7fELF"

PF_R: Final = 0x4
PF_W: Final = 0x2
PF_X: Final = 0x1

SHT_NULL: Final = 0
SHT_PROGBITS: Final = 1
SHT_SYMTAB: Final = 2
SHT_STRTAB: Final = 3
SHT_RELA: Final = 4
SHT_HASH: Final = 5
SHT_DYNAMIC: Final = 6
SHT_NOTE: Final = 7
SHT_NOBITS: Final = 8
SHT_REL: Final = 9
SHT_SHLIB: Final = 10
SHT_DYNSYM: Final = 11
SHT_NUM: Final = 12
SHT_LOPROC: Final = 0x70000000
SHT_HIPROC: Final = 0x7FFFFFFF
SHT_LOUSER: Final = 0x80000000
SHT_HIUSER: Final = 0xFFFFFFFF
SHF_WRITE: Final = 0x1
SHF_ALLOC: Final = 0x2
SHF_EXECINSTR: Final = 0x4
SHF_RELA_LIVEPATCH: Final = 0x00100000
SHF_RO_AFTER_INIT: Final = 0x00200000
SHF_MASKPROC: Final = 0xF0000000
SHN_UNDEF: Final = 0
SHN_LORESERVE: Final = 0xFF00
SHN_LOPROC: Final = 0xFF00
SHN_HIPROC: Final = 0xFF1F
SHN_LIVEPATCH: Final = 0xFF20
SHN_ABS: Final = 0xFFF1
SHN_COMMON: Final = 0xFFF2
SHN_HIRESERVE: Final = 0xFFFF

DT_NULL: Final = 0
DT_NEEDED: Final = 1
DT_PLTRELSZ: Final = 2
DT_PLTGOT: Final = 3
DT_HASH: Final = 4
DT_STRTAB: Final = 5
DT_SYMTAB: Final = 6
DT_RELA: Final = 7
DT_RELASZ: Final = 8
DT_RELAENT: Final = 9
DT_STRSZ: Final = 10
DT_SYMENT: Final = 11
DT_INIT: Final = 12
DT_FINI: Final = 13
DT_SONAME: Final = 14
DT_RPATH: Final = 15
DT_SYMBOLIC: Final = 16
DT_REL: Final = 17
DT_RELSZ: Final = 18
DT_RELENT: Final = 19
DT_PLTREL: Final = 20
DT_DEBUG: Final = 21
DT_TEXTREL: Final = 22
DT_JMPREL: Final = 23
DT_ENCODING: Final = 32
DT_LOOS: Final = 0x6000000D
DT_HIOS: Final = 0x6FFFF000
DT_VALRNGLO: Final = 0x6FFFFD00
DT_VALRNGHI: Final = 0x6FFFFDFF
DT_ADDRRNGLO: Final = 0x6FFFFE00
DT_ADDRRNGHI: Final = 0x6FFFFEFF
DT_VERSYM: Final = 0x6FFFFFF0
DT_RELACOUNT: Final = 0x6FFFFFF9
DT_RELCOUNT: Final = 0x6FFFFFFA
DT_FLAGS_1: Final = 0x6FFFFFFB
DT_VERDEF: Final = 0x6FFFFFFC
DT_VERDEFNUM: Final = 0x6FFFFFFD
DT_VERNEED: Final = 0x6FFFFFFE
DT_VERNEEDNUM: Final = 0x6FFFFFFF
DT_LOPROC: Final = 0x70000000
DT_HIPROC: Final = 0x7FFFFFFF

STB_LOCAL: Final = 0
STB_GLOBAL: Final = 1
STB_WEAK: Final = 2
STT_NOTYPE: Final = 0
STT_OBJECT: Final = 1
STT_FUNC: Final = 2
STT_SECTION: Final = 3
STT_FILE: Final = 4
STT_COMMON: Final = 5
STT_TLS: Final = 6

NT_PRSTATUS: Final = 1
NT_PRFPREG: Final = 2
NT_PRPSINFO: Final = 3
NT_TASKSTRUCT: Final = 4
NT_AUXV: Final = 6
NT_SIGINFO: Final = 0x53494749
NT_FILE: Final = 0x46494C45
NT_PRXFPREG: Final = 0x46E62B7F
NT_386_TLS: Final = 0x200
NT_386_IOPERM: Final = 0x201
NT_X86_XSTATE: Final = 0x202
NT_GNU_PROPERTY_TYPE_0: Final = 5


class Elf64Ehdr(CStruct):
    """The ELF file header, 64 bytes."""

    e_ident: Annotated[bytes, 16] = b""
    e_type: u16 = 0
    e_machine: u16 = 0
    e_version: u32 = 0
    e_entry: u64 = 0
    e_phoff: u64 = 0
    e_shoff: u64 = 0
    e_flags: u32 = 0
    e_ehsize: u16 = 0
    e_phentsize: u16 = 0
    e_phnum: u16 = 0
    e_shentsize: u16 = 0
    e_shnum: u16 = 0
    e_shstrndx: u16 = 0


class Elf64Phdr(CStruct):
    """A program header, 56 bytes."""

    p_type: u32 = 0
    p_flags: u32 = 0
    p_offset: u64 = 0
    p_vaddr: u64 = 0
    p_paddr: u64 = 0
    p_filesz: u64 = 0
    p_memsz: u64 = 0
    p_align: u64 = 0


class Elf64Shdr(CStruct):
    """A section header, 64 bytes."""

    sh_name: u32 = 0
    sh_type: u32 = 0
    sh_flags: u64 = 0
    sh_addr: u64 = 0
    sh_offset: u64 = 0
    sh_size: u64 = 0
    sh_link: u32 = 0
    sh_info: u32 = 0
    sh_addralign: u64 = 0
    sh_entsize: u64 = 0


class Elf64Sym(CStruct):
    """A symbol, 24 bytes."""

    st_name: u32 = 0
    st_info: u8 = 0
    st_other: u8 = 0
    st_shndx: u16 = 0
    st_value: u64 = 0
    st_size: u64 = 0


class Elf64Nhdr(CStruct):
    """The head of a note."""

    n_namesz: u32 = 0
    n_descsz: u32 = 0
    n_type: u32 = 0
