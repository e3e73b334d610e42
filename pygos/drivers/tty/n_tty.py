# SPDX-License-Identifier: Apache-2.0
"""N_TTY, the line discipline of terminals: input editing, signals, reading. termios(3).

Positions are absolute counts of characters ever put into the buffer; ``tail`` is the next one
to be read and ``buf[0]``. A line ends at a position in ``eols``; an end of file is a line end
whose character is the disabled character, which is not given to the reader.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.drivers.tty.n_tty_out import (
    ECHO_OP_ERASE_TAB,
    ECHO_OP_MOVE_BACK_COL,
    ECHO_OP_SET_CANON_COL,
    commit_echoes,
    echo_char,
    echo_char_raw,
    echo_op,
    is_continuation,
    iscntrl,
    process_echoes,
)
from pygos.drivers.tty.tty import signal_pgrp, start_tty, stop_tty, wake_readers
from pygos.include.uapi.ioctls import TIOCPKT_FLUSHREAD
from pygos.include.uapi.signal import SIGINT, SIGQUIT, SIGTSTP
from pygos.include.uapi.termios import (
    ECHO,
    ECHOCTL,
    ECHOE,
    ECHOK,
    ECHOKE,
    ECHONL,
    ECHOPRT,
    EXTPROC,
    ICANON,
    ICRNL,
    IEXTEN,
    IGNCR,
    INLCR,
    ISIG,
    ISTRIP,
    IUCLC,
    IXANY,
    IXON,
    NOFLSH,
    PARMRK,
    VEOF,
    VEOL,
    VEOL2,
    VERASE,
    VINTR,
    VKILL,
    VLNEXT,
    VQUIT,
    VREPRINT,
    VSTART,
    VSTOP,
    VSUSP,
    VWERASE,
    Termios2,
)

if TYPE_CHECKING:
    from pygos.drivers.tty.tty import Tty

N_TTY_BUF_SIZE: Final = 4096
DISABLED: Final = 0  # _POSIX_VDISABLE
_NL, _CR, _TAB = 10, 13, 9
_CANON_KEYS: Final = (VERASE, VKILL, VEOF, VEOL)
_COOKED_IFLAGS: Final = ISTRIP | IUCLC | IGNCR | ICRNL | INLCR | IXON | PARMRK


class NTty:
    """One terminal's line discipline state (struct n_tty_data)."""

    __slots__ = (
        "buf",
        "canon_column",
        "canon_head",
        "column",
        "echoes",
        "eols",
        "erasing",
        "icanon",
        "lnext",
        "raw",
        "special",
        "tail",
    )

    def __init__(self) -> None:
        self.buf = bytearray()
        self.tail = 0
        #: End of the last complete line.
        self.canon_head = 0
        self.eols: set[int] = set()
        self.icanon = True
        #: Nothing at all is to be done with input but to store it.
        self.raw = False
        #: Characters that need a closer look.
        self.special: frozenset[int] = frozenset()
        self.lnext = False
        self.erasing = False
        self.column = self.canon_column = 0
        self.echoes = bytearray()

    @property
    def head(self) -> int:
        return self.tail + len(self.buf)

    def cut(self, head: int) -> None:
        """Take back characters from `head` on."""
        del self.buf[head - self.tail :]

    def reset(self) -> None:
        """Forget all input."""
        self.tail = self.canon_head = self.head
        self.buf.clear()
        self.eols.clear()
        self.erasing = self.lnext = False


def n_tty_open(tty: Tty) -> None:
    """Give a terminal its line discipline."""
    tty.ldisc = NTty()
    n_tty_set_termios(tty, None)


# -- settings


def n_tty_set_termios(tty: Tty, old: Termios2 | None) -> None:
    """tty.termios was changed from `old`."""
    data: NTty = tty.ldisc
    termios = tty.termios
    lflag, iflag = termios.c_lflag, termios.c_iflag
    if old is None or (old.c_lflag ^ lflag) & (ICANON | EXTPROC):
        _switch_mode(data, bool(lflag & ICANON))
    data.icanon = bool(lflag & ICANON)
    data.raw = not (iflag & _COOKED_IFLAGS or lflag & (ICANON | ISIG | ECHO))
    data.special = _special_chars(termios)
    if old is not None and old.c_iflag & IXON and not iflag & IXON and not tty.tco_stopped:
        start_tty(tty)
        process_echoes(tty)
    tty.write_wait.wake_all()
    tty.read_wait.wake_all()


