# SPDX-License-Identifier: Apache-2.0
"""Reading, writing, seeking, sizes, listing, copying between files."""

from __future__ import annotations

import os

import pytest

from pygos.fs.file_table import close
from pygos.fs.namei_calls import mkdir, mknod, rmdir, unlink
from pygos.fs.read_write import (
    lseek,
    pread64,
    preadv,
    preadv2,
    pwrite64,
    pwritev2,
    read,
    readv,
    write,
    writev,
)
from pygos.fs.readdir import getdents, getdents64
from pygos.fs.sendfile import copy_file_range, sendfile
from pygos.fs.sync import fdatasync, fsync, sync, sync_file_range, syncfs
from pygos.fs.truncate import fallocate, ftruncate, truncate
from pygos.include.linux.wait import WouldSleep
from pygos.mm.uaccess import KernelBuffer, import_iovec
from tests.support.kernel import Kernel, boot

EBADF, EFAULT, EISDIR, EINVAL, EFBIG, ESPIPE, ENXIO = -9, -14, -21, -22, -27, -29, -6
ENOENT, ENOTDIR, EXDEV, EOPNOTSUPP, EAGAIN = -2, -20, -18, -95, -11
SIGXFSZ = 25


@pytest.fixture
def k() -> Kernel:
    kernel = boot()
    kernel.put(b"/file", b"0123456789")
    return kernel


def test_access_modes(k: Kernel) -> None:
    reader, writer = k.open(b"/file", 0), k.open(b"/file", 1)
    assert k.call(write, k.file(reader), KernelBuffer(b"x")) == EBADF
    assert k.call(read, k.file(writer), KernelBuffer(bytearray(1))) == EBADF
    assert k.call(pread64, k.file(writer), KernelBuffer(bytearray(1)), 0) == EBADF
    assert k.call(pwrite64, k.file(reader), KernelBuffer(b"x"), 0) == EBADF
    directory = k.open(b"/", os.O_DIRECTORY)
    assert k.call(read, k.file(directory), KernelBuffer(bytearray(1))) == EISDIR


def test_positions(k: Kernel) -> None:
    fd = k.open(b"/file", 2)
    file = k.file(fd)
    assert k.read(fd, 3) == b"012"
    assert k.call(lseek, file, 2, 1) == 5
    assert k.read(fd, 2) == b"56"
    assert k.call(lseek, file, -1, 2) == 9
    assert k.call(lseek, file, 100, 0) == 100
    assert k.read(fd, 1) == b""
    assert k.call(lseek, file, -1, 0) == EINVAL
    assert k.call(lseek, file, -101, 1) == EINVAL
    assert k.call(lseek, file, 0, 9) == EINVAL
    assert k.write(fd, b"!") == 1
    assert k.get(b"/file") == b"0123456789" + bytes(90) + b"!"


def test_positions_given_with_the_call(k: Kernel) -> None:
    fd = k.open(b"/file", 2)
    file = k.file(fd)
    room = bytearray(3)
    assert k.call(pread64, file, KernelBuffer(room), 4) == 3
    assert (room, file.f_pos) == (b"456", 0)
    assert k.call(pread64, file, KernelBuffer(room), -1) == EINVAL
    assert k.call(pwrite64, file, KernelBuffer(b"ab"), 8) == 2
    assert k.get(b"/file") == b"01234567ab"
    append = k.file(k.open(b"/file", os.O_WRONLY | os.O_APPEND))
    assert k.call(pwrite64, append, KernelBuffer(b"!"), 0) == 1
    assert k.get(b"/file") == b"01234567ab!"


def test_vectors(k: Kernel) -> None:
    k.mem.write(k.scratch + 4096, b"ABCDEF")
    k.mem.write(
        k.scratch,
        b"".join(n.to_bytes(8, "little") for n in (k.scratch + 4096, 2, 0, 0, k.scratch + 4100, 2)),
    )
    file = k.file(k.open(b"/file", 2))
    assert k.call(writev, file, import_iovec(k.mem, k.scratch, 3, False)) == 4
    assert k.get(b"/file") == b"ABEF456789"
    assert k.call(readv, file, import_iovec(k.mem, k.scratch, 3)) == 4
    assert k.mem.read(k.scratch + 4096, 6) == b"45CD67"
    assert k.call(preadv, file, import_iovec(k.mem, k.scratch, 3), 0, 0) == 4
    assert file.f_pos == 8


