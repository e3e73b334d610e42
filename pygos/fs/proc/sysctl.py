# SPDX-License-Identifier: Apache-2.0
"""/proc/sys: the machine's tunables (fs/proc/proc_sysctl.c).

``machine.sysctl`` has them by dotted name; every entry shows up here. What is kept elsewhere
or computed has a handler in ``_SPECIAL``; what may be written, and between which bounds, is
in ``_WRITABLE`` and ``sysctl_table.TABLE``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from pygos.fs.libfs import DirFileOperations, dir_emit_entries
from pygos.fs.proc.sysctl_table import TABLE, load_table, min_free_kbytes, pty_nr
from pygos.fs.synthetic import (
    Directory,
    Synthetic,
    SyntheticInode,
    SyntheticInodeOperations,
    fixed_ino,
)
from pygos.include.errno import EACCES, EINVAL, EPERM
from pygos.include.linux.fs import DirContext, File, Inode
from pygos.include.linux.ptrace import PTRACE_SCOPE, set_ptrace_scope
from pygos.include.uapi.capability import CAP_SYS_ADMIN
from pygos.include.uapi.dirent import DT_DIR, DT_REG

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task

_PREFIX: Final = "sys/"
_INT_MAX: Final = 0x7FFF_FFFF
_LONG_MAX: Final = 0x7FFF_FFFF_FFFF_FFFF

#: Writable integers and their bounds; writable texts have None.
_WRITABLE: Final[dict[str, tuple[int, int] | None]] = {
    "kernel.threads-max": (20, _INT_MAX),
    "kernel.core_pattern": None, "kernel.core_uses_pid": (0, _INT_MAX),
    "kernel.yama.ptrace_scope": (0, 3),
    "kernel.dmesg_restrict": (0, 1), "kernel.printk": None, "kernel.panic": (0, _INT_MAX),
    "kernel.randomize_va_space": (0, 2), "kernel.hostname": None, "kernel.domainname": None,
    "kernel.overflowuid": (0, 65535), "kernel.overflowgid": (0, 65535),
    "vm.overcommit_memory": (0, 2),
    "vm.overcommit_ratio": (0, _INT_MAX), "vm.max_map_count": (0, _INT_MAX),
    "vm.mmap_min_addr": (0, _LONG_MAX), "vm.swappiness": (0, 200), "vm.panic_on_oom": (0, 2),
    "vm.drop_caches": (1, 4), "fs.file-max": (0, _LONG_MAX), "fs.nr_open": (8, 0x7FFF_FFC0),
    "fs.mount-max": (1, _INT_MAX), "fs.inotify.max_user_instances": (0, _INT_MAX),
    "fs.inotify.max_user_watches": (0, _INT_MAX), "fs.inotify.max_queued_events": (0, _INT_MAX),
    "fs.pipe-max-size": (4096, _INT_MAX), "fs.pipe-user-pages-soft": (0, _LONG_MAX),
    "fs.pipe-user-pages-hard": (0, _LONG_MAX), "fs.lease-break-time": (0, _INT_MAX),
    "fs.protected_symlinks": (0, 1), "fs.protected_hardlinks": (0, 1),
    "fs.protected_fifos": (0, 2), "fs.protected_regular": (0, 2), "fs.suid_dumpable": (0, 2),
    "fs.epoll.max_user_watches": (0, _LONG_MAX),
    "net.core.somaxconn": (0, _INT_MAX), "net.core.wmem_default": (4608, _INT_MAX),
    "net.core.rmem_default": (2304, _INT_MAX), "net.core.wmem_max": (4608, _INT_MAX),
    "net.core.rmem_max": (2304, _INT_MAX), "net.core.optmem_max": (0, _INT_MAX),
    "net.unix.max_dgram_qlen": (0, _INT_MAX),
}  # fmt: skip
#: The capability counts, not who may open the file.
_PRIVILEGED: Final = frozenset(("kernel.hostname", "kernel.domainname"))
#: Readable by the owner alone.
_WRITE_ONLY: Final = frozenset(("vm.drop_caches",))


# -- values kept elsewhere


def _file_max(task: Task) -> int:
    return task.machine.file_max


def _file_nr(task: Task) -> str:
    return f"{task.machine.nr_files}\t0\t{task.machine.file_max}"


def _inode_nr(task: Task) -> str:
    cached = len(task.machine.dcache.lru) if task.machine.dcache is not None else 0
    return f"{cached}\t0"


def _inode_state(task: Task) -> str:
    return _inode_nr(task) + "\t0\t0\t0\t0\t0"


def _dentry_state(task: Task) -> str:
    cached = len(task.machine.dcache.lru) if task.machine.dcache is not None else 0
    return f"{cached}\t{cached}\t45\t0\t0\t0"


def _hostname(task: Task) -> str:
    return task.nsproxy.uts.nodename


def _domainname(task: Task) -> str:
    return task.nsproxy.uts.domainname


def _entropy_avail(task: Task) -> int:
    return 256


def format_uuid(raw: bytes) -> str:
    """A random (version 4) UUID of 16 random bytes."""
    raw = raw[:6] + bytes(((raw[6] & 0x0F) | 0x40, raw[7], (raw[8] & 0x3F) | 0x80)) + raw[9:]
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _uuid(task: Task) -> str:
    return format_uuid(task.machine.entropy.bytes(16))


def _boot_id(task: Task) -> str:
    misc = task.machine.misc
    found: str | None = misc.get("boot_id")
    if found is None:
        found = misc["boot_id"] = _uuid(task)
    return found


def _tainted(task: Task) -> int:
    return int(task.machine.oops_count > 0) << 7


def _no_value(task: Task) -> int:
    return 0


_SPECIAL: Final[dict[str, Callable[[Task], int | str]]] = {
    "kernel.hostname": _hostname, "kernel.domainname": _domainname,
    "kernel.tainted": _tainted,
    "kernel.random.uuid": _uuid, "kernel.random.boot_id": _boot_id,
    "kernel.random.entropy_avail": _entropy_avail, "kernel.random.poolsize": _entropy_avail,
    "fs.file-max": _file_max, "fs.file-nr": _file_nr, "fs.inode-nr": _inode_nr,
    "fs.inode-state": _inode_state, "fs.dentry-state": _dentry_state,
    "vm.drop_caches": _no_value, "kernel.pty.nr": pty_nr, "vm.min_free_kbytes": min_free_kbytes,
}  # fmt: skip


# -- writing


def _store_special(task: Task, name: str, value: Any) -> bool:
    """Put a value where it is kept; False if that is machine.sysctl."""
    machine = task.machine
    if name == "fs.file-max":
        machine.file_max = value
    elif name == "kernel.hostname":
        task.nsproxy.uts.nodename = value[:64]
    elif name == "kernel.domainname":
        task.nsproxy.uts.domainname = value[:64]
    elif name == "vm.drop_caches":
        _drop_caches(machine, value)
    elif name == PTRACE_SCOPE:
        set_ptrace_scope(task, value)
    else:
        return False
    return True


def _drop_caches(machine: Machine, what: int) -> None:
    """1: clean pages; 2: unused names."""
    if what & 1:
        for shrinker in machine.zone.shrinkers:
            shrinker.drop_all()
    if what & 2 and machine.dcache is not None:
        from pygos.fs.dcache import prune_dcache

        prune_dcache(machine.dcache, len(machine.dcache.lru))


def parse_int(data: bytes) -> int:
    """An integer as proc_dointvec() takes it: white space around it. EINVAL."""
    words = data.strip(b"\0 \t\n").split()
    if not words or len(words[0]) > 21:
        raise EINVAL
    try:
        return int(words[0], 0)
    except ValueError:
        raise EINVAL from None


def _is_writable(name: str) -> bool:
    return name in _WRITABLE or name in TABLE


def store(task: Task, name: str, data: bytes) -> None:
    """A program wrote to a tunable. EINVAL, EPERM."""
    if not _is_writable(name):
        raise EPERM
    owner = task.nsproxy.uts.user_ns
    if name in _PRIVILEGED and not task.cred.ns_capable(owner, CAP_SYS_ADMIN):
        raise EPERM
    bounds = _WRITABLE[name] if name in _WRITABLE else TABLE[name][1]
    value: int | str
    if bounds is None:
        value = data.split(b"\n")[0].split(b"\0")[0].decode("utf-8", "surrogateescape")
    else:
        value = parse_int(data)
        if not bounds[0] <= value <= bounds[1]:
            raise EINVAL
    if not _store_special(task, name, value):
        task.machine.sysctl[name] = value


# -- tunables of the layers above


class Sysctl:
    """One tunable that is kept by a layer above; `mode` are its permission bits."""

    __slots__ = ("mode",)

    def __init__(self, mode: int) -> None:
        self.mode = mode

    def show(self, task: Task) -> str:
        """The text, without the newline."""
        raise NotImplementedError

    def store(self, task: Task, data: bytes) -> None:
        """Something was written. EINVAL."""
        raise EPERM


def _registered(machine: Machine) -> dict[str, Sysctl]:
    """What the functions in ``machine.misc["sysctl_providers"]`` give, by dotted name."""
    table: dict[str, Sysctl] | None = machine.misc.get("sysctl_table")
    if table is None:
        table = machine.misc["sysctl_table"] = {}
        load_table(machine)
        from pygos.fs.proc.ns_sysctl import ns_sysctls

        table.update(ns_sysctls())
        from pygos.fs.proc.seccomp_sysctl import seccomp_sysctls

        table.update(seccomp_sysctls())
        for provider in machine.misc.get("sysctl_providers", ()):
            table.update(provider())
    return table


def _show_registered(task: Task, target: Any) -> str:
    return _registered(task.machine)[target].show(task) + "\n"


def _store_registered(task: Task, target: Any, data: bytes) -> None:
    _registered(task.machine)[target].store(task, data)


# -- the tree


def all_names(machine: Machine) -> list[str]:
    """Dotted names of all tunables."""
    return sorted({*machine.sysctl, *_SPECIAL, *_registered(machine)})


def _show(task: Task, target: Any) -> str:
    special = _SPECIAL.get(target)
    value = special(task) if special is not None else task.machine.sysctl[target]
    return str(value).replace(" ", "\t") + "\n" if target in _TABBED else f"{value}\n"


def _store(task: Task, target: Any, data: bytes) -> None:
    store(task, target, data)


#: Vectors of integers: shown with tabs between them.
_TABBED: Final = frozenset(("kernel.printk",))
_READ_ONLY: Final = Synthetic("", 0o444, _show)
_READ_WRITE: Final = Synthetic("", 0o644, _show, _store)
_WRITE: Final = Synthetic("", 0o200, _show, _store)


def children_of(machine: Machine, prefix: str) -> dict[str, bool]:
    """The names directly below a dotted prefix ("" or "kernel."); True: a directory."""
    found: dict[str, bool] = {}
    for name in all_names(machine):
        if name.startswith(prefix):
            head, dot, _ = name[len(prefix) :].partition(".")
            found[head] = bool(dot)
    return found


def _prefix(dir: Inode) -> str:
    assert isinstance(dir, SyntheticInode)
    return dir.target or ""


class SysctlFileOperations(SyntheticInodeOperations):
    """Who may read and write a tunable: the mode bits alone count, even for root."""

    __slots__ = ()

    def permission(self, task: Task, inode: Inode, mask: int) -> bool | None:
        cred, mode = task.cred, inode.i_mode
        if cred.euid == 0:
            mode >>= 6
        elif 0 in (cred.egid, *cred.groups):
            mode >>= 3
        if mask & ~mode & 7:
            raise EACCES
        return False


_FILE_IOPS: Final = SysctlFileOperations()


class SysctlDirOperations(SyntheticInodeOperations):
    """A directory of tunables; ``target`` of its inode is the dotted prefix."""

    __slots__ = ()

    def lookup(self, task: Task, dir: Inode, name: bytes) -> Inode | None:
        prefix = _prefix(dir)
        text = name.decode("utf-8", "surrogateescape")
        kind = children_of(task.machine, prefix).get(text)
        if kind is None or "." in text:
            return None
        ino = fixed_ino(dir.i_sb, _PREFIX.encode() + prefix.encode() + name)
        if kind:
            return SyntheticInode(dir.i_sb, ino, SYSCTL_ROOT, f"{prefix}{text}.")
        full = prefix + text
        own = _registered(task.machine).get(full)
        if own is not None:
            kept = Synthetic("", own.mode, _show_registered, _store_registered)
            return SyntheticInode(dir.i_sb, ino, kept, full)
        node = _READ_WRITE if _is_writable(full) else _READ_ONLY
        inode = SyntheticInode(dir.i_sb, ino, _WRITE if full in _WRITE_ONLY else node, full)
        if full not in _PRIVILEGED:
            inode.i_op = _FILE_IOPS
        return inode


class SysctlDirFileOperations(DirFileOperations):
    """Its listing."""

    __slots__ = ()

    def iterate(self, task: Task, file: File, ctx: DirContext) -> None:
        prefix = _prefix(file.f_inode)
        sb = file.f_inode.i_sb
        children = children_of(task.machine, prefix).items()
        dir_emit_entries(
            file,
            ctx,
            (
                (
                    name.encode(),
                    fixed_ino(sb, (_PREFIX + prefix + name).encode()),
                    DT_DIR if is_dir else DT_REG,
                )
                for name, is_dir in children
            ),
        )


SYSCTL_ROOT: Final = Directory("sys", 0o555, SysctlDirOperations(), SysctlDirFileOperations())
