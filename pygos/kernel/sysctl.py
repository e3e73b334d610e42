# SPDX-License-Identifier: Apache-2.0
"""The machine's tunables by dotted name, shown in /proc/sys (kernel/sysctl.c).

Values are ints or strings; whoever implements a tunable reads it from ``machine.sysctl``.
"""

from __future__ import annotations

from pygos.include.uapi.version import UTS_RELEASE


def default_sysctls(ram_pages: int) -> dict[str, int | str]:
    """A fresh table with Linux's defaults for a machine of this size.

    As in Linux, threads-max is what would fill an eighth of RAM with 16 KiB kernel stacks;
    at most 4096, as each thread costs the host a process.
    """
    return {
        "kernel.ostype": "Linux",
        "kernel.osrelease": UTS_RELEASE,
        "kernel.version": "#1 SMP",
        "kernel.pid_max": 32768,
        "kernel.threads-max": min(max(ram_pages // 32, 64), 4096),
        "kernel.ngroups_max": 65536,
        "kernel.cap_last_cap": 40,
        "kernel.overflowuid": 65534,
        "kernel.overflowgid": 65534,
        "kernel.randomize_va_space": 2,
        "kernel.core_pattern": "core",
        "kernel.core_uses_pid": 0,
        "kernel.dmesg_restrict": 0,
        "kernel.printk": "4 4 1 7",
        "kernel.panic": 0,
        "kernel.yama.ptrace_scope": 0,
        "kernel.sched_autogroup_enabled": 0,
        "kernel.sched_cfs_bandwidth_slice_us": 5000,
        "kernel.sched_deadline_period_max_us": 4194304,
        "kernel.sched_deadline_period_min_us": 100,
        "kernel.sched_rr_timeslice_ms": 100,
        "kernel.sched_rt_period_us": 1000000,
        "kernel.sched_rt_runtime_us": 950000,
        "vm.overcommit_memory": 0,
        "vm.overcommit_ratio": 50,
        "vm.max_map_count": 65530,
        "vm.mmap_min_addr": 65536,
        "vm.swappiness": 60,
        "vm.panic_on_oom": 0,
        "fs.mount-max": 100000,
        "fs.inotify.max_user_instances": 128,
        "fs.inotify.max_user_watches": 65536,
        "fs.inotify.max_queued_events": 16384,
        "fs.nr_open": 1048576,
        "fs.pipe-max-size": 1048576,
        "fs.pipe-user-pages-soft": 16384,
        "fs.pipe-user-pages-hard": 0,
        "fs.lease-break-time": 45,
        "fs.protected_symlinks": 0,
        "fs.protected_hardlinks": 0,
        "fs.protected_fifos": 0,
        "fs.protected_regular": 0,
        "fs.suid_dumpable": 0,
        "fs.epoll.max_user_watches": 200000,
        "net.core.somaxconn": 4096,
        "net.core.wmem_default": 212992,
        "net.core.rmem_default": 212992,
        "net.core.wmem_max": 4194304,
        "net.core.rmem_max": 4194304,
        "net.core.optmem_max": 131072,
        "net.unix.max_dgram_qlen": 10,
    }
