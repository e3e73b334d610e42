# SPDX-License-Identifier: Apache-2.0
"""The native platform: guest programs run on the host's CPU inside stub processes.

registry.py         which platforms there are, and which one is taken
ptrace_platform.py  UmPtrace, the ``Platform``: starts stubs and waits for their traps
cpu.py              UmCpu: one guest thread = one stub, its registers, its last trap
space.py            UmSpace: one address space = the stubs that share it, and the queue
                    of mapping changes that a stub performs before it next runs
traps.py            what a wait status means: syscall, fault, exception, tick, kick
affinity.py         which host CPU a stub runs on

Called by the kernel through ``pygos.include.linux.platform`` only. UmPtrace owns all
stubs; a UmSpace owns the stubs and the list page of one address space. The native code
and the start of the first stub are in ``pygos.host``. How it works is told once, in
``Documentation/platforms.rst``.
"""
