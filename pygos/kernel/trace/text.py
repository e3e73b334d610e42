# SPDX-License-Identifier: Apache-2.0
"""How strace(1) writes plain values: strings, addresses, numbers, sets of signals."""

from __future__ import annotations

from typing import Final

from pygos.include.uapi import symbols
from pygos.include.uapi.kdev_t import major, minor

#: Bytes shown of a string that is data (strace -s), and elements of an array.
STRING_MAX: Final = 32
ARRAY_MAX: Final = 32
_M32: Final = 0xFFFF_FFFF
_ESCAPES: Final = {
    0x09: "\\t", 0x0A: "\\n", 0x0B: "\\v", 0x0C: "\\f", 0x0D: "\\r", 0x22: '\\"', 0x5C: "\\\\",
}  # fmt: skip
_DIGITS: Final = frozenset(b"0123456789")
_NSIG: Final = 64
#: From this many signals on a set is shown by what is not in it.
_MOST: Final = _NSIG * 2 // 3


def i32(value: int) -> int:
    """The low half of a register as a C int."""
    return ((value & _M32) ^ 0x8000_0000) - 0x8000_0000


def i64(value: int) -> int:
    """A register as a C long."""
    return (value ^ 0x8000_0000_0000_0000) - 0x8000_0000_0000_0000


def ptr(value: int) -> str:
    """An address, or NULL."""
    return hex(value) if value else "NULL"


def hexa(value: int) -> str:
    """As printf("%#x"): zero has no prefix."""
    return hex(value) if value else "0"


def octal(value: int) -> str:
    """As printf("%#03o"): permissions."""
    digits = f"{value:o}"
    return "0" + digits if len(digits) >= 3 else digits.zfill(3)


def quote(data: bytes, limit: int = STRING_MAX, more: bool = False) -> str:
    """A C string literal; "..." follows if it was cut or the caller says there is more."""
    if len(data) > limit:
        data = data[:limit]
        more = True
    return f'"{_escape(data)}"' + ("..." if more else "")


def _escape(data: bytes) -> str:
    if data.isascii():
        text = data.decode("ascii")
        if text.isprintable() and '"' not in text and "\\" not in text:
            return text
    parts: list[str] = []
    last = len(data) - 1
    for at, byte in enumerate(data):
        escape = _ESCAPES.get(byte)
        if escape is not None:
            parts.append(escape)
        elif 0x20 <= byte < 0x7F:
            parts.append(chr(byte))
        elif at < last and data[at + 1] in _DIGITS:
            parts.append(f"\\{byte:03o}")
        else:
            parts.append(f"\\{byte:o}")
    return "".join(parts)


def quote_hex(data: bytes, more: bool = False) -> str:
    """A string of \\x escapes, for data that is random."""
    if len(data) > STRING_MAX:
        data = data[:STRING_MAX]
        more = True
    inner = "".join([f"\\x{byte:02x}" for byte in data])
    return f'"{inner}"' + ("..." if more else "")


def cstring(data: bytes) -> str:
    """A char array of a struct: up to its NUL."""
    return quote(data.partition(b"\0")[0], 255)


def sigset(mask: int) -> str:
    """A signal set: "[INT CHLD]", "~[KILL]" if most are in it."""
    sign = ""
    if mask.bit_count() >= _MOST:
        sign = "~"
        mask = ~mask
    names = [_short_signal(n + 1) for n in range(_NSIG) if mask >> n & 1]
    return f"{sign}[{' '.join(names)}]"


def _short_signal(signo: int) -> str:
    return symbols.signal(signo).removeprefix("SIG")


def file_mode(value: int) -> str:
    """A st_mode: "S_IFDIR|S_ISVTX|0777"."""
    parts = []
    kind = value & 0o170000
    if kind:
        parts.append(symbols.KINDS.name(kind) or octal(kind))
    for bit, name in ((0o4000, "S_ISUID"), (0o2000, "S_ISGID"), (0o1000, "S_ISVTX")):
        if value & bit:
            parts.append(name)
    parts.append(octal(value & 0o777))
    return "|".join(parts)


def device(dev: int) -> str:
    """A device number."""
    return f"makedev({hexa(major(dev))}, {hexa(minor(dev))})"


def wait_status(status: int) -> str:
    """A wait status as the macros that are true of it."""
    if status == 0xFFFF:
        return "{WIFCONTINUED(s)}"
    if status & 0xFF == 0x7F:
        return f"{{WIFSTOPPED(s) && WSTOPSIG(s) == {symbols.signal(status >> 8 & 0xFF)}}}"
    if status & 0x7F == 0:
        return f"{{WIFEXITED(s) && WEXITSTATUS(s) == {status >> 8 & 0xFF}}}"
    core = " && WCOREDUMP(s)" if status & 0x80 else ""
    return f"{{WIFSIGNALED(s) && WTERMSIG(s) == {symbols.signal(status & 0x7F)}{core}}}"


def open_flags(value: int) -> str:
    """Flags of open(2), in the order strace has them."""
    text = symbols.OPEN.flags(value & ~0x1000_0000_0000)
    if "|O_DIRECTORY" in text:
        text = text.replace("|O_DIRECTORY", "") + "|O_DIRECTORY"
    return text


def array(items: list[str], total: int, separator: str = ", ") -> str:
    """A list in brackets, with dots if there were more than are shown."""
    if total > len(items):
        items = [*items, "..."]
    return f"[{separator.join(items)}]"
