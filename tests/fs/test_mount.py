# SPDX-License-Identifier: Apache-2.0
"""mount, umount, bind and read-only mounts, and the lists in /proc."""

from __future__ import annotations

import pytest

from pygos.fs.fs_struct import chdir
from pygos.fs.mount import mount
from pygos.fs.namei_calls import access, mkdir, rename, symlink, unlink
from pygos.fs.namespace import copy_mnt_ns
from pygos.fs.proc_namespace import mountinfo_text, mounts_text
from pygos.fs.umount import pivot_root, umount
from tests.support.kernel import Kernel, boot

EPERM, ENOENT, EACCES, EBUSY, ENODEV, ENOTDIR, EINVAL, EROFS = (
    -1, -2, -13, -16, -19, -20, -22, -30,
)  # fmt: skip
MS_RDONLY, MS_NOEXEC, MS_REMOUNT, MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE, MS_SHARED = (
    1, 8, 32, 4096, 8192, 16384, 1 << 18, 1 << 20,
)  # fmt: skip
MNT_DETACH = 2


@pytest.fixture
def k() -> Kernel:
    kernel = boot()
    for name in (b"/mnt", b"/src", b"/src/sub", b"/dst"):
        kernel.call(mkdir, name, 0o755)
    kernel.put(b"/src/file", b"data")
    return kernel


def do_mount(
    k: Kernel, source: bytes | None, target: bytes, kind: bytes | None, flags: int = 0,
    data: bytes = b"",
) -> int:  # fmt: skip
    k.mem.write(k.scratch, data + b"\0")
    return k.call(mount, source, target, kind, flags, k.scratch if data else 0)


def mounts(k: Kernel) -> list[list[bytes]]:
    text = mounts_text(k.machine.init_mnt_ns, k.task.fs.root)
    return [line.split(b" ") for line in text.splitlines()]


def test_a_tmpfs_comes_and_goes(k: Kernel) -> None:
    assert do_mount(k, b"none", b"/mnt", b"tmpfs", MS_NOEXEC, b"size=64k,mode=700") == 0
    k.put(b"/mnt/file", b"x" * 9000)
    line = mounts(k)[1]
    assert line[:3] == [b"none", b"/mnt", b"tmpfs"]
    assert line[3].startswith(b"rw,noexec,relatime,size=64k,mode=700")
    used = k.machine.zone.nr_shmem
    assert k.call(umount, b"/mnt", 0) == 0
    assert k.machine.zone.nr_shmem == used - 3
    assert k.names(b"/mnt") == []
    assert k.call(umount, b"/mnt", 0) == EINVAL
    assert len(k.machine.supers) == 1


def test_what_is_in_use_stays(k: Kernel) -> None:
    do_mount(k, b"none", b"/mnt", b"tmpfs")
    k.put(b"/mnt/file")
    fd = k.open(b"/mnt/file")
    assert k.call(umount, b"/mnt", 0) == EBUSY
    k.task.files.fd.clear()
    k.call(chdir, b"/mnt")
    assert k.call(umount, b"/mnt", 0) == EBUSY
    assert k.call(umount, b"/mnt", MNT_DETACH) == 0
    assert k.names(b"/mnt") == []
    assert k.names(b".") == [b"file"]
    assert fd == 0


def test_errors(k: Kernel) -> None:
    assert do_mount(k, b"none", b"/mnt", b"nofs") == ENODEV
    assert do_mount(k, b"none", b"/none", b"tmpfs") == ENOENT
    assert do_mount(k, b"none", b"/src/file", b"tmpfs") == ENOTDIR
    assert do_mount(k, b"none", b"/mnt", None) == EINVAL
    assert do_mount(k, b"none", b"/mnt", b"tmpfs", 0, b"nonsense=1") == EINVAL
    assert do_mount(k, None, b"/mnt", None, MS_SHARED) == EINVAL
    assert do_mount(k, None, b"/", None, MS_PRIVATE | MS_REC) == 0
    assert k.call(umount, b"/", 0) == EBUSY
    assert k.call(umount, b"/mnt", 16) == EINVAL
    k.as_user(1000, 1000)
    assert do_mount(k, b"none", b"/mnt", b"tmpfs") == EPERM
    assert k.call(umount, b"/mnt", 0) == EPERM


