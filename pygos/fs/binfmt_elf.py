# SPDX-License-Identifier: Apache-2.0
"""ELF programs for x86-64 (fs/binfmt_elf.c): static, dynamic, position independent.

The address space is laid out as Linux lays it out: the stack below TASK_SIZE, mappings
top-down under it, a position independent program at two thirds of the address space, the
heap after the program. All offsets are drawn from the machine's own entropy.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from pygos.arch.x86.regs import EFLAGS, RIP, RSP
from pygos.arch.x86.vdso.vma import map_vdso
from pygos.fs.exec import BinaryFormat, BinPrm, begin_new_exec, exec_put, kernel_read, open_exec
from pygos.fs.file_table import fget
from pygos.include.dataclass import dataclass
from pygos.include.errno import ELIBBAD, ENOEXEC, ENOMEM, EPERM
from pygos.include.linux.fs import File
from pygos.include.linux.mm import MMF_LEGACY_LAYOUT
from pygos.include.linux.platform import PAGE_MASK, PAGE_SIZE, TASK_SIZE
from pygos.include.linux.user_namespace import show_gid, show_uid
from pygos.include.uapi import auxvec, elf, mman
from pygos.include.uapi.fcntl import AT_FDCWD
from pygos.include.uapi.personality import (
    ADDR_COMPAT_LAYOUT,
    ADDR_NO_RANDOMIZE,
    MMAP_PAGE_ZERO,
    PER_CLEAR_ON_SETID,
    READ_IMPLIES_EXEC,
)
from pygos.mm.exec import map_segment, populate_segment, setup_stack
from pygos.mm.mmap import do_mmap
from pygos.mm.unmapped import TASK_UNMAPPED_BASE, get_unmapped_area, mmap_min_addr, note_hole
from pygos.mm.vma import vmas_in

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task
    from pygos.mm.mm import Mm

_EHDR = struct.Struct("<16sHHIQQQIHHHHHH")
_PHDR = struct.Struct("<IIQQQQQQ")
_ELF_MAGIC = b"\x7fELF\x02\x01"
_ET_DYN_BASE = TASK_SIZE // 3 * 2 & PAGE_MASK
_PHDR_LIMIT = 65536
_PATH_MAX = 4096
_RLIMIT_STACK, _RLIM_INFINITY = 3, (1 << 64) - 1
_STACK_RESERVE = 128 * 1024
_MIN_GAP, _MAX_GAP = 128 << 20, TASK_SIZE // 6 * 5
_CLK_TCK = 100
#: machine.misc: headers of programs that were run, by their bytes; so many at most.
_PARSED = "elf_headers"
_MAX_PARSED = 128
#: What kernel/rseq.py knows of struct rseq, and its alignment.
RSEQ_FEATURE_SIZE, RSEQ_ALIGN = 28, 32
#: Bytes a signal frame needs besides the XSAVE image.
_FRAME_MIN = 1088


@dataclass(slots=True)
class Phdr:
    """One program header."""

    type: int
    flags: int
    offset: int
    vaddr: int
    paddr: int
    filesz: int
    memsz: int
    align: int

    @property
    def prot(self) -> int:
        flags = self.flags
        return (flags & 4) >> 2 | flags & 2 | (flags & 1) << 2


class ElfFile:
    """The headers of a program or interpreter; never changed, as all who have the same share it.

    `tidy`: segments are in order, in order inside and have no page in common.
    """

    __slots__ = ("entry", "executable_stack", "loads", "phdrs", "phoff", "tidy", "type")

    def __init__(self, kind: int, entry: int, phoff: int, phdrs: list[Phdr]) -> None:
        self.type = kind
        self.entry = entry
        self.phoff = phoff
        self.phdrs = phdrs
        self.loads = [phdr for phdr in phdrs if phdr.type == elf.PT_LOAD]
        # PT_GNU_STACK asks for it; without one a 64-bit program's stack isn't executable.
        self.executable_stack = any(
            ph.type == elf.PT_GNU_STACK and ph.flags & elf.PF_X for ph in phdrs
        )
        self.tidy = _is_tidy(self.loads)


def _is_tidy(loads: list[Phdr]) -> bool:
    end = 0
    for phdr in loads:
        start = phdr.vaddr & PAGE_MASK
        if start < end or phdr.memsz < phdr.filesz or not phdr.memsz:
            return False
        if phdr.filesz and (
            phdr.offset < phdr.vaddr - start or (phdr.offset - phdr.vaddr) & PAGE_SIZE - 1
        ):
            return False
        end = phdr.vaddr + phdr.memsz + PAGE_SIZE - 1 & PAGE_MASK
    return end <= TASK_SIZE


@dataclass(slots=True)
class Image:
    """A program as mapped: what the auxiliary vector and mm need."""

    bias: int
    entry: int
    start: int
    end: int
    start_code: int
    end_code: int
    start_data: int
    end_data: int
    phdr: int


class ElfFormat(BinaryFormat):
    """64-bit little-endian x86-64 ELF."""

    __slots__ = ()
    name = "elf"

    def load(self, prm: BinPrm) -> bool:
        program = parse_elf(prm.task, prm.file, prm.buf)
        interpreter = _open_interpreter(prm, program)
        try:
            _load(prm, program, interpreter)
        finally:
            if interpreter is not None:
                exec_put(interpreter)
        return True


def parse_elf(task: Task, file: File, buf: bytes) -> ElfFile:
    """Check and read the headers. ENOEXEC for anything this machine can't run."""
    if not buf.startswith(_ELF_MAGIC):
        raise ENOEXEC
    fields = _EHDR.unpack_from(buf)
    kind, machine, _version, entry, phoff = fields[1:6]
    phentsize, phnum = fields[9:11]
    if kind not in (elf.ET_EXEC, elf.ET_DYN) or machine != elf.EM_X86_64:
        raise ENOEXEC
    size = phnum * _PHDR.size
    if phentsize != _PHDR.size or phnum == 0 or size > _PHDR_LIMIT:
        raise ENOEXEC
    if phoff >= 1 << 62:
        raise ENOEXEC
    data = buf[phoff : phoff + size]
    if len(data) != size or phoff + size > len(buf):
        data = kernel_read(task, file, phoff, size)
    if len(data) != size:
        raise ENOEXEC
    known: dict[bytes, ElfFile] = task.machine.misc.setdefault(_PARSED, {})
    headers = buf[: _EHDR.size] + data
    found = known.get(headers)
    if found is None:
        if len(known) >= _MAX_PARSED:
            known.clear()
        rows = [Phdr(*row) for row in _PHDR.iter_unpack(data)]
        found = known[headers] = ElfFile(kind, entry, phoff, rows)
    return found


