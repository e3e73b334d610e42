# SPDX-License-Identifier: Apache-2.0
"""Where the daemon of a user listens, and who may be there.

Imported by every ``pygos run`` before anything else, so it imports next to nothing itself.
"""

from __future__ import annotations

import os

_DIRECTORY_MODE = 0o40700


def directory() -> str:
    """The user's own directory for sockets of pygos; it need not exist."""
    base = os.environ.get("XDG_RUNTIME_DIR", "")
    if base.startswith("/"):
        return base.rstrip("/") + "/pygos"
    return f"/tmp/pygos-{os.getuid()}"


def is_private(path: str) -> bool:
    """Is that a directory that this user, and nobody else, can make files in?"""
    try:
        st = os.lstat(path)
    except OSError:
        return False
    return st.st_mode == _DIRECTORY_MODE and st.st_uid == os.geteuid()


def socket_path() -> str:
    """The daemon's socket. At most 107 bytes can be bound or connected to."""
    return directory() + "/daemon"
