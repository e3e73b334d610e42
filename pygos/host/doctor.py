# SPDX-License-Identifier: Apache-2.0
"""What the host offers for running machines, what is missing, and how to mend it."""

from __future__ import annotations

import os
import platform
import resource
import time
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Final

from pygos.host import HostError
from pygos.include.dataclass import dataclass

_MIB: Final = 1 << 20
_SLOW_US: Final = 15.0
_FEW_MAPPINGS: Final = 65530


class State(Enum):
    """How bad it is."""

    OK = "ok"
    DEGRADED = "degraded"
    MISSING = "missing"


@dataclass(slots=True, frozen=True)
class Finding:
    """One thing looked at. `meaning`: what it is for or what fails; `mend`: what to do."""

    name: str
    state: State
    meaning: str
    mend: str = ""


def _read(path: str) -> str | None:
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return None


def _number(path: str) -> int | None:
    text = _read(path)
    return int(text) if text is not None and text.isdigit() else None


def check_ptrace() -> str | None:
    """One line saying why machines can't run here, or None if they can. About 1.5 ms."""
    from pygos.arch.um.ptrace_platform import UmPtrace
    from pygos.host.ram import HostRam

    try:
        ram = HostRam(16)
    except HostError as error:
        return str(error)
    try:
        UmPtrace(ram, 1).close()
    except HostError as error:
        return str(error)
    finally:
        ram.close()
    return None


def _python() -> Finding:
    version = platform.python_version()
    name = f"Python {version}"
    if platform.python_implementation() != "CPython":
        return Finding(name, State.DEGRADED, "only CPython is tested", "use CPython")
    return Finding(name, State.OK, "runs the kernel")


def _host() -> Finding:
    uname = os.uname()
    name = f"{uname.sysname} {uname.release} on {uname.machine}"
    if uname.sysname != "Linux" or uname.machine != "x86_64":
        return Finding(name, State.MISSING, "stubs need Linux on x86-64", "use such a host")
    parts = uname.release.split(".")
    version = tuple(int(part) for part in parts[:2] if part.isdigit())
    if version < (5, 9):
        return Finding(name, State.MISSING, "stubs need close_range(2)", "use Linux 5.9 or later")
    return Finding(name, State.OK, "runs the stubs")


def _ptrace() -> Finding:
    """The real thing: start a stub and let it make system calls."""
    reason = check_ptrace()
    if reason is not None:
        mend = "allow ptrace: sysctl kernel.yama.ptrace_scope=1, docker run --cap-add SYS_PTRACE"
        return Finding("guest programs", State.MISSING, reason, mend)
    return _measured("guest programs on um-ptrace", "ptrace", "trapped by PTRACE_SYSEMU")


def _systrap() -> Finding:
    """The faster platform, for real too."""
    from pygos.arch.um.registry import available

    try:
        found = _measured("um-systrap", "systrap", "trapped by a seccomp filter")
    except HostError as error:
        meaning = f"{error}; programs run on um-ptrace, slower"
        mend = "a newer host kernel, or a container that allows these calls"
        return Finding("um-systrap", State.DEGRADED, meaning, mend)
    chosen = "the default" if available()[0] == "systrap" else "for --platform systrap"
    return Finding(found.name, found.state, f"{found.meaning}; {chosen}", found.mend)


def _measured(what: str, platform: str, meaning: str) -> Finding:
    """How fast system calls are on a platform. HostError if it can't be had."""
    cost = _syscall_cost(platform)
    name = f"{what}, {cost:.1f} us per system call"
    if cost > _SLOW_US:
        return Finding(name, State.DEGRADED, "slow", "the host is busy or nested deeply")
    return Finding(name, State.OK, meaning)


def _syscall_cost(platform: str) -> float:
    from pygos.arch.um.registry import new_platform
    from pygos.arch.x86.regs import RAX, RIP
    from pygos.host.ram import HostRam
    from pygos.include.linux.platform import PAGE_SIZE, Prot

    ram = HostRam(16)
    try:
        machine = new_platform(platform, ram, 1)
    except HostError:
        ram.close()
        raise
    ram.mem[PAGE_SIZE : PAGE_SIZE + 9] = bytes.fromhex("b8270000000f05ebf7")
    space = machine.new_space()
    space.map(0x400000, 1, 1, Prot.READ | Prot.EXEC)
    cpu = space.new_cpu()
    cpu.regs[RIP] = 0x400000
    best = 1e9
    for _ in range(20):
        start = time.perf_counter()
        for _ in range(100):
            cpu.resume()
            machine.wait(None)
            cpu.regs[RAX] = 0
        best = min(best, (time.perf_counter() - start) * 1e4)
    machine.close()
    ram.close()
    return best


def _yama() -> Finding | None:
    scope = _number("/proc/sys/kernel/yama/ptrace_scope")
    if scope is None:
        return None
    name = f"yama ptrace_scope {scope}"
    if scope == 3:
        mend = "sysctl kernel.yama.ptrace_scope=1 (after a reboot: 3 is final)"
        return Finding(name, State.MISSING, "no process may be traced", mend)
    if scope == 2 and os.geteuid() != 0:
        mend = "sysctl kernel.yama.ptrace_scope=1, or run as root"
        return Finding(name, State.DEGRADED, "tracing needs CAP_SYS_PTRACE", mend)
    return Finding(name, State.OK, "own children may be traced")


