# SPDX-License-Identifier: Apache-2.0
"""Devices: char (null, zero, random, kmsg), tty (terminals, ptys, console), host streams.

Drivers register FileOperations with ``register_chrdev``; ``init_drivers`` does it for all of
them at boot, ``base/devtmpfs.py`` makes their nodes. A driver owns its devices' state, which
hangs off ``machine`` (``machine.tty``, ``machine.chrdevs``); what is backed by the host goes
through ``machine.host`` and ``machine.platform.watch`` only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine

#: Modules of this package with system calls.
SYSCALL_MODULES = ("pygos.drivers.char.random",)
#: Calls whose modules are imported at their first use.
SYSCALLS_LAZY = {"vhangup": "pygos.drivers.tty.vhangup"}


def init_drivers(machine: Machine) -> None:
    """Register all character devices."""
    from pygos.drivers.char.kmsg import init_kmsg
    from pygos.drivers.char.mem import init_mem
    from pygos.drivers.char.random import init_random
    from pygos.drivers.tty.devices import init_tty

    init_mem(machine)
    init_random(machine)
    init_kmsg(machine)
    init_tty(machine)
