# SPDX-License-Identifier: Apache-2.0
"""Time namespaces: clocks since boot that are shifted for some processes, time_namespaces(7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pygos.include.errno import EUSERS
from pygos.include.linux.ns_common import NsCommon
from pygos.include.uapi.sched import CLONE_NEWTIME
from pygos.include.uapi.time import CLOCK_BOOTTIME, CLOCK_BOOTTIME_ALARM
from pygos.kernel.nsproxy import (
    FirstNs,
    NsOps,
    charge_namespace,
    get_set,
    require_admin,
    switch_namespaces,
)

if TYPE_CHECKING:
    from pygos.include.linux.fs import FsStruct
    from pygos.include.linux.ns_common import NsSet
    from pygos.include.linux.sched import Task
    from pygos.include.linux.user_namespace import UserNamespace


class TimeNamespace(NsCommon):
    """Offsets in ns, added to what the machine's clocks say."""

    __slots__ = ("boottime", "frozen", "monotonic", "vvar")
    ns_name = "time"
    ns_flag = CLONE_NEWTIME

    def __init__(self, old: TimeNamespace | None, user_ns: UserNamespace | None) -> None:
        super().__init__(user_ns)
        self.monotonic: int = old.monotonic if old is not None else 0
        self.boottime: int = old.boottime if old is not None else 0
        #: Some task lives in it: the offsets can't be changed any more.
        self.frozen = False
        #: Its time pages, while programs see them (arch/x86/vdso/vma.py).
        self.vvar: Any = None

    def offset(self, clockid: int) -> int:
        """What is added to one of the clocks since boot."""
        if clockid in (CLOCK_BOOTTIME, CLOCK_BOOTTIME_ALARM):
            return self.boottime
        return self.monotonic


class TimeNsOps(NsOps):
    """timens_operations: making one counts for children only."""

    __slots__ = ()
    name = "time"
    flag = CLONE_NEWTIME
    field = "time_for_children"

    def get(self, task: Task) -> NsCommon | None:
        found: NsCommon | None = task.nsproxy.time
        return found

    def copy(self, task: Task, old: Any, user_ns: UserNamespace | None, fs: FsStruct) -> NsCommon:
        ns = TimeNamespace(old, user_ns)
        charge_namespace(task, ns, user_ns, "time")
        return ns

    def install(self, task: Task, nsset: NsSet, ns: Any) -> None:
        mm = task.mm
        others = any(other is not task and other.alive for other in task.group.threads)
        if others or (mm is not None and mm.users > 1):
            raise EUSERS
        require_admin(task, nsset, ns)
        inner = None if isinstance(ns, FirstNs) else ns
        nsset.nsproxy.time = nsset.nsproxy.time_for_children = inner
        if inner is not None:
            inner.frozen = True


def timens_on_exec(task: Task) -> None:
    """A program begins: the task enters the time namespace that it has unshared."""
    new = get_set(task)
    new.time = new.time_for_children
    if new.time is not None:
        new.time.frozen = True
    switch_namespaces(task, new)


NS_OPS: Final = TimeNsOps()