def _open_interpreter(prm: BinPrm, program: ElfFile) -> File | None:
    """The dynamic linker named by PT_INTERP, opened."""
    for phdr in program.phdrs:
        if phdr.type == elf.PT_INTERP:
            if not 2 <= phdr.filesz <= _PATH_MAX:
                raise ENOEXEC
            name = kernel_read(prm.task, prm.file, phdr.offset, phdr.filesz)
            if len(name) != phdr.filesz or name[-1]:
                raise ENOEXEC
            return open_exec(prm.task, AT_FDCWD, name[: name.index(0)])
    return None


def _parse_interpreter(task: Task, file: File) -> ElfFile:
    try:
        return parse_elf(task, file, kernel_read(task, file, 0, 1024))
    except ENOEXEC:
        raise ELIBBAD from None


def _load(prm: BinPrm, program: ElfFile, interp_file: File | None) -> None:
    task = prm.task
    if not program.loads:
        raise ENOEXEC
    interp = _parse_interpreter(task, interp_file) if interp_file is not None else None
    mm = begin_new_exec(prm)
    task.personality &= ~(PER_CLEAR_ON_SETID if prm.secure else READ_IMPLIES_EXEC)
    space = task.machine.sysctl.get("kernel.randomize_va_space", 2)
    randomize = bool(space) and not task.personality & ADDR_NO_RANDOMIZE
    try:
        stack_top = _layout(prm, mm, randomize, program.executable_stack)
        image = _map_program(prm, mm, program, interp is not None, randomize)
        entry, base = image.entry, 0
        if interp is not None and interp_file is not None:
            linker = map_image(task, mm, interp_file, interp, None)
            entry, base = linker.entry, linker.bias
            mm.linking = True
        _set_mm(prm, mm, image, randomize and space == 2)
        if task.personality & MMAP_PAGE_ZERO:
            _map_page_zero(task, mm)
        vdso = map_vdso(task, mm)
        sp = build_stack(prm, mm, stack_top, image, base, len(program.phdrs), vdso)
    except Exception:
        # Past the point of no return: the program can only be killed.
        from pygos.include.linux.sched import SigInfo
        from pygos.kernel.signal import force_sig_info

        force_sig_info(task, SigInfo(9))
        raise
    _start(task, entry, sp)


