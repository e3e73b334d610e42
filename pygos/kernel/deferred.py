# SPDX-License-Identifier: Apache-2.0
"""Arguments that can't be fetched: errors that wait until the argument is used.

Linux looks at some arguments of a call before it copies others from user memory: an unknown
flag of unlinkat(2) is EINVAL even if the path is at a bad address. Handlers are written in
Linux's order, but get their arguments fetched. When that fails (kernel/decode.py), the handler
is called with a ``Deferred`` in the place of the argument: the first use of it raises the error,
and all checks that come before it come first. This costs nothing as long as nothing fails.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from pygos.include.linux.wait import WouldSleep

if TYPE_CHECKING:
    from collections.abc import Callable

    from pygos.include.errno import Errno
    from pygos.include.linux.sched import Task


class Deferred:
    """Whatever is done with it raises the error."""

    __slots__ = ("_error",)

    def __init__(self, error: Errno) -> None:
        object.__setattr__(self, "_error", type(error))

    def _raise(self, *_args: Any) -> NoReturn:
        raise object.__getattribute__(self, "_error")

    __getattr__ = __setattr__ = __getitem__ = __contains__ = __iter__ = _raise
    __len__ = __bool__ = __hash__ = __bytes__ = __index__ = __int__ = _raise
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _raise
    __add__ = __radd__ = __and__ = __rand__ = __or__ = __ror__ = __mod__ = __rmod__ = _raise


def call(
    task: Task,
    handler: Callable[..., int | None],
    args: tuple[Any, ...],
    error: Errno,
    must: bool,
) -> int | None:
    """Call a handler with an argument that could not be fetched because of `error`.

    Where the handler would sleep, or uses the argument in a way that can't be seen (a method of
    bytes in C), that error is the answer; and, if the argument `must` be good, where the
    handler succeeds without it.
    """
    try:
        ret = handler(*args)
        if not must:
            return ret
    except WouldSleep:
        # Off the queues again. It is not asleep yet.
        for queue in task.waiting:
            queue.remove(task)
        task.waiting = ()
        task.wait_deadline = None
        task.wait_killable = False
    except (TypeError, ValueError):
        pass
    raise type(error)
