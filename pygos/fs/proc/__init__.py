# SPDX-License-Identifier: Apache-2.0
"""procfs: what the kernel knows, as files (proc(5)).

Files are functions (fs/synthetic.py) in tables; /proc/PID is made at look-up and dies with
its task. The tables are loaded at the first use of the file system.

================  =========================================================
root.py           ProcType, the root directory, self, thread-self
system.py         cpuinfo, meminfo, stat, uptime and others of the machine
sysctl.py         /proc/sys
base.py           /proc/PID and /proc/PID/task: directories, links, tables
access.py         who may look at whom
array.py          stat, status, statm, limits
process.py        cmdline, environ, comm, io, oom_score_adj and such
task_mmu.py       maps, smaps, mem
fd.py             fd, fdinfo
namespaces.py     ns
net.py            net
================  =========================================================
"""

from __future__ import annotations

from pygos.fs.proc.root import ProcType

__all__ = ["ProcType"]
