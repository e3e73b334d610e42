# SPDX-License-Identifier: Apache-2.0
"""The way into the kernel on x86: the table of system calls by number and name.

``syscall_64`` is the table of the 64-bit ABI. The kernel's entry code turns it into a list of
decoders at boot; strace and the documentation take the names from it. The 32-bit and x32
tables do not exist: those entries are closed.

Everybody above may import from here. Nothing here has state.
"""