def test_a_read_only_mount(k: Kernel) -> None:
    assert do_mount(k, b"/src", b"/dst", None, MS_BIND) == 0
    assert do_mount(k, None, b"/dst", None, MS_REMOUNT | MS_BIND | MS_RDONLY) == 0
    assert k.get(b"/dst/file") == b"data"
    assert k.open(b"/dst/file", 1) == EROFS
    assert k.open(b"/dst/new", 0o101) == EROFS
    assert k.call(mkdir, b"/dst/d", 0o755) == EROFS
    assert k.call(unlink, b"/dst/file") == EROFS
    assert k.call(rename, b"/dst/file", b"/dst/f2") == EROFS
    assert k.call(access, b"/dst/file", 2) == EROFS
    assert k.call(access, b"/src/file", 2) == 0
    assert k.open(b"/src/file", 1) >= 0


def test_bind_mounts_show_a_subtree(k: Kernel) -> None:
    do_mount(k, b"inner", b"/src/sub", b"tmpfs")
    k.put(b"/src/sub/deep")
    assert do_mount(k, b"/src", b"/dst", None, MS_BIND) == 0
    assert k.names(b"/dst") == [b"file", b"sub"]
    assert k.names(b"/dst/sub") == []
    assert k.call(umount, b"/dst", 0) == 0
    assert do_mount(k, b"/src", b"/dst", None, MS_BIND | MS_REC) == 0
    assert k.names(b"/dst/sub") == [b"deep"]
    assert k.call(umount, b"/dst", 0) == EBUSY
    assert k.call(umount, b"/dst", MNT_DETACH) == 0
    assert k.names(b"/src/sub") == [b"deep"]


def test_a_mount_can_be_moved(k: Kernel) -> None:
    do_mount(k, b"none", b"/mnt", b"tmpfs")
    k.put(b"/mnt/file")
    assert do_mount(k, b"/mnt", b"/dst", None, MS_MOVE) == 0
    assert k.names(b"/dst") == [b"file"]
    assert k.names(b"/mnt") == []
    assert do_mount(k, b"/src", b"/mnt", None, MS_MOVE) == EINVAL


def test_mountinfo(k: Kernel) -> None:
    k.call(mkdir, b"/with space", 0o755)
    do_mount(k, b"a b", b"/with space", b"tmpfs")
    do_mount(k, b"/src", b"/dst", None, MS_BIND)
    lines = mountinfo_text(k.machine.init_mnt_ns, k.task.fs.root, k.task).splitlines()
    assert len(lines) == 3
    assert b" / /with\\040space rw,relatime - tmpfs a\\040b rw" in lines[1]
    assert b" /src /dst rw,relatime - tmpfs root rw" in lines[2]


def test_a_new_namespace_has_its_own_mounts(k: Kernel) -> None:
    do_mount(k, b"none", b"/mnt", b"tmpfs")
    k.put(b"/mnt/both")
    child = k.child(2)
    child.nsproxy.mnt = copy_mnt_ns(child, None, child.fs)
    k.task, parent = child, k.task
    child.mm = k.mem
    do_mount(k, b"none", b"/dst", b"tmpfs")
    k.put(b"/dst/only")
    assert k.names(b"/mnt") == [b"both"]
    k.task = parent
    assert k.names(b"/dst") == []
    assert k.call(umount, b"/mnt", 0) == 0
    k.task = child
    assert k.names(b"/mnt") == [b"both"]


def test_pivot_root(k: Kernel) -> None:
    do_mount(k, b"new", b"/mnt", b"tmpfs")
    k.call(mkdir, b"/mnt/old", 0o755)
    assert k.call(pivot_root, b"/", b"/mnt/old") == EBUSY
    assert k.call(pivot_root, b"/mnt", b"/dst") == EBUSY
    assert k.call(pivot_root, b"/mnt/old", b"/mnt/old") == EINVAL
    assert k.call(pivot_root, b"/mnt", b"/mnt/old") == 0
    assert k.names(b"/") == [b"old"]
    assert k.get(b"/old/src/file") == b"data"
    assert k.call(access, b"/old/../../old", 0) == 0
    assert [line[1] for line in mounts(k)] == [b"/old", b"/"]
    assert k.call(umount, b"/old", MNT_DETACH) == 0
    assert k.names(b"/old") == []


def test_links_can_be_forbidden_on_a_mount(k: Kernel) -> None:
    do_mount(k, b"none", b"/mnt", b"tmpfs", 256)
    k.put(b"/mnt/file")
    k.call(symlink, b"file", b"/mnt/link")
    assert k.call(access, b"/mnt/link", 0) == -40
