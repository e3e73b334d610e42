# SPDX-License-Identifier: Apache-2.0
"""Descriptors of processes: pidfd_open(2), pidfd_send_signal(2), pidfd_getfd(2).

A pidfd keeps meaning the process (or, with PIDFD_THREAD, the thread) it was made for, also
when its number is used again. It becomes readable when the process has ended and hangs up when
it has been waited for. What it refers to is a ``kernel.pid.PidRef``. Descriptors of the same
process have the same inode number, which no other process ever gets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pygos.fs.file_table import alloc_fd, alloc_file, fd_install, fget, fput, get_file
from pygos.include.errno import EBADF, EINVAL, ENOENT, EOPNOTSUPP, EPERM, ESRCH
from pygos.include.linux.fs import (
    FMODE_READ,
    FMODE_STREAM,
    FMODE_WRITE,
    S_IFREG,
    Dentry,
    DentryOperations,
    FileOperations,
    FileSystemType,
    Inode,
    InodeOperations,
    Path,
    SuperBlock,
    SuperOperations,
)
from pygos.include.linux.pid_namespace import find_task_by_vpid
from pygos.include.linux.sched import Task, TaskState
from pygos.include.linux.syscalls import Fd, Flags, InOrNull, Pid, Signo, UInt, syscall
from pygos.include.uapi.fcntl import O_NONBLOCK, O_RDWR
from pygos.include.uapi.magic import PID_FS_MAGIC
from pygos.include.uapi.pidfd import (
    PIDFD_NONBLOCK,
    PIDFD_SELF_THREAD,
    PIDFD_SELF_THREAD_GROUP,
    PIDFD_SIGNAL_PROCESS_GROUP,
    PIDFD_SIGNAL_THREAD,
    PIDFD_SIGNAL_THREAD_GROUP,
    PIDFD_THREAD,
)
from pygos.include.uapi.poll import POLLHUP, POLLIN, POLLRDNORM
from pygos.include.uapi.signal import SI_TKILL, SI_USER, Siginfo
from pygos.kernel.kill import kill_pgrp_checked, raw_info, send_checked, user_info
from pygos.kernel.pid import PidRef
from pygos.mm.instub import drop_task_windows
from pygos.mm.process_vm_access import may_access

if TYPE_CHECKING:
    from pygos.include.linux.fs import File, Iattr, Kstat
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import SigInfo, SignalStruct
    from pygos.include.linux.wait import WaitQueue

_SCOPES: Final = (
    0, PIDFD_SIGNAL_THREAD, PIDFD_SIGNAL_THREAD_GROUP, PIDFD_SIGNAL_PROCESS_GROUP,
)  # fmt: skip


class PidfsType(FileSystemType):
    """pidfs: internal."""

    __slots__ = ()
    name = "pidfs"


class PidfsDentryOperations(DentryOperations):
    """The name is what it was before there was a pidfs."""

    __slots__ = ()

    def d_dname(self, dentry: Dentry) -> bytes | None:
        return b"anon_inode:[pidfd]"


class PidfsInodeOperations(InodeOperations):
    """Nothing can be changed, and stat(2) shows no type."""

    __slots__ = ()
    setattr_refuses = True

    def setattr(self, task: Task, dentry: Dentry, inode: Inode, attr: Iattr) -> None:
        raise EOPNOTSUPP

    def getattr(self, task: Task, path: Path, inode: Inode) -> Kstat:
        from pygos.fs.stat import generic_fillattr

        stat = generic_fillattr(inode)
        stat.mode &= 0o7777
        return stat


class PidfdOperations(FileOperations):
    """pidfs_file_operations."""

    __slots__ = ()

    def open(self, task: Task, inode: Inode, file: File) -> None:
        file.private_data = inode.i_private

    def ioctl(self, task: Task, file: File, cmd: int, arg: int) -> int:
        from pygos.fs.pidfs_ioctl import pidfd_ioctl

        return pidfd_ioctl(task, file.private_data, cmd, arg)

    def poll(self, task: Task, file: File) -> int:
        pid: PidRef = file.private_data
        if pid.gone:
            return POLLIN | POLLRDNORM | POLLHUP
        return POLLIN | POLLRDNORM if pid.ended else 0

    def poll_queues(self, file: File) -> tuple[WaitQueue, ...]:
        pid: PidRef = file.private_data
        return (pid.group.poll_queue,)

    def fdinfo(self, file: File) -> str:
        pid: PidRef = file.private_data
        if pid.gone:
            return "Pid:\t-1\nNSpid:\t-1\n"
        target = pid.task
        numbers = str(target.pid)
        ns = target.pid_ns
        inner = ""
        while ns is not None:
            inner = f"\t{ns.to_local.get(target.pid, 0)}{inner}"
            ns = ns.parent
        return f"Pid:\t{numbers}\nNSpid:\t{numbers}{inner}\n"


class PidFs:
    """s_fs_info of the super block."""

    __slots__ = ("mnt", "numbers")

    def __init__(self, mnt: Any) -> None:
        self.mnt = mnt
        #: Inode numbers by process, or by thread.
        self.numbers: dict[SignalStruct | Task, int] = {}


_SB: Final = "pidfs"
#: So many numbers are remembered before those of the dead are dropped.
_MANY: Final = 1024
_TYPE: Final = PidfsType()
_DENTRY_OPS: Final = PidfsDentryOperations()
_INODE_OPS: Final = PidfsInodeOperations()
PIDFD_FOPS: Final = PidfdOperations()


def pidfd_create(task: Task, target: Task, flags: int) -> int:
    """A new descriptor of `target`, always close-on-exec. Errors: EMFILE, ENFILE."""
    ref = PidRef(target, bool(flags & PIDFD_THREAD))
    sb = _super(task.machine)
    dentry = Dentry(sb, None, b"")
    inode = dentry.d_inode = Inode(sb, _number(sb, ref), S_IFREG | 0o700)
    inode.i_op, inode.i_fop, inode.i_private = _INODE_OPS, PIDFD_FOPS, ref
    inode.i_atime = inode.i_mtime = inode.i_ctime = task.machine.clock.realtime()
    flags = O_RDWR | flags & (O_NONBLOCK | PIDFD_THREAD)
    mode = FMODE_READ | FMODE_WRITE | FMODE_STREAM
    fs: PidFs = sb.s_fs_info
    file = alloc_file(Path(fs.mnt, dentry), inode, flags, mode, task.cred, PIDFD_FOPS)
    file.private_data = ref
    try:
        fd = alloc_fd(task, 0, True)
    except Exception:
        fput(file)
        raise
    fd_install(task, fd, file)
    return fd


def _super(machine: Machine) -> SuperBlock:
    """The machine's pidfs, made at the first use."""
    sb: SuperBlock | None = machine.misc.get(_SB)
    if sb is None:
        sb = machine.misc[_SB] = SuperBlock(machine, _TYPE, SuperOperations())
        sb.s_magic = PID_FS_MAGIC
        sb.s_d_op = _DENTRY_OPS
        sb.s_root = Dentry(sb, None, b"/")
        sb.s_root.d_inode = Inode(sb, sb.new_ino(), 0o040000)
        sb.s_fs_info = PidFs(machine.new_mount(sb.s_root, "pidfs"))
    return sb


