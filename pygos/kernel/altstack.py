# SPDX-License-Identifier: Apache-2.0
"""Alternate signal stacks: the rules of sigaltstack(2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.include.errno import EINVAL, ENOMEM, EPERM
from pygos.include.linux.sched import SigAltStack
from pygos.include.uapi.signal import (
    MINSIGSTKSZ,
    SS_AUTODISARM,
    SS_DISABLE,
    SS_FLAG_BITS,
    SS_ONSTACK,
)

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task


def on_sig_stack(stack: SigAltStack, sp: int) -> bool:
    """Is `sp` on this stack? Never true of one that disarms itself."""
    if stack.flags & SS_AUTODISARM:
        return False
    return stack.sp < sp <= stack.sp + stack.size


def sas_ss_flags(stack: SigAltStack, sp: int) -> int:
    """SS_DISABLE, SS_ONSTACK or 0, as sigaltstack(2) tells."""
    if not stack.size:
        return SS_DISABLE
    return SS_ONSTACK if on_sig_stack(stack, sp) else 0


def set_altstack(task: Task, user_sp: int, sp: int, flags: int, size: int) -> None:
    """Install a stack (`flags` unsigned). EPERM while on it; EINVAL; ENOMEM if too small."""
    if on_sig_stack(task.altstack, user_sp):
        raise EPERM
    mode = flags & ~SS_FLAG_BITS
    if mode not in (0, SS_DISABLE, SS_ONSTACK):
        raise EINVAL
    if mode == SS_DISABLE:
        sp = size = 0
    elif size < MINSIGSTKSZ:
        raise ENOMEM
    task.altstack = SigAltStack(sp, size, flags)
