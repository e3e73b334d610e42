# SPDX-License-Identifier: Apache-2.0
"""T-CONF-03: the stubs' seccomp filter, simulated: exactly what it lets through, and to whom.

The tables say which calls are allowed from the stub's code page, and what each needs. The filter
is run by the BPF interpreter (pygos/lib/cbpf.py) for every call number, architecture, place in
the address space and every value of an argument at which a comparison could turn.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import pytest

from pygos.host.filter import RET_ALLOW, RET_KILL, RET_TRAP, filter_page, stub_filter
from pygos.host.layout import STUB_AREAS, STUB_CODE, STUB_FAST, STUB_LIST
from pygos.include.linux.platform import PAGE_SIZE, TASK_SIZE
from pygos.lib import cbpf

SECRET = 0x1234_5678_9ABC_DEF0
M32 = 0xFFFF_FFFF
X86_64, I386, AARCH64 = 0xC000_003E, 0x4000_0003, 0xC000_00B7
ARCHES = (X86_64, I386, AARCH64, 0, M32, X86_64 ^ 0x8000_0000, X86_64 & 0xFFFF)
PLATFORMS = ("ptrace", "systrap")

MMAP, MPROTECT, MUNMAP, RT_SIGRETURN, SETITIMER, CLONE = 9, 10, 11, 15, 38, 56
GETPPID, SIGALTSTACK, PRCTL, ARCH_PRCTL, FUTEX, CLOSE_RANGE = 110, 131, 157, 158, 202, 436
FORK_FLAGS, THREAD_FLAGS, GUEST_FLAGS = 0x8011, 0x8511, 0xA0_8111
PR_SET_PDEATHSIG, PR_SET_TSC, ARCH_SET_CPUID = 1, 26, 0x1012
MAP_SHARED_FIXED, MAP_POPULATE, RAM_FD, SIGKILL = 0x11, 0x8000, 3, 9
FUTEX_WAIT, FUTEX_WAKE = 0, 1

Args = tuple[int, int, int, int, int, int]


@dataclass(frozen=True)
class Need:
    """What one argument has to be, and how a comparison of it could go wrong."""

    arg: int
    holds: Callable[[int], bool]
    #: Values it is tried with: those that hold first.
    tries: tuple[int, ...]


def _around(*values: int) -> tuple[int, ...]:
    """The values, then their neighbours, each bit changed, and both halves changed."""
    others: dict[int, None] = {}
    for value in values:
        for bit in range(64):
            others[value ^ 1 << bit] = None
        for near in (value - 1, value + 1, value << 32, value >> 32, ~value, value ^ M32):
            others[near & (1 << 64) - 1] = None
    for extreme in (0, 1, M32, 1 << 31, 1 << 32, 1 << 63, (1 << 64) - 1):
        others[extreme] = None
    return (*values, *(value for value in others if value not in values))


def low(arg: int, *values: int, ignore: int = 0) -> Need:
    """The lower half is one of `values`: the host's kernel takes an int there."""
    return Need(arg, lambda v: v & M32 & ~ignore in values, _around(*values))


#: The pass. Guest code doesn't know it.
PASS = Need(5, lambda v: v == SECRET, _around(SECRET))
AREA = Need(
    0, lambda v: v >> 32 == STUB_AREAS >> 32 and v & M32 >= STUB_AREAS & M32,
    _around(STUB_AREAS, STUB_AREAS + 0x4000, (STUB_AREAS | M32) - 3),
)  # fmt: skip
NO_TIMEOUT = Need(3, lambda v: v == 0, _around(0))
_MAP = low(3, MAP_SHARED_FIXED, ignore=MAP_POPULATE)
RAM_MAP = (
    Need(3, _MAP.holds, (MAP_SHARED_FIXED, MAP_SHARED_FIXED | MAP_POPULATE, *_MAP.tries[1:])),
    low(4, RAM_FD),
)

