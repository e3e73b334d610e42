# SPDX-License-Identifier: Apache-2.0
"""Core dumps: whether, where and how much (fs/coredump.c). core(5).

A process that a signal of the dumping kind ends leaves a file in its working directory, named
by the sysctl kernel.core_pattern, as large as RLIMIT_CORE allows. Patterns that start with a
pipe dump nothing: there is nobody to start helpers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.fs.attr import do_truncate
from pygos.fs.binfmt_elf_core import elf_core_head, vma_pages
from pygos.fs.dcache import d_path
from pygos.fs.file_table import fput
from pygos.fs.namei_calls import do_unlink
from pygos.fs.open import filp_open
from pygos.include.errno import EFAULT, Errno
from pygos.include.linux.fs import S_IFMT, S_IFREG, File, Inode
from pygos.include.uapi.fcntl import AT_FDCWD, O_CREAT, O_LARGEFILE, O_NOFOLLOW, O_RDWR
from pygos.include.uapi.resource import RLIMIT_CORE
from pygos.mm.uaccess import KernelBuffer

if TYPE_CHECKING:
    from pygos.include.linux.sched import SigInfo, Task
    from pygos.mm.mm import Mm

_PAGE: Final = 4096
_FLAGS: Final = O_CREAT | O_RDWR | O_NOFOLLOW | O_LARGEFILE
#: Of longer patterns and names nothing is left to open.
_NAME_MAX: Final = 4095
_MODE_CHECKED: Final = 0o677
_ZERO: Final = bytes(_PAGE)


def do_coredump(task: Task, info: SigInfo) -> bool:
    """Dump the process, which is about to die of `info`; was a file written?"""
    mm = task.mm
    limit = task.group.rlim[RLIMIT_CORE][0]
    if mm is None or mm.dumpable != 1 or limit < _PAGE:
        return False
    name = _corename(task, info.signo)
    if not name or name.startswith(b"|"):
        return False
    try:
        do_unlink(task, AT_FDCWD, name)
    except Errno:
        pass  # most often there is none; what can't be removed fails below
    try:
        file = filp_open(task, name, _FLAGS, 0o600)
    except Errno:
        return False
    try:
        if not _is_suitable(task, file.f_inode):
            return False
        do_truncate(task, file.f_path.dentry, 0, 0)
        return _dump(task, mm, file, info, limit)
    except Errno:
        return False
    finally:
        fput(file)


def _is_suitable(task: Task, inode: Inode) -> bool:
    """A regular file with one name that is the task's own and nobody else's to read."""
    return (
        inode.i_mode & S_IFMT == S_IFREG
        and inode.i_nlink == 1
        and inode.i_uid == task.cred.fsuid
        and inode.i_mode & _MODE_CHECKED == 0o600
    )


def _corename(task: Task, signo: int) -> bytes:
    """The file's name from the pattern; the %-words of core(5)."""
    sysctl = task.machine.sysctl
    pattern = str(sysctl.get("kernel.core_pattern", "core")).strip()
    out, has_pid, chars = "", False, iter(pattern)
    for char in chars:
        if char != "%":
            out += char
            continue
        word = next(chars, "")
        has_pid = has_pid or word == "p"
        out += _word(task, word, signo)
        if len(out) > _NAME_MAX:
            return b""
    if not has_pid and int(sysctl.get("kernel.core_uses_pid", 0)):
        out += f".{task.tgid}"
    return out.encode("utf-8", "surrogateescape")


def _word(task: Task, word: str, signo: int) -> str:
    if word == "%":
        return "%"
    if word == "t":
        return str(task.machine.clock.realtime() // 1_000_000_000)
    if word == "h":
        return _flat(task.nsproxy.uts.nodename)
    if word in ("e", "f"):
        leader = task.group.leader if word == "f" else task
        return _flat(leader.comm.decode("utf-8", "surrogateescape"))
    if word == "E":
        return _executable(task)
    numbers = {
        "p": task.tgid, "P": task.tgid, "i": task.pid, "I": task.pid, "u": task.cred.uid,
        "g": task.cred.gid, "d": 1, "s": signo, "c": task.group.rlim[RLIMIT_CORE][0],
    }  # fmt: skip
    return str(numbers.get(word, ""))


def _flat(name: str) -> str:
    """A name that can't lead elsewhere."""
    name = "!" if name == "." else "!." if name == ".." else name
    return name.replace("/", "!")


def _executable(task: Task) -> str:
    mm = task.mm
    if mm is None or mm.exe_file is None:
        return _flat(task.comm.decode("utf-8", "surrogateescape"))
    path = d_path(mm.exe_file.f_path, task.fs.root)
    return path.decode("utf-8", "surrogateescape").replace("/", "!")


# -- writing


def _dump(task: Task, mm: Mm, file: File, info: SigInfo, limit: int) -> bool:
    """Head, notes, memory, as far as the limit; what no page stands for is a hole."""
    head, areas = elf_core_head(task, mm, info)
    pos = len(head)
    if not _write(task, file, head[:limit], 0) or pos > limit:
        return True
    for vma, size in areas:
        for addr in vma_pages(mm, vma, size):
            at = pos + addr - vma.start
            if at + _PAGE > limit or not _write(task, file, _page(mm, addr), at):
                return True
        pos += size
    if pos <= limit:
        do_truncate(task, file.f_path.dentry, pos, 0)
    return True


def _page(mm: Mm, addr: int) -> bytes | memoryview:
    """One page of the program's memory, whatever its protection."""
    pte = mm.pt.get(addr >> 12, 0)
    if pte:
        frame = pte & ~0xFFF
        return mm.mem[frame : frame + _PAGE]
    try:
        return mm.read(addr, _PAGE)
    except EFAULT:
        return _ZERO


def _write(task: Task, file: File, data: bytes | memoryview, pos: int) -> bool:
    buffer = KernelBuffer(data)
    while buffer.length:
        moved = file.f_op.write(task, file, buffer, pos)
        if moved <= 0:
            return False
        pos += moved
    return True
