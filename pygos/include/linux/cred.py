# SPDX-License-Identifier: Apache-2.0
"""Credentials of a task: immutable, replaced as a whole (struct cred, credentials(7))."""

from __future__ import annotations

from pygos.include.dataclass import dataclass

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

    def capable(self, cap: int) -> bool:
        return bool(self.cap_effective >> cap & 1)

    def in_group(self, gid: int) -> bool:
        return gid == self.fsgid or gid in self.groups
