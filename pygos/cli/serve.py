# SPDX-License-Identifier: Apache-2.0
"""One run by the daemon, in a process of its own: become the client, run, tell the status.

The process is a fork of the daemon, made when a client has come or, as a *spare*, before that: a
spare has booted a machine with default options already. Where that doesn't fit what the client asks
for, another is booted, as in a cold start.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import TYPE_CHECKING, Any, Final, TextIO

from pygos import _config as config
from pygos.cli import peer
from pygos.cli.client import COLD, RUN, identity
from pygos.cli.main import EXIT_PYGOS, exit_status
from pygos.cli.options import Options, parse_plain
from pygos.cli.peer import Refusal
from pygos.cli.remote import RemoteSession
from pygos.cli.run import boot, boot_settings, run_command
from pygos.host.client import Client

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine as Kernel

#: What a request may have: arguments and environment, as execve(2) allows it.
_REQUEST_MAX: Final = 16 << 20
_HEADER: Final = 11
#: Of a client that connects and then says nothing, s.
_PATIENCE: Final = 10
#: Settings that may differ: they are looked at when the program starts.
_LATE: Final = ("strace", "tty_raw", "uid", "gid", "groups")


class Request:
    """What a client asks for."""

    __slots__ = ("env", "fds", "identity", "umask", "unstopped", "words")

    def __init__(self, text: bytes, fds: list[int]) -> None:
        """Refusal if it makes no sense."""
        parts = iter(text.split(b"\0"))
        try:
            lists = [[next(parts) for _ in range(int(next(parts)))] for _ in range(6)]
            self.identity, umask, ignored, blocked, self.words, self.env = lists
            self.umask = int(umask[0]) & 0o777
            self.unstopped = frozenset(map(int, ignored + blocked))
        except (ValueError, IndexError, StopIteration, RuntimeError):
            raise Refusal("the request makes no sense") from None
        if len(fds) != 4:
            raise Refusal("the request lacks descriptors")
        self.fds = fds


def receive(conn: socket.socket) -> Request:
    """Read a request. Refusal, or OSError if the client is slow or gone."""
    conn.settimeout(_PATIENCE)
    text, fds, _, _ = socket.recv_fds(conn, 1 << 16, 4)
    while len(text) < _HEADER:
        text += _more(conn)
    if text[:1] != RUN or not text[1:_HEADER].strip().isdigit():
        raise Refusal("the request makes no sense")
    size = int(text[1:_HEADER]) + _HEADER
    if size > _REQUEST_MAX:
        raise Refusal("the request is too long")
    pieces = [text]
    size -= len(text)
    while size > 0:
        pieces.append(_more(conn))
        size -= len(pieces[-1])
    conn.settimeout(None)
    return Request(b"".join(pieces)[_HEADER:], fds)


def _more(conn: socket.socket) -> bytes:
    data = conn.recv(1 << 16)
    if not data:
        raise Refusal("the client is gone")
    return data


class Spare:
    """A machine that is booted before anybody asks for one; `kernel` None: there is none."""

    __slots__ = ("_cpus", "_settings", "_uptime", "kernel")

    def __init__(self) -> None:
        self._cpus: set[int] = set()
        self._settings: dict[str, Any] = {}
        self._uptime = 0
        self.kernel: Kernel | None = None

    @property
    def nr_cpus(self) -> int | None:
        """How many CPUs the machine has, to which this process may be pinned by now."""
        return None if self.kernel is None else self.kernel.nr_cpus

    def boot(self) -> None:
        """Boot with default options. PygosError if the host doesn't allow it."""
        from pygos.init.spare import read_ahead

        options, _ = parse_plain(["true"]) or (None, ())
        assert options is not None
        root = config.parse_root(options.root)
        self._cpus = os.sched_getaffinity(0)
        self._settings = boot_settings(options, root, config.resolve_user(options.user, root))
        self.kernel = boot(self._settings)
        self._uptime = self.kernel.clock.boottime()
        read_ahead(self.kernel)

    def fit_cpus(self, cpus: set[int]) -> None:
        """Let this process have just these CPUs; the machine goes if it had others."""
        if self.kernel is None or cpus != self._cpus:
            self.drop()
            os.sched_setaffinity(0, cpus)

    def drop(self) -> None:
        """Shut the machine down."""
        from pygos.init.main import shutdown

        kernel, self.kernel = self.kernel, None
        if kernel is not None:
            shutdown(kernel)

    def take(self, settings: dict[str, Any]) -> Kernel | None:
        """The machine, as if it had been booted now with these settings; None: it doesn't fit."""
        from pygos.init.spare import restamp

        kernel = self.kernel
        if kernel is None or any(
            settings[name] != value for name, value in self._settings.items() if name not in _LATE
        ):
            self.drop()
            return None
        self.kernel = None
        for name in _LATE:
            setattr(kernel.config, name, settings[name])
        restamp(kernel, self._uptime)
        return kernel


def serve(conn: socket.socket, spare: Spare, stale: str) -> int:
    """Serve one client; the status that it was told. `stale`: why we can't, if we know already."""
    try:
        asked = receive(conn)
        if stale:
            raise Refusal(stale)
        if asked.identity != identity():
            raise Refusal("the daemon is of another pygos or Python")
        pid = peer.check(conn)
        plain = parse_plain([os.fsdecode(word) for word in asked.words[1:]])
        if plain is None:
            raise Refusal("the options need explaining")
        peer.take_over(pid)
        spare.fit_cpus(peer.cpus_of(pid))
        client = Client(pid, asked.unstopped)
    except Refusal as refusal:
        _refuse(conn, str(refusal))
        return 0
    except OSError:
        return 0  # nobody is there
    _become(asked)
    return _run(RemoteSession(conn, client), spare, *plain)


def _refuse(conn: socket.socket, reason: str) -> None:
    try:
        conn.sendall(bytes((COLD,)) + os.fsencode(reason))
    except OSError:
        pass


def _run(session: RemoteSession, spare: Spare, options: Options, command: tuple[str, ...]) -> int:
    try:
        status = run_command(options, command, session, spare)
    except BaseException as error:  # the last place where anything can be said
        status = exit_status(error)
    for file in (sys.stdout, sys.stderr):
        try:
            file.flush()
        except OSError:
            status = status or EXIT_PYGOS
    session.finish(status)
    return status


def _become(asked: Request) -> None:
    """Take the client's descriptors, directory, environment and umask."""
    *streams, here = asked.fds
    for number, fd in enumerate(streams):
        os.dup2(fd, number)
        os.close(fd)
    os.fchdir(here)
    os.close(here)
    os.umask(asked.umask)
    os.environ.clear()
    for item in asked.env:
        name, _, value = item.partition(b"=")
        os.environb[name] = value
    sys.stdin = open(0, encoding=sys.stdin.encoding, errors=sys.stdin.errors, closefd=False)  # noqa: SIM115
    sys.stdout = _text_output(1, sys.stdout)
    sys.stderr = _text_output(2, sys.stderr)


def _text_output(fd: int, old: TextIO) -> TextIO:
    buffering = 1 if fd == 2 or os.isatty(fd) else -1
    return open(fd, "w", buffering, old.encoding, old.errors, closefd=False)
