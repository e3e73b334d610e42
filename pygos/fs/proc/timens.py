# SPDX-License-Identifier: Apache-2.0
"""/proc/PID/timens_offsets: the clocks of the time namespace for children, time_namespaces(7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pygos.fs.proc.access import living
from pygos.fs.synthetic import Synthetic, SyntheticFileOperations
from pygos.include.errno import EACCES, EINVAL, EPERM, ERANGE
from pygos.include.uapi.capability import CAP_SYS_TIME

if TYPE_CHECKING:
    from pygos.include.linux.fs import File
    from pygos.include.linux.mm_types import IoBuffer
    from pygos.include.linux.sched import Task

_SEC: Final = 1_000_000_000
_KTIME_SEC_MAX: Final = ((1 << 63) - 1) // _SEC
_PAGE: Final = 4096
_FIELDS: Final = {b"monotonic": "monotonic", b"1": "monotonic", b"boottime": "boottime",
                  b"7": "boottime"}  # fmt: skip


def _parse(data: bytes) -> tuple[list[tuple[str, int]], int]:
    """Up to two lines "clock seconds nanoseconds"; and how many bytes they are. EINVAL."""
    lines = data.split(b"\0")[0].split(b"\n")
    found: list[tuple[str, int]] = []
    used = 0
    for line in lines[:2]:
        words = line.split()
        if found and not line and used >= len(data):
            break
        used += len(line) + 1
        if len(words) < 3 or words[0][:9] not in _FIELDS:
            raise EINVAL
        try:
            sec, nsec = int(words[1]), int(words[2])
        except ValueError:
            raise EINVAL from None
        if not 0 <= nsec < _SEC:
            raise EINVAL
        found.append((_FIELDS[words[0][:9]], sec * _SEC + nsec))
    return found, min(used, len(data))


class TimensOperations(SyntheticFileOperations):
    """Reading and writing the offsets."""

    __slots__ = ()

    def text(self, task: Task, file: File) -> bytes:
        inode: Any = file.f_inode
        ns = living(inode.target).nsproxy.time_for_children
        lines = []
        for name in ("monotonic", "boottime"):
            offset = getattr(ns, name) if ns is not None else 0
            lines.append(f"{name:<10} {offset // _SEC:>10} {offset % _SEC:>9}\n")
        return "".join(lines).encode()

    def write(self, task: Task, file: File, buf: IoBuffer, pos: int) -> int:
        if pos or buf.length >= _PAGE:
            raise EINVAL
        inode: Any = file.f_inode
        target = living(inode.target)
        offsets, used = _parse(buf.take(buf.length))
        ns = target.nsproxy.time_for_children
        if not file.f_cred.ns_capable(ns.user_ns if ns is not None else None, CAP_SYS_TIME):
            raise EPERM
        now = task.machine.clock.boottime()
        for _, offset in offsets:
            if abs(offset) // _SEC > _KTIME_SEC_MAX:
                raise ERANGE
            if not 0 <= (now + offset) // _SEC <= _KTIME_SEC_MAX // 2:
                raise ERANGE
        if ns is None or ns.frozen:
            raise EACCES
        for name, offset in offsets:
            setattr(ns, name, offset)
        file.private_data = None
        return used


TIMENS_OFFSETS: Final = Synthetic("timens_offsets", 0o644, None, fop=TimensOperations())
