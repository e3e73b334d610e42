# SPDX-License-Identifier: Apache-2.0
"""Kernel-internal types, as Linux's include/linux: the structs that all rooms may hold.

fs.py (VFS), sched.py (tasks), mm_types.py (memory), wait.py (sleeping), syscalls.py (the
handler decorator), platform.py (what hardware must offer), machine.py (the root object),
cred.py, timer.py. Behaviour lives in the rooms; here are fields, small helpers and protocols.
Anyone may import from here at run time; this package imports nothing above itself.
"""
