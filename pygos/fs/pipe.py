# SPDX-License-Identifier: Apache-2.0
"""Pipes: pipe(2), pipe(7); FIFOs share everything but their open (fs/fifo.py).

A pipe is a ring of page-sized slots. Small writes are merged into the last page as Linux
does, so a pipe holds 64 KiB only if it is written in whole pages or in bytes that fit. Here a
large write is one buffer that counts as many slots as it has pages: what a program can see is
the same, moving 64 KiB costs one copy.

Who sleeps where: readers on ``rd_wait``, writers on ``wr_wait``, FIFO openers on ``rd_wait``.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from pygos.fs.pipefs import PipeAccount, pipe_sb
from pygos.include.errno import (
    EAGAIN,
    EBADF,
    EBUSY,
    EFAULT,
    EINVAL,
    ENFILE,
    ENOPKG,
    ENOTTY,
    EPERM,
    EPIPE,
    ERESTARTSYS,
)
from pygos.include.linux.fs import (
    FMODE_READ,
    FMODE_STREAM,
    FMODE_WRITE,
    S_IFIFO,
    Dentry,
    File,
    FileOperations,
    Inode,
    Path,
)
from pygos.include.linux.syscalls import Flags, OutInt, syscall
from pygos.include.linux.wait import WaitQueue, wait_on
from pygos.include.uapi.fcntl import (
    F_GETPIPE_SZ,
    O_CLOEXEC,
    O_DIRECT,
    O_EXCL,
    O_NONBLOCK,
    O_RDONLY,
    O_WRONLY,
)
from pygos.include.uapi.ioctls import FIONREAD
from pygos.include.uapi.poll import (
    POLLERR,
    POLLHUP,
    POLLIN,
    POLLOUT,
    POLLRDNORM,
    POLLWRNORM,
)
from pygos.include.uapi.signal import SIGPIPE
from pygos.kernel.signal import send_sig

if TYPE_CHECKING:
    from pygos.include.linux.mm_types import IoBuffer
    from pygos.include.linux.sched import Task

PAGE: Final = 4096
PAGE_SHIFT: Final = 12
#: Slots of a fresh pipe, and of one made when too much memory is in pipes already.
PIPE_DEF_BUFFERS: Final = 16
PIPE_MIN_DEF_BUFFERS: Final = 2
_MAX_SIZE: Final = "fs.pipe-max-size"
_SOFT: Final = "fs.pipe-user-pages-soft"
_HARD: Final = "fs.pipe-user-pages-hard"
O_NOTIFICATION_PIPE: Final = O_EXCL
CAP_SYS_ADMIN: Final = 21
CAP_SYS_RESOURCE: Final = 24

_READABLE: Final = POLLIN | POLLRDNORM
_WRITABLE: Final = POLLOUT | POLLWRNORM


class PipeBuffer:
    """Bytes in the ring: data[off:] is unread. `packet`: one read takes it all (O_DIRECT)."""

    __slots__ = ("data", "off", "packet")

    def __init__(self, data: bytes | bytearray, packet: bool) -> None:
        self.data = data
        self.off = 0
        self.packet = packet


class PipeProgress:
    """What an interrupted write has moved so far: lives in ``task.restart``."""

    __slots__ = ("done", "pipe")

    def __init__(self, pipe: Pipe, done: int) -> None:
        self.pipe = pipe
        self.done = done


class Pipe:
    """struct pipe_inode_info."""

    __slots__ = (
        "account",
        "bufs",
        "fasync",
        "files",
        "inode",
        "openers",
        "poll_usage",
        "r_counter",
        "rd_wait",
        "readers",
        "ring",
        "uid",
        "used",
        "w_counter",
        "wr_wait",
        "writers",
    )

    def __init__(self, inode: Inode, account: PipeAccount, uid: int, ring: int) -> None:
        self.inode = inode
        self.account = account
        self.uid = uid
        #: Slots there are, and slots in use.
        self.ring = ring
        self.used = 0
        self.bufs: deque[PipeBuffer] = deque()
        self.readers = self.writers = self.files = 0
        #: How often it was opened for reading and writing.
        self.r_counter = self.w_counter = 0
        self.rd_wait = WaitQueue()
        self.wr_wait = WaitQueue()
        #: Someone polled: wake readers at every write, as edge-triggered epoll expects.
        self.poll_usage = False
        #: O_ASYNC was set: tell writers about every read.
        self.fasync = False
        #: Tasks that sleep in open(2) of a FIFO (fs/fifo.py).
        self.openers: dict[Task, Any] | None = None

    def pending_opener(self, mode: int) -> bool:
        """Is there a task about to finish opening this FIFO for `mode` (FMODE_*)?"""
        openers = self.openers
        return openers is not None and any(o.mode & mode and o.live() for o in openers.values())

    def has_readers(self) -> bool:
        return self.readers > 0 or self.pending_opener(FMODE_READ)

    def has_writers(self) -> bool:
        return self.writers > 0 or self.pending_opener(FMODE_WRITE)

    def queued(self) -> int:
        """Unread bytes (FIONREAD)."""
        return sum(len(buf.data) - buf.off for buf in self.bufs)

    def consume(self, count: int) -> None:
        """Drop `count` bytes of the first buffer; a packet goes as a whole."""
        buf = self.bufs[0]
        off = buf.off
        end = off + count
        size = len(buf.data)
        if end >= size or buf.packet:
            self.bufs.popleft()
            self.used -= ((size - 1) >> PAGE_SHIFT) - (off >> PAGE_SHIFT) + 1
        else:
            buf.off = end
            self.used -= (end >> PAGE_SHIFT) - (off >> PAGE_SHIFT)

    def insert(self, data: bytes | bytearray, packet: bool = False) -> None:
        """Add a non-empty buffer; the caller has checked that there are slots."""
        self.bufs.append(PipeBuffer(data, packet))
        self.used += (len(data) + PAGE - 1) >> PAGE_SHIFT

    def wake_readers(self) -> None:
        self.rd_wait.wake_all(_READABLE)

    def wake_writers(self) -> None:
        self.wr_wait.wake_all(_WRITABLE)


def _privileged(task: Task) -> bool:
    cred = task.cred
    return cred.capable(CAP_SYS_RESOURCE) or cred.capable(CAP_SYS_ADMIN)


def _over(task: Task, name: str, slots: int) -> bool:
    """Is that more than a user without privileges may own? A limit of 0 means none."""
    limit: int = task.machine.sysctl.get(name, 0)
    return 0 < limit < slots and not _privileged(task)


def alloc_pipe_info(task: Task, inode: Inode) -> Pipe:
    """A pipe for `inode`, its slots charged to the caller's user. ENFILE if memory is short."""
    account: PipeAccount = pipe_sb(task.machine).s_fs_info
    uid = task.cred.uid
    slots = PIPE_DEF_BUFFERS
    limit = task.machine.sysctl.get(_MAX_SIZE, 1 << 20) >> PAGE_SHIFT
    if limit < slots and not task.cred.capable(CAP_SYS_RESOURCE):
        slots = limit
    owned = account.by_uid.get(uid, 0)
    if _over(task, _SOFT, owned + slots):
        slots = PIPE_MIN_DEF_BUFFERS
    if _over(task, _HARD, owned + slots):
        raise ENFILE
    if account.total + slots > account.limit:
        slots = PIPE_MIN_DEF_BUFFERS
        if account.total + slots > account.limit:
            raise ENFILE
    account.charge(uid, slots)
    return Pipe(inode, account, uid, slots)


