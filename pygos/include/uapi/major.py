# SPDX-License-Identifier: Apache-2.0
"""Device numbers: linux/major.h and the minors of the first character devices."""

from __future__ import annotations

from typing import Final

UNNAMED_MAJOR: Final = 0
MEM_MAJOR: Final = 1
RAMDISK_MAJOR: Final = 1
FLOPPY_MAJOR: Final = 2
PTY_MASTER_MAJOR: Final = 2
IDE0_MAJOR: Final = 3
HD_MAJOR: Final = 3
PTY_SLAVE_MAJOR: Final = 3
TTY_MAJOR: Final = 4
TTYAUX_MAJOR: Final = 5
LP_MAJOR: Final = 6
VCS_MAJOR: Final = 7
LOOP_MAJOR: Final = 7
SCSI_DISK0_MAJOR: Final = 8
MD_MAJOR: Final = 9
MISC_MAJOR: Final = 10
SCSI_CDROM_MAJOR: Final = 11
INPUT_MAJOR: Final = 13
SOUND_MAJOR: Final = 14
SCSI_GENERIC_MAJOR: Final = 21
FB_MAJOR: Final = 29
MTD_BLOCK_MAJOR: Final = 31
NBD_MAJOR: Final = 43
MTD_CHAR_MAJOR: Final = 90
UNIX98_PTY_MASTER_MAJOR: Final = 128
UNIX98_PTY_MAJOR_COUNT: Final = 8
UNIX98_PTY_SLAVE_MAJOR: Final = 136
RTF_MAJOR: Final = 150
RAW_MAJOR: Final = 162
MMC_BLOCK_MAJOR: Final = 179
BLOCK_EXT_MAJOR: Final = 259

#: Minors of MEM_MAJOR.
MEM_MINOR: Final = 1
NULL_MINOR: Final = 3
PORT_MINOR: Final = 4
ZERO_MINOR: Final = 5
FULL_MINOR: Final = 7
RANDOM_MINOR: Final = 8
URANDOM_MINOR: Final = 9
KMSG_MINOR: Final = 11

#: Minors of TTYAUX_MAJOR.
TTY_MINOR: Final = 0
CONSOLE_MINOR: Final = 1
PTMX_MINOR: Final = 2

#: Minors of MISC_MAJOR.
FUSE_MINOR: Final = 229
KVM_MINOR: Final = 232
TUN_MINOR: Final = 200
LOOP_CTRL_MINOR: Final = 237
VHOST_NET_MINOR: Final = 238
MISC_DYNAMIC_MINOR: Final = 255
