# SPDX-License-Identifier: Apache-2.0
"""Sets of namespaces: making, sharing, entering them (kernel/nsproxy.c).

How a kind of namespace is added:

* Its class derives from ``NsCommon`` (include/linux/ns_common.py), with ``ns_name`` and
  ``ns_flag``, and a field of that kind is in ``NsProxy``. None in the field is the first one.
* A module has ``NS_OPS: Final = SomeOps()``, an instance of a subclass of ``NsOps`` below:
  ``copy()`` makes a new one for clone(2) and unshare(2); ``install()`` puts one into the set
  that setns(2) prepares; ``first()`` is the object that None stands for (what nsfs shows);
  ``parent()`` for NS_GET_PARENT. All but ``copy()`` have defaults that do for most kinds.
* The module is named in ``NS_MODULES`` (pygos/init/namespaces.py), in the order in which Linux
  makes them; it is imported when the first such namespace is made or looked at.
* When the last set and the last open nsfs file that have one go, its ``ns_free()`` is called.

``NsCommon.user_ns`` is the user namespace whose capabilities count over the things in it:
``task.cred.ns_capable(ns.user_ns, CAP_...)``. Limits (/proc/sys/user/max_*) and the numbers
of nsfs are this module's business.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from pygos.include.errno import EINVAL, ENOSPC, EPERM
from pygos.include.linux.fs import FsStruct
from pygos.include.linux.ns_common import NsCommon, NsProxy, NsSet
from pygos.include.uapi import sched as uapi
from pygos.include.uapi.capability import CAP_SYS_ADMIN

if TYPE_CHECKING:
    from weakref import WeakSet

    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task
    from pygos.include.linux.user_namespace import UserNamespace

#: All kinds but the user namespace, which belongs to the credentials.
NEW_NAMESPACES: Final = (
    uapi.CLONE_NEWNS | uapi.CLONE_NEWUTS | uapi.CLONE_NEWIPC | uapi.CLONE_NEWPID
    | uapi.CLONE_NEWCGROUP | uapi.CLONE_NEWNET | uapi.CLONE_NEWTIME
)  # fmt: skip
#: Numbers of the first namespaces (include/uapi/linux/nsfs.h), and of those made later.
FIRST_INUM: Final = {
    "ipc": 4026531839, "uts": 4026531838, "user": 4026531837, "pid": 4026531836,
    "cgroup": 4026531835, "time": 4026531834, "net": 4026531833, "mnt": 4026531832,
}  # fmt: skip
_DYNAMIC_FIRST: Final = 0xF000_0000
_FIELDS: Final = (
    "mnt", "uts", "ipc", "pid_for_children", "net", "cgroup", "time", "time_for_children",
)  # fmt: skip


class NsOps:
    """One kind of namespace (struct proc_ns_operations)."""

    __slots__ = ()
    name = ""
    flag = 0
    #: The field of NsProxy, if it isn't called as the kind.
    field = ""

    def first(self, machine: Machine) -> NsCommon:
        """The object that None stands for; the same at each call."""
        table: dict[str, NsCommon] = machine.misc.setdefault("first_ns", {})
        found = table.get(self.name)
        if found is None:
            found = table[self.name] = self.make_first(machine)
            found.inum = FIRST_INUM[self.name]
        return found

    def make_first(self, machine: Machine) -> NsCommon:
        """Make it: a kind whose first one has an object of its own gives that."""
        return FirstNs(self.name, self.flag)

    def get(self, task: Task) -> NsCommon | None:
        """The one that a task is in."""
        found: NsCommon | None = getattr(task.nsproxy, self.field or self.name)
        return found

    def copy(self, task: Task, old: Any, user_ns: UserNamespace | None, fs: FsStruct) -> NsCommon:
        """A new one for `task` or its child, made from `old` (None: the first one).

        `fs` is what the new set's owner will have as root and directory.
        """
        raise EINVAL

    def install(self, task: Task, nsset: NsSet, ns: Any) -> None:
        """Put `ns` (never None) in the set; may refuse. EPERM, EINVAL."""
        require_admin(task, nsset, ns)
        setattr(nsset.nsproxy, self.field or self.name, self.unfirst(task.machine, ns))

    def unfirst(self, machine: Machine, ns: NsCommon) -> NsCommon | None:
        """None for the first one, where sets say it so."""
        return None if ns is self.first(machine) else ns

    def parent(self, ns: Any) -> tuple[bool, NsCommon | None]:
        """Has this kind a hierarchy, and what is above `ns` (None: the first one)?"""
        return False, None

    def visible(self, task: Task, ns: Any) -> bool:
        """May the task know that `ns` (None: the first one) is above another?"""
        return True


class FirstNs(NsCommon):
    """Stands on nsfs for a first namespace that has no object of its own."""

    __slots__ = ("flag", "name")

    def __init__(self, name: str, flag: int) -> None:
        super().__init__(None)
        self.name = name
        self.flag = flag


def require_admin(task: Task, nsset: NsSet, ns: NsCommon) -> None:
    """CAP_SYS_ADMIN over the namespace and over the one that the caller will be in. EPERM."""
    cred = task.cred
    if not cred.ns_capable(ns.user_ns, CAP_SYS_ADMIN):
        raise EPERM
    if not cred.ns_capable(nsset.cred.user_ns, CAP_SYS_ADMIN):
        raise EPERM


def ns_ops(machine: Machine, flag: int) -> NsOps | None:
    """The operations of a kind; None if the machine has no such kind."""
    module = machine.ns_modules.get(flag)
    if module is None:
        return None
    ops: NsOps = import_module(module).NS_OPS
    return ops


def ns_of(task: Task, ops: NsOps) -> NsCommon:
    """The namespace of a kind that a task is in, as an object."""
    found = ops.get(task)
    return ops.first(task.machine) if found is None else found


def ns_number(machine: Machine, ns: NsCommon) -> int:
    """The inode number on nsfs, given at the first question."""
    if not ns.inum:
        ops = ns_ops(machine, ns_flag(ns))
        if ops is not None and ops.first(machine) is ns:
            return ns.inum
        last: int = machine.misc.get("ns_last_inum", _DYNAMIC_FIRST + 199)
        ns.inum = machine.misc["ns_last_inum"] = last + 1
    return ns.inum


# -- limits


def charge_namespace(task: Task, ns: NsCommon, user_ns: UserNamespace | None, name: str) -> None:
    """Count a new namespace for its maker, in `user_ns` and all above. ENOSPC.

    Those counted are the ones that still exist: nothing has to be given back.
    """
    machine = task.machine
    alive = _alive(machine)
    uid = task.cred.euid
    ns.creator = uid
    while True:
        limit = namespace_limit(machine, user_ns, name, ns.ns_flag)
        if len(alive) >= limit and _count(alive, ns, user_ns, uid) >= limit:
            import gc

            gc.collect()  # dead tasks may still hold some
            if _count(alive, ns, user_ns, uid) >= limit:
                raise ENOSPC
        if user_ns is None:
            break
        uid = user_ns.owner
        user_ns = user_ns.parent
    alive.add(ns)


def _alive(machine: Machine) -> WeakSet[NsCommon]:
    """All namespaces that were made and are still there."""
    found: WeakSet[NsCommon] | None = machine.misc.get("namespaces")
    if found is None:
        from weakref import WeakSet

        found = machine.misc["namespaces"] = WeakSet()
    return found


def _count(alive: WeakSet[NsCommon], ns: NsCommon, user_ns: UserNamespace | None, uid: int) -> int:
    """How many of the kind of `ns` a user has in a user namespace."""
    peers = [other for other in alive if type(other) is type(ns)]
    return sum([_counts(other, user_ns, uid) for other in peers])


def namespace_limit(machine: Machine, user_ns: UserNamespace | None, name: str, flag: int) -> int:
    """/proc/sys/user/max_*_namespaces of a user namespace."""
    if user_ns is not None:
        return user_ns.rlimit_max.get(-flag, 0x7FFF_FFFF)
    limits: dict[str, int] = machine.misc.get("max_namespaces", {})
    return limits.get(name, int(machine.sysctl.get("kernel.threads-max", 16384)) // 2)


def _counts(other: NsCommon, user_ns: UserNamespace | None, uid: int) -> bool:
    """Was `other` made by this user in `user_ns`, or below it on its account?"""
    owner, place = other.creator, other.user_ns
    if other.ns_name == "user":
        place = other.user_ns
    while place is not user_ns:
        if place is None:
            return False
        owner, place = place.owner, place.parent
    return owner == uid


# -- sets


def get_set(task: Task) -> NsProxy:
    """A copy of the task's set, for nobody yet."""
    old = task.nsproxy
    new = NsProxy(old.uts, old.mnt)
    new.ipc, new.pid_for_children, new.net = old.ipc, old.pid_for_children, old.net
    new.cgroup, new.time, new.time_for_children = old.cgroup, old.time, old.time_for_children
    return new


