# SPDX-License-Identifier: Apache-2.0
"""/proc/PID/{uid_map,gid_map,projid_map,setgroups}: user_namespaces(7).

A map can be written once, in one write. Who opened the file counts as much as who writes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pygos.fs.proc.access import living
from pygos.fs.synthetic import Synthetic, SyntheticFileOperations
from pygos.include.errno import EACCES, EINVAL, EPERM
from pygos.include.linux.fs import FMODE_WRITE, File, Inode
from pygos.include.linux.user_namespace import INVALID_ID, Extent, UserNamespace, map_up
from pygos.include.uapi.capability import CAP_SETFCAP, CAP_SETGID, CAP_SETUID, CAP_SYS_ADMIN

if TYPE_CHECKING:
    from pygos.include.linux.cred import Cred
    from pygos.include.linux.mm_types import IoBuffer
    from pygos.include.linux.sched import Task

_MAX_EXTENTS: Final = 340
_PAGE: Final = 4096
_SPACE: Final = b" \t\n\v\f\r"


class NsFile:
    """private_data: the namespace that the file was opened for, and the text being read."""

    __slots__ = ("ns", "text")

    def __init__(self, ns: UserNamespace) -> None:
        self.ns = ns
        self.text: bytes | None = None


def first_user_ns(task: Task) -> UserNamespace:
    """The machine's first user namespace as an object."""
    from pygos.kernel.user_namespace import NS_OPS

    first = NS_OPS.first(task.machine)
    assert isinstance(first, UserNamespace)
    return first


class NsFileOperations(SyntheticFileOperations):
    """What the files have in common."""

    __slots__ = ()

    def open(self, task: Task, inode: Inode, file: File) -> None:
        target: Any = getattr(inode, "target", None)
        file.private_data = NsFile(living(target).cred.user_ns or first_user_ns(task))

    def read(self, task: Task, file: File, buf: IoBuffer, pos: int) -> int:
        state: NsFile = file.private_data
        if state.text is None or pos == 0:
            state.text = self.show(file, state.ns)
        part = state.text[pos : pos + buf.length]
        return buf.put(part) if part else 0

    def show(self, file: File, ns: UserNamespace) -> bytes:
        """The whole contents."""
        raise NotImplementedError


class IdMapOperations(NsFileOperations):
    """A map: `field` of the namespace; `cap` over the parent allows any ids of it."""

    __slots__ = ("cap", "field")

    def __init__(self, field: str, cap: int) -> None:
        self.field = field
        self.cap = cap

    def show(self, file: File, ns: UserNamespace) -> bytes:
        viewer = file.f_cred.user_ns
        lower: Any = viewer
        if viewer is ns:
            lower = ns.parent
        lines = []
        for first, kernel, count in getattr(ns, self.field):
            seen = kernel if lower is None else map_up(getattr(lower, self.field), kernel)
            lines.append(f"{first:>10} {seen:>10} {count:>10}\n")
        return "".join(lines).encode()

    def write(self, task: Task, file: File, buf: IoBuffer, pos: int) -> int:
        ns: UserNamespace = file.private_data.ns
        count = buf.length
        opener = file.f_cred
        if not ns.level or opener.user_ns not in (ns, ns.parent):
            raise EPERM
        if pos or count >= _PAGE:
            raise EINVAL
        data = buf.take(count)
        if getattr(ns, self.field):
            raise EPERM
        if self.cap >= 0 and not opener.ns_capable(ns, CAP_SYS_ADMIN):
            raise EPERM
        wanted = parse_map(data)
        if not self.permitted(task, opener, ns, wanted):
            raise EPERM
        setattr(ns, self.field, self.in_kernel_ids(ns, wanted))
        return count

    def in_kernel_ids(self, ns: UserNamespace, wanted: list[Extent]) -> tuple[Extent, ...]:
        """The map with the parent's ids translated; each range in one piece. EPERM."""
        parent = ns.parent
        if parent is None:
            return tuple(wanted)
        found = []
        for first, lower, count in wanted:
            kernel = range_down(getattr(parent, self.field), lower, count)
            if kernel == INVALID_ID:
                raise EPERM
            found.append((first, kernel, count))
        return tuple(found)

    def permitted(self, task: Task, opener: Cred, ns: UserNamespace, wanted: list[Extent]) -> bool:
        """May these ids of the parent be given out? (new_idmap_permitted)"""
        if self.cap < 0:
            return True
        if self.cap == CAP_SETUID and not _root_map_ok(opener, ns, wanted):
            return False
        if len(wanted) == 1 and wanted[0][2] == 1 and ns.owner == opener.euid:
            lower = wanted[0][1]
            kernel = (
                lower if ns.parent is None else range_down(getattr(ns.parent, self.field), lower, 1)
            )
            if self.cap == CAP_SETUID and kernel == opener.euid:
                return True
            if self.cap == CAP_SETGID and not ns.setgroups and kernel == opener.egid:
                return True
        return task.cred.ns_capable(ns.parent, self.cap) and opener.ns_capable(ns.parent, self.cap)


