# SPDX-License-Identifier: Apache-2.0
"""User and group ids: credentials(7), setuid(2) and the rest of the family (kernel/sys.c).

A ``Cred`` is immutable; ``commit_creds`` puts a new one in place with all side effects.
It holds the kernel's ids; programs give and see those of their user namespace. "No id" and
"leave it" is -1 as an unsigned 32-bit number, which no namespace maps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.dataclass import replace
from pygos.include.errno import EINVAL, EPERM
from pygos.include.linux.syscalls import OutInt, UInt, syscall
from pygos.include.linux.user_namespace import make_kgid, make_kuid, show_gid, show_uid
from pygos.include.uapi.capability import CAP_SETGID, CAP_SETUID
from pygos.kernel.capability import (
    capable,
    capable_here,
    fixup_setfsuid,
    fixup_setuid,
    ns_capable,
)
from pygos.mm.instub import arm_thread, disarm_thread

if TYPE_CHECKING:
    from pygos.include.linux.cred import Cred
    from pygos.include.linux.sched import Task

__all__ = ["capable", "commit_creds", "ns_capable"]

#: "Leave it alone" and "no such id".
NONE: Final = 0xFFFF_FFFF


def commit_creds(task: Task, new: Cred) -> None:
    """Make `new` the task's credentials. A change of identity makes it undumpable."""
    old = task.cred
    changed = (
        old.euid != new.euid
        or old.egid != new.egid
        or old.fsuid != new.fsuid
        or old.fsgid != new.fsgid
        or not _caps_subset(old, new)
    )
    if changed:
        dumpable = int(task.machine.sysctl.get("fs.suid_dumpable", 0))
        task.dumpable = dumpable
        if task.mm is not None:
            task.mm.dumpable = dumpable
        task.pdeath_signal = 0
    task.cred = new
    disarm_thread(task)


def _caps_subset(old: Cred, new: Cred) -> bool:
    """Has `new` no more power than `old`? (cred_cap_issubset)"""
    if old.user_ns is new.user_ns and not new.cap_permitted & ~old.cap_permitted:
        return True
    ns = new.user_ns
    while ns is not None:
        if ns.parent is old.user_ns and ns.owner == old.euid:
            return True
        ns = ns.parent
    return False


def _set_user(task: Task, new: Cred) -> Cred:
    """Another real user: is it over its number of processes? An exec will then fail."""
    if new.uid != task.cred.uid:
        from pygos.kernel.ucount import nproc_exceeded

        task.nproc_exceeded = new.uid != 0 and nproc_exceeded(task, new)
    return new


def _kuid(task: Task, uid: int) -> int:
    """A user id given to a call that takes -1 for none. EINVAL if it isn't mapped."""
    kuid = make_kuid(task, uid)
    if kuid == NONE and uid != NONE:
        raise EINVAL
    return kuid


def _kgid(task: Task, gid: int) -> int:
    """A group id given to a call that takes -1 for none. EINVAL if it isn't mapped."""
    kgid = make_kgid(task, gid)
    if kgid == NONE and gid != NONE:
        raise EINVAL
    return kgid


# -- reading


@syscall
def getuid(task: Task) -> int:
    """The real user id. getuid(2)."""
    arm_thread(task)
    cred = task.cred
    return cred.uid if cred.user_ns is None else show_uid(task, cred.uid)


@syscall
def geteuid(task: Task) -> int:
    """The effective user id. geteuid(2)."""
    arm_thread(task)
    cred = task.cred
    return cred.euid if cred.user_ns is None else show_uid(task, cred.euid)


@syscall
def getgid(task: Task) -> int:
    """The real group id. getgid(2)."""
    arm_thread(task)
    cred = task.cred
    return cred.gid if cred.user_ns is None else show_gid(task, cred.gid)


@syscall
def getegid(task: Task) -> int:
    """The effective group id. getegid(2)."""
    arm_thread(task)
    cred = task.cred
    return cred.egid if cred.user_ns is None else show_gid(task, cred.egid)


@syscall
def getresuid(task: Task, ruid: OutInt, euid: OutInt, suid: OutInt) -> int:
    """All three user ids. getresuid(2). Errors: EFAULT."""
    cred = task.cred
    ruid.put32(show_uid(task, cred.uid))
    euid.put32(show_uid(task, cred.euid))
    suid.put32(show_uid(task, cred.suid))
    return 0


@syscall
def getresgid(task: Task, rgid: OutInt, egid: OutInt, sgid: OutInt) -> int:
    """All three group ids. getresgid(2). Errors: EFAULT."""
    cred = task.cred
    rgid.put32(show_gid(task, cred.gid))
    egid.put32(show_gid(task, cred.egid))
    sgid.put32(show_gid(task, cred.sgid))
    return 0


# -- user ids


@syscall
def setuid(task: Task, uid: UInt) -> int:
    """Set the effective user id; with CAP_SETUID all three. setuid(2). EINVAL, EPERM."""
    old = task.cred
    uid = make_kuid(task, uid)
    if uid == NONE:
        raise EINVAL
    if capable_here(task, CAP_SETUID):
        new = replace(old, uid=uid, suid=uid, euid=uid, fsuid=uid)
    elif uid in (old.uid, old.suid):
        new = replace(old, euid=uid, fsuid=uid)
    else:
        raise EPERM
    commit_creds(task, _set_user(task, fixup_setuid(old, new)))
    return 0