def put_pipe(pipe: Pipe) -> None:
    """One file less; the last takes the pipe and its bytes away."""
    pipe.files -= 1
    if pipe.files <= 0 and not pipe.pending_opener(FMODE_READ | FMODE_WRITE):
        free_pipe_info(pipe)


def free_pipe_info(pipe: Pipe) -> None:
    if pipe.inode.i_pipe is pipe:
        pipe.inode.i_pipe = None
        pipe.account.uncharge(pipe.uid, pipe.ring)
        pipe.bufs.clear()
        pipe.used = 0


class PipeFileOperations(FileOperations):
    """pipefifo_fops."""

    __slots__ = ()
    supports_fasync = True

    def fasync(self, task: Task, file: File) -> None:
        file.private_data.fasync = True

    def open(self, task: Task, inode: Inode, file: File) -> None:
        from pygos.fs.fifo import fifo_open

        fifo_open(task, inode, file)

    def read(self, task: Task, file: File, buf: IoBuffer, pos: int) -> int:
        want = buf.length
        if not want:
            return 0
        pipe: Pipe = file.private_data
        bufs = pipe.bufs
        if not bufs:
            return _read_empty(task, file, pipe)
        was_full = pipe.used >= pipe.ring
        total = 0
        while bufs:
            head = bufs[0]
            data = head.data
            off = head.off
            size = len(data) - off
            try:
                if off or size > want:
                    moved = buf.put(memoryview(data)[off : off + want])
                else:
                    moved = buf.put(data)
            except EFAULT:
                if not total:
                    raise
                break
            total += moved
            pipe.consume(moved)
            want -= moved
            if head.packet or not want or moved < size:
                break
        if (was_full and pipe.used < pipe.ring) or pipe.fasync:
            pipe.wr_wait.wake_all(_WRITABLE)
        pipe.inode.i_atime = task.machine.clock.realtime()
        return total

    def write(self, task: Task, file: File, buf: IoBuffer, pos: int) -> int:
        left = buf.length
        if not left:
            return 0
        pipe: Pipe = file.private_data
        progress = task.restart
        done = 0
        if type(progress) is PipeProgress and progress.pipe is pipe:
            done = progress.done
            buf.advance(done)
            left -= done
        if not pipe.readers and not pipe.has_readers():
            return _broken(task, done)
        bufs = pipe.bufs
        was_empty = not bufs
        try:
            if not was_empty and not done:
                done = _merge(pipe, buf, left)
                left -= done
            if left:
                done += _fill(pipe, buf, left, file.f_flags & O_DIRECT)
        except EFAULT:
            if not done:
                raise
            left = 0
        else:
            left = buf.length
        if bufs and (was_empty or pipe.poll_usage):
            pipe.rd_wait.wake_all(_READABLE)
        if left and pipe.used >= pipe.ring:
            _write_full(task, file, pipe, done)
        inode = pipe.inode
        inode.i_mtime = inode.i_ctime = task.machine.clock.realtime()
        return done

    def poll(self, task: Task, file: File) -> int:
        pipe: Pipe = file.private_data
        pipe.poll_usage = True
        mode = file.f_mode
        mask = 0
        if mode & FMODE_READ:
            if pipe.bufs:
                mask = _READABLE
            # f_ra: the count of writers' opens when a FIFO was opened without a writer.
            if not pipe.writers and file.f_ra != pipe.w_counter and not pipe.has_writers():
                mask |= POLLHUP
        if mode & FMODE_WRITE:
            if pipe.used < pipe.ring:
                mask |= _WRITABLE
            if not pipe.readers and not pipe.has_readers():
                mask |= POLLERR
        return mask

    def poll_queues(self, file: File) -> tuple[WaitQueue, ...]:
        pipe: Pipe = file.private_data
        mode = file.f_mode & (FMODE_READ | FMODE_WRITE)
        if mode == FMODE_READ:
            return (pipe.rd_wait,)
        if mode == FMODE_WRITE:
            return (pipe.wr_wait,)
        return (pipe.rd_wait, pipe.wr_wait)

    def ioctl(self, task: Task, file: File, cmd: int, arg: int) -> int:
        if cmd == FIONREAD:
            mm = task.mm
            assert mm is not None
            mm.write_u32(arg, file.private_data.queued())
            return 0
        raise ENOTTY

    def release(self, file: File) -> None:
        pipe: Pipe | None = file.private_data
        if pipe is None:  # the open failed
            return
        if file.f_mode & FMODE_READ:
            pipe.readers -= 1
        if file.f_mode & FMODE_WRITE:
            pipe.writers -= 1
        if (not pipe.readers) != (not pipe.writers):
            pipe.rd_wait.wake_all(_READABLE | POLLERR | POLLHUP)
            pipe.wr_wait.wake_all(_WRITABLE | POLLERR | POLLHUP)
        put_pipe(pipe)


