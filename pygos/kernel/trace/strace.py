# SPDX-License-Identifier: Apache-2.0
"""Writes what the tasks of a machine do, as ``strace -f`` does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from pygos.arch.x86.entry.syscall_64 import SYSCALLS
from pygos.arch.x86.regs import SYSCALL_ARGS
from pygos.include.errno import errno_class
from pygos.include.uapi import symbols
from pygos.kernel.siginfo import siginfo_bytes
from pygos.kernel.trace.call import Call, address
from pygos.kernel.trace.layout import AFTER, BEFORE, PERHAPS, Layout, Slot, make_layout
from pygos.kernel.trace.structs import siginfo_text
from pygos.kernel.trace.text import ARRAY_MAX, array, ptr, quote

if TYPE_CHECKING:
    from pygos.include.linux.sched import SigInfo, Task

#: The column of the "=" before a result.
_COLUMN: Final = 40
_M64: Final = (1 << 64) - 1
_KILL_BIT: Final = 1 << 8
_ERRNO_MAX: Final = 4095
#: What ends a call without the program seeing it (include/linux/errno.h).
_RESTARTS: Final = {
    512: "ERESTARTSYS (To be restarted if SA_RESTART is set)",
    513: "ERESTARTNOINTR (To be restarted)",
    514: "ERESTARTNOHAND (To be restarted if no handler)",
    516: "ERESTART_RESTARTBLOCK (Interrupted by signal)",
}


class Sink(Protocol):
    """Where the text goes."""

    def write(self, text: str, /) -> object: ...


class _Pending:
    """A task's call that has begun: what is still to be shown of it."""

    __slots__ = ("call", "comma", "complete", "layout", "rest")

    def __init__(self, call: Call, layout: Layout) -> None:
        self.call = call
        self.layout = layout
        #: Arguments not shown yet: their text, or the slot to be asked when the call returns.
        self.rest: list[str | Slot] = []
        #: All arguments have been shown.
        self.complete = False
        #: The comma before the next argument has been written.
        self.comma = False


class _Traced:
    """What is known of one task."""

    __slots__ = ("deferred", "pending")

    def __init__(self) -> None:
        self.pending: _Pending | None = None
        #: Signals to be shown when the call that goes on returns.
        self.deferred: list[SigInfo] = []


