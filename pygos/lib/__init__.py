# SPDX-License-Identifier: Apache-2.0
"""Helpers with no idea of tasks, memory or files: data structures and parsers.

Everybody may call in; nothing here imports more than ``pygos.include``. The modules own no
state. What the standard library has (bisect, array, ordered dicts) is used where it is needed
and not wrapped here.
"""
