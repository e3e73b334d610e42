# SPDX-License-Identifier: Apache-2.0
"""What the three kinds of System V IPC have in common (ipc/util.c), sysvipc(7).

An id is an index and, above it, a sequence number, so that the id of a removed object isn't
soon another's. Indices go up and round as Linux hands them out.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final

from pygos.include.errno import EACCES, EEXIST, EINVAL, ENOENT, ENOSPC, EPERM
from pygos.include.linux.user_namespace import (
    INVALID_ID,
    make_kgid,
    make_kuid,
    show_gid,
    show_uid,
)
from pygos.include.uapi.capability import CAP_IPC_OWNER, CAP_SYS_ADMIN
from pygos.include.uapi.ipc import IPC_CREAT, IPC_EXCL, IPC_PRIVATE, Ipc64Perm
from pygos.kernel.capability import ns_capable

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task
    from pygos.ipc.namespace import IpcNamespace

#: Bits of the index in an id; how many objects of a kind there can be at all.
IPCMNI_SHIFT: Final = 15
IPCMNI: Final = 1 << IPCMNI_SHIFT
_IDX_MASK: Final = IPCMNI - 1
_SEQ_MAX: Final = 0x7FFF_FFFF >> IPCMNI_SHIFT
#: Indices go round at least this many before one is used again.
_MIN_CYCLE: Final = 64
S_IRUGO: Final = 0o444
S_IWUGO: Final = 0o222
S_IXUGO: Final = 0o111


class IpcObject:
    """struct kern_ipc_perm: what every object has."""

    __slots__ = ("cgid", "cuid", "deleted", "gid", "id", "key", "mode", "seq", "uid")

    def __init__(self, task: Task, key: int, mode: int) -> None:
        cred = task.cred
        self.key = key
        self.uid = self.cuid = cred.euid
        self.gid = self.cgid = cred.egid
        self.mode = mode & 0o777
        self.id = -1
        self.seq = 0
        #: Removed; sleepers that still know it get EIDRM.
        self.deleted = False


class IpcIds:
    """All objects of one kind in a namespace, by index and by key."""

    __slots__ = ("by_key", "entries", "last_idx", "limit", "max_idx", "next_id", "seq", "spare")

    def __init__(self, limit: int) -> None:
        #: How many there may be (semmni, msgmni, shmmni).
        self.limit = limit
        self.entries: dict[int, IpcObject] = {}
        self.by_key: dict[int, IpcObject] = {}
        self.seq = 0
        self.last_idx = -1
        #: The highest index in use; -1: none.
        self.max_idx = -1
        #: The id that the next object is to have (kernel.*_next_id); -1: any.
        self.next_id = -1
        #: Indices in use, highest first; may hold some that are free again.
        self.spare: list[int] = []

    def __len__(self) -> int:
        return len(self.entries)

    def add(self, obj: IpcObject) -> None:
        """Give an object its id and make it findable. ENOSPC."""
        limit = min(self.limit, IPCMNI)
        if len(self.entries) >= limit:
            raise ENOSPC
        idx = self._next_index(limit) if self.next_id < 0 else self._wanted_index()
        obj.seq = self.seq if self.next_id < 0 else self.next_id >> IPCMNI_SHIFT
        self.next_id = -1
        obj.id = (obj.seq << IPCMNI_SHIFT) + idx
        self.entries[idx] = obj
        heappush(self.spare, -idx)
        self.max_idx = max(self.max_idx, idx)
        if obj.key != IPC_PRIVATE:
            self.by_key[obj.key] = obj

    def _next_index(self, limit: int) -> int:
        """Cyclic: the first free one after the last, within a window above those in use."""
        top = min(max(len(self.entries) * 3 // 2, _MIN_CYCLE), limit)
        idx = self.last_idx + 1
        if idx >= top:
            idx = 0
        start = idx
        while idx in self.entries:
            idx += 1
            if idx >= top:
                idx = 0
            if idx == start:
                break
        if idx in self.entries:
            idx = self._first_free(0)
        if idx <= self.last_idx:
            self.seq = self.seq + 1 if self.seq < _SEQ_MAX else 0
        self.last_idx = idx
        return idx

    def _wanted_index(self) -> int:
        return self._first_free(self.next_id & _IDX_MASK)

    def _first_free(self, idx: int) -> int:
        while idx in self.entries:
            idx += 1
        if idx >= IPCMNI:
            raise ENOSPC
        return idx

    def remove(self, obj: IpcObject) -> None:
        """The object is gone: its id and key are free."""
        del self.entries[obj.id & _IDX_MASK]
        self.forget_key(obj)
        obj.deleted = True
        spare = self.spare
        while spare and -spare[0] not in self.entries:
            heappop(spare)
        self.max_idx = -spare[0] if spare else -1

    def forget_key(self, obj: IpcObject) -> None:
        """The object can no longer be found by its key."""
        if self.by_key.get(obj.key) is obj:
            del self.by_key[obj.key]

    def by_index(self, id: int) -> IpcObject:
        """The object at an index (SEM_STAT and its like). EINVAL."""
        found = self.entries.get(id & _IDX_MASK)
        if id < 0 or found is None:
            raise EINVAL
        return found

    def by_id(self, id: int) -> IpcObject:
        """The object with an id. EINVAL."""
        found = self.entries.get(id & _IDX_MASK)
        if id < 0 or found is None or found.id != id:
            raise EINVAL
        return found


def ipcget(
    task: Task,
    ns: IpcNamespace,
    ids: IpcIds,
    key: int,
    flags: int,
    make: Callable[[Task, IpcNamespace, int, int, int], IpcObject],
    check: Callable[[IpcObject, int], None],
    size: int,
) -> int:
    """semget, msgget, shmget: the id of the object with `key`, or of one that `make` makes.

    Errors: ENOENT, EEXIST, EACCES, and what `make` and `check` say.
    """
    found = ids.by_key.get(key) if key != IPC_PRIVATE else None
    if found is None:
        if key != IPC_PRIVATE and not flags & IPC_CREAT:
            raise ENOENT
        return make(task, ns, key, flags, size).id
    if flags & IPC_CREAT and flags & IPC_EXCL:
        raise EEXIST
    check(found, size)
    ipcperms(task, ns, found, flags)
    return found.id


def ipcperms(task: Task, ns: IpcNamespace, obj: IpcObject, flags: int) -> None:
    """May the task use the object in the ways of `flags` (mode bits of any class)? EACCES."""
    wanted = (flags >> 6) | (flags >> 3) | flags
    granted = obj.mode
    cred = task.cred
    if cred.euid == obj.uid or cred.euid == obj.cuid:
        granted >>= 6
    elif any(gid == cred.egid or gid in cred.groups for gid in (obj.cgid, obj.gid)):
        granted >>= 3
    if wanted & ~granted & 0o7 and not ns_capable(task, ns.user_ns, CAP_IPC_OWNER):
        raise EACCES


def check_owner(task: Task, ns: IpcNamespace, obj: IpcObject) -> None:
    """May the task change or remove the object? EPERM."""
    if task.cred.euid in (obj.cuid, obj.uid):
        return
    if not ns_capable(task, ns.user_ns, CAP_SYS_ADMIN):
        raise EPERM


def update_perm(task: Task, obj: IpcObject, perm: Ipc64Perm) -> None:
    """IPC_SET: owner and mode. EINVAL for ids that don't exist in the caller's namespace."""
    uid, gid = make_kuid(task, perm.uid), make_kgid(task, perm.gid)
    if INVALID_ID in (uid, gid):
        raise EINVAL
    obj.uid, obj.gid = uid, gid
    obj.mode = obj.mode & ~0o777 | perm.mode & 0o777


def fill_perm(task: Task, obj: IpcObject) -> Ipc64Perm:
    """The object's struct ipc64_perm."""
    perm = Ipc64Perm()
    perm.key = obj.key
    perm.uid, perm.gid = show_uid(task, obj.uid), show_gid(task, obj.gid)
    perm.cuid, perm.cgid = show_uid(task, obj.cuid), show_gid(task, obj.cgid)
    perm.mode = obj.mode
    perm.seq = obj.seq
    return perm


def now_seconds(task: Task) -> int:
    """The time that objects are stamped with, s."""
    return task.machine.clock.realtime() // 1_000_000_000
