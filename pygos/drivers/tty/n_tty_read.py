# SPDX-License-Identifier: Apache-2.0
"""N_TTY's reading half: taking lines or characters out of the buffer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.drivers.tty.n_tty import DISABLED, NTty
from pygos.include.uapi.termios import EXTPROC, VEOF, VMIN, VTIME

if TYPE_CHECKING:
    from pygos.drivers.tty.tty import Tty


def input_available(tty: Tty, poll: bool = False) -> bool:
    """Would a read find something? For poll(2) VMIN counts if there is no VTIME."""
    data: NTty = tty.ldisc
    termios = tty.termios
    if data.icanon and not termios.c_lflag & EXTPROC:
        return data.canon_head != data.tail
    least = termios.c_cc[VMIN] if poll and not termios.c_cc[VTIME] else 1
    return len(data.buf) >= max(least, 1)


def canon_copy(tty: Tty, limit: int) -> bytes:
    """Take at most one line, or `limit` characters of it. b"" at an end of file."""
    data: NTty = tty.ldisc
    buf, tail = data.buf, data.tail
    ready = data.canon_head - tail
    size = min(limit, ready)
    end = min([eol for eol in data.eols if eol <= tail + size], default=-1)
    if end < 0 or (end == tail + size and buf[size] != DISABLED):
        text = bytes(buf[:size])
        _consume(data, size)
        return text
    found = end - tail
    text = bytes(buf[: found + (buf[found] != DISABLED)])
    data.eols.discard(end)
    _consume(data, found + 1)
    return text


def _consume(data: NTty, count: int) -> None:
    del data.buf[:count]
    data.tail += count


def raw_copy(tty: Tty, limit: int) -> bytes:
    """Take up to `limit` characters. A lone end-of-file mark of EXTPROC mode gives b""."""
    data: NTty = tty.ldisc
    text = bytes(data.buf[:limit])
    _consume(data, len(text))
    termios = tty.termios
    if data.icanon and len(text) == 1 and text[0] == termios.c_cc[VEOF] and not data.buf:
        text = b""
    data.canon_head = max(data.canon_head, data.tail)
    if data.eols:
        data.eols = {eol for eol in data.eols if eol >= data.tail}
    return text


def queued(tty: Tty) -> int:
    """Characters that a read would give (TIOCINQ)."""
    data: NTty = tty.ldisc
    if not (data.icanon and not tty.termios.c_lflag & EXTPROC):
        return len(data.buf)
    count = data.canon_head - data.tail
    return count - sum(
        1 for eol in data.eols if eol >= data.tail and data.buf[eol - data.tail] == DISABLED
    )
