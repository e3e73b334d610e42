# SPDX-License-Identifier: Apache-2.0
"""Files over streams of the host: the standard files of a run, and in-memory ones.

Guest fds 0, 1 and 2 are what the user's shell gave us. If one is a terminal, it is the
machine's console (drivers/tty/console.py). Otherwise it is a file of this module: fstat(2)
shows the type of the host's file and nothing else of it, and no ioctl reaches the host.

Kernel objects keep the number of a stream; the stream itself is in ``machine.host["streams"]``,
so that a saved machine can be given others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from pygos.fs.char_dev import NO_OPEN_FOPS
from pygos.fs.file_table import alloc_file, fput
from pygos.include.errno import (
    EACCES,
    EAGAIN,
    EFAULT,
    EINVAL,
    EIO,
    ENOTTY,
    EPERM,
    EPIPE,
)
from pygos.include.linux.fs import (
    ATTR_GID,
    ATTR_MODE,
    ATTR_SIZE,
    ATTR_UID,
    FMODE_LSEEK,
    FMODE_READ,
    FMODE_STREAM,
    FMODE_WRITE,
    S_IFCHR,
    S_IFIFO,
    S_IFMT,
    S_IFREG,
    S_IFSOCK,
    Dentry,
    DentryOperations,
    File,
    FileOperations,
    FileSystemType,
    Iattr,
    Inode,
    InodeOperations,
    Kstat,
    Path,
    SuperBlock,
    SuperOperations,
)
from pygos.include.linux.platform import HostStat
from pygos.include.linux.wait import WaitQueue, wait_on
from pygos.include.uapi.fcntl import O_APPEND, O_NONBLOCK, SEEK_CUR, SEEK_END, SEEK_SET
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
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.mm_types import IoBuffer
    from pygos.include.linux.sched import Task

#: Bytes moved in one call of the host.
CHUNK: Final = 65536
#: Bytes of one write(2) after which other tasks get a turn.
STEP: Final = 4 << 20
_READABLE: Final = POLLIN | POLLRDNORM
_WRITABLE: Final = POLLOUT | POLLWRNORM


class HostStream(Protocol):
    """What this module asks of a stream: pygos.host.stdio.HostStream, or those of memstream.py.

    It never blocks; errors are errno exceptions.
    """

    def fileno(self) -> int:
        """The handle for Platform.watch; -1: always ready."""

    def fstat(self) -> HostStat: ...
    def isatty(self) -> bool: ...

    def poll(self) -> int:
        """POLLIN|POLLOUT|POLLHUP|POLLERR as of now."""

    def read(self, count: int) -> bytes:
        """b"" at the end; EAGAIN."""

    def write(self, data: bytes) -> int:
        """How much was written; EAGAIN, EPIPE."""

    def pending(self) -> int:
        """Bytes that a read would find now."""

    def seek(self, offset: int, whence: int) -> int:
        """Move the position that the host's processes share; ESPIPE."""

    def reopen(self, write: bool, append: bool) -> HostStream:
        """The same regular file with a position of its own. EACCES."""

    def truncate(self, size: int) -> None:
        """Set the size of a regular file."""

    def close(self) -> None: ...


# -- one stream in the kernel


class HostChannel:
    """A host stream and those who wait for it. A HostWaiter of the platform."""

    __slots__ = ("armed", "machine", "number", "rd_wait", "wr_wait")

    def __init__(self, machine: Machine, number: int) -> None:
        self.machine = machine
        self.number = number
        self.rd_wait = WaitQueue()
        self.wr_wait = WaitQueue()
        #: POLLIN and POLLOUT that the platform watches for us.
        self.armed = 0

    @property
    def stream(self) -> HostStream:
        """The host's stream. EIO if it is gone."""
        stream: HostStream | None = streams(self.machine).get(self.number)
        if stream is None:
            raise EIO
        return stream

    def arm(self, events: int) -> None:
        """Be told when the stream is ready for POLLIN or POLLOUT."""
        events &= ~self.armed
        fd = self.stream.fileno()
        if events and fd >= 0:
            self.armed |= events
            self.machine.platform.watch(fd, events, self)

    def host_ready(self, events: int) -> None:
        """HostWaiter protocol. The watch is used up."""
        gone = events & (POLLHUP | POLLERR)
        if events & POLLIN or gone:
            self.armed &= ~POLLIN
            self.rd_wait.wake_all(_READABLE | gone)
        if events & POLLOUT or gone:
            self.armed &= ~POLLOUT
            self.wr_wait.wake_all(_WRITABLE | gone)

    def close(self) -> None:
        """Nobody has it open any more."""
        stream: HostStream | None = streams(self.machine).pop(self.number, None)
        if stream is not None and self.armed:
            self.machine.platform.unwatch(stream.fileno(), self)
            self.armed = 0


