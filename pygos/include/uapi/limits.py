# SPDX-License-Identifier: Apache-2.0
"""Limits: linux/limits.h, linux/binfmts.h."""

from __future__ import annotations

from typing import Final

NGROUPS_MAX: Final = 65536
ARG_MAX: Final = 131072
LINK_MAX: Final = 127
NAME_MAX: Final = 255
PATH_MAX: Final = 4096
XATTR_NAME_MAX: Final = 255
XATTR_SIZE_MAX: Final = 65536
XATTR_LIST_MAX: Final = 65536
RTSIG_MAX: Final = 32

BINPRM_BUF_SIZE: Final = 256
MAXSYMLINKS: Final = 40
MAX_ARG_STRLEN: Final = 131072
MAX_ARG_STRINGS: Final = 0x7FFFFFFF
