#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compile pygos/arch/um/fast.py to machine code and write pygos/host/fast_code.py.

Needed only after a change of the source or of this compiler, and only for that llvmlite is
needed. With --check it compares the hash and exits 1 on a difference (tests/um/test_fast_code.py
does the same, and compiles anew where llvmlite is). --ir and --asm print what is made.

The subset: functions of ints that are 64-bit signed numbers; assignment, if, while True / while,
return, calls of other functions of the module (inlined) and of the intrinsics of
pygos/arch/um/intrinsics.py; names from modules must be constants. Nothing is checked for
overflow: the source keeps its numbers below 2**63, where Python and the machine agree.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import struct
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

UM = ROOT / "pygos" / "arch" / "um"
SOURCE, TARGET = UM / "fast.py", ROOT / "pygos" / "host" / "fast_code.py"
MODULE, ENTRY = "pygos.arch.um.fast", "fast"
FEATURES = "-sse,-sse2,-avx,-mmx,-x87"
LIMIT = 15 * 4096
_BINARY = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.BitAnd: "and", ast.BitOr: "or",
    ast.BitXor: "xor", ast.LShift: "shl", ast.RShift: "ashr",
}  # fmt: skip
_COMPARE = {
    ast.Eq: "eq", ast.NotEq: "ne", ast.Lt: "slt", ast.LtE: "sle", ast.Gt: "sgt", ast.GtE: "sge",
}  # fmt: skip
_COPY = (
    '  call {i64, i64, i64} asm sideeffect "cld; rep movsb", "={di},={si},={cx},0,1,2,'
    '~{memory},~{dirflag},~{fpsr},~{flags}"(i64 {d}, i64 {s}, i64 {n})'
)


class Unsupported(SystemExit):
    """The source leaves the subset."""