def _map_page_zero(task: Task, mm: Mm) -> None:
    """What System V programs expect below their feet; only for who may map there."""
    flags = mman.MAP_FIXED | mman.MAP_PRIVATE | mman.MAP_ANONYMOUS
    try:
        do_mmap(mm, task, None, 0, PAGE_SIZE, mman.PROT_READ | mman.PROT_EXEC, flags, 0)
    except EPERM:
        pass


def _random_pages(prm: BinPrm, bits: int) -> int:
    """A random multiple of the page size below 2**bits pages."""
    value = int.from_bytes(prm.machine.entropy.bytes(8), "little")
    return (value & ((1 << bits) - 1)) * PAGE_SIZE


def _layout(prm: BinPrm, mm: Mm, randomize: bool, executable_stack: bool) -> int:
    """Stack and mmap_base (arch_pick_mmap_layout); returns the top of the stack."""
    task = prm.task
    top = TASK_SIZE - PAGE_SIZE
    if randomize:
        top -= _random_pages(prm, 22)
    limit = task.group.rlim[_RLIMIT_STACK][0]
    gap = limit if limit != _RLIM_INFINITY else _MIN_GAP
    pad = (1 << 34) + (1 << 20)  # what the stack's own randomization and guard may take
    gap = min(max(gap + pad, _MIN_GAP), _MAX_GAP)
    mm.mmap_base = TASK_SIZE - (gap + PAGE_SIZE - 1 & PAGE_MASK)
    if task.personality & ADDR_COMPAT_LAYOUT:
        mm.flags |= MMF_LEGACY_LAYOUT
        mm.mmap_base = TASK_UNMAPPED_BASE + (_random_pages(prm, 28) if randomize else 0)
    elif randomize:
        mm.mmap_base -= _random_pages(prm, 28)
    size = _string_bytes(prm) + _STACK_RESERVE
    setup_stack(mm, task, top, size + PAGE_SIZE - 1 & PAGE_MASK, executable_stack)
    return top


def _string_bytes(prm: BinPrm) -> int:
    return sum(len(text) + 9 for text in prm.argv) + sum(len(text) + 9 for text in prm.envp)


def _map_program(
    prm: BinPrm, mm: Mm, program: ElfFile, dynamic: bool, randomize: bool
) -> Image:
    if program.type == elf.ET_EXEC:
        return map_image(prm.task, mm, prm.file, program, 0)
    if not dynamic:
        # A dynamic linker run by itself stays out of the way of what it loads.
        return map_image(prm.task, mm, prm.file, program, None)
    base = _ET_DYN_BASE + (_random_pages(prm, 28) if randomize else 0)
    align = max((phdr.align for phdr in program.loads), default=PAGE_SIZE)
    if align > PAGE_SIZE and align & (align - 1) == 0:
        base &= -align
    first = program.loads[0].vaddr & PAGE_MASK
    return map_image(prm.task, mm, prm.file, program, base - first)


