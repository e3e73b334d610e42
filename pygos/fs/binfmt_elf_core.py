# SPDX-License-Identifier: Apache-2.0
"""The ELF side of core dumps: headers, notes, what of the memory is dumped. core(5), elf(5)."""

from __future__ import annotations

from bisect import bisect_left
from struct import Struct, pack
from typing import TYPE_CHECKING, Final

from pygos.arch.x86.regs import NREGS
from pygos.fs.dcache import d_path
from pygos.include.linux.mm_types import (
    PTE_ANON,
    VM_DONTDUMP,
    VM_EXEC,
    VM_READ,
    VM_SHARED,
    VM_WRITE,
)
from pygos.include.linux.pid_namespace import pid_vnr
from pygos.include.linux.sched import STATE_LETTERS
from pygos.include.linux.user_namespace import show_gid, show_uid
from pygos.include.uapi.elf import (
    NT_AUXV,
    NT_FILE,
    NT_PRFPREG,
    NT_PRPSINFO,
    NT_PRSTATUS,
    NT_SIGINFO,
    NT_X86_XSTATE,
    PT_LOAD,
    PT_NOTE,
    Elf64Ehdr,
    Elf64Phdr,
)
from pygos.kernel.exit import group_times
from pygos.kernel.siginfo import siginfo_bytes
from pygos.mm.special import SPECIAL_VM_OPS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pygos.include.linux.mm_types import Vma
    from pygos.include.linux.sched import SigInfo, Task
    from pygos.mm.mm import Mm

_PAGE: Final = 4096
_M64: Final = (1 << 64) - 1
_ET_CORE, _EM_X86_64 = 4, 62
_IDENT: Final = b"\x7fELF\x02\x01\x01" + bytes(9)
_FXSAVE_SIZE: Final = 512
#: struct elf_prstatus before its registers, and struct elf_prpsinfo.
_PRSTATUS: Final = Struct(f"<3ih2xQQ4i8q{NREGS}Qi4x")
_PRPSINFO: Final = Struct("<bcbb4xQIIiiii16s80s")
#: Bits of /proc/PID/coredump_filter.
_ANON_PRIVATE, _ANON_SHARED, _MAPPED_PRIVATE, _MAPPED_SHARED, _ELF_HEADERS = (
    1, 2, 4, 8, 16,
)  # fmt: skip
#: Pages of a file that the program never touched are read for the dump up to this size.
_FILL_MAX: Final = 64 << 20


def elf_core_head(task: Task, mm: Mm, info: SigInfo) -> tuple[bytes, list[tuple[Vma, int]]]:
    """All before the memory, padded to a page; and the VMAs with how much of each follows."""
    if mm.patches is not None:
        mm.patches.undo_all(mm)
    present = sorted(mm.pt)
    areas = [(vma, _dump_size(mm, vma, present)) for vma in mm.vmas]
    notes = _notes(task, mm, info)
    count = len(areas) + 1
    offset = Elf64Ehdr.SIZE + count * Elf64Phdr.SIZE
    header = Elf64Ehdr(
        e_ident=_IDENT, e_type=_ET_CORE, e_machine=_EM_X86_64, e_version=1,
        e_phoff=Elf64Ehdr.SIZE, e_ehsize=Elf64Ehdr.SIZE, e_phentsize=Elf64Phdr.SIZE,
        e_phnum=count,
    )  # fmt: skip
    out = [header.to_bytes(), Elf64Phdr(PT_NOTE, 0, offset, 0, 0, len(notes), 0, 4).to_bytes()]
    data = (offset + len(notes) + _PAGE - 1) & -_PAGE
    at = data
    for vma, size in areas:
        out.append(_load(vma, at, size))
        at += size
    head = b"".join([*out, notes])
    return head.ljust(data, b"\0"), areas


def _load(vma: Vma, offset: int, size: int) -> bytes:
    flags = vma.flags
    access = (4 if flags & VM_READ else 0) | (2 if flags & VM_WRITE else 0)
    access |= 1 if flags & VM_EXEC else 0
    length = vma.end - vma.start
    return Elf64Phdr(PT_LOAD, access, offset, vma.start, 0, size, length, _PAGE).to_bytes()


def _dump_size(mm: Mm, vma: Vma, present: list[int]) -> int:
    """How much of a VMA is dumped: all, its first page (an ELF header), or nothing."""
    chosen, whole = mm.coredump_filter, vma.end - vma.start
    if vma.flags & VM_DONTDUMP:
        return 0
    if vma.vm_ops is SPECIAL_VM_OPS:
        return whole  # debuggers need the vDSO to unwind through it
    if vma.flags & VM_SHARED:
        named = vma.file is not None and vma.file.f_inode.i_nlink
        return whole if chosen & (_MAPPED_SHARED if named else _ANON_SHARED) else 0
    if chosen & _ANON_PRIVATE and (vma.file is None or _is_changed(mm, vma, present)):
        return whole
    if vma.file is None:
        return 0
    if chosen & _MAPPED_PRIVATE:
        return whole
    if chosen & _ELF_HEADERS and not vma.pgoff and vma.flags & VM_READ:
        return _PAGE if _starts_elf(mm, vma) else 0
    return 0