def test_flags_of_one_call(k: Kernel) -> None:
    file = k.file(k.open(b"/file", 2))
    assert k.call(pwritev2, file, KernelBuffer(b"+"), 0, 0, 0x10) == 1
    assert k.get(b"/file") == b"0123456789+"
    assert k.call(preadv2, file, KernelBuffer(bytearray(4)), -1, 0, 0) == 4
    assert file.f_pos == 4
    assert k.call(preadv2, file, KernelBuffer(bytearray(4)), 0, 0, 0x100) == EOPNOTSUPP
    assert k.call(pwritev2, file, KernelBuffer(b"+"), 0, 0, 0x30) == EINVAL
    assert file.f_flags & os.O_APPEND == 0


def test_the_size_limit_of_files(k: Kernel) -> None:
    k.task.group.rlim[1] = (12, 12)
    k.task.blocked = 0
    fd = k.open(b"/file", os.O_WRONLY | os.O_APPEND)
    assert k.write(fd, b"abcdef") == 2
    k.task.blocked = 1 << (SIGXFSZ - 1)
    assert k.write(fd, b"abcdef") == EFBIG
    pending = k.task.pending.mask
    assert pending >> (SIGXFSZ - 1) & 1
    assert k.call(truncate, b"/file", 13) == EFBIG
    assert k.call(truncate, b"/file", 12) == 0
    assert k.call(fallocate, k.file(fd), 0, 0, 20) == EFBIG


def test_sizes(k: Kernel) -> None:
    fd = k.open(b"/file", 2)
    file = k.file(fd)
    assert k.call(ftruncate, file, 4) == 0
    assert k.get(b"/file") == b"0123"
    assert k.call(ftruncate, file, 6) == 0
    assert k.get(b"/file") == b"0123\0\0"
    assert k.call(ftruncate, file, -1) == EINVAL
    assert k.call(ftruncate, k.file(k.open(b"/file")), 0) == EINVAL
    assert k.call(truncate, b"/", 0) == EISDIR
    assert k.call(fallocate, file, 0, 0, 9000) == 0
    assert file.f_inode.i_size == 9000
    assert k.call(fallocate, file, 0, -1, 1) == EINVAL
    assert k.call(fallocate, file, 2, 0, 1) == EOPNOTSUPP
    assert k.call(fallocate, file, 3, 4096, 4096) == 0


def test_holes_can_be_found(k: Kernel) -> None:
    fd = k.open(b"/sparse", os.O_RDWR | os.O_CREAT)
    file = k.file(fd)
    k.call(pwrite64, file, KernelBuffer(b"x"), 8192)
    assert k.call(lseek, file, 0, os.SEEK_DATA) == 8192
    assert k.call(lseek, file, 0, os.SEEK_HOLE) == 0
    assert k.call(lseek, file, 8192, os.SEEK_HOLE) == 8193
    assert k.call(lseek, file, 8193, os.SEEK_DATA) == ENXIO
    assert k.call(ftruncate, file, 20000) == 0
    assert k.call(lseek, file, 8192, os.SEEK_HOLE) == 12288
    assert k.call(lseek, file, 12288, os.SEEK_DATA) == ENXIO


def test_syncing(k: Kernel) -> None:
    file = k.file(k.open(b"/file", 2))
    assert k.call(fsync, file) == k.call(fdatasync, file) == k.call(syncfs, file) == 0
    assert k.call(sync) == 0
    assert k.call(sync_file_range, file, 0, 0, 7) == 0
    assert k.call(sync_file_range, file, 0, 0, 8) == EINVAL


def test_accounting(k: Kernel) -> None:
    fd = k.open(b"/file", 2)
    before = k.task.io_rchar, k.task.io_wchar
    k.read(fd, 4)
    k.write(fd, b"ab")
    assert (k.task.io_rchar, k.task.io_wchar) == (before[0] + 4, before[1] + 2)


