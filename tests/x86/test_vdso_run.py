# SPDX-License-Identifier: Apache-2.0
"""Programs in a machine read its clocks by themselves: set, shifted, forbidden, not there."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

import pygos

pytestmark = pytest.mark.boots

#: By vDSO (the C library) and by call; the clocks are those of clock_gettime(2).
_BOTH = """
import ctypes, os, struct, time
libc = ctypes.CDLL(None, use_errno=True)
buf = ctypes.create_string_buffer(16)
def by_call(clock):
    assert libc.syscall(228, clock, buf) == 0
    sec, nsec = struct.unpack("qq", buf)
    return sec * 10**9 + nsec
def agree(*clocks):
    for clock in clocks or (0, 1, 4, 5, 6, 7, 11):
        for _ in range(20):
            reads = [by_call(clock), time.clock_gettime_ns(clock)]
            reads += [time.clock_gettime_ns(clock), by_call(clock)]
            assert reads == sorted(reads), (clock, reads)
            assert reads[-1] - reads[0] < 10**9
    return "agree"
"""


@pytest.fixture(scope="module")
def machine() -> Iterator[pygos.Machine]:
    with pygos.Machine(memory="256m", user="0") as machine:
        yield machine


def python(machine: pygos.Machine, code: str) -> str:
    result = machine.run(["python3", "-c", _BOTH + code])
    assert result.returncode == 0, result.stderr.decode()
    return result.stdout.decode()


def test_setting_the_clock(machine: pygos.Machine) -> None:
    code = """
up = time.monotonic_ns()
for year in (60, 40):
    time.clock_settime(time.CLOCK_REALTIME, year * 365 * 86400)
    print(round(time.time() / 86400 / 365), agree(), time.monotonic_ns() - up < 10**10)
"""
    assert python(machine, code) == "60 agree True\n40 agree True\n"


def test_tuning_the_clock(machine: pygos.Machine) -> None:
    code = """
class Timex(ctypes.Structure):
    _fields_ = [("modes", ctypes.c_uint), ("words", ctypes.c_long * 25)]
def adjust(modes, word, value):
    tx = Timex(modes)
    tx.words[word] = value
    assert libc.adjtimex(ctypes.byref(tx)) >= 0, os.strerror(ctypes.get_errno())
adjust(0x80, 5, 37)       # ADJ_TAI
print(round((time.clock_gettime_ns(11) - time.time_ns()) / 1e9), agree())
adjust(0x2, 1, 500 << 16) # ADJ_FREQUENCY: 500 ppm
a, m = time.time_ns(), time.monotonic_ns()
time.sleep(0.3)
m2, b = time.monotonic_ns(), time.time_ns()
print(100_000 < (b - a) - (m2 - m) < 10**9, agree())
adjust(0x2, 1, 0)
adjust(0x80, 5, 0)
print(abs(time.clock_gettime_ns(11) - time.time_ns()) < 10**8, agree())
"""
    assert python(machine, code) == "37 agree\nTrue agree\nTrue agree\n"


def test_the_time_zone_of_the_kernel(machine: pygos.Machine) -> None:
    code = """
zone = struct.pack("ii", -90, 3)
assert libc.settimeofday(None, zone) == 0
got = ctypes.create_string_buffer(8)
vdso = ctypes.CDLL("linux-vdso.so.1", mode=os.RTLD_NOLOAD)
assert vdso.gettimeofday(None, got) == 0
print(struct.unpack("ii", got))
libc.settimeofday(None, bytes(8))
vdso.gettimeofday(None, got)
print(struct.unpack("ii", got))
"""
    assert python(machine, code) == "(-90, 3)\n(0, 0)\n"


def test_a_program_that_may_not_read_the_counter(machine: pygos.Machine) -> None:
    """prctl(PR_SET_TSC): its clocks go on, by calls; its children's too; then it may again."""
    code = """
def forbid(value):
    assert libc.prctl(26, value) == 0
    return agree()
print(forbid(2), flush=True)
pid = os.fork()
if not pid:
    print(agree(), flush=True)
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
print(forbid(1))
"""
    assert python(machine, code) == "agree\nagree\nagree\n"


def test_time_namespaces(machine: pygos.Machine) -> None:
    """Who enters one (by fork, by setns) reads its clocks, its parent the old ones."""
    code = """
DAY = 86400 * 10**9
assert libc.unshare(0x80) == 0
open("/proc/self/timens_offsets", "w").write("monotonic 86400 5\\nboottime 172800 0\\n")
base = [time.clock_gettime_ns(clock) for clock in (1, 4, 6, 7)]
def days():
    return [(time.clock_gettime_ns(c) - b) // DAY for c, b in zip((1, 4, 6, 7), base)]
print(days(), agree(), flush=True)
pid = os.fork()
if not pid:
    print(days(), agree(), flush=True)
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
fd = os.open("/proc/self/ns/time_for_children", 0)
old = os.open("/proc/self/ns/time", 0)
assert libc.setns(fd, 0x80) == 0
print(days(), agree())
assert libc.setns(old, 0x80) == 0
print(days(), agree(0))
"""
    assert python(machine, code) == (
        "[0, 0, 0, 0] agree\n[1, 1, 1, 2] agree\n[1, 1, 1, 2] agree\n[0, 0, 0, 0] agree\n"
    )


def strace(monkeypatch: pytest.MonkeyPatch | None) -> list[str]:
    """The clock calls of a program that reads the time a hundred times, and its output."""
    log = io.StringIO()
    with pygos.Machine(memory="256m", strace=log) as machine:
        result = machine.run(["python3", "-c", "import time; [time.time() for _ in range(100)]"])
    assert result.returncode == 0
    return [line for line in log.getvalue().splitlines() if "clock_gettime" in line]


def test_no_call_is_made() -> None:
    assert strace(None) == []


def test_a_host_without_a_good_counter(monkeypatch: pytest.MonkeyPatch) -> None:
    """The vDSO is there and makes calls."""
    monkeypatch.setattr("pygos.host.clock.clocksource", lambda: "kvm-clock")
    assert len(strace(monkeypatch)) >= 100
    with pygos.Machine(memory="256m", user="0") as machine:
        assert python(machine, "print(agree())") == "agree\n"
        maps = machine.run(["cat", "/proc/self/maps"]).stdout
        assert b"[vvar]" in maps
        assert b"[vdso]" in maps


def test_the_frames_of_namespaces_are_given_back(machine: pygos.Machine) -> None:
    code = """
def used():
    words = open("/proc/meminfo").read().split()
    return int(words[words.index("MemFree:") + 1])
def once():
    pid = os.fork()
    if not pid:
        libc.unshare(0x80)
        inner = os.fork()
        if not inner:
            time.time()
            os._exit(0)
        os.waitpid(inner, 0)
        os._exit(0)
    os.waitpid(pid, 0)
for _ in range(5): once()
before = used()
for _ in range(300): once()
print(before - used() < 600)
"""
    assert python(machine, code) == "True\n"
