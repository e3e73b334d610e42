# SPDX-License-Identifier: Apache-2.0
"""The kernel proper: tasks, traps, signals, futexes, time, identities (Linux's kernel/).

Traps come in through ``entry`` from ``sched``; handlers are plain functions in the modules
listed below. Nothing here knows the VFS or drivers; what it asks of them goes through
``machine.fs_hooks``. Tasks belong to ``machine.pids``, timers to ``machine.timers``,
futex queues to ``machine.futexes``; small state of single calls is in ``machine.misc``.
"""

#: Modules with system call handlers.
SYSCALL_MODULES = (
    "pygos.kernel.capability",
    "pygos.kernel.cred",
    "pygos.kernel.exit",
    "pygos.kernel.fork",
    "pygos.kernel.futex",
    "pygos.kernel.futex2",
    "pygos.kernel.groups",
    "pygos.kernel.kill",
    "pygos.kernel.nice",
    "pygos.kernel.ptrace",
    "pygos.kernel.resource",
    "pygos.kernel.robust_list",
    "pygos.kernel.rseq",
    "pygos.kernel.schedcalls",
    "pygos.kernel.sigcalls",
    "pygos.kernel.sys",
    "pygos.kernel.sysinfo",
    "pygos.kernel.time.clocks",
    "pygos.kernel.time.itimer",
    "pygos.kernel.time.posix_timers",
    "pygos.kernel.time.sleep",
    "pygos.kernel.time.timekeeping",
    "pygos.kernel.utsname",
    "pygos.kernel.wait",
)

#: Calls that few programs make: their modules are imported at the first one.
SYSCALLS_LAZY = {
    "kcmp": "pygos.kernel.kcmp",
    "membarrier": "pygos.kernel.membarrier",
    "prctl": "pygos.kernel.prctl",
    "reboot": "pygos.kernel.reboot",
    "seccomp": "pygos.kernel.seccomp_calls",
    "setns": "pygos.kernel.setns",
    "syslog": "pygos.kernel.syslog",
    "unshare": "pygos.kernel.unshare",
}