def hold_set(nsproxy: NsProxy) -> None:
    """The first task gets this set: it holds its namespaces."""
    for name in _FIELDS:
        ns = getattr(nsproxy, name)
        if ns is not None:
            ns.ns_count += 1


def put_set(machine: Machine, nsproxy: NsProxy) -> None:
    """No task has this set any more."""
    for name in _FIELDS:
        ns = getattr(nsproxy, name)
        if ns is not None:
            put_ns(machine, ns)


def put_ns(machine: Machine, ns: NsCommon) -> None:
    """One holder less; the last one frees it."""
    ns.ns_count -= 1
    if not ns.ns_count:
        ns.ns_free(machine)


def switch_namespaces(task: Task, new: NsProxy) -> None:
    """The task changes over to a set of its own (switch_task_namespaces)."""
    old = task.nsproxy
    new.count += 1
    if new.count == 1:
        hold_set(new)
    task.nsproxy = new
    if new.time is not old.time:
        from pygos.arch.x86.vdso.vma import vdso_update

        vdso_update(task)
    old.count -= 1
    if not old.count:
        put_set(task.machine, old)


def exit_namespaces(task: Task) -> None:
    """The task is dying. It keeps the set itself, for who still looks at the zombie."""
    old = task.nsproxy
    old.count -= 1
    if not old.count:
        put_set(task.machine, old)


