# SPDX-License-Identifier: Apache-2.0
"""The user's standard streams and terminal, for the machine's console.

A HostStream never blocks and never sets O_NONBLOCK on the description it shares with the
user's shell. Terminals and pipes are opened a second time for that, through
/proc/self/fd; where that is refused poll(2) is asked first and little is written at once.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import select
import signal
import stat
import struct
import sys
import termios
from types import FrameType
from typing import Any, Final, Self

from pygos.host import libc
from pygos.include.errno import EACCES, EAGAIN, EBADF, ENOTTY, Errno, errno_class
from pygos.include.linux.platform import HostStat

_NR_SENDTO: Final = 44
_NR_RECVFROM: Final = 45
#: MSG_DONTWAIT | MSG_NOSIGNAL
_DONTWAIT: Final = 0x4040
#: POLLOUT promises room for this much on any pipe.
_PIPE_BUF: Final = 4096
_TTY_CHUNK: Final = 512
_TCGETS2: Final = 0x802C542A
_TERMIOS2_SIZE: Final = 44
_ENXIO = 6


def _errno(error: OSError) -> type[Errno]:
    return errno_class(error.errno or 5)


class HostStream:
    """One descriptor of the host's as a byte stream. Errors are pygos' errno exceptions."""

    __slots__ = ("_fd", "_given", "_mode", "_nonblocking", "_owned")

    def __init__(self, fd: int) -> None:
        """`fd` stays the caller's. EBADF if it is closed."""
        try:
            self._mode = os.fstat(fd).st_mode
        except OSError as error:
            raise _errno(error) from None
        self._given = fd
        self._fd = fd
        self._owned = False
        self._nonblocking = False
        if stat.S_ISFIFO(self._mode) or stat.S_ISCHR(self._mode):
            self._reopen()

    def _reopen(self) -> None:
        access = fcntl.fcntl(self._given, fcntl.F_GETFL) & os.O_ACCMODE
        flags = access | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        try:
            self._fd = os.open(f"/proc/self/fd/{self._given}", flags)
        except OSError:
            return
        self._owned = self._nonblocking = True

    def fileno(self) -> int:
        """The descriptor to watch."""
        return self._fd

    def fstat(self) -> HostStat:
        """Its attributes."""
        st = os.fstat(self._given)
        return HostStat(
            st.st_mode, st.st_uid, st.st_gid, st.st_size, st.st_ino, st.st_dev, st.st_nlink,
            st.st_blocks, st.st_atime_ns, st.st_mtime_ns, st.st_ctime_ns, st.st_rdev,
        )  # fmt: skip

    def isatty(self) -> bool:
        """Is it a terminal?"""
        return os.isatty(self._given)

    def seekable(self) -> bool:
        """Is it a regular file, which never blocks?"""
        return stat.S_ISREG(self._mode)

    def winsize(self) -> tuple[int, int, int, int]:
        """Rows, columns, pixels across, pixels down. ENOTTY."""
        return window_size(self._given)

    def poll(self) -> int:
        """POLLIN|POLLOUT|POLLHUP|POLLERR as of now."""
        poller = select.poll()
        poller.register(self._fd, select.POLLIN | select.POLLOUT)
        ready = poller.poll(0)
        return ready[0][1] if ready else 0

    def read(self, count: int) -> bytes:
        """Up to `count` bytes, b"" at the end. EAGAIN if there are none yet."""
        if self._fd < 0:
            raise EBADF
        try:
            if stat.S_ISSOCK(self._mode):
                buffer = bytearray(count)
                return bytes(buffer[: self._socket(_NR_RECVFROM, buffer)])
            if not self._nonblocking and not self.poll() & ~select.POLLOUT:
                raise EAGAIN
            return os.read(self._fd, count)
        except OSError as error:
            raise _errno(error) from None

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Write some of `data`; how much. EAGAIN if there is no room, EPIPE."""
        if self._fd < 0:
            raise EBADF
        try:
            if stat.S_ISSOCK(self._mode):
                return self._socket(_NR_SENDTO, bytearray(data))
            if not self._nonblocking and not stat.S_ISREG(self._mode):
                if not self.poll() & ~select.POLLIN:
                    raise EAGAIN
                data = data[: _PIPE_BUF if stat.S_ISFIFO(self._mode) else _TTY_CHUNK]
            return os.write(self._fd, data)
        except OSError as error:
            raise _errno(error) from None

    def pending(self) -> int:
        """How many bytes a read would find now, 0 if that can't be told (FIONREAD)."""
        try:
            if self.seekable():
                return max(os.fstat(self._fd).st_size - os.lseek(self._fd, 0, os.SEEK_CUR), 0)
            count: int = struct.unpack("i", fcntl.ioctl(self._fd, termios.FIONREAD, b"\0" * 4))[0]
        except OSError:
            return 0
        return count

    def reopen(self, write: bool, append: bool) -> HostStream:
        """The same regular file with a position of its own; never more access than this has."""
        flags = (os.O_WRONLY if write else os.O_RDONLY) | (os.O_APPEND if append else 0)
        have = fcntl.fcntl(self._given, fcntl.F_GETFL) & os.O_ACCMODE
        if have not in (os.O_RDWR, flags & os.O_ACCMODE):
            raise EACCES
        try:
            fd = os.open(f"/proc/self/fd/{self._given}", flags | os.O_CLOEXEC)
        except OSError as error:
            raise _errno(error) from None
        stream = HostStream(fd)
        stream._owned = True
        return stream

    def truncate(self, size: int) -> None:
        """Set the size of a regular file that was opened for writing."""
        try:
            os.ftruncate(self._fd, size)
        except OSError as error:
            raise _errno(error) from None

    def seek(self, offset: int, whence: int) -> int:
        """Move the position of a regular file, which the host's processes share. ESPIPE."""
        try:
            return os.lseek(self._fd, offset, whence)
        except OSError as error:
            raise _errno(error) from None

    def _socket(self, number: int, buffer: bytearray) -> int:
        import ctypes

        address = ctypes.addressof(ctypes.c_char.from_buffer(buffer)) if buffer else 0
        return libc.syscall(number, self._fd, address, len(buffer), _DONTWAIT, 0, 0)

    def close(self) -> None:
        """Close what was opened here; the given descriptor stays open."""
        if self._owned and self._fd >= 0:
            os.close(self._fd)
        self._fd = -1