def streams(machine: Machine) -> dict[int, Any]:
    """The host streams in use, by number."""
    table: dict[int, Any] = machine.host.setdefault("streams", {})
    return table


def new_channel(machine: Machine, stream: HostStream) -> HostChannel:
    """Take a stream into use."""
    table = streams(machine)
    number = machine.misc["last_stream"] = machine.misc.get("last_stream", 0) + 1
    table[number] = stream
    return HostChannel(machine, number)


class Progress:
    """Bytes that an interrupted write has moved: lives in ``task.restart``."""

    __slots__ = ("channel", "done")

    def __init__(self, channel: HostChannel, done: int) -> None:
        self.channel = channel
        self.done = done


class HostFileOperations(FileOperations):
    """Files over host streams. private_data: the HostChannel."""

    __slots__ = ()

    def open(self, task: Task, inode: Inode, file: File) -> None:
        """Opened again through /proc/PID/fd or /dev/stdin. EACCES for the wrong direction."""
        ends: HostEnds = inode.i_private
        channel = ends.writer if file.f_mode & FMODE_WRITE else ends.reader
        if channel is None:
            raise EACCES
        if inode.i_mode & S_IFMT == S_IFREG:
            write, append = file.f_mode & FMODE_WRITE != 0, file.f_flags & O_APPEND != 0
            channel = new_channel(task.machine, channel.stream.reopen(write, append))
            ends.own[file] = channel
        file.private_data = channel
        file.f_mode = file_mode(inode.i_mode, file.f_mode)
        ends.users += 1

    def read(self, task: Task, file: File, buf: IoBuffer, pos: int) -> int:
        want = buf.length
        if not want:
            return 0
        channel: HostChannel = file.private_data
        try:
            data = channel.stream.read(min(want, CHUNK))
        except EAGAIN:
            if not file.f_flags & O_NONBLOCK:
                channel.arm(POLLIN)
                wait_on(task, channel.rd_wait, why="host_read")
            if channel.rd_wait.waiters:
                channel.arm(POLLIN)
            raise
        if channel.rd_wait.waiters:  # edge-triggered watchers hear of what comes next
            channel.arm(POLLIN)
        return buf.put(data) if data else 0

    def write(self, task: Task, file: File, buf: IoBuffer, pos: int) -> int:
        channel: HostChannel = file.private_data
        kept = task.restart
        done = 0
        if type(kept) is Progress and kept.channel is channel:
            done = kept.done
            buf.advance(done)
        stop = done + STEP
        while buf.length:
            if done >= stop:
                return self._pause(task, channel, done)
            try:
                data = buf.take(CHUNK)
                moved = channel.stream.write(data)
            except EAGAIN:
                return self._full(task, file, channel, done)
            except (EFAULT, EPIPE) as error:
                if isinstance(error, EPIPE):
                    send_sig(task, SIGPIPE)
                if done:
                    break
                raise
            done += moved
            if moved < len(data):
                return self._full(task, file, channel, done)
        return done

    def _pause(self, task: Task, channel: HostChannel, done: int) -> int:
        """Let others run during a huge write; a signal ends it."""
        if task.signal_pending():
            return done
        task.restart = Progress(channel, done)
        wait_on(task, deadline=task.machine.clock.monotonic(), why="cond_resched")

    def _full(self, task: Task, file: File, channel: HostChannel, done: int) -> int:
        """The host takes no more now."""
        if file.f_flags & O_NONBLOCK or task.signal_pending():
            if channel.wr_wait.waiters:
                channel.arm(POLLOUT)
            if done:
                return done
            if file.f_flags & O_NONBLOCK:
                raise EAGAIN
        if done:
            task.restart = Progress(channel, done)
        channel.arm(POLLOUT)
        wait_on(task, channel.wr_wait, why="host_write")

    def llseek(self, task: Task, file: File, offset: int, whence: int) -> int:
        if whence not in (SEEK_SET, SEEK_CUR, SEEK_END):
            raise EINVAL
        channel: HostChannel = file.private_data
        file.f_pos = channel.stream.seek(offset, whence)
        return file.f_pos

    def poll(self, task: Task, file: File) -> int:
        channel: HostChannel = file.private_data
        events = channel.stream.poll()
        mask = events & (POLLHUP | POLLERR)
        missing = 0
        if file.f_mode & FMODE_READ:
            if events & (POLLIN | POLLHUP):
                mask |= _READABLE if events & POLLIN else 0
            else:
                missing |= POLLIN
        if file.f_mode & FMODE_WRITE:
            if events & POLLOUT:
                mask |= _WRITABLE
            else:
                missing |= POLLOUT
        if missing and not mask & (POLLHUP | POLLERR):
            channel.arm(missing)
        return mask

    def poll_queues(self, file: File) -> tuple[WaitQueue, ...] | None:
        if file.f_inode.i_mode & S_IFMT == S_IFREG:
            return None
        channel: HostChannel = file.private_data
        return (channel.rd_wait, channel.wr_wait)

    def ioctl(self, task: Task, file: File, cmd: int, arg: int) -> int:
        if cmd != FIONREAD:
            raise ENOTTY
        channel: HostChannel = file.private_data
        assert task.mm is not None
        task.mm.write_u32(arg, min(channel.stream.pending(), 0x7FFFFFFF))
        return 0

    def release(self, file: File) -> None:
        if file.private_data is None:
            return
        ends: HostEnds = file.f_inode.i_private
        own = ends.own.pop(file, None)
        if own is not None:
            stream = own.stream
            own.close()
            stream.close()
        ends.users -= 1
        if not ends.users:
            ends.close()


