# SPDX-License-Identifier: Apache-2.0
"""The cgroup2 file system: control groups as directories, with a file for each property.

``mount`` is all that boot needs; ``tree`` makes and removes directories, ``file`` is what an
open file does, ``core``, ``pids``, ``cpu``, ``cpuset`` and ``memory`` have the files. The groups
themselves are in ``kernel/cgroup``.
"""

from __future__ import annotations
