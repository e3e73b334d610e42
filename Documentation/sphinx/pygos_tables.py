# SPDX-License-Identifier: Apache-2.0
"""Directives whose tables come from the code, so that they can't go stale.

``.. syscall-table::``     every call of syscall_64.tbl: full, partial (and what is missing) or
                           missing, from the handlers' signatures
``.. security-tests::``    the attacks of security-tests.txt with the tests that carry their ids
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[2]
#: An id in a text, or in the name of a test.
TEST_ID = re.compile(r"\bT-([A-Z]+)-(\d\d)\b|\btest_t_([a-z]+)_(\d\d)_")


def table(head: Iterable[str], rows: Iterable[Iterable[str]], widths: list[int]) -> nodes.table:
    """A docutils table; cells in ``double backquotes`` are literal."""
    group = nodes.tgroup(cols=len(widths))
    group += [nodes.colspec(colwidth=width) for width in widths]
    thead, tbody = nodes.thead(), nodes.tbody()
    thead += row(head)
    tbody += [row(cells) for cells in rows]
    group += [thead, tbody]
    result = nodes.table()
    result += group
    return result


def row(cells: Iterable[str]) -> nodes.row:
    result = nodes.row()
    for text in cells:
        entry, paragraph = nodes.entry(), nodes.paragraph()
        for index, part in enumerate(text.split("``")):
            if part:
                paragraph += nodes.literal(part, part) if index % 2 else nodes.Text(part)
        entry += paragraph
        result += entry
    return result


def arguments(handler: Callable[..., Any]) -> str:
    """The parameters of a handler as its documentation shows them."""
    names = list(inspect.signature(handler).parameters)[1:]
    return ", ".join(name.rstrip("_") for name in names)


def syscall_rows() -> Iterator[tuple[str, str, str, str]]:
    """Number, call, support, remark of every entry of the table."""
    from pygos.arch.x86.entry.syscall_64 import SYSCALLS
    from pygos.init.calls import all_handlers

    handlers = all_handlers()
    for number, name in SYSCALLS:
        handler = handlers.get(name)
        if handler is None:
            yield str(number), f"``{name}``", "missing", "ENOSYS"
            continue
        partial = handler.__syscall__.partial  # type: ignore[attr-defined]
        room = "``" + handler.__module__.replace(".", "/") + ".py``"
        call = f"``{name}({arguments(handler)})``"
        remark = f"{partial} ({room})" if partial else room
        yield str(number), call, "partial" if partial else "full", remark


class SyscallTable(Directive):
    """``.. syscall-table::``"""

    def run(self) -> list[nodes.Node]:
        rows = list(syscall_rows())
        count = {
            kind: sum(row[2] == kind for row in rows) for kind in ("full", "partial", "missing")
        }
        text = (
            f"Of {len(rows)} system calls {count['full']} are complete, {count['partial']} partial"
            f" and {count['missing']} missing."
        )
        summary = nodes.paragraph(text, text)
        return [summary, table(("nr", "call", "support", "remark"), rows, [6, 38, 10, 46])]


def tests_by_id() -> dict[str, list[str]]:
    """Files under tests/ that carry the id of an attack."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        matches = TEST_ID.findall(path.read_text(encoding="utf-8"))
        for name in {f"T-{a or c.upper()}-{b or d}" for a, b, c, d in matches}:
            found.setdefault(name, []).append(str(path.relative_to(ROOT)))
    return found


def security_rows() -> Iterator[tuple[str, str, str]]:
    """Id, attack, state of every line of security-tests.txt."""
    tests = tests_by_id()
    text = (ROOT / "Documentation" / "security-tests.txt").read_text(encoding="utf-8")
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        name, attack, *reason = (part.strip() for part in line.split("|"))
        if name in tests:
            state = "passing: " + ", ".join(f"``{path}``" for path in tests[name])
        else:
            state = f"not applicable: {reason[0]}" if reason else "open"
        yield name, attack, state


class SecurityTests(Directive):
    """``.. security-tests::``"""

    def run(self) -> list[nodes.Node]:
        rows = list(security_rows())
        passing = sum(state.startswith("passing") for _, _, state in rows)
        text = f"{passing} of {len(rows)} have tests in this tree."
        summary = nodes.paragraph(text, text)
        return [summary, table(("id", "attack", "state"), rows, [14, 54, 32])]


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("syscall-table", SyscallTable)
    app.add_directive("security-tests", SecurityTests)
    return {"version": "1", "parallel_read_safe": True}
