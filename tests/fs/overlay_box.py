# SPDX-License-Identifier: Apache-2.0
"""A machine whose root is an overlay of a tmpfs over a directory of the host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pygos.fs.hostfs import HostfsType
from pygos.fs.namespace import kern_mount, new_mnt_ns
from pygos.fs.overlayfs import OverlayType, mount_overlay
from pygos.fs.tmpfs import TmpfsType
from pygos.host.files import HostFiles
from pygos.include.linux import fs
from tests.fs.box import Box


class OverlayBox(Box):
    """`upper` is the mount of the tmpfs, to look at what has been recorded."""

    def __init__(self, lower: Path, data: str = "", pages: int = 4096) -> None:
        super().__init__(HostfsType(), pages=pages, host=HostFiles(str(lower)))
        self.register(TmpfsType(), OverlayType())
        self.upper = kern_mount(self.task, "tmpfs", "upper", 0, data)
        upper = fs.Path(self.upper, self.upper.mnt_root)
        sb = mount_overlay(self.machine, self.mnt, upper)
        self.mnt = self.machine.new_mount(sb.s_root, "overlay")
        self.machine.init_mnt_ns = new_mnt_ns(self.machine, self.mnt)
        self.enter()

    def upper_tree(self) -> dict[bytes, Any]:
        """What is above, whiteouts as None."""
        ns = self.machine.init_mnt_ns
        here = self.task.fs
        self.machine.init_mnt_ns = new_mnt_ns(self.machine, self.upper)
        self.enter()
        try:
            return self.tree()
        finally:
            self.machine.init_mnt_ns = ns
            self.task.fs = here


def snapshot(top: Path) -> dict[str, Any]:
    """Everything about a host tree that a guest must not change."""
    found: dict[str, Any] = {}
    for path in sorted(top.rglob("*")):
        info = path.lstat()
        data = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        found[str(path)] = (
            info.st_mode, info.st_ino, info.st_uid, info.st_gid, info.st_nlink, info.st_mtime_ns,
            info.st_ctime_ns, data,
        )  # fmt: skip
    return found
