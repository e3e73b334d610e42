# SPDX-License-Identifier: Apache-2.0
"""``pygos daemon start|status|stop``: the fork server behind warm starts of ``pygos run``."""

from __future__ import annotations

import fcntl
import os
import socket
import sys
import time
from typing import TYPE_CHECKING, Final

from pygos._errors import PygosError
from pygos._runtime import directory, is_private, socket_path
from pygos.cli.client import REFUSED, connect, run_warm

if TYPE_CHECKING:
    from collections.abc import Callable

#: What status exits with if there is no daemon: "not running", as init scripts have it.
EXIT_NOT_RUNNING: Final = 3
_PATIENCE: Final = 30
_PATH_MAX: Final = 107
#: Something of everything that ordinary programs do first.
_REHEARSAL: Final = "cd /tmp; echo line > file; cat file | (read a; exit 3); ls -la / >&2; rm file"


class DaemonError(PygosError):
    """The daemon can't be started or reached."""


def start(idle: float | None, say: Callable[[str], object], foreground: bool = False) -> int:
    """Start a daemon; returns when it serves. `idle`: s without work after which it ends."""
    if foreground:
        _serve(idle, None)
        return 0
    pid = launch(idle)
    say(f"the daemon is running, pid {pid}" if pid else "the daemon is running already")
    return 0


def launch(idle: float | None) -> int:
    """Start a daemon in the background; its pid, once it serves; 0 if there is one. DaemonError."""
    lock = _take_lock()
    try:
        return 0 if connect() is not None else _launch(idle)
    finally:
        os.close(lock)


def _take_lock() -> int:
    """A descriptor that nobody else has while it is open: daemons start one at a time."""
    _make_directory()
    try:
        fd = os.open(f"{directory()}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX)
    except OSError as error:
        raise DaemonError(f"{directory()}/lock: {error.strerror}") from None
    return fd


def _launch(idle: float | None) -> int:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _detach(idle, writer)
    os.close(writer)
    os.waitpid(child, 0)
    with open(reader, encoding="utf-8", errors="replace") as pipe:
        answer = pipe.read().strip()
    if not answer.isdigit():
        raise DaemonError(f"the daemon doesn't start: {answer or 'it died'}")
    return int(answer)


def _detach(idle: float | None, writer: int) -> None:
    """Become a daemon: no parent, no terminal, no descriptor of the starter's. Never returns."""
    status = 1
    try:
        os.setsid()
        if os.fork() == 0:
            os.chdir("/")
            null = os.open("/dev/null", os.O_RDWR)
            for fd in range(3):
                os.dup2(null, fd)
            if writer != 3:
                os.dup2(writer, 3, inheritable=False)
            os.closerange(4, os.sysconf("SC_OPEN_MAX"))
            _serve(idle, 3)
        status = 0
    finally:
        os._exit(status)


def _serve(idle: float | None, report: int | None) -> None:
    """Be the daemon. `report`: a pipe that gets our pid, or why we can't serve."""
    lock = -1
    try:
        if report is None:
            lock = _take_lock()
            if connect() is not None:
                raise DaemonError("the daemon is running already")
        listener = listen(socket_path())
        rehearse()
    except Exception as error:
        if report is None:
            raise
        os.write(report, f"{error}".encode())
        return
    finally:
        if lock >= 0:
            os.close(lock)
    from pygos.cli.server import Server

    server = Server(listener, socket_path(), idle)
    if report is not None:
        os.write(report, b"%d" % os.getpid())
        os.close(report)
    server.run()


def _make_directory() -> None:
    try:
        os.mkdir(directory(), 0o700)
    except FileExistsError:
        pass
    except OSError as error:
        raise DaemonError(f"{directory()}: {error.strerror}") from None
    if not is_private(directory()):
        raise DaemonError(f"{directory()} must be a directory of yours with mode 0700")


def listen(path: str) -> socket.socket:
    """The daemon's socket, in a directory of the user's own. DaemonError."""
    if len(os.fsencode(path)) > _PATH_MAX:
        raise DaemonError(f"{path}: too long for a socket; set XDG_RUNTIME_DIR to a shorter one")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    own = f"{path}.{os.getpid()}"
    mask = os.umask(0o177)
    try:
        listener.bind(own)
        listener.listen(64)
        os.rename(own, path)  # in place of what a daemon that was killed has left
    except OSError as error:
        raise DaemonError(f"{path}: {error.strerror}") from None
    finally:
        os.umask(mask)
    return listener


def rehearse() -> None:
    """Boot a machine and run a program, so that all that this imports and prepares is there.

    PygosError if the host doesn't allow machines.
    """
    from pygos._api import Machine
    from pygos.init.calls import prepare_decoders

    prepare_decoders()
    with Machine(root="host") as machine:
        if os.path.exists("/bin/sh"):
            machine.run(["/bin/sh", "-c", _REHEARSAL], cwd="/")


def status(say: Callable[[str], object]) -> int:
    """Say how the daemon is; 0 if there is one."""
    answer = _ask(b"?")
    if answer is None:
        say("no daemon is running")
        return EXIT_NOT_RUNNING
    say(f"the daemon is running: {answer}")
    return 0


def stop(say: Callable[[str], object]) -> int:
    """End the daemon; runs that go on are left alone."""
    if _ask(b"Q") is None:
        say("no daemon is running")
        return 0
    deadline = time.monotonic() + _PATIENCE
    while (conn := connect()) is not None:
        conn.close()
        if time.monotonic() > deadline:
            raise DaemonError("the daemon doesn't end")
        time.sleep(0.005)
    say("the daemon has ended")
    return 0


def _ask(verb: bytes) -> str | None:
    """The daemon's answer, one line; None: there is no daemon. DaemonError if it is silent."""
    conn = connect()
    if conn is None:
        return None
    conn.settimeout(_PATIENCE)
    try:
        conn.send(verb)
        answer = conn.recv(4096)
    except OSError as error:
        raise DaemonError(f"the daemon doesn't answer: {error}") from None
    finally:
        conn.close()
    return answer.decode(errors="replace").strip()


def warm(words: list[str]) -> int:
    """Start a daemon if there is none, and have it serve `words`; REFUSED if it can't."""
    try:
        launch(DEFAULT_IDLE)
    except PygosError as error:
        sys.stderr.write(f"pygos: cold start: {error}\n")
        return REFUSED
    status = run_warm(words)
    return REFUSED if status is None else status


#: Seconds without work after which a daemon ends.
DEFAULT_IDLE: Final = 3600.0
