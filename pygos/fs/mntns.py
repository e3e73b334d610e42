# SPDX-License-Identifier: Apache-2.0
"""Mount namespaces as a kind of namespace: made by clone(2), entered by setns(2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pygos.fs.namespace import copy_mnt_ns, follow_mount
from pygos.include.errno import EINVAL, EPERM
from pygos.include.linux.fs import FsStruct, MntNamespace, Path
from pygos.include.uapi.capability import CAP_SYS_ADMIN, CAP_SYS_CHROOT
from pygos.include.uapi.sched import CLONE_NEWNS
from pygos.kernel.nsproxy import NsOps, charge_namespace

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.ns_common import NsCommon, NsSet
    from pygos.include.linux.sched import Task
    from pygos.include.linux.user_namespace import UserNamespace


class MntNsOps(NsOps):
    """mntns_operations. All tasks have one in their set: there is no None."""

    __slots__ = ()
    name = "mnt"
    flag = CLONE_NEWNS

    def make_first(self, machine: Machine) -> NsCommon:
        return machine.init_mnt_ns

    def unfirst(self, machine: Machine, ns: NsCommon) -> NsCommon | None:
        return ns

    def copy(self, task: Task, old: Any, user_ns: UserNamespace | None, fs: FsStruct) -> NsCommon:
        new = copy_mnt_ns(task, user_ns, fs)
        try:
            charge_namespace(task, new, user_ns, "mnt")
        except BaseException:
            new.ns_free(task.machine)
            raise
        return new

    def install(self, task: Task, nsset: NsSet, ns: Any) -> None:
        assert isinstance(ns, MntNamespace)
        mine, inside = task.cred, nsset.cred.user_ns
        if not (
            mine.ns_capable(ns.user_ns, CAP_SYS_ADMIN)
            and mine.ns_capable(inside, CAP_SYS_CHROOT)
            and mine.ns_capable(inside, CAP_SYS_ADMIN)
        ):
            raise EPERM
        if nsset.fs.users != 1:
            raise EINVAL
        nsset.nsproxy.mnt = ns
        nsset.fs.root = nsset.fs.pwd = follow_mount(Path(ns.root, ns.root.mnt_root))


NS_OPS: Final = MntNsOps()
