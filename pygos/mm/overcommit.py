# SPDX-License-Identifier: Apache-2.0
"""How much memory may be promised: vm.overcommit_memory (mm/util.c), see proc_sys_vm(5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.errno import ENOMEM
from pygos.include.linux.mm import DEFAULT_OVERCOMMIT_RATIO
from pygos.include.uapi.mman import OVERCOMMIT_ALWAYS, OVERCOMMIT_GUESS

if TYPE_CHECKING:
    from pygos.include.linux.machine import Machine
    from pygos.mm.mm import Mm

_CAP_SYS_ADMIN: Final = 21
#: vm.admin_reserve_kbytes and vm.user_reserve_kbytes, in pages.
_ADMIN_RESERVE: Final = 8192 >> 2
_USER_RESERVE: Final = 131072 >> 2


def vm_commit_limit(machine: Machine) -> int:
    """CommitLimit of /proc/meminfo, in pages."""
    kbytes = int(machine.sysctl.get("vm.overcommit_kbytes", 0))
    if kbytes:
        return kbytes >> 2
    ratio = int(machine.sysctl.get("vm.overcommit_ratio", DEFAULT_OVERCOMMIT_RATIO))
    return machine.zone.pages * ratio // 100


def vm_enough_memory(mm: Mm, pages: int) -> None:
    """May `pages` more be promised? ENOMEM if not. The caller accounts them."""
    machine = mm.machine
    mode = int(machine.sysctl.get("vm.overcommit_memory", OVERCOMMIT_GUESS))
    if mode == OVERCOMMIT_ALWAYS:
        return
    if mode == OVERCOMMIT_GUESS:
        if pages > machine.zone.pages:
            raise ENOMEM
        return
    allowed = vm_commit_limit(machine)
    owner = mm.owner
    if owner is None or not owner.cred.capable(_CAP_SYS_ADMIN):
        allowed -= _ADMIN_RESERVE
    allowed -= min(mm.total_vm // 32, _USER_RESERVE)
    if machine.commit_pages + pages >= allowed:
        raise ENOMEM
