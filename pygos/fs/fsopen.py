# SPDX-License-Identifier: Apache-2.0
"""Mounting step by step: fsopen(2), fsconfig(2), fsmount(2), fspick(2)."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final

from pygos.fs.anon_inodes import anon_inode_getfd
from pygos.fs.mount import may_mount, path_mounted
from pygos.fs.namespace import check_room
from pygos.fs.open_tree import FSMOUNT_ATTRS, atime_flags, attr_flags, tree_fd
from pygos.fs.super import deactivate, get_fs_type
from pygos.fs.walk import LOOKUP_EMPTY, LOOKUP_FOLLOW, path_lookup
from pygos.include.errno import (
    EBUSY,
    EINVAL,
    ENAMETOOLONG,
    ENODATA,
    EOPNOTSUPP,
    EPERM,
)
from pygos.include.linux.fs import SB_RDONLY, File, FileOperations
from pygos.include.linux.syscalls import DirFd, Fd, Int, PathArg, UInt, UserAddr, syscall
from pygos.include.uapi import mount as uapi
from pygos.include.uapi.capability import CAP_SYS_ADMIN
from pygos.include.uapi.fcntl import O_RDWR

if TYPE_CHECKING:
    from pygos.include.linux.fs import FileSystemType, SuperBlock
    from pygos.include.linux.mm_types import IoBuffer
    from pygos.include.linux.sched import Task

_KEY_MAX: Final = 256
#: The most that all options together may be, bytes.
_OPTIONS_MAX: Final = 4096
_PICK_FLAGS: Final = (
    uapi.FSPICK_CLOEXEC | uapi.FSPICK_SYMLINK_NOFOLLOW | uapi.FSPICK_NO_AUTOMOUNT
    | uapi.FSPICK_EMPTY_PATH
)  # fmt: skip


class Phase(IntEnum):
    """What a context waits for."""

    CREATE_PARAMS = 0
    AWAITING_MOUNT = 1
    RECONF_PARAMS = 2
    FAILED = 3


class FsContext:
    """struct fs_context: a mount in the making, or a reconfiguration."""

    __slots__ = ("kind", "options", "phase", "rdonly", "sb", "source")

    def __init__(self, kind: FileSystemType, sb: SuperBlock | None) -> None:
        self.kind = kind
        self.sb = sb
        self.phase = Phase.CREATE_PARAMS if sb is None else Phase.RECONF_PARAMS
        self.source: str | None = None
        self.options: list[str] = []
        self.rdonly = sb is not None and bool(sb.s_flags & SB_RDONLY)

    def set(self, key: str, value: str | None) -> None:
        """One parameter. EINVAL."""
        if key == "source":
            if value is None or self.source is not None:
                raise EINVAL
            self.source = value
        elif key in ("ro", "rw"):
            self.rdonly = key == "ro"
        else:
            option = key if value is None else f"{key}={value}"
            if sum(map(len, self.options)) + len(option) > _OPTIONS_MAX or "," in option:
                raise EINVAL
            self.options.append(option)


class FsContextFileOperations(FileOperations):
    """Its descriptor. There are no messages to read."""

    __slots__ = ()

    def read(self, task: Task, file: File, buf: IoBuffer, pos: int) -> int:
        raise ENODATA

    def release(self, file: File) -> None:
        context: FsContext = file.private_data
        if context.sb is not None:
            deactivate(context.sb)
            context.sb = None


_FOPS: Final = FsContextFileOperations()


def _context_fd(task: Task, context: FsContext, cloexec: bool) -> int:
    if context.sb is not None:
        context.sb.s_active += 1
    return anon_inode_getfd(task, b"[fscontext]", _FOPS, context, O_RDWR, cloexec)


@syscall
def fsopen(task: Task, fs_name: PathArg, flags: UInt) -> int:
    """Begin a mount of a kind of file system. fsopen(2). Errors: EPERM, EINVAL, ENODEV, EMFILE."""
    if not may_mount(task):
        raise EPERM
    if flags & ~uapi.FSOPEN_CLOEXEC:
        raise EINVAL
    kind = get_fs_type(task.machine, fs_name.decode("utf-8", "surrogateescape"))
    return _context_fd(task, FsContext(kind, None), bool(flags & uapi.FSOPEN_CLOEXEC))


@syscall
def fspick(task: Task, dfd: DirFd, path: PathArg, flags: UInt) -> int:
    """Begin the reconfiguration of what is mounted at a place. fspick(2). EPERM, EINVAL."""
    if not may_mount(task):
        raise EPERM
    if flags & ~_PICK_FLAGS:
        raise EINVAL
    how = 0 if flags & uapi.FSPICK_SYMLINK_NOFOLLOW else LOOKUP_FOLLOW
    how |= LOOKUP_EMPTY if flags & uapi.FSPICK_EMPTY_PATH else 0
    place = path_lookup(task, dfd, path, how)
    if not path_mounted(place):
        raise EINVAL
    sb = place.mnt.mnt_sb
    return _context_fd(task, FsContext(sb.s_type, sb), bool(flags & uapi.FSPICK_CLOEXEC))


# -- fsconfig


def _check_args(cmd: int, key: int, value: int, aux: int) -> None:
    """Which arguments a command must have. EINVAL, EOPNOTSUPP."""
    if cmd == uapi.FSCONFIG_SET_FLAG:
        wrong = not key or value or aux
    elif cmd == uapi.FSCONFIG_SET_STRING:
        wrong = not key or not value or aux
    elif cmd == uapi.FSCONFIG_SET_BINARY:
        wrong = not key or not value or not 0 < aux <= 1 << 20
    elif cmd in (uapi.FSCONFIG_SET_PATH, uapi.FSCONFIG_SET_PATH_EMPTY):
        wrong = not key or not value
    elif cmd == uapi.FSCONFIG_SET_FD:
        wrong = not key or value or aux < 0
    elif cmd in (
        uapi.FSCONFIG_CMD_CREATE, uapi.FSCONFIG_CMD_RECONFIGURE, uapi.FSCONFIG_CMD_CREATE_EXCL,
    ):  # fmt: skip
        wrong = key or value or aux
    else:
        raise EOPNOTSUPP
    if wrong:
        raise EINVAL


def _string(task: Task, addr: int) -> str:
    assert task.mm is not None
    try:
        raw = task.mm.read_cstr(addr, _KEY_MAX)
    except ENAMETOOLONG:
        raise EINVAL from None
    return raw.decode("utf-8", "surrogateescape")


@syscall(partial="options are looked at when the instance is made, not one by one.")
def fsconfig(task: Task, fd: Fd, cmd: UInt, key: UserAddr, value: UserAddr, aux: Int) -> int:
    """Set a parameter of a mount in the making, or act. fsconfig(2).

    Errors: EINVAL, EOPNOTSUPP, EBADF, EBUSY, EPERM, and what the file system says.
    """
    if fd < 0:
        raise EINVAL
    _check_args(cmd, key, value, aux)
    file = task.files.fd.get(fd)
    if file is None or file.f_op is not _FOPS:
        raise EINVAL
    context: FsContext = file.private_data
    if cmd == uapi.FSCONFIG_CMD_CREATE or cmd == uapi.FSCONFIG_CMD_CREATE_EXCL:
        return _create(task, context, cmd == uapi.FSCONFIG_CMD_CREATE_EXCL)
    if cmd == uapi.FSCONFIG_CMD_RECONFIGURE:
        return _reconfigure(task, context)
    name = _string(task, key)
    text = _string(task, value) if cmd == uapi.FSCONFIG_SET_STRING else None
    if context.phase not in (Phase.CREATE_PARAMS, Phase.RECONF_PARAMS):
        raise EBUSY
    if cmd not in (uapi.FSCONFIG_SET_FLAG, uapi.FSCONFIG_SET_STRING):
        raise EINVAL
    context.set(name, text)
    return 0


def _create(task: Task, context: FsContext, exclusive: bool) -> int:
    if context.phase is not Phase.CREATE_PARAMS:
        raise EBUSY
    kind = context.kind
    ruled = kind.user_ns(task) if kind.userns_mount else None
    if not task.cred.ns_capable(ruled, CAP_SYS_ADMIN):
        raise EPERM
    context.phase = Phase.FAILED
    flags = uapi.MS_RDONLY if context.rdonly else 0
    sb = kind.mount(task, context.source or "none", flags, ",".join(context.options))
    machine = task.machine
    if sb in machine.supers:
        if exclusive:
            raise EBUSY
    else:
        machine.supers.append(sb)
        sb.s_user_ns = ruled
    sb.s_flags |= SB_RDONLY if context.rdonly else 0
    sb.s_active += 1
    context.sb = sb
    context.phase = Phase.AWAITING_MOUNT
    return 0


def _reconfigure(task: Task, context: FsContext) -> int:
    if context.phase is not Phase.RECONF_PARAMS:
        raise EBUSY
    sb = context.sb
    assert sb is not None
    if not task.cred.ns_capable(sb.s_user_ns, CAP_SYS_ADMIN):
        raise EPERM
    flags = uapi.MS_RDONLY if context.rdonly else 0
    sb.s_op.remount(sb, flags, ",".join(context.options))
    context.options = []
    return 0


@syscall
def fsmount(task: Task, fs_fd: Fd, flags: UInt, attr: UInt) -> int:
    """A descriptor of a new, detached mount of what was configured. fsmount(2).

    Errors: EPERM, EINVAL, EBADF, EBUSY, EMFILE.
    """
    if not may_mount(task):
        raise EPERM
    if flags & ~uapi.FSMOUNT_CLOEXEC or attr & ~FSMOUNT_ATTRS:
        raise EINVAL
    wanted = attr_flags(attr) | atime_flags(attr)
    file = task.files.fd.get(fs_fd)
    if file is None or file.f_op is not _FOPS:
        raise EINVAL
    context: FsContext = file.private_data
    sb = context.sb
    if sb is None:
        raise EINVAL
    if context.phase is not Phase.AWAITING_MOUNT:
        raise EBUSY
    if context.kind.userns_visible and task.cred.user_ns is not None:
        from pygos.fs.mount import check_revealing

        check_revealing(task, sb, wanted)
    check_room(task.machine, None, 1)
    mnt = task.machine.new_mount(sb.s_root, context.source or "none", wanted)
    try:
        fd = tree_fd(task, mnt, bool(flags & uapi.FSMOUNT_CLOEXEC))
    except BaseException:
        deactivate(sb)
        raise
    context.phase = Phase.RECONF_PARAMS
    context.options = []
    return fd
