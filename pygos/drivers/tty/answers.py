# SPDX-License-Identifier: Apache-2.0
"""What a program must not make the user's terminal say.

Terminals answer some control sequences: what they are, where the cursor is, what the window's
title or the clipboard holds. The answer is typed into whatever reads the terminal next, which
after the end of a run is the user's shell. So on their way to the host's terminal sequences
that ask, that read or set the clipboard, that program keys or pass text on to another terminal
are taken out; everything else goes through unchanged. ``pygos run --tty=raw`` does without.
"""

from __future__ import annotations

from typing import Final

_ESC, _BEL, _ENQ, _CAN, _SUB = 0x1B, 0x07, 0x05, 0x18, 0x1A
#: The second byte of two that begin a string up to ST, and the single bytes that mean the same.
_STRINGS: Final = {0x50: b"P", 0x58: b"X", 0x5D: b"]", 0x5E: b"^", 0x5F: b"_"}
_C1: Final = {
    0x90: 0x50, 0x98: 0x58, 0x9A: 0x5A, 0x9B: 0x5B, 0x9D: 0x5D, 0x9E: 0x5E, 0x9F: 0x5F,
}  # fmt: skip
_ST: Final = 0x9C
#: A string without an end is thrown away from here on.
_LONGEST: Final = 65536
#: CSI: (prefix + intermediates, final) of requests; "t" asks with some numbers only.
_REQUESTS: Final = frozenset((
    (b"", 0x63), (b">", 0x63), (b"=", 0x63), (b"", 0x6E), (b"?", 0x6E), (b"", 0x78),
    (b"$", 0x70), (b"?$", 0x70), (b"?", 0x75), (b">", 0x71), (b"*", 0x79), (b"$", 0x75),
    (b"$", 0x77), (b"&", 0x75), (b"'", 0x7C), (b"?", 0x53), (b">", 0x74),
))  # fmt: skip
_WINDOW_REPORTS: Final = frozenset((b"11", b"13", b"14", b"15", b"16", b"18", b"19", b"20", b"21"))


class AnswerFilter:
    """Takes requests out of a stream; keeps what has begun and not ended yet."""

    __slots__ = ("dropping", "pending")

    def __init__(self) -> None:
        self.pending = b""
        #: In a string that was too long to be looked at as a whole.
        self.dropping = False

    def feed(self, data: bytes) -> bytes:
        """What may be shown of `data` and of what was kept before."""
        plain = data.isascii() and not (b"\x1b" in data or b"\x05" in data)
        if plain and not self.pending and not self.dropping:
            return data
        text = self.pending + data
        self.pending = b""
        out = bytearray()
        at = self._skip(text) if self.dropping else 0
        while at < len(text):
            step = self._step(text, at, out)
            if not step:
                self._keep(text[at:])
                break
            at += step
        return bytes(out)

    def _keep(self, rest: bytes) -> None:
        if len(rest) > _LONGEST:
            self.dropping = True
        else:
            self.pending = rest

    def _skip(self, text: bytes) -> int:
        """The end of the string that is being dropped."""
        for at, c in enumerate(text):
            if c in (_BEL, _ST, _CAN, _SUB, _ESC):
                self.dropping = False
                return at if c == _ESC else at + 1
        return len(text)

    def _step(self, text: bytes, at: int, out: bytearray) -> int:
        """Deal with what begins at `at`; its length, 0 if its end isn't there yet."""
        c = text[at]
        if c == _ENQ:
            return 1
        if c == _ESC:
            if at + 1 == len(text):
                return 0
            return self._control(text, at, at + 1, text[at + 1], out)
        if c < 0x80:
            end = at + 1
            while end < len(text) and 0x80 > text[end] != _ESC and text[end] != _ENQ:
                end += 1
            out += text[at:end]
            return end - at
        if c in _C1:
            return self._control(text, at, at, _C1[c], out)
        return self._utf8(text, at, c, out)

    def _utf8(self, text: bytes, at: int, c: int, out: bytearray) -> int:
        size = 1 if c < 0xC2 else 2 if c < 0xE0 else 3 if c < 0xF0 else 4
        if at + size > len(text):
            return 0
        end = at + 1
        while end < at + size and text[end] & 0xC0 == 0x80:
            end += 1
        if c == 0xC2 and end - at == 2 and text[at + 1] in _C1:
            return self._control(text, at, at + 1, _C1[text[at + 1]], out)
        out += text[at:end]
        return end - at

    def _control(self, text: bytes, at: int, kind_at: int, kind: int, out: bytearray) -> int:
        """A sequence that begins at `at`; its kind is told by the byte at `kind_at`."""
        if kind == 0x5A:  # DECID: what are you?
            return kind_at + 1 - at
        if kind == 0x5B:
            return _csi(text, at, kind_at + 1, out)
        if kind in _STRINGS:
            return _string(text, at, kind_at + 1, _STRINGS[kind], out)
        out += text[at:kind_at]
        if kind == _ESC:
            return kind_at - at
        out.append(kind)
        return kind_at + 1 - at


