# SPDX-License-Identifier: Apache-2.0
"""Credentials after an exec (security/commoncap.c, bprm_fill_uid): set-id bits, capabilities.

capabilities(7), "Transformation of capabilities during execve()" and what follows it there.
"""

from __future__ import annotations

from struct import unpack_from
from typing import TYPE_CHECKING, Final

from pygos.include.dataclass import replace
from pygos.include.errno import EINVAL, ENODATA, EOPNOTSUPP, EPERM
from pygos.include.linux.fs import MNT_NOSUID
from pygos.include.linux.ptrace import ptracer_capable
from pygos.include.linux.user_namespace import in_userns
from pygos.include.uapi.capability import (
    CAP_FULL_SET,
    CAP_SETUID,
    SECBIT_KEEP_CAPS,
    SECBIT_NOROOT,
)
from pygos.include.uapi.xattr import XATTR_NAME_CAPS
from pygos.kernel.capability import root_kuid

if TYPE_CHECKING:
    from pygos.include.linux.cred import Cred
    from pygos.include.linux.fs import File, Inode, Mount
    from pygos.include.linux.sched import Task
    from pygos.include.linux.user_namespace import UserNamespace

_S_ISUID, _S_ISGID, _S_IXGRP = 0o4000, 0o2000, 0o010
VFS_CAP_REVISION_MASK: Final = 0xFF00_0000
VFS_CAP_FLAGS_EFFECTIVE: Final = 1
#: Revision -> size of the attribute.
VFS_CAP_SIZES: Final = {0x0100_0000: 12, 0x0200_0000: 20, 0x0300_0000: 24}
VFS_CAP_REVISION_2: Final = 0x0200_0000
VFS_CAP_REVISION_3: Final = 0x0300_0000


class FileCaps:
    """security.capability of a file, for the caller's namespace."""

    __slots__ = ("effective", "inheritable", "permitted", "rootid")

    def __init__(self, permitted: int, inheritable: int, effective: bool, rootid: int) -> None:
        self.permitted = permitted & CAP_FULL_SET
        self.inheritable = inheritable & CAP_FULL_SET
        self.effective = effective
        #: The kernel's id of the root of the namespace that they were given for.
        self.rootid = rootid


def parse_file_caps(data: bytes, fs_ns: UserNamespace | None) -> FileCaps:
    """The attribute's bytes; `fs_ns` is the super block's user namespace. EINVAL."""
    if len(data) < 4:
        raise EINVAL
    magic = int.from_bytes(data[:4], "little")
    revision = magic & VFS_CAP_REVISION_MASK
    if VFS_CAP_SIZES.get(revision) != len(data):
        raise EINVAL
    permitted, inheritable = unpack_from("<II", data, 4)
    rootid = 0
    if revision != 0x0100_0000:
        high_permitted, high_inheritable = unpack_from("<II", data, 12)
        permitted |= high_permitted << 32
        inheritable |= high_inheritable << 32
    if revision == VFS_CAP_REVISION_3:
        rootid = unpack_from("<I", data, 20)[0]
    kuid = rootid if fs_ns is None else fs_ns.make_kuid(rootid)
    return FileCaps(permitted, inheritable, bool(magic & VFS_CAP_FLAGS_EFFECTIVE), kuid)


def rootid_owns(ns: UserNamespace | None, kuid: int) -> bool:
    """Is this user the root of `ns` or of one above it?"""
    while ns is not None:
        if ns.from_kuid(kuid) == 0:
            return True
        ns = ns.parent
    return kuid == 0


def get_file_caps(task: Task, inode: Inode) -> FileCaps | None:
    """The capabilities a file has in the task's namespace; None: none. EINVAL."""
    try:
        data = inode.i_op.getxattr(task, inode, XATTR_NAME_CAPS)
    except (ENODATA, EOPNOTSUPP):
        return None
    caps = parse_file_caps(data, inode.i_sb.s_user_ns)
    return caps if rootid_owns(task.cred.user_ns, caps.rootid) else None


def mnt_may_suid(task: Task, mnt: Mount) -> bool:
    """Do set-id bits and file capabilities of this mount count for the task?"""
    if mnt.mnt_flags & MNT_NOSUID:
        return False
    if mnt.mnt_ns is not task.nsproxy.mnt:
        return False
    return in_userns(mnt.mnt_sb.s_user_ns, task.cred.user_ns)


def cred_for_exec(task: Task, file: File) -> tuple[Cred, bool]:
    """The credentials the program will have, and whether it is "secure" (AT_SECURE).

    Errors: EPERM if the file forces capabilities that the bounding set doesn't allow; EINVAL.
    """
    old = task.cred
    suid_ok = mnt_may_suid(task, file.f_path.mnt)
    euid, egid = _set_ids(task, file) if suid_ok else (old.euid, old.egid)
    caps = get_file_caps(task, file.f_inode) if suid_ok else None
    root = root_kuid(old.user_ns)
    permitted, effective = _permitted(old, caps, euid, root)
    id_changed = euid != old.euid or not old.in_group(egid)
    if (id_changed or permitted & ~old.cap_permitted) and _unsafe(task):
        if task.no_new_privs or not old.cap_effective >> CAP_SETUID & 1:
            euid, egid = old.uid, old.gid
        permitted &= old.cap_permitted
    ambient = 0 if caps is not None or id_changed else old.cap_ambient
    permitted |= ambient
    new = replace(
        old, euid=euid, egid=egid, suid=euid, sgid=egid, fsuid=euid, fsgid=egid,
        cap_permitted=permitted, cap_effective=permitted if effective else ambient,
        cap_ambient=ambient, securebits=old.securebits & ~SECBIT_KEEP_CAPS,
    )  # fmt: skip
    grew = old.uid != root and (effective or permitted & ~ambient)
    secure = bool(id_changed or euid != old.uid or egid != old.gid or grew)
    return (old if new == old else new), secure


def _permitted(old: Cred, caps: FileCaps | None, euid: int, root: int) -> tuple[int, bool]:
    """The permitted set without the ambient one, and: is all of it effective? EPERM."""
    permitted, effective = 0, False
    if caps is not None:
        permitted = (old.cap_bset & caps.permitted) | (old.cap_inheritable & caps.inheritable)
        effective = caps.effective
        if effective and caps.permitted & ~permitted:
            raise EPERM
    if old.securebits & SECBIT_NOROOT:
        return permitted, effective
    if caps is not None and old.uid != root and euid == root:
        return permitted, effective  # a setuid root program that says what it needs of it
    if root in (euid, old.uid):
        permitted = old.cap_bset | old.cap_inheritable
    return permitted, effective or euid == root


def _unsafe(task: Task) -> bool:
    """Could somebody else meddle with a program that gains privileges?"""
    if task.no_new_privs:
        return True
    sharers = sum([thread.alive and thread.fs is task.fs for thread in task.group.threads])
    if task.fs.users > sharers:
        return True
    return not ptracer_capable(task)


def _set_ids(task: Task, file: File) -> tuple[int, int]:
    """Effective ids with the file's setuid and setgid bits applied."""
    old, inode = task.cred, file.f_inode
    mode = inode.i_mode
    if not mode & (_S_ISUID | _S_ISGID) or task.no_new_privs:
        return old.euid, old.egid
    ns = old.user_ns
    if ns is not None and not ns.has_mapping(inode.i_uid, inode.i_gid):
        return old.euid, old.egid
    euid = inode.i_uid if mode & _S_ISUID else old.euid
    setgid = mode & (_S_ISGID | _S_IXGRP) == _S_ISGID | _S_IXGRP
    egid = inode.i_gid if setgid else old.egid
    return euid, egid