def window_size(fd: int) -> tuple[int, int, int, int]:
    """TIOCGWINSZ: rows, columns, pixels across, pixels down. ENOTTY."""
    try:
        rows, columns, x, y = struct.unpack("HHHH", fcntl.ioctl(fd, termios.TIOCGWINSZ, b"\0" * 8))
    except OSError:
        raise ENOTTY from None
    return rows, columns, x, y


class HostTerminal:
    """The terminal the machine was started from, in raw mode while the machine has it.

    A context manager. The old mode comes back at exit(), at the end of the interpreter
    and on SIGTERM and SIGHUP (where the program has no handlers of its own). To be used
    by the main thread; elsewhere there are no notices of a new window size.
    """

    __slots__ = ("_eventfd", "_fd", "_handlers", "_pid", "_raw", "_saved", "_settings")

    def __init__(self, fd: int = 0) -> None:
        """ENOTTY if `fd` is no terminal."""
        if not os.isatty(fd):
            raise ENOTTY
        self._fd = fd
        self._pid = os.getpid()
        self._saved: list[Any] | None = None
        self._raw: list[Any] = []
        self._handlers: dict[int, Any] = {}
        self._eventfd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._settings: bytes = fcntl.ioctl(fd, _TCGETS2, bytes(_TERMIOS2_SIZE))

    @classmethod
    def find(cls) -> HostTerminal | None:
        """The terminal that standard input comes from, if the user sees it: we are in its
        foreground. None otherwise."""
        try:
            terminal = cls(0)
        except ENOTTY:
            return None
        if terminal._foreground():
            return terminal
        terminal.close()
        return None

    def enter(self) -> None:
        """Raw mode, if we are in the foreground."""
        if self._saved is not None or not self._foreground():
            return
        self._saved = termios.tcgetattr(self._fd)
        self._raw = self._raw_mode(termios.tcgetattr(self._fd))
        atexit.register(self.exit)
        self._install()
        termios.tcsetattr(self._fd, termios.TCSADRAIN, self._raw)

    def exit(self) -> None:
        """The mode that was before."""
        if self._saved is None or os.getpid() != self._pid:  # a fork of us has no say
            return
        saved, self._saved = self._saved, None
        try:
            if self._foreground():
                termios.tcsetattr(self._fd, termios.TCSADRAIN, saved)
        except termios.error:
            pass  # the terminal is gone
        finally:
            for number, handler in self._handlers.items():
                signal.signal(number, handler)
            self._handlers.clear()
            atexit.unregister(self.exit)

    @staticmethod
    def _raw_mode(mode: list[Any]) -> list[Any]:
        """cfmakeraw(3): the machine's own tty layer does all processing."""
        mode[0] &= ~(
            termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP | termios.INLCR
            | termios.IGNCR | termios.ICRNL | termios.IXON
        )  # fmt: skip
        mode[1] &= ~termios.OPOST
        mode[2] = mode[2] & ~(termios.CSIZE | termios.PARENB) | termios.CS8
        mode[3] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
        mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
        return mode

    def _foreground(self) -> bool:
        try:
            return os.tcgetpgrp(self._fd) == os.getpgrp()
        except OSError:
            return False

    def _install(self) -> None:
        """Signal handlers, where the program has none and we are the main thread."""
        handlers = {
            signal.SIGWINCH: self._on_resize,
            signal.SIGCONT: self._on_continue,
            signal.SIGTERM: self._on_death,
            signal.SIGHUP: self._on_death,
        }
        for number, handler in handlers.items():
            if signal.getsignal(number) is not signal.SIG_DFL:
                continue
            try:
                self._handlers[number] = signal.signal(number, handler)
            except ValueError:  # not the main thread
                return

    def _on_resize(self, number: int, frame: FrameType | None) -> None:
        os.eventfd_write(self._eventfd, 1)

    def pause(self) -> None:
        """Give the terminal back for as long as we are stopped."""
        if self._saved is not None and self._foreground():
            termios.tcsetattr(self._fd, termios.TCSADRAIN, self._saved)

    def resume(self) -> None:
        """We were stopped; the shell has set its own mode since."""
        if self._saved is not None and self._foreground():
            termios.tcsetattr(self._fd, termios.TCSADRAIN, self._raw)
        os.eventfd_write(self._eventfd, 1)

    def _on_continue(self, number: int, frame: FrameType | None) -> None:
        self.resume()

    def _on_death(self, number: int, frame: FrameType | None) -> None:
        self.exit()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def fileno(self) -> int:
        """The terminal's descriptor."""
        return self._fd

    def winsize(self) -> tuple[int, int, int, int]:
        """Rows, columns, pixels across, pixels down."""
        return window_size(self._fd)

    def settings(self) -> bytes:
        """The user's settings as a struct termios2: how it is when we don't have it."""
        return self._settings

    def resized_fd(self) -> int:
        """Readable when the window size may have changed; call resized() then."""
        return self._eventfd

    def resized(self) -> bool:
        """Has the size changed since the last call?"""
        try:
            return os.eventfd_read(self._eventfd) > 0
        except BlockingIOError:
            return False

    def close(self) -> None:
        """exit() and free the notifications."""
        self.exit()
        if self._eventfd >= 0:
            os.close(self._eventfd)
            self._eventfd = -1

    def __enter__(self) -> Self:
        self.enter()
        return self

    def __exit__(self, *_: object) -> None:
        self.exit()


def standard_streams() -> tuple[HostStream | None, HostStream | None, HostStream | None]:
    """Standard input, output and error of this process; None for a closed one."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    streams: list[HostStream | None] = []
    for fd in range(3):
        try:
            streams.append(HostStream(fd))
        except EBADF:
            streams.append(None)
    return streams[0], streams[1], streams[2]
