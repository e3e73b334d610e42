# SPDX-License-Identifier: Apache-2.0
"""A machine whose programs are the tests: system calls by register, signals by handler.

The real entry code, scheduler, decoders and memory management run over fake RAM and CPUs.
``call`` does what a guest's ``syscall`` instruction does; ``settle`` runs the machine until
nothing is runnable; time stands still unless ``advance`` moves it.
"""

from __future__ import annotations

from importlib import import_module
from struct import pack, unpack
from typing import Any

from pygos import kernel
from pygos.arch import x86
from pygos.arch.x86.entry.syscall_64 import NUMBERS, NR_syscalls
from pygos.arch.x86.regs import (
    CS,
    EFLAGS,
    ORIG_RAX,
    RAX,
    RDI,
    RIP,
    RSI,
    RSP,
    SS,
    SYSCALL_ARGS,
)
from pygos.include.errno import EBADF
from pygos.include.linux.cred import CAP_FULL, Cred
from pygos.include.linux.fs import FilesStruct
from pygos.include.linux.mm_types import VM_READ, VM_WRITE, Vma
from pygos.include.linux.platform import Trap, TrapKind
from pygos.include.linux.sched import (
    NsProxy,
    SigAction,
    SighandStruct,
    SignalStruct,
    Task,
    TaskState,
    UtsNamespace,
)
from pygos.include.linux.timer import TimerQueue
from pygos.kernel.decode import LazyDecoder, NoSyscall
from pygos.kernel.entry import handle_trap
from pygos.kernel.pid import attach_pid, change_pgrp, change_session
from pygos.kernel.printk import Printk
from pygos.kernel.resource import default_rlimits
from pygos.kernel.sched import Sched
from pygos.kernel.sysctl import default_sysctls
from pygos.mm.mm import new_mm
from pygos.mm.vma import insert_vma
from tests.support.fakes import FakeCpu, fake_machine

SEC = 1_000_000_000
#: Where every process has 64 KiB of memory for its arguments, and its stack.
DATA = 0x10_0000
STACK_TOP = 0x7FFE_0001_0000
SA_RESTORER = 0x04000000
SA_SIGINFO, SA_RESTART, SA_NODEFER = 4, 0x10000000, 0x40000000
RESTORER = 0x40_2000
CODE = 0x40_0000


class ManualClock:
    """Time moves only when a test says so."""

    def __init__(self) -> None:
        self.mono = 1_000 * SEC
        self.offset = 1_700_000_000 * SEC
        self.rate = 0
        self.anchor = 0

    def monotonic(self) -> int:
        return self.mono

    def boottime(self) -> int:
        return self.mono

    def realtime(self) -> int:
        return self.mono + self.offset + (self.mono - self.anchor) * self.rate // SEC

    def set_realtime(self, ns: int) -> None:
        self.offset = ns - self.mono
        self.anchor = self.mono

    def slew(self, ppb: int) -> None:
        self.offset = self.realtime() - self.mono
        self.anchor = self.mono
        self.rate = ppb

    due = 1 << 63

    def shift(self, wall: int, tai: int) -> None:
        self.offset += wall

    def publish(self, page: memoryview) -> bool:
        return False


class TestCpu(FakeCpu):
    """A CPU with a little FPU state: x87, SSE and AVX, 832 bytes."""

    __test__ = False

    def __init__(self, space: Any) -> None:
        super().__init__(space)
        self.kicked = 0
        self.fpu = initial_fpu()

    def kick(self) -> None:
        self.kicked += 1

    def set_traps(self, traps: int) -> None: ...

    def get_fpu(self) -> bytes:
        return self.fpu

    def set_fpu(self, image: bytes | None) -> None:
        self.fpu = image if image is not None else initial_fpu()


def initial_fpu() -> bytes:
    """An XSAVE image with MXCSR at its default and the mask of possible parts."""
    image = bytearray(832)
    image[24:28] = pack("<I", 0x1F80)
    image[28:32] = pack("<I", 0xFFFF)
    image[464:472] = pack("<Q", 7)
    return bytes(image)


class Hooks:
    """The VFS's part in exits: nothing."""

    def exit_files(self, task: Task) -> None: ...

    def task_exit(self, task: Task) -> None: ...

    def fput(self, file: Any) -> None:
        file.f_count -= 1

    def coredump(self, task: Task, info: Any) -> bool:
        return False

    def pidfd_target(self, task: Task, fd: int) -> Any:
        raise EBADF


class FakeFs:
    """What a task's FsStruct must have."""

    users = 1


