# SPDX-License-Identifier: Apache-2.0
"""``#!`` scripts (fs/binfmt_script.c, execve(2) "Interpreter scripts")."""

from __future__ import annotations

from pygos.fs.exec import BINPRM_BUF_SIZE, BinaryFormat, BinPrm
from pygos.include.errno import ENOEXEC


class ScriptFormat(BinaryFormat):
    """Runs ``#!INTERPRETER [ARG]`` as INTERPRETER [ARG] SCRIPT ARGS..."""

    __slots__ = ()
    name = "script"

    def load(self, prm: BinPrm) -> bool:
        if not prm.buf.startswith(b"#!"):
            raise ENOEXEC
        interpreter, argument = parse_line(prm.buf)
        head = [interpreter] + ([argument] if argument else [])
        prm.argv[:1] = [*head, prm.filename]
        prm.interpreter = interpreter
        prm.filename = interpreter
        return False


def parse_line(buf: bytes) -> tuple[bytes, bytes]:
    """Interpreter and optional single argument of a first line.

    ENOEXEC if there is no interpreter or its path is cut off by the 256-byte buffer.
    """
    end = buf.find(b"\n", 2, BINPRM_BUF_SIZE)
    if end < 0:
        line = buf[2:].split(b"\0", 1)[0]
        # The interpreter must end within the buffer; an argument may be cut.
        words = line.lstrip(b" \t")
        if len(line) + 2 >= BINPRM_BUF_SIZE and not any(c in words for c in b" \t"):
            raise ENOEXEC
    else:
        line = buf[2:end].split(b"\0", 1)[0]
    line = line.strip(b" \t")
    if not line:
        raise ENOEXEC
    for at, byte in enumerate(line):
        if byte in b" \t":
            return line[:at], line[at:].strip(b" \t")
    return line, b""
