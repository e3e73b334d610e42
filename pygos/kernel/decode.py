# SPDX-License-Identifier: Apache-2.0
"""System call decoders, generated from handlers' signatures.

For each handler one plain Python function is compiled that takes the registers apart and
calls it: ``decoder(task, regs) -> int | None``. Measured: 0.36 us a call, against 2.2 us for
a chain of converter closures. Decoders are compiled at the first use of their call, so that
booting costs nothing for the hundreds that a program never makes. The generated source is
kept in ``decoder.__source__`` for tests and tracebacks, the handler in ``decoder.handler``.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable
from types import FunctionType
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

from pygos.include import errno
from pygos.include.linux.fs import FMODE_PATH
from pygos.include.linux.syscalls import Arg, Out, OutInt
from pygos.mm.uaccess import UserBuffer, import_iovec

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task

Decoder = Callable[["Task", memoryview], "int | None"]

#: Expressions for one register; {r} is ``regs[index]``.
_SCALARS = {
    "i32": "(({r} & 0xFFFFFFFF) ^ 0x80000000) - 0x80000000",
    "u32": "{r} & 0xFFFFFFFF",
    "i64": "({r} ^ 0x8000000000000000) - 0x8000000000000000",
    "u64": "{r}",
}
#: What is decoded without looking at anything but registers.
_INFALLIBLE = frozenset((*_SCALARS, "out", "outint"))
#: What must be good memory even if nothing is moved.
_BUFFERS = frozenset(("buf_in", "buf_out", "iov_in", "iov_out"))
_PATH_MAX = 4096


class Parameter:
    """One parameter of a handler: its name, how it is decoded, and its struct type."""

    __slots__ = ("arg", "name", "type")

    def __init__(self, name: str, arg: Arg, struct: Any) -> None:
        self.name = name
        self.arg = arg
        self.type = struct


def parameters(handler: Callable[..., Any]) -> list[Parameter]:
    """The parameters after ``task``, from the annotations. TypeError for an unknown one."""
    assert isinstance(handler, FunctionType)
    code = handler.__code__
    names = code.co_varnames[1 : code.co_argcount]
    scope = handler.__globals__
    return [_parameter(handler, name, scope) for name in names]


def _parameter(handler: FunctionType, name: str, scope: dict[str, Any]) -> Parameter:
    annotation = handler.__annotations__.get(name)
    if isinstance(annotation, str):
        annotation = builtins.eval(annotation, scope)
    if annotation is OutInt:
        return Parameter(name, Arg("outint", "ptr"), None)
    origin = get_origin(annotation)
    if origin is Out:
        return Parameter(name, Arg("out", "struct"), get_args(annotation)[0])
    if origin is Annotated:
        base, *meta = get_args(annotation)
        for mark in meta:
            if isinstance(mark, Arg):
                return Parameter(name, mark, _struct_of(mark, base))
    raise TypeError(f"{handler.__module__}.{handler.__name__}: can't decode {name}: {annotation}")


def _struct_of(mark: Arg, base: Any) -> Any:
    """The struct behind In[T] and InOrNull[T]."""
    if mark.kind == "in_null":
        return next(arg for arg in get_args(base) if arg is not type(None))
    return base


def decoder_source(name: str, params: list[Parameter], arg_regs: tuple[int, ...]) -> str:
    """The text of the decoder; `arg_regs` are the register indices of the arguments."""
    scalars: list[str] = []
    fetched: list[str] = []
    for param, regs in _with_registers(params, arg_regs):
        (scalars if param.arg.kind in _INFALLIBLE else fetched).extend(_decode_lines(param, regs))
    lines = [f"def {name}(task, regs):", *scalars]
    if fetched:
        lines.append("    try:")
        lines += ["    " + line for line in fetched]
        lines += ["    except Errno:", "        return _later(task, regs)"]
    lines.append(f"    return _handler({', '.join(['task', *(p.name for p in params)])})")
    return "\n".join(lines) + "\n"


def deferring_source(name: str, params: list[Parameter], arg_regs: tuple[int, ...]) -> str:
    """The text of the decoder for arguments that can't all be fetched."""
    lines = [f"def {name}(task, regs):", "    _first = None", "    _must = False"]
    for param, regs in _with_registers(params, arg_regs):
        if param.arg.kind in _INFALLIBLE:
            lines += _decode_lines(param, regs)
            continue
        lines.append("    try:")
        lines += ["    " + line for line in _decode_lines(param, regs)]
        lines += [
            "    except Errno as _error:",
            f"        {param.name} = _defer(_error)",
            "        _first = _first or _error",
        ]
        if param.arg.kind in _BUFFERS:
            lines.append("        _must = True")
    names = ", ".join(["task", *(p.name for p in params)])
    lines.append(f"    return _call(task, _handler, ({names}), _first, _must)")
    return "\n".join(lines) + "\n"


