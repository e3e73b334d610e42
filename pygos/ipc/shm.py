# SPDX-License-Identifier: Apache-2.0
"""System V shared memory: segments, shmget(2), shmctl(2) (ipc/shm.c). Attaching: shmat.py.

A segment is an unlinked file in memory. Its attachments are the VMAs that map it, so that
``i_mmap`` counts them; the last one that goes ends a segment marked SHM_DEST.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from pygos.fs.inode import iput
from pygos.include.errno import EINVAL, ENOMEM, ENOSPC, EPERM
from pygos.include.linux.pid_namespace import pid_vnr
from pygos.include.linux.syscalls import Flags, Int, Size, UserAddr, syscall
from pygos.include.uapi.capability import CAP_IPC_LOCK
from pygos.include.uapi.ipc import (
    IPC_INFO,
    IPC_PRIVATE,
    IPC_RMID,
    IPC_SET,
    IPC_STAT,
    SHM_HUGE_MASK,
    SHM_HUGE_SHIFT,
    SHM_HUGETLB,
    SHM_INFO,
    SHM_LOCK,
    SHM_NORESERVE,
    SHM_STAT,
    SHM_STAT_ANY,
    SHM_UNLOCK,
    SHMMIN,
    Shmid64Ds,
    ShmInfo,
    Shminfo64,
)
from pygos.include.uapi.resource import RLIMIT_MEMLOCK
from pygos.ipc.namespace import IpcNamespace, ipc_ns, ipc_state
from pygos.ipc.util import (
    S_IRUGO,
    IpcObject,
    check_owner,
    fill_perm,
    ipcget,
    ipcperms,
    now_seconds,
    update_perm,
)
from pygos.kernel.capability import capable, ns_capable
from pygos.mm.overcommit import vm_enough_memory
from pygos.mm.shmem import shmem_inode

if TYPE_CHECKING:
    from pygos.include.linux.fs import Inode
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task

#: Bits of a segment's mode.
SHM_DEST: Final = 0o1000
SHM_LOCKED: Final = 0o2000
#: What a segment costs beyond its pages, bytes.
_SEGMENT_SIZE: Final = 2048
#: machine.misc: pages locked by SHM_LOCK, by user.
_LOCKED: Final = "shm_locked"


class ShmSegment(IpcObject):
    """struct shmid_kernel. Times in s."""

    __slots__ = (
        "atime", "commit", "cpid", "creator", "ctime", "dtime", "inode", "locked_by", "lpid",
        "name", "ns", "segsz",
    )  # fmt: skip

    def __init__(self, task: Task, ns: IpcNamespace, key: int, mode: int, size: int) -> None:
        super().__init__(task, key, mode)
        self.ns = ns
        self.segsz = size
        #: As /proc/PID/maps shows it, whatever becomes of the key.
        self.name = b"SYSV%08x" % (key & 0xFFFF_FFFF)
        self.inode: Inode = shmem_inode(task.machine, size)
        self.inode.i_mode = self.inode.i_mode & ~0o777 | mode & 0o777
        self.inode.i_uid, self.inode.i_gid = self.uid, self.gid
        self.atime = self.dtime = 0
        self.ctime = now_seconds(task)
        self.cpid = task.tgid
        self.lpid = 0
        #: The task that made it; None: it has ended (shm_rmid_forced).
        self.creator: Task | None = task
        #: Pages promised (overcommit).
        self.commit = 0
        #: The user that has locked it; -1: nobody.
        self.locked_by = -1

    @property
    def pages(self) -> int:
        return (self.segsz + 0xFFF) >> 12

    @property
    def nattch(self) -> int:
        mapping = self.inode.i_mapping
        assert mapping is not None
        return len(mapping.i_mmap)

    @property
    def resident(self) -> int:
        """Pages in memory."""
        mapping = self.inode.i_mapping
        assert mapping is not None
        return len(mapping.pages)


class ShmList:
    """task.sysvshm: the segments that a task has made."""

    __slots__ = ("segments",)

    def __init__(self) -> None:
        self.segments: dict[ShmSegment, None] = {}

    def exit(self, task: Task) -> None:
        """The task ends: with kernel.shm_rmid_forced its unused segments end with it."""
        for segment in tuple(self.segments):
            segment.creator = None
            if may_destroy(segment):
                destroy_segment(task.machine, segment)


def may_destroy(segment: ShmSegment) -> bool:
    """Is a segment unused and to go when it is?"""
    if segment.deleted or segment.nattch:
        return False
    return bool(segment.ns.shm_rmid_forced or segment.mode & SHM_DEST)


def destroy_segment(machine: Machine, segment: ShmSegment) -> None:
    """The segment ends; its memory goes with the last reference of its inode."""
    ns = segment.ns
    ns.shm.remove(segment)
    ns.shm_tot -= segment.pages
    _unlock(machine, segment)
    machine.commit_pages -= segment.commit
    segment.commit = 0
    _disown(segment)
    ipc_state(machine).uncharge(_SEGMENT_SIZE)
    iput(segment.inode)


def remove_segment(machine: Machine, ns: IpcNamespace, segment: ShmSegment) -> None:
    """IPC_RMID, and the end of a namespace: at once, or when nobody uses it any more."""
    if segment.nattch:
        segment.mode |= SHM_DEST
        ns.shm.forget_key(segment)
        segment.key = IPC_PRIVATE
    else:
        destroy_segment(machine, segment)


def _disown(segment: ShmSegment) -> None:
    creator = segment.creator
    segment.creator = None
    if creator is not None and creator.sysvshm is not None:
        creator.sysvshm.segments.pop(segment, None)


def destroy_orphans(machine: Machine, ns: IpcNamespace) -> None:
    """kernel.shm_rmid_forced is set: unused segments of ended tasks go."""
    for segment in tuple(cast("dict[int, ShmSegment]", ns.shm.entries).values()):
        if segment.creator is None and may_destroy(segment):
            destroy_segment(machine, segment)


# -- shmget


@syscall
def shmget(task: Task, key: Int, size: Size, shmflg: Flags) -> int:
    """The id of a shared memory segment. shmget(2).

    Errors: EINVAL, ENOENT, EEXIST, EACCES, ENOSPC, ENOMEM. There are no huge pages.
    """
    ns = ipc_ns(task)
    return ipcget(task, ns, ns.shm, key, shmflg, _new_segment, _check_size, size)


def _check_size(obj: IpcObject, size: int) -> None:
    if size > cast("ShmSegment", obj).segsz:
        raise EINVAL


def _new_segment(task: Task, ns: IpcNamespace, key: int, flags: int, size: int) -> ShmSegment:
    if not SHMMIN <= size <= ns.shmmax:
        raise EINVAL
    pages = (size + 0xFFF) >> 12
    if pages << 12 >= 1 << 64 or ns.shm_tot + pages > ns.shmall:
        raise ENOSPC
    if flags & SHM_HUGETLB:
        # As with an empty pool of 2 MiB pages.
        order = flags >> SHM_HUGE_SHIFT & SHM_HUGE_MASK
        raise ENOMEM if order in (0, 21) else EINVAL
    if size > (1 << 63) - 1:
        raise EINVAL
    commit = 0 if flags & SHM_NORESERVE else pages
    assert task.mm is not None
    vm_enough_memory(task.mm, commit)
    state = ipc_state(task.machine)
    state.charge(_SEGMENT_SIZE)
    segment = ShmSegment(task, ns, key, flags, size)
    try:
        ns.shm.add(segment)
    except ENOSPC:
        state.uncharge(_SEGMENT_SIZE)
        iput(segment.inode)
        raise
    segment.inode.i_ino = segment.id
    segment.commit = commit
    task.machine.commit_pages += commit
    ns.shm_tot += pages
    if task.sysvshm is None:
        task.sysvshm = ShmList()
    task.sysvshm.segments[segment] = None
    return segment


def shm_obtain(ns: IpcNamespace, shmid: int) -> ShmSegment:
    """The segment with an id. EINVAL."""
    return cast("ShmSegment", ns.shm.by_id(shmid))


# -- shmctl


@syscall
def shmctl(task: Task, shmid: Int, cmd: Int, buf: UserAddr) -> int:
    """Ask about, set, lock or remove a segment. shmctl(2).

    Errors: EINVAL, EACCES, EPERM, EFAULT, ENOMEM.
    """
    if cmd < 0 or shmid < 0:
        raise EINVAL
    ns = ipc_ns(task)
    if cmd == IPC_INFO:
        return _limits(task, ns, buf)
    if cmd == SHM_INFO:
        return _usage(task, ns, buf)
    if cmd in (IPC_STAT, SHM_STAT, SHM_STAT_ANY):
        return _stat(task, ns, shmid, cmd, buf)
    if cmd in (IPC_SET, IPC_RMID):
        return _down(task, ns, shmid, cmd, buf)
    if cmd in (SHM_LOCK, SHM_UNLOCK):
        return _lock(task, ns, shmid, cmd)
    raise EINVAL


def _limits(task: Task, ns: IpcNamespace, buf: int) -> int:
    info = Shminfo64()
    info.shmmni = info.shmseg = ns.shm.limit
    info.shmmax, info.shmall, info.shmmin = ns.shmmax, ns.shmall, SHMMIN
    assert task.mm is not None
    task.mm.write(buf, info.to_bytes())
    return max(ns.shm.max_idx, 0)


def _usage(task: Task, ns: IpcNamespace, buf: int) -> int:
    info = ShmInfo()
    info.used_ids, info.shm_tot = len(ns.shm), ns.shm_tot
    segments = cast("dict[int, ShmSegment]", ns.shm.entries)
    info.shm_rss = sum(segment.resident for segment in segments.values())
    assert task.mm is not None
    task.mm.write(buf, info.to_bytes())
    return max(ns.shm.max_idx, 0)


def _stat(task: Task, ns: IpcNamespace, shmid: int, cmd: int, buf: int) -> int:
    segment = cast("ShmSegment", (ns.shm.by_id if cmd == IPC_STAT else ns.shm.by_index)(shmid))
    if cmd != SHM_STAT_ANY:
        ipcperms(task, ns, segment, S_IRUGO)
    ds = Shmid64Ds()
    ds.shm_perm = fill_perm(task, segment)
    ds.shm_segsz, ds.shm_nattch = segment.segsz, segment.nattch
    ds.shm_atime, ds.shm_dtime, ds.shm_ctime = segment.atime, segment.dtime, segment.ctime
    ds.shm_cpid, ds.shm_lpid = pid_vnr(task, segment.cpid), pid_vnr(task, segment.lpid)
    assert task.mm is not None
    task.mm.write(buf, ds.to_bytes())
    return 0 if cmd == IPC_STAT else segment.id


def _down(task: Task, ns: IpcNamespace, shmid: int, cmd: int, buf: int) -> int:
    """IPC_SET and IPC_RMID."""
    ds = None
    if cmd == IPC_SET:
        assert task.mm is not None
        ds = Shmid64Ds.from_bytes(task.mm.read(buf, Shmid64Ds.SIZE))
    segment = shm_obtain(ns, shmid)
    check_owner(task, ns, segment)
    if ds is not None:
        update_perm(task, segment, ds.shm_perm)
        segment.ctime = now_seconds(task)
    else:
        remove_segment(task.machine, ns, segment)
    return 0


def _lock(task: Task, ns: IpcNamespace, shmid: int, cmd: int) -> int:
    """SHM_LOCK and SHM_UNLOCK: memory here is never swapped, so that only counts."""
    segment = shm_obtain(ns, shmid)
    if not ns_capable(task, ns.user_ns, CAP_IPC_LOCK):
        if task.cred.euid not in (segment.uid, segment.cuid):
            raise EPERM
        if cmd == SHM_LOCK and not task.group.rlim[RLIMIT_MEMLOCK][0]:
            raise EPERM
    if cmd == SHM_UNLOCK:
        _unlock(task.machine, segment)
    elif not segment.mode & SHM_LOCKED:
        table = _locked(task.machine)
        user = task.cred.uid
        pages = table.get(user, 0) + segment.pages
        limit = task.group.rlim[RLIMIT_MEMLOCK][0] >> 12
        if pages > limit and not capable(task, CAP_IPC_LOCK):
            raise ENOMEM
        table[user] = pages
        segment.locked_by = user
        segment.mode |= SHM_LOCKED
    return 0


def _locked(machine: Machine) -> dict[int, int]:
    table: dict[int, int] = machine.misc.setdefault(_LOCKED, {})
    return table


def _unlock(machine: Machine, segment: ShmSegment) -> None:
    if segment.mode & SHM_LOCKED:
        segment.mode &= ~SHM_LOCKED
        table = _locked(machine)
        table[segment.locked_by] -= segment.pages
        if not table[segment.locked_by]:
            del table[segment.locked_by]
        segment.locked_by = -1
