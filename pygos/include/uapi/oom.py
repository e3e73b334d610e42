# SPDX-License-Identifier: Apache-2.0
"""Out of memory: linux/oom.h."""

from __future__ import annotations

from typing import Final

OOM_SCORE_ADJ_MIN: Final = -1000
OOM_SCORE_ADJ_MAX: Final = 1000
OOM_DISABLE: Final = -17
OOM_ADJUST_MIN: Final = -16
OOM_ADJUST_MAX: Final = 15