def map_image(task: Task, mm: Mm, file: File, program: ElfFile, bias: int | None) -> Image:
    """Map all PT_LOAD segments; `bias` None: wherever there is room."""
    loads = program.loads
    if not loads:
        raise ENOEXEC
    low = loads[0].vaddr & PAGE_MASK
    high = max(phdr.vaddr + phdr.memsz for phdr in loads)
    if high > TASK_SIZE or high <= low:
        raise ENOMEM
    if bias is None:
        span = high - low + PAGE_SIZE - 1 & PAGE_MASK
        at = get_unmapped_area(mm, task, 0, span, 0)
        note_hole(mm, at)  # the segments need not fill it
        bias = at - low
    image = Image(bias, program.entry + bias, TASK_SIZE, 0, TASK_SIZE, 0, 0, 0, 0)
    room = _has_room(task, mm, program, low + bias, high + bias)
    for phdr in loads:
        _map_segment(task, mm, file, phdr, bias, room)
        _note_segment(image, phdr, bias)
        if phdr.offset <= program.phoff < phdr.offset + phdr.filesz:
            image.phdr = program.phoff - phdr.offset + phdr.vaddr + bias
    return image


def _has_room(task: Task, mm: Mm, program: ElfFile, start: int, end: int) -> bool:
    """Do the segments go where nothing is and where anything may be?"""
    return (
        program.tidy
        and not task.personality & READ_IMPLIES_EXEC
        and mmap_min_addr(mm) <= start & PAGE_MASK
        and end <= TASK_SIZE
        and not start - program.loads[0].vaddr & PAGE_SIZE - 1
        and not vmas_in(mm, start & PAGE_MASK, end + PAGE_SIZE - 1 & PAGE_MASK)
    )


def _map_segment(
    task: Task, mm: Mm, file: File, phdr: Phdr, bias: int, room: bool
) -> None:
    start = phdr.vaddr + bias
    page = start & PAGE_MASK
    skew = start - page
    if phdr.memsz < phdr.filesz or phdr.memsz == 0:
        if phdr.memsz < phdr.filesz:
            raise ENOEXEC
        return
    file_end = start + phdr.filesz
    map_end = file_end + PAGE_SIZE - 1 & PAGE_MASK
    if phdr.filesz:
        if phdr.offset < skew or (phdr.offset - skew) & (PAGE_SIZE - 1):
            raise ENOEXEC
        flags = mman.MAP_PRIVATE | mman.MAP_FIXED
        pgoff = phdr.offset - skew >> 12
        if room:
            map_segment(mm, task, file, page, map_end, phdr.prot, pgoff)
        else:
            do_mmap(mm, task, file, page, map_end - page, phdr.prot, flags, pgoff)
            populate_segment(mm, page)
    else:
        map_end = page
    _map_bss(task, mm, phdr, file_end, map_end, start + phdr.memsz)


def _map_bss(task: Task, mm: Mm, phdr: Phdr, file_end: int, map_end: int, end: int) -> None:
    """Zero the rest of the last file page *to its end* (ld.so relies on it); then zero pages."""
    if end <= file_end:
        return
    if phdr.flags & elf.PF_W and file_end < map_end:
        mm.write(file_end, bytes(map_end - file_end))
    bss_end = end + PAGE_SIZE - 1 & PAGE_MASK
    if bss_end > map_end:
        flags = mman.MAP_PRIVATE | mman.MAP_ANONYMOUS | mman.MAP_FIXED
        do_mmap(mm, task, None, map_end, bss_end - map_end, phdr.prot, flags, 0)


def _note_segment(image: Image, phdr: Phdr, bias: int) -> None:
    start, end = phdr.vaddr + bias, phdr.vaddr + phdr.filesz + bias
    image.start = min(image.start, start)
    image.end = max(image.end, phdr.vaddr + phdr.memsz + bias)
    if phdr.flags & elf.PF_X:
        image.start_code = min(image.start_code, start)
        image.end_code = max(image.end_code, end)
    image.start_data = max(image.start_data, start)
    image.end_data = max(image.end_data, end)


