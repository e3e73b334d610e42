# SPDX-License-Identifier: Apache-2.0
"""User-mode helpers: programs that the kernel itself starts, as root (kernel/umh.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.fs.exec import run_program
from pygos.include.uapi.resource import RLIMIT_CORE
from pygos.kernel.exit import do_exit
from pygos.kernel.fork import CloneArgs, copy_process

if TYPE_CHECKING:
    from pygos.include.linux.fs import File
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task

#: A helper that crashes leaves no core, and starts no helper for it.
_NO_CORE: Final = (1, 1)


def call_usermodehelper(
    machine: Machine, argv: list[bytes], envp: list[bytes], stdin: File | None
) -> Task:
    """Start a program as a child of init, with all of init's rights, in its namespaces.

    `stdin`: its descriptor 0, the only one it has; the reference is taken over. Errors as
    execve(2), and EAGAIN.
    """
    init = machine.pid1
    assert init is not None
    task = copy_process(init, CloneArgs(0))
    task.comm = b"kworker/u8:0"
    if stdin is not None:
        stdin.f_count += 1
        task.files.fd[0] = stdin
        task.files.next_fd = 1
    task.group.rlim[RLIMIT_CORE] = _NO_CORE
    try:
        run_program(task, argv[0], argv, envp)
    except BaseException:
        do_exit(task, 0)
        raise
    machine.sched.add(task)
    return task