PIPE_FOPS: Final = PipeFileOperations()


def _read_empty(task: Task, file: File, pipe: Pipe) -> int:
    """End of file, EAGAIN, or sleep."""
    if not pipe.writers and not pipe.has_writers():
        return 0
    if file.f_flags & O_NONBLOCK:
        raise EAGAIN
    wait_on(task, pipe.rd_wait, why="pipe_read")


def _broken(task: Task, done: int) -> int:
    """Nobody will read: the signal, and EPIPE unless some bytes are through."""
    send_sig(task, SIGPIPE)
    if done:
        return done
    raise EPIPE


def _merge(pipe: Pipe, buf: IoBuffer, left: int) -> int:
    """Put the odd bytes of a write into the last page if they fit there; bytes moved."""
    chars = left & (PAGE - 1)
    last = pipe.bufs[-1]
    if not chars or last.packet:
        return 0
    data = last.data
    in_page = len(data) & (PAGE - 1)
    if not in_page or in_page + chars > PAGE:
        return 0
    more = buf.take(chars)
    if type(data) is bytes:
        last.data = data = bytearray(data)
    data += more
    return len(more)


def _fill(pipe: Pipe, buf: IoBuffer, left: int, packets: int) -> int:
    """Fill free slots with up to `left` bytes; bytes moved."""
    room = pipe.ring - pipe.used
    if room <= 0:
        return 0
    if not packets:
        data = buf.take(min(left, room << PAGE_SHIFT))
        pipe.insert(data)
        return len(data)
    done = 0
    while left and room:
        try:
            data = buf.take(min(left, PAGE))
        except EFAULT:
            if not done:
                raise
            break
        pipe.insert(data, True)
        done += len(data)
        left -= len(data)
        room -= 1
    return done


