# SPDX-License-Identifier: Apache-2.0
"""A machine that was booted before anybody asked for one: its clocks, and what it reads ahead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pygos.fs.exec import kernel_read
from pygos.fs.file_table import fput
from pygos.fs.open import do_filp_open
from pygos.include.errno import Errno

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine

#: Nearly every program reads these first.
_COMMON: Final = (
    b"/lib64/ld-linux-x86-64.so.2", b"/lib/x86_64-linux-gnu/libc.so.6", b"/lib64/libc.so.6",
    b"/lib/ld-musl-x86_64.so.1",
)  # fmt: skip
_AT_FDCWD: Final = -100
_CHUNK: Final = 65536


def read_ahead(machine: Machine) -> None:
    """Have the files that most programs need in the page cache."""
    task = machine.init_task
    for path in _COMMON:
        try:
            file = do_filp_open(task, _AT_FDCWD, path, 0, 0)
        except Errno:
            continue
        try:
            place = 0
            while kernel_read(task, file, place, _CHUNK):
                place += _CHUNK
        except Errno:
            pass
        finally:
            fput(file)


def restamp(machine: Machine, uptime: int) -> None:
    """Forget that a machine has waited, which hasn't run a program yet: its clocks go on from
    `uptime`, ns since its boot."""
    clock: Any = machine.clock
    log: Any = machine.printk
    waited = clock.boottime() - uptime
    clock.boot += waited
    log.boot += waited
    machine.boot_time += waited
