# SPDX-License-Identifier: Apache-2.0
"""/proc/PID/mounts and mountinfo (fs/proc_namespace.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.fs.dcache import d_path, dentry_path
from pygos.fs.pnode import tags
from pygos.include.linux.fs import (
    MNT_NOATIME,
    MNT_NODEV,
    MNT_NODIRATIME,
    MNT_NOEXEC,
    MNT_NOSUID,
    MNT_NOSYMFOLLOW,
    MNT_READONLY,
    MNT_RELATIME,
    SB_RDONLY,
    MntNamespace,
    Mount,
    Path,
)
from pygos.include.uapi.kdev_t import major, minor

if TYPE_CHECKING:
    from pygos.include.linux.fs import SuperBlock
    from pygos.include.linux.sched import Task

_OPTION_TEXT: Final = (
    (MNT_NOSUID, ",nosuid"),
    (MNT_NODEV, ",nodev"),
    (MNT_NOEXEC, ",noexec"),
    (MNT_NOATIME, ",noatime"),
    (MNT_NODIRATIME, ",nodiratime"),
    (MNT_RELATIME, ",relatime"),
    (MNT_NOSYMFOLLOW, ",nosymfollow"),
)


def mangle(text: bytes, special: bytes = b" \t\n\\#") -> bytes:
    """Escape white space and such as the lists in /proc do: \\040 for a space."""
    return b"".join([b"\\%03o" % c if c in special else bytes((c,)) for c in text])


def mount_options(mnt: Mount) -> str:
    """The mount's own options, a leading comma each."""
    return "".join([text for flag, text in _OPTION_TEXT if mnt.mnt_flags & flag])


def visible(ns: MntNamespace, root: Path) -> list[tuple[Mount, bytes]]:
    """The mounts that can be reached from `root`, with their paths, oldest first."""
    found = []
    for mnt in sorted([ns.root, *ns.table.values()], key=_by_id):
        text = d_path(Path(mnt, mnt.mnt_root), root, unreachable=True)
        if not text.startswith(b"(unreachable)"):
            found.append((mnt, text))
    return found


def _by_id(mnt: Mount) -> int:
    return mnt.mnt_id


def _rw(read_only: int) -> str:
    return "ro" if read_only else "rw"


def _name(mnt: Mount) -> bytes:
    return mangle(mnt.mnt_devname.encode("utf-8", "surrogateescape"))


def _super_options(sb: SuperBlock) -> bytes:
    return sb.s_op.show_options(sb).encode("utf-8", "surrogateescape")


def mounts_text(ns: MntNamespace, root: Path) -> bytes:
    """/proc/PID/mounts of a task with that namespace and root."""
    lines = []
    for mnt, path in visible(ns, root):
        sb = mnt.mnt_sb
        options = _rw(mnt.mnt_flags & MNT_READONLY or sb.s_flags & SB_RDONLY)
        own = (options + mount_options(mnt)).encode()
        head = b"%s %s %s " % (_name(mnt), mangle(path), sb.s_type.name.encode())
        lines.append(head + own + _super_options(sb) + b" 0 0\n")
    return b"".join(lines)


def mountinfo_text(ns: MntNamespace, root: Path, reader: Task) -> bytes:
    """/proc/PID/mountinfo as `reader` sees it, proc_pid_mountinfo(5)."""
    found = visible(ns, root)
    reachable = {mnt for mnt, _ in found}
    return b"".join([_info_line(mnt, path, reachable, reader) for mnt, path in found])


def _info_line(mnt: Mount, path: bytes, reachable: set[Mount], reader: Task) -> bytes:
    sb = mnt.mnt_sb
    dev = f"{major(sb.s_dev)}:{minor(sb.s_dev)}"
    head = f"{mnt.mnt_id} {mnt.mnt_parent.mnt_id} {dev} ".encode()
    text = sb.s_op.show_path(reader, mnt.mnt_root)
    if text is None and mnt.mnt_root.d_op is not None:
        text = mnt.mnt_root.d_op.d_dname(mnt.mnt_root)
    inner = text if text is not None else mangle(dentry_path(mnt.mnt_root))
    own = _rw(mnt.mnt_flags & MNT_READONLY) + mount_options(mnt) + tags(mnt, reachable)
    kind = sb.s_type.name.encode()
    shared = _rw(sb.s_flags & SB_RDONLY).encode() + _super_options(sb)
    return head + b"%s %s %s - %s %s %s\n" % (
        inner, mangle(path), own.encode(), kind, _name(mnt), shared,
    )  # fmt: skip