# -- directories


def entries(data: bytes, head: int) -> list[tuple[bytes, int, int]]:
    """(name, offset of the next, record length) of each record."""
    found = []
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at + 16 : at + 18], "little")
        assert size % 8 == 0
        name = data[at + head : at + size].split(b"\0")[0]
        found.append((name, int.from_bytes(data[at + 8 : at + 16], "little"), size))
        at += size
    return found


def test_listing_in_pieces(k: Kernel) -> None:
    for n in range(50):
        k.put(b"/n%d" % n)
    file = k.file(k.open(b"/", os.O_DIRECTORY))
    seen: list[bytes] = []
    room = bytearray(100)
    while (count := k.call(getdents64, file, KernelBuffer(room))) > 0:
        seen += [name for name, _, _ in entries(bytes(room[:count]), 19)]
    assert count == 0
    assert len(seen) == len(set(seen)) == 53
    assert seen[:2] == [b".", b".."]
    k.call(lseek, file, 0, 0)
    assert k.call(getdents64, file, KernelBuffer(bytearray(23))) == EINVAL
    assert k.call(getdents64, file, KernelBuffer(bytearray(24))) == 24


def test_seeking_to_an_entry(k: Kernel) -> None:
    for n in range(5):
        k.put(b"/n%d" % n)
    file = k.file(k.open(b"/", os.O_DIRECTORY))
    room = bytearray(4096)
    count = k.call(getdents64, file, KernelBuffer(room))
    found = entries(bytes(room[:count]), 19)
    k.call(unlink, b"/n0")
    k.call(lseek, file, found[3][1], 0)
    count = k.call(getdents64, file, KernelBuffer(room))
    assert [name for name, _, _ in entries(bytes(room[:count]), 19)] == [
        name for name, _, _ in found[4:]
    ]


def test_the_old_records_have_the_type_at_their_end(k: Kernel) -> None:
    k.call(mkdir, b"/d", 0o755)
    file = k.file(k.open(b"/", os.O_DIRECTORY))
    room = bytearray(4096)
    count = k.call(getdents, file, KernelBuffer(room))
    found = entries(bytes(room[:count]), 18)
    assert [name for name, _, _ in found] == [b".", b"..", b"file", b"d"]
    assert room[count - 1] == 4


def test_what_cannot_be_listed(k: Kernel) -> None:
    assert k.call(getdents64, k.file(k.open(b"/file")), KernelBuffer(bytearray(99))) == ENOTDIR
    k.call(mkdir, b"/d", 0o755)
    file = k.file(k.open(b"/d", os.O_DIRECTORY))
    k.call(rmdir, b"/d")
    assert k.call(getdents64, file, KernelBuffer(bytearray(99))) == ENOENT


# -- from file to file


def test_sendfile(k: Kernel) -> None:
    source = k.file(k.open(b"/file"))
    fd = k.open(b"/out", os.O_CREAT | os.O_WRONLY)
    out = k.file(fd)
    k.write(fd, b">")
    assert k.call(sendfile, out, source, 0, 4) == 4
    assert (source.f_pos, out.f_pos) == (4, 5)
    k.mem.write_u64(k.scratch, 8)
    assert k.call(sendfile, out, source, k.scratch, 100) == 2
    assert k.mem.read_u64(k.scratch) == 10
    assert source.f_pos == 4
    assert k.get(b"/out") == b">012389"
    assert k.call(sendfile, source, out, 0, 1) == EBADF


def test_a_copy_larger_than_one_step(k: Kernel) -> None:
    data = os.urandom(700_000)
    fd = k.open(b"/big", os.O_CREAT | os.O_RDWR)
    assert k.write(fd, data) == len(data)
    out = k.file(k.open(b"/copy", os.O_CREAT | os.O_RDWR))
    k.mem.write_u64(k.scratch, 5)
    assert k.call(sendfile, out, k.file(fd), k.scratch, 1 << 40) == len(data) - 5
    room = bytearray(len(data))
    assert k.call(pread64, out, KernelBuffer(room), 0) == len(data) - 5
    assert room[: len(data) - 5] == data[5:]


