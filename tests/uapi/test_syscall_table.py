# SPDX-License-Identifier: Apache-2.0
"""The table of system calls agrees with the system's asm/unistd_64.h."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from pygos.arch.x86.entry.syscall_64 import NUMBERS, SYSCALLS, UNIMPLEMENTED, NR_syscalls

#: Calls that x86-64 got after Linux 6.1, up to 6.16.
NEWER = """
uretprobe cachestat fchmodat2 map_shadow_stack futex_wake futex_wait futex_requeue statmount
listmount lsm_get_self_attr lsm_set_self_attr lsm_list_modules mseal setxattrat getxattrat
listxattrat removexattrat open_tree_attr
"""


@pytest.fixture(scope="module")
def header() -> dict[str, int]:
    if shutil.which("gcc") is None:
        pytest.skip("no gcc")
    out = subprocess.run(
        ["gcc", "-E", "-dM", "-include", "asm/unistd_64.h", "-xc", "/dev/null"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return {n: int(v) for n, v in re.findall(r"#define __NR_(\w+) (\d+)$", out, re.MULTILINE)}


def test_every_name_of_the_header_has_its_number(header: dict[str, int]) -> None:
    ours = {n: nr for n, nr in header.items() if nr < NR_syscalls}
    assert len(ours) > 350
    assert {n: NUMBERS.get(n) for n in ours} == ours


def test_what_the_header_lacks_is_newer(header: dict[str, int]) -> None:
    assert set(NUMBERS) - set(header) - set(NEWER.split()) == set()


def test_the_table_is_complete_and_in_order() -> None:
    assert [nr for nr, _ in SYSCALLS] == [*range(336), *range(424, 468)]
    assert len({name for _, name in SYSCALLS}) == len(SYSCALLS)
    assert NR_syscalls == 468
    assert set(NUMBERS) >= UNIMPLEMENTED
    assert (NUMBERS["read"], NUMBERS["uname"], NUMBERS["open_tree_attr"]) == (0, 63, 467)
