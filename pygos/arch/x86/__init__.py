# SPDX-License-Identifier: Apache-2.0
"""x86-64: registers, the system call table, signal frames, FPU images, arch_prctl.

Everything that depends on the CPU's architecture but not on how guests are run (that is
``arch/um``). Used by the kernel proper; owns no state but what is in a Task.
"""

#: Modules with system call handlers.
SYSCALL_MODULES = (
    "pygos.arch.x86.prctl",
    "pygos.arch.x86.signal",
)