class Function:
    """LLVM IR of one function. Every variable is a stack slot; LLVM makes registers of them."""

    def __init__(self, node: ast.FunctionDef, constants: dict[str, Any], names: set[str]) -> None:
        self.node, self.constants, self.names = node, constants, names
        self.lines: list[str] = []
        self.count = 0
        self.slots: dict[str, str] = {}
        self.loops: list[tuple[str, str]] = []
        self.open = True

    def text(self, linkage: str, attributes: str) -> str:
        """The whole definition."""
        params = [arg.arg for arg in self.node.args.args]
        for name in {*params, *_assigned(self.node)}:
            self.slots[name] = f"%v.{name}"
        head = [f"  %v.{name} = alloca i64" for name in sorted(self.slots)]
        head += [f"  store i64 %a.{name}, ptr %v.{name}" for name in params]
        self.body(self.node.body)
        if self.open:
            self.emit("ret i64 0")
        args = ", ".join(f"i64 %a.{name}" for name in params)
        code = "\n".join([*head, *self.lines])
        return f"define {linkage}i64 @{self.node.name}({args}) {attributes} {{\n{code}\n}}\n"

    def emit(self, line: str) -> None:
        if self.open:
            self.lines.append("  " + line)

    def new(self, line: str) -> str:
        self.count += 1
        self.emit(f"%t{self.count} = {line}")
        return f"%t{self.count}"

    def label(self) -> str:
        self.count += 1
        return f"l{self.count}"

    def place(self, label: str) -> None:
        self.jump(label)
        self.lines.append(f"{label}:")
        self.open = True

    def jump(self, label: str) -> None:
        self.emit(f"br label %{label}")
        self.open = False

    def fail(self, node: ast.AST) -> Unsupported:
        return Unsupported(f"{SOURCE.name}:{getattr(node, 'lineno', 0)}: {ast.dump(node)[:80]}")

    # -- statements

    def body(self, nodes: list[ast.stmt]) -> None:
        for node in nodes:
            self.statement(node)

    def statement(self, node: ast.stmt) -> None:
        match node:
            case ast.Expr(value=ast.Constant()) | ast.Pass():
                pass
            case ast.Expr(value=ast.Call() as call):
                self.value(call)
            case ast.Return(value=ast.expr() as value):
                result = self.value(value)
                self.emit(f"ret i64 {result}")
                self.open = False
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                self.emit(f"store i64 {self.value(value)}, ptr {self.slots[name]}")
            case ast.AugAssign(target=ast.Name(id=name), op=op, value=value):
                result = self.binary(op, ast.Name(name), value, node)
                self.emit(f"store i64 {result}, ptr {self.slots[name]}")
            case ast.If():
                self.branch(node)
            case ast.While(orelse=[]):
                self.loop(node)
            case ast.Break():
                self.jump(self.loops[-1][1])
            case ast.Continue():
                self.jump(self.loops[-1][0])
            case _:
                raise self.fail(node)

    def branch(self, node: ast.If) -> None:
        yes, no, end = self.label(), self.label(), self.label()
        self.condition(node.test, yes, no)
        self.place(yes)
        self.body(node.body)
        self.jump(end)
        self.place(no)
        self.body(node.orelse)
        self.place(end)

    def loop(self, node: ast.While) -> None:
        again, body, end = self.label(), self.label(), self.label()
        self.place(again)
        self.condition(node.test, body, end)
        self.place(body)
        self.loops.append((again, end))
        self.body(node.body)
        self.loops.pop()
        self.jump(again)
        self.place(end)

    def condition(self, node: ast.expr, yes: str, no: str) -> None:
        """Go to one label or the other."""
        match node:
            case ast.BoolOp(op=op, values=values):
                for value in values[:-1]:
                    following = self.label()
                    first = (following, no) if isinstance(op, ast.And) else (yes, following)
                    self.condition(value, *first)
                    self.place(following)
                self.condition(values[-1], yes, no)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                self.condition(operand, no, yes)
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                a, b = self.value(left), self.value(right)
                bit = self.new(f"icmp {_COMPARE[type(op)]} i64 {a}, {b}")
                self.emit(f"br i1 {bit}, label %{yes}, label %{no}")
            case _:
                bit = self.new(f"icmp ne i64 {self.value(node)}, 0")
                self.emit(f"br i1 {bit}, label %{yes}, label %{no}")
        self.open = False

    # -- expressions

    def value(self, node: ast.expr) -> str:
        match node:
            case ast.Constant(value=bool(value) | int(value)):
                return str(int(value))
            case ast.Name(id=name) if name in self.slots:
                return self.new(f"load i64, ptr {self.slots[name]}")
            case ast.Name(id=name) if isinstance(self.constants.get(name), int):
                return str(int(self.constants[name]))
            case ast.BinOp(left=left, op=op, right=right):
                return self.binary(op, left, right, node)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return self.new(f"sub i64 0, {self.value(operand)}")
            case ast.UnaryOp(op=ast.Invert(), operand=operand):
                return self.new(f"xor i64 -1, {self.value(operand)}")
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
                return self.call(name, [self.value(arg) for arg in args], node)
        raise self.fail(node)

    def binary(self, op: ast.operator, left: ast.expr, right: ast.expr, node: ast.AST) -> str:
        if type(op) not in _BINARY:
            raise self.fail(node)
        a, b = self.value(left), self.value(right)
        return self.new(f"{_BINARY[type(op)]} i64 {a}, {b}")

    def call(self, name: str, args: list[str], node: ast.AST) -> str:
        if name in self.names:
            return self.new(f"call i64 @{name}({', '.join('i64 ' + arg for arg in args)})")
        if name in ("ld64", "ld32", "ld8"):
            size = "i" + name[2:]
            at = self.new(f"inttoptr i64 {args[0]} to ptr")
            value = self.new(f"load volatile {size}, ptr {at}, align 1")
            return value if size == "i64" else self.new(f"zext {size} {value} to i64")
        if name == "st64":
            at = self.new(f"inttoptr i64 {args[0]} to ptr")
            self.emit(f"store volatile i64 {args[1]}, ptr {at}, align 1")
            return "0"
        if name == "copy":
            text = _COPY.replace("{d}", args[0]).replace("{s}", args[1]).replace("{n}", args[2])
            self.new(text.strip())
            return "0"
        if name == "cmpxchg64":
            at = self.new(f"inttoptr i64 {args[0]} to ptr")
            pair = self.new(
                f"cmpxchg volatile ptr {at}, i64 {args[1]}, i64 {args[2]} seq_cst seq_cst"
            )
            return self.new(f"extractvalue {{i64, i1}} {pair}, 0")
        raise self.fail(node)