def _seccomp() -> Finding:
    actions = (_read("/proc/sys/kernel/seccomp/actions_avail") or "").split()
    if {"kill_process", "trap"} <= set(actions):
        return Finding("seccomp filters", State.OK, "confine the stubs a second time")
    mend = "a host kernel with CONFIG_SECCOMP_FILTER"
    return Finding("seccomp filters", State.MISSING, "stubs can't be confined", mend)


def _memfd() -> Finding | None:
    noexec = _number("/proc/sys/vm/memfd_noexec")
    if not noexec:
        return None
    name = f"vm.memfd_noexec {noexec}"
    meaning = "stubs start from a nameless file in /tmp instead of memory"
    return Finding(name, State.DEGRADED, meaning, "needs a /tmp without noexec")


def _mappings() -> Finding:
    limit = _number("/proc/sys/vm/max_map_count") or 0
    name = f"vm.max_map_count {limit}"
    if limit < _FEW_MAPPINGS:
        meaning = "programs with much scattered memory get slow"
        return Finding(name, State.DEGRADED, meaning, f"sysctl vm.max_map_count={_FEW_MAPPINGS}")
    return Finding(name, State.OK, "host mappings per guest process")


def _cpus() -> Finding:
    mask = sorted(os.sched_getaffinity(0))
    name = f"{len(mask)} of {os.cpu_count()} CPUs"
    if len(mask) == 1:
        return Finding(name, State.DEGRADED, "guest threads take turns", "taskset, cpuset")
    return Finding(name, State.OK, "guest threads run in parallel")


def _cpu_features() -> Finding:
    text = _read("/proc/cpuinfo") or ""
    flags: set[str] = set()
    for line in text.splitlines():
        if line.startswith("flags"):
            flags = set(line.partition(":")[2].split())
            break
    name = "CPU with " + ", ".join(
        label
        for flag, label in (
            ("avx2", "AVX2"),
            ("avx512f", "AVX-512"),
            ("amx_tile", "AMX"),
            ("fsgsbase", "FSGSBASE"),
            ("cpuid_fault", "cpuid faulting"),
        )
        if flag in flags
    )
    if "cpuid_fault" not in flags:
        meaning = "a guest's cpuid can't be trapped (matters for exact replay only)"
        return Finding(name or "CPU", State.OK, meaning)
    return Finding(name, State.OK, "guests see all of it")


def _memory_limit() -> int | None:
    """The tightest memory limit of our cgroups, bytes."""
    for line in (_read("/proc/self/cgroup") or "").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0":
            base, file = "/sys/fs/cgroup", "memory.max"
        elif "memory" in controllers.split(","):
            base, file = "/sys/fs/cgroup/memory", "memory.limit_in_bytes"
        else:
            continue
        limits = []
        while True:
            limit = _number(f"{base}{path.rstrip('/')}/{file}")
            if limit is not None and limit < 1 << 60:
                limits.append(limit)
            if path in ("/", ""):
                break
            path = os.path.dirname(path)
        if limits:
            return min(limits)
    return None


def _memory() -> Finding:
    available = 0
    for line in (_read("/proc/meminfo") or "").splitlines():
        if line.startswith("MemAvailable:"):
            available = int(line.split()[1]) * 1024
    limit = _memory_limit()
    if limit is not None:
        available = min(available, limit)
    name = f"{available // _MIB} MiB of memory" + (" (cgroup limit)" if limit else "")
    if available < 256 * _MIB:
        return Finding(name, State.DEGRADED, "little", "raise the container's memory limit")
    return Finding(name, State.OK, "guest memory is taken as it is used")


def _limits() -> Iterable[Finding]:
    processes, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    if 0 <= processes < 256:
        meaning = "each guest thread is a host process"
        yield Finding(f"{processes} processes", State.DEGRADED, meaning, "ulimit -u 4096")
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= files < 256:
        meaning = "host files are opened again and again"
        yield Finding(f"{files} open files", State.DEGRADED, meaning, "ulimit -n 1024")


def _tracefs() -> Finding | None:
    for path in ("/sys/kernel/tracing", "/sys/kernel/debug/tracing"):
        if os.access(f"{path}/trace_pipe", os.R_OK):
            return Finding("tracefs", State.OK, "host events can be traced")
    return None


_PROBES: Final[tuple[Callable[[], Finding | None], ...]] = (
    _python, _host, _ptrace, _systrap, _yama, _seccomp, _memfd, _mappings, _cpus, _cpu_features,
    _memory, _tracefs,
)  # fmt: skip


def findings() -> list[Finding]:
    """Look at everything. Takes some 30 ms."""
    found = [finding for probe in _PROBES if (finding := probe()) is not None]
    found.extend(_limits())
    return found


def examine(echo: Callable[[str], object]) -> int:
    """Tell the findings line by line; 0 if machines can run here, else 1."""
    found = findings()
    for finding in found:
        echo(f"{finding.state.value:9} {finding.name}: {finding.meaning}")
        if finding.mend and finding.state is not State.OK:
            echo(f"{'':9} mend: {finding.mend}")
    return int(any(finding.state is State.MISSING for finding in found))