class HostEnds:
    """i_private: the channels behind one host file, and how many files are open."""

    __slots__ = ("channels", "own", "reader", "users", "writer")

    def __init__(self) -> None:
        self.reader: HostChannel | None = None
        self.writer: HostChannel | None = None
        self.channels: list[HostChannel] = []
        #: Channels of files that were opened again and have a position of their own.
        self.own: dict[File, HostChannel] = {}
        self.users = 0

    def close(self) -> None:
        for channel in self.channels:
            channel.close()
        self.channels.clear()
        self.reader = self.writer = None


class HostInodeOperations(InodeOperations):
    """fstat(2), and the size of an output that is a regular file; nothing else can be changed."""

    __slots__ = ()

    def setattr(self, task: Task, dentry: Dentry, inode: Inode, attr: Iattr) -> None:
        ends: HostEnds = inode.i_private
        if attr.valid & (ATTR_MODE | ATTR_UID | ATTR_GID) or ends.writer is None:
            raise EPERM
        if attr.valid & ATTR_SIZE:
            ends.writer.stream.truncate(attr.size)

    def getattr(self, task: Task, path: Path, inode: Inode) -> Kstat | None:
        ends: HostEnds = inode.i_private
        channel = ends.writer or ends.reader
        if channel is not None and inode.i_mode & S_IFMT == S_IFREG:
            stat = channel.stream.fstat()
            inode.i_size, inode.i_blocks = stat.size, stat.blocks
            inode.i_mtime, inode.i_ctime = stat.mtime, stat.ctime
        return None


class HostDentryOperations(DentryOperations):
    """Streams are shown as what they are on the host, without the host's names."""

    __slots__ = ()

    def d_dname(self, dentry: Dentry) -> bytes | None:
        inode = dentry.d_inode
        assert inode is not None
        kind = {S_IFIFO: b"pipe", S_IFSOCK: b"socket"}.get(inode.i_mode & S_IFMT, b"host")
        return kind + b":[%d]" % inode.i_ino


class HostStreamFsType(FileSystemType):
    """Holds the inodes of standard files: internal."""

    __slots__ = ()
    name = "hoststreamfs"


HOST_FOPS: Final = HostFileOperations()
_IOPS: Final = HostInodeOperations()
_DOPS: Final = HostDentryOperations()
_FSTYPE: Final = HostStreamFsType()


def file_mode(i_mode: int, f_mode: int) -> int:
    """f_mode of a file over a stream: only regular files have a position to move."""
    f_mode &= FMODE_READ | FMODE_WRITE
    return f_mode | (FMODE_LSEEK if i_mode & S_IFMT == S_IFREG else 0) | FMODE_STREAM


