# SPDX-License-Identifier: Apache-2.0
"""The daemon's loop: a fork server for ``pygos run``.

It has imported and rehearsed everything that a run needs, has no threads and no machine, and
forks a process for each client (serve.py). One more, the spare, waits with a booted machine; it
is handed the next client. A first byte says what a client wants: RUN is passed on
unread, ``?`` is answered with a line about us, ``Q`` ends the daemon. Runs that go on then
are not disturbed: they belong to their clients.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING, Final

from pygos.cli.client import RUN
from pygos.cli.main import exit_status
from pygos.cli.peer import credentials
from pygos.cli.serve import Spare, serve
from pygos.host.forkserver import FileWatch, own_memory

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

STATUS: Final = b"?"
STOP: Final = b"Q"
#: A spare boots when its predecessor's run has ended, or has gone on for so long, s.
_SPARE_DELAY: Final = 0.1
#: A spare is replaced after so long, s: what it has seen of the host gets old.
_SPARE_AGE: Final = 600.0
_BACKLOG: Final = 64


class Server:
    """The daemon, from bind to exit."""

    def __init__(self, listener: socket.socket, path: str, idle: float | None) -> None:
        """`idle`: seconds without a run after which it ends; None: never."""
        self._listener = listener
        self._path = path
        self._idle = idle
        self._inode = os.stat(path).st_ino
        self._poll = select.poll()
        self._clients: dict[int, socket.socket] = {}
        self._children: set[int] = set()
        self._spare: tuple[int, socket.socket] | None = None
        self._spare_due: float | None = time.monotonic()
        self._spare_made = 0.0
        self._last = self._started = time.monotonic()
        self._served = 0
        self._wake, self._waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._watch = FileWatch(sources())
        self._ended = False

    def run(self) -> None:
        """Serve until told to stop, or idle, or the sources have changed."""
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        self._poll.register(self._listener, select.POLLIN)
        self._poll.register(self._wake, select.POLLIN)
        gc.collect()
        gc.freeze()
        while not self._ended:
            for fd, _ in self._poll.poll(self._patience()):
                self._ready(fd)
            self._tend()
        self._close()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if number != signal.SIGCHLD:
            self._ended = True

    def _patience(self) -> float | None:
        """ms until there is something to do unasked."""
        now = time.monotonic()
        due = [self._spare_due, self._spare_made + _SPARE_AGE if self._spare else None]
        if self._idle is not None and not self._children:
            due.append(self._last + self._idle)
        times = [max(when - now, 0.0) for when in due if when is not None]
        return min(times) * 1000 + 1 if times else None

    def _tend(self) -> None:
        """Whatever is due."""
        now = time.monotonic()
        if self._idle is not None and not self._children and now >= self._last + self._idle:
            self._ended = True
        if self._spare is not None and now >= self._spare_made + _SPARE_AGE:
            self._drop_spare()
            self._spare_due = now
        if self._spare_due is not None and now >= self._spare_due and not self._ended:
            self._make_spare()

    def _ready(self, fd: int) -> None:
        if fd == self._wake:
            os.read(self._wake, 4096)
            self._reap()
        elif fd == self._listener.fileno():
            self._accept()
        elif fd in self._clients:
            self._hear(fd)

    def _accept(self) -> None:
        try:
            conn, _ = self._listener.accept()
        except OSError:
            return
        if credentials(conn)[1] != os.geteuid():
            conn.close()
            return
        self._clients[conn.fileno()] = conn
        self._poll.register(conn, select.POLLIN)

    def _hear(self, fd: int) -> None:
        """A client has said what it wants, or has gone."""
        conn = self._clients.pop(fd)
        self._poll.unregister(fd)
        try:
            verb = conn.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            if verb == RUN:
                self._pass_on(conn)
            elif verb == STATUS:
                conn.sendall(self._describe().encode())
            elif verb == STOP:
                self._ended = True
                conn.sendall(b"stopping\n")
        except OSError:
            pass
        conn.close()

    def _describe(self) -> str:
        up = time.monotonic() - self._started
        return (
            f"pid {os.getpid()}, up {up:.0f} s, {self._served} runs served, "
            f"{len(self._children)} going on\n"
        )

    def _pass_on(self, conn: socket.socket) -> None:
        """Let the spare serve this client, or a new process."""
        self._served += 1
        self._last = time.monotonic()
        stale = "pygos has changed since the daemon began" if self._watch.changed() else ""
        self._ended = self._ended or bool(stale)
        spare, self._spare = self._spare, None
        self._spare_due = self._last + _SPARE_DELAY
        if spare is not None:
            pid, line = spare
            self._children.add(pid)
            try:
                socket.send_fds(line, [b"%1d" % bool(stale) + stale.encode()], [conn.fileno()])
                return
            except OSError:
                pass  # it has died
            finally:
                line.close()
        self._fork(conn, stale)

    def _fork(self, conn: socket.socket, stale: str) -> None:
        pid = os.fork()
        if pid == 0:
            self._in_child(lambda: serve(conn, Spare(), stale))
        self._children.add(pid)

    def _make_spare(self) -> None:
        self._spare_due = None
        if self._watch.look():
            self._ended = True
            return
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pid = os.fork()
        if pid == 0:
            ours.close()
            self._in_child(lambda: be_spare(theirs))
        theirs.close()
        self._spare = (pid, ours)
        self._spare_made = time.monotonic()

    def _drop_spare(self) -> None:
        if self._spare is not None:
            self._spare[1].close()
            self._spare = None

    def _reap(self) -> None:
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self._children:
                self._children.discard(pid)
                self._last = time.monotonic()
                self._spare_due = self._spare_due and self._last
            elif self._spare is not None and pid == self._spare[0]:
                self._drop_spare()  # it couldn't boot; the next client is told why

    def _in_child(self, work: Callable[[], int]) -> None:
        """Forget that we were the daemon, work, and end. Never returns."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.setpgid(0, 0)
            self._listener.close()
            for other in self._clients.values():
                other.close()
            if self._spare is not None:
                self._spare[1].close()
            self._watch.close()
            os.close(self._wake)
            os.close(self._waker)
            status = work()
        except BaseException as error:  # the last place where anything can be said
            status = exit_status(error)
        finally:
            os._exit(status)

    def _close(self) -> None:
        """Unless another daemon has taken our place, take the socket away."""
        self._listener.close()
        try:
            if os.stat(self._path).st_ino == self._inode:
                os.unlink(self._path)
        except OSError:
            pass


def be_spare(line: socket.socket) -> int:
    """Boot, wait for a client, serve it."""
    spare = Spare()
    spare.boot()
    own_memory()
    word, fds, _, _ = socket.recv_fds(line, 1024, 1)
    line.close()
    if not fds:
        return 0  # not needed any more
    conn = socket.socket(fileno=fds[0])
    return serve(conn, spare, word[1:].decode())


def sources() -> list[str]:
    """The files of all modules of ours that are loaded."""
    modules = [module for name, module in sys.modules.items() if name.startswith("pygos")]
    files = [getattr(module, "__file__", None) for module in modules]
    return [path for path in files if path]
