# SPDX-License-Identifier: Apache-2.0
"""ioprio_set(2): linux/ioprio.h."""

from __future__ import annotations

from typing import Final

IOPRIO_CLASS_SHIFT: Final = 13
IOPRIO_CLASS_MASK: Final = 0x07
IOPRIO_PRIO_MASK: Final = 8191
IOPRIO_CLASS_NONE: Final = 0
IOPRIO_CLASS_RT: Final = 1
IOPRIO_CLASS_BE: Final = 2
IOPRIO_CLASS_IDLE: Final = 3
IOPRIO_NR_LEVELS: Final = 8
IOPRIO_BE_NR: Final = 8
IOPRIO_WHO_PROCESS: Final = 1
IOPRIO_WHO_PGRP: Final = 2
IOPRIO_WHO_USER: Final = 3
IOPRIO_NORM: Final = 4
IOPRIO_BE_NORM: Final = 4
