#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the platform costs, in microseconds: system call, fault, clone, thread, boot.

Usage: bench/platform.py [repetitions]. Each figure is the median of several runs.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pygos.arch.um.cpu import UmCpu
from pygos.arch.um.ptrace_platform import UmPtrace
from pygos.arch.x86.regs import RAX, RIP
from pygos.host.ram import HostRam
from pygos.include.linux.platform import PAGE_SIZE, Prot, TrapKind

CODE, DATA = 0x400000, 0x600000
RX, RW = Prot.READ | Prot.EXEC, Prot.READ | Prot.WRITE
GETPID_LOOP = bytes.fromhex("b8270000000f05ebf7")
#: mov [rdi],al; add rdi,4096; jmp back
TOUCH_LOOP = bytes.fromhex("88074881c700100000ebf5")
SPIN = bytes.fromhex("ebfe")


class Machine:
    """RAM, a platform and some code in frames 1 to 3."""

    def __init__(self) -> None:
        self.ram = HostRam(65536)
        self.um = UmPtrace(self.ram, 2)
        for frame, code in enumerate((GETPID_LOOP, TOUCH_LOOP, SPIN), 1):
            self.ram.mem[frame * PAGE_SIZE : frame * PAGE_SIZE + len(code)] = code

    def cpu(self, frame: int) -> UmCpu:
        space = self.um.new_space()
        space.map(CODE, frame, 1, RX)
        cpu = space.new_cpu()
        cpu.regs[RIP] = CODE
        return cpu


def null_syscalls(machine: Machine, count: int, far: bool = False) -> float:
    """A system call whose Python is a store of the result."""
    cpu = machine.cpu(1)
    wait, regs, resume = machine.um.wait, cpu.regs, cpu.resume
    deadline = time.monotonic_ns() + 10**12 if far else None
    start = time.perf_counter()
    for _ in range(count):
        resume()
        wait(deadline)
        regs[RAX] = 1
    return (time.perf_counter() - start) / count * 1e6


class _Nobody:
    def host_ready(self, events: int) -> None:
        pass


def watched_syscalls(machine: Machine, count: int) -> float:
    """The same while a host descriptor is watched (a shell on a terminal)."""
    import os

    reader, writer = os.pipe()
    nobody = _Nobody()
    machine.um.watch(reader, 1, nobody)
    result = null_syscalls(machine, count)
    machine.um.unwatch(reader, nobody)
    os.close(reader)
    os.close(writer)
    return result


def faults(machine: Machine, count: int, around: int = 1) -> float:
    """A write to an unmapped page, answered by mapping `around` pages."""
    cpu = machine.cpu(2)
    from pygos.arch.x86.regs import RDI

    cpu.regs[RDI] = DATA
    done = 0
    start = time.perf_counter()
    while done < count:
        cpu.resume()
        ((_, trap),) = machine.um.wait(None)
        if trap.kind is TrapKind.FAULT:
            cpu.space.map(trap.addr, 4 + done * around % 60000, around, RW)
            done += 1
    return (time.perf_counter() - start) / count * 1e6


def clones(machine: Machine, count: int, pages: int = 0) -> float:
    """fork: clone a space with `pages` touched pages, run the child to its first call, end it."""
    cpu = machine.cpu(1)
    if pages:
        cpu.space.map(DATA, 4, pages, RW)
    cpu.resume()
    machine.um.wait(None)
    start = time.perf_counter()
    for _ in range(count):
        child = cpu.space.clone(cpu).new_cpu()
        child.resume()
        machine.um.wait(None)
        child.release()
        child.space.destroy()
    return (time.perf_counter() - start) / count * 1e6


def spaces(machine: Machine, count: int) -> float:
    """exec: a new empty space, run to its first call, end it."""
    start = time.perf_counter()
    for _ in range(count):
        cpu = machine.cpu(1)
        cpu.resume()
        machine.um.wait(None)
        cpu.release()
        cpu.space.destroy()
    return (time.perf_counter() - start) / count * 1e6


def threads(machine: Machine, count: int) -> float:
    """A new thread, run to its first call, ended."""
    first = machine.cpu(1)
    start = time.perf_counter()
    for _ in range(count):
        cpu = first.space.new_cpu()
        cpu.regs[RIP] = CODE
        cpu.resume()
        machine.um.wait(None)
        cpu.release()
    return (time.perf_counter() - start) / count * 1e6


def boots(_: Machine, count: int) -> float:
    """RAM and platform, started and closed."""
    start = time.perf_counter()
    for _ in range(count):
        ram = HostRam(65536)
        UmPtrace(ram, 2).close()
        ram.close()
    return (time.perf_counter() - start) / count * 1e6


BENCHES: list[tuple[str, Callable[[Machine, int], float], int]] = [
    ("null system call", null_syscalls, 20000),
    ("... with a far deadline", lambda m, n: null_syscalls(m, n, True), 20000),
    ("... with a watched descriptor", watched_syscalls, 20000),
    ("fault + map 1 page", faults, 5000),
    ("fault + map 16 pages", lambda m, n: faults(m, n, 16), 2000),
    ("fork + first call + exit", clones, 200),
    ("... with 4096 pages", lambda m, n: clones(m, n, 4096), 100),
    ("new space + first call + exit", spaces, 200),
    ("thread + first call + exit", threads, 200),
    ("boot and close", boots, 5),
]


def main() -> None:
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    for name, bench, count in BENCHES:
        machine = Machine()
        times = [bench(machine, count) for _ in range(repetitions)]
        machine.um.close()
        machine.ram.close()
        print(f"{name:32} {statistics.median(times):9.1f} us   (best {min(times):.1f})")


if __name__ == "__main__":
    main()
