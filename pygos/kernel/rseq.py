# SPDX-License-Identifier: Apache-2.0
"""Restartable sequences: rseq(2) and what it promises (kernel/rseq.c).

A thread that has registered an area finds the number of its CPU there, and its critical
sections are aborted when it has lost its CPU, got a signal or was asked to by membarrier(2).
``Rseq`` objects hang off tasks; others call their methods:

* ``sched_in`` when the task gets a CPU (kernel/sched/core.py), or was kicked for a membarrier;
* ``signal_deliver`` before a signal's frame is made (kernel/signal.py).

The CPUs are the machine's: at most one guest thread runs on each at any time, and a thread
that may be in a critical section changes its CPU only through ``sched_in``.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

from pygos.arch.x86.regs import RIP
from pygos.include.errno import EBUSY, EFAULT, EINVAL, EPERM, Errno
from pygos.include.linux.syscalls import Int, UInt, UserAddr, syscall
from pygos.include.uapi.rseq import (
    ORIG_RSEQ_SIZE,
    RSEQ_CPU_ID_UNINITIALIZED,
    RSEQ_FLAG_UNREGISTER,
)

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task
    from pygos.mm.mm import Mm

#: The alignment that the auxiliary vector tells; see also fs/binfmt_elf.py.
RSEQ_ALIGN: Final = 32
_TASK_SIZE_MAX: Final = (1 << 47) - 4096
_SIGSEGV: Final = 11
#: cpu_id_start, cpu_id; node_id, mm_cid. Between them: rseq_cs, flags.
_HEAD: Final = Struct("<Ii")
_TAIL: Final = Struct("<II")
_CS_AT, _FLAGS_AT, _TAIL_AT = 8, 16, 20
#: struct rseq_cs: version, flags, start_ip, post_commit_offset, abort_ip.
_CS: Final = Struct("<IIQQQ")


class Rseq:
    """One thread's registration."""

    __slots__ = ("area", "cid", "cpu", "event", "length", "sig")

    def __init__(self, area: int, length: int, sig: int) -> None:
        self.area = area
        self.length = length
        #: What stands before each abort handler.
        self.sig = sig
        #: The CPU and concurrency numbers in the area; -1: none yet.
        self.cpu = self.cid = -1
        #: A membarrier wants critical sections restarted; the task has been kicked.
        self.event = False

    def copy(self) -> Rseq:
        """For a child with memory of its own, where the area has a copy as well."""
        child = Rseq(self.area, self.length, self.sig)
        child.cpu, child.cid = self.cpu, self.cid
        return child

    def sched_in(self, task: Task) -> None:
        """The task is about to go on, perhaps elsewhere. A bad area ends in SIGSEGV."""
        mm = task.mm
        if mm is None:
            return
        self.event = False
        try:
            if mm.read_u64(self.area + _CS_AT):
                self._fix_up(task, mm)
            cid = 0 if mm.users == 1 else self._cid(task, mm)
            if self.cpu != task.cpu_nr or self.cid != cid:
                self._update(mm, task.cpu_nr, cid)
        except Errno:  # OutOfMemory too
            from pygos.kernel.sigsend import force_sigsegv

            force_sigsegv(task, 0)

    def signal_deliver(self, task: Task) -> None:
        """A handler is about to run: its frame shows the abort handler's address. EFAULT,
        EINVAL."""
        mm = task.mm
        if mm is not None and mm.read_u64(self.area + _CS_AT):
            self._fix_up(task, mm)

    def _update(self, mm: Mm, cpu: int, cid: int) -> None:
        mm.write(self.area, _HEAD.pack(cpu, cpu))
        mm.write(self.area + _TAIL_AT, _TAIL.pack(0, cid))
        self.cpu, self.cid = cpu, cid

    @staticmethod
    def _cid(task: Task, mm: Mm) -> int:
        """The lowest number that no other thread running in this memory has."""
        used = 0
        for other in task.machine.sched.running:
            if other.mm is mm and other is not task and other.rseq is not None:
                used |= 1 << max(other.rseq.cid, 0)
        return (~used & used + 1).bit_length() - 1

    def _fix_up(self, task: Task, mm: Mm) -> None:
        """Leave a critical section through its abort handler (rseq_ip_fixup). EFAULT, EINVAL."""
        at = mm.read_u64(self.area + _CS_AT)
        if at >= _TASK_SIZE_MAX:
            raise EINVAL
        version, flags, start, length, abort = _CS.unpack(mm.read(at, _CS.size))
        end = start + length
        if version or start >= _TASK_SIZE_MAX or end >= _TASK_SIZE_MAX:
            raise EINVAL
        if abort >= _TASK_SIZE_MAX or start <= abort < end:
            raise EINVAL
        if mm.read_u32(abort - 4) != self.sig:
            comm = task.comm.decode("utf-8", "replace")
            task.machine.printk.warn(
                f"Possible attack attempt. Unexpected rseq signature 0x{mm.read_u32(abort - 4):x},"
                f" expecting 0x{self.sig:x} (pid={task.pid}, addr={abort - 4:#x}, comm={comm})."
            )
            raise EINVAL
        regs = task.regs
        if not start <= regs[RIP] < end:
            mm.write_u64(self.area + _CS_AT, 0)
            return
        # Sections that would not be restarted are no longer a thing.
        if flags or mm.read_u32(self.area + _FLAGS_AT):
            raise EINVAL
        mm.write_u64(self.area + _CS_AT, 0)
        regs[RIP] = abort

    def reset(self, mm: Mm) -> None:
        """The area as it was before the registration. EFAULT."""
        mm.write(self.area, _HEAD.pack(0, RSEQ_CPU_ID_UNINITIALIZED))
        mm.write(self.area + _TAIL_AT, bytes(_TAIL.size))


@syscall
def rseq(task: Task, area: UserAddr, length: UInt, flags: Int, sig: UInt) -> int:
    """Register or unregister restartable sequences for the thread.

    Errors: EINVAL, EPERM (another signature), EBUSY (registered already), EFAULT.
    """
    mm, now = task.mm, task.rseq
    assert mm is not None
    if flags & ~RSEQ_FLAG_UNREGISTER:
        raise EINVAL
    if flags or now is not None:
        if now is None or now.area != area or now.length != length:
            raise EINVAL
        if now.sig != sig:
            raise EPERM
        if not flags:
            raise EBUSY
        now.reset(mm)
        task.rseq = None
        return 0
    _check_area(area, length)
    if mm.read_u64(area + _CS_AT):
        mm.write_u64(area + _CS_AT, 0)
    task.rseq = Rseq(area, length, sig)
    # Nobody waits with this until it gets its CPU the next time.
    task.rseq.sched_in(task)
    return 0


def _check_area(area: int, length: int) -> None:
    aligned = area % (ORIG_RSEQ_SIZE if length == ORIG_RSEQ_SIZE else RSEQ_ALIGN) == 0
    if length < ORIG_RSEQ_SIZE or not aligned:
        raise EINVAL
    if area + length > _TASK_SIZE_MAX:
        raise EFAULT
