# SPDX-License-Identifier: Apache-2.0
"""Mount options of procfs: hidepid=, gid=, subset=pid. proc(5)"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.fs.libfs import parse_number, parse_options
from pygos.fs.proc.access import may_access
from pygos.include.errno import EINVAL

if TYPE_CHECKING:
    from pygos.include.linux.fs import SuperBlock
    from pygos.include.linux.sched import Task

#: hidepid= by number and by name.
OFF, NO_ACCESS, INVISIBLE, NOT_PTRACEABLE = 0, 1, 2, 4
_NAMES: Final = {
    "off": OFF, "noaccess": NO_ACCESS, "invisible": INVISIBLE, "ptraceable": NOT_PTRACEABLE,
}  # fmt: skip
#: Where a super block's options are among its inode numbers.
_KEY: Final = "options"


class ProcOptions:
    """Who sees what of an instance."""

    __slots__ = ("gid", "hide_pid", "pid_only")

    def __init__(self) -> None:
        self.hide_pid = OFF
        #: Members of this group see all.
        self.gid = 0
        self.pid_only = False


def apply_options(sb: SuperBlock, data: str) -> None:
    """Take the options of a mount or a remount. EINVAL."""
    options = ProcOptions()
    for name, value in parse_options(data):
        if name == "gid":
            options.gid = parse_number(value, 10)
        elif name == "hidepid":
            options.hide_pid = _NAMES[value] if value in _NAMES else parse_number(value, 10)
            if options.hide_pid not in _NAMES.values():
                raise EINVAL
        elif name == "subset" and value:
            if any(part != "pid" for part in value.split(":")):
                raise EINVAL
            options.pid_only = True
        else:
            raise EINVAL
    if options.hide_pid or options.pid_only or options.gid:
        sb.s_fs_info[_KEY] = options
    else:
        sb.s_fs_info.pop(_KEY, None)


def options_of(sb: SuperBlock) -> ProcOptions | None:
    """The options, if there are any that matter."""
    found: ProcOptions | None = sb.s_fs_info.get(_KEY)
    return found


def options_text(sb: SuperBlock) -> str:
    """As /proc/mounts shows them."""
    options = options_of(sb)
    if options is None:
        return ""
    text = f",gid={options.gid}" if options.gid else ""
    if options.hide_pid:
        name = next(name for name, number in _NAMES.items() if number == options.hide_pid)
        text += f",hidepid={name}"
    return text + (",subset=pid" if options.pid_only else "")


def may_see(options: ProcOptions, task: Task, target: Task, least: int) -> bool:
    """May `task` do with `target` what hidepid=`least` forbids? (has_pid_permissions)"""
    if options.hide_pid == NOT_PTRACEABLE:
        return may_access(task, target)
    if options.hide_pid < least or options.gid in (task.cred.fsgid, *task.cred.groups):
        return True
    return may_access(task, target)
