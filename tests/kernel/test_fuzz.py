# SPDX-License-Identifier: Apache-2.0
"""Whatever a program passes to these calls: an answer or an errno, never a kernel oops."""

from __future__ import annotations

from importlib import import_module

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pygos import kernel
from pygos.arch import x86
from pygos.arch.x86.regs import RIP, RSP
from tests.support.world import CODE, DATA, SEC, STACK_TOP, World

#: Made by other tests, or ends the test's own machine.
SKIPPED = {"fork", "vfork", "clone", "clone3"}
#: Numbers at the edges of what calls take.
EDGES = (
    0, 1, 2, 3, 4, 8, 9, 15, 16, 19, 63, 64, 65, 128, 255, 1000, 4096, 65536,
    (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 47) - 1, 1 << 47, (1 << 63) - 1,
    1 << 63, (1 << 64) - 1, (1 << 64) - 2, (1 << 64) - 8, (1 << 64) - 4096,
    DATA, DATA + 1, DATA + 8, DATA + 0x8000, DATA + 0xFFFF, STACK_TOP - 8, STACK_TOP,
)  # fmt: skip


def names() -> list[str]:
    found = set()
    for module in (*kernel.SYSCALL_MODULES, *kernel.SYSCALLS_LAZY.values(), *x86.SYSCALL_MODULES):
        if module == "pygos.kernel.fork":
            continue
        for value in vars(import_module(module)).values():
            info = getattr(value, "__syscall__", None)
            if info is not None:
                found.add(info.name)
    return sorted(found - SKIPPED)


NUMBERS = st.one_of(st.sampled_from(EDGES), st.integers(0, (1 << 64) - 1), st.integers(0, 200))
ARGUMENTS = st.tuples(*[NUMBERS] * 6)


@pytest.mark.parametrize("name", names())
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(calls=st.lists(ARGUMENTS, min_size=1, max_size=3), junk=st.binary(max_size=200))
def test_no_oops(name: str, calls: list[tuple[int, ...]], junk: bytes) -> None:
    world = World()
    parent = world.process()
    task = world.process(parent)
    world.thread(task)
    world.process(task)
    for offset in (0, 0x8000):
        world.put(task, junk, offset)
    for args in calls:
        if not task.on_cpu:
            break
        task.regs[RIP], task.regs[RSP] = CODE, STACK_TOP - 0x1000
        world.call(task, name, *args)
        world.advance(2 * SEC)
    assert world.machine.oops_count == 0, world.machine.printk.text()  # type: ignore[attr-defined]
