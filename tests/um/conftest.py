# SPDX-License-Identifier: Apache-2.0
"""Tests of the platforms: what the protocol promises is asked of each of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.um.guest import Guest


@pytest.fixture
def guest(platform: str) -> Iterator[Guest]:
    """A machine on one platform after the other."""
    machine = Guest(platform=platform)
    yield machine
    machine.close()