def _number(sb: SuperBlock, ref: PidRef) -> int:
    """The inode number of a process (of a thread, if it isn't the first one)."""
    numbers: dict[SignalStruct | Task, int] = sb.s_fs_info.numbers
    key = ref.own or ref.group
    found = numbers.get(key)
    if found is None:
        if len(numbers) >= _MANY:
            _forget_dead(numbers)
        found = numbers[key] = sb.new_ino()
    return found


def _forget_dead(numbers: dict[SignalStruct | Task, int]) -> None:
    """Nobody can ask again for the numbers of processes that have been waited for."""
    for key in tuple(numbers):
        task = key if isinstance(key, Task) else key.leader
        if task.state is TaskState.DEAD:
            del numbers[key]


def pidfd_pid(task: Task, fd: int) -> PidRef:
    """What a descriptor refers to. EBADF for anything but a pidfd."""
    file = get_file(task, fd)
    if file.f_op is not PIDFD_FOPS:
        raise EBADF
    ref: PidRef = file.private_data
    return ref


def _signal_target(task: Task, fd: int) -> PidRef:
    """As pidfd_pid(); a descriptor of /proc/PID does as well."""
    from pygos.fs.proc.base import proc_pid_dir_target

    target = proc_pid_dir_target(get_file(task, fd))
    return pidfd_pid(task, fd) if target is None else PidRef(target, False)


