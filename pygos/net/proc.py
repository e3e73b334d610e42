# SPDX-License-Identifier: Apache-2.0
"""What the network shows in /proc/net; called at boot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pygos.fs.proc.net import proc_net_init
from pygos.fs.synthetic import synthetic

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task


@synthetic("unix")
def unix(task: Task, target: Any) -> str:
    """AF_UNIX sockets."""
    from pygos.net.unix.proc import unix_text

    return unix_text(task)


def init_net(machine: Machine) -> None:
    """Show the files of the network."""
    proc_net_init(machine, unix)
