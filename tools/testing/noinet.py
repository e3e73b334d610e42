#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run a program natively without AF_INET and AF_INET6: noinet.py PROGRAM [ARG...]

A seccomp filter lets socket(2) fail with EAFNOSUPPORT for both, as a machine without network
does. So a test suite's run inside a machine can be compared with a native one exactly.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
AF_INET, AF_INET6, EAFNOSUPPORT, SYS_SOCKET = 2, 10, 97, 41
LD_ABS, JEQ, RET = 0x20, 0x15, 0x06
NR, ARG0 = 0, 16
#: (code, jump if true, jump if false, operand)
FILTER = (
    (LD_ABS, 0, 0, NR),
    (JEQ, 0, 4, SYS_SOCKET),
    (LD_ABS, 0, 0, ARG0),
    (JEQ, 1, 0, AF_INET),
    (JEQ, 0, 1, AF_INET6),
    (RET, 0, 0, 0x0005_0000 | EAFNOSUPPORT),
    (RET, 0, 0, 0x7FFF_0000),
)


def install() -> None:
    """Install the filter for this process and its children."""
    code = b"".join(struct.pack("=HBBI", *insn) for insn in FILTER)
    text = ctypes.create_string_buffer(code)
    program = struct.pack("=H6xQ", len(FILTER), ctypes.addressof(text))
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() != 0:
        libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_SECCOMP)")


if __name__ == "__main__":
    install()
    os.execvp(sys.argv[1], sys.argv[1:])
