# SPDX-License-Identifier: Apache-2.0
"""The kernel proper: tasks, traps, signals, futexes, time, identities (Linux's kernel/).

Traps come in through ``entry`` from ``sched``; handlers are plain functions in the modules
listed below. Nothing here knows the VFS or drivers; what it asks of them goes through
``machine.fs_hooks``. Tasks belong to ``machine.pids``, timers to ``machine.timers``,
futex queues to ``machine.futexes``; small state of single calls is in ``machine.misc``.
"""

#: Calls that few programs make, imported at their first use.
SYSCALLS_LAZY = {"setns": "pygos.kernel.setns", "unshare": "pygos.kernel.unshare"}
#: Modules with system call handlers.
SYSCALL_MODULES = (
    "pygos.kernel.capability",
    "pygos.kernel.cred",
    "pygos.kernel.exit",
    "pygos.kernel.fork",
    "pygos.kernel.futex",
    "pygos.kernel.futex2",
    "pygos.kernel.groups",
    "pygos.kernel.kcmp",
    "pygos.kernel.kill",
    "pygos.kernel.membarrier",
    "pygos.kernel.nice",
    "pygos.kernel.prctl",
    "pygos.kernel.ptrace",
    "pygos.kernel.reboot",
    "pygos.kernel.resource",
    "pygos.kernel.robust_list",
    "pygos.kernel.rseq",
    "pygos.kernel.schedcalls",
    "pygos.kernel.seccomp_calls",
    "pygos.kernel.sigcalls",
    "pygos.kernel.sys",
    "pygos.kernel.sysinfo",
    "pygos.kernel.syslog",
    "pygos.kernel.time.clocks",
    "pygos.kernel.time.itimer",
    "pygos.kernel.time.posix_timers",
    "pygos.kernel.time.sleep",
    "pygos.kernel.time.timekeeping",
    "pygos.kernel.utsname",
    "pygos.kernel.wait",
)
