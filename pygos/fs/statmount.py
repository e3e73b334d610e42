# SPDX-License-Identifier: Apache-2.0
"""What there is mounted, by number: statmount(2), listmount(2)."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

from pygos.fs.dcache import d_path, dentry_path, is_subdir
from pygos.fs.mount import may_mount
from pygos.fs.open import copy_struct_from_user
from pygos.fs.pnode import dominating
from pygos.fs.proc_namespace import visible
from pygos.include.errno import E2BIG, EINVAL, ENOENT, EOVERFLOW, EPERM
from pygos.include.linux.fs import (
    MNT_NOATIME,
    MNT_NODEV,
    MNT_NODIRATIME,
    MNT_NOEXEC,
    MNT_NOSUID,
    MNT_NOSYMFOLLOW,
    MNT_READONLY,
    MNT_RELATIME,
    MNT_UNBINDABLE,
    Mount,
    Path,
)
from pygos.include.linux.syscalls import Size, UInt, UserAddr, syscall
from pygos.include.uapi import mount as uapi
from pygos.include.uapi.kdev_t import major, minor
from pygos.kernel.nsproxy import ns_number

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task

#: Numbers that are never used again begin here; below are those of mountinfo.
UNIQUE: Final = 1 << 31
_REQ_SIZE_VER0: Final = 24
_PAGE: Final = 4096
_MOST_IDS: Final = 1_000_000
#: struct statmount: size mnt_opts mask, sb_dev_* sb_magic sb_flags fs_type, mnt_id
#: mnt_parent_id, the old ones, attr propagation peer_group master propagate_from, mnt_root
#: mnt_point ns_id fs_subtype sb_source, opt_*, supported_mask, id maps, spare.
_STATMOUNT: Final = Struct("<IIQ IIQII QQII QQQQQ IIQII IIII Q IIII 344x")
_SUPPORTED: Final = 0x13FF | uapi.STATMOUNT_SUPPORTED_MASK
_ATTRS: Final = (
    (MNT_READONLY, uapi.MOUNT_ATTR_RDONLY), (MNT_NOSUID, uapi.MOUNT_ATTR_NOSUID),
    (MNT_NODEV, uapi.MOUNT_ATTR_NODEV), (MNT_NOEXEC, uapi.MOUNT_ATTR_NOEXEC),
    (MNT_NODIRATIME, uapi.MOUNT_ATTR_NODIRATIME),
    (MNT_NOSYMFOLLOW, uapi.MOUNT_ATTR_NOSYMFOLLOW),
)  # fmt: skip


def _request(task: Task, addr: int) -> tuple[int, int]:
    """mnt_id and param of struct mnt_id_req. EFAULT, E2BIG, EINVAL."""
    assert task.mm is not None
    size = task.mm.read_u32(addr)
    if size > _PAGE:
        raise E2BIG
    if size < _REQ_SIZE_VER0:
        raise EINVAL
    data = copy_struct_from_user(task, addr, size, uapi.MntIdReq.SIZE, _PAGE)
    request = uapi.MntIdReq.from_bytes(data)
    if request.spare or request.mnt_id <= UNIQUE or request.mnt_ns_id:
        raise EINVAL
    return request.mnt_id, request.param


def _find(task: Task, unique: int) -> Mount:
    """The mount with a number in the caller's namespace. ENOENT."""
    ns = task.nsproxy.mnt
    for mnt in (ns.root, *ns.table.values()):
        if mnt.mnt_id + UNIQUE == unique:
            return mnt
    raise ENOENT


# -- statmount


class _Strings:
    """The texts behind struct statmount; offset 0 is an empty one."""

    __slots__ = ("data",)

    def __init__(self) -> None:
        self.data = b"\0"

    def add(self, text: bytes) -> int:
        at = len(self.data)
        self.data += text + b"\0"
        return at


def _mount_attr(mnt: Mount) -> int:
    attr = sum([bit for flag, bit in _ATTRS if mnt.mnt_flags & flag])
    if mnt.mnt_flags & MNT_NOATIME:
        attr |= uapi.MOUNT_ATTR_NOATIME
    elif not mnt.mnt_flags & MNT_RELATIME:
        attr |= uapi.MOUNT_ATTR_STRICTATIME
    return attr


def _propagation(mnt: Mount) -> int:
    kind = uapi.MS_SHARED if mnt.mnt_group is not None else 0
    kind |= uapi.MS_SLAVE if mnt.mnt_master is not None else 0
    kind |= uapi.MS_UNBINDABLE if mnt.mnt_flags & MNT_UNBINDABLE else 0
    return kind or uapi.MS_PRIVATE


@syscall(partial="id maps and arrays of options aren't given; only the caller's namespace.")
def statmount(task: Task, req: UserAddr, buf: UserAddr, bufsize: Size, flags: UInt) -> int:
    """Tell about a mount. statmount(2). Errors: EINVAL, E2BIG, ENOENT, EPERM, EOVERFLOW, EFAULT."""
    if flags:
        raise EINVAL
    unique, mask = _request(task, req)
    mnt = _find(task, unique)
    root = task.fs.root
    place = d_path(Path(mnt, mnt.mnt_root), root, unreachable=True)
    if place.startswith(b"(unreachable)") and not may_mount(task):
        raise EPERM
    data, has_text = _fill(task, mnt, mask, place)
    if has_text and len(data) > bufsize:
        raise EOVERFLOW
    assert task.mm is not None
    task.mm.write(buf, data[:bufsize])
    return 0


