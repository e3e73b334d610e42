# SPDX-License-Identifier: Apache-2.0
"""The scheduler: which guest threads run, and the machine's main loop (kernel/sched)."""

from pygos.kernel.sched.core import Sched

__all__ = ["Sched"]
