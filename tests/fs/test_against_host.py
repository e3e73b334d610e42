# SPDX-License-Identifier: Apache-2.0
"""Random sequences of path operations give the same errors and the same tree as on Linux.

The host's kernel is the oracle: each step is done in a tmpfs of ours and in a temporary
directory of the host, and what they answer is compared; at the end the trees are, too.
"""

from __future__ import annotations

import os
import shutil
import stat as hoststat
import tempfile
from collections.abc import Callable

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pygos.fs.chmod import chmod
from pygos.fs.fs_struct import chdir, umask
from pygos.fs.namei_calls import (
    access,
    linkat,
    mkdir,
    mknod,
    readlink,
    renameat2,
    rmdir,
    symlink,
    unlink,
)
from pygos.fs.open import open_
from pygos.fs.truncate import truncate
from pygos.include.linux.fs import S_IFDIR, S_IFLNK, S_IFMT
from tests.support.kernel import AT_FDCWD, Kernel, boot

NAMES = st.sampled_from([b"a", b"b", b"c", b"d"])
SPECIAL = st.sampled_from([b".", b"..", b"", b"a", b"b", b"c"])
FLAGS = st.sampled_from(
    [
        0,
        1,
        2,
        os.O_CREAT,
        os.O_CREAT | os.O_EXCL,
        os.O_CREAT | os.O_WRONLY | os.O_TRUNC,
        os.O_DIRECTORY,
        os.O_NOFOLLOW,
        os.O_CREAT | os.O_NOFOLLOW | os.O_RDWR,
        os.O_DIRECTORY | os.O_NOFOLLOW,
        os.O_PATH,
        os.O_PATH | os.O_NOFOLLOW,
        os.O_TRUNC,
        os.O_RDWR | os.O_APPEND,
        os.O_DIRECTORY | os.O_RDWR,
    ]
)


@st.composite
def paths(draw: st.DrawFn) -> bytes:
    parts = draw(st.lists(st.one_of(NAMES, NAMES, SPECIAL), min_size=1, max_size=4))
    tail = draw(st.sampled_from([b"", b"", b"", b"/", b"//", b"/."]))
    return b"/".join(parts) + tail


def host(function: Callable[[], object]) -> int | bytes:
    """The host's answer: 0 (or the bytes of readlink), or -errno."""
    try:
        result = function()
    except OSError as error:
        return -(error.errno or 0)
    return result if isinstance(result, bytes) else 0


#: How far below the root the work is done: more than MAXSYMLINKS, so that no path gets out.
DEPTH = 50


def native_link(old: bytes, new: bytes, follow: bool) -> None:
    """linkat(2). Without descriptors Python calls link(2), which never follows."""
    fd = os.open(".", os.O_PATH | os.O_DIRECTORY)
    try:
        os.link(old, new, src_dir_fd=fd, dst_dir_fd=fd, follow_symlinks=follow)
    finally:
        os.close(fd)