def create_new_namespaces(
    task: Task, flags: int, user_ns: UserNamespace | None, fs: FsStruct
) -> NsProxy:
    """A copy of the task's set with new ones of the kinds in `flags`. EINVAL, ENOSPC, ENOMEM."""
    new = get_set(task)
    for flag in task.machine.ns_modules:
        if not flags & flag or flag == uapi.CLONE_NEWUSER:
            continue
        ops = ns_ops(task.machine, flag)
        assert ops is not None
        field = ops.field or ops.name
        ns = ops.copy(task, getattr(new, field), user_ns, fs)
        setattr(new, field, ns)
    return new


def copy_namespaces(task: Task, flags: int, user_ns: UserNamespace | None, fs: FsStruct) -> NsProxy:
    """The set of a child that shares all but those in `flags`. EPERM, EINVAL, ENOSPC.

    Called only if something is new: `flags` names it, or an unshared time namespace waits.
    """
    if not flags & NEW_NAMESPACES:
        new = get_set(task)
    else:
        check_new(task, flags, user_ns)
        if flags & uapi.CLONE_NEWIPC and flags & uapi.CLONE_SYSVSEM:
            raise EINVAL
        new = create_new_namespaces(task, flags, user_ns, fs)
    if not flags & uapi.CLONE_VM:
        new.time = new.time_for_children
        if new.time is not None:
            new.time.frozen = True
    return new


def check_new(task: Task, flags: int, user_ns: UserNamespace | None) -> None:
    """May the task make these for owner `user_ns`; are there such kinds? EPERM, EINVAL."""
    if not task.cred.ns_capable(user_ns, CAP_SYS_ADMIN):
        raise EPERM
    known = 0
    for flag in task.machine.ns_modules:
        known |= flag
    if flags & NEW_NAMESPACES & ~known:
        raise EINVAL


def ns_flag(ns: NsCommon) -> int:
    """The CLONE_NEW* flag of a namespace's kind."""
    return ns.flag if isinstance(ns, FirstNs) else ns.ns_flag