def _fill(task: Task, mnt: Mount, mask: int, place: bytes) -> tuple[bytes, bool]:
    sb = mnt.mnt_sb
    texts = _Strings()
    done = mask & (
        uapi.STATMOUNT_SB_BASIC | uapi.STATMOUNT_MNT_BASIC | uapi.STATMOUNT_PROPAGATE_FROM
        | uapi.STATMOUNT_MNT_NS_ID | uapi.STATMOUNT_SUPPORTED_MASK
    )  # fmt: skip
    found: dict[int, int] = {}
    options = sb.s_op.show_options(sb).lstrip(",").encode("utf-8", "surrogateescape")
    for bit, text in (
        (uapi.STATMOUNT_FS_TYPE, sb.s_type.name.encode()),
        (uapi.STATMOUNT_MNT_ROOT, dentry_path(mnt.mnt_root)),
        (uapi.STATMOUNT_MNT_POINT, place),
        (uapi.STATMOUNT_MNT_OPTS, options),
        (uapi.STATMOUNT_SB_SOURCE, mnt.mnt_devname.encode("utf-8", "surrogateescape")),
    ):
        if mask & bit and text:
            found[bit] = texts.add(text)
            done |= bit
    strings = texts.data if found else b""
    basic = _basic(task, mnt, mask)
    head = _STATMOUNT.pack(
        _STATMOUNT.size + len(strings), found.get(uapi.STATMOUNT_MNT_OPTS, 0), done,
        *(basic[0] if mask & uapi.STATMOUNT_SB_BASIC else (0, 0, 0, 0)),
        found.get(uapi.STATMOUNT_FS_TYPE, 0),
        *(basic[1] if mask & uapi.STATMOUNT_MNT_BASIC else (0,) * 8),
        _from(task, mnt) if mask & uapi.STATMOUNT_PROPAGATE_FROM else 0,
        found.get(uapi.STATMOUNT_MNT_ROOT, 0), found.get(uapi.STATMOUNT_MNT_POINT, 0),
        ns_number(task.machine, task.nsproxy.mnt) if mask & uapi.STATMOUNT_MNT_NS_ID else 0,
        0, found.get(uapi.STATMOUNT_SB_SOURCE, 0), 0, 0, 0, 0,
        _SUPPORTED if mask & uapi.STATMOUNT_SUPPORTED_MASK else 0, 0, 0, 0, 0,
    )  # fmt: skip
    return head + strings, bool(found)


def _basic(task: Task, mnt: Mount, mask: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    sb = mnt.mnt_sb
    about_sb = (major(sb.s_dev), minor(sb.s_dev), sb.s_magic, sb.s_flags & 1)
    parent = mnt.mnt_parent.mnt_id
    about_mnt = (
        mnt.mnt_id + UNIQUE, parent + UNIQUE, mnt.mnt_id, parent, _mount_attr(mnt),
        _propagation(mnt), mnt.mnt_group.id if mnt.mnt_group is not None else 0,
        mnt.mnt_master.id if mnt.mnt_master is not None else 0,
    )  # fmt: skip
    return about_sb, about_mnt


def _from(task: Task, mnt: Mount) -> int:
    reachable = {one for one, _ in visible(task.nsproxy.mnt, task.fs.root)}
    return dominating(mnt, reachable)


# -- listmount


def _under(mnt: Mount, top: Path) -> bool:
    dentry = mnt.mnt_root
    while mnt is not top.mnt:
        if mnt.mnt_parent is mnt:
            return False
        mnt, dentry = mnt.mnt_parent, mnt.mnt_mountpoint
    return is_subdir(dentry, top.dentry)


@syscall
def listmount(task: Task, req: UserAddr, mnt_ids: UserAddr, nr: Size, flags: UInt) -> int:
    """The numbers of the mounts below one, or of all; how many. listmount(2).

    Errors: EINVAL, E2BIG, EOVERFLOW, ENOENT, EPERM, EFAULT.
    """
    if flags & ~uapi.LISTMOUNT_REVERSE:
        raise EINVAL
    if nr > _MOST_IDS:
        raise EOVERFLOW
    unique, last = _request(task, req)
    if last and last <= UNIQUE:
        raise EINVAL
    root = task.fs.root
    if unique == uapi.LSMT_ROOT:
        top = root
    else:
        mnt = _find(task, unique)
        top = Path(mnt, mnt.mnt_root)
        if not _under(mnt, root) and not may_mount(task):
            raise EPERM
    ns = task.nsproxy.mnt
    found = [
        mnt.mnt_id + UNIQUE
        for mnt in (ns.root, *ns.table.values())
        if mnt is not top.mnt and _under(mnt, top)
    ]
    backwards = bool(flags & uapi.LISTMOUNT_REVERSE)
    found.sort(reverse=backwards)
    if last:
        found = [one for one in found if (one < last if backwards else one > last)]
    found = found[:nr]
    assert task.mm is not None
    if found:
        task.mm.write(mnt_ids, b"".join([one.to_bytes(8, "little") for one in found]))
    return len(found)
