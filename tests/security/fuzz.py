# SPDX-License-Identifier: Apache-2.0
"""Random system calls with plausible arguments, made from the handlers' signatures.

``Fuzzer(seed).run(calls)`` boots a machine without a host (tests/support/fsworld.py) whose
processes own one of every kind of descriptor, and makes calls: the decoder's parameters say
what an argument is, the tables in fuzz_tables.py which values are interesting for it. After
every call it checks that the answer is a value or an errno Linux has, that the kernel did not
oops and that the call took little time. The same seed makes the same calls.

To hunt longer than the tests do, and see every different failure once::

    python -m tests.security.fuzz --seeds 0-999 --calls 2000 [--only mmap,munmap]
"""

from __future__ import annotations

import argparse
import gc
import random
import re
import resource
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pygos.arch.x86.regs import RIP, RSP
from pygos.fs.binfmt_elf import ElfFormat
from pygos.fs.binfmt_script import ScriptFormat
from pygos.fs.cgroup.mount import CgroupType
from pygos.fs.namei import vfs_mkdir
from pygos.fs.namespace import do_mount_internal
from pygos.fs.overlayfs.super import OverlayType
from pygos.fs.proc.root import ProcType
from pygos.fs.super import register_filesystem
from pygos.fs.sysfs.mount import SysfsType
from pygos.fs.tmpfs import RamfsType
from pygos.fs.walk import lookup_one, path_lookup
from pygos.include.errno import EFAULT
from pygos.include.linux.platform import TASK_SIZE, Trap, TrapKind
from pygos.include.linux.sched import Task, TaskState
from pygos.init.calls import all_handlers
from pygos.ipc.boot import init_ipc
from pygos.kernel.decode import parameters
from pygos.kernel.sigsend import send_sig
from pygos.mm.oom import OutOfMemory
from tests.security.fuzz_args import Arguments
from tests.security.fuzz_tables import PATHS, SETUP
from tests.support.fsworld import AT_FDCWD, FsWorld
from tests.support.world import CODE, DATA, SEC, STACK_TOP

#: Answers that Linux never gives to a program: ERESTARTSYS and its like, and what isn't there.
_LAST_ERRNO = 133
#: It waits until every CPU has stopped once; here they never do.
_EXCLUDED = {"membarrier"}
#: Any register value is a proper answer of these.
_ANY_ANSWER = {"rt_sigreturn", "lseek"}
#: CPU time that one call may take (s), and what the kernel may allocate in all (bytes).
CALL_LIMIT = 1.0
MEMORY_LIMIT = 512 << 20
_MOST_TASKS = 12


class TooSlow(BaseException):
    """Raised in the middle of a call that takes too long; its traceback shows where."""


class Failure(AssertionError):
    """What went wrong, with the calls before it."""


def _too_slow(signo: int, frame: Any) -> None:
    raise TooSlow


@contextmanager
def limits() -> Iterator[None]:
    """Huge allocations fail, calls without end are interrupted, while in here."""
    old = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as statm:
        size = int(statm.read().split()[0]) * resource.getpagesize()
    handler = signal.signal(signal.SIGVTALRM, _too_slow)
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY_LIMIT, old[1]))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, old)
        signal.signal(signal.SIGVTALRM, handler)


def handlers() -> dict[str, list[Any]]:
    """The parameters of every handler, by the call's name."""
    found = sorted(all_handlers().items())
    return {name: parameters(handler) for name, handler in found if name not in _EXCLUDED}


class FuzzWorld(FsWorld):
    """A machine with all file systems that need no host, and programs to execute."""

    def __init__(self) -> None:
        super().__init__()
        machine, idle = self.machine, self.machine.init_task
        kinds = (ProcType(), SysfsType(), RamfsType(), OverlayType(), CgroupType())
        for kind in kinds:
            register_filesystem(machine, kind)
        init_ipc(machine)
        for name in (b"proc", b"sys", b"mnt"):
            vfs_mkdir(idle, self.root.inode, lookup_one(idle, self.root.dentry, name), 0o755)
        for fstype, place in (("proc", b"/proc"), ("sysfs", b"/sys")):
            do_mount_internal(machine, fstype, fstype, path_lookup(idle, AT_FDCWD, place))
        machine.misc["hwcap"] = machine.misc["hwcap2"] = 0
        machine.binfmts = [ElfFormat(), ScriptFormat()]
        init = machine.pid1
        assert init is not None
        self.place(init)

    def settle(self) -> None:
        """As World's, but signals that handlers send each other for ever are cut off."""
        for _ in range(300):
            # Those that wait for a CPU that another one holds are no progress.
            switches = self.sched.nr_switches, self.sched.waiting
            self.sched._dispatch(self.clock.mono)
            now = self.sched.nr_switches, self.sched.waiting
            progress = switches != now
            for task in tuple(self.sched.running):
                if task.notify:
                    progress = True
                    self._trap(task, Trap(TrapKind.KICK))
            if not progress:
                return
        raise AssertionError("the machine doesn't come to rest")