class Comparison(RuleBasedStateMachine):
    """Both file systems, driven in step. Paths are relative to the working directory."""

    def __init__(self) -> None:
        super().__init__()
        self.top = os.fsencode(tempfile.mkdtemp(prefix="pygos-test-"))
        self.old = os.getcwd()
        self.old_umask = os.umask(0o022)
        self.k: Kernel = boot(256)
        #: The tree to compare begins a few levels up.
        self.around = b"../../.."
        self.k.call(umask, 0o022)
        root = self.k.stat(b"/")
        root.i_uid, root.i_gid = os.getuid(), os.getgid()
        if os.getuid():
            self.k.as_user(os.getuid(), os.getgid(), tuple(os.getgroups()))
        os.chdir(self.top)
        for _ in range(DEPTH):
            os.mkdir(b"deep")
            os.chdir(b"deep")
            assert self.k.call(mkdir, b"deep", 0o777) == 0
            assert self.k.call(chdir, b"deep") == 0

    def teardown(self) -> None:
        os.chdir(self.old)
        os.umask(self.old_umask)
        shutil.rmtree(self.top, ignore_errors=True)

    def same(self, ours: int, theirs: int | bytes) -> None:
        assert ours == theirs

    @staticmethod
    def escapes(path: bytes) -> bool:
        """Is it absolute? Relative paths can't climb out: a link gives one ".." at most."""
        return path.startswith(b"/")

    @rule(path=paths())
    def mkdir(self, path: bytes) -> None:
        if not self.escapes(path):
            self.same(self.k.call(mkdir, path, 0o777), host(lambda: os.mkdir(path)))

    @rule(path=paths())
    def rmdir(self, path: bytes) -> None:
        if not self.escapes(path):
            self.same(self.k.call(rmdir, path), host(lambda: os.rmdir(path)))

    @rule(path=paths())
    def unlink(self, path: bytes) -> None:
        if not self.escapes(path):
            self.same(self.k.call(unlink, path), host(lambda: os.unlink(path)))

    @rule(path=paths(), flags=FLAGS, mode=st.sampled_from([0o644, 0o600, 0o4755]))
    def open(self, path: bytes, flags: int, mode: int) -> None:
        if self.escapes(path):
            return
        ours = self.k.call(open_, path, flags, mode)
        theirs = host(lambda: os.close(os.open(path, flags, mode)))
        if ours >= 0:
            from pygos.fs.file_table import close

            self.k.call(close, ours)
            ours = 0
        self.same(ours, theirs)

    @rule(text=paths(), path=paths())
    def symlink(self, text: bytes, path: bytes) -> None:
        if not self.escapes(path) and not self.escapes(text) and text.count(b"..") < 2:
            self.same(self.k.call(symlink, text, path), host(lambda: os.symlink(text, path)))

    @rule(path=paths())
    def readlink(self, path: bytes) -> None:
        if self.escapes(path):
            return
        ours: int | bytes = self.k.call(readlink, path, self.k.scratch, 256)
        if isinstance(ours, int) and ours >= 0:
            ours = self.k.mem.read(self.k.scratch, ours)
        assert ours == host(lambda: os.readlink(path))

    @rule(old=paths(), new=paths(), follow=st.booleans())
    def link(self, old: bytes, new: bytes, follow: bool) -> None:
        if self.escapes(old) or self.escapes(new):
            return
        ours = self.k.call(linkat, AT_FDCWD, old, AT_FDCWD, new, 0x400 if follow else 0)
        self.same(ours, host(lambda: native_link(old, new, follow)))

    @rule(old=paths(), new=paths())
    def rename(self, old: bytes, new: bytes) -> None:
        if self.escapes(old) or self.escapes(new):
            return
        ours = self.k.call(renameat2, AT_FDCWD, old, AT_FDCWD, new, 0)
        self.same(ours, host(lambda: os.rename(old, new)))

    @rule(path=paths())
    def mkfifo(self, path: bytes) -> None:
        if self.escapes(path):
            return
        ours = self.k.call(mknod, path, 0o10644, 0)
        self.same(ours, host(lambda: os.mkfifo(path, 0o644)))
        # A FIFO would make later opens wait.
        self.same(self.k.call(unlink, path), host(lambda: os.unlink(path)))

    @rule(
        path=paths(), mode=st.sampled_from([0o777, 0o700, 0o1777, 0o2755, 0o644, 0o300, 0o500, 0])
    )
    def chmod(self, path: bytes, mode: int) -> None:
        if not self.escapes(path):
            self.same(self.k.call(chmod, path, mode), host(lambda: os.chmod(path, mode)))

    @rule(path=paths(), size=st.sampled_from([0, 1, 5000]))
    def truncate(self, path: bytes, size: int) -> None:
        if not self.escapes(path):
            ours = self.k.call(truncate, path, size)
            self.same(ours, host(lambda: os.truncate(path, size)))

    @rule(path=paths())
    def access(self, path: bytes) -> None:
        if self.escapes(path):
            return
        theirs = 0
        try:
            os.stat(path)
        except OSError as error:
            theirs = -(error.errno or 0)
        self.same(self.k.call(access, path, 0), theirs)

    @invariant()
    def same_tree(self) -> None:
        assert self.our_tree(self.around) == self.their_tree(self.around)

    def our_tree(self, path: bytes) -> dict[bytes, tuple[object, ...]]:
        found: dict[bytes, tuple[object, ...]] = {}
        for name in self.listed(path):
            inode = self.k.stat(path + b"/" + name)
            kind = inode.i_mode & S_IFMT
            size = 0 if kind == S_IFDIR else inode.i_size
            extra = inode.i_link if kind == S_IFLNK else b""
            nlink = inode.i_nlink
            if kind == S_IFDIR and self.k.call(access, path + b"/" + name, 5):
                nlink = 0
            found[name] = (inode.i_mode, nlink, size, extra)
            if kind == S_IFDIR:
                below = self.our_tree(path + b"/" + name)
                found |= {name + b"/" + rest: value for rest, value in below.items()}
        return found

    def their_tree(self, path: bytes) -> dict[bytes, tuple[object, ...]]:
        found: dict[bytes, tuple[object, ...]] = {}
        for name in self.listed_by_host(path):
            place = path + b"/" + name
            st_ = os.lstat(place)
            is_dir = hoststat.S_ISDIR(st_.st_mode)
            extra = os.readlink(place) if hoststat.S_ISLNK(st_.st_mode) else b""
            # Some file systems count links of directories differently.
            nlink = st_.st_nlink
            if is_dir:
                nlink = 2 + self.subdirs(place) if os.access(place, os.R_OK | os.X_OK) else 0
            found[name] = (st_.st_mode, nlink, 0 if is_dir else st_.st_size, extra)
            if is_dir:
                below = self.their_tree(place)
                found |= {name + b"/" + rest: value for rest, value in below.items()}
        return found

    def listed(self, path: bytes) -> list[bytes]:
        """Our names in a directory; nothing if it can't be searched."""
        may = self.k.call(access, path, 5) == 0
        return self.k.names(path) if may else []

    @staticmethod
    def listed_by_host(path: bytes) -> list[bytes]:
        return os.listdir(path) if os.access(path, os.R_OK | os.X_OK) else []

    @staticmethod
    def subdirs(path: bytes) -> int:
        with os.scandir(path) as entries:
            return sum(entry.is_dir(follow_symlinks=False) for entry in entries)


TestComparison = Comparison.TestCase
TestComparison.settings = settings(
    max_examples=15,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
