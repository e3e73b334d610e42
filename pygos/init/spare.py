# SPDX-License-Identifier: Apache-2.0
"""A machine that was booted before anybody asked for one, and its clocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine


def restamp(machine: Machine, uptime: int) -> None:
    """Forget that a machine has waited, which hasn't run a program yet: its clocks go on from
    `uptime`, ns since its boot."""
    clock: Any = machine.clock
    log: Any = machine.printk
    waited = clock.boottime() - uptime
    clock.boot += waited
    log.boot += waited
    machine.boot_time += waited
