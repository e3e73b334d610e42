# SPDX-License-Identifier: Apache-2.0
"""Extended attributes: linux/xattr.h."""

from __future__ import annotations

from typing import Final

from pygos.include.uapi.cstruct import CStruct, u32, u64

XATTR_CREATE: Final = 0x1
XATTR_REPLACE: Final = 0x2
XATTR_NAME_MAX: Final = 255
XATTR_SIZE_MAX: Final = 65536
XATTR_LIST_MAX: Final = 65536

XATTR_USER_PREFIX: Final = b"user."
XATTR_TRUSTED_PREFIX: Final = b"trusted."
XATTR_SECURITY_PREFIX: Final = b"security."
XATTR_SYSTEM_PREFIX: Final = b"system."
XATTR_NAME_CAPS: Final = b"security.capability"
XATTR_NAME_POSIX_ACL_ACCESS: Final = b"system.posix_acl_access"
XATTR_NAME_POSIX_ACL_DEFAULT: Final = b"system.posix_acl_default"


class XattrArgs(CStruct):
    """struct xattr_args of setxattrat(2)."""

    value: u64 = 0
    size: u32 = 0
    flags: u32 = 0
