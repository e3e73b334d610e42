# SPDX-License-Identifier: Apache-2.0
"""The user's streams and terminal when another process of the user's has them: the daemon's client.

The descriptors are the same, but job control is about processes: the client is in the shell's
session and has a controlling terminal, we have none. So what the host would do to us as a
background job is done here by hand: who is in the foreground is read from the client's
/proc/PID/stat, and who isn't gets SIGTTIN or SIGTTOU instead of input.
"""

from __future__ import annotations

import os
import signal
import termios
from typing import Final, Protocol

from pygos.host.stdio import HostStream, HostTerminal
from pygos.include.errno import EIO, ENOTTY

#: Fields of /proc/PID/stat behind the command name.
_PPID, _PGRP, _SESSION, _TTY, _TPGID = 1, 2, 3, 4, 5
#: /dev/tty: whoever opened it meant his controlling terminal.
_DEV_TTY: Final = (5, 0)
_SIGTTIN, _SIGTTOU = int(signal.SIGTTIN), int(signal.SIGTTOU)


def _stat_fields(text: bytes) -> list[bytes]:
    return text[text.rindex(b")") + 2 :].split()


def _fields_of(pid: int) -> list[bytes]:
    """OSError if there is no such process."""
    with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
        return _stat_fields(file.read(1024))


class Client:
    """The process that asked for a run. `unstopped`: stop signals that do nothing to it."""

    __slots__ = ("_stat", "pid", "unstopped")

    def __init__(self, pid: int, unstopped: frozenset[int]) -> None:
        self.pid = pid
        self.unstopped = unstopped
        self._stat = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)

    def _fields(self) -> list[bytes]:
        """OSError if it is gone."""
        return _stat_fields(os.pread(self._stat, 1024, 0))

    def controls(self, fd: int) -> bool:
        """Is the terminal behind `fd` its controlling terminal?"""
        try:
            rdev = os.fstat(fd).st_rdev
            number = int(self._fields()[_TTY]) & 0xFFFF_FFFF
        except OSError:
            return False
        device = (number >> 8 & 0xFFF, number & 0xFF | number >> 12 & 0xFFF00)
        return number != 0 and (os.major(rdev), os.minor(rdev)) in (device, _DEV_TTY)

    def in_foreground(self) -> bool:
        """Does its job have its controlling terminal?"""
        try:
            fields = self._fields()
        except OSError:
            return False
        return fields[_PGRP] == fields[_TPGID]

    def stop_job(self, number: int) -> bool:
        """Stop its job as the terminal does with `number`. False: that can't be done."""
        try:
            fields = self._fields()
            if number in self.unstopped or self._orphaned(fields):
                return False
            os.killpg(int(fields[_PGRP]), number)
        except OSError:
            return False
        return True

    def _orphaned(self, fields: list[bytes]) -> bool:
        """Is there nobody in its session who would let its job go on?"""
        parent = fields
        while parent[_PGRP] == fields[_PGRP]:
            if parent[_PPID] == b"0":
                return True
            parent = _fields_of(int(parent[_PPID]))
        return parent[_SESSION] != fields[_SESSION]


class Job(Protocol):
    """The run as its streams see it."""

    client: Client

    def rest(self, number: int) -> bool:
        """Stop the client's job by a signal, and the machine until it goes on. False: can't."""


class ClientStream(HostStream):
    """A stream that is, if it is the client's controlling terminal, subject to job control."""

    __slots__ = ("_controlled", "_job")

    def __init__(self, fd: int, job: Job) -> None:
        super().__init__(fd)
        self._job = job
        self._controlled = os.isatty(fd) and job.client.controls(fd)

    def read(self, count: int) -> bytes:
        """See HostStream; EIO for a job in the background that can't be stopped."""
        while self._controlled and not self._job.client.in_foreground():
            if not self._job.rest(_SIGTTIN):
                raise EIO
        return super().read(count)

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """See HostStream."""
        while self._controlled and self._tostop() and not self._job.client.in_foreground():
            if not self._job.rest(_SIGTTOU):
                if _SIGTTOU in self._job.client.unstopped:
                    break  # who ignores it may write
                raise EIO
        return super().write(data)

    def _tostop(self) -> bool:
        try:
            return bool(termios.tcgetattr(self._given)[3] & termios.TOSTOP)
        except termios.error:
            return False


class ClientTerminal(HostTerminal):
    """The terminal that the client was started from. Its signals come by other ways."""

    __slots__ = ("_client",)

    def __init__(self, client: Client, fd: int = 0) -> None:
        super().__init__(fd)
        self._client = client

    @classmethod
    def of(cls, client: Client) -> ClientTerminal | None:
        """The terminal, if the client is in its foreground."""
        try:
            terminal = cls(client)
        except ENOTTY:
            return None
        if terminal._foreground():
            return terminal
        terminal.close()
        return None

    def _foreground(self) -> bool:
        return self._client.controls(self._fd) and self._client.in_foreground()

    def _install(self) -> None:
        """No signal handlers."""

    def window_changed(self) -> None:
        """The client got SIGWINCH."""
        os.eventfd_write(self._eventfd, 1)


def client_streams(job: Job) -> tuple[HostStream, HostStream, HostStream]:
    """Descriptors 0, 1 and 2, which the client has given us."""
    return ClientStream(0, job), ClientStream(1, job), ClientStream(2, job)
