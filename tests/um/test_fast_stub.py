# SPDX-License-Identifier: Apache-2.0
"""The pages and windows from which a stub answers calls by itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pygos.arch.um.systrap_space import SysSpace
from pygos.include.linux.fastcalls import POS_TAKEN
from pygos.include.linux.platform import WINDOWS, WINDOWS_END
from tests.um.guest import GETPID_LOOP, Guest

#: Nothing is answered in stubs that are traced.
pytestmark = pytest.mark.only_on("systrap")


@pytest.fixture
def space(platform: str) -> Iterator[SysSpace]:
    machine = Guest(platform=platform)
    space = machine.cpu(GETPID_LOOP).space
    assert isinstance(space, SysSpace)
    yield space
    machine.close()


@pytest.mark.parametrize("word", [0, 7 << 48 | 0x1_2345_6789, (1 << 64) - 1, POS_TAKEN << 32 | 5])
def test_a_position_is_taken_once(space: SysSpace, word: int) -> None:
    page = space.pos_page
    assert page is not None
    page[4], page[5], page[6] = 11, word, 22
    assert space.take_position(5) == word
    assert page[5] == POS_TAKEN << 32
    assert (page[4], page[6]) == (11, 22)
    assert space.take_position(5) == POS_TAKEN << 32


def test_each_descriptor_has_its_word(space: SysSpace) -> None:
    page = space.pos_page
    assert page is not None
    for index in (0, 95, 511):
        page[index] = index + 1
        assert space.take_position(index) == index + 1


@pytest.mark.parametrize(
    ("va", "pfn", "pages"),
    [(WINDOWS - 4096, 1, 1), (WINDOWS_END, 1, 1), (WINDOWS_END - 4096, 1, 2), (WINDOWS, 1, 0),
     (WINDOWS, 1 << 40, 1), (0x400000, -1, 1)],
)  # fmt: skip
def test_a_window_lies_where_windows_are_and_shows_ram(
    space: SysSpace, va: int, pfn: int, pages: int
) -> None:
    with pytest.raises(ValueError):
        space.window(va, pfn, pages)
