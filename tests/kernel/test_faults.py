# SPDX-License-Identifier: Apache-2.0
"""Which faults are major."""

from __future__ import annotations

import pytest

import pygos

pytestmark = pytest.mark.boots

_COUNT = """
import mmap, resource
def majors():
    return resource.getrusage(resource.RUSAGE_SELF).ru_majflt
with open("/usr/bin/perl") as file:
    memory = mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE, mmap.PROT_READ)
before = majors()
first = memory[1000000]
middle = majors()
second = memory[1000001]
print(middle - before, majors() - middle)
"""


def test_a_page_that_is_read_from_the_store_is_a_major_fault() -> None:
    with pygos.Machine(memory="128m") as machine:
        results = [machine.run(["python3", "-c", _COUNT]).stdout for _ in range(2)]
    assert results == [b"1 0\n", b"0 0\n"]
