# SPDX-License-Identifier: Apache-2.0
"""Capabilities: who may, capget(2), capset(2), and how uids and capabilities move together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.dataclass import replace
from pygos.include.errno import EFAULT, EINVAL, EPERM, ESRCH
from pygos.include.linux.pid_namespace import pid_vnr
from pygos.include.linux.syscalls import UserAddr, syscall
from pygos.include.uapi import capability as uapi
from pygos.include.uapi.capability import (
    CAP_FULL_SET,
    CAP_SETPCAP,
    SECBIT_KEEP_CAPS,
    SECBIT_NO_SETUID_FIXUP,
    CapUserData,
    CapUserHeader,
)
from pygos.kernel.pid import find_task_by_vpid

if TYPE_CHECKING:
    from pygos.include.linux.cred import Cred
    from pygos.include.linux.sched import Task
    from pygos.include.linux.user_namespace import UserNamespace

_M32: Final = 0xFFFF_FFFF
#: Capabilities about files, which follow the file system uid: CAP_CHOWN, DAC_OVERRIDE,
#: DAC_READ_SEARCH, FOWNER, FSETID, LINUX_IMMUTABLE, MKNOD, MAC_OVERRIDE.
CAP_FS_SET: Final = 0b11111 | 1 << 9 | 1 << 27 | 1 << 32
#: By header version: how many 32-bit words each set has.
_WORDS: Final = {
    uapi._LINUX_CAPABILITY_VERSION_1: uapi._LINUX_CAPABILITY_U32S_1,
    uapi._LINUX_CAPABILITY_VERSION_2: uapi._LINUX_CAPABILITY_U32S_2,
    uapi._LINUX_CAPABILITY_VERSION_3: uapi._LINUX_CAPABILITY_U32S_3,
}


def capable(task: Task, cap: int) -> bool:
    """Has the task this capability over what belongs to the machine?"""
    return task.cred.capable(cap)


def ns_capable(task: Task, ns: UserNamespace | None, cap: int) -> bool:
    """Has the task this capability over what belongs to a user namespace?"""
    return task.cred.ns_capable(ns, cap)


def capable_here(task: Task, cap: int) -> bool:
    """Has the task this capability in its own user namespace?"""
    return bool(task.cred.cap_effective >> cap & 1)


def root_kuid(ns: UserNamespace | None) -> int:
    """The kernel's id of user 0 of a namespace; INVALID_ID if it has none."""
    return 0 if ns is None else ns.make_kuid(0)


def fixup_setuid(old: Cred, new: Cred) -> Cred:
    """Capabilities after the uids changed. capabilities(7), "Effect of user ID changes"."""
    if new.securebits & SECBIT_NO_SETUID_FIXUP:
        return new
    permitted, effective, ambient = new.cap_permitted, new.cap_effective, new.cap_ambient
    root = root_kuid(old.user_ns)
    had_root = root in (old.uid, old.euid, old.suid)
    if had_root and root not in (new.uid, new.euid, new.suid):
        if not new.securebits & SECBIT_KEEP_CAPS:
            permitted = effective = 0
        ambient = 0
    if old.euid == root and new.euid != root:
        effective = 0
    elif old.euid != root and new.euid == root:
        effective = permitted
    return replace(new, cap_permitted=permitted, cap_effective=effective, cap_ambient=ambient)


def fixup_setfsuid(old: Cred, new: Cred) -> Cred:
    """The file capabilities follow the file system uid."""
    if new.securebits & SECBIT_NO_SETUID_FIXUP:
        return new
    root = root_kuid(old.user_ns)
    if old.fsuid == root and new.fsuid != root:
        return replace(new, cap_effective=new.cap_effective & ~CAP_FS_SET)
    if old.fsuid != root and new.fsuid == root:
        raised = new.cap_effective | (new.cap_permitted & CAP_FS_SET)
        return replace(new, cap_effective=raised)
    return new


def _header(task: Task, addr: int, reading: bool) -> tuple[int, int] | None:
    """Words per set and pid; None if only the version was asked for. EINVAL."""
    assert task.mm is not None
    header = CapUserHeader.from_bytes(task.mm.read(addr, CapUserHeader.SIZE))
    words = _WORDS.get(header.version)
    if words is None:
        task.mm.write_u32(addr, uapi._LINUX_CAPABILITY_VERSION_3)
        if reading:
            return None
        raise EINVAL
    return words, header.pid


@syscall
def capget(task: Task, header: UserAddr, dataptr: UserAddr) -> int:
    """Read a thread's capabilities. capget(2). Errors: EINVAL, ESRCH, EFAULT."""
    found = _header(task, header, True)
    if found is None:
        if dataptr:
            raise EINVAL
        return 0
    words, pid = found
    if pid < 0:
        raise EINVAL
    target = task if pid == 0 else find_task_by_vpid(task, pid)
    if target is None:
        raise ESRCH
    if not dataptr:
        return 0
    cred = target.cred
    assert task.mm is not None
    for word in range(words):
        shift = 32 * word
        data = CapUserData(
            cred.cap_effective >> shift & _M32,
            cred.cap_permitted >> shift & _M32,
            cred.cap_inheritable >> shift & _M32,
        )
        task.mm.write(dataptr + word * CapUserData.SIZE, data.to_bytes())
    return 0


@syscall
def capset(task: Task, header: UserAddr, dataptr: UserAddr) -> int:
    """Change one's capabilities. capset(2). Errors: EINVAL, EPERM, EFAULT."""
    found = _header(task, header, False)
    if found is None:
        raise EINVAL
    words, pid = found
    if pid not in (0, pid_vnr(task, task.pid)):
        raise EPERM
    if not dataptr:
        raise EFAULT
    effective, permitted, inheritable = _read_sets(task, dataptr, words)
    from pygos.kernel.cred import commit_creds

    commit_creds(task, _checked_capset(task.cred, effective, permitted, inheritable))
    return 0


def _read_sets(task: Task, addr: int, words: int) -> tuple[int, int, int]:
    effective = permitted = inheritable = 0
    assert task.mm is not None
    for word in range(words):
        at = addr + word * CapUserData.SIZE
        data = CapUserData.from_bytes(task.mm.read(at, CapUserData.SIZE))
        effective |= data.effective << 32 * word
        permitted |= data.permitted << 32 * word
        inheritable |= data.inheritable << 32 * word
    return effective & CAP_FULL_SET, permitted & CAP_FULL_SET, inheritable & CAP_FULL_SET


def _checked_capset(old: Cred, effective: int, permitted: int, inheritable: int) -> Cred:
    """The rules of cap_capset(); EPERM."""
    may_inherit = old.cap_inheritable | old.cap_permitted
    if not old.cap_effective >> CAP_SETPCAP & 1 and inheritable & ~may_inherit:
        raise EPERM
    if inheritable & ~(old.cap_inheritable | old.cap_bset):
        raise EPERM
    if permitted & ~old.cap_permitted or effective & ~permitted:
        raise EPERM
    return replace(
        old,
        cap_effective=effective,
        cap_permitted=permitted,
        cap_inheritable=inheritable,
        cap_ambient=old.cap_ambient & permitted & inheritable,
    )
