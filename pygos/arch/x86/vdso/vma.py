# SPDX-License-Identifier: Apache-2.0
"""Mapping the vDSO and its time pages into programs (arch/x86/entry/vdso/vma.c).

A machine has four frames for it: the page of the first time namespace, the machine's time
page, the image, and a page of a namespace in which no clock can be read. The latter is shown
to programs that can't use the time stamp counter (PR_SET_TSC, or a host without one), which
then make system calls. Each further time namespace has a page of its own while it is used.
"""

from __future__ import annotations

from struct import pack_into
from typing import TYPE_CHECKING, Any, Final

from pygos.arch.x86.vdso.image import IMAGE
from pygos.include.linux.mm import VM_IO, VM_PFNMAP
from pygos.include.linux.mm_types import (
    VM_DONTDUMP,
    VM_DONTEXPAND,
    VM_EXEC,
    VM_MAYEXEC,
    VM_MAYREAD,
    VM_MAYWRITE,
    VM_READ,
)
from pygos.include.linux.sched import PF_NOTSC
from pygos.include.uapi.time import CLOCK_REALTIME, CLOCK_REALTIME_COARSE, CLOCK_TAI
from pygos.include.vdso.datapage import (
    VD_ALL_CLOCKS,
    VD_CLOCK_SIZE,
    VD_CLOCKS,
    VD_MASK,
    VD_NR_CLOCKS,
    VD_NR_CPUS,
    VD_ZONE,
    VVAR_PAGES,
)
from pygos.mm.page_alloc import MigrateType
from pygos.mm.special import SpecialMapping, install_special_mapping, replace_special
from pygos.mm.unmapped import get_unmapped_area

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task
    from pygos.mm.mm import Mm

_KEY: Final = "vdso"
_SEC: Final = 1_000_000_000
_PAGE: Final = 4096
_FOLLOW_WALL: Final = 1 << CLOCK_REALTIME | 1 << CLOCK_REALTIME_COARSE | 1 << CLOCK_TAI
_VVAR: Final = "[vvar]"
#: What tells debuggers that nothing of it belongs into a core file.
_VVAR_FLAGS: Final = VM_READ | VM_MAYREAD | VM_IO | VM_DONTDUMP | VM_PFNMAP | VM_DONTEXPAND
_VDSO_FLAGS: Final = VM_READ | VM_EXEC | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC | VM_DONTEXPAND


class Vdso:
    """A machine's frames for it."""

    __slots__ = ("data", "image", "vvar", "vvar_none")

    def __init__(self, first: int) -> None:
        #: The frame of the machine's time page.
        self.data = first + 1
        self.vvar = SpecialMapping(_VVAR, first, first + 1)
        self.image = SpecialMapping("[vdso]", first + 2)
        self.vvar_none = SpecialMapping(_VVAR, first + 3, first + 1)


class NsVvar(SpecialMapping):
    """The time pages as a time namespace shows them."""

    __slots__ = ("machine", "ns")

    def __init__(self, machine: Machine, ns: Any) -> None:
        pfn = machine.zone.alloc_zeroed(0, MigrateType.UNMOVABLE)
        super().__init__(_VVAR, pfn, _vdso(machine).data)
        self.machine = machine
        self.ns = ns
        for clock in range(VD_NR_CLOCKS):
            if VD_ALL_CLOCKS & ~_FOLLOW_WALL & 1 << clock:
                at = (pfn << 12) + VD_CLOCKS + clock * VD_CLOCK_SIZE
                pack_into("<8xqQ", machine.ram.mem, at, *divmod(ns.offset(clock), _SEC))
        _allow(machine, pfn)
        ns.vvar = self

    def release(self) -> None:
        self.ns.vvar = None
        self.machine.zone.put(self.pfns[0])


def _allow(machine: Machine, pfn: int) -> None:
    """Programs with this page of a namespace may read clocks."""
    pack_into("<I", machine.ram.mem, (pfn << 12) + VD_MASK, VD_ALL_CLOCKS)


def _vdso(machine: Machine) -> Vdso:
    """The machine's, made at the first use. ENOMEM."""
    found: Vdso | None = machine.misc.get(_KEY)
    return found if found is not None else _vdso_init(machine)


def _vdso_init(machine: Machine) -> Vdso:
    first = machine.zone.alloc_zeroed(2, MigrateType.UNMOVABLE)
    vdso = machine.misc[_KEY] = Vdso(first)
    mem, at = machine.ram.mem, vdso.data << 12
    mem[at + _PAGE : at + _PAGE + len(IMAGE)] = IMAGE
    pack_into("<I", mem, at + VD_NR_CPUS, machine.nr_cpus)
    _allow(machine, first)
    machine.clock.publish(mem[at : at + _PAGE])
    return vdso


def _vvar_of(task: Task) -> SpecialMapping:
    """The time pages that a task's program may see."""
    vdso = _vdso(task.machine)
    if task.flags & PF_NOTSC:
        return vdso.vvar_none
    ns = task.nsproxy.time
    if ns is None:
        return vdso.vvar
    vvar: SpecialMapping | None = ns.vvar
    return vvar if vvar is not None else NsVvar(task.machine, ns)


def map_vdso(task: Task, mm: Mm) -> int:
    """Map both into a new program; where the image is. ENOMEM."""
    vdso = _vdso(task.machine)
    at = get_unmapped_area(mm, task, 0, VVAR_PAGES + 1 << 12, 0)
    install_special_mapping(mm, at, _vvar_of(task), _VVAR_FLAGS)
    at += VVAR_PAGES << 12
    install_special_mapping(mm, at, vdso.image, _VDSO_FLAGS)
    return at


def vdso_update(task: Task) -> None:
    """The task has entered another time namespace, or may (not) read the counter any more."""
    if task.mm is not None:
        replace_special(task.mm, _vvar_of(task))


def vdso_set_timezone(machine: Machine, west: int, dst: int) -> None:
    """What gettimeofday(2) says of the time zone."""
    pack_into("<ii", machine.ram.mem, (_vdso(machine).data << 12) + VD_ZONE, west, dst)
