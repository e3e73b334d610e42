# SPDX-License-Identifier: Apache-2.0
"""Which argument of which call is shown how: signatures, corrected by ``tables``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pygos.include.uapi import symbols
from pygos.kernel.decode import Parameter, parameters
from pygos.kernel.trace import args, special, tables
from pygos.kernel.trace.args import Flags, StructIn, StructOut, Value
from pygos.kernel.trace.call import Call, Formatter
from pygos.kernel.trace.text import i64

#: When an argument is shown: before the call; after it, an address if it failed; after it;
#: after it, perhaps.
BEFORE, AFTER, FINALLY, PERHAPS = range(4)
_PREFIXES: Final = {"out": AFTER, "fin": FINALLY, "opt": PERHAPS}
_REGISTERS: Final = 6

#: (kind, show) of a parameter -> what shows each of its registers.
_KINDS: Final[dict[tuple[str, str], tuple[Formatter, ...]]] = {
    ("i32", ""): (args.d,),
    ("i32", "hex"): (args.x32,),
    ("i32", "pid"): (args.d,),
    ("i32", "fd"): (args.d,),
    ("i32", "dirfd"): (args.dirfd,),
    ("i32", "signal"): (args.signal,),
    ("u32", ""): (args.u,),
    ("u32", "octal"): (args.mode,),
    ("u32", "hex"): (args.x32,),
    ("i64", ""): (args.ld,),
    ("u64", ""): (args.lu,),
    ("u64", "hex"): (args.x,),
    ("u64", "ptr"): (args.addr,),
    ("file", "fd"): (args.d,),
    ("rawfile", "fd"): (args.d,),
    ("buf_in", "buf"): (args.buffer, args.lu),
    ("buf_out", "buf"): (args.out_buffer, args.lu),
    ("iov_in", "iov"): (args.iov, args.lu),
    ("iov_out", "iov"): (args.out_iov, args.lu),
    ("path", "str"): (args.path,),
    ("path_null", "str"): (args.path,),
    ("outint", "ptr"): (args.out_int,),
}


class Slot:
    """One argument: what shows it, which register it is asked about, and when."""

    __slots__ = ("glued", "index", "show", "when")

    def __init__(self, show: Formatter, index: int, glued: bool = False) -> None:
        self.show = show
        self.index = index
        #: No comma before it.
        self.glued = glued
        name: str = getattr(show, "__name__", "")
        self.when = _PREFIXES.get(name.partition("_")[0], BEFORE)
        if isinstance(show, StructOut):
            self.when = AFTER


class Layout:
    """How one call is shown."""

    __slots__ = ("name", "ret", "slots")

    def __init__(self, name: str, slots: list[Slot], ret: Callable[[Call], str]) -> None:
        self.name = name
        self.slots = slots
        self.ret = ret


def ret_number(call: Call) -> str:
    """A plain result."""
    return str(i64(call.result))


def make_layout(name: str, handler: Callable[..., Any] | None) -> Layout:
    """The layout of a call; `handler` is None for calls that aren't there."""
    if handler is None:
        default: list[Formatter] = [args.x] * _REGISTERS
    else:
        default = [show for param in parameters(handler) for show in _default(param)]
    words = tables.WORDS.get(name)
    if words is None:
        return Layout(name, [Slot(show, i) for i, show in enumerate(default)], ret_number)
    ret = ret_number
    if words[-1].startswith("="):
        ret = getattr(special, words[-1][1:])
        words = words[:-1]
    return Layout(name, [_slot(word, i, default) for i, word in enumerate(words)], ret)


def _default(param: Parameter) -> tuple[Formatter, ...]:
    kind, show = param.arg.kind, param.arg.show
    if kind in ("in", "in_null"):
        return (StructIn(param.type),)
    if kind == "out":
        return (StructOut(param.type),)
    found = _KINDS.get((kind, show)) or _KINDS.get((kind, ""))
    return found if found is not None else (args.x,) * param.arg.regs


def _slot(word: str, at: int, default: list[Formatter]) -> Slot:
    """The slot of one word of a table's line."""
    glued = word[0] == "+"
    name, _, register = word.lstrip("+").partition("@")
    index = int(register) if register else at
    if name == ".":
        return Slot(default[index] if index < len(default) else args.x, index)
    return Slot(find_formatter(name), index, glued)


def find_formatter(name: str) -> Formatter:
    """What a word of ``tables`` stands for. LookupError or AttributeError if nothing."""
    if name[0] in "<>":
        module, _, struct = name[1:].partition(".")
        kind = vars(__import__(f"pygos.include.uapi.{module}", fromlist=["*"]))[struct]
        return StructIn(kind) if name[0] == "<" else StructOut(kind)
    if name[0].isupper():
        table = name.rstrip("|")
        found = getattr(tables, table, None) or getattr(symbols, table)
        return Flags(found) if name[-1] == "|" else Value(found)
    shown: Formatter = getattr(args, name, None) or getattr(special, name)
    return shown