def _table() -> list[Any]:
    table: list[Any] = [NoSyscall(nr, str(nr)) for nr in range(NR_syscalls + 1)]
    lazy = tuple(kernel.SYSCALLS_LAZY.values())
    for name in kernel.SYSCALL_MODULES + lazy + x86.SYSCALL_MODULES:
        if name == "pygos.kernel.fork":
            continue
        for value in vars(import_module(name)).values():
            info = getattr(value, "__syscall__", None)
            if info is not None and value.__module__ == name:
                nr = NUMBERS[info.name]
                table[nr] = LazyDecoder(table, nr, value, SYSCALL_ARGS)
    return table


class World:
    """One machine with an init (pid 1) and the processes that a test makes."""

    def __init__(self) -> None:
        machine = self.machine = fake_machine(4096)
        self.clock = ManualClock()
        machine.clock = self.clock
        machine.printk = Printk(self.clock)
        machine.timers = TimerQueue()
        machine.nr_cpus = 64
        machine.fs_hooks = Hooks()  # type: ignore[assignment]
        machine.sysctl = default_sysctls(4096)
        machine.sched = self.sched = Sched(machine)
        machine.syscalls = _table()
        self.uts = UtsNamespace("box")
        idle = self._task(0)
        machine.init_task = idle
        init = self._task(1)
        init.real_parent = init.parent = idle
        init.state = TaskState.INTERRUPTIBLE
        machine.pid1 = init
        machine.pids.last = 1
        init.group.pgrp = init.group.session = 1
        attach_pid(machine.pids, init)

    # -- making tasks

    def _task(self, pid: int) -> Task:
        task = Task(self.machine, pid)
        task.sighand = SighandStruct()
        group = SignalStruct(pid)
        group.leader = task
        group.threads.append(task)
        group.rlim = default_rlimits(self.machine)
        task.group = group
        task.cred = Cred()
        task.files = FilesStruct()
        task.fs = FakeFs()  # type: ignore[assignment]
        task.nsproxy = NsProxy(self.uts, None)  # type: ignore[arg-type]
        return task

    def process(self, parent: Task | None = None, uid: int = 0) -> Task:
        """A running process in its parent's group and session (without one: its own)."""
        machine = self.machine
        pid = machine.pids.last = machine.pids.last + 1
        task = self._task(pid)
        caps = 0 if uid else CAP_FULL
        task.cred = Cred(uid, uid, uid, uid, uid, uid, uid, uid, (), 0, caps, caps)
        task.comm = b"test"
        task.exit_signal = 17
        owner = parent if parent is not None else machine.pid1
        assert owner is not None
        task.real_parent = task.parent = owner
        owner.children[task] = None
        task.group.pgrp, task.group.session = owner.group.pgrp, owner.group.session
        attach_pid(machine.pids, task)
        if parent is None:
            change_session(machine.pids, task, pid)
            change_pgrp(machine.pids, task, pid)
        mm = new_mm(machine)
        mm.owner = task
        for start, end in ((DATA, DATA + 0x10000), (STACK_TOP - 0x10000, STACK_TOP)):
            insert_vma(mm, Vma(mm, start, end, VM_READ | VM_WRITE))
        task.mm = mm
        self._give_cpu(task)
        return task

    def thread(self, task: Task) -> Task:
        """Another thread of a process."""
        machine = self.machine
        pid = machine.pids.last = machine.pids.last + 1
        new = Task(machine, pid)
        new.tgid = task.tgid
        new.group = task.group
        new.group_leader = task.group.leader
        new.sighand = task.sighand
        new.cred, new.files, new.fs, new.nsproxy = task.cred, task.files, task.fs, task.nsproxy
        new.mm = task.mm
        assert task.mm is not None
        task.mm.users += 1
        new.exit_signal = -1
        new.real_parent = new.parent = task.real_parent
        new.group.threads.append(new)
        machine.pids.tasks[pid] = new
        self._give_cpu(new)
        return new

    def _give_cpu(self, task: Task) -> None:
        assert task.mm is not None
        cpu = TestCpu(task.mm.space)
        cpu.owner = task
        task.cpu = cpu  # type: ignore[assignment]
        task.regs = cpu.regs
        task.regs[RIP], task.regs[RSP] = CODE, STACK_TOP - 0x1000
        task.regs[CS], task.regs[SS], task.regs[EFLAGS] = 0x33, 0x2B, 0x202
        self._run(task)

    def _run(self, task: Task) -> None:
        task.state = TaskState.RUNNING
        self.sched.add(task)
        self.sched._dispatch(self.clock.mono)
        assert task.on_cpu

    # -- what a guest does

    def call(self, task: Task, name: str, *args: int) -> int | None:
        """One system call; its result, or None if the task sleeps, stopped or died."""
        assert task.on_cpu, f"{task} doesn't run"
        regs = task.regs
        for index, value in zip(SYSCALL_ARGS, (*args, *[0] * (6 - len(args))), strict=True):
            regs[index] = value & (1 << 64) - 1
        regs[ORIG_RAX] = NUMBERS[name]
        regs[RIP] += 2
        self._trap(task, Trap(TrapKind.SYSCALL))
        self.settle()
        return result(task)

    def trap(self, task: Task, kind: TrapKind = TrapKind.KICK, **fields: Any) -> None:
        """Another stop of a running guest."""
        self._trap(task, Trap(kind, **fields))
        self.settle()

    def _trap(self, task: Task, trap: Trap) -> None:
        if not handle_trap(task, trap):
            self.sched._take_off(task)

    def redo(self, task: Task) -> int | None:
        """Execute the instruction that RIP points back to: a call that is being restarted."""
        regs = task.regs
        nr = regs[RAX]
        regs[ORIG_RAX] = nr
        regs[RIP] += 2
        self._trap(task, Trap(TrapKind.SYSCALL))
        self.settle()
        return result(task)

    def settle(self) -> None:
        """Run what is runnable; guests that were kicked stop once."""
        for _ in range(1000):
            progress = bool(self.sched.waiting)
            if progress:
                self.sched._dispatch(self.clock.mono)
            for task in tuple(self.sched.running):
                if task.notify:
                    progress = True
                    self._trap(task, Trap(TrapKind.KICK))
            if not progress:
                return
        raise AssertionError("the machine doesn't come to rest")

    def advance(self, ns: int) -> None:
        """Let time pass; timers expire at their times."""
        end = self.clock.mono + ns
        while True:
            deadline = self.machine.timers.next_deadline()
            if deadline is None or deadline > end:
                break
            self.clock.mono = max(self.clock.mono, deadline)
            self.machine.timers.run(self.clock.mono)
            self.settle()
        self.clock.mono = end

    # -- memory

    def put(self, task: Task, data: bytes, offset: int = 0) -> int:
        """Write to the process' data area; the address."""
        assert task.mm is not None
        task.mm.write(DATA + offset, data)
        return DATA + offset

    def get(self, task: Task, addr: int, count: int) -> bytes:
        assert task.mm is not None
        return task.mm.read(addr, count)

    # -- signals

    def catch(self, task: Task, signo: int, flags: int = 0, mask: int = 0) -> int:
        """Install a handler through rt_sigaction; its address."""
        handler = 0x50_0000 + signo * 16
        act = pack("<QQQQ", handler, flags | SA_RESTORER, RESTORER, mask)
        addr = self.put(task, act, 0xF000)
        assert self.call(task, "rt_sigaction", signo, addr, 0, 8) == 0
        return handler

    def handled(self, task: Task) -> int:
        """The signal whose handler the task is about to run, 0 if it isn't."""
        rip = task.regs[RIP]
        signo, rest = divmod(rip - 0x50_0000, 16)
        if rest or not 1 <= signo <= 64:
            return 0
        assert task.regs[RDI] == signo
        return signo

    def siginfo(self, task: Task) -> tuple[int, int, int, int, int, int]:
        """(signo, code, pid, uid, value, raw second word) of the frame being handled."""
        data = self.get(task, task.regs[RSI], 128)
        signo, _errno, code = unpack("<iii", data[:12])
        pid, uid, value = unpack("<iIQ", data[16:32])
        return signo, code, pid, uid, value, unpack("<Q", data[16:24])[0]

    def sigreturn(self, task: Task) -> None:
        """The handler returns: through the restorer into rt_sigreturn."""
        regs = task.regs
        assert self.get(task, regs[RSP], 8) == RESTORER.to_bytes(8, "little")
        regs[RSP] += 8
        regs[RIP] = RESTORER
        self.call(task, "rt_sigreturn")


def result(task: Task) -> int | None:
    """The signed result in RAX; None unless the task is in user mode."""
    if task.state is not TaskState.RUNNING or task.in_syscall or task.cpu is None:
        return None
    rax = int(task.regs[RAX])
    return rax - (1 << 64) if rax >> 63 else rax


def action(task: Task, signo: int) -> SigAction:
    return task.sighand.action[signo]


def timespec(sec: int, nsec: int = 0) -> bytes:
    return pack("<qq", sec, nsec)


def wait_status(task: Task) -> int:
    """How a dead process ended."""
    return task.group.exit_code if task.group.group_exit else task.exit_code
