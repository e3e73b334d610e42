# SPDX-License-Identifier: Apache-2.0
"""The machine's names: uname(2), sethostname(2), setdomainname(2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pygos.include.errno import EINVAL, EPERM
from pygos.include.linux.ns_common import UtsNamespace
from pygos.include.linux.syscalls import Int, Out, UserAddr, syscall
from pygos.include.uapi.capability import CAP_SYS_ADMIN
from pygos.include.uapi.personality import PER_LINUX32, PER_MASK, UNAME26
from pygos.include.uapi.sched import CLONE_NEWUTS
from pygos.include.uapi.utsname import UTS_LEN, NewUtsname
from pygos.include.uapi.version import (
    LINUX_VERSION_PATCHLEVEL,
    UTS_RELEASE,
    UTS_SYSNAME,
)
from pygos.kernel.nsproxy import NsOps, charge_namespace

if TYPE_CHECKING:
    from pygos.include.linux.fs import FsStruct
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.ns_common import NsCommon
    from pygos.include.linux.sched import Task
    from pygos.include.linux.user_namespace import UserNamespace

#: No date: two machines of one release say the same.
UTS_VERSION: Final = "#1 SMP"
UTS_MACHINE: Final = "x86_64"


class UtsNsOps(NsOps):
    """utsns_operations. All tasks have one in their set: there is no None."""

    __slots__ = ()
    name = "uts"
    flag = CLONE_NEWUTS

    def make_first(self, machine: Machine) -> NsCommon:
        return machine.init_task.nsproxy.uts

    def unfirst(self, machine: Machine, ns: NsCommon) -> NsCommon | None:
        return ns

    def copy(self, task: Task, old: Any, user_ns: UserNamespace | None, fs: FsStruct) -> NsCommon:
        ns = UtsNamespace(old.nodename, old.domainname, user_ns)
        charge_namespace(task, ns, user_ns, "uts")
        return ns


NS_OPS: Final = UtsNsOps()


def _release(task: Task) -> str:
    """The kernel's release; as a 2.6 one for programs that ask for it (UNAME26)."""
    if not task.personality & UNAME26:
        return UTS_RELEASE
    rest = UTS_RELEASE.lstrip("0123456789.")
    return f"2.6.{LINUX_VERSION_PATCHLEVEL + 60}{rest}"


@syscall(name="uname")
def newuname(task: Task, name: Out[NewUtsname]) -> int:
    """The names of the system. uname(2). Errors: EFAULT."""
    uts = task.nsproxy.uts
    per_linux32 = task.personality & PER_MASK == PER_LINUX32
    machine = "i686" if per_linux32 else UTS_MACHINE
    texts = (UTS_SYSNAME, uts.nodename, _release(task), UTS_VERSION, machine, uts.domainname)
    name.put(NewUtsname(*[text.encode("utf-8", "surrogateescape")[:UTS_LEN] for text in texts]))
    return 0


def _new_name(task: Task, addr: int, length: int) -> str:
    if not task.cred.ns_capable(task.nsproxy.uts.user_ns, CAP_SYS_ADMIN):
        raise EPERM
    if not 0 <= length <= UTS_LEN:
        raise EINVAL
    assert task.mm is not None
    data = task.mm.read(addr, length) if length else b""
    return data.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


@syscall
def sethostname(task: Task, name: UserAddr, length: Int) -> int:
    """Set the machine's name. sethostname(2). Errors: EPERM, EINVAL, EFAULT."""
    task.nsproxy.uts.nodename = _new_name(task, name, length)
    return 0


@syscall
def setdomainname(task: Task, name: UserAddr, length: Int) -> int:
    """Set the NIS domain. setdomainname(2). Errors: EPERM, EINVAL, EFAULT."""
    task.nsproxy.uts.domainname = _new_name(task, name, length)
    return 0