def _pages(vma: Vma, present: list[int]) -> list[int]:
    """The numbers of the pages of a VMA that are there."""
    return present[bisect_left(present, vma.start >> 12) : bisect_left(present, vma.end >> 12)]


def _is_changed(mm: Mm, vma: Vma, present: list[int]) -> bool:
    """A private mapping of a file with pages of its own."""
    return any(mm.pt[vpn] & PTE_ANON for vpn in _pages(vma, present))


def _starts_elf(mm: Mm, vma: Vma) -> bool:
    """Executables and libraries are told by their first bytes, if these are in memory."""
    if vma.flags & VM_EXEC:
        return True
    pte = mm.pt.get(vma.start >> 12, 0)
    frame = pte & ~0xFFF
    return bool(pte) and bytes(mm.mem[frame : frame + 4]) == _IDENT[:4]


def vma_pages(mm: Mm, vma: Vma, size: int) -> Iterable[int]:
    """The addresses of the pages to write; between them the dump has holes."""
    if not size:
        return ()
    if vma.file is not None and size <= _FILL_MAX:
        return range(vma.start, vma.start + size, _PAGE)
    present = sorted(vpn for vpn in mm.pt if vma.start <= vpn << 12 < vma.start + size)
    return [vpn << 12 for vpn in present]


# -- notes


def _note(kind: int, data: bytes, name: bytes = b"CORE") -> bytes:
    head = pack("<III", len(name) + 1, len(data), kind)
    return head + _padded(name + b"\0") + _padded(data)


def _padded(data: bytes) -> bytes:
    return data.ljust((len(data) + 3) & -4, b"\0")


def _notes(task: Task, mm: Mm, info: SigInfo) -> bytes:
    """The dumping thread first, with what is the process'; then the others."""
    out = [
        _note(NT_PRSTATUS, _prstatus(task, info.signo)),
        _note(NT_PRPSINFO, _prpsinfo(task, mm)),
        _note(NT_SIGINFO, siginfo_bytes(info)),
        _note(NT_AUXV, mm.auxv),
        _note(NT_FILE, _files(task, mm)),
        *_fpu_notes(task),
    ]
    for thread in task.group.threads:
        if thread is not task and thread.alive:
            out += [_note(NT_PRSTATUS, _prstatus(thread, info.signo)), *_fpu_notes(thread)]
    return b"".join(out)


def _fpu_notes(task: Task) -> list[bytes]:
    assert task.cpu is not None
    image = task.cpu.get_fpu()
    notes = [_note(NT_PRFPREG, image[:_FXSAVE_SIZE])]
    if len(image) > _FXSAVE_SIZE:
        notes.append(_note(NT_X86_XSTATE, image, b"LINUX"))
    return notes


def _timeval(ns: int) -> tuple[int, int]:
    return ns // 1_000_000_000, ns % 1_000_000_000 // 1000


def _prstatus(task: Task, signo: int) -> bytes:
    """struct elf_prstatus: signals, ids, times, registers."""
    group = task.group
    utime, stime = (task.utime, task.stime)
    if group.leader is task:
        utime, stime = group_times(task)
    return _PRSTATUS.pack(
        signo, 0, 0, signo, task.pending.mask & _M64, task.blocked & _M64,
        pid_vnr(task, task.pid), pid_vnr(task, task.real_parent.tgid), pid_vnr(task, group.pgrp),
        pid_vnr(task, group.session),
        *_timeval(utime), *_timeval(stime),
        *_timeval(group.children_utime), *_timeval(group.children_stime),
        *task.regs[:NREGS].tolist(), 1,
    )  # fmt: skip


def _prpsinfo(task: Task, mm: Mm) -> bytes:
    """struct elf_prpsinfo: the process and its command line."""
    state = task.state
    letter = STATE_LETTERS[state].encode()
    group, cred = task.group, task.cred
    return _PRPSINFO.pack(
        state, letter, 0, task.nice, 0x40_0600, show_uid(task, cred.uid),
        show_gid(task, cred.gid), pid_vnr(task, task.tgid),
        task.real_parent.tgid, group.pgrp, group.session, task.comm[:15], _arguments(mm),
    )  # fmt: skip


def _arguments(mm: Mm) -> bytes:
    """The start of the command line, with blanks between the words."""
    length = min(mm.arg_end - mm.arg_start, 79)
    if length <= 0:
        return b""
    return mm.read(mm.arg_start, length).replace(b"\0", b" ")


def _files(task: Task, mm: Mm) -> bytes:
    """NT_FILE: which file is mapped where."""
    mapped = [vma for vma in mm.vmas if vma.file is not None]
    out = [pack("<QQ", len(mapped), _PAGE)]
    out += [pack("<QQQ", vma.start, vma.end, vma.pgoff) for vma in mapped]
    for vma in mapped:
        assert vma.file is not None
        out.append(d_path(vma.file.f_path, task.fs.root) + b"\0")
    return b"".join(out)
