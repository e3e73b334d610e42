# SPDX-License-Identifier: Apache-2.0
"""`syscall` instructions that trap often become jumps (arch/x86/kernel/alternative.c).

``patch_site`` is called with a CPU that has stopped at such an instruction. If the bytes
around it allow it (alternative_plan.py), the process's own copy of the page is changed so
that the call goes to the platform's entry by a jump, through a *slot*: some instructions in a
page that is mapped for it near the text. Documentation/patching.rst says what programs see.

The entry wants the call's number in rax, its arguments where they are, and in rcx where to go
on, which is right behind a real `syscall`: that is how a call is restarted, and what the
entry itself falls back to. r11 and the flags are its own, the stack isn't touched.
"""

from __future__ import annotations

from struct import pack
from typing import TYPE_CHECKING, Final

from pygos.arch.x86.alternative_plan import LOOK_AHEAD, LOOK_BACK, SYSCALL, Plan, find_plan
from pygos.arch.x86.regs import ORIG_RAX, RIP
from pygos.include.linux.mm_types import (
    VM_EXEC,
    VM_MAYSHARE,
    VM_READ,
    VM_SHARED,
    VM_WRITE,
)
from pygos.mm.fault import Fault
from pygos.mm.oom import OutOfMemory
from pygos.mm.patches import POOL_NAME, Patches, Site, others_run, write_code
from pygos.mm.vma import vma_lookup

if TYPE_CHECKING:
    from pygos.include.linux.mm_types import Vma
    from pygos.include.linux.platform import Cpu
    from pygos.include.linux.sched import Task
    from pygos.mm.mm import Mm

#: Debuggers and unwinders know a signal frame by the bytes of this call.
_NR_RT_SIGRETURN: Final = 15
_LEA_RCX: Final = b"\x48\x8d\x0d"
_JUMP_BY: Final = b"\xff\x25"
_LEA_SIZE, _JUMP_BY_SIZE = 7, 6
#: The address of the entry, at the start of each pool.
_POOL_HEAD: Final = 16
_MAX_SLOT: Final = 48
#: Pages that a group must have left: nobody is to be killed for a patch.
_ROOM: Final = 8
#: machine.misc: (phase, number, bytes around a site) -> Plan or None.
_PLANS: Final = "alternative_plans"
_MAX_PLANS: Final = 1024


def patch_site(cpu: Cpu) -> None:
    """The `syscall` before the CPU's rip has trapped several times: patch it if that is safe."""
    task: Task | None = cpu.owner  # type: ignore[assignment]
    if task is None or task.cpu is not cpu or task.mm is None:
        return
    mm = task.mm
    if any(other.ptrace for other in task.machine.pids.tasks.values() if other.mm is mm):
        return
    patches: Patches | None = mm.patches
    site = cpu.regs[RIP] - 2
    if patches is None:
        patches = Patches(RIP)
    elif site in patches.refused or patches.has(site):
        return  # who restarts a call, or jumps there, may trap at a site that is patched
    try:
        if not _patch(mm, task, patches, site, cpu.regs[ORIG_RAX]):
            patches.refuse(site)
    except (Fault, OutOfMemory):
        patches.refuse(site)
    mm.patches = patches


def _patch(mm: Mm, task: Task, patches: Patches, site: int, nr: int) -> bool:
    """Patch one site at which `task` has stopped; False if it can't be done."""
    vma = vma_lookup(mm, site)
    if vma is None or not patchable(vma) or nr >= 1 << 31 or nr == _NR_RT_SIGRETURN:
        return False
    pte = mm.pt.get(site >> 12)
    if pte is None or mm.zone.nr_free < mm.zone.high_wmark:
        return False
    if mm.memcg is not None and mm.memcg.headroom() < _ROOM:
        return False
    page = (pte & ~0xFFF) - (site & ~0xFFF)
    start = max(site - LOOK_BACK, site & ~0xFFF)
    code = mm.mem[page + start : page + min(site + LOOK_AHEAD, (site | 0xFFF) + 1)].tobytes()
    code = patches.original(start, code)
    plan = _plan(mm, code, site - start, start & 15, nr)
    if plan is None or (plan.pad and site + plan.pad in patches.origin):
        return False
    slot = patches.pool(mm, site, _MAX_SLOT)
    if not slot:
        return False
    running = others_run(mm, task)
    if slot & 0xFFF == 0:
        _write_pool(mm, slot, pack("<Q", task.machine.platform.patch_entry), running)
        patches.take(slot, _POOL_HEAD)
        slot += _POOL_HEAD
    _apply(mm, patches, vma, site, code[: site - start], plan, slot, running)
    return True


