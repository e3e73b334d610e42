# SPDX-License-Identifier: Apache-2.0
"""pygos doctor: what it looks at and how it tells."""

from __future__ import annotations

import pytest

from pygos.arch.um.ptrace_platform import UmPtrace
from pygos.host import HostError, doctor
from pygos.host.doctor import State
from pygos.host.stub import refusal


def test_this_host_can_run_machines() -> None:
    assert doctor.check_ptrace() is None
    lines: list[str] = []
    assert doctor.examine(lines.append) == 0
    assert any("guest programs" in line for line in lines)


def test_refused_ptrace_is_told_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise HostError(refusal(1))

    monkeypatch.setattr(UmPtrace, "__init__", refuse)
    reason = doctor.check_ptrace()
    assert reason is not None
    assert "refuses ptrace" in reason
    assert "\n" not in reason
    lines: list[str] = []
    assert doctor.examine(lines.append) == 1
    assert any(line.startswith("missing") for line in lines)
    assert any("mend:" in line for line in lines)


@pytest.mark.parametrize(
    ("scope", "state"), [("1", State.OK), ("2", None), ("3", State.MISSING), (None, None)]
)
def test_yama(scope: str | None, state: State | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_read", lambda path: scope)
    found = doctor._yama()
    if scope is None:
        assert found is None
    elif state is not None:
        assert found is not None
        assert found.state is state


def test_every_problem_has_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_read", lambda path: "3")
    for finding in doctor.findings():
        assert finding.state is State.OK or finding.mend


def test_without_systrap_programs_still_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pygos.arch.um.registry.systrap_missing", lambda: "no such luck")
    found = doctor._systrap()
    assert found.state is State.DEGRADED
    assert found.meaning == "no such luck; programs run on um-ptrace, slower"
