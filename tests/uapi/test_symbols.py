# SPDX-License-Identifier: Apache-2.0
"""Values are printed with the names that strace uses."""

from __future__ import annotations

import pytest

from pygos.include.uapi import symbols
from pygos.include.uapi.symbols import Symbols


@pytest.mark.parametrize(
    ("table", "value", "text"),
    [
        (symbols.OPEN, 0, "O_RDONLY"),
        (symbols.OPEN, 0o1101, "O_WRONLY|O_CREAT|O_TRUNC"),
        (symbols.OPEN, 0o4010002, "O_RDWR|O_SYNC"),
        (symbols.OPEN, 0o20200002, "O_RDWR|O_TMPFILE"),
        (symbols.OPEN, 0x10000000, "O_RDONLY|0x10000000"),
        (symbols.PROT, 0, "PROT_NONE"),
        (symbols.PROT, 5, "PROT_READ|PROT_EXEC"),
        (symbols.MAP, 0x22, "MAP_PRIVATE|MAP_ANONYMOUS"),
        (symbols.MAP, 0x812, "MAP_PRIVATE|MAP_FIXED|MAP_DENYWRITE"),
        (symbols.FUTEX, 129, "FUTEX_WAKE_PRIVATE"),
        (symbols.FUTEX, 0x189, "FUTEX_WAIT_BITSET_PRIVATE|FUTEX_CLOCK_REALTIME"),
        (symbols.SOCK, 0o2000001, "SOCK_STREAM|SOCK_CLOEXEC"),
        (symbols.ACCESS, 0, "F_OK"),
        (symbols.ACCESS, 4, "R_OK"),
        (symbols.WAIT, 3, "WNOHANG|WUNTRACED"),
        (symbols.WAIT, 0, "0"),
        (symbols.AT_UNLINK, 0x200, "AT_REMOVEDIR"),
        (symbols.STATX, 0x7FF, "STATX_BASIC_STATS"),
    ],
)
def test_flags(table: Symbols, value: int, text: str) -> None:
    assert table.flags(value) == text


def test_single_values() -> None:
    assert symbols.IOCTL.value(0x5401) == "TCGETS"
    assert symbols.IOCTL.value(0x9999) == "0x9999"
    assert symbols.FCNTL.name(1030) == "F_DUPFD_CLOEXEC"
    assert symbols.SEEK.value(2) == "SEEK_END"
    assert symbols.PRCTL.name(15) == "PR_SET_NAME"


def test_signals_modes_and_clone() -> None:
    assert [symbols.signal(n) for n in (0, 6, 9, 17, 29, 32, 34)] == [
        "0",
        "SIGABRT",
        "SIGKILL",
        "SIGCHLD",
        "SIGIO",
        "SIGRTMIN",
        "SIGRT_2",
    ]
    assert symbols.mode(0o100644) == "S_IFREG|0644"
    assert symbols.mode(0o644) == "0644"
    assert symbols.mode(0o40000) == "S_IFDIR|000"
    expected = "CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD"
    assert symbols.clone_flags(0x1200011) == expected
    assert symbols.clone_flags(17) == "SIGCHLD"
    assert symbols.clone_flags(0x100) == "CLONE_VM"


def test_every_table_can_be_made() -> None:
    tables = {n: t for n, t in vars(symbols).items() if isinstance(t, Symbols)}
    assert len(tables) > 40
    for name, table in tables.items():
        assert table.flags(0), name
