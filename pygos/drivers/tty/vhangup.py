# SPDX-License-Identifier: Apache-2.0
"""vhangup(2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.errno import EPERM
from pygos.include.linux.syscalls import syscall

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task

CAP_SYS_TTY_CONFIG: Final = 26


@syscall
def vhangup(task: Task) -> int:
    """Hang up the caller's terminal. vhangup(2). Errors: EPERM."""
    if not task.cred.capable(CAP_SYS_TTY_CONFIG):
        raise EPERM
    tty = task.group.ctty
    if tty is not None:
        from pygos.drivers.tty.jobctl import tty_vhangup

        tty_vhangup(tty)
    return 0