#: Call -> the sets of needs of which one must be met.
COMMON: dict[int, list[tuple[Need, ...]]] = {
    MMAP: [RAM_MAP],
    MPROTECT: [(PASS,)],
    MUNMAP: [(PASS,)],
    PRCTL: [(low(0, PR_SET_TSC),), (low(0, PR_SET_PDEATHSIG), low(1, SIGKILL))],
    ARCH_PRCTL: [(low(0, ARCH_SET_CPUID),)],
}
RULES: dict[str, dict[int, list[tuple[Need, ...]]]] = {
    "ptrace": {
        **COMMON,
        SETITIMER: [()],
        CLONE: [(low(0, FORK_FLAGS, THREAD_FLAGS), PASS)],
    },
    "systrap": {
        **COMMON,
        CLONE: [(low(0, FORK_FLAGS, GUEST_FLAGS), PASS)],
        RT_SIGRETURN: [()],
        FUTEX: [(AREA, low(1, FUTEX_WAIT, FUTEX_WAKE), NO_TIMEOUT)],
        GETPPID: [(PASS,)],
        SIGALTSTACK: [(PASS,)],
        CLOSE_RANGE: [(PASS,)],
    },
}
#: What guest code reaches on um-systrap by jumping to a `syscall` of the stub, and why it may.
HARMLESS = {
    MMAP: "maps descriptor 3, and guest threads have no descriptors",
    RT_SIGRETURN: "loads registers, a signal mask and an alternate stack: its own",
    FUTEX: "sleeps at, or wakes sleepers of, words of its own process",
    PRCTL: "its own time stamp counter; that the kernel's death kills it",
    ARCH_PRCTL: "its own CPUID instruction",
}

IN_STUB = tuple(STUB_CODE + at for at in (0, 2, 0x7FF, 0xFFF))
OUTSIDE = (
    0, 2, 0x400002, STUB_CODE - 1, STUB_CODE - PAGE_SIZE, STUB_CODE + PAGE_SIZE, STUB_FAST + 2,
    STUB_LIST, STUB_AREAS, TASK_SIZE - 2, 0x7FFF_FFFF_F000, 1 << 63, (1 << 64) - 1,
    STUB_CODE ^ 1 << 47, STUB_CODE ^ 1 << 32, STUB_CODE ^ 1 << 63, STUB_CODE & M32,
    STUB_CODE >> 32, 0xFFFF_FFFF_FF60_1000, 0xFFFF_FFFF_FF5F_F000, 0x7FFF_FF60_0000,
)  # fmt: skip
VSYSCALL = tuple(0xFFFF_FFFF_FF60_0000 + at for at in (0, 2, 0x400, 0x409, 0x800, 0xFFF))
NUMBERS = (
    *range(1024), 0x7FFF_FFFF, 0x8000_0000, M32, M32 - 1,
    *(0x4000_0000 + number for number in range(600)),
)  # fmt: skip
ZERO: Args = (0, 0, 0, 0, 0, 0)
GOOD: Args = (STUB_AREAS, FUTEX_WAKE, 0, MAP_SHARED_FIXED, RAM_FD, SECRET)


class Filter:
    """The filter of a platform, decoded."""

    def __init__(self, platform: str, secret: int = SECRET) -> None:
        self.program = cbpf.parse(stub_filter(platform == "systrap", secret))

    def __call__(self, number: int, arch: int, ip: int, args: Args = ZERO) -> int:
        words = [number, arch, ip & M32, ip >> 32]
        for arg in args:
            words += (arg & M32, arg >> 32)
        return cbpf.run(self.program, lambda offset: words[offset >> 2], 64)


