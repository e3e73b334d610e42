# SPDX-License-Identifier: Apache-2.0
"""Results of a run, and the tables made of them: terminal, README, Documentation."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from bench.rows import CONFIGS, ROWS, UNIT, Row

README_BEGIN, README_END = "<!-- bench:begin -->", "<!-- bench:end -->"
PAGE_BEGIN, PAGE_END = ".. bench:begin", ".. bench:end"
MODE_TITLES = {
    "free": "On all CPUs",
    "pinned": "Everything on one CPU",
    "busy": "Beside four busy loops",
}


class Results:
    """Samples in seconds (MiB for sizes) by mode, side and row; why some are missing."""

    def __init__(self, host: dict[str, str]) -> None:
        self.host = host
        self.samples: dict[str, dict[str, dict[str, list[float]]]] = {}
        self.errors: list[tuple[str, str, str, str]] = []

    def add(self, mode: str, side: str, row: str, value: float) -> None:
        self.samples.setdefault(mode, {}).setdefault(side, {}).setdefault(row, []).append(value)

    def failed(self, mode: str, side: str, row: str, why: str) -> None:
        """A side that failed once has no figure in this row."""
        self.samples.get(mode, {}).get(side, {}).pop(row, None)
        self.errors.append((mode, side, row, why))

    def value(self, mode: str, side: str, row: Row) -> float | None:
        """The median."""
        samples = self.samples.get(mode, {}).get(side, {}).get(row.same_as or row.name)
        return statistics.median(samples) if samples else None

    def ratio(self, mode: str, side: str, row: Row) -> float | None:
        value, native = self.value(mode, side, row), self.value(mode, "native", row)
        return value / native if value and native else None

    @property
    def noise(self) -> float:
        """How far the native figures of a quiet run lie apart from round to round: the median of
        (upper quartile - lower quartile) / median."""
        spreads = []
        for samples in self.samples.get("free", {}).get("native", {}).values():
            if len(samples) > 3:
                low, middle, high = statistics.quantiles(samples)
                spreads.append((high - low) / middle)
        return statistics.median(spreads) if spreads else 0.0

    @property
    def best(self) -> str:
        """The configuration that stands for pygos: that of the fastest platform."""
        sides = {side for by_side in self.samples.values() for side in by_side}
        return next((name for name in CONFIGS if name in sides), "ptrace")

    def as_json(self) -> dict[str, Any]:
        return {"host": self.host, "samples": self.samples, "errors": self.errors}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Results:
        results = cls(data["host"])
        results.samples = data["samples"]
        results.errors = [tuple(error) for error in data["errors"]]
        return results


# -- cells ---------------------------------------------------------------------------------


def number(value: float) -> str:
    if value >= 99.5:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 9.95 else f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def amount(value: float | None, row: Row) -> str:
    return "" if value is None else f"{number(value / UNIT[row.unit])} {row.unit}"


def times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f} x"


def target(row: Row, mode: str) -> str:
    """What the row should cost at most; empty where nothing is asked for."""
    if mode == "pinned":
        return "" if row.most_pinned is None else f"<= {row.most_pinned:g} {row.unit}"
    if row.most is not None:
        return f"<= {row.most:g} {row.unit}"
    return "" if row.times is None else f"<= {row.times:g} x"


def met(results: Results, mode: str, row: Row) -> bool | None:
    """Is the target met? None: there is none, or no figure."""
    side = row.judged or results.best
    value, ratio = results.value(mode, side, row), results.ratio(mode, side, row)
    most = row.most_pinned if mode == "pinned" else row.most
    if mode == "busy":
        return None
    if most is not None:
        return None if value is None else value / UNIT[row.unit] <= most
    if row.times is None or ratio is None or mode == "pinned":
        return None
    return round(ratio, 2) <= row.times


def verdict(results: Results, mode: str, row: Row) -> str:
    done = met(results, mode, row)
    return "" if done is None else "met" if done else "missed"


def peers(row: Row) -> tuple[str, str]:
    """gVisor's and User-Mode Linux's figures."""
    if row.peers is None:
        return "", ""
    unit = "x" if row.kind == "macro" else row.unit
    return f"{row.peers[0]:g} {unit}", f"{row.peers[1]:g} {unit}"


def ahead(results: Results, row: Row) -> bool | None:
    """Is pygos, on one CPU, ahead of the better of the peers?"""
    find = results.ratio if row.kind == "macro" else results.value
    value = find("pinned", results.best, row)
    if row.peers is None or value is None:
        return None
    return value / (1.0 if row.kind == "macro" else UNIT[row.unit]) < min(row.peers)


def missed(results: Results) -> list[str]:
    """Targets that were missed, peers that are ahead and work that failed, a line each."""
    lines = []
    for mode in results.samples:
        for row in ROWS:
            if met(results, mode, row) is False:
                side = row.judged or results.best
                got = amount(results.value(mode, side, row), row)
                ratio = times(results.ratio(mode, side, row))
                cell = f"{got}, {ratio}" if ratio else got
                lines.append(f"{row.title}: {cell}; {target(row, mode)} ({mode})")
    for row in ROWS:
        if ahead(results, row) is False:
            cell = amount(results.value("pinned", results.best, row), row)
            lines.append(f"{row.title}: {cell} on one CPU; peers: {' and '.join(peers(row))}")
    lines += [f"{row}: {side} failed, {mode}: {why}" for mode, side, row, why in results.errors]
    return lines


def line(results: Results, mode: str, row: Row, sides: list[str]) -> str:
    """One line for the terminal, while the bench runs."""
    cells = [amount(results.value(mode, side, row), row) for side in sides]
    ratio = times(results.ratio(mode, results.best, row))
    return f"{row.title:44.44}" + "".join(f"{cell:>11}" for cell in cells) + f"{ratio:>10}"


# -- tables --------------------------------------------------------------------------------


def host_line(results: Results) -> str:
    host = results.host
    return (
        f"{host['cpu']}, {host['cpus']} CPUs, Linux {host['kernel']}, {host['python']}; "
        f"tree {host['tree']}, {host['date']}, load {host['load']} at the start, "
        f"native figures within {results.noise:.0%}"
    )


def shown(results: Results, mode: str, goals: bool | None) -> list[Row]:
    """The rows that have a figure in a mode; `goals`: only those that are, or are not, goals."""
    own = [name for name in results.samples.get(mode, {}) if name != "native"]
    return [
        row
        for row in ROWS
        if (goals is None or row.goal is goals)
        and any(
            results.value(mode, side, row) is not None for side in own if row.judged in ("", side)
        )
    ]


def own_cells(results: Results, mode: str, row: Row) -> list[str]:
    """A cell for each configuration that was measured."""
    cells = []
    for side in configs(results, mode):
        value = results.value(mode, side, row)
        cells.append(amount(value, row) if not row.judged or side == row.judged else "")
    return cells


def configs(results: Results, mode: str) -> list[str]:
    return [name for name in CONFIGS if name in results.samples.get(mode, {})]


def best_ratio(results: Results, mode: str, row: Row) -> str:
    return times(results.ratio(mode, row.judged or results.best, row))


def rst_table(title: str, head: list[str], lines: list[list[str]]) -> str:
    """A csv-table. Single backquotes of titles become literals."""
    out = [f".. csv-table:: {title}", "   :header-rows: 1", ""]
    for cells in [head, *lines]:
        texts = (cell.replace("`", "``").replace('"', '""') for cell in cells)
        out.append("   " + ", ".join(f'"{text}"' for text in texts))
    return "\n".join([*out, ""])


def free_table(results: Results, title: str, goals: bool) -> str:
    head = ["work", "native", *(CONFIGS[name][0] for name in configs(results, "free")), "ratio"]
    head += ["target", ""]
    lines = [
        [
            row.title,
            amount(results.value("free", "native", row), row),
            *own_cells(results, "free", row),
            best_ratio(results, "free", row),
            target(row, "free"),
            verdict(results, "free", row),
        ]
        for row in shown(results, "free", goals)
    ]
    return rst_table(title, head, lines)


def pinned_table(results: Results) -> str:
    head = ["work", "native", *(CONFIGS[name][0] for name in configs(results, "pinned")), "ratio"]
    head += ["target", "", "gVisor", "UML", "ahead"]
    answers = {None: "", True: "yes", False: "no"}
    lines = [
        [
            row.title,
            amount(results.value("pinned", "native", row), row),
            *own_cells(results, "pinned", row),
            best_ratio(results, "pinned", row),
            target(row, "pinned"),
            verdict(results, "pinned", row),
            *peers(row),
            answers[ahead(results, row)],
        ]
        for row in shown(results, "pinned", None)
    ]
    return rst_table(MODE_TITLES["pinned"], head, lines)


def busy_table(results: Results) -> str:
    """How much slower each side gets."""
    sides = ["native", *configs(results, "busy")]
    titles = [title for side in sides for title in (CONFIGS.get(side, ("native",))[0], "slower")]
    lines = []
    for row in shown(results, "busy", None):
        cells = [row.title]
        for side in sides:
            quiet, busy = results.value("free", side, row), results.value("busy", side, row)
            cells += [amount(busy, row), times(busy / quiet if busy and quiet else None)]
        lines.append(cells)
    return rst_table(MODE_TITLES["busy"], ["work", *titles], lines)


def page(results: Results) -> str:
    """The generated part of Documentation/performance.rst."""
    parts = [f"Measured by ``make bench``: {host_line(results)}.", ""]
    if "free" in results.samples:
        parts += [free_table(results, "The goals, on all CPUs", True)]
        parts += [free_table(results, "Other work, on all CPUs", False)]
    if "pinned" in results.samples:
        parts += [pinned_table(results)]
    if "busy" in results.samples:
        parts += [busy_table(results)]
    lost = missed(results)
    parts += ["Missed: " + ("nothing." if not lost else ""), ""]
    parts += [f"* {text.replace('`', '``')}" for text in lost]
    return "\n".join(parts).rstrip() + "\n"


def markdown(results: Results) -> str:
    """README's table: the default platform on all CPUs."""
    best = results.best
    lines = ["| work | native | pygos | ratio | target |", "| --- | ---: | ---: | ---: | --- |"]
    for row in shown(results, "free", None):
        side = row.judged or best
        wanted, done = target(row, "free"), verdict(results, "free", row)
        cells = [
            row.title,
            amount(results.value("free", "native", row), row),
            amount(results.value("free", side, row), row),
            best_ratio(results, "free", row),
            f"{wanted} ({done})" if done else wanted,
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", f"{CONFIGS[best][0]}, by `make bench`: {host_line(results)}."])


def between(text: str, begin: str, end: str, inside: str) -> str:
    """`text` with what is between two lines replaced."""
    head, found, rest = text.partition(f"{begin}\n")
    _, closed, tail = rest.partition(end)
    if not found or not closed:
        raise SystemExit(f"no {begin} ... {end}")
    return f"{head}{begin}\n{inside}{end}{tail}"


def write(results: Results, root: Path) -> None:
    """Put the tables into the pages."""
    readme, document = root / "README.md", root / "Documentation" / "performance.rst"
    for path, begin, end, inside in (
        (readme, README_BEGIN, README_END, markdown(results) + "\n"),
        (document, PAGE_BEGIN, PAGE_END, f"\n{page(results)}\n"),
    ):
        text = path.read_text(encoding="utf-8")
        path.write_text(between(text, begin, end, inside), encoding="utf-8")
