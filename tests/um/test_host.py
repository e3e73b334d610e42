# SPDX-License-Identifier: Apache-2.0
"""How the platform behaves towards the host: death, children, descriptors, signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pygos.arch.x86.regs import RAX, RIP
from pygos.host import libc
from pygos.host.stub import PTRACE_CONT, PTRACE_SETREGS, WALL
from pygos.include.linux.platform import TrapKind
from tests.um.guest import CODE, GETPID_LOOP, SPIN, Guest

ROOT = Path(__file__).resolve().parents[2]


DOOMED = """
import sys
sys.path.insert(0, sys.argv[1])
from tests.um.guest import *
guest = Guest(platform=sys.argv[2])
first = guest.cpu(SPIN)
cpus = [first, first.space.new_cpu(), guest.cpu(GETPID_LOOP)]
print(guest.um.zygote.pid, guest.um.zygote.watcher, *(cpu.pid for cpu in cpus), flush=True)
for cpu in cpus:
    cpu.regs[RIP] = CODE
    cpu.resume()
while True:
    for cpu, trap in guest.um.wait(None):
        cpu.resume()
"""


@pytest.mark.parametrize("delay", [0, 1, 3, 10, 30])
def test_t_death_01_no_stub_survives_the_kernel(delay: int, platform: str) -> None:
    command = [sys.executable, "-c", DOOMED, str(ROOT), platform]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        pids = child.stdout.readline().split()
        time.sleep(delay / 1000)
        child.kill()
        child.wait()
    limit = time.monotonic() + 1
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < limit, "stubs are left"


def alive(pid: str) -> bool:
    """Exists and is no zombie (whose reaping is up to the host's init)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


#: Stands for the number that the filter wants to see, which is another in each machine.
PASS = 0x123456789ABCDEF0


@pytest.mark.only_on("ptrace")
def test_t_death_05_the_filter_alone_kills(guest: Guest) -> None:
    """A stub that runs plainly dies at its first system call outside of the stub page."""
    cpu = guest.cpu(GETPID_LOOP)
    guest.trap(cpu)
    cpu.regs[RIP] = CODE
    libc.ptrace(PTRACE_SETREGS, cpu.pid, 0, cpu.addr)
    libc.ptrace(PTRACE_CONT, cpu.pid, 0, 0)
    _, status = os.waitpid(cpu.pid, WALL)
    assert status & 0x7F == signal.SIGSYS


@pytest.mark.only_on("ptrace")
@pytest.mark.parametrize(
    ("number", "args", "allowed"),
    [
        (9, (0x10000, 4096, 1, 0x11, 3, 0), True),
        (9, (0x10000, 4096, 1, 0x8011, 3, 0), True),  # populated
        (9, (0x10000, 4096, 1, 0x22, 3, 0), False),  # private anonymous
        (9, (0x10000, 4096, 1, 0x8022, 3, 0), False),
        (9, (0x10000, 4096, 1, 0x11, 4, 0), False),
        (10, (0x400000, 4096, 1, 0, 0, PASS), True),
        (10, (0x400000, 4096, 1, 0, 0, PASS ^ 1), False),
        (10, (0x400000, 4096, 1, 0, 0, PASS ^ 1 << 63), False),
        (11, (0x500000, 4096, 0, 0, 0, PASS), True),
        (11, (0x500000, 4096, 0, 0, 0, 0), False),
        (39, (), False),
        (56, (0x11,), False),
        (157, (1, 9), True),
        (157, (1, 0), False),
        (157, (38, 0), False),
        (59, (0, 0, 0), False),
        (0x4000_0009, (0x10000, 4096, 1, 0x11, 3, 0), False),
        (231, (0,), False),
    ],
)
def test_filter_in_the_stub_page(
    guest: Guest, number: int, args: tuple[int, ...], allowed: bool
) -> None:
    """What a stub may do natively from its own page: what the batches need, no more."""
    from pygos.arch.x86.regs import SYSCALL_ARGS
    from pygos.host.layout import STUB_CODE
    from pygos.host.machine_code import STUB, STUB_BATCH

    cpu = guest.cpu(SPIN)
    cpu.space.sync()
    cpu.regs[RIP] = STUB_CODE + STUB.index(b"\x0f\x05", STUB_BATCH)
    cpu.regs[RAX] = number
    for index, value in zip(SYSCALL_ARGS, args, strict=False):
        passed = index == SYSCALL_ARGS[5] and number != 9
        cpu.regs[index] = value ^ PASS ^ guest.um.zygote.secret if passed and value else value
    libc.ptrace(PTRACE_SETREGS, cpu.pid, 0, cpu.addr)
    libc.ptrace(PTRACE_CONT, cpu.pid, 0, 0)
    _, status = os.waitpid(cpu.pid, WALL)
    assert (status & 0x7F != signal.SIGSYS) is allowed


def test_t_esc_05_a_stub_has_only_the_ram(platform: str) -> None:
    with open("/etc/passwd") as other:
        os.set_inheritable(other.fileno(), True)
        machine = Guest(platform=platform)
        first = machine.cpu(GETPID_LOOP)
        cpus = [first, first.space.new_cpu(), first.space.clone(first).new_cpu()]
        pids = [cpu.pid for cpu in cpus]
        if platform == "systrap":
            for cpu in cpus:
                cpu.regs[RIP] = CODE
                machine.trap(cpu)
            assert not any(os.listdir(f"/proc/{pid}/fd") for pid in pids)
            pids = [cpu.space.keeper.pid for cpu in cpus]
        for pid in pids:
            assert os.listdir(f"/proc/{pid}/fd") == ["3"]
            assert "pygos-ram" in os.readlink(f"/proc/{pid}/fd/3")
        machine.close()


#: The page of the process that it may write; a thread's control page, its other page, its stack.
_PAGES_OF_A_THREAD = [
    ["7fff80012000-7fff80013000", "rw-s"],
    ["7fffc0000000-7fffc0001000", "rw-s"],
    ["7fffc0001000-7fffc0002000", "r--s"],
    ["7fffc0002000-7fffc0004000", "rw-s"],
]


def test_t_esc_06_nothing_but_the_stub_is_mapped(guest: Guest) -> None:
    cpu = guest.um.new_space().new_cpu()
    lines = Path(f"/proc/{cpu.pid}/maps").read_text().splitlines()
    mapped = [line.split()[:2] for line in lines if "vsyscall" not in line]
    if guest.um.name == "um-systrap":
        assert mapped[2:] == _PAGES_OF_A_THREAD
        mapped = mapped[:2]
    assert mapped == [
        ["7fff80000000-7fff80002000", "r-xp"],
        ["7fff80010000-7fff80012000", "r--s"],
    ]


def test_t_esc_09_no_core_dumps_and_no_new_privileges(guest: Guest) -> None:
    cpu = guest.cpu(SPIN)
    limits = Path(f"/proc/{cpu.pid}/limits").read_text()
    assert [line.split()[4:6] for line in limits.splitlines() if "core" in line] == [["0", "0"]]
    status = dict(
        line.split(":\t", 1)
        for line in Path(f"/proc/{cpu.pid}/status").read_text().splitlines()
        if ":\t" in line
    )
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


def test_children_of_the_program_are_left_alone(guest: Guest) -> None:
    cpu = guest.cpu(SPIN)
    child = os.posix_spawn("/bin/true", ["true"], {})
    cpu.resume()
    for _ in range(3):
        guest.um.wait(time.monotonic_ns() + 5_000_000)
        if not guest.um.running:
            cpu.resume()
    assert os.waitpid(child, 0) == (child, 0)


def test_stubs_are_in_a_process_group_of_their_own(guest: Guest) -> None:
    cpu = guest.cpu(SPIN)
    assert os.getpgid(cpu.pid) == guest.um.zygote.pid != os.getpgrp()


def test_signals_from_the_host_are_no_concern_of_the_guest(guest: Guest) -> None:
    cpu = guest.cpu(GETPID_LOOP)
    for number in (signal.SIGTERM, signal.SIGSEGV, signal.SIGTSTP, signal.SIGURG, signal.SIGCHLD):
        os.kill(cpu.pid, number)
        assert guest.trap(cpu).kind is TrapKind.SYSCALL


def test_python_signal_handlers_run_while_a_guest_does(guest: Guest) -> None:
    caught = []
    old = signal.signal(signal.SIGUSR1, lambda *_: caught.append(time.monotonic()))
    cpu = guest.cpu(SPIN)
    cpu.resume()
    timer = threading.Timer(0.003, os.kill, (os.getpid(), signal.SIGUSR1))
    timer.start()
    while not caught:
        for stopped, _trap in guest.um.wait(None):
            stopped.resume()
    signal.signal(signal.SIGUSR1, old)
    timer.join()


def test_keyboard_interrupt_gets_through(guest: Guest) -> None:
    timer = threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        timer.start()
        guest.um.wait(None)
    timer.join()


def test_machine_in_another_thread(platform: str) -> None:
    traps = []

    def work() -> None:
        machine = Guest(platform=platform)
        cpu = machine.cpu(GETPID_LOOP)
        traps.append(machine.trap(cpu, time.monotonic_ns() + 10**9).kind)
        traps.append(machine.um.wait(time.monotonic_ns() + 1_000_000))
        machine.close()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert traps == [TrapKind.SYSCALL, []]


class Waiter:
    def __init__(self) -> None:
        self.events: list[int] = []

    def host_ready(self, events: int) -> None:
        self.events.append(events)


def test_watched_pipe_while_a_guest_computes(guest: Guest) -> None:
    reader, writer = os.pipe()
    waiter = Waiter()
    guest.um.watch(reader, 1, waiter)
    cpu = guest.cpu(SPIN)
    cpu.resume()
    os.write(writer, b"x")
    while not waiter.events:
        for stopped, _trap in guest.um.wait(None):
            stopped.resume()
    assert waiter.events == [1]
    assert guest.um.wait(time.monotonic_ns() + 1_000) == []
    assert waiter.events == [1], "one shot"
    os.close(reader)
    os.close(writer)


def test_watched_pipe_while_nothing_runs(guest: Guest) -> None:
    reader, writer = os.pipe()
    first, second, gone = Waiter(), Waiter(), Waiter()
    guest.um.watch(reader, 1, first)
    guest.um.watch(reader, 1, gone)
    guest.um.watch(reader, 1, second)
    guest.um.unwatch(reader, gone)
    assert guest.um.wait(time.monotonic_ns() + 1_000_000) == []
    assert not first.events
    os.write(writer, b"x")
    assert guest.um.wait(None) == []
    assert (first.events, second.events, gone.events) == ([1], [1], [])
    os.close(reader)
    os.close(writer)


def test_watched_pipe_that_is_hung_up(guest: Guest) -> None:
    reader, writer = os.pipe()
    waiter = Waiter()
    guest.um.watch(reader, 1, waiter)
    os.close(writer)
    assert guest.um.wait(None) == []
    assert waiter.events == [0x10]
    os.close(reader)


def test_regular_files_are_always_ready(guest: Guest, tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file:
        waiter = Waiter()
        guest.um.watch(file.fileno(), 1 | 4, waiter)
        cpu = guest.cpu(SPIN)
        cpu.resume()
        guest.um.wait(None)
        assert waiter.events == [5]


def test_affinity_is_given_back(platform: str) -> None:
    before = os.sched_getaffinity(0)
    Guest(platform=platform).close()
    assert os.sched_getaffinity(0) == before


def test_two_machines_at_once(platform: str) -> None:
    one, two = Guest(platform=platform), Guest(platform=platform)
    a, b = one.cpu(GETPID_LOOP), two.cpu(GETPID_LOOP)
    for _ in range(3):
        assert one.trap(a).kind is TrapKind.SYSCALL
        assert two.trap(b).kind is TrapKind.SYSCALL
    one.close()
    assert two.trap(b).kind is TrapKind.SYSCALL
    two.close()


def test_stub_starts_where_memory_files_may_not_be_executed(
    platform: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from pygos.host import stub

    def refuse(*_: object) -> int:
        raise PermissionError(13, "no")

    monkeypatch.setattr(stub, "memfd", refuse)
    machine = Guest(platform=platform)
    assert machine.trap(machine.cpu(GETPID_LOOP)).kind is TrapKind.SYSCALL
    machine.close()


REFUSED = """
import sys
sys.path.insert(0, sys.argv[1])
import ctypes
from pygos.host import HostError, libc
from pygos.arch.um.ptrace_platform import UmPtrace
from pygos.host.ram import HostRam
import struct
# A seccomp filter such as a container's: ptrace gives EPERM.
ops = [(0x20, 0, 0, 0), (0x15, 0, 1, 101), (6, 0, 0, 0x50001), (6, 0, 0, 0x7fff0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *op) for op in ops))
prog = struct.pack("HxxxxxxQ", len(ops), ctypes.addressof(code))
libc.syscall(157, 38, 1, 0, 0, 0)
libc.syscall(317, 1, 0, prog)
try:
    UmPtrace(HostRam(16), 1)
except HostError as error:
    print(error)
"""


def test_refused_ptrace_is_one_clear_line() -> None:
    done = subprocess.run(
        [sys.executable, "-c", REFUSED, str(ROOT)],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1
    assert "refuses ptrace (Operation not permitted)" in done.stdout


def test_program_with_its_own_sigchld_handler(guest: Guest) -> None:
    caught = []
    old = signal.signal(signal.SIGCHLD, lambda *_: caught.append(1))
    cpu = guest.cpu(GETPID_LOOP)
    for _ in range(200):
        assert guest.trap(cpu).kind is TrapKind.SYSCALL
    signal.signal(signal.SIGCHLD, old)


def test_a_fork_of_the_program_does_not_end_the_machine(guest: Guest) -> None:
    cpu = guest.cpu(GETPID_LOOP)
    child = os.fork()
    if child == 0:
        guest.um.close()
        os._exit(0)
    os.waitpid(child, 0)
    assert guest.trap(cpu).kind is TrapKind.SYSCALL


def test_t_race_05_killed_stub_is_tolerated_everywhere(guest: Guest) -> None:
    from pygos.include.errno import EAGAIN

    cpu = guest.cpu(GETPID_LOOP)
    guest.trap(cpu)
    os.kill(cpu.pid, signal.SIGKILL)
    if guest.um.name == "um-systrap":
        os.kill(cpu.space.keeper.pid, signal.SIGKILL)
    cpu.set_fpu(cpu.get_fpu())
    cpu.space.unmap(CODE, 1)
    cpu.space.sync()
    with pytest.raises(EAGAIN):
        cpu.space.clone(cpu)
    with pytest.raises(EAGAIN):
        cpu.space.new_cpu()
    assert guest.trap(cpu).kind is TrapKind.DEAD
    cpu.release()
    cpu.space.destroy()
