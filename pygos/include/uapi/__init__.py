# SPDX-License-Identifier: Apache-2.0
"""The user ABI of Linux 6.16 on x86-64: constants, flags and structs, one module per header.

A name lives in the module called after the header that user programs get it from
(``fcntl.O_CREAT``, ``stat.S_IFDIR``, ``time.Timespec``), with Linux's name and value.
Structs are classes derived from ``cstruct.CStruct``: C layout, from_bytes(), to_bytes().

Everybody may import these modules; they import nothing but each other and ``typing``, and
cost little at import. Import what you use from the module that has it: this package
re-exports nothing. ``tests/uapi`` compares every value, size and offset with the headers of
the system's C compiler. The modules own no state.
"""
