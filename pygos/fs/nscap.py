# SPDX-License-Identifier: Apache-2.0
"""security.capability as programs write and read it (security/commoncap.c), capabilities(7).

On the file it has the id of the root user of the namespace that it was given for, unless that
is the file system's own: version 3; else version 2. Readers see the version that is right for
their namespace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.include.errno import EINVAL, EOVERFLOW, EPERM
from pygos.include.linux.user_namespace import INVALID_ID, make_kuid
from pygos.include.uapi.capability import CAP_SETFCAP
from pygos.kernel.exec_cred import (
    VFS_CAP_FLAGS_EFFECTIVE,
    VFS_CAP_REVISION_2,
    VFS_CAP_REVISION_3,
    VFS_CAP_REVISION_MASK,
    VFS_CAP_SIZES,
    rootid_owns,
)

if TYPE_CHECKING:
    from pygos.include.linux.fs import Inode
    from pygos.include.linux.sched import Task


def _root(data: bytes) -> int:
    """The id of the root user in an attribute of version 2 or 3. EINVAL."""
    if len(data) >= 4:
        revision = int.from_bytes(data[:4], "little") & VFS_CAP_REVISION_MASK
        if VFS_CAP_SIZES.get(revision) == len(data) and len(data) > 12:
            return int.from_bytes(data[20:24], "little")
    raise EINVAL


def _version3(data: bytes, root: int) -> bytes:
    flags = int.from_bytes(data[:4], "little") & VFS_CAP_FLAGS_EFFECTIVE
    head = (VFS_CAP_REVISION_3 | flags).to_bytes(4, "little")
    return head + data[4:20] + root.to_bytes(4, "little")


def convert_nscap(task: Task, inode: Inode, data: bytes) -> bytes:
    """What is stored when a program sets the attribute. EINVAL, EPERM."""
    root = _root(data)
    if not task.cred.inode_capable(inode, CAP_SETFCAP):
        raise EPERM
    fs_ns = inode.i_sb.s_user_ns
    if len(data) == 20 and task.cred.ns_capable(fs_ns, CAP_SETFCAP):
        return data
    kuid = make_kuid(task, root)
    stored = kuid if fs_ns is None else fs_ns.from_kuid(kuid)
    if INVALID_ID in (kuid, stored):
        raise EINVAL
    return _version3(data, stored)


def show_nscap(task: Task, inode: Inode, data: bytes) -> bytes:
    """What a program that gets the attribute sees. EINVAL, EOVERFLOW."""
    root = _root(data)
    fs_ns, ns = inode.i_sb.s_user_ns, task.cred.user_ns
    kuid = root if fs_ns is None else fs_ns.make_kuid(root)
    mapped = kuid if ns is None else ns.from_kuid(kuid)
    if mapped not in (0, INVALID_ID):
        return _version3(data, mapped)
    if not rootid_owns(ns, kuid):
        raise EOVERFLOW
    flags = int.from_bytes(data[:4], "little") & VFS_CAP_FLAGS_EFFECTIVE
    return (VFS_CAP_REVISION_2 | flags).to_bytes(4, "little") + data[4:20]
