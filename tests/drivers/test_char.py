# SPDX-License-Identifier: Apache-2.0
"""/dev as programs find it: null, zero, full, random, kmsg, and what isn't there."""

from __future__ import annotations

from struct import unpack
from typing import Any

import pytest

from tests.support.fsworld import AT_FDCWD, O_NONBLOCK, FsWorld
from tests.support.world import DATA, result

EACCES, EAGAIN, EBUSY, EINVAL, EFAULT, ENODEV, ENOSPC, ENOTTY, ENXIO = (
    13, 11, 16, 22, 14, 19, 28, 25, 6,
)  # fmt: skip
EPERM, EPIPE, ESPIPE = 1, 32, 29
IN, OUT, RDNORM, WRNORM, ERR, PRI = 1, 4, 0x40, 0x100, 8, 2
O_RDWR, O_WRONLY = 2, 1
MAP_SHARED, MAP_PRIVATE, PROT_RW = 1, 2, 3


@pytest.fixture
def w() -> FsWorld:
    return FsWorld()


def dev(w: FsWorld, task: Any, name: bytes, flags: int = O_RDWR) -> int:
    fd = w.open(task, b"/dev/" + name, flags)
    assert fd is not None
    assert fd >= 0, fd
    return fd


def test_null(w: FsWorld) -> None:
    task = w.proc()
    fd = dev(w, task, b"null")
    assert w.write(task, fd, b"gone") == 4
    assert w.read(task, fd, 10) == b""
    assert w.ok(task, "lseek", fd, 100, 0) == 0
    assert w.poll(task, {fd: IN | OUT}) == {fd: IN | OUT}
    ep = w.ok(task, "epoll_create1", 0)
    assert w.epoll_ctl(task, ep, 1, fd, IN) == -EPERM


def test_zero(w: FsWorld) -> None:
    task = w.proc()
    fd = dev(w, task, b"zero")
    w.put(task, b"x" * 40000)
    assert w.read(task, fd, 40000) == bytes(40000)
    assert w.write(task, fd, b"gone") == 4


def test_huge_read_of_zero_lets_others_run(w: FsWorld) -> None:
    task = w.proc()
    fd = dev(w, task, b"zero")
    size = 12 << 20
    addr = w.ok(task, "mmap", 0, size, PROT_RW, 0x22, -1, 0)
    assert w.call(task, "read", fd, addr, size) is None
    w.advance(1)
    w.advance(1)
    assert result(task) == size


def test_zero_private_mapping_is_the_programs_own(w: FsWorld) -> None:
    task = w.proc()
    fd = dev(w, task, b"zero")
    addr = w.ok(task, "mmap", 0, 8192, PROT_RW, MAP_PRIVATE, fd, 0)
    assert w.get(task, addr, 8192) == bytes(8192)
    assert task.mm is not None
    task.mm.write(addr, b"mine")
    assert w.get(task, addr, 4) == b"mine"
    other = w.ok(task, "mmap", 0, 8192, PROT_RW, MAP_SHARED, fd, 0)
    assert w.get(task, other, 4) == bytes(4)


def test_full(w: FsWorld) -> None:
    task = w.proc()
    fd = dev(w, task, b"full")
    assert w.write(task, fd, b"x") == -ENOSPC
    assert w.write(task, fd, b"") == -ENOSPC  # as on Linux
    assert w.read(task, fd, 3) == bytes(3)


@pytest.mark.parametrize("name", [b"random", b"urandom"])
def test_random(w: FsWorld, name: bytes) -> None:
    task = w.proc()
    fd = dev(w, task, name)
    assert len(w.read(task, fd, 100)) == 100  # type: ignore[arg-type]
    assert w.write(task, fd, b"seed") == 4
    addr = w.put(task, bytes(4), 0x8000)
    assert w.ok(task, "ioctl", fd, 0x80045200, addr) == 0
    assert unpack("<i", w.get(task, addr, 4)) == (256,)
    task.cred = w.proc(uid=9).cred
    assert w.ok(task, "ioctl", fd, 0x5207, 0) == -EPERM
    assert w.ok(task, "ioctl", fd, 0x5413, addr) == -ENOTTY


def test_getrandom(w: FsWorld) -> None:
    task = w.proc()
    assert w.ok(task, "getrandom", DATA, 64, 0) == 64
    assert w.ok(task, "getrandom", DATA, 64, 1 | 2) == 64
    assert w.ok(task, "getrandom", DATA, 0, 0) == 0
    assert w.ok(task, "getrandom", DATA, 1, 8) == -EINVAL
    assert w.ok(task, "getrandom", DATA, 1, 2 | 4) == -EINVAL
    assert w.ok(task, "getrandom", 0x10, 1, 0) == -EFAULT


def test_bytes_that_fit_before_a_hole_are_given(w: FsWorld) -> None:
    task = w.proc()
    assert w.ok(task, "getrandom", DATA + 0xFFF0, 100, 0) == 16


