# SPDX-License-Identifier: Apache-2.0
"""CPython's own test suite can't tell the difference (tools/testing/pysuite.py).

The quick modules always run if Debian's libpython3.11-testsuite is there; others are named by
PYGOS_PYSUITE, such as ``PYGOS_PYSUITE="@long test_shutil"``. Root runs each also as a user.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "testing" / "pysuite.py"


def load() -> ModuleType:
    """The runner, which is a script and in no package."""
    spec = importlib.util.spec_from_file_location("pysuite", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


pysuite = load()
MODULES = pysuite.modules_of(["@ci", *os.environ.get("PYGOS_PYSUITE", "").split()])


def an_ordinary_user() -> str:
    """Somebody who may run tests when root does; empty if there is nobody."""
    people = [entry.pw_name for entry in pwd.getpwall() if 1000 <= entry.pw_uid < 60000]
    return people[0] if people else ""


@pytest.mark.timeout(2000)
@pytest.mark.skipif(not pysuite.suite_is_there(), reason="not installed: libpython3.11-testsuite")
@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("who", ["me", "a user"])
def test_same_tests_pass(module: str, who: str) -> None:
    user = pwd.getpwuid(os.geteuid()).pw_name
    if who == "a user":
        if os.geteuid() != 0 or not an_ordinary_user():
            pytest.skip("needs root and an ordinary user")
        user = an_ordinary_user()
    args = pysuite.parse_args(["--user", user, module])
    diffs, summary = pysuite.check_module(module, args)
    known = pysuite.exceptions()
    news = [diff for diff in diffs if not pysuite.explained(diff, known)]
    assert not news, summary + "".join(f"\n{d.test}: {d.inside}\n{d.text}" for d in news)


def test_at_most_ten_exceptions() -> None:
    assert len(pysuite.exceptions()) <= 10
    assert all(reason for _, reason in pysuite.exceptions())


def test_reports_are_read() -> None:
    log = "noise\n" + pysuite.MARK + "\n<testsuites><testsuite>"
    log += '<testcase name="t.A.ok" status="run" result="completed"/>'
    log += '<testcase name="t.A.skip" status="run" result="completed"><skipped/></testcase>'
    log += '<testcase name="t.A.bad" status="run" result="completed"><failure>why</failure>'
    log += "</testcase></testsuite></testsuites>\n"
    report = pysuite.parse(log)
    assert report.outcome == {"t.A.ok": "passed", "t.A.skip": "skipped", "t.A.bad": "failed"}
    assert report.text["t.A.bad"] == "why"


def test_a_run_that_died_is_read_line_by_line() -> None:
    log = "test_a (test.m.A.test_a) ... ok\ntest_b (test.m.A.test_b)\nDoc line ... skipped 'x'\n"
    log += "test_c (test.m.A.test_c) ... some noise\n"
    outcome = pysuite.parse(log).outcome
    assert outcome == {
        "test.m.A.test_a": "passed", "test.m.A.test_b": "skipped", "test.m.A.test_c": "unfinished",
    }  # fmt: skip