def _with_registers(
    params: list[Parameter], arg_regs: tuple[int, ...]
) -> list[tuple[Parameter, list[str]]]:
    """Each parameter with the expressions of its registers."""
    found = []
    at = 0
    for param in params:
        regs = [f"regs[{index}]" for index in arg_regs[at : at + param.arg.regs]]
        at += param.arg.regs
        found.append((param, regs))
    return found


def _decode_lines(param: Parameter, regs: list[str]) -> list[str]:
    kind, name, reg = param.arg.kind, param.name, regs[0]
    if kind in _SCALARS:
        return [f"    {name} = {_SCALARS[kind].format(r=reg)}"]
    if kind == "file":
        return [
            f"    {name} = task.files.fd.get({reg} & 0xFFFFFFFF)",
            f"    if {name} is None or {name}.f_mode & {FMODE_PATH}: raise EBADF",
        ]
    if kind == "rawfile":
        return [
            f"    {name} = task.files.fd.get({reg} & 0xFFFFFFFF)",
            f"    if {name} is None: raise EBADF",
        ]
    if kind in ("buf_in", "buf_out"):
        return [f"    {name} = UserBuffer(task.mm, {reg}, {regs[1]}, {kind == 'buf_out'})"]
    if kind in ("iov_in", "iov_out"):
        return [f"    {name} = import_iovec(task.mm, {reg}, {regs[1]}, {kind == 'iov_out'})"]
    if kind == "path":
        return [f"    {name} = task.mm.read_cstr({reg}, {_PATH_MAX})"]
    if kind == "path_null":
        return [f"    {name} = task.mm.read_cstr({reg}, {_PATH_MAX}) if {reg} else None"]
    return _decode_struct(param, name, reg)


def _decode_struct(param: Parameter, name: str, reg: str) -> list[str]:
    kind = param.arg.kind
    load = f"{name}_T.from_bytes(task.mm.read({reg}, {name}_T.SIZE))"
    if kind == "in":
        return [f"    {name} = {load}"]
    if kind == "in_null":
        return [f"    {name} = {load} if {reg} else None"]
    if kind == "out":
        return [f"    {name} = Out(task.mm, {reg})"]
    if kind == "outint":
        return [f"    {name} = OutInt(task.mm, {reg})"]
    raise TypeError(f"unknown argument kind {kind}")


def _scope(handler: Callable[..., Any], params: list[Parameter]) -> dict[str, Any]:
    """The names that generated decoders use."""
    scope: dict[str, Any] = {
        "_handler": handler,
        "EBADF": errno.EBADF,
        "Errno": errno.Errno,
        "UserBuffer": UserBuffer,
        "import_iovec": import_iovec,
        "Out": Out,
        "OutInt": OutInt,
    }
    scope.update({f"{p.name}_T": p.type for p in params if p.type is not None})
    return scope


