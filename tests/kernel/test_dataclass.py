# SPDX-License-Identifier: Apache-2.0
"""The kernel's own data classes behave as the standard library's do."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import pytest

from pygos.include.dataclass import dataclass, field, replace

ROOT = Path(__file__).resolve().parents[2]


@dataclass(slots=True)
class Plain:
    """Fields with and without defaults."""

    kind: ClassVar[str] = "plain"
    a: int
    b: int = 5
    c: list[int] = field(default_factory=list)

    def total(self) -> int:
        """Methods stay."""
        return self.a + self.b


@dataclass(frozen=True)
class Frozen:
    """No assignments."""

    a: int = 1
    b: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Identity:
    """Equal to itself only."""

    a: int


def test_fields_come_by_position_name_or_default() -> None:
    one = Plain(1)
    assert (one.a, one.b, one.c, one.total()) == (1, 5, [], 6)
    two = Plain(1, c=[3], b=2)
    assert (two.b, two.c) == (2, [3])
    assert Plain.kind == "plain"
    one.a = 9
    assert one.a == 9


@pytest.mark.parametrize("args", [(), (1, 2, 3, 4)])
def test_wrong_arguments(args: tuple[int, ...]) -> None:
    with pytest.raises(TypeError):
        Plain(*args)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Plain(1, x=2)  # type: ignore[call-arg]


def test_each_instance_has_its_own_factory_value() -> None:
    assert Plain(1).c is not Plain(1).c


def test_nothing_else_can_be_set() -> None:
    with pytest.raises(AttributeError):
        Plain(1).other = 1  # type: ignore[attr-defined]


def test_equality_and_hashes() -> None:
    assert Plain(1, 2) == Plain(1, 2)
    assert Plain(1, 2) != Plain(1, 3)
    assert Plain(1) != 1
    with pytest.raises(TypeError):
        hash(Plain(1))
    assert hash(Frozen(1)) == hash(Frozen(1))
    assert Identity(1) != Identity(1)
    assert len({Identity(1), Identity(1)}) == 2


def test_frozen_ones_stay_as_they_are() -> None:
    one = Frozen(1)
    with pytest.raises(AttributeError):
        one.a = 2  # type: ignore[misc]
    with pytest.raises(AttributeError):
        del one.a
    assert one.a == 1


def test_replacing() -> None:
    assert replace(Frozen(1, (2,)), a=3) == Frozen(3, (2,))
    with pytest.raises(TypeError):
        replace(Frozen(), x=1)


def test_how_they_look() -> None:
    assert repr(Frozen(1, (2,))) == "Frozen(a=1, b=(2,))"


@pytest.mark.parametrize("value", [Plain(1, 2, [3]), Frozen(4, (5,))])
def test_they_can_be_copied_and_saved(value: object) -> None:
    assert copy.copy(value) == value
    assert copy.deepcopy(value) == value
    assert type(copy.copy(value)) is type(value)


def test_the_kernel_does_not_import_what_is_slow_to_import() -> None:
    """Each of these costs milliseconds before the first program runs."""
    slow = ("dataclasses", "inspect", "traceback", "asyncio", "logging", "pathlib", "subprocess")
    code = f"import sys, pygos.init.main as m; print([n for n in {slow} if n in sys.modules])"
    bare = f"import sys; print([n for n in {slow} if n in sys.modules])"
    outputs = [
        subprocess.run(
            [sys.executable, "-S", "-c", text], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
        for text in (code, bare)
    ]
    assert outputs[0] == outputs[1]


def test_saving_by_name() -> None:
    assert pickle.loads(pickle.dumps(Moved(1))) == Moved(1)


from pygos.include.linux.sched import SigAction as Moved  # noqa: E402
