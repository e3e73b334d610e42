# SPDX-License-Identifier: Apache-2.0
"""N_TTY's output half: post-processing (OPOST) and echoes. termios(3).

Echoes are not sent at once but queued as small operations, because they need the column at
the time when they are really sent, and because a signal character throws waiting ones away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.uapi.termios import (
    ECHOCTL,
    IUTF8,
    OCRNL,
    OLCUC,
    ONLCR,
    ONLRET,
    ONOCR,
    OPOST,
    TABDLY,
    XTABS,
)

if TYPE_CHECKING:
    from pygos.drivers.tty.n_tty import NTty
    from pygos.drivers.tty.tty import Tty

ECHO_OP_START: Final = 0xFF
ECHO_OP_MOVE_BACK_COL: Final = 0x80
ECHO_OP_SET_CANON_COL: Final = 0x81
ECHO_OP_ERASE_TAB: Final = 0x82
ECHO_COMMIT_WATERMARK: Final = 256
#: Waiting echoes beyond this are dropped, oldest first.
ECHO_LIMIT: Final = 4096
_NL, _CR, _TAB, _BS = 10, 13, 9, 8


def iscntrl(c: int) -> bool:
    """As the kernel's ctype table: C1 characters are none."""
    return c < 0x20 or c == 0x7F


def toupper(c: int) -> int:
    """As the kernel's: Latin-1 letters too."""
    if 0x61 <= c <= 0x7A or (0xE0 <= c <= 0xFE and c != 0xF7):
        return c - 0x20
    return c


def is_continuation(tty: Tty, c: int) -> bool:
    """A UTF-8 continuation byte, if the terminal speaks UTF-8."""
    return c & 0xC0 == 0x80 and bool(tty.termios.c_iflag & IUTF8)


# -- output


def output_char(tty: Tty, data: NTty, c: int, out: bytearray, space: int) -> bool:
    """Post-process one character into `out` (do_output_char); False if there is no space."""
    if space <= 0:
        return False
    flags = tty.termios.c_oflag
    if c == _NL:
        if flags & ONLRET:
            data.column = 0
        if flags & ONLCR:
            if space < 2:
                return False
            data.canon_column = data.column = 0
            out += b"\r\n"
            return True
        data.canon_column = data.column
    elif c == _CR:
        if flags & ONOCR and not data.column:
            return True
        if flags & OCRNL:
            c = _NL
            if flags & ONLRET:
                data.canon_column = data.column = 0
        else:
            data.canon_column = data.column = 0
    elif c == _TAB:
        spaces = 8 - (data.column & 7)
        if flags & TABDLY == XTABS:
            if space < spaces:
                return False
            data.column += spaces
            out += b" " * spaces
            return True
        data.column += spaces
    elif c == _BS:
        if data.column > 0:
            data.column -= 1
    elif not iscntrl(c):
        if flags & OLCUC:
            c = toupper(c)
        if not is_continuation(tty, c):
            data.column += 1
    out.append(c)
    return True


def process_output(tty: Tty, text: bytes) -> int:
    """Send what a program writes, post-processed; how many characters of it were taken."""
    room = tty.ops.write_room(tty)
    if room <= 0:
        return 0
    if not tty.termios.c_oflag & OPOST:
        return tty.ops.write(tty, text[:room])
    data: NTty = tty.ldisc
    fast = _simple(tty, data, text, room)
    if fast is not None:
        tty.ops.write(tty, fast)
        return len(text)
    out = bytearray()
    taken = 0
    for c in text:
        if not output_char(tty, data, c, out, room - len(out)):
            break
        taken += 1
    if out:
        tty.ops.write(tty, bytes(out))
    return taken


def _simple(tty: Tty, data: NTty, text: bytes, room: int) -> bytes | None:
    """The usual case at once: ONLCR or nothing to do, plain text, room for all of it."""
    flags = tty.termios.c_oflag
    if flags & (ONLRET | ONOCR | OCRNL | OLCUC) or flags & TABDLY == XTABS:
        return None
    out = text.replace(b"\n", b"\r\n") if flags & ONLCR else text
    if len(out) > room:
        return None
    if not flags & ONLCR and b"\n" in text:
        return None
    last = max(text.rfind(b"\n"), text.rfind(b"\r"))
    if last >= 0:
        data.canon_column = data.column = 0
    rest = text[last + 1 :]
    if rest.isascii() and rest.decode().isprintable():
        data.column += len(rest)
    else:
        sink = bytearray()
        for c in rest:
            output_char(tty, data, c, sink, 1 << 30)
    return out


# -- echoes


def echo_char_raw(data: NTty, c: int) -> None:
    """Queue a character to be echoed as it is."""
    if c == ECHO_OP_START:
        data.echoes.append(ECHO_OP_START)
    data.echoes.append(c)


def echo_char(tty: Tty, data: NTty, c: int) -> None:
    """Queue the echo of an input character: control characters as ^X if ECHOCTL says so."""
    if c == ECHO_OP_START or (
        tty.termios.c_lflag & ECHOCTL and (c < 0x20 or c == 0x7F) and c != _TAB
    ):
        data.echoes.append(ECHO_OP_START)
    data.echoes.append(c)


def echo_op(data: NTty, op: int, *args: int) -> None:
    """Queue an operation ECHO_OP_*."""
    data.echoes += bytes((ECHO_OP_START, op, *args))


def commit_echoes(tty: Tty, data: NTty) -> None:
    """Send queued echoes if many wait; else they go out when the input is dealt with."""
    if len(data.echoes) >= ECHO_COMMIT_WATERMARK:
        process_echoes(tty)
        if len(data.echoes) > ECHO_LIMIT:
            data.echoes.clear()


def process_echoes(tty: Tty) -> None:
    """Send queued echoes as far as there is room on the line."""
    data: NTty = tty.ldisc
    if not data.echoes:
        return
    room = tty.ops.write_room(tty)
    out = bytearray()
    echoes = data.echoes
    at = 0
    while at < len(echoes):
        step = _one_echo(tty, data, at, out, room - len(out))
        if not step:
            break
        at += step
    del echoes[:at]
    if out:
        tty.ops.write(tty, bytes(out))


def _one_echo(tty: Tty, data: NTty, at: int, out: bytearray, space: int) -> int:
    """Carry out the echo operation at `at`; its length in the queue, 0 if there is no space."""
    echoes = data.echoes
    c = echoes[at]
    if c != ECHO_OP_START:
        if tty.termios.c_oflag & OPOST:
            return 1 if output_char(tty, data, c, out, space) else 0
        if space <= 0:
            return 0
        out.append(c)
        return 1
    op = echoes[at + 1] if at + 1 < len(echoes) else ECHO_OP_START
    if op == ECHO_OP_ERASE_TAB:
        return _erase_tab(data, echoes[at + 2], out, space)
    if op == ECHO_OP_SET_CANON_COL:
        data.canon_column = data.column
        return 2
    if op == ECHO_OP_MOVE_BACK_COL:
        if data.column > 0:
            data.column -= 1
        return 2
    if op == ECHO_OP_START:
        if space <= 0:
            return 0
        out.append(op)
        data.column += 1
        return 2
    if space < 2:
        return 0
    out += bytes((0x5E, op ^ 0x40))
    data.column += 2
    return 2


def _erase_tab(data: NTty, chars: int, out: bytearray, space: int) -> int:
    """Step back over a tab: how far depends on what is in the same tab field."""
    if not chars & 0x80:
        chars += data.canon_column
    back = 8 - (chars & 7)
    if space < back:
        return 0
    out += b"\b" * back
    data.column = max(data.column - back, 0)
    return 3