def make_decoder(handler: Callable[..., Any], arg_regs: tuple[int, ...]) -> Decoder:
    """Compile the decoder of one handler."""
    params = parameters(handler)
    name = handler.__name__
    source = decoder_source(name, params, arg_regs)
    scope = _scope(handler, params)
    scope["_later"] = LaterDecoder(handler, params, arg_regs)
    exec(compile(source, f"<syscall {name}>", "exec"), scope)
    decoder: Decoder = scope[name]
    decoder.__source__ = source  # type: ignore[attr-defined]
    decoder.handler = handler  # type: ignore[attr-defined]
    return decoder


def decoder_of(handler: Callable[..., Any], arg_regs: tuple[int, ...]) -> Decoder:
    """The decoder of one handler, compiled once for all machines of this process."""
    made: tuple[tuple[int, ...], Decoder] | None = getattr(handler, "__decoder__", None)
    if made is None or made[0] != arg_regs:
        made = arg_regs, make_decoder(handler, arg_regs)
        handler.__decoder__ = made  # type: ignore[attr-defined]
    return made[1]


class LaterDecoder:
    """Compiles the deferring decoder of a handler when it is first needed.

    Linux checks flags and numbers before it fetches some arguments, and after others. So
    what can't be fetched is an error only when the handler comes to use it.
    """

    __slots__ = ("arg_regs", "decoder", "handler", "params")

    def __init__(
        self,
        handler: Callable[..., Any],
        params: list[Parameter],
        arg_regs: tuple[int, ...],
    ) -> None:
        self.handler = handler
        self.params = params
        self.arg_regs = arg_regs
        self.decoder: Decoder | None = None

    def __call__(self, task: Task, regs: memoryview) -> int | None:
        if self.decoder is None:
            from pygos.kernel.deferred import Deferred, call

            name = self.handler.__name__
            scope = _scope(self.handler, self.params)
            scope.update(_defer=Deferred, _call=call)
            source = deferring_source(name, self.params, self.arg_regs)
            exec(compile(source, f"<syscall {name}, deferring>", "exec"), scope)
            self.decoder = scope[name]
            assert self.decoder is not None
        return self.decoder(task, regs)


class LazyDecoder:
    """Stands in the table until its call is first made, then replaces itself."""

    __slots__ = ("arg_regs", "handler", "nr", "table")

    def __init__(
        self, table: list[Any], nr: int, handler: Callable[..., Any], arg_regs: tuple[int, ...]
    ) -> None:
        self.table = table
        self.nr = nr
        self.handler = handler
        self.arg_regs = arg_regs

    def __call__(self, task: Task, regs: memoryview) -> int | None:
        decoder = decoder_of(self.handler, self.arg_regs)
        if self.table[self.nr] is self:
            self.table[self.nr] = decoder
        return decoder(task, regs)


class NoSyscall:
    """A call without a handler: ENOSYS, counted, and named once in dmesg."""

    __slots__ = ("name", "nr")

    def __init__(self, nr: int, name: str) -> None:
        self.nr = nr
        self.name = name

    def __call__(self, task: Task, regs: memoryview) -> int:
        machine = task.machine
        count = machine.unknown_syscalls.get(self.nr, 0)
        machine.unknown_syscalls[self.nr] = count + 1
        if count == 0:
            comm = task.comm.decode("utf-8", "replace")
            machine.printk.info(f"syscall {self.name} ({self.nr}) is not there: used by {comm}")
        raise errno.ENOSYS


class BeyondTable(NoSyscall):
    """Stands behind the table's end. Of a number only the low 32 bits count."""

    __slots__ = ("table",)

    def __init__(self, table: list[Any]) -> None:
        super().__init__(len(table) - 1, "beyond the table")
        self.table = table

    def __call__(self, task: Task, regs: memoryview) -> int:
        nr = task.syscall_nr & 0xFFFFFFFF
        if nr >= self.nr:
            return super().__call__(task, regs)
        result: int = self.table[nr](task, regs)
        return result
