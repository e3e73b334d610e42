# SPDX-License-Identifier: Apache-2.0
"""Quotas: linux/quota.h."""

from __future__ import annotations

from typing import Final

USRQUOTA: Final = 0
GRPQUOTA: Final = 1
PRJQUOTA: Final = 2
Q_SYNC: Final = 0x800001
Q_QUOTAON: Final = 0x800002
Q_QUOTAOFF: Final = 0x800003
Q_GETFMT: Final = 0x800004
Q_GETINFO: Final = 0x800005
Q_SETINFO: Final = 0x800006
Q_GETQUOTA: Final = 0x800007
Q_SETQUOTA: Final = 0x800008
Q_GETNEXTQUOTA: Final = 0x800009