def test_devices_that_are_not_there(w: FsWorld) -> None:
    task = w.proc()
    for minor in (1, 2, 4, 99):
        name = b"/tmp/mem%d\0" % minor
        assert w.ok(task, "mknodat", AT_FDCWD, w.put(task, name), 0o020666, 1 << 8 | minor) == 0
        assert w.open(task, name[:-1], O_RDWR) == -ENXIO
    assert w.ok(task, "mknodat", AT_FDCWD, w.put(task, b"/tmp/sda\0"), 0o060666, 8 << 8) == 0
    assert w.open(task, b"/tmp/sda", O_RDWR) == -ENXIO


def test_permissions_of_the_nodes(w: FsWorld) -> None:
    user = w.proc(uid=1000)
    assert w.open(user, b"/dev/null", O_RDWR) == 0
    assert w.open(user, b"/dev/console", O_RDWR) == -EACCES
    assert w.open(user, b"/dev/kmsg", O_WRONLY) == -EACCES


def test_console_without_a_terminal(w: FsWorld) -> None:
    assert w.open(w.proc(), b"/dev/console", O_RDWR) == -ENXIO


# -- kmsg


def record(w: FsWorld, task: Any, fd: int) -> str:
    data = w.read(task, fd, 2000)
    assert isinstance(data, bytes), data
    return data.decode()


def test_kmsg_gives_a_record_at_a_time(w: FsWorld) -> None:
    task = w.proc()
    w.machine.printk.warn("first")
    w.machine.printk.info("back\\slash and ünicode")
    fd = dev(w, task, b"kmsg", O_NONBLOCK)
    assert record(w, task, fd) == "4,0,0,-;first\n"
    assert record(w, task, fd) == "6,1,0,-;back\\x5cslash and \\xc3\\xbcnicode\n"
    assert w.read(task, fd, 2000) == -EAGAIN


def test_kmsg_reader_is_woken(w: FsWorld) -> None:
    task = w.proc()
    fd = dev(w, task, b"kmsg", 0)
    assert w.read(task, fd, 2000) is None
    w.machine.printk.err("oops")
    w.settle()
    assert w.got(task) == b"3,0,0,-;oops\n"


def test_kmsg_overrun_and_seek(w: FsWorld) -> None:
    task = w.proc()
    w.machine.printk.info("old")
    fd = dev(w, task, b"kmsg", O_NONBLOCK)
    for n in range(9000):
        w.machine.printk.info(f"line {n}")
    assert w.poll(task, {fd: IN}) == {fd: IN | ERR}
    assert w.read(task, fd, 2000) == -EPIPE
    assert ";line 808\n" in record(w, task, fd)
    assert w.ok(task, "lseek", fd, 0, 2) == 0
    assert w.read(task, fd, 2000) == -EAGAIN
    assert w.ok(task, "lseek", fd, 0, 0) == 0
    assert w.read(task, fd, 5) == -EINVAL
    assert w.ok(task, "lseek", fd, 1, 0) == -ESPIPE


def test_kmsg_takes_lines_of_programs(w: FsWorld) -> None:
    task = w.proc()
    fd = dev(w, task, b"kmsg", O_RDWR | O_NONBLOCK)
    assert w.write(task, fd, b"<11>hello from a program\n") == 25
    assert record(w, task, fd) == "11,0,0,-;hello from a program\n"
    assert w.write(task, fd, b"<3>no prio of the kernel's") == 26
    assert record(w, task, fd).startswith("11,1,0,-;no prio")
    assert w.write(task, fd, b"<x>plain") == 8
    assert record(w, task, fd) == "12,2,0,-;<x>plain\n"
    assert w.write(task, fd, b"x" * 2000) == -EINVAL


def test_kmsg_may_be_restricted(w: FsWorld) -> None:
    w.machine.sysctl["kernel.dmesg_restrict"] = 1
    user = w.proc(uid=1000)
    assert w.open(user, b"/dev/kmsg", 0) == -EPERM
    assert w.open(w.proc(), b"/dev/kmsg", 0) == 0


def test_devtmpfs_is_one_file_system(w: FsWorld) -> None:
    task = w.proc()
    assert w.ok(task, "mkdirat", AT_FDCWD, w.put(task, b"/tmp/dev\0"), 0o755) == 0
    src = w.put(task, b"none\0", 0x100)
    where = w.put(task, b"/tmp/dev\0", 0x200)
    kind = w.put(task, b"devtmpfs\0", 0x300)
    assert w.ok(task, "mount", src, where, kind, 0, 0) == 0
    fd = w.open(task, b"/dev/new", 0o102)
    assert fd is not None
    w.write(task, fd, b"seen")
    again = w.open(task, b"/tmp/dev/new")
    assert again is not None
    assert w.read(task, again, 9) == b"seen"
