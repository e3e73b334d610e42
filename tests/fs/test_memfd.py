# SPDX-License-Identifier: Apache-2.0
"""memfd_create: files in memory and what their seals forbid."""

from __future__ import annotations

import pytest

from pygos.fs.chmod import fchmod
from pygos.fs.dcache import d_path
from pygos.fs.fcntl import fcntl
from pygos.fs.file_table import close
from pygos.fs.memfd import memfd_create
from pygos.fs.truncate import fallocate, ftruncate
from pygos.include.errno import EPERM as EPERM_CLASS
from pygos.mm.mmap import do_mmap, do_munmap
from tests.support.kernel import Kernel, boot

EPERM, EBUSY, EINVAL, ENOSYS = -1, -16, -22, -38
F_ADD_SEALS, F_GET_SEALS = 1033, 1034
SEAL, SHRINK, GROW, WRITE, FUTURE_WRITE, EXEC = 1, 2, 4, 8, 16, 32


@pytest.fixture
def k() -> Kernel:
    return boot()


def memfd(k: Kernel, flags: int = 2, name: bytes = b"name") -> int:
    k.mem.write(k.scratch, name + b"\0")
    return k.call(memfd_create, k.scratch, flags)


def test_a_file_that_is_nowhere(k: Kernel) -> None:
    fd = memfd(k, 1)
    assert k.write(fd, b"x" * 5000) == 5000
    file = k.file(fd)
    assert d_path(file.f_path, k.task.fs.root) == b"/memfd:name (deleted)"
    assert k.call(fcntl, fd, 1, 0) == 1
    assert k.call(fcntl, fd, F_GET_SEALS, 0) == SEAL
    assert k.call(fcntl, fd, F_ADD_SEALS, WRITE) == EPERM
    used = k.machine.zone.nr_shmem
    k.call(close, fd)
    assert k.machine.zone.nr_shmem == used - 2


def test_arguments(k: Kernel) -> None:
    assert memfd(k, 0x40) == EINVAL
    assert memfd(k, 0x18) == EINVAL
    assert memfd(k, 4) == ENOSYS
    assert memfd(k, 2, b"n" * 249) >= 0
    assert memfd(k, 2, b"n" * 250) == EINVAL


def test_sealed_sizes(k: Kernel) -> None:
    fd = memfd(k)
    file = k.file(fd)
    k.write(fd, b"0123456789")
    assert k.call(fcntl, fd, F_ADD_SEALS, GROW) == 0
    assert k.call(ftruncate, file, 11) == EPERM
    assert k.call(fallocate, file, 0, 0, 20) == EPERM
    assert k.write(fd, b"more") == EPERM
    file.f_pos = 8
    assert k.write(fd, b"more") == 2
    assert k.call(ftruncate, file, 5) == 0
    assert k.call(fcntl, fd, F_ADD_SEALS, SHRINK) == 0
    assert k.call(ftruncate, file, 4) == EPERM
    assert k.call(fcntl, fd, F_ADD_SEALS, 0x40) == EINVAL
    assert k.call(fcntl, fd, F_GET_SEALS, 0) == GROW | SHRINK


def test_write_seals_and_mappings(k: Kernel) -> None:
    fd = memfd(k)
    file = k.file(fd)
    k.call(ftruncate, file, 4096)
    shared, read_write = 1, 3
    addr = do_mmap(k.mem, k.task, file, 0, 4096, read_write, shared, 0)
    assert k.call(fcntl, fd, F_ADD_SEALS, WRITE) == EBUSY
    assert k.call(fcntl, fd, F_ADD_SEALS, FUTURE_WRITE) == 0
    with pytest.raises(EPERM_CLASS):
        do_mmap(k.mem, k.task, file, 0, 4096, read_write, shared, 0)
    do_munmap(k.mem, addr, 4096)
    assert k.call(fcntl, fd, F_ADD_SEALS, WRITE) == 0
    assert k.write(fd, b"x") == EPERM
    assert k.call(fallocate, file, 3, 0, 4096) == EPERM
    do_mmap(k.mem, k.task, file, 0, 4096, 1, shared, 0)


def test_exec_seals(k: Kernel) -> None:
    fd = memfd(k, 8)
    assert k.call(fcntl, fd, F_GET_SEALS, 0) == EXEC
    assert k.call(fchmod, k.file(fd), 0o777) == EPERM
    assert k.call(fchmod, k.file(fd), 0o600) == 0
    fd = memfd(k)
    assert k.call(fcntl, fd, F_ADD_SEALS, EXEC) == 0
    assert k.call(fcntl, fd, F_GET_SEALS, 0) == EXEC | SHRINK | GROW | WRITE | FUTURE_WRITE
    plain = k.open(b"/plain", 0o102)
    assert k.call(fcntl, plain, F_GET_SEALS, 0) == EINVAL
