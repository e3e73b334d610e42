# SPDX-License-Identifier: Apache-2.0
"""prctl(2): attributes of a thread or process. The options are in prctl_options.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.include.errno import EINVAL
from pygos.include.linux.syscalls import Int, ULong, syscall

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task


@syscall(partial="no KSM or core scheduling: their options give EINVAL")
def prctl(task: Task, option: Int, arg2: ULong, arg3: ULong, arg4: ULong, arg5: ULong) -> int:
    """Attributes of the calling thread or process. prctl(2).

    Errors: EINVAL for options and values that aren't there; others as each option says.
    """
    from pygos.kernel.prctl_options import OPTIONS

    handler = OPTIONS.get(option & 0xFFFF_FFFF)
    if handler is None:
        raise EINVAL
    return handler(task, arg2, arg3, arg4, arg5)
