# SPDX-License-Identifier: Apache-2.0
"""Control groups, version 2 (kernel/cgroup): the tree of groups and its controllers.

``core`` has the groups and their rules, ``attach`` moves tasks and follows fork and exit,
``freezer``, ``pids``, ``cpu``, ``cpuset`` and ``memory`` are the controllers. The files that
programs see are in ``fs/cgroup``.

``task.cgroups`` is None as long as a task is in the root group and nobody has asked for
more: then fork and exit have nothing to do here but that test.
"""

from __future__ import annotations