def _switch_mode(data: NTty, canonical: bool) -> None:
    """ICANON was changed: what is in the buffer becomes one line, or no lines."""
    data.eols.clear()
    if not canonical or not data.buf:
        data.canon_head = data.tail
    else:
        data.eols.add(data.head - 1)
        data.canon_head = data.head
    data.erasing = data.lnext = False


def _special_chars(termios: Termios2) -> frozenset[int]:
    iflag, lflag, cc = termios.c_iflag, termios.c_lflag, termios.c_cc
    chars: set[int] = set()
    keys: list[int] = []
    if iflag & (IGNCR | ICRNL):
        chars.add(_CR)
    if iflag & INLCR:
        chars.add(_NL)
    if lflag & ICANON:
        chars.add(_NL)
        keys += _CANON_KEYS
        if lflag & IEXTEN:
            keys += (VWERASE, VLNEXT, VEOL2)
            if lflag & ECHO:
                keys.append(VREPRINT)
    if iflag & IXON:
        keys += (VSTART, VSTOP)
    if lflag & ISIG:
        keys += (VINTR, VQUIT, VSUSP)
    chars.update(cc[key] for key in keys)
    chars.discard(DISABLED)
    return frozenset(chars)


# -- receiving


def receive_buf(tty: Tty, text: bytes) -> int:
    """Characters from the line; how many were taken (the rest waits for room)."""
    data: NTty = tty.ldisc
    taken = 0
    while taken < len(text):
        room = N_TTY_BUF_SIZE - len(data.buf)
        if tty.termios.c_iflag & PARMRK:
            room = (room + 2) // 3
        room -= 1
        if room <= 0:
            # A line longer than the buffer: the last character is overwritten until it ends.
            if not (data.icanon and data.canon_head == data.tail):
                break
            if room < 0:
                data.cut(data.head - 1)
            room = 1
        chunk = text[taken : taken + room]
        _receive(tty, data, chunk)
        taken += len(chunk)
    return taken


def _receive(tty: Tty, data: NTty, chunk: bytes) -> None:
    lflag = tty.termios.c_lflag
    if data.raw or (lflag & EXTPROC and not tty.termios.c_iflag & (ISTRIP | IUCLC)):
        data.buf += chunk
    else:
        for c in chunk:
            _receive_standard(tty, data, c)
        process_echoes(tty)
    if data.icanon and not tty.termios.c_lflag & EXTPROC:
        return
    if data.buf:
        wake_readers(tty)


def _receive_standard(tty: Tty, data: NTty, c: int) -> None:
    termios = tty.termios
    iflag, lflag = termios.c_iflag, termios.c_lflag
    if iflag & ISTRIP:
        c &= 0x7F
    if iflag & IUCLC and lflag & IEXTEN and _isupper(c):
        c += 0x20
    if data.lnext:
        data.lnext = False
        _receive_char(tty, data, c)
    elif lflag & EXTPROC:
        data.buf.append(c)
    elif c in data.special:
        _receive_special(tty, data, c)
    else:
        _receive_char(tty, data, c)


def _isupper(c: int) -> bool:
    """As the kernel's: Latin-1 letters too."""
    return 0x41 <= c <= 0x5A or (0xC0 <= c <= 0xDE and c != 0xD7)


def _receive_char(tty: Tty, data: NTty, c: int) -> None:
    """A character without a meaning: echo and store it."""
    termios = tty.termios
    _restart_any(tty)
    if termios.c_lflag & ECHO:
        _finish_erasing(data)
        if data.canon_head == data.head:
            echo_op(data, ECHO_OP_SET_CANON_COL)
        echo_char(tty, data, c)
        commit_echoes(tty, data)
    _store(tty, data, c)


def _store(tty: Tty, data: NTty, c: int) -> None:
    if c == 0xFF and tty.termios.c_iflag & PARMRK:
        data.buf.append(c)
    data.buf.append(c)