def _sb(machine: Machine) -> SuperBlock:
    sb: SuperBlock | None = machine.misc.get("hoststream_sb")
    if sb is None:
        sb = SuperBlock(machine, _FSTYPE, SuperOperations())
        sb.s_d_op = _DOPS
        sb.s_root = Dentry(sb, None, b"/")
        sb.s_root.d_inode = Inode(sb, sb.new_ino(), 0o040000)
        sb.s_fs_info = machine.new_mount(sb.s_root, "hoststream")
        machine.misc["hoststream_sb"] = sb
    return sb


def host_inode(task: Task, stream: HostStream) -> Inode:
    """An inode that shows the type of the stream's file, and the size of a regular one."""
    stat = stream.fstat()
    sb = _sb(task.machine)
    kind = stat.mode & S_IFMT
    inode = Inode(sb, sb.new_ino(), kind | (0o644 if kind == S_IFREG else 0o600))
    inode.i_count = 0  # only its files hold it
    inode.i_uid, inode.i_gid = task.cred.fsuid, task.cred.fsgid
    inode.i_op = _IOPS
    inode.i_fop = NO_OPEN_FOPS if kind == S_IFSOCK else HOST_FOPS
    inode.i_rdev = stat.rdev if kind == S_IFCHR else 0
    inode.i_size = stat.size if kind == S_IFREG else 0
    now = task.machine.clock.realtime()
    inode.i_atime = inode.i_mtime = inode.i_ctime = now
    inode.i_private = HostEnds()
    return inode


def open_stream(
    task: Task, stream: HostStream, mode: int, inode: Inode | None = None
) -> File:
    """A file over a host stream; `mode`: FMODE_READ or FMODE_WRITE or both.

    `inode`: of another stream that is the same file on the host. Errors: ENFILE.
    """
    if inode is None:
        inode = host_inode(task, stream)
    ends: HostEnds = inode.i_private
    dentry = Dentry(inode.i_sb, None, b"")
    dentry.d_inode = inode
    path = Path(inode.i_sb.s_fs_info, dentry)
    flags = mode - 1  # O_RDONLY, O_WRONLY or O_RDWR
    file = alloc_file(path, inode, flags, file_mode(inode.i_mode, mode), task.cred, HOST_FOPS)
    if inode.i_mode & S_IFMT == S_IFREG and mode & FMODE_WRITE:
        inode.i_writecount += 1
    channel = new_channel(task.machine, stream)
    ends.channels.append(channel)
    if mode & FMODE_READ:
        ends.reader = channel
    if mode & FMODE_WRITE:
        ends.writer = channel
    ends.users += 1
    file.private_data = channel
    return file


# -- the standard files


def open_std_files(task: Task) -> tuple[File | None, File | None, File | None]:
    """Install descriptors 0, 1 and 2 from machine.host["stdio"]; None where one is closed.

    Streams that are terminals become the console if the machine has a host terminal.
    """
    machine = task.machine
    stdio: tuple[Any, ...] = machine.host.get("stdio") or (None, None, None)
    console = _console_file(task, stdio)
    inodes: dict[tuple[int, int], Inode] = {}
    opened: list[File | None] = []
    for fd, stream in enumerate(stdio):
        if stream is None:
            opened.append(None)
            continue
        if console is not None and stream.isatty():
            console.f_count += 1
            file = console
        else:
            file = _std_stream(task, stream, FMODE_WRITE if fd else FMODE_READ, inodes)
        task.files.fd[fd] = file
        opened.append(file)
    task.files.next_fd = next((fd for fd in range(3) if fd not in task.files.fd), 3)
    if console is not None:
        fput(console)
    return opened[0], opened[1], opened[2]


def _std_stream(
    task: Task, stream: HostStream, mode: int, inodes: dict[tuple[int, int], Inode]
) -> File:
    """A file over one standard stream; the same host file gets the same inode."""
    stat = stream.fstat()
    key = (stat.dev, stat.ino)
    file = open_stream(task, stream, mode, inodes.get(key))
    inodes[key] = file.f_inode
    return file


def _console_file(task: Task, stdio: tuple[Any, ...]) -> File | None:
    """The console, if the machine has a terminal and some stream is one."""
    if task.machine.host.get("terminal") is None:
        return None
    terminals = [stream for stream in stdio if stream is not None and stream.isatty()]
    if not terminals:
        return None
    from pygos.drivers.tty.console import open_console

    return open_console(task, terminals)