def _write_full(task: Task, file: File, pipe: Pipe, done: int) -> None:
    """More to write and no slot: return what is done, EAGAIN, or sleep."""
    if file.f_flags & O_NONBLOCK:
        if not done:
            raise EAGAIN
        return
    if task.signal_pending():
        if not done:
            raise ERESTARTSYS
        return
    if done:
        task.restart = PipeProgress(pipe, done)
    wait_on(task, pipe.wr_wait, why="pipe_write")


def create_pipe_files(task: Task, flags: int) -> tuple[File, File]:
    """The two ends of a new pipe: (read end, write end). `flags`: O_NONBLOCK, O_DIRECT.

    Errors: ENFILE.
    """
    from pygos.fs.file_table import alloc_file

    machine = task.machine
    sb = pipe_sb(machine)
    cred = task.cred
    inode = Inode(sb, sb.new_ino(), S_IFIFO | 0o600)
    inode.i_count = 0  # only its files hold it
    inode.i_uid = cred.fsuid
    inode.i_gid = cred.fsgid
    inode.i_fop = PIPE_FOPS
    now = machine.clock.realtime()
    inode.i_atime = inode.i_mtime = inode.i_ctime = inode.i_btime = now
    pipe = inode.i_pipe = alloc_pipe_info(task, inode)
    pipe.readers = pipe.writers = pipe.r_counter = pipe.w_counter = 1
    pipe.files = 2
    dentry = Dentry(sb, None, b"")
    dentry.d_inode = inode
    path = Path(sb.s_fs_info.mnt, dentry)
    ends: list[File] = []
    try:
        nonblock = flags & O_NONBLOCK
        ends.append(
            alloc_file(path, inode, O_RDONLY | nonblock, FMODE_READ | FMODE_STREAM, cred, PIPE_FOPS)
        )
        keep = flags & (O_NONBLOCK | O_DIRECT)
        mode = FMODE_WRITE | FMODE_STREAM
        ends.append(alloc_file(path, inode, O_WRONLY | keep, mode, cred, PIPE_FOPS))
    except ENFILE:
        _undo_pipe(ends, pipe)
        raise
    for file in ends:
        file.private_data = pipe
    return ends[0], ends[1]


