# SPDX-License-Identifier: Apache-2.0
"""The cache of names: dentries, their life and their paths.

A dentry is *hashed* while its parent's ``d_children`` holds it. A hashed positive dentry owns
one reference on its inode. When it is unhashed (unlinked, renamed over, dropped) that
reference is given up at once, but ``d_inode`` stays, so that a working directory or an open
file that still holds the dentry goes on working.

The cache is bounded: hashed dentries queue up in ``machine.dcache`` in order of arrival, and
the oldest are pruned when there are too many. Pinned ones (a tmpfs has no other record of its
names), directories with cached children, mountpoints and dentries that someone holds stay.
Whether someone holds a dentry is asked of the interpreter: it is taken out of the tree, and
if a weak reference still finds it, it is put back. So holders need no counting, and there is
never a second dentry for a name while the first one is in use.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING
from weakref import ref

from pygos.fs.inode import iput
from pygos.include.errno import ENAMETOOLONG
from pygos.include.linux.fs import Dentry
from pygos.include.uapi.limits import PATH_MAX

if TYPE_CHECKING:
    from pygos.include.linux.fs import Inode, Path, SuperBlock
    from pygos.include.linux.machine import Machine

#: How many names are cached at most (but for those that can't be dropped).
DCACHE_LIMIT = 32768
#: How many old dentries are looked at when a new one finds the cache full.
PRUNE_SCAN = 64


class Dcache:
    """The queue of prunable dentries of one machine. It may hold unhashed ones for a while."""

    __slots__ = ("limit", "lru")

    def __init__(self, limit: int = DCACHE_LIMIT) -> None:
        self.limit = limit
        self.lru: deque[Dentry] = deque()


def dcache_init(machine: Machine) -> Dcache:
    """Give the machine its name cache; called by the first d_alloc() if boot hasn't."""
    cache: Dcache | None = machine.dcache
    if cache is None:
        cache = machine.dcache = Dcache()
    return cache


def d_make_root(sb: SuperBlock, inode: Inode) -> Dentry:
    """The root dentry of a file system; takes over the caller's reference on `inode`."""
    root = Dentry(sb, None, b"/")
    root.d_inode = inode
    root.d_pinned = True
    return root


def d_lookup(parent: Dentry, name: bytes) -> Dentry | None:
    """The cached dentry of `name` (negative ones too), or None."""
    return parent.d_children.get(name)


def d_alloc(parent: Dentry, name: bytes) -> Dentry:
    """A new negative dentry, hashed in `parent` (which must have none of that name)."""
    dentry = Dentry(parent.d_sb, parent, name)
    cache = parent.d_sb.machine.dcache or dcache_init(parent.d_sb.machine)
    lru = cache.lru
    if len(lru) >= cache.limit:
        prune_dcache(cache, PRUNE_SCAN)
    parent.d_children[name] = dentry
    lru.append(dentry)
    return dentry


def d_instantiate(dentry: Dentry, inode: Inode) -> None:
    """Make a negative dentry positive; takes over the caller's reference on `inode`."""
    dentry.d_inode = inode


def d_drop(dentry: Dentry) -> None:
    """Unhash a dentry and everything below it, giving up the inodes' references."""
    if dentry.d_unhashed or dentry.d_parent is dentry:
        return
    siblings = dentry.d_parent.d_children
    if siblings.get(dentry.d_name) is dentry:
        del siblings[dentry.d_name]
    stack = [dentry]
    while stack:
        victim = stack.pop()
        victim.d_unhashed = True
        if victim.d_children:
            stack.extend(victim.d_children.values())
            victim.d_children.clear()
        if victim.d_inode is not None:
            iput(victim.d_inode)


def d_delete(dentry: Dentry) -> None:
    """The name was removed from its directory (unlink, rmdir)."""
    d_drop(dentry)


def d_move(dentry: Dentry, target: Dentry) -> None:
    """`dentry` was renamed to where `target` is; a positive target is gone by that."""
    parent, name = target.d_parent, target.d_name
    d_drop(target)
    if not dentry.d_unhashed:
        del dentry.d_parent.d_children[dentry.d_name]
    dentry.d_parent = parent
    dentry.d_name = name
    parent.d_children[name] = dentry


