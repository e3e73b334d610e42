# SPDX-License-Identifier: Apache-2.0
"""The machine code of calls that are answered in the stub is that of its source, and tame."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from pygos.host.fast_code import FAST, SOURCE
from pygos.host.layout import STUB_FAST_PAGES

TOOL = Path(__file__).resolve().parents[2] / "tools" / "um" / "compile_python.py"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("compile_python", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_code_belongs_to_the_source(tool: ModuleType) -> None:
    assert tool.source_hash() == SOURCE, "run tools/um/compile_python.py"


def test_the_code_is_what_the_compiler_makes(tool: ModuleType) -> None:
    # Another version of LLVM may choose other instructions; what it makes has to pass its checks.
    pytest.importorskip("llvmlite")
    code, assembly = tool.compile_ir(tool.module_ir())
    assert code
    assert "syscall" not in assembly


def test_it_fits_and_makes_no_system_call() -> None:
    assert 0 < len(FAST) <= STUB_FAST_PAGES * 4096
    for call in (b"\x0f\x05", b"\x0f\x34", b"\xcd\x80"):
        assert call not in FAST


@pytest.mark.parametrize(
    "body",
    ["x: int = 1", "return [a]", "for i in (1,): pass", "return a / 2", "return unknown(a)",
     "return 1.5", "global a"],
)  # fmt: skip
def test_what_is_not_in_the_subset_is_refused(tool: ModuleType, body: str) -> None:
    import ast

    node = ast.parse(f"def f(a: int) -> int:\n    {body}\n").body[0]
    with pytest.raises(SystemExit):
        tool.Function(node, {}, {"f"}).text("", "")