def _root_map_ok(opener: Cred, ns: UserNamespace, wanted: list[Extent]) -> bool:
    """Root of the parent may be mapped only by those who could write its file capabilities."""
    if not any(lower == 0 for _, lower, _ in wanted):
        return True
    if opener.user_ns is ns:
        return ns.parent_could_setfcap
    return opener.ns_capable(ns.parent, CAP_SETFCAP)


def range_down(extents: tuple[Extent, ...], number: int, count: int) -> int:
    """Where a range begins in kernel ids; INVALID_ID unless it is in one extent."""
    for first, lower, size in extents:
        if first <= number and number + count <= first + size:
            return number - first + lower
    return INVALID_ID


def parse_map(data: bytes) -> list[Extent]:
    """The lines of a map: "inside outside count". EINVAL."""
    lines = data.split(b"\0")[0].split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    found: list[Extent] = []
    for line in lines:
        extent = _parse_line(line)
        if len(found) == _MAX_EXTENTS or any(_overlap(extent, other) for other in found):
            raise EINVAL
        found.append(extent)
    if not found:
        raise EINVAL
    return found


def _parse_line(line: bytes) -> Extent:
    words = line.split()
    if len(words) != 3 or not all(word.isdigit() and len(word) < 20 for word in words):
        raise EINVAL
    first, lower, count = [int(word) & 0xFFFF_FFFF for word in words]
    if INVALID_ID in (first, lower) or not count:
        raise EINVAL
    if first + count > INVALID_ID or lower + count > INVALID_ID:
        raise EINVAL
    return first, lower, count


def _overlap(one: Extent, other: Extent) -> bool:
    for side in (0, 1):
        if one[side] < other[side] + other[2] and other[side] < one[side] + one[2]:
            return True
    return False


class SetgroupsOperations(NsFileOperations):
    """The file says "allow", or for good "deny"."""

    __slots__ = ()

    def open(self, task: Task, inode: Inode, file: File) -> None:
        super().open(task, inode, file)
        ns: UserNamespace = file.private_data.ns
        target_ns = ns if ns.level else None
        if file.f_mode & FMODE_WRITE and not task.cred.ns_capable(target_ns, CAP_SYS_ADMIN):
            raise EACCES

    def show(self, file: File, ns: UserNamespace) -> bytes:
        return b"allow\n" if ns.setgroups else b"deny\n"

    def write(self, task: Task, file: File, buf: IoBuffer, pos: int) -> int:
        ns: UserNamespace = file.private_data.ns
        count = buf.length
        if pos or count >= 8:
            raise EINVAL
        word = buf.take(count).split(b"\0")[0].rstrip(_SPACE)
        if word == b"allow":
            if not ns.setgroups:
                raise EPERM
        elif word == b"deny":
            if ns.gid_map:
                raise EPERM
            ns.setgroups = False
        else:
            raise EINVAL
        return count


def _map(name: str, cap: int) -> Synthetic:
    return Synthetic(name, 0o644, None, fop=IdMapOperations(name, cap))


UID_MAP: Final = _map("uid_map", CAP_SETUID)
GID_MAP: Final = _map("gid_map", CAP_SETGID)
PROJID_MAP: Final = _map("projid_map", -1)
SETGROUPS: Final = Synthetic("setgroups", 0o644, None, fop=SetgroupsOperations())
