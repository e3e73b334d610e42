# SPDX-License-Identifier: Apache-2.0
"""Every test gets a fresh machine."""

from __future__ import annotations

import pytest

from tests.support.world import World


@pytest.fixture
def world() -> World:
    return World()
