# SPDX-License-Identifier: Apache-2.0
"""Groups, their types, and which controllers they have (kernel/cgroup/cgroup.c).

A ``Cgroup`` is a directory of the cgroup2 file system. ``own`` has the states (``Css``) of the
controllers that its parent has enabled for it; ``pids``, ``cpu``, ``memory`` and ``cpuset``
are the states that count for its tasks: its own or the nearest ancestor's, None if that is
the root's, which limits nothing.

Tasks of the root group aren't kept in lists: they are those whose ``task.cgroups`` is None or
the root.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from pygos.include.errno import (
    EAGAIN,
    EBUSY,
    EEXIST,
    EINVAL,
    ENODEV,
    ENOENT,
    ENOSPC,
    EOPNOTSUPP,
)
from pygos.include.linux.wait import WaitQueue
from pygos.kernel.cgroup.domain import (
    THREADED,
    can_be_thread_root,
    has_tasks,
    is_populated,
    is_thread_root,
    is_threaded,
    is_valid_domain,
)

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task
    from pygos.kernel.cgroup.cpu import CpuCss
    from pygos.kernel.cgroup.cpuset import CpusetCss
    from pygos.kernel.cgroup.memory import MemoryCss
    from pygos.kernel.cgroup.pids import PidsCss

#: The controllers, in the order of cgroup.controllers, and where they are.
CONTROLLERS: Final = {
    "cpuset": ("pygos.kernel.cgroup.cpuset", "CpusetCss"),
    "cpu": ("pygos.kernel.cgroup.cpu", "CpuCss"),
    "memory": ("pygos.kernel.cgroup.memory", "MemoryCss"),
    "pids": ("pygos.kernel.cgroup.pids", "PidsCss"),
}
#: So many there may be at once, as many as Linux has numbers for memory controllers.
MAX_CGROUPS: Final = 65535
#: "max" of a number of groups or levels.
NO_LIMIT: Final = 0x7FFF_FFFF
#: Inode numbers: that many for a group's directory and its files.
INO_STEP: Final = 128
_POLLPRI: Final = 0x2 | 0x8  # POLLPRI | POLLERR


class Css:
    """What a controller keeps of one group (struct cgroup_subsys_state)."""

    __slots__ = ("cgroup",)
    name: ClassVar[str] = ""

    def __init__(self, cgroup: Cgroup) -> None:
        self.cgroup = cgroup

    def online(self) -> None:
        """The group has the controller now; its tasks aren't told yet."""

    def offline(self) -> None:
        """The group loses the controller; its tasks have left."""

    def attach(self, task: Task) -> None:
        """`task` now counts here, by a move or because the controller was enabled."""

    def fork(self, child: Task) -> None:
        """A new task begins here."""
        self.attach(child)

    def detach(self, task: Task) -> None:
        """`task` no longer counts here."""


class EventFile:
    """A file whose changes poll(2) tells of (kernfs_notify)."""

    __slots__ = ("event", "poll")

    def __init__(self) -> None:
        self.event = 1
        self.poll = WaitQueue()

    def notify(self) -> None:
        """The contents have changed."""
        self.event += 1
        self.poll.wake_all(_POLLPRI)


class FileAttrs:
    """What chmod, chown, utimes and setxattr have changed of a file (struct kernfs_iattrs)."""

    __slots__ = ("atime", "ctime", "gid", "mode", "mtime", "uid", "xattrs")

    def __init__(self, mode: int, uid: int, gid: int) -> None:
        self.mode = mode
        self.uid = uid
        self.gid = gid
        self.atime = self.mtime = self.ctime = 0
        self.xattrs: dict[bytes, bytes] | None = None