def _assigned(node: ast.FunctionDef) -> set[str]:
    return {
        each.id
        for each in ast.walk(node)
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
    }


def module_ir() -> str:
    """LLVM IR of the whole source, the entry first."""
    tree = ast.parse(SOURCE.read_text())
    constants = vars(importlib.import_module(MODULE))
    nodes = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    names = {node.name for node in nodes}
    flags = 'nounwind "no-builtins" "no-jump-tables"="true" "frame-pointer"="none"'
    parts = ['target triple = "x86_64-unknown-linux-gnu"\n']
    for node in sorted(nodes, key=lambda each: each.name != ENTRY):
        entry = node.name == ENTRY
        linkage, more = ("", " noinline") if entry else ("internal ", " alwaysinline")
        parts.append(Function(node, constants, names).text(linkage, flags + more))
    return "\n".join(parts)


def compile_ir(text: str) -> tuple[bytes, str]:
    """The text section, checked, and the assembly."""
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    binding.initialize_native_asmparser()
    module = binding.parse_assembly(text)
    module.verify()
    target = binding.Target.from_triple("x86_64-unknown-linux-gnu")
    machine = target.create_target_machine(
        cpu="x86-64", features=FEATURES, opt=2, reloc="pic", codemodel="small"
    )
    options = binding.create_pipeline_tuning_options(speed_level=2)
    builder = binding.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    assembly = machine.emit_assembly(module)
    if any(word in assembly for word in ("xmm", "ymm", "%st", "@PLT", "@GOT")):
        raise SystemExit("the code uses registers or symbols that it may not")
    return text_section(machine.emit_object(module)), assembly


def text_section(image: bytes) -> bytes:
    """.text of an object that has nothing else to load and nothing to relocate in it."""
    at = struct.unpack_from("<Q", image, 40)[0]
    size, count, names_index = struct.unpack_from("<HHH", image, 58)
    sections = [struct.unpack_from("<IIQQQQIIQQ", image, at + i * size) for i in range(count)]
    names = sections[names_index][4]
    code = b""
    for name, kind, flags, _, offset, length, *_ in sections:
        start = names + name
        label = image[start : image.index(b"\0", start)].decode()
        if label == ".text":
            code = image[offset : offset + length]
        elif kind in (4, 9) and length:
            raise SystemExit(f"relocations: {label}")
        elif flags & 2 and length:
            raise SystemExit(f"another section to load: {label}")
    if not code or len(code) > LIMIT:
        raise SystemExit(f"{len(code)} bytes of code")
    return code


def source_hash() -> str:
    """Of all that decides what the code is: the IR (with the values of all constants in it) and
    how it is compiled. Needs no llvmlite."""
    return hashlib.sha256(f"{FEATURES}\n{module_ir()}".encode()).hexdigest()


def generated() -> str:
    """The text of fast_code.py."""
    code, _ = compile_ir(module_ir())
    rows = "\n".join(f'    "{code[i : i + 40].hex()}"' for i in range(0, len(code), 40))
    return (
        "# SPDX-License-Identifier: Apache-2.0\n"
        '"""Machine code of fast.py. Written by tools/um/compile_python.py."""\n\n'
        "from __future__ import annotations\n\nfrom typing import Final\n\n"
        f'SOURCE: Final = "{source_hash()}"\n'
        f"FAST: Final = bytes.fromhex(\n{rows}\n)\n"
    )


def main() -> int:
    if "--ir" in sys.argv:
        print(module_ir())
    elif "--asm" in sys.argv:
        print(compile_ir(module_ir())[1])
    elif "--check" in sys.argv:
        return int(f'"{source_hash()}"' not in TARGET.read_text())
    else:
        TARGET.write_text(generated())
    return 0


if __name__ == "__main__":
    sys.exit(main())