def _csi(text: bytes, at: int, body: int, out: bytearray) -> int:
    """CSI ... final. Control characters may stand in the middle of it, and still count."""
    place = body
    while place < len(text):
        c = text[place]
        place += 1
        if c == _ESC:
            return place - 1 - at  # given up; another one begins
        if c in (_CAN, _SUB):
            return place - at
        if 0x40 <= c <= 0x7E:
            if not _asks(bytes([b for b in text[body : place - 1] if b >= 0x20]), c):
                out += text[at:place]
            return place - at
        if c >= 0x80 or place - at > 256:
            return place - at
    return 0


def _asks(parameters: bytes, final: int) -> bool:
    prefix = parameters[:1] if parameters[:1] in (b"?", b">", b"=", b"<") else b""
    middle = bytes([b for b in parameters if 0x20 <= b < 0x30])
    if (prefix + middle, final) in _REQUESTS:
        return True
    return final == 0x74 and not prefix and parameters.split(b";")[0] in _WINDOW_REPORTS


def _palette(text: bytes, body: int) -> int:
    """The end of what Linux's own console has, an OSC without ST: R, or P and seven digits."""
    first = text[body : body + 1]
    return body + 1 if first == b"R" else body + 8 if first == b"P" else -1


def _string(text: bytes, at: int, body: int, kind: bytes, out: bytearray) -> int:
    """OSC, DCS and the like, up to ST."""
    end = _palette(text, body) if kind == b"]" else -1
    if end >= 0:
        if end > len(text):
            return 0
        digits = text[body + 1 : end]
        if digits.isalnum() or not digits:
            out += text[at:end]
        return end - at
    place = body
    while place < len(text):
        c = text[place]
        if c in (_CAN, _SUB):
            return place + 1 - at
        if c == _ESC:
            if place + 1 == len(text):
                return 0
            if text[place + 1] != 0x5C:
                return place - at  # given up; another one begins
            place += 1
        elif c != _BEL and (c != _ST or text[place - 1] >= 0xC0):
            place += 1
            continue
        place += 1
        if _harmless(kind, text[body:place]):
            out += text[at:place]
        return place - at
    return 0


def _has_controls(body: bytes) -> bool:
    """ENQ or C1 characters, in either encoding: some terminals obey them within strings."""
    if _ENQ in body:
        return True
    try:
        return any(0x80 <= ord(c) < 0xA0 for c in body.decode())
    except UnicodeDecodeError:
        return any(0x80 <= c < 0xA0 for c in body)


def _harmless(kind: bytes, body: bytes) -> bool:
    """May this string be shown? Only titles, colours, links and pictures."""
    if _has_controls(body[:-1] if body[-1:] == b"\x9c" else body):
        return False
    if kind == b"]":
        words = body.rstrip(b"\x07\x1b\\").split(b";")
        return words[0] != b"52" and b"?" not in words
    if kind != b"P":
        return False
    return body.lstrip(b"0123456789;").startswith(b"q")  # sixels
