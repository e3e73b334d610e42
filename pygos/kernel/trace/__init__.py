# SPDX-License-Identifier: Apache-2.0
"""System call tracing: the text of strace(1), made from the handlers' signatures.

``Strace`` is a task's ``trace``: kernel/entry.py calls ``enter`` and ``leave`` around each
call, signal delivery and exit tell it what else happens. It only looks: nothing of it changes
what a program sees, and nothing that goes wrong in it may reach the program.

``strace`` writes the lines; ``layout`` knows how each call's arguments are shown: by the kind
of each parameter, and where that isn't enough by one line of ``tables``; ``args`` shows plain
arguments, ``special`` those that depend on others, ``structs`` structs, ``text`` what is in them.
"""

from __future__ import annotations

from pygos.kernel.trace.strace import Strace

__all__ = ["Strace"]