def d_exchange(one: Dentry, other: Dentry) -> None:
    """Two dentries changed places (RENAME_EXCHANGE)."""
    one.d_parent, other.d_parent = other.d_parent, one.d_parent
    one.d_name, other.d_name = other.d_name, one.d_name
    one.d_parent.d_children[one.d_name] = one
    other.d_parent.d_children[other.d_name] = other


def dput(dentry: Dentry) -> None:
    """Nothing to do: holders of dentries aren't counted. Kept for Linux's idiom."""


def is_subdir(dentry: Dentry, ancestor: Dentry) -> bool:
    """Is `dentry` the same as or below `ancestor`?"""
    while dentry is not ancestor:
        parent = dentry.d_parent
        if parent is dentry:
            return False
        dentry = parent
    return True


def d_ancestor(top: Dentry, dentry: Dentry) -> Dentry | None:
    """The child of `top` that is `dentry` or above it; None if `dentry` isn't below `top`."""
    while (parent := dentry.d_parent) is not dentry:
        if parent is top:
            return dentry
        dentry = parent
    return None


def prune_dcache(cache: Dcache, scan: int) -> int:
    """Look at the `scan` oldest dentries and drop what isn't needed; how many were dropped."""
    lru = cache.lru
    freed = 0
    for _ in range(min(scan, len(lru))):
        dentry = lru.popleft()
        if dentry.d_unhashed or dentry.d_pinned:
            continue
        if dentry.d_children or dentry.d_mounted:
            lru.append(dentry)
            continue
        parent, name, inode = dentry.d_parent, dentry.d_name, dentry.d_inode
        weak = ref(dentry)
        del parent.d_children[name], dentry
        if (held := weak()) is not None:
            parent.d_children[name] = held
            lru.append(held)
            continue
        freed += 1
        if inode is not None:
            iput(inode)
    return freed


def shrink_dcache_sb(sb: SuperBlock) -> None:
    """The file system goes away: unhash every dentry of it below the root."""
    for child in list(sb.s_root.d_children.values()):
        d_drop(child)


def _components(path: Path, root: Path | None) -> tuple[list[bytes], bool]:
    """Names from `path` up to `root` or the top, last first; was `root` met? ENAMETOOLONG."""
    names: list[bytes] = []
    left = PATH_MAX
    dentry, mnt = path.dentry, path.mnt
    while root is None or dentry is not root.dentry or mnt is not root.mnt:
        if dentry is mnt.mnt_root:
            if mnt.mnt_parent is mnt:
                return names, root is None
            dentry, mnt = mnt.mnt_mountpoint, mnt.mnt_parent
            continue
        parent = dentry.d_parent
        if parent is dentry:
            return names, False
        names.append(dentry.d_name)
        left -= len(dentry.d_name) + 1
        if left < 0:
            raise ENAMETOOLONG
        dentry = parent
    return names, True


def d_path(path: Path, root: Path | None, unreachable: bool = False) -> bytes:
    """The path as seen from `root` (None: from the top of all mounts).

    Removed files end in " (deleted)". With `unreachable` a place that isn't below `root`
    begins with "(unreachable)", as getcwd(2) shows it. Errors: ENAMETOOLONG (PATH_MAX).
    """
    dentry = path.dentry
    bound = dentry is path.mnt.mnt_root and dentry.d_parent is dentry
    if dentry.d_op is not None and not bound:
        text = dentry.d_op.d_dname(dentry)
        if text is not None:
            return text
    names, reached = _components(path, root)
    names.reverse()
    text = b"/" + b"/".join(names)
    if unreachable and not reached:
        text = b"(unreachable)" + text
    return text + b" (deleted)" if dentry.d_unhashed else text


def dentry_path(dentry: Dentry) -> bytes:
    """The path of a dentry within its own file system."""
    names: list[bytes] = []
    while (parent := dentry.d_parent) is not dentry:
        names.append(dentry.d_name)
        dentry = parent
    names.reverse()
    return b"/" + b"/".join(names)
