# SPDX-License-Identifier: Apache-2.0
"""``pygos run`` by way of the daemon: hand everything over, pass signals on, wait for the status.

This is most of what a warm start costs besides the interpreter's own start, so it is small and
imports nothing that the interpreter hasn't imported already: C modules in place of their Python
covers, no typing. The kernel is never imported here.

The request is one message: descriptors 0 to 2, the working directory, and what serve.py
says in words. Then the client sends numbers of signals, a byte each, and gets bytes:

- ``X`` and a byte: the exit status;
- ``C`` and a line: can't serve this one, start cold;
- ``T``: the machine has come to rest, stop yourself (^Z);
- ``S``: stop the whole job, for the program inside has nobody else to take over.
"""

from __future__ import annotations

import _socket
import os
import sys

from pygos._runtime import directory, is_private, socket_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from types import FrameType
    from typing import Any
else:
    import _signal

PROTOCOL = 1
RUN = b"R"
EXITED, COLD, STOPPED, SUSPEND = b"XCTS"
#: Passed on. The last three also while they are ignored: nobody is killed by them.
FORWARDED = (
    _signal.SIGHUP, _signal.SIGINT, _signal.SIGQUIT, _signal.SIGTERM, _signal.SIGUSR1,
    _signal.SIGUSR2, _signal.SIGTSTP, _signal.SIGCONT, _signal.SIGWINCH,
)  # fmt: skip
#: Whether they are ignored or blocked matters to the machine.
_REPORTED = (_signal.SIGTSTP, _signal.SIGTTIN, _signal.SIGTTOU)
_ALWAYS = (_signal.SIGCONT, _signal.SIGWINCH)
_SOL_SOCKET, _SO_PEERCRED, _SCM_RIGHTS = 1, 17, 1
EXIT_LOST = 125
#: The daemon can't serve this client: start cold.
REFUSED = -1


def wanted(words: list[str]) -> bool:
    """May the daemon serve this command line? In doubt not."""
    if os.environ.get("PYGOS_DAEMON") == "0":
        return False
    end = words.index("--") if "--" in words else len(words)
    return "--no-daemon" not in words[:end]


def connect() -> _socket.socket | None:
    """A connection to this user's daemon, if there is one."""
    if not is_private(directory()):
        return None
    conn = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        conn.connect(socket_path())
        peer = conn.getsockopt(_SOL_SOCKET, _SO_PEERCRED, 12)
    except OSError:
        conn.close()
        return None
    if int.from_bytes(peer[4:8], "little") != os.geteuid():
        conn.close()
        return None
    return conn


def identity() -> list[bytes]:
    """What has to be the same on both sides: protocol, interpreter, package, encodings."""
    error = sys.stderr.encoding if sys.stderr else ""
    flags = sys.flags
    words = (
        str(PROTOCOL), sys.version, sys.executable, os.path.dirname(os.path.dirname(__file__)),
        sys.getfilesystemencoding(), error, repr(sys.warnoptions),
        repr((flags.dev_mode, flags.optimize, flags.verbose, flags.bytes_warning)),
    )  # fmt: skip
    return [os.fsencode(word) for word in words]


def _standard_are_open() -> bool:
    try:
        for fd in range(3):
            os.fstat(fd)
    except OSError:
        return False
    return True


def request(words: list[str]) -> bytes:
    """The words of a request: counted lists, NUL between all."""
    mask = os.umask(0o077)
    os.umask(mask)
    ignored = [n for n in _REPORTED if _signal.getsignal(n) == _signal.SIG_IGN]
    blocked = [n for n in _signal.pthread_sigmask(_signal.SIG_BLOCK, ()) if n in _REPORTED]
    lists = (
        identity(),
        [b"%d" % mask],
        [b"%d" % number for number in ignored],
        [b"%d" % number for number in blocked],
        [os.fsencode(word) for word in words],
        [name + b"=" + value for name, value in os.environb.items()],
    )
    text = b"\0".join(item for part in lists for item in (b"%d" % len(part), *part))
    return b"%s%10d" % (RUN, len(text)) + text


