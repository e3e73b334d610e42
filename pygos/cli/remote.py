# SPDX-License-Identifier: Apache-2.0
"""A run for a client of the daemon: its terminal, its streams, its signals.

See client.py for what the two say to each other. If the client dies, so does the machine: at
once, as if the ``pygos run`` that it stands for had been killed.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Final

from pygos.cli.client import EXITED, STOPPED, SUSPEND
from pygos.cli.proxy import SignalProxy
from pygos.host.client import Client, ClientTerminal, client_streams

if TYPE_CHECKING:
    from socket import socket
    from typing import Any, Self

    from pygos.host.stdio import HostTerminal
    from pygos.include.linux.machine import Machine as Kernel

_POLLIN: Final = 1
_SIGTSTP, _SIGCONT, _SIGWINCH = (int(n) for n in (signal.SIGTSTP, signal.SIGCONT, signal.SIGWINCH))


class RemoteSession:
    """What run.py asks of the place it runs at: run.LocalSession for a cold start."""

    __slots__ = ("_conn", "_terminal", "client", "proxy_of")

    def __init__(self, conn: socket, client: Client) -> None:
        self._conn = conn
        self.client = client
        self.proxy_of: RemoteProxy | None = None
        self._terminal: ClientTerminal | None = None

    def find_terminal(self) -> HostTerminal | None:
        """The client's terminal, if both sides of the conversation are at it."""
        if os.isatty(0) and os.isatty(1):
            self._terminal = ClientTerminal.of(self.client)
        return self._terminal

    def streams(self) -> tuple[Any, Any, Any]:
        """The client's standard streams."""
        return client_streams(self)

    def proxy(self, kernel: Kernel, terminal: HostTerminal | None) -> RemoteProxy:
        """To be entered while the program runs."""
        self.proxy_of = RemoteProxy(kernel, self._conn, self._terminal, self.client)
        return self.proxy_of

    def rest(self, number: int) -> bool:
        """See pygos.host.client.Job."""
        if self.proxy_of is None or not self.client.stop_job(number):
            return False
        self.proxy_of.rest()
        return True

    def finish(self, status: int) -> None:
        """Tell the client the exit status."""
        try:
            self._conn.sendall(bytes((EXITED, status & 0xFF)))
        except OSError:
            pass  # it died meanwhile


class RemoteProxy(SignalProxy):
    """Signals that the client gets reach the program."""

    __slots__ = ("_client", "_conn", "_seat")

    def __init__(
        self, kernel: Kernel, conn: socket, seat: ClientTerminal | None, client: Client
    ) -> None:
        self._kernel = kernel
        self._conn = conn
        self._seat = seat
        self._client = client

    def __enter__(self) -> Self:
        if _SIGTSTP not in self._client.unstopped:
            self._kernel.host["job_control"] = self
        self._kernel.platform.watch(self._conn.fileno(), _POLLIN, self)
        return self

    def __exit__(self, *_: object) -> None:
        self._kernel.host.pop("job_control", None)
        self._kernel.platform.unwatch(self._conn.fileno(), self)

    def suspend(self) -> None:
        """Let the client stop its job, as a terminal does for ^Z."""
        self._conn.sendall(bytes((SUSPEND,)))

    def host_ready(self, events: int) -> None:
        """HostWaiter protocol: the client has got signals, or is dead."""
        for number in self._receive():
            self._take(number)
        self._kernel.platform.watch(self._conn.fileno(), _POLLIN, self)

    def _receive(self) -> bytes:
        try:
            numbers = self._conn.recv(256)
        except OSError:
            numbers = b""
        if not numbers:
            if self._seat is not None:
                self._seat.exit()
            os._exit(1)  # the stubs die with us
        return numbers

    def _take(self, number: int) -> None:
        if number == _SIGTSTP:
            self._stop()
        elif number == _SIGWINCH and self._seat is not None:
            self._seat.window_changed()
        elif number == _SIGCONT and self._seat is not None:
            self._seat.resume()
        else:
            self._deliver(number)

    def _stop(self) -> None:
        """Come to rest with the terminal as it was, let the client stop, wait for its SIGCONT."""
        if self._seat is not None:
            self._seat.pause()
        self._conn.sendall(bytes((STOPPED,)))
        self.rest()
        if self._seat is not None:
            self._seat.resume()

    def rest(self) -> None:
        """Stand still until the client goes on after a stop."""
        self._kernel.platform.halt()
        while _SIGCONT not in (numbers := self._receive()):
            self._pass(numbers)
        self._pass(numbers)

    def _pass(self, numbers: bytes) -> None:
        for number in numbers:
            if number not in (_SIGTSTP, _SIGCONT, _SIGWINCH):
                self._deliver(number)