@syscall
def pidfd_open(task: Task, pid: Pid, flags: UInt) -> int:
    """A descriptor of a process, or with PIDFD_THREAD of a thread. pidfd_open(2).

    Errors: EINVAL, EMFILE, ENFILE, ESRCH; ENOENT for a thread that is no leader.
    """
    if flags & ~(PIDFD_NONBLOCK | PIDFD_THREAD) or pid <= 0:
        raise EINVAL
    target = find_task_by_vpid(task, pid)
    if target is None:
        raise ESRCH
    if not flags & PIDFD_THREAD and target.group.leader is not target:
        raise ENOENT
    return pidfd_create(task, target, flags)


@syscall
def pidfd_send_signal(
    task: Task, pidfd: Fd, sig: Signo, info: InOrNull[Siginfo], flags: UInt
) -> int:
    """Send a signal to what a pidfd refers to. pidfd_send_signal(2).

    Errors: EAGAIN, EBADF, EINVAL, EPERM, ESRCH.
    """
    if flags not in _SCOPES:
        raise EINVAL
    if pidfd == PIDFD_SELF_THREAD:
        ref = PidRef(task, True)
    elif pidfd == PIDFD_SELF_THREAD_GROUP:
        ref = PidRef(task.group.leader, False)
    else:
        ref = _signal_target(task, pidfd)
    if not flags:
        flags = PIDFD_SIGNAL_THREAD if ref.thread else PIDFD_SIGNAL_THREAD_GROUP
    _send(task, ref, _signal_info(task, ref, sig, info, flags), flags)
    return 0


def _signal_info(
    task: Task, ref: PidRef, sig: int, info: Siginfo | None, scope: int
) -> SigInfo:
    """The siginfo: the caller's, which only for itself may look like kill(2)'s."""
    if info is None:
        return user_info(task, sig, SI_TKILL if scope == PIDFD_SIGNAL_THREAD else SI_USER)
    if sig != info.si_signo:
        raise EINVAL
    other = ref.task is not task or scope == PIDFD_SIGNAL_PROCESS_GROUP
    if other and (info.si_code >= 0 or info.si_code == SI_TKILL):
        raise EPERM
    return raw_info(sig, info)


def _send(task: Task, ref: PidRef, info: SigInfo, scope: int) -> None:
    if scope == PIDFD_SIGNAL_PROCESS_GROUP:
        kill_pgrp_checked(task, ref.task.pid, info)
        return
    if ref.gone:
        raise ESRCH
    send_checked(task, ref.task, info, scope == PIDFD_SIGNAL_THREAD_GROUP)


@syscall
def pidfd_getfd(task: Task, pidfd: Fd, fd: Fd, flags: Flags) -> int:
    """Duplicate a descriptor of another process. pidfd_getfd(2).

    Errors: EBADF, EINVAL, EMFILE, EPERM, ESRCH.
    """
    if flags:
        raise EINVAL
    ref = pidfd_pid(task, pidfd)
    if ref.gone:
        raise ESRCH
    target = ref.task
    if not may_access(task, target):
        raise EPERM
    if not target.alive:
        raise ESRCH
    file = target.files.fd.get(fd)
    if file is None:
        raise EBADF
    drop_task_windows(target)
    new = alloc_fd(task, 0, True)
    fd_install(task, new, fget(file))
    return new