class Cgroup:
    """One group (struct cgroup)."""

    __slots__ = (
        "attrs", "children", "cpu", "cpuset", "dead", "dom", "dying", "e_freeze", "files",
        "freeze", "frozen", "gid", "id", "level", "machine", "max_depth", "max_descendants",
        "memory", "name", "nice_time", "nr_descendants", "nr_frozen_children", "nr_frozen_tasks",
        "nr_populated_domain", "nr_populated_threaded", "nr_threaded_children", "own", "parent",
        "pids", "stime", "subtree_control", "tasks", "uid", "utime",
    )  # fmt: skip

    def __init__(self, machine: Machine, parent: Cgroup | None, name: bytes) -> None:
        self.machine = machine
        self.parent = parent
        self.name = name
        self.children: dict[bytes, Cgroup] = {}
        self.level: int = 0 if parent is None else parent.level + 1
        #: The inode number of the directory; what statx(2) and file handles show.
        self.id = 1
        self.dead = False
        #: Live tasks, with what they had used when they came: user and system ns.
        self.tasks: dict[Task, tuple[int, int]] = {}
        #: Tasks that have exited and weren't reaped.
        self.dying: dict[Task, tuple[int, int]] = {}
        #: The domain that accounts for a threaded group's resources; itself for domains.
        self.dom: Cgroup = self
        self.nr_threaded_children = 0
        self.nr_populated_domain = self.nr_populated_threaded = 0
        self.nr_descendants = 0
        self.max_depth = self.max_descendants = NO_LIMIT
        #: Controllers enabled for the children.
        self.subtree_control: frozenset[str] = frozenset()
        self.own: dict[str, Css] = {}
        self.pids: PidsCss | None = parent.pids if parent is not None else None
        self.cpu: CpuCss | None = parent.cpu if parent is not None else None
        self.cpuset: CpusetCss | None = parent.cpuset if parent is not None else None
        self.memory: MemoryCss | None = parent.memory if parent is not None else None
        #: CPU time used here by tasks that have gone, ns (nice_time is part of utime).
        self.utime = self.stime = self.nice_time = 0
        # -- freezer
        self.freeze = False
        #: Frozen by itself or an ancestor.
        self.e_freeze: bool = parent.e_freeze if parent is not None else False
        self.frozen = False
        self.nr_frozen_tasks = self.nr_frozen_children = 0
        # -- the file system's part
        #: Who made it: the owner of its directory and files.
        self.uid = self.gid = 0
        #: What was changed of that, by file name (b"" for the directory).
        self.attrs: dict[bytes, FileAttrs] = {}
        self.files: dict[bytes, EventFile] = {}

    def __repr__(self) -> str:
        return f"<Cgroup {cgroup_path(self)!r}>"

    def new_attrs(self, mode: int, uid: int, gid: int) -> FileAttrs:
        """See fs/kernfs.py: KernfsNode."""
        return FileAttrs(mode, uid, gid)

    def event_file(self, name: bytes) -> EventFile:
        """The notifier of one of its files."""
        found = self.files.get(name)
        if found is None:
            found = self.files[name] = EventFile()
        return found

    def notify(self, name: bytes) -> None:
        """A file has changed: tell those who have it open."""
        found = self.files.get(name)
        if found is not None:
            found.notify()

    def controllers(self) -> frozenset[str]:
        """The controllers that it may pass on (cgroup_control)."""
        if self.parent is None:
            return frozenset(CONTROLLERS)
        if is_threaded(self):
            return self.parent.subtree_control & THREADED
        return self.parent.subtree_control


class Hierarchy:
    """``machine.cgroups``: the one tree of a machine."""

    __slots__ = ("last_id", "nr_cgroups", "nsdelegate", "root")

    def __init__(self, machine: Machine) -> None:
        self.root = Cgroup(machine, None, b"")
        self.last_id = 1
        self.nr_cgroups = 1
        #: Namespaces are borders of delegation (the mount option of that name).
        self.nsdelegate = True


def hierarchy(machine: Machine) -> Hierarchy:
    """The machine's groups, made at the first use."""
    found: Hierarchy | None = machine.cgroups
    if found is None:
        found = machine.cgroups = Hierarchy(machine)
    return found


def task_cgroup(task: Task) -> Cgroup:
    """The group of a task."""
    found: Cgroup | None = task.cgroups
    return found if found is not None else hierarchy(task.machine).root


# -- the tree


def is_descendant(cgroup: Cgroup, ancestor: Cgroup) -> bool:
    """Is `cgroup` the same as or below `ancestor`?"""
    at: Cgroup | None = cgroup
    while at is not None and at.level > ancestor.level:
        at = at.parent
    return at is ancestor


