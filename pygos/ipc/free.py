# SPDX-License-Identifier: Apache-2.0
"""The end of an IPC namespace: its System V objects (free_ipcs)."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from pygos.ipc.msg import remove_queue
from pygos.ipc.sem import remove_array
from pygos.ipc.shm import remove_segment

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.ipc.msgqueue import MsgQueue
    from pygos.ipc.namespace import IpcNamespace
    from pygos.ipc.semarray import SemArray
    from pygos.ipc.shm import ShmSegment


def free_objects(machine: Machine, ns: IpcNamespace) -> None:
    """Remove everything; attached segments go with their last attachment."""
    for sma in tuple(cast("dict[int, SemArray]", ns.sem.entries).values()):
        remove_array(machine, ns, sma)
    for queue in tuple(cast("dict[int, MsgQueue]", ns.msg.entries).values()):
        remove_queue(machine, ns, queue)
    for segment in tuple(cast("dict[int, ShmSegment]", ns.shm.entries).values()):
        remove_segment(machine, ns, segment)