def _restart_any(tty: Tty) -> None:
    """Any character lets stopped output go on, if IXANY says so."""
    flags = tty.termios.c_iflag
    if tty.stopped and not tty.tco_stopped and flags & IXON and flags & IXANY:
        start_tty(tty)


def _receive_special(tty: Tty, data: NTty, c: int) -> None:
    termios = tty.termios
    cc, iflag, lflag = termios.c_cc, termios.c_iflag, termios.c_lflag
    if iflag & IXON and c in (cc[VSTART], cc[VSTOP]):
        if c == cc[VSTART]:
            start_tty(tty)
        else:
            stop_tty(tty)
        return
    if lflag & ISIG:
        for key, signo in ((VINTR, SIGINT), (VQUIT, SIGQUIT), (VSUSP, SIGTSTP)):
            if c == cc[key]:
                _signal_char(tty, data, signo, c)
                return
    _restart_any(tty)
    if c == _CR:
        if iflag & IGNCR:
            return
        if iflag & ICRNL:
            c = _NL
    elif c == _NL and iflag & INLCR:
        c = _CR
    if data.icanon and _receive_canon(tty, data, c):
        return
    if lflag & ECHO:
        _finish_erasing(data)
        if c == _NL:
            echo_char_raw(data, c)
        else:
            if data.canon_head == data.head:
                echo_op(data, ECHO_OP_SET_CANON_COL)
            echo_char(tty, data, c)
        commit_echoes(tty, data)
    _store(tty, data, c)


def isig(tty: Tty, signo: int) -> None:
    """Signal the foreground group; unless NOFLSH, input and output that wait are lost."""
    signal_pgrp(tty, tty.pgrp, signo)
    if not tty.termios.c_lflag & NOFLSH:
        data: NTty = tty.ldisc
        data.echoes.clear()
        tty.ops.flush_buffer(tty)
        data.reset()
        packet_flush(tty)


def packet_flush(tty: Tty) -> None:
    """Tell a master in packet mode that input was thrown away."""
    link = tty.link
    if link is not None and link.packet:
        tty.pktstatus |= TIOCPKT_FLUSHREAD
        wake_readers(link)


def _signal_char(tty: Tty, data: NTty, signo: int, c: int) -> None:
    isig(tty, signo)
    if tty.termios.c_iflag & IXON:
        start_tty(tty)
    if tty.termios.c_lflag & ECHO:
        echo_char(tty, data, c)
        commit_echoes(tty, data)
    else:
        process_echoes(tty)


def _receive_canon(tty: Tty, data: NTty, c: int) -> bool:
    """A special character in canonical mode; False if it is none after all."""
    termios = tty.termios
    cc, lflag = termios.c_cc, termios.c_lflag
    extended = lflag & IEXTEN
    if c in (cc[VERASE], cc[VKILL]) or (c == cc[VWERASE] and extended):
        _eraser(tty, data, c)
        commit_echoes(tty, data)
    elif c == cc[VLNEXT] and extended:
        data.lnext = True
        if lflag & ECHO:
            _finish_erasing(data)
            if lflag & ECHOCTL:
                data.echoes += b"^\b"
                commit_echoes(tty, data)
    elif c == cc[VREPRINT] and extended and lflag & ECHO:
        _reprint(tty, data, c)
    elif c == _NL:
        if lflag & (ECHO | ECHONL):
            echo_char_raw(data, c)
            commit_echoes(tty, data)
        _end_line(tty, data, c)
    elif c == cc[VEOF]:
        _end_line(tty, data, DISABLED)
    elif c == cc[VEOL] or (c == cc[VEOL2] and extended):
        if lflag & ECHO:
            if data.canon_head == data.head:
                echo_op(data, ECHO_OP_SET_CANON_COL)
            echo_char(tty, data, c)
            commit_echoes(tty, data)
        if c == 0xFF and termios.c_iflag & PARMRK:
            data.buf.append(c)
        _end_line(tty, data, c)
    else:
        return False
    return True


def _end_line(tty: Tty, data: NTty, c: int) -> None:
    data.eols.add(data.head)
    data.buf.append(c)
    data.canon_head = data.head
    wake_readers(tty)