def patchable(vma: Vma) -> bool:
    """Private code, of a file or anonymous, that can't be written at the moment."""
    return (
        vma.flags & (VM_READ | VM_EXEC | VM_WRITE | VM_SHARED | VM_MAYSHARE) == VM_READ | VM_EXEC
        and vma.vm_ops is None
        and vma.name != POOL_NAME
        and (vma.mapping is None or vma.mapping.host.i_writecount <= 0)
    )


def _plan(mm: Mm, code: bytes, at: int, phase: int, nr: int) -> Plan | None:
    """find_plan(), remembered: the same libraries are patched in each process."""
    plans: dict[tuple[int, int, bytes], Plan | None] = mm.machine.misc.setdefault(_PLANS, {})
    key = (phase << 32 | nr, at, code)
    if key not in plans:
        if len(plans) >= _MAX_PLANS:
            plans.clear()
        plans[key] = find_plan(code, at, phase, nr)
    return plans[key]


def _apply(
    mm: Mm, patches: Patches, vma: Vma, site: int, before: bytes, plan: Plan, slot: int,
    running: bool,
) -> None:  # fmt: skip
    lead = sum(plan.lengths)
    if lead:
        code, origin, pieces = _lead_slot(slot, site, before[-lead:], plan.lengths)
    else:
        code, origin, pieces = _pad_slot(slot, site, site + plan.pad)
    _write_pool(mm, slot, code, running)
    patches.take(slot, len(code))
    frame = (mm.pt[site >> 12] & ~0xFFF) - (site & ~0xFFF)
    kept = tuple(
        [(addr, mm.mem[frame + addr : frame + addr + len(new)].tobytes()) for addr, new in pieces]
    )
    patches.origin.update(origin)
    if write_code(mm, vma, site >> 12, pieces, running):
        patches.copied.add(site >> 12)
    patches.add(Site(site, slot, kept))


def _write_pool(mm: Mm, addr: int, code: bytes, running: bool) -> None:
    """Write where nothing jumps to yet: threads that run needn't be kept from seeing it."""
    vma = vma_lookup(mm, addr)
    assert vma is not None
    shared = mm.zone.refcount[mm.pt[addr >> 12] >> 12] > 1  # since a fork
    write_code(mm, vma, addr >> 12, [(addr, code)], running and shared)


_Slot = tuple[bytes, dict[int, int], list[tuple[int, bytes]]]


def _to_entry(at: int, back: int) -> bytes:
    """rcx = `back`, and on to the entry, at address `at` of a pool."""
    head = at & ~0xFFF
    return (
        _LEA_RCX + pack("<i", back - (at + _LEA_SIZE))
        + _JUMP_BY + pack("<i", head - (at + _LEA_SIZE + _JUMP_BY_SIZE))
    )  # fmt: skip


def _jump(at: int, target: int) -> bytes:
    return b"\xe9" + pack("<i", target - (at + 5))


def _lead_slot(slot: int, site: int, lead: bytes, lengths: tuple[int, ...]) -> _Slot:
    """A slot with the instructions before the `syscall`; it goes on behind that.

    The code, the program's own addresses of those in it, and what changes in the text.
    """
    origin = {}
    start = site - len(lead)
    at = 0
    for length in lengths:
        origin[slot + at] = start + at
        at += length
    origin[slot + at] = origin[slot + at + _LEA_SIZE] = site
    return lead + _to_entry(slot + at, site + 2), origin, [(start, _jump(start, slot))]


def _pad_slot(slot: int, site: int, pad: int) -> _Slot:
    """A slot with a `syscall` of its own, and a jump back to where the old one went on."""
    call = slot + _LEA_SIZE + _JUMP_BY_SIZE
    back = call + len(SYSCALL)
    code = _to_entry(slot, back) + SYSCALL + _jump(back, site + 2)
    origin = {slot: site, slot + _LEA_SIZE: site, call: site, back: site + 2, pad: site}
    short = bytes((0xEB, pad - (site + 2)))
    return code, origin, [(site, short), (pad, _jump(pad, slot))]