def test_a_destination_that_sleeps_loses_nothing(k: Kernel) -> None:
    from pygos.fs.pipe import create_pipe_files

    data = os.urandom(150_000)
    fd = k.open(b"/big", os.O_CREAT | os.O_RDWR)
    k.write(fd, data)
    source = k.file(fd)
    source.f_pos = 0
    reader, writer = create_pipe_files(k.task, 0)
    received = b""
    task = k.child(2)
    for _ in range(10):
        try:
            sent = k.call(sendfile, writer, source, 0, len(data), task=task)
        except WouldSleep:
            room = bytearray(65536)
            received += room[: reader.f_op.read(k.task, reader, KernelBuffer(room), 0)]
            k.machine.sched.wake_up(task)
            continue
        break
    while reader.private_data.bufs:
        room = bytearray(65536)
        received += room[: reader.f_op.read(k.task, reader, KernelBuffer(room), 0)]
    assert sent == len(data)
    assert received == data
    assert source.f_pos == len(data)


def test_copy_file_range(k: Kernel) -> None:
    source = k.file(k.open(b"/file", 2))
    out = k.file(k.open(b"/out", os.O_CREAT | os.O_RDWR))
    assert k.call(copy_file_range, source, 0, out, 0, 4, 0) == 4
    assert k.call(copy_file_range, source, 0, out, 0, 100, 0) == 6
    assert k.call(copy_file_range, source, 0, out, 0, 100, 0) == 0
    assert k.get(b"/out") == b"0123456789"
    assert k.call(copy_file_range, source, 0, out, 0, 1, 1) == EINVAL
    k.mem.write_u64(k.scratch, 0)
    k.mem.write_u64(k.scratch + 8, 2)
    assert k.call(copy_file_range, source, k.scratch, source, k.scratch + 8, 4, 0) == EINVAL
    k.mem.write_u64(k.scratch + 8, 10)
    assert k.call(copy_file_range, source, k.scratch, source, k.scratch + 8, 10, 0) == 10
    assert k.get(b"/file") == b"0123456789" * 2
    assert (k.mem.read_u64(k.scratch), k.mem.read_u64(k.scratch + 8)) == (10, 20)
    directory = k.file(k.open(b"/", os.O_DIRECTORY))
    assert k.call(copy_file_range, directory, 0, out, 0, 1, 0) == EISDIR


def test_pipes_have_no_position(k: Kernel) -> None:
    k.call(mknod, b"/fifo", 0o10666, 0)
    fd = k.open(b"/fifo", os.O_RDWR)
    file = k.file(fd)
    assert k.write(fd, b"through") == 7
    assert k.read(fd, 20) == b"through"
    assert file.f_pos == 0
    assert k.call(lseek, file, 0, 0) == ESPIPE
    assert k.call(pread64, file, KernelBuffer(bytearray(1)), 0) == ESPIPE
    assert k.call(fsync, file) == EINVAL
    assert k.call(sendfile, file, file, 0, 1) == EINVAL


def test_opening_a_fifo_waits_and_survives_its_unlinking(k: Kernel) -> None:
    from pygos.fs.open import openat

    k.call(mknod, b"/fifo", 0o10666, 0)
    reader = k.child(2)
    with pytest.raises(WouldSleep):
        k.call(openat, -100, b"/fifo", 0, 0, task=reader)
    assert not reader.files.fd
    writer = k.open(b"/fifo", os.O_WRONLY)
    assert writer >= 0
    assert not reader.waiting
    assert k.call(unlink, b"/fifo") == 0
    assert k.write(writer, b"hello") == 5
    fd = k.call(openat, -100, b"/fifo", 0, 0, task=reader)
    assert fd == 0
    room = bytearray(10)
    assert k.call(read, reader.files.fd[fd], KernelBuffer(room), task=reader) == 5
    k.call(close, writer)
    k.call(close, fd, task=reader)
    assert k.machine.nr_files == 0
