# SPDX-License-Identifier: Apache-2.0
"""/proc/PID/maps, smaps, smaps_rollup and mem; the texts are made by mm/maps.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pygos.fs.dcache import d_path
from pygos.fs.proc.access import mm_of, require_access, require_mem_access
from pygos.fs.synthetic import Synthetic, SyntheticFileOperations, synthetic
from pygos.include.errno import EIO
from pygos.mm.maps import show_maps, show_smaps, show_smaps_rollup
from pygos.mm.remote import access_remote_vm

if TYPE_CHECKING:
    from pygos.include.linux.fs import File, Inode
    from pygos.include.linux.mm_types import IoBuffer
    from pygos.include.linux.sched import Task
    from pygos.mm.mm import Mm

#: The last line of every process' maps.
_VSYSCALL: Final = (
    b"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n"
)


class _Namer:
    """The path of a mapped file as the reader may see it."""

    __slots__ = ("root",)

    def __init__(self, task: Task) -> None:
        self.root = task.fs.root

    def __call__(self, file: File) -> bytes:
        return d_path(file.f_path, self.root)


@synthetic("maps", 0o444, require_access)
def maps(task: Task, target: Any) -> bytes:
    """The mappings, by address."""
    mm = mm_of(target)
    return show_maps(mm, _Namer(task)) + _VSYSCALL if mm is not None else b""


@synthetic("smaps", 0o444, require_access)
def smaps(task: Task, target: Any) -> bytes:
    """The mappings with what they use."""
    mm = mm_of(target)
    return b"".join(show_smaps(mm, _Namer(task))) if mm is not None else b""


@synthetic("smaps_rollup", 0o444, require_access)
def smaps_rollup(task: Task, target: Any) -> bytes:
    """The sum of all mappings."""
    mm = mm_of(target)
    return show_smaps_rollup(mm) if mm is not None else b""


class MemFileOperations(SyntheticFileOperations):
    """The memory of the process, at its own addresses, as ptrace(2) reads and writes it."""

    __slots__ = ()

    def read(self, task: Task, file: File, buf: IoBuffer, pos: int) -> int:
        mm = self._mm(file)
        done = 0
        while mm is not None and buf.length:
            step = min(buf.length, 4096 - (pos & 0xFFF))
            data = access_remote_vm(mm, pos, step)
            if not data:
                if done:
                    break
                raise EIO
            moved = buf.put(data)
            done += moved
            pos += moved
            if moved < step:
                break
        return done

    def write(self, task: Task, file: File, buf: IoBuffer, pos: int) -> int:
        mm = self._mm(file)
        done = 0
        while mm is not None and buf.length:
            data = buf.take(min(buf.length, 4096 - (pos & 0xFFF)))
            if len(access_remote_vm(mm, pos, len(data), data)) < len(data):
                if done:
                    break
                raise EIO
            done += len(data)
            pos += len(data)
        return done

    @staticmethod
    def _mm(file: File) -> Mm | None:
        """The address space as it was at open; None once nobody lives in it."""
        mm: Mm | None = file.private_data
        return mm if mm is not None and mm.users > 0 else None

    def open(self, task: Task, inode: Inode, file: File) -> None:
        super().open(task, inode, file)
        subject: Any = inode
        file.private_data = mm_of(subject.target)

    def llseek(self, task: Task, file: File, offset: int, whence: int) -> int:
        file.f_pos = super().llseek(task, file, offset, whence)
        return file.f_pos


MEM: Final = Synthetic("mem", 0o600, None, None, require_mem_access, MemFileOperations())
