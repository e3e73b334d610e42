# SPDX-License-Identifier: Apache-2.0
"""A machine with a mount tree and one task, whose methods are a program's file operations.

Host file systems are real directories below pytest's tmp_path.
"""

from __future__ import annotations

import stat as st
from typing import Any

from pygos.fs import namei_calls as names
from pygos.fs.attr import notify_change
from pygos.fs.file_table import fput
from pygos.fs.namespace import do_mount_internal, follow_mount
from pygos.fs.open import build_open_flags, do_filp_open
from pygos.fs.readdir import Getdents64, iterate_dir
from pygos.fs.stat import vfs_getattr
from pygos.fs.walk import LOOKUP_FOLLOW, path_lookup
from pygos.include.linux.cred import Cred
from pygos.include.linux.fs import (
    ATTR_CTIME,
    ATTR_GID,
    ATTR_MODE,
    ATTR_MTIME,
    ATTR_UID,
    File,
    FsStruct,
    Iattr,
    Kstat,
    Path,
)
from pygos.include.linux.sched import NsProxy, UtsNamespace
from pygos.include.uapi import fcntl as f
from pygos.init.namespaces import NS_MODULES
from pygos.mm.uaccess import KernelBuffer
from tests.support.fakes import fake_machine, fake_task


class Box:
    """A machine whose root is `fstype` mounted with `data`, or what `root` says."""

    def __init__(self, fstype: Any, data: str = "", pages: int = 4096, host: Any = None) -> None:
        self.machine = fake_machine(pages)
        self.task = fake_task(self.machine)
        self.machine.init_task = self.task
        self.machine.host = {"files": host}
        self.register(fstype)
        self.mnt = do_mount_internal(self.machine, fstype.name, "none", None, 0, data)
        self.enter()

    def register(self, *fstypes: Any) -> None:
        for fstype in fstypes:
            self.machine.filesystems[fstype.name] = fstype

    def enter(self) -> None:
        """The task stands in the root of the init mount namespace."""
        root = self.machine.init_mnt_ns.root
        place = follow_mount(Path(root, root.mnt_root))
        self.task.fs = FsStruct(place, place, 0)
        self.task.nsproxy = NsProxy(UtsNamespace("box"), self.machine.init_mnt_ns)
        self.machine.ns_modules = NS_MODULES

    def become(self, uid: int, gid: int, *groups: int) -> None:
        caps = (1 << 41) - 1 if uid == 0 else 0
        self.task.cred = Cred(uid, gid, uid, gid, uid, gid, uid, gid, groups, 0, caps, caps)

    # -- places

    def path(self, name: bytes, follow: bool = True) -> Path:
        return path_lookup(self.task, f.AT_FDCWD, name, LOOKUP_FOLLOW if follow else 0)

    def stat(self, name: bytes) -> Kstat:
        path = self.path(name)
        return vfs_getattr(self.task, path, path.inode)

    def lstat(self, name: bytes) -> Kstat:
        path = self.path(name, False)
        return vfs_getattr(self.task, path, path.inode)

    def exists(self, name: bytes) -> bool:
        from pygos.include.errno import ENOENT

        try:
            self.path(name, False)
        except ENOENT:
            return False
        return True

    # -- files

    def open(self, name: bytes, flags: int = f.O_RDONLY, mode: int = 0o644) -> File:
        flags, mode = build_open_flags(flags, mode, False)
        return do_filp_open(self.task, f.AT_FDCWD, name, flags, mode)

    def close(self, file: File) -> None:
        fput(file)

    def pread(self, file: File, count: int = 1 << 20, pos: int = 0) -> bytes:
        data = bytearray(count)
        got = file.f_op.read(self.task, file, KernelBuffer(data), pos)
        return bytes(data[:got])

    def pwrite(self, file: File, data: bytes, pos: int = 0) -> int:
        return file.f_op.write(self.task, file, KernelBuffer(data), pos)

    def read(self, name: bytes) -> bytes:
        file = self.open(name)
        try:
            return self.pread(file, file.f_inode.i_size + 4096)
        finally:
            fput(file)

    def write(self, name: bytes, data: bytes, mode: int = 0o644) -> None:
        file = self.open(name, f.O_WRONLY | f.O_CREAT | f.O_TRUNC, mode)
        try:
            pos = 0
            while pos < len(data):
                pos += self.pwrite(file, data[pos:], pos)
        finally:
            fput(file)

    # -- directories

    def entries(self, name: bytes, room: int = 1 << 16) -> list[tuple[bytes, int, int]]:
        """All entries but the dots: (name, ino, DT_*), read `room` bytes at a time."""
        file = self.open(name, f.O_RDONLY | f.O_DIRECTORY)
        found = []
        try:
            while True:
                ctx = Getdents64(file.f_pos, room)
                iterate_dir(self.task, file, ctx)
                if not ctx.records:
                    break
                for record in ctx.records:
                    ino = int.from_bytes(record[:8], "little")
                    found.append((record[19:].split(b"\0")[0], ino, record[18]))
        finally:
            fput(file)
        return [entry for entry in found if entry[0] not in (b".", b"..")]

    def ls(self, name: bytes = b"/") -> list[bytes]:
        return sorted(entry[0] for entry in self.entries(name))

    def mkdir(self, name: bytes, mode: int = 0o755) -> None:
        names.mkdir(self.task, name, mode)

    def rmdir(self, name: bytes) -> None:
        names.rmdir(self.task, name)

    def unlink(self, name: bytes) -> None:
        names.unlink(self.task, name)

    def symlink(self, target: bytes, name: bytes) -> None:
        names.symlink(self.task, target, name)

    def readlink(self, name: bytes) -> bytes:
        path = self.path(name, False)
        return path.inode.i_op.readlink(self.task, path.inode)

    def link(self, old: bytes, new: bytes) -> None:
        names.link(self.task, old, new)

    def rename(self, old: bytes, new: bytes, flags: int = 0) -> None:
        names.renameat2(self.task, f.AT_FDCWD, old, f.AT_FDCWD, new, flags)

    def mknod(self, name: bytes, mode: int, rdev: int = 0) -> None:
        names.mknod(self.task, name, mode, rdev)

    # -- attributes

    def setattr(self, name: bytes, attr: Iattr) -> None:
        notify_change(self.task, self.path(name).dentry, attr)

    def chmod(self, name: bytes, mode: int) -> None:
        self.setattr(name, Iattr(ATTR_MODE | ATTR_CTIME, mode=mode))

    def chown(self, name: bytes, uid: int, gid: int) -> None:
        self.setattr(name, Iattr(ATTR_UID | ATTR_GID | ATTR_CTIME, uid=uid, gid=gid))

    def truncate(self, name: bytes, size: int) -> None:
        from pygos.fs.attr import do_truncate

        do_truncate(self.task, self.path(name).dentry, size, ATTR_MTIME | ATTR_CTIME)

    def setxattr(self, name: bytes, key: bytes, value: bytes, flags: int = 0) -> None:
        inode = self.path(name).inode
        inode.i_op.setxattr(self.task, inode, key, value, flags)

    def getxattr(self, name: bytes, key: bytes) -> bytes:
        inode = self.path(name).inode
        return inode.i_op.getxattr(self.task, inode, key)

    def listxattr(self, name: bytes) -> list[bytes]:
        inode = self.path(name).inode
        return inode.i_op.listxattr(self.task, inode)

    def tree(self, top: bytes = b"/") -> dict[bytes, Any]:
        """All names below `top`: contents of files, targets of links, None for others."""
        found: dict[bytes, Any] = {}
        for name in self.ls(top):
            path = top.rstrip(b"/") + b"/" + name
            mode = self.lstat(path).mode
            if st.S_ISDIR(mode):
                found[path] = "dir"
                found.update(self.tree(path))
            elif st.S_ISLNK(mode):
                found[path] = b"-> " + self.readlink(path)
            else:
                found[path] = self.read(path) if st.S_ISREG(mode) else None
        return found
