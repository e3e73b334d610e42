# SPDX-License-Identifier: Apache-2.0
"""User namespaces: making and entering them (kernel/user_namespace.c), user_namespaces(7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pygos.include.dataclass import replace
from pygos.include.errno import EINVAL, ENOSPC, EPERM
from pygos.include.linux.cred import CAP_FULL
from pygos.include.linux.ns_common import NsCommon, NsSet
from pygos.include.linux.user_namespace import (
    INVALID_ID,
    UserNamespace,
    in_userns,
    map_up,
    ns_level,
)
from pygos.include.uapi.capability import CAP_SETFCAP, CAP_SYS_ADMIN
from pygos.include.uapi.sched import CLONE_NEWUSER
from pygos.kernel.nsproxy import NsOps, charge_namespace

if TYPE_CHECKING:
    from pygos.include.linux.cred import Cred
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task

#: The deepest namespace is at this level plus one.
_MAX_LEVEL: Final = 32
_ALL_IDS: Final = ((0, 0, 0xFFFF_FFFF),)
_RLIMITS: Final = (6, 8, 11, 12)  # NPROC, MEMLOCK, SIGPENDING, MSGQUEUE


def create_user_ns(task: Task, cred: Cred) -> Cred:
    """Credentials with all capabilities in a new user namespace made by `cred`'s owner.

    Errors: ENOSPC (nesting, user.max_user_namespaces), EPERM (in a chroot; no id in the parent).
    """
    parent = cred.user_ns
    level = ns_level(parent)
    if level > _MAX_LEVEL:
        raise ENOSPC
    ns = UserNamespace(task.machine, parent, level + 1)
    ns.owner, ns.group = cred.euid, cred.egid
    charge_namespace(task, ns, parent, "user")
    if task.machine.fs_hooks.chrooted(task):
        raise EPERM
    if parent is not None:
        if map_up(parent.uid_map, cred.euid) == INVALID_ID:
            raise EPERM
        if map_up(parent.gid_map, cred.egid) == INVALID_ID:
            raise EPERM
    ns.setgroups = parent is None or parent.setgroups
    ns.parent_could_setfcap = bool(cred.cap_effective >> CAP_SETFCAP & 1)
    ns.rlimit_max = {number: task.group.rlim[number][0] for number in _RLIMITS}
    return cred_in(cred, ns)


def cred_in(cred: Cred, ns: UserNamespace | None) -> Cred:
    """The same ids with all capabilities in `ns` (set_cred_user_ns)."""
    return replace(
        cred, user_ns=ns, securebits=0, cap_inheritable=0, cap_permitted=CAP_FULL,
        cap_effective=CAP_FULL, cap_bset=CAP_FULL, cap_ambient=0,
    )  # fmt: skip


class UserNsOps(NsOps):
    """userns_operations; credentials have it, not the set of namespaces."""

    __slots__ = ()
    name = "user"
    flag = CLONE_NEWUSER

    def make_first(self, machine: Machine) -> NsCommon:
        first = UserNamespace(machine, None, 0)
        first.uid_map = first.gid_map = first.projid_map = _ALL_IDS
        return first

    def get(self, task: Task) -> NsCommon | None:
        return task.cred.user_ns

    def install(self, task: Task, nsset: NsSet, ns: Any) -> None:
        new = self.unfirst(task.machine, ns)
        assert new is None or isinstance(new, UserNamespace)
        if new is task.cred.user_ns:
            raise EINVAL
        if any(other is not task and other.alive for other in task.group.threads):
            raise EINVAL
        if task.fs.users != 1:
            raise EINVAL
        if not task.cred.ns_capable(new, CAP_SYS_ADMIN):
            raise EPERM
        nsset.cred = cred_in(task.cred, new)

    def parent(self, ns: Any) -> tuple[bool, NsCommon | None]:
        return True, ns.parent

    def visible(self, task: Task, ns: Any) -> bool:
        return in_userns(task.cred.user_ns, ns)


NS_OPS: Final = UserNsOps()
