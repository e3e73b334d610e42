# SPDX-License-Identifier: Apache-2.0
"""Credentials of a task: immutable, replaced as a whole (struct cred, credentials(7))."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.include.dataclass import dataclass

if TYPE_CHECKING:
    from pygos.include.linux.fs import Inode
    from pygos.include.linux.user_namespace import UserNamespace

CAP_FULL = (1 << 41) - 1


@dataclass(slots=True, frozen=True)
class Cred:
    """Capability sets are bit masks by CAP_* number."""

    uid: int = 0
    gid: int = 0
    euid: int = 0
    egid: int = 0
    suid: int = 0
    sgid: int = 0
    fsuid: int = 0
    fsgid: int = 0
    groups: tuple[int, ...] = ()
    cap_inheritable: int = 0
    cap_permitted: int = CAP_FULL
    cap_effective: int = CAP_FULL
    cap_bset: int = CAP_FULL
    cap_ambient: int = 0
    securebits: int = 0
    #: None: the first one. Ids above are the kernel's (include/linux/user_namespace.py).
    user_ns: UserNamespace | None = None

    def capable(self, cap: int) -> bool:
        """Over what belongs to the machine: capabilities of inner namespaces don't count."""
        return bool(self.cap_effective >> cap & 1) and self.user_ns is None

    def ns_capable(self, ns: UserNamespace | None, cap: int) -> bool:
        """Over what belongs to `ns` (None: the first): cap_capable(), user_namespaces(7)."""
        mine = self.user_ns
        while ns is not mine:
            if ns is None or (mine is not None and ns.level <= mine.level):
                return False
            if ns.parent is mine and ns.owner == self.euid:
                return True
            ns = ns.parent
        return bool(self.cap_effective >> cap & 1)

    def inode_capable(self, inode: Inode, cap: int) -> bool:
        """Over an inode: its owner and group must have ids in the namespace."""
        if not self.cap_effective >> cap & 1:
            return False
        ns = self.user_ns
        return ns is None or ns.has_mapping(inode.i_uid, inode.i_gid)

    def in_group(self, gid: int) -> bool:
        return gid == self.fsgid or gid in self.groups