def _set_mm(prm: BinPrm, mm: Mm, image: Image, randomize: bool) -> None:
    mm.start_code, mm.end_code = image.start_code, image.end_code
    mm.start_data, mm.end_data = image.start_data, image.end_data
    brk = image.end + PAGE_SIZE - 1 & PAGE_MASK
    if randomize:
        brk += _random_pages(prm, 13)
    mm.start_brk = mm.brk = brk
    fget(prm.file)
    prm.file.f_inode.i_writecount -= 1  # nobody writes to what is being executed
    mm.exe_file = prm.file


def build_stack(
    prm: BinPrm, mm: Mm, top: int, image: Image, base: int, phnum: int, vdso: int
) -> int:
    """Write strings, auxiliary vector, environment and arguments; returns the stack pointer.

    Layout as in create_elf_tables(); see also getauxval(3).
    """
    execfn_at = top - 8 - len(prm.execfn) - 1
    blob = b"".join(text + b"\0" for text in (*prm.argv, *prm.envp))
    strings = execfn_at - len(blob)
    platform_at = (strings & ~0xF) - 16
    random_at = platform_at - 16
    vector = _auxv(prm, image, base, phnum, execfn_at, platform_at, random_at, vdso)
    pointers, mm.arg_end = _pointers(prm.argv, strings)
    env, mm.env_end = _pointers(prm.envp, mm.arg_end)
    words = [len(prm.argv), *pointers, 0, *env, 0]
    table = struct.pack(f"<{len(words)}Q", *words) + vector
    sp = (random_at - len(table)) & ~0xF
    tail = prm.machine.entropy.bytes(16) + b"x86_64".ljust(16, b"\0")
    middle = bytes(random_at - sp - len(table))
    gap = bytes(strings - platform_at - 16)
    mm.write(sp, table + middle + tail + gap + blob + prm.execfn + bytes(9))
    mm.arg_start, mm.env_start = strings, mm.arg_end
    mm.auxv = vector
    mm.start_stack = sp
    return sp


def _pointers(texts: list[bytes], at: int) -> tuple[list[int], int]:
    pointers = []
    for text in texts:
        pointers.append(at)
        at += len(text) + 1
    return pointers, at


def _auxv(
    prm: BinPrm, image: Image, base: int, phnum: int, execfn: int, platform: int, random: int,
    vdso: int,
) -> bytes:
    task, cred = prm.task, prm.cred
    machine = prm.machine
    rows = (
        (auxvec.AT_SYSINFO_EHDR, vdso),
        (auxvec.AT_MINSIGSTKSZ, machine.platform.xstate_size + _FRAME_MIN),
        (auxvec.AT_HWCAP, machine.misc["hwcap"]),
        (auxvec.AT_PAGESZ, PAGE_SIZE),
        (auxvec.AT_CLKTCK, _CLK_TCK),
        (auxvec.AT_PHDR, image.phdr),
        (auxvec.AT_PHENT, _PHDR.size),
        (auxvec.AT_PHNUM, phnum),
        (auxvec.AT_BASE, base),
        (auxvec.AT_FLAGS, 0),
        (auxvec.AT_ENTRY, image.entry),
        (auxvec.AT_UID, show_uid(task, cred.uid)),
        (auxvec.AT_EUID, show_uid(task, cred.euid)),
        (auxvec.AT_GID, show_gid(task, cred.gid)),
        (auxvec.AT_EGID, show_gid(task, cred.egid)),
        (auxvec.AT_SECURE, int(prm.secure)),
        (auxvec.AT_RANDOM, random),
        (auxvec.AT_HWCAP2, machine.misc["hwcap2"]),
        (auxvec.AT_RSEQ_FEATURE_SIZE, RSEQ_FEATURE_SIZE),
        (auxvec.AT_RSEQ_ALIGN, RSEQ_ALIGN),
        (auxvec.AT_EXECFN, execfn),
        (auxvec.AT_PLATFORM, platform),
        (auxvec.AT_NULL, 0),
    )
    return b"".join(struct.pack("<QQ", kind, value) for kind, value in rows)


def _start(task: Task, entry: int, sp: int) -> None:
    """All registers zero but the instruction and stack pointers (start_thread)."""
    regs = task.regs
    regs[RIP] = entry
    regs[RSP] = sp
    regs[EFLAGS] = 0x202
