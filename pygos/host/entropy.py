# SPDX-License-Identifier: Apache-2.0
"""Where random bytes come from: the host, or a seed for runs that must repeat."""

from __future__ import annotations

import os


class HostEntropy:
    """Implements ``Entropy`` with the host's generator."""

    __slots__ = ()

    def bytes(self, count: int) -> bytes:
        """`count` unpredictable bytes."""
        return os.urandom(count)


class SeededEntropy:
    """Implements ``Entropy`` with SHAKE-256 of a seed and a counter. Not for secrets: who
    knows the seed knows all bytes. The state is two numbers, so it can be saved."""

    __slots__ = ("counter", "seed")

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.counter = 0

    def bytes(self, count: int) -> bytes:
        """The next `count` bytes of the sequence."""
        from hashlib import shake_256

        self.counter += 1
        return shake_256(f"{self.seed}/{self.counter}".encode()).digest(count)
