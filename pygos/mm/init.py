# SPDX-License-Identifier: Apache-2.0
"""Setting memory management up at boot (mm/mm_init.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.mm.oom import OomKiller
from pygos.mm.page_alloc import Zone
from pygos.mm.truncate import PageCacheShrinker

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine


def mm_init(machine: Machine) -> None:
    """Make the machine's zone over its RAM, with page cache reclaim and the OOM killer."""
    zone = Zone(machine.ram)
    zone.shrinkers.append(PageCacheShrinker(machine))
    zone.oom = OomKiller(machine)
    machine.zone = zone