@syscall
def setreuid(task: Task, ruid: UInt, euid: UInt) -> int:
    """Set the real and effective user ids; -1 leaves one. setreuid(2). Errors: EPERM."""
    old = task.cred
    ruid, euid = _kuid(task, ruid), _kuid(task, euid)
    may = capable_here(task, CAP_SETUID)
    if ruid != NONE and not may and ruid not in (old.uid, old.euid):
        raise EPERM
    if euid != NONE and not may and euid not in (old.uid, old.euid, old.suid):
        raise EPERM
    uid = old.uid if ruid == NONE else ruid
    new_euid = old.euid if euid == NONE else euid
    suid = old.suid
    if ruid != NONE or (euid != NONE and euid != old.uid):
        suid = new_euid
    new = replace(old, uid=uid, euid=new_euid, suid=suid, fsuid=new_euid)
    commit_creds(task, _set_user(task, fixup_setuid(old, new)))
    return 0


@syscall
def setresuid(task: Task, ruid: UInt, euid: UInt, suid: UInt) -> int:
    """Set all three user ids; -1 leaves one. setresuid(2). Errors: EPERM."""
    old = task.cred
    ruid, euid, suid = _kuid(task, ruid), _kuid(task, euid), _kuid(task, suid)
    _check_res(task, (ruid, euid, suid), (old.uid, old.euid, old.suid), CAP_SETUID)
    new = replace(
        old,
        uid=old.uid if ruid == NONE else ruid,
        euid=old.euid if euid == NONE else euid,
        suid=old.suid if suid == NONE else suid,
    )
    commit_creds(task, _set_user(task, fixup_setuid(old, replace(new, fsuid=new.euid))))
    return 0


def _check_res(task: Task, wanted: tuple[int, ...], mine: tuple[int, ...], cap: int) -> None:
    if not capable_here(task, cap) and any(one != NONE and one not in mine for one in wanted):
        raise EPERM


@syscall
def setfsuid(task: Task, uid: UInt) -> int:
    """Set the user id for file access. setfsuid(2). Returns the old one, never an error."""
    old = task.cred
    uid = make_kuid(task, uid)
    allowed = uid in (old.uid, old.euid, old.suid, old.fsuid) or capable_here(task, CAP_SETUID)
    if uid != NONE and uid != old.fsuid and allowed:
        commit_creds(task, fixup_setfsuid(old, replace(old, fsuid=uid)))
    return show_uid(task, old.fsuid)


# -- group ids


@syscall
def setgid(task: Task, gid: UInt) -> int:
    """Set the effective group id; with CAP_SETGID all three. setgid(2). EINVAL, EPERM."""
    old = task.cred
    gid = make_kgid(task, gid)
    if gid == NONE:
        raise EINVAL
    if capable_here(task, CAP_SETGID):
        new = replace(old, gid=gid, egid=gid, sgid=gid, fsgid=gid)
    elif gid in (old.gid, old.sgid):
        new = replace(old, egid=gid, fsgid=gid)
    else:
        raise EPERM
    commit_creds(task, new)
    return 0


@syscall
def setregid(task: Task, rgid: UInt, egid: UInt) -> int:
    """Set the real and effective group ids; -1 leaves one. setregid(2). Errors: EPERM."""
    old = task.cred
    rgid, egid = _kgid(task, rgid), _kgid(task, egid)
    may = capable_here(task, CAP_SETGID)
    if rgid != NONE and not may and rgid not in (old.gid, old.egid):
        raise EPERM
    if egid != NONE and not may and egid not in (old.gid, old.egid, old.sgid):
        raise EPERM
    new_egid = old.egid if egid == NONE else egid
    sgid = old.sgid
    if rgid != NONE or (egid != NONE and egid != old.gid):
        sgid = new_egid
    gid = old.gid if rgid == NONE else rgid
    commit_creds(task, replace(old, gid=gid, egid=new_egid, sgid=sgid, fsgid=new_egid))
    return 0


@syscall
def setresgid(task: Task, rgid: UInt, egid: UInt, sgid: UInt) -> int:
    """Set all three group ids; -1 leaves one. setresgid(2). Errors: EPERM."""
    old = task.cred
    rgid, egid, sgid = _kgid(task, rgid), _kgid(task, egid), _kgid(task, sgid)
    _check_res(task, (rgid, egid, sgid), (old.gid, old.egid, old.sgid), CAP_SETGID)
    new = replace(
        old,
        gid=old.gid if rgid == NONE else rgid,
        egid=old.egid if egid == NONE else egid,
        sgid=old.sgid if sgid == NONE else sgid,
    )
    commit_creds(task, replace(new, fsgid=new.egid))
    return 0


@syscall
def setfsgid(task: Task, gid: UInt) -> int:
    """Set the group id for file access. setfsgid(2). Returns the old one, never an error."""
    old = task.cred
    gid = make_kgid(task, gid)
    allowed = gid in (old.gid, old.egid, old.sgid, old.fsgid) or capable_here(task, CAP_SETGID)
    if gid != NONE and gid != old.fsgid and allowed:
        commit_creds(task, replace(old, fsgid=gid))
    return show_gid(task, old.fsgid)
