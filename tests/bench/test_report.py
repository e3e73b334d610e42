# SPDX-License-Identifier: Apache-2.0
"""The bench measures what its rows name, and its tables say what was measured."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from bench import report
from bench.macro import WORKS
from bench.report import Results
from bench.rows import BY_NAME, CONFIGS, ROWS

ROOT = Path(__file__).resolve().parents[2]
HOST = dict.fromkeys(("cpu", "cpus", "kernel", "python", "tree", "date", "load"), "x")


@pytest.fixture
def results() -> Results:
    """Ten times native everywhere; um-systrap twice, and not patched four times native."""
    made = Results(HOST)
    costs = {"native": 1.0, "systrap": 2.0, "no-patch": 4.0, "no-fast": 3.0, "ptrace": 10.0}
    for mode in report.MODE_TITLES:
        for side, cost in costs.items():
            for row in ROWS:
                for noise in (0.9, 1.0, 5.0):
                    made.add(mode, side, row.name, cost * noise * 1e-6)
    return made


def test_every_row_can_be_measured() -> None:
    source = (ROOT / "bench" / "micro.c").read_text(encoding="utf-8")
    tests = set(re.findall(r'\{ "(\w+)", \w+ \}', source))
    for row in ROWS:
        if row.same_as:
            assert row.same_as in BY_NAME
        elif row.kind != "command":
            assert row.name in (tests if row.kind == "micro" else WORKS), row.name
    assert len(BY_NAME) == len(ROWS)


def test_a_figure_is_the_median(results: Results) -> None:
    assert results.value("free", "systrap", BY_NAME["stat"]) == pytest.approx(2e-6)
    assert results.ratio("free", "ptrace", BY_NAME["stat"]) == pytest.approx(10)


def test_targets_are_judged_by_the_fastest_platform(results: Results) -> None:
    assert report.met(results, "free", BY_NAME["null"]) is True
    assert report.met(results, "free", BY_NAME["clock"]) is False
    assert report.met(results, "free", BY_NAME["trapped"]) is True  # 4 us, not patched
    assert report.met(results, "free", BY_NAME["mmap"]) is None
    assert any("clock_gettime" in line for line in report.missed(results))
    assert not any("stat of" in line for line in report.missed(results))


def test_peers_are_compared_on_one_cpu(results: Results) -> None:
    assert report.ahead(results, BY_NAME["null"]) is True
    assert report.ahead(results, BY_NAME["python"]) is True  # twice native
    results.samples["pinned"]["systrap"]["python"] = [2.6e-6]
    assert report.ahead(results, BY_NAME["python"]) is False
    assert report.ahead(results, BY_NAME["mmap"]) is None


def test_a_side_that_fails_has_no_figure(results: Results) -> None:
    results.failed("free", "systrap", "stat", "it hangs")
    assert results.value("free", "systrap", BY_NAME["stat"]) is None
    assert any("it hangs" in line for line in report.missed(results))


def test_the_tables_have_every_row_and_configuration(results: Results) -> None:
    page = report.page(results)
    for row in ROWS:
        assert row.title.replace("`", "``") in page
        assert row.title in report.markdown(results)
    for title, _ in CONFIGS.values():
        assert title in page


def test_results_survive_being_saved(results: Results) -> None:
    again = Results.from_json(json.loads(json.dumps(results.as_json())))
    assert report.page(again) == report.page(results)


def test_the_pages_have_a_place_for_the_tables(results: Results, tmp_path: Path) -> None:
    (tmp_path / "Documentation").mkdir()
    for name in ("README.md", "Documentation/performance.rst"):
        (tmp_path / name).write_text((ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")
    report.write(results, tmp_path)
    once = (tmp_path / "README.md").read_text(encoding="utf-8")
    report.write(results, tmp_path)
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == once
    assert report.markdown(results) in once
    page = (tmp_path / "Documentation" / "performance.rst").read_text(encoding="utf-8")
    assert report.page(results) in page
