# SPDX-License-Identifier: Apache-2.0
"""What all namespaces have in common (include/linux/ns_common.h), and the sets of them.

Wherever a namespace is kept, None stands for the machine's first one of its kind, so that
a machine that never makes another pays one comparison. How kinds are added is told in
``kernel/nsproxy.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from pygos.include.linux.cred import Cred
    from pygos.include.linux.fs import FsStruct, MntNamespace
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.user_namespace import UserNamespace


class NsCommon:
    """One namespace. Kinds add their slots; the first line of their __init__ is super's."""

    __slots__ = ("__weakref__", "creator", "inum", "ns_count", "user_ns")
    #: The name in /proc/PID/ns and the CLONE_NEW* flag.
    ns_name: ClassVar[str] = ""
    ns_flag: ClassVar[int] = 0

    def __init__(self, user_ns: UserNamespace | None = None) -> None:
        #: Whose capabilities count here.
        self.user_ns = user_ns
        #: The inode number on nsfs; 0: nobody has asked for it yet.
        self.inum = 0
        #: NsProxy sets and open nsfs files that have it.
        self.ns_count = 0
        #: The user (kernel id) whose limits in /proc/sys/user it counts for.
        self.creator = 0

    def ns_free(self, machine: Machine) -> None:
        """The last set or file that had it is gone. It may come back through a bind mount."""


class UtsNamespace(NsCommon):
    """uname(2)'s changeable names."""

    __slots__ = ("domainname", "nodename")
    ns_name = "uts"
    ns_flag = 0x0400_0000

    def __init__(
        self, nodename: str, domainname: str = "(none)", user_ns: UserNamespace | None = None
    ) -> None:
        super().__init__(user_ns)
        self.nodename = nodename
        self.domainname = domainname


class NsProxy:
    """The namespaces of a task, but for the user namespace, which its credentials have.

    Shared by tasks that have all of them in common and never changed while shared.
    """

    __slots__ = (
        "cgroup", "count", "ipc", "mnt", "net", "pid_for_children", "time", "time_for_children",
        "uts",
    )  # fmt: skip

    def __init__(self, uts: UtsNamespace, mnt: MntNamespace) -> None:
        #: Tasks that have this set; it is only kept right once a second set was made.
        self.count = 0
        self.uts = uts
        self.mnt = mnt
        self.ipc: Any = None
        self.pid_for_children: Any = None
        self.net: Any = None
        self.cgroup: Any = None
        self.time: Any = None
        self.time_for_children: Any = None


class NsSet:
    """What setns(2) prepares: all is checked and put in here, then committed at once."""

    __slots__ = ("cred", "flags", "fs", "nsproxy")

    def __init__(self, flags: int, nsproxy: NsProxy, cred: Cred, fs: FsStruct) -> None:
        self.flags = flags
        self.nsproxy = nsproxy
        self.cred = cred
        self.fs = fs