class Fuzzer:
    """One machine and a source of calls."""

    def __init__(self, seed: int, only: tuple[str, ...] = ()) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.calls = handlers()
        self.names = list(only) or list(self.calls)
        #: A few calls are made most of the time: deep sequences instead of broad ones.
        self.focus = self.random.sample(self.names, min(len(self.names), 24))
        self.history: list[str] = []
        self.answers = 0
        self.world = FuzzWorld()
        self.arguments = Arguments(self.random)
        self.slowest = (0.0, "")
        self.root = self.spawn()
        self.child = self.spawn(self.root)

    # -- processes

    def spawn(self, parent: Task | None = None) -> Task:
        """A process; the first one makes one of every descriptor, others inherit them."""
        world = self.world
        uid = self.random.choice((0, 0, 0, 1000))
        task = world.proc(parent, uid)
        if parent is None or len(task.files.fd) < 10:
            self._make_files(task)
        return task

    def _make_files(self, task: Task) -> None:
        world = self.world
        for kind, path, *rest in PATHS.setup:
            self.poke(task, DATA + 0xE000, path + b"\0")
            addr = DATA + 0xE000
            if kind == "mkdir":
                self._set(task, "mkdir", addr, 0o777)
            elif kind == "file":
                fd = self._set(task, "openat", AT_FDCWD, addr, 0o102, rest[1])
                self.poke(task, DATA, rest[0])
                if fd is not None and fd >= 0:
                    self._set(task, "write", fd, DATA, len(rest[0]))
                    self._set(task, "close", fd)
            elif kind == "symlink":
                self.poke(task, DATA + 0xD000, rest[0] + b"\0")
                self._set(task, "symlink", DATA + 0xD000, addr)
            else:
                self._set(task, "mknod", addr, rest[0], rest[1])
        for path, flags in PATHS.opened:
            self.poke(task, DATA + 0xE000, path + b"\0")
            self._set(task, "openat", AT_FDCWD, DATA + 0xE000, flags, 0o644)
        for name, args in SETUP:
            self._set(task, name, *args)
        world.settle()

    def _set(self, task: Task, name: str, *args: int) -> int | None:
        """A call of the set-up, if the process can still make it."""
        return self.world.call(task, name, *args) if task.on_cpu else None

    def runnable(self) -> Task:
        """A process that can make a call; makes room and new ones as needed."""
        world = self.world
        if len(world.machine.pids.tasks) > _MOST_TASKS:
            self._kill_sleepers()
        tasks = self._running()
        if len(tasks) > 6:
            world.call(tasks[-1], "exit_group", 0)
            tasks = self._running()
        if len(tasks) < 2:
            parent = tasks[0] if tasks else None
            tasks = [self.spawn(parent)]
        return self.random.choice(tasks)

    def _running(self) -> list[Task]:
        tasks = self.world.sched.running
        return [task for task in tasks if task.mm is not None and task.alive and task.on_cpu]

    def _kill_sleepers(self) -> None:
        """All that sleep die; their zombies go with their parents."""
        from pygos.kernel.exit import release_task

        machine = self.world.machine
        for task in tuple(machine.pids.tasks.values()):
            if task.pid > 1 and task.alive and not task.on_cpu:
                send_sig(task, 9, True)
        self.world.settle()
        for task in tuple(machine.pids.tasks.values()):
            if task.state is TaskState.ZOMBIE and task.parent is not None:
                release_task(task)

    # -- calls

    def run(self, count: int) -> None:
        """Make `count` calls, then end everything. Failure says what went wrong."""
        try:
            for _ in range(count):
                self.step()
            self.finish()
        except (Exception, TooSlow) as error:
            if isinstance(error, Failure):
                raise
            text = "".join(traceback.format_exception(error)[-30:])
            raise Failure(self.report(text)) from None

    def step(self) -> None:
        """One call, or a change of something else."""
        rnd, world = self.random, self.world
        task = self.runnable()
        if rnd.random() < 0.03:
            self.history.append("time passes")
            signal.setitimer(signal.ITIMER_VIRTUAL, CALL_LIMIT)
            world.advance(rnd.choice((1, SEC // 1000, SEC, 100 * SEC)))
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            self._check()
            return
        name = rnd.choice(self.focus if rnd.random() < 0.7 else self.names)
        args = self.arguments.make(name, self.calls[name], self, task)
        text = f"{task.pid}: {name}({', '.join(f'{arg:#x}' for arg in args)})"
        task.regs[RIP], task.regs[RSP] = CODE, STACK_TOP - 0x1000
        self.history.append(text)
        self._timed(task, name, args, text)

    def _timed(self, task: Task, name: str, args: list[int], text: str) -> None:
        signal.setitimer(signal.ITIMER_VIRTUAL, CALL_LIMIT)
        start = time.process_time()
        answer = self.world.call(task, name, *args)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        self.slowest = max(self.slowest, (time.process_time() - start, text))
        self._check()
        if answer is None:
            return
        self.history[-1] += f" = {answer}"
        self.answers += answer >= 0
        if name in _ANY_ANSWER or task.oops:
            return
        if not -_LAST_ERRNO <= answer < TASK_SIZE:
            raise Failure(self.report(f"{name} answered {answer}"))

    def _check(self) -> None:
        if self.world.machine.oops_count:
            raise Failure(self.report(self.world.machine.printk.text()))  # type: ignore[attr-defined]

    def finish(self) -> None:
        """Every process dies; nothing may go wrong then either."""
        self.history.append("end")
        machine = self.world.machine
        for _ in range(3):
            for task in tuple(self.world.sched.running):
                if task.on_cpu and task.mm is not None:
                    self.world.call(task, "exit_group", 0)
                    if task.alive:  # a filter of its own forbids the call
                        send_sig(task, 9, True)
            self._kill_sleepers()
        self.world.advance(1000 * SEC)
        self._check()
        left = [task for task in machine.pids.tasks.values() if task.pid > 1]
        if left:
            raise Failure(self.report(f"these don't die: {left}"))

    def report(self, text: str) -> str:
        """A failure's text: what it takes to see it again, and the last calls."""
        last = "\n".join(self.history[-12:])
        return f"seed {self.seed}, call {len(self.history)}\n{last}\n{text[-6000:]}"

    # -- memory

    def poke(self, task: Task, addr: int, data: bytes) -> None:
        """Write to the program's memory where it can be written."""
        if task.mm is None:
            return
        try:
            task.mm.write(addr, data)
        except (EFAULT, OutOfMemory):
            pass


def _kinds(text: str) -> str:
    """What makes two failures the same: the place and the kind of the error."""
    lines = [re.sub(r"^\[.*?\]|\[#.*|0x\w+|\d+", "", line) for line in text.splitlines()]
    heads = [line for line in lines if "Error" in line or "TooSlow" in line or "answered" in line]
    places = [line for line in lines if "pygos/" in line]
    return (heads[-1] if heads else "") + " | " + (places[-1] if places else "")


def main() -> int:
    """Hunt; prints each different failure once and how often it came."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", default="0-99")
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    first, _, last = options.seeds.partition("-")
    only = tuple(filter(None, options.only.split(",")))
    found: dict[str, int] = {}
    slowest = (0.0, "")
    calls = answers = 0
    for seed in range(int(first), int(last or first) + 1):
        gc.collect()
        with limits():
            fuzzer = None
            try:
                fuzzer = Fuzzer(seed, only)
                fuzzer.run(options.calls)
            except Failure as failure:
                kind = _kinds(str(failure))
                if kind not in found:
                    print("=" * 78, failure, sep="\n", flush=True)
                found[kind] = found.get(kind, 0) + 1
        if fuzzer is not None:
            slowest = max(slowest, fuzzer.slowest)
            calls += len(fuzzer.history)
            answers += fuzzer.answers
    print("=" * 78)
    for kind, count in sorted(found.items(), key=lambda item: -item[1]):
        print(count, kind)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"{calls} calls, {answers} successful, at most {memory} MB; slowest: {slowest}")
    return bool(found)


__all__ = ["DATA", "Failure", "Fuzzer", "limits"]

if __name__ == "__main__":
    sys.exit(main())
