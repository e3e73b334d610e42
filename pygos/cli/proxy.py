# SPDX-License-Identifier: Apache-2.0
"""Signals sent to the ``pygos`` process reach the program instead, as docker's --sig-proxy.

A Python signal handler must not touch the kernel, which may be in the middle of anything. So
the handlers do nothing; the interpreter writes each signal's number into a pipe, and the
kernel is told that the pipe is ready as of any other host descriptor.

SIGTSTP is different: the whole machine stops at once, as a program would, and the user's shell has
the terminal. It also comes from within, when the program is the only one at the terminal and
somebody types ^Z.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from types import FrameType

    from pygos.host.stdio import HostTerminal
    from pygos.include.linux.machine import Machine as Kernel

#: Sent to the program's process group, as a terminal does, or to the program alone.
_TO_GROUP: Final = (signal.SIGINT, signal.SIGQUIT)
_TO_PROGRAM: Final = (signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
_POLLIN: Final = 1


class SignalProxy:
    """While it is entered, signals go to the program that runs in the machine."""

    __slots__ = ("_kernel", "_old", "_old_wakeup", "_reader", "_terminal", "_writer")

    def __init__(self, kernel: Kernel, terminal: HostTerminal | None = None) -> None:
        self._kernel = kernel
        self._terminal = terminal
        self._old: dict[int, Any] = {}
        self._old_wakeup = -1
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def __enter__(self) -> Self:
        self._old_wakeup = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in (*_TO_GROUP, *_TO_PROGRAM):
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._old[number] = signal.signal(number, _ignore)
        if signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL:
            self._old[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, self._on_stop)
            self._kernel.host["job_control"] = self
        self._kernel.platform.watch(self._reader, _POLLIN, self)
        return self

    def suspend(self) -> None:
        """Stop this process and whoever shares its job, as a terminal does for ^Z."""
        os.kill(0, signal.SIGTSTP)

    def _on_stop(self, number: int, frame: FrameType | None) -> None:
        """Stop with the programs at rest and the terminal as it was; go on after SIGCONT."""
        self._kernel.platform.halt()
        if self._terminal is not None:
            self._terminal.pause()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, self._on_stop)
        if self._terminal is not None:
            self._terminal.resume()

    def __exit__(self, *_: object) -> None:
        self._kernel.host.pop("job_control", None)
        self._kernel.platform.unwatch(self._reader, self)
        for number, handler in self._old.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._old_wakeup)
        os.close(self._reader)
        os.close(self._writer)

    def host_ready(self, events: int) -> None:
        """HostWaiter protocol: some signals have come."""
        for number in os.read(self._reader, 256):
            self._deliver(number)
        self._kernel.platform.watch(self._reader, _POLLIN, self)

    def _deliver(self, number: int) -> None:
        from pygos.include.linux.sched import SigInfo
        from pygos.kernel.signal import kill_pgrp, send_sig_info

        main = self._kernel.main_group
        if main is None:
            return
        if number in _TO_GROUP:
            kill_pgrp(self._kernel, main.tgid, SigInfo(number))
        elif number in _TO_PROGRAM:
            send_sig_info(main.leader, SigInfo(number), group=True)


def _ignore(number: int, frame: FrameType | None) -> None:
    """The interpreter has written the number into the pipe; that is all."""