def _send(conn: _socket.socket, text: bytes, fds: list[int]) -> None:
    packed = b"".join(fd.to_bytes(4, sys.byteorder) for fd in fds)
    sent = conn.sendmsg([text], [(_SOL_SOCKET, _SCM_RIGHTS, packed)])
    if sent < len(text):  # else the daemon may be done already, and sending nothing an error
        conn.sendall(text[sent:])


def _terminal_mode() -> Any:
    """The terminal's mode, to be put back if the machine's process dies; None: no terminal."""
    if not os.isatty(0):
        return None
    import termios

    return termios.tcgetattr(0)


def _restore(mode: Any) -> None:
    import termios

    try:
        if os.tcgetpgrp(0) == os.getpgrp():
            termios.tcsetattr(0, termios.TCSADRAIN, mode)
    except OSError:
        pass


class Relay:
    """One run by the daemon, seen from here."""

    __slots__ = ("_conn", "_handlers", "_passed")

    def __init__(self, conn: _socket.socket) -> None:
        """From now on signals go to the machine."""
        self._conn = conn
        self._passed: list[int] = []
        self._handlers: dict[int, Any] = {}
        for number in FORWARDED:
            handler = _signal.getsignal(number)
            if handler != _signal.SIG_IGN or number in _ALWAYS:
                self._handlers[number] = _signal.signal(number, self.forward)

    def give_up(self) -> None:
        """There will be no machine: the signals are our own again, also those that came."""
        for number, handler in self._handlers.items():
            _signal.signal(number, handler)
        for number in self._passed:
            os.kill(os.getpid(), number)

    def forward(self, number: int, frame: FrameType | None) -> None:
        """A signal handler: tell the machine."""
        self._passed.append(number)
        try:
            self._conn.send(bytes((number,)))
        except OSError:
            pass  # it has ended; the status is on its way

    def stop(self) -> None:
        """The machine rests: stop as any program does, and tell it when we go on."""
        _signal.signal(_signal.SIGTSTP, _signal.SIG_DFL)
        os.kill(os.getpid(), _signal.SIGTSTP)
        _signal.signal(_signal.SIGTSTP, self.forward)
        self.forward(_signal.SIGCONT, None)

    def wait(self) -> tuple[int, bytes]:
        """The last message: EXITED, COLD, or 0 if the machine's process is gone."""
        recv = self._conn.recv
        while kind := recv(1):
            if kind[0] == EXITED:
                return EXITED, recv(1)
            if kind[0] == COLD:
                reason = b""
                while part := recv(4096):
                    reason += part
                return COLD, reason
            if kind[0] == STOPPED:
                self.stop()
            elif kind[0] == SUSPEND:
                os.kill(0, _signal.SIGTSTP)
        return 0, b""


def run_warm(words: list[str]) -> int | None:
    """Have the daemon serve a command line of ``pygos run``: the exit status, or REFUSED.

    None: there is no daemon.
    """
    conn = connect() if _standard_are_open() else None
    if conn is None:
        return None
    try:
        here = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    mode = _terminal_mode()
    text = request(words)
    relay = Relay(conn)
    try:
        _send(conn, text, [0, 1, 2, here])
        kind, data = relay.wait()
    except OSError:
        kind, data = 0, b""
    if kind == EXITED and data:
        return data[0]
    if kind == COLD:
        relay.give_up()
        _explain(words, data)
        return REFUSED
    if mode is not None:
        _restore(mode)
    sys.stderr.write("pygos: the daemon's process with the machine has died\n")
    return EXIT_LOST


def _explain(words: list[str], reason: bytes) -> None:
    """Who asked for a warm start is told why there is none."""
    if "--warm" in words and reason:
        sys.stderr.write(f"pygos: cold start: {os.fsdecode(reason)}\n")