class Strace:
    """A task's ``trace``, shared by all its descendants.

    Lines begin when a call begins, so that one sees what a sleeping program waits for. Text goes
    to ``sink.write``, ``sink.flush`` is called within lines if there is one; a sink that fails
    ends the tracing, never the program.
    """

    __slots__ = ("_column", "_flushes", "_layouts", "_names", "_open", "_sink", "_tasks")

    def __init__(self, sink: Sink) -> None:
        self._sink: Any = sink
        self._flushes = hasattr(sink, "flush")
        self._layouts: dict[int, Layout] = {}
        self._names: dict[int, str] = dict(SYSCALLS)
        self._tasks: dict[Task, _Traced] = {}
        #: The task whose line is not finished, and how long the line is.
        self._open: Task | None = None
        self._column = 0

    # -- what the kernel calls

    def started(self, task: Task, path: bytes, argv: list[bytes], envp: list[bytes]) -> None:
        """The first program of a machine: as if execve(2) had been traced."""
        self._attach(task)
        shown = array([quote(arg) for arg in argv[:ARRAY_MAX]], len(argv))
        where = ptr(task.mm.env_start) if task.mm is not None else "NULL"
        env = f"{where} /* {len(envp)} var{'' if len(envp) == 1 else 's'} */"
        self._begin(task)
        self._write(f"execve({quote(path, 4096)}, {shown}, {env}")
        self._finish(") ", "0")

    def enter(self, task: Task) -> None:
        """The call in ``task.syscall_nr`` begins."""
        if self._sink is None:
            return
        traced = self._tasks.get(task) or self._attach(task)
        regs = task.regs
        nr = task.syscall_nr
        call = Call(task, nr, tuple([regs[r] for r in SYSCALL_ARGS]))
        layout = self._layouts.get(nr) or self._find_layout(task, nr)
        traced.pending = pending = _Pending(call, layout)
        self._begin(task)
        self._write(f"{layout.name}({_first_arguments(pending)}")

    def leave(self, task: Task, result: int) -> None:
        """The call ends with `result`, u64: a value, or an error as its negative number."""
        traced = self._tasks.get(task)
        if traced is None or traced.pending is None or self._sink is None:
            return
        if task.pending.mask & _KILL_BIT and not traced.deferred:
            return  # it dies without seeing the result
        pending = traced.pending
        traced.pending = None
        call = pending.call
        call.result = result
        call.failed = 0 < (1 << 64) - result <= _ERRNO_MAX
        self._resume(task, pending)
        self._finish(_last_arguments(pending) + ") ", _result(pending))
        self._show_deferred(task, traced)

    def _show_deferred(self, task: Task, traced: _Traced) -> None:
        deferred, traced.deferred = traced.deferred, []
        for info in deferred:
            self.signal(task, info)

    def signal(self, task: Task, info: SigInfo) -> None:
        """A signal is delivered."""
        if self._sink is None:
            return
        if task not in self._tasks:
            self._attach(task)
        try:
            text = siginfo_text(siginfo_bytes(info))
        except Exception:
            text = f"{{si_signo={info.signo}}}"
        self._line(task, f"--- {symbols.signal(info.signo)} {text} ---")

    def sent(self, task: Task, info: SigInfo) -> None:
        """A signal has done its work as it was sent: it is ignored, or it ends the group.

        Shown when no call of the task goes on.
        """
        traced = self._tasks.get(task)
        if traced is None:
            return
        if traced.pending is None:
            self.signal(task, info)
        elif len(traced.deferred) < ARRAY_MAX:
            traced.deferred.append(info)

    def stopped(self, task: Task, signo: int) -> None:
        """The task stops (job control)."""
        if task in self._tasks:
            self._line(task, f"--- stopped by {symbols.signal(signo)} ---")

    def exited(self, task: Task, status: int) -> None:
        """The task ends with a wait status."""
        traced = self._tasks.get(task)
        if traced is None:
            return
        pending = traced.pending
        if pending is not None:
            self._resume(task, pending)
            self._finish(") " if pending.complete else " <unfinished ...>) ", "?")
        self._show_deferred(task, traced)
        if status & 0x7F:
            core = " (core dumped)" if status & 0x80 else ""
            text = f"killed by {symbols.signal(status & 0x7F)}{core}"
        else:
            text = f"exited with {status >> 8 & 0xFF}"
        self._line(task, f"+++ {text} +++")
        del self._tasks[task]

    # -- lines

    def _attach(self, task: Task) -> _Traced:
        """A task is seen for the first time."""
        traced = _Traced()
        if self._tasks:
            self._break_line()
            self._write(f"strace: Process {task.pid} attached\n")
        self._tasks[task] = traced
        return traced

    def _begin(self, task: Task) -> None:
        """A new line about `task`."""
        self._break_line()
        if len(self._tasks) > 1:
            self._write(f"[pid {task.pid:5}] ")
        self._open = task

    def _break_line(self) -> None:
        """Another event comes before the open line's call has returned."""
        if self._open is not None:
            self._open = None
            self._write(" <unfinished ...>\n")

    def _resume(self, task: Task, pending: _Pending) -> None:
        """Go on with a call's line, perhaps after others."""
        if self._open is not task:
            self._begin(task)
            self._write(f"<... {pending.layout.name} resumed>")

    def _finish(self, end: str, result: str) -> None:
        """The end of a call's line: the result stands in a column of its own."""
        self._write(end + " " * (_COLUMN - self._column - len(end)) + f"= {result}\n")
        self._open = None

    def _line(self, task: Task, text: str) -> None:
        self._begin(task)
        self._write(text + "\n")
        self._open = None

    def _write(self, text: str) -> None:
        if self._sink is None:
            return
        self._column = 0 if text[-1] == "\n" else self._column + len(text)
        try:
            self._sink.write(text)
            if self._flushes and self._column:
                self._sink.flush()
        except Exception:
            self._sink = None

    # -- layouts

    def _find_layout(self, task: Task, nr: int) -> Layout:
        """Made at the first call with this number."""
        name = self._names.get(nr) or f"syscall_{nr:#x}"
        table = task.machine.syscalls
        decoder: Any = table[nr] if 0 <= nr < len(table) else None
        try:
            layout = make_layout(name, getattr(decoder, "handler", None))
        except Exception:
            layout = make_layout(name, None)
        if nr in self._names:
            self._layouts[nr] = layout
        return layout


def _ask(slot: Slot, call: Call) -> str | None:
    """One argument's text; a plain number if it can't be shown as what it is."""
    try:
        if call.failed and slot.when == AFTER:
            return address(call, slot.index)
        return slot.show(call, slot.index)
    except Exception:
        return hex(call.args[slot.index])


def _first_arguments(pending: _Pending) -> str:
    """The arguments up to the first that only the call's end can tell.

    All that go in are read now, once, as the call will read them.
    """
    call = pending.call
    shown: list[str] = []
    for slot in pending.layout.slots:
        if slot.when != BEFORE:
            pending.rest.append(slot)
            continue
        text = _ask(slot, call)
        if text is None:
            continue
        if pending.rest:
            pending.rest.append(text)
        else:
            shown.append(text)
    pending.complete = not pending.rest
    if pending.complete or not shown:
        pending.comma = True
        return ", ".join(shown)
    head = pending.rest[0]
    pending.comma = isinstance(head, Slot) and head.when != PERHAPS
    return ", ".join(shown) + (", " if pending.comma else "")


def _last_arguments(pending: _Pending) -> str:
    """The arguments that were left."""
    call = pending.call
    parts: list[str] = []
    for item in pending.rest:
        glued = isinstance(item, Slot) and item.glued
        text = item if isinstance(item, str) else _ask(item, call)
        if text is None:
            continue
        parts.append(text if pending.comma or glued else ", " + text)
        pending.comma = False
    return "".join(parts)


def _result(pending: _Pending) -> str:
    call = pending.call
    if not call.failed:
        try:
            return pending.layout.ret(call)
        except Exception:
            return hex(call.result)
    number = call.errno
    restart = _RESTARTS.get(number)
    if restart is not None:
        return f"? {restart}"
    error = errno_class(number)
    return f"-1 {error.__name__} ({error.text})"
