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
    "pygos.kernel.kill",
    "pygos.kernel.resource",
    "pygos.kernel.robust_list",
    "pygos.kernel.rseq",
    "pygos.kernel.schedcalls",
    "pygos.kernel.sigcalls",
    "pygos.kernel.sys",
    "pygos.kernel.time.clocks",
    "pygos.kernel.time.sleep",
    "pygos.kernel.time.timekeeping",
    "pygos.kernel.utsname",
    "pygos.kernel.wait",
)

#: Calls that few programs make: their modules are imported at the first one.
_LAZY = {
    "pygos.kernel.futex2": "futex_waitv futex_wait futex_wake futex_requeue",
    "pygos.kernel.groups": "getgroups setgroups",
    "pygos.kernel.kcmp": "kcmp",
    "pygos.kernel.membarrier": "membarrier",
    "pygos.kernel.nice": "getpriority setpriority ioprio_set ioprio_get",
    "pygos.kernel.prctl": "prctl",
    "pygos.kernel.ptrace": "ptrace",
    "pygos.kernel.reboot": "reboot",
    "pygos.kernel.seccomp_calls": "seccomp",
    "pygos.kernel.setns": "setns",
    "pygos.kernel.sysinfo": "sysinfo",
    "pygos.kernel.syslog": "syslog",
    "pygos.kernel.time.itimer": "getitimer setitimer alarm",
    "pygos.kernel.time.posix_timers": (
        "timer_create timer_settime timer_gettime timer_getoverrun timer_delete"
    ),
    "pygos.kernel.unshare": "unshare",
}
SYSCALLS_LAZY = {name: module for module, names in _LAZY.items() for name in names.split()}
