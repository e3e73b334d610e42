# SPDX-License-Identifier: Apache-2.0
"""Tunables that their users look up with a default, so that booting needs no table of them.

Their values enter ``machine.sysctl`` when /proc/sys is first looked at. Texts have no bounds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.fs.devpts import PTY_LIMIT, PTY_RESERVE, pty_count

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task

_INT_MAX: Final = 0x7FFF_FFFF
_LONG_MAX: Final = 0x7FFF_FFFF_FFFF_FFFF
_BOOL: Final = (0, 1)
_INT: Final = (0, _INT_MAX)
_LONG: Final = (0, _LONG_MAX)

#: name -> (default, bounds): writable; bounds None: a text.
TABLE: Final[dict[str, tuple[int | str, tuple[int, int] | None]]] = {
    "debug.exception-trace": (1, _INT), "dev.tty.ldisc_autoload": (1, _BOOL),
    "dev.tty.legacy_tiocsti": (0, _BOOL),
    "fs.leases-enable": (1, _BOOL), "fs.mount-max": (100000, (1, _INT_MAX)),
    "fs.overflowuid": (65534, (0, 65535)), "fs.overflowgid": (65534, (0, 65535)),
    "kernel.cad_pid": (1, (1, _INT_MAX)),
    "kernel.core_file_note_size_limit": (4194304, (65536, 16777216)),
    "kernel.core_pipe_limit": (0, (0, 0xFFFF_FFFF)), "kernel.core_sort_vma": (0, _BOOL),
    "kernel.ctrl-alt-del": (0, _INT), "kernel.kptr_restrict": (0, (0, 2)),
    "kernel.oops_limit": (10000, (0, 0xFFFF_FFFF)), "kernel.warn_limit": (0, (0, 0xFFFF_FFFF)),
    "kernel.panic_on_oops": (0, _BOOL), "kernel.panic_on_warn": (0, _BOOL),
    "kernel.panic_print": (0, _LONG), "kernel.poweroff_cmd": ("/sbin/poweroff", None),
    "kernel.print-fatal-signals": (0, _INT), "kernel.printk_delay": (0, (0, 10000)),
    "kernel.printk_devkmsg": ("on", None), "kernel.printk_ratelimit": (5, _INT),
    "kernel.printk_ratelimit_burst": (10, _INT), "kernel.pty.max": (PTY_LIMIT, (0, 1 << 20)),
    "kernel.pty.reserve": (PTY_RESERVE, (0, 1 << 20)),
    "kernel.random.urandom_min_reseed_secs": (60, _INT),
    "kernel.random.write_wakeup_threshold": (256, _INT), "kernel.real-root-dev": (0, _INT),
    "kernel.sysctl_writes_strict": (1, (-1, 1)), "kernel.timer_migration": (1, _BOOL),
    "vm.admin_reserve_kbytes": (8192, _LONG), "vm.compact_unevictable_allowed": (1, _BOOL),
    "vm.dirty_background_bytes": (0, _LONG), "vm.dirty_background_ratio": (10, (0, 100)),
    "vm.dirty_bytes": (0, _LONG), "vm.dirty_expire_centisecs": (3000, _INT),
    "vm.dirty_ratio": (20, (0, 100)), "vm.dirty_writeback_centisecs": (500, _INT),
    "vm.dirtytime_expire_seconds": (43200, _INT), "vm.laptop_mode": (0, _INT),
    "vm.legacy_va_layout": (0, _INT), "vm.memfd_noexec": (0, (0, 2)),
    "vm.mmap_rnd_bits": (28, (28, 32)), "vm.oom_dump_tasks": (1, _INT),
    "vm.oom_kill_allocating_task": (0, _INT), "vm.overcommit_kbytes": (0, _LONG),
    "vm.page-cluster": (3, (0, 31)), "vm.stat_interval": (1, _INT),
    "vm.user_reserve_kbytes": (131072, _LONG), "vm.vfs_cache_pressure": (100, _INT),
    "vm.vfs_cache_pressure_denom": (100, (100, _INT_MAX)),
    "vm.watermark_boost_factor": (15000, _INT), "vm.watermark_scale_factor": (10, (1, 3000)),
    "vm.zone_reclaim_mode": (0, _INT),
}  # fmt: skip
#: Read only.
CONSTANTS: Final[dict[str, int | str]] = {"kernel.arch": "x86_64"}


def pty_nr(task: Task) -> int:
    """kernel.pty.nr"""
    return pty_count(task.machine, 0)


def min_free_kbytes(task: Task) -> int:
    """vm.min_free_kbytes: the allocator's lowest mark."""
    return task.machine.zone.min_wmark << 2


def load_table(machine: Machine) -> None:
    """Give all of them their values, but those that have one."""
    sysctl = machine.sysctl
    for name, (value, _) in TABLE.items():
        sysctl.setdefault(name, value)
    for name, value in CONSTANTS.items():
        sysctl.setdefault(name, value)