def subtree(cgroup: Cgroup) -> list[Cgroup]:
    """A group and all below it, parents first."""
    found = [cgroup]
    for one in found:
        found.extend(one.children.values())
    return found


def cgroup_path(cgroup: Cgroup, root: Cgroup | None = None) -> bytes:
    """The path from `root` (default: the hierarchy's), with "/.." for what is outside it."""
    if root is None:
        names = _names(cgroup, None)
        return b"/" + b"/".join(names)
    common: Cgroup = root
    ups = 0
    while not is_descendant(cgroup, common):
        assert common.parent is not None
        common = common.parent
        ups += 1
    names = [b".."] * ups + _names(cgroup, common)
    return b"/" + b"/".join(names)


def _names(cgroup: Cgroup, top: Cgroup | None) -> list[bytes]:
    names: list[bytes] = []
    while cgroup is not top and cgroup.parent is not None:
        names.append(cgroup.name)
        cgroup = cgroup.parent
    names.reverse()
    return names


# -- making and removing


def check_limits(parent: Cgroup) -> None:
    """May one more group be made below? EAGAIN."""
    level = 0
    at: Cgroup | None = parent
    while at is not None:
        if at.nr_descendants >= at.max_descendants or level >= at.max_depth:
            raise EAGAIN
        level += 1
        at = at.parent


def create(parent: Cgroup, name: bytes) -> Cgroup:
    """A new group. Errors: ENODEV (the parent is gone), EEXIST, EAGAIN, ENOSPC."""
    if parent.dead:
        raise ENODEV
    if name in parent.children:
        raise EEXIST
    check_limits(parent)
    top = hierarchy(parent.machine)
    if top.nr_cgroups > MAX_CGROUPS:
        raise ENOSPC
    cgroup = Cgroup(parent.machine, parent, name)
    top.last_id += INO_STEP
    cgroup.id = top.last_id
    top.nr_cgroups += 1
    parent.children[name] = cgroup
    at: Cgroup | None = parent
    while at is not None:
        at.nr_descendants += 1
        at = at.parent
    _add_controllers(cgroup)
    if cgroup.e_freeze:
        from pygos.kernel.cgroup.freezer import update_frozen

        update_frozen(cgroup)
    return cgroup


def destroy(cgroup: Cgroup) -> None:
    """Remove a group without tasks and children. EBUSY."""
    parent = cgroup.parent
    if is_populated(cgroup) or cgroup.children or parent is None:
        raise EBUSY
    if cgroup.frozen:
        from pygos.kernel.cgroup.freezer import propagate_frozen

        propagate_frozen(cgroup, False)
    _drop_controllers(cgroup, everything=True)
    cgroup.dead = True
    del parent.children[cgroup.name]
    hierarchy(cgroup.machine).nr_cgroups -= 1
    if is_threaded(cgroup):
        parent.nr_threaded_children -= 1
    if parent.parent is not None:
        parent.dying.update(cgroup.dying)
    cgroup.dying = {}
    parent.utime += cgroup.utime
    parent.stime += cgroup.stime
    parent.nice_time += cgroup.nice_time
    cgroup.utime = cgroup.stime = cgroup.nice_time = 0
    at: Cgroup | None = parent
    while at is not None:
        at.nr_descendants -= 1
        at = at.parent
    for event in cgroup.files.values():
        event.notify()


def kill(cgroup: Cgroup) -> None:
    """SIGKILL to all tasks of a subtree. EOPNOTSUPP for threaded groups."""
    from pygos.include.linux.sched import SigInfo
    from pygos.kernel.signal import send_sig_info

    if is_threaded(cgroup):
        raise EOPNOTSUPP
    for one in subtree(cgroup):
        for task in tuple(one.tasks):
            if task.alive and not task.fatal_signal_pending():
                send_sig_info(task, SigInfo(9, 0x80), group=True)


# -- controllers