@pytest.fixture(params=PLATFORMS)
def platform_name(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def expected(rules: dict[int, list[tuple[Need, ...]]], number: int, args: Args) -> bool:
    """May a call from the stub's page be made?"""
    return any(all(need.holds(args[need.arg]) for need in needs) for needs in rules.get(number, ()))


def refusal(platform: str, arch: int, ip: int) -> int:
    """What happens to all other calls."""
    if platform == "systrap" or (ip in VSYSCALL and arch == X86_64):
        return RET_TRAP
    return RET_KILL


def test_t_conf_03_the_host_takes_the_program(platform_name: str) -> None:
    program = Filter(platform_name).program
    assert cbpf.check(program, 64)
    page = filter_page(platform_name == "systrap", SECRET, STUB_LIST)
    assert len(page) <= PAGE_SIZE


def test_t_conf_03_nothing_is_allowed_from_anywhere_else(platform_name: str) -> None:
    run = Filter(platform_name)
    for ip in (*OUTSIDE, *VSYSCALL):
        for number, arch in itertools.product(NUMBERS, (X86_64, I386)):
            result = run(number, arch, ip, GOOD)
            assert result == refusal(platform_name, arch, ip), (number, arch, ip)


def test_t_conf_03_no_other_architecture_is_allowed(platform_name: str) -> None:
    run = Filter(platform_name)
    for arch in ARCHES[1:]:
        for number in NUMBERS:
            assert run(number, arch, IN_STUB[0], GOOD) != RET_ALLOW, (number, arch)


@pytest.mark.parametrize("args", [ZERO, GOOD, (M32,) * 6, ((1 << 64) - 1,) * 6])
def test_t_conf_03_every_number_from_the_stub(platform_name: str, args: Args) -> None:
    run, rules = Filter(platform_name), RULES[platform_name]
    for number, ip in itertools.product(NUMBERS, IN_STUB):
        allowed = run(number, X86_64, ip, args) == RET_ALLOW
        assert allowed is expected(rules, number, args), (number, ip, args)


def _tries(rules: Iterable[tuple[Need, ...]]) -> Iterator[Args]:
    """Every value of each argument, with the others as they should be; then pairs."""
    for needs in rules:
        good = list(GOOD)
        for need in needs:
            good[need.arg] = need.tries[0]
        yield _args(good)
        for need in needs:
            for value in need.tries:
                yield _args([*good[: need.arg], value, *good[need.arg + 1 :]])
        for one, other in itertools.combinations(needs, 2):
            for a, b in itertools.product(one.tries[:24], other.tries[:24]):
                pair = list(good)
                pair[one.arg], pair[other.arg] = a, b
                yield _args(pair)


def _args(values: list[int]) -> Args:
    a, b, c, d, e, f = values
    return a, b, c, d, e, f


def test_t_conf_03_every_value_of_every_argument(platform_name: str) -> None:
    run, rules = Filter(platform_name), RULES[platform_name]
    for number, sets in rules.items():
        for args in _tries(sets):
            allowed = run(number, X86_64, IN_STUB[1], args) == RET_ALLOW
            assert allowed is expected(rules, number, args), (number, [hex(a) for a in args])


def test_t_conf_03_arguments_that_nobody_looks_at_change_nothing(platform_name: str) -> None:
    run, rules = Filter(platform_name), RULES[platform_name]
    for number, sets in rules.items():
        for needs in sets:
            good = list(GOOD)
            for need in needs:
                good[need.arg] = need.tries[0]
            for arg in set(range(6)) - {need.arg for need in needs}:
                for value in (0, M32, (1 << 64) - 1, 0x7FFF_0000_0000):
                    args = _args([*good[:arg], value, *good[arg + 1 :]])
                    result = run(number, X86_64, IN_STUB[0], args) == RET_ALLOW
                    assert result is expected(rules, number, args), (number, args)


def test_t_conf_03_what_a_guest_can_reach_is_harmless() -> None:
    """Whatever guest code puts into registers, without the pass: these calls, no others."""
    run = Filter("systrap", SECRET ^ 0x5555_5555_5555_5555)
    reached = {
        number
        for number, sets in RULES["systrap"].items()
        for args in _tries(sets)
        if run(number, X86_64, IN_STUB[0], args) == RET_ALLOW
    }
    reached |= {
        number
        for number, args in itertools.product(NUMBERS, (ZERO, GOOD, (SECRET,) * 6, (3,) * 6))
        if run(number, X86_64, IN_STUB[0], args) == RET_ALLOW
    }
    assert reached == set(HARMLESS)


def test_t_conf_03_each_machine_has_a_pass_of_its_own() -> None:
    """The lower and the upper half both count, and a zero is no pass by accident."""
    for secret in (1, 1 << 32, 0x8000_0000_0000_0000, M32):
        run = Filter("systrap", secret)
        for value in (0, secret & M32, secret & ~M32, secret ^ 1, secret ^ 1 << 63, secret):
            result = run(MUNMAP, X86_64, IN_STUB[0], (0, 0, 0, 0, 0, value))
            assert (result == RET_ALLOW) is (value == secret)
