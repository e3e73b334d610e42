# SPDX-License-Identifier: Apache-2.0
"""HostRam: guest memory."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from pygos.host import HostError
from pygos.host.ram import HostRam


@pytest.fixture
def ram() -> Iterator[HostRam]:
    memory = HostRam(64)
    yield memory
    memory.close()


def test_views_show_the_same_bytes(ram: HostRam) -> None:
    ram.mem[8:16] = bytes(range(8))
    assert ram.mem64[1] == 0x0706050403020100
    assert ram.mem32[3] == 0x07060504
    assert len(ram.mem) == 64 * 4096


def test_discarded_frames_read_as_zero_and_cost_nothing(ram: HostRam) -> None:
    before = os.fstat(ram.fd).st_blocks
    ram.mem[: 8 * 4096] = b"x" * (8 * 4096)
    assert os.fstat(ram.fd).st_blocks > before
    ram.discard(0, 8)
    assert os.fstat(ram.fd).st_blocks == before
    assert ram.mem[5000] == 0


def test_find_nul(ram: HostRam) -> None:
    ram.mem[100:105] = b"abc\0d"
    assert ram.find_nul(100, 105) == 103
    assert ram.find_nul(100, 103) == -1


def test_cmpxchg32(ram: HostRam) -> None:
    ram.mem32[10] = 0xFFFFFFFF
    assert ram.cmpxchg32(40, 5, 6) == 0xFFFFFFFF
    assert ram.mem32[10] == 0xFFFFFFFF
    assert ram.cmpxchg32(40, 0xFFFFFFFF, 7) == 0xFFFFFFFF
    assert ram.mem32[10] == 7


@pytest.mark.parametrize("offset", [-4, 2, 64 * 4096])
def test_cmpxchg32_outside_of_the_ram(ram: HostRam, offset: int) -> None:
    with pytest.raises(IndexError):
        ram.cmpxchg32(offset, 0, 0)


def test_t_esc_05_size_is_sealed(ram: HostRam) -> None:
    for size in (0, 1 << 40):
        with pytest.raises(PermissionError):
            os.ftruncate(ram.fd, size)


def test_impossible_size_is_one_clear_line() -> None:
    with pytest.raises(HostError, match="guest memory"):
        HostRam(1 << 50)
