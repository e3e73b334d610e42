# SPDX-License-Identifier: Apache-2.0
"""reboot(2): the end of the machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.errno import EINVAL, EPERM
from pygos.include.linux.syscalls import UInt, UserAddr, syscall
from pygos.include.linux.wait import wait_killable
from pygos.include.uapi import reboot as uapi
from pygos.include.uapi.capability import CAP_SYS_BOOT
from pygos.kernel.exit import do_group_exit

if TYPE_CHECKING:
    from pygos.include.linux.pid_namespace import PidNamespace
    from pygos.include.linux.sched import Task

_MAGIC2: Final = (
    uapi.LINUX_REBOOT_MAGIC2, uapi.LINUX_REBOOT_MAGIC2A, uapi.LINUX_REBOOT_MAGIC2B,
    uapi.LINUX_REBOOT_MAGIC2C,
)  # fmt: skip
_COMMAND_MAX: Final = 255
_SIGHUP, _SIGINT = 1, 2
_NS_SIGNALS: Final = {
    uapi.LINUX_REBOOT_CMD_HALT: _SIGINT,
    uapi.LINUX_REBOOT_CMD_POWER_OFF: _SIGINT,
    uapi.LINUX_REBOOT_CMD_RESTART: _SIGHUP,
    uapi.LINUX_REBOOT_CMD_RESTART2: _SIGHUP,
}
_ENDS: Final = {
    uapi.LINUX_REBOOT_CMD_HALT: "System halted",
    uapi.LINUX_REBOOT_CMD_POWER_OFF: "Power down",
    uapi.LINUX_REBOOT_CMD_RESTART: "Restarting system",
    uapi.LINUX_REBOOT_CMD_RESTART2: "Restarting system",
}


def _reboot_pid_ns(task: Task, ns: PidNamespace, cmd: int) -> None:
    """In an inner pid namespace its process 1 ends, by a signal that says what was asked for."""
    signo = _NS_SIGNALS.get(cmd)
    if signo is None:
        raise EINVAL
    reaper = ns.child_reaper
    if reaper is None:
        raise EINVAL
    reaper.group.group_exit = True
    reaper.group.exit_code = signo
    for thread in tuple(reaper.group.threads):
        if thread is not task and thread.alive:
            thread.exiting = signo  # no stop for a tracer
            do_group_exit(thread, signo)
    if task.alive:
        do_group_exit(task, signo)


@syscall(partial="a restart ends the machine too; kexec and suspend are refused with EINVAL")
def reboot(task: Task, magic1: UInt, magic2: UInt, cmd: UInt, arg: UserAddr) -> int:
    """Halt, power off or restart the machine; all of them end it. reboot(2). EINVAL, EPERM."""
    ns = task.pid_ns
    if not task.cred.ns_capable(ns.user_ns if ns is not None else None, CAP_SYS_BOOT):
        raise EPERM
    if magic1 != uapi.LINUX_REBOOT_MAGIC1 or magic2 not in _MAGIC2:
        raise EINVAL
    if ns is not None:
        _reboot_pid_ns(task, ns, cmd)
        return 0
    if cmd in (uapi.LINUX_REBOOT_CMD_CAD_ON, uapi.LINUX_REBOOT_CMD_CAD_OFF):
        # What Ctrl-Alt-Del does, where there is a keyboard.
        task.machine.misc["ctrl_alt_del"] = cmd == uapi.LINUX_REBOOT_CMD_CAD_ON
        return 0
    text = _ENDS.get(cmd)
    if text is None:
        raise EINVAL
    if cmd == uapi.LINUX_REBOOT_CMD_RESTART2:
        assert task.mm is not None
        command = task.mm.read_cstr(arg, _COMMAND_MAX)
        text = f"{text} with command '{command.decode('utf-8', 'replace')}'"
    machine = task.machine
    machine.printk.emerg(f"reboot: {text}")
    machine.exit_status = 0
    # Never goes on: the machine's main loop ends before anything else runs.
    wait_killable(task, why="reboot")