def _undo_pipe(ends: list[File], pipe: Pipe) -> None:
    from pygos.fs.file_table import fput

    for file in ends:  # private_data is None: release does nothing
        fput(file)
    free_pipe_info(pipe)


@syscall
def pipe2(task: Task, fildes: OutInt, flags: Flags) -> int:
    """Make a pipe; fildes[0] is the read end. pipe(2).

    Errors: EINVAL for unknown flags, EFAULT, EMFILE, ENFILE.
    """
    from pygos.fs.file_table import alloc_fd, close_fd, fd_install, fput

    if flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT | O_NOTIFICATION_PIPE):
        raise EINVAL
    if flags & O_NOTIFICATION_PIPE:
        raise ENOPKG
    files = create_pipe_files(task, flags)
    cloexec = bool(flags & O_CLOEXEC)
    fds: list[int] = []
    try:
        for file in files:
            fd = alloc_fd(task, 0, cloexec)
            fd_install(task, fd, file)
            fds.append(fd)
        fildes.mem.write(fildes.addr, fds[0].to_bytes(4, "little") + fds[1].to_bytes(4, "little"))
    except Exception:
        for fd in fds:
            close_fd(task, fd)
        for file in files[len(fds) :]:
            fput(file)
        raise
    return 0


@syscall
def pipe(task: Task, fildes: OutInt) -> int:
    """Make a pipe. pipe(2)."""
    return pipe2(task, fildes, 0)


def get_pipe(file: File) -> Pipe | None:
    """The pipe behind a file, if it is one."""
    return file.private_data if isinstance(file.private_data, Pipe) else None


def pipe_fcntl(task: Task, file: File, cmd: int, arg: int) -> int:
    """F_GETPIPE_SZ and F_SETPIPE_SZ of fcntl(2); sizes in bytes.

    Errors: EBADF if it is no pipe, EINVAL, EPERM, EBUSY.
    """
    pipe = get_pipe(file)
    if pipe is None:
        raise EBADF
    if cmd == F_GETPIPE_SZ:
        return pipe.ring << PAGE_SHIFT
    return _set_size(task, pipe, arg & 0xFFFFFFFF)


def _set_size(task: Task, pipe: Pipe, arg: int) -> int:
    if arg > 1 << 31:
        raise EINVAL
    size = max(1 << max(arg - 1, 0).bit_length(), PAGE)
    slots = size >> PAGE_SHIFT
    account = pipe.account
    more = slots - pipe.ring
    if more > 0:
        limit = task.machine.sysctl.get(_MAX_SIZE, 1 << 20)
        if size > limit and not task.cred.capable(CAP_SYS_RESOURCE):
            raise EPERM
        owned = account.by_uid.get(pipe.uid, 0) + more
        if _over(task, _SOFT, owned) or _over(task, _HARD, owned):
            raise EPERM
        if account.total + more > account.limit:
            raise EPERM
    if slots < pipe.used:
        raise EBUSY
    was_full = pipe.used >= pipe.ring
    account.charge(pipe.uid, more)
    pipe.ring = slots
    if was_full and pipe.used < slots:
        pipe.wake_writers()
    return size
