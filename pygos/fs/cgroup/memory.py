# SPDX-License-Identifier: Apache-2.0
"""The memory.* files. Sizes are bytes to users, pages inside. There is no swap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pygos.fs.cgroup.file import CgroupFile, OpenFile, cgroup_file, strip
from pygos.fs.libfs import kstrtoint, memparse
from pygos.include.errno import EAGAIN, EINVAL
from pygos.kernel.cgroup.core import Cgroup
from pygos.mm.memcg_stat import root_stat, stat_lines
from pygos.mm.memcontrol import PAGE_COUNTER_MAX, MemCgroup, PeakWatcher, reclaim

if TYPE_CHECKING:
    from collections.abc import Callable

    from pygos.include.linux.sched import Task


def _memcg(cgroup: Cgroup) -> MemCgroup:
    css: Any = cgroup.own["memory"]
    found: MemCgroup = css.memcg
    return found


def _text(pages: int) -> str:
    return "max\n" if pages >= PAGE_COUNTER_MAX else f"{pages << 12}\n"


def parse_pages(data: bytes) -> int:
    """Read "max" or a number of bytes with a suffix, rounded down to pages. EINVAL."""
    word = strip(data)
    if word == b"max":
        return PAGE_COUNTER_MAX
    return min(memparse(word.decode("latin-1")) >> 12, PAGE_COUNTER_MAX)


class LimitFile(CgroupFile):
    """memory.max and the like."""

    __slots__ = ("change", "field")

    def __init__(
        self, name: str, place: int, field: str, change: Callable[[MemCgroup, int], None] | None
    ) -> None:
        super().__init__(name, 0o644, place, False, False)
        self.field = field
        self.change = change
        self.show = self.text
        self.store = self.take

    def text(self, task: Task, cgroup: Cgroup) -> str:
        """The value now."""
        return _text(getattr(_memcg(cgroup), self.field))

    def take(self, ctx: OpenFile, cgroup: Cgroup, data: bytes) -> None:
        """A new value."""
        pages = parse_pages(data)
        if self.change is None:
            setattr(_memcg(cgroup), self.field, pages)
        else:
            self.change(_memcg(cgroup), pages)


def _set_min(memcg: MemCgroup, pages: int) -> None:
    memcg.protect(memcg.low, pages)


def _set_low(memcg: MemCgroup, pages: int) -> None:
    memcg.protect(pages, memcg.min)


@cgroup_file("memory.current", 40)
def current(task: Task, cgroup: Cgroup) -> str:
    """What the group and those below use."""
    return f"{_memcg(cgroup).usage << 12}\n"


PEAK: Final = CgroupFile("memory.peak", 0o644, 41, False, False)


def _show_peak(ctx: OpenFile, cgroup: Cgroup) -> str:
    memcg = _memcg(cgroup)
    if ctx.peak is None:
        return f"{memcg.peak << 12}\n"
    return f"{max(ctx.peak.value, memcg.local_peak) << 12}\n"


@PEAK.setter
def _write_peak(ctx: OpenFile, cgroup: Cgroup, data: bytes) -> None:
    """Whatever is written: the peak as this open file shows it begins anew."""
    if ctx.peak is None:
        ctx.peak = PeakWatcher()
    _memcg(cgroup).reset_peak(ctx.peak)


PEAK.show_open = _show_peak


@cgroup_file("memory.events", 46)
def events(task: Task, cgroup: Cgroup) -> str:
    """What happened here and below."""
    return "".join([f"{name} {count}\n" for name, count in _memcg(cgroup).events.items()])


@cgroup_file("memory.events.local", 47)
def events_local(task: Task, cgroup: Cgroup) -> str:
    """What happened here."""
    return "".join([f"{name} {count}\n" for name, count in _memcg(cgroup).events_local.items()])


def _lines(cgroup: Cgroup) -> list[tuple[str, int]]:
    if cgroup.parent is None:
        return root_stat(cgroup.machine.zone)
    return stat_lines(_memcg(cgroup))


@cgroup_file("memory.stat", 48, on_root=None)
def stat(task: Task, cgroup: Cgroup) -> str:
    """What the memory is, bytes, and what was done to get some back."""
    return "".join([f"{name} {value}\n" for name, value in _lines(cgroup)])


_NUMA: Final = frozenset((
    "anon", "file", "shmem", "file_dirty", "inactive_anon", "active_anon", "inactive_file",
    "active_file",
))  # fmt: skip


@cgroup_file("memory.numa_stat", 49, on_root=None)
def numa_stat(task: Task, cgroup: Cgroup) -> str:
    """The same by memory node: there is one."""
    return "".join([f"{name} N0={value}\n" for name, value in _lines(cgroup) if name in _NUMA])


@cgroup_file("memory.oom.group", 50, 0o644)
def oom_group(task: Task, cgroup: Cgroup) -> str:
    """1: the killer ends all tasks of the group together."""
    return f"{_memcg(cgroup).oom_group:d}\n"


@oom_group.setter
def _write_oom_group(ctx: OpenFile, cgroup: Cgroup, data: bytes) -> None:
    value = kstrtoint(data, -(1 << 31), (1 << 31) - 1)
    if value not in (0, 1):
        raise EINVAL
    _memcg(cgroup).oom_group = bool(value)


RECLAIM: Final = CgroupFile("memory.reclaim", 0o200, 51, None, False)


@RECLAIM.setter
def _write_reclaim(ctx: OpenFile, cgroup: Cgroup, data: bytes) -> None:
    """Get that much back, if possible. EINVAL; EAGAIN: it wasn't."""
    words = strip(data).split()
    for word in words[1:]:
        if not word.startswith(b"swappiness=") or not word[11:].isdigit():
            if word != b"swappiness=max":
                raise EINVAL
        elif int(word[11:]) > 200:
            raise EINVAL
    want = parse_pages(words[0] if words else b"")
    if cgroup.parent is None:
        got = cgroup.machine.zone.reclaim(want, direct=False)
    else:
        got = reclaim(_memcg(cgroup), want, direct=False)
    if got < want:
        raise EAGAIN


@cgroup_file("memory.swap.current", 52)
def swap_current(task: Task, cgroup: Cgroup) -> str:
    """There is no swap."""
    return "0\n"


@cgroup_file("memory.swap.peak", 53)
def swap_peak(task: Task, cgroup: Cgroup) -> str:
    """There is no swap."""
    return "0\n"


@cgroup_file("memory.swap.events", 56)
def swap_events(task: Task, cgroup: Cgroup) -> str:
    """There is no swap: no limit of it is ever hit."""
    return "high 0\nmax 0\nfail 0\n"


FILES: Final = (
    current, PEAK,
    LimitFile("memory.min", 42, "min", _set_min), LimitFile("memory.low", 43, "low", _set_low),
    LimitFile("memory.high", 44, "high", MemCgroup.set_high),
    LimitFile("memory.max", 45, "max", MemCgroup.set_max),
    events, events_local, stat, numa_stat, oom_group, RECLAIM,
    swap_current, swap_peak, LimitFile("memory.swap.high", 54, "swap_high", None),
    LimitFile("memory.swap.max", 55, "swap_max", None), swap_events,
)  # fmt: skip
