# SPDX-License-Identifier: Apache-2.0
"""Capabilities: linux/capability.h, linux/securebits.h."""

from __future__ import annotations

from typing import Final

from pygos.include.uapi.cstruct import CStruct, c_int, u32

_LINUX_CAPABILITY_VERSION_1: Final = 0x19980330
_LINUX_CAPABILITY_U32S_1: Final = 1
_LINUX_CAPABILITY_VERSION_2: Final = 0x20071026
_LINUX_CAPABILITY_U32S_2: Final = 2
_LINUX_CAPABILITY_VERSION_3: Final = 0x20080522
_LINUX_CAPABILITY_U32S_3: Final = 2

VFS_CAP_REVISION_MASK: Final = 0xFF000000
VFS_CAP_REVISION_SHIFT: Final = 24
VFS_CAP_FLAGS_MASK: Final = 0xFFFFFF
VFS_CAP_FLAGS_EFFECTIVE: Final = 0x000001
VFS_CAP_REVISION_1: Final = 0x01000000
VFS_CAP_U32_1: Final = 1
VFS_CAP_REVISION_2: Final = 0x02000000
VFS_CAP_U32_2: Final = 2
VFS_CAP_REVISION_3: Final = 0x03000000
VFS_CAP_U32_3: Final = 2
VFS_CAP_U32: Final = 0x2
VFS_CAP_REVISION: Final = 0x3000000

CAP_CHOWN: Final = 0
CAP_DAC_OVERRIDE: Final = 1
CAP_DAC_READ_SEARCH: Final = 2
CAP_FOWNER: Final = 3
CAP_FSETID: Final = 4
CAP_KILL: Final = 5
CAP_SETGID: Final = 6
CAP_SETUID: Final = 7
CAP_SETPCAP: Final = 8
CAP_LINUX_IMMUTABLE: Final = 9
CAP_NET_BIND_SERVICE: Final = 10
CAP_NET_BROADCAST: Final = 11
CAP_NET_ADMIN: Final = 12
CAP_NET_RAW: Final = 13
CAP_IPC_LOCK: Final = 14
CAP_IPC_OWNER: Final = 15
CAP_SYS_MODULE: Final = 16
CAP_SYS_RAWIO: Final = 17
CAP_SYS_CHROOT: Final = 18
CAP_SYS_PTRACE: Final = 19
CAP_SYS_PACCT: Final = 20
CAP_SYS_ADMIN: Final = 21
CAP_SYS_BOOT: Final = 22
CAP_SYS_NICE: Final = 23
CAP_SYS_RESOURCE: Final = 24
CAP_SYS_TIME: Final = 25
CAP_SYS_TTY_CONFIG: Final = 26
CAP_MKNOD: Final = 27
CAP_LEASE: Final = 28
CAP_AUDIT_WRITE: Final = 29
CAP_AUDIT_CONTROL: Final = 30
CAP_SETFCAP: Final = 31
CAP_MAC_OVERRIDE: Final = 32
CAP_MAC_ADMIN: Final = 33
CAP_SYSLOG: Final = 34
CAP_WAKE_ALARM: Final = 35
CAP_BLOCK_SUSPEND: Final = 36
CAP_AUDIT_READ: Final = 37
CAP_PERFMON: Final = 38
CAP_BPF: Final = 39
CAP_CHECKPOINT_RESTORE: Final = 40
CAP_LAST_CAP: Final = 40

SECUREBITS_DEFAULT: Final = 0x00000000
SECURE_NOROOT: Final = 0
SECURE_NOROOT_LOCKED: Final = 1
SECBIT_NOROOT: Final = 0x1
SECBIT_NOROOT_LOCKED: Final = 0x2
SECURE_NO_SETUID_FIXUP: Final = 2
SECURE_NO_SETUID_FIXUP_LOCKED: Final = 3
SECBIT_NO_SETUID_FIXUP: Final = 0x4
SECBIT_NO_SETUID_FIXUP_LOCKED: Final = 0x8
SECURE_KEEP_CAPS: Final = 4
SECURE_KEEP_CAPS_LOCKED: Final = 5
SECBIT_KEEP_CAPS: Final = 0x10
SECBIT_KEEP_CAPS_LOCKED: Final = 0x20
SECURE_NO_CAP_AMBIENT_RAISE: Final = 6
SECURE_NO_CAP_AMBIENT_RAISE_LOCKED: Final = 7
SECBIT_NO_CAP_AMBIENT_RAISE: Final = 0x40
SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED: Final = 0x80
SECBIT_EXEC_RESTRICT_FILE: Final = 0x100
SECBIT_EXEC_RESTRICT_FILE_LOCKED: Final = 0x200
SECBIT_EXEC_DENY_INTERACTIVE: Final = 0x400
SECBIT_EXEC_DENY_INTERACTIVE_LOCKED: Final = 0x800
SECURE_ALL_BITS: Final = 0x55
SECURE_ALL_LOCKS: Final = 0xAA
#: What a program without privileges may ask of itself (newer than the two masks above).
SECURE_ALL_UNPRIVILEGED: Final = 0x500

#: All capabilities there are.
CAP_FULL_SET: Final = (1 << (CAP_LAST_CAP + 1)) - 1


class CapUserHeader(CStruct):
    """struct __user_cap_header_struct."""

    version: u32 = 0
    pid: c_int = 0


class CapUserData(CStruct):
    """struct __user_cap_data_struct; version 3 passes two of them, low word first."""

    effective: u32 = 0
    permitted: u32 = 0
    inheritable: u32 = 0


class VfsNsCapData(CStruct):
    """struct vfs_ns_cap_data: security.capability, version 3."""

    magic_etc: u32 = 0
    permitted_lo: u32 = 0
    inheritable_lo: u32 = 0
    permitted_hi: u32 = 0
    inheritable_hi: u32 = 0
    rootid: u32 = 0