def enable_threaded(cgroup: Cgroup) -> None:
    """Make a domain threaded; there is no way back. EOPNOTSUPP."""
    if is_threaded(cgroup):
        return
    parent = cgroup.parent
    assert parent is not None
    dom = parent.dom
    if is_populated(cgroup) or cgroup.subtree_control - THREADED:
        raise EOPNOTSUPP
    if not is_valid_domain(dom) or not can_be_thread_root(dom):
        raise EOPNOTSUPP
    for one in subtree(cgroup):
        if one is cgroup or is_threaded(one):
            one.dom = dom
    parent.nr_threaded_children += 1
    _drop_controllers(cgroup)


def _css_class(name: str) -> type[Css]:
    from importlib import import_module

    module, cls = CONTROLLERS[name]
    found: type[Css] = getattr(import_module(module), cls)
    return found


def _add_controllers(cgroup: Cgroup) -> None:
    """Give a group the states its parent has enabled and it hasn't yet; ancestors first."""
    for name in CONTROLLERS:
        if name in cgroup.controllers() and name not in cgroup.own and cgroup.parent is not None:
            css = _css_class(name)(cgroup)
            cgroup.own[name] = css
            _set_effective(cgroup, name, css)
            css.online()


def _drop_controllers(cgroup: Cgroup, everything: bool = False) -> None:
    """Take the states away that the parent doesn't enable (any more)."""
    keep = frozenset[str]() if everything else cgroup.controllers()
    assert cgroup.parent is not None
    for name in tuple(cgroup.own):
        if name not in keep:
            css = cgroup.own.pop(name)
            _set_effective(cgroup, name, getattr(cgroup.parent, name))
            css.offline()


def _set_effective(cgroup: Cgroup, name: str, css: Any) -> None:
    """From now on `css` counts for the tasks of a group and of those below without their own."""
    affected = [cgroup]
    for one in affected:
        old: Css | None = getattr(one, name)
        setattr(one, name, css)
        # A process counts for its group's pids until it is reaped.
        for task in (*one.tasks, *one.dying) if name == "pids" else tuple(one.tasks):
            if old is not None:
                old.detach(task)
            if css is not None:
                css.attach(task)
        affected.extend(c for c in one.children.values() if name not in c.own)


def _vet_enable(cgroup: Cgroup, enable: frozenset[str]) -> None:
    """The rules of who may have which controllers. EOPNOTSUPP, EBUSY."""
    if not enable:
        return
    if not is_valid_domain(cgroup.dom):
        raise EOPNOTSUPP
    if cgroup.parent is None:
        return
    if enable - THREADED:
        if is_thread_root(cgroup) or is_threaded(cgroup):
            raise EOPNOTSUPP
    elif can_be_thread_root(cgroup) or is_threaded(cgroup):
        return
    if has_tasks(cgroup):
        raise EBUSY


def set_subtree_control(cgroup: Cgroup, wanted: dict[str, bool]) -> None:
    """Enable and disable controllers for the children. ENODEV, ENOENT, EBUSY, EOPNOTSUPP."""
    if cgroup.dead:
        raise ENODEV
    enable, disable = set(), set()
    have = cgroup.subtree_control
    for name in CONTROLLERS:
        on = wanted.get(name)
        if on and name not in have:
            if name not in cgroup.controllers():
                raise ENOENT
            enable.add(name)
        elif on is False and name in have:
            if any(name in child.subtree_control for child in cgroup.children.values()):
                raise EBUSY
            disable.add(name)
    _vet_enable(cgroup, frozenset(enable))
    cgroup.subtree_control = have.union(enable) - disable
    for child in cgroup.children.values():
        _drop_controllers(child)
        _add_controllers(child)


def parse_subtree_control(text: bytes) -> dict[str, bool]:
    """Read "+name -name ..."; the last word about a name counts. EINVAL."""
    wanted: dict[str, bool] = {}
    for word in text.strip(b" \t\n\v\f\r").split(b" "):
        if not word:
            continue
        name = word[1:].decode("latin-1")
        if name not in CONTROLLERS or word[:1] not in (b"+", b"-"):
            raise EINVAL
        wanted[name] = word[:1] == b"+"
    return wanted


def controllers_text(names: frozenset[str]) -> str:
    """Names in the usual order, one line, empty without any."""
    return " ".join([name for name in CONTROLLERS if name in names]) + "\n"