def _reprint(tty: Tty, data: NTty, c: int) -> None:
    _finish_erasing(data)
    echo_char(tty, data, c)
    echo_char_raw(data, _NL)
    for typed in data.buf[data.canon_head - data.tail :]:
        echo_char(tty, data, typed)
    commit_echoes(tty, data)


# -- erasing


def _finish_erasing(data: NTty) -> None:
    """The end of an ECHOPRT erasure."""
    if data.erasing:
        data.erasing = False
        echo_char_raw(data, 0x2F)


def _eraser(tty: Tty, data: NTty, c: int) -> None:
    """VERASE, VWERASE or VKILL."""
    if data.head == data.canon_head:
        return
    cc, lflag = tty.termios.c_cc, tty.termios.c_lflag
    if c == cc[VERASE]:
        _erase_one(tty, data, one=True)
    elif c == cc[VWERASE]:
        _erase_word(tty, data)
    elif not lflag & ECHO:
        data.cut(data.canon_head)
        return
    elif not lflag & ECHOK or not lflag & ECHOKE or not lflag & ECHOE:
        data.cut(data.canon_head)
        _finish_erasing(data)
        echo_char(tty, data, cc[VKILL])
        if lflag & ECHOK:
            echo_char_raw(data, _NL)
        return
    else:
        while data.head != data.canon_head:
            if not _erase_one(tty, data, one=False):
                break
    if data.head == data.canon_head and lflag & ECHO:
        _finish_erasing(data)


def _isalnum(c: int) -> bool:
    """As the kernel's: Latin-1 letters too."""
    return chr(c).isalnum() if c < 0x80 else c >= 0xC0 and c not in (0xD7, 0xF7)


def _erase_word(tty: Tty, data: NTty) -> None:
    seen = False
    while data.head != data.canon_head:
        at = _char_start(tty, data)
        if at < 0:
            return
        c = data.buf[at - data.tail]
        if _isalnum(c) or c == 0x5F:
            seen = True
        elif seen:
            return
        _erase_one(tty, data, one=False)


def _char_start(tty: Tty, data: NTty) -> int:
    """Where the last (perhaps multi-byte) character begins; -1 if its start isn't there."""
    at = data.head - 1
    while is_continuation(tty, data.buf[at - data.tail]) and at != data.canon_head:
        at -= 1
    return -1 if is_continuation(tty, data.buf[at - data.tail]) else at


def _erase_one(tty: Tty, data: NTty, one: bool) -> bool:
    """Take the last character back and show it. `one`: asked for by VERASE."""
    at = _char_start(tty, data)
    if at < 0:
        return False
    gone = bytes(data.buf[at - data.tail :])
    data.cut(at)
    c = gone[0]
    lflag = tty.termios.c_lflag
    if not lflag & ECHO:
        return True
    if lflag & ECHOPRT:
        if not data.erasing:
            echo_char_raw(data, 0x5C)
            data.erasing = True
        echo_char(tty, data, c)
        for more in gone[1:]:
            echo_char_raw(data, more)
            echo_op(data, ECHO_OP_MOVE_BACK_COL)
    elif one and not lflag & ECHOE:
        echo_char(tty, data, tty.termios.c_cc[VERASE])
    elif c == _TAB:
        _echo_erase_tab(tty, data)
    else:
        if iscntrl(c) and lflag & ECHOCTL:
            data.echoes += b"\b \b"
        if not iscntrl(c) or lflag & ECHOCTL:
            data.echoes += b"\b \b"
    return True


def _echo_erase_tab(tty: Tty, data: NTty) -> None:
    """How many columns are used in the field of the tab that was erased."""
    chars = 0
    after_tab = 0
    for c in reversed(data.buf[data.canon_head - data.tail :]):
        if c == _TAB:
            after_tab = 0x80
            break
        if iscntrl(c):
            if tty.termios.c_lflag & ECHOCTL:
                chars += 2
        elif not is_continuation(tty, c):
            chars += 1
    echo_op(data, ECHO_OP_ERASE_TAB, chars & 7 | after_tab)


def flush_input(tty: Tty) -> None:
    """tcflush(TCIFLUSH)."""
    data: NTty = tty.ldisc
    data.reset()
    packet_flush(tty)
