# SPDX-License-Identifier: Apache-2.0
"""Which platform a machine runs on: the one that is asked for, or the first that starts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pygos.arch.um import registry
from pygos.host import HostError
from pygos.host.ram import HostRam


@pytest.fixture
def ram() -> Iterator[HostRam]:
    memory = HostRam(16)
    yield memory
    memory.close()


def refuse(*_: object) -> None:
    raise HostError("not on this host")


def test_the_platform_that_is_asked_for(ram: HostRam) -> None:
    platform = registry.new_platform("ptrace", ram, 1)
    assert platform.name == "um-ptrace"
    platform.close()


def test_auto_takes_the_next_one_where_the_host_refuses(
    ram: HostRam, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "AUTO", ("systrap", "ptrace"))
    monkeypatch.setitem(registry._MAKERS, "systrap", refuse)
    platform = registry.new_platform("auto", ram, 1)
    assert platform.name == "um-ptrace"
    platform.close()


def test_no_other_platform_for_who_asks_for_one(
    ram: HostRam, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry._MAKERS, "systrap", refuse)
    with pytest.raises(HostError, match="not on this host"):
        registry.new_platform("systrap", ram, 1)


def test_what_systrap_needs_is_told_in_one_line(
    ram: HostRam, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pygos.host.cpu.hwcaps", lambda: (0, 0))
    with pytest.raises(HostError, match=r"^um-systrap needs the FSGSBASE instructions .*$"):
        registry.new_platform("systrap", ram, 1)


def test_what_is_available_is_in_the_order_of_auto(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "AUTO", ("systrap", "ptrace"))
    monkeypatch.setattr(registry, "systrap_missing", lambda: "")
    assert registry.available() == ("systrap", "ptrace")
    monkeypatch.setattr(registry, "systrap_missing", lambda: "no")
    assert registry.available() == ("ptrace",)
