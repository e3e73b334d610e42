# SPDX-License-Identifier: Apache-2.0
"""Terminals.

tty.py: the struct and its plumbing; n_tty.py and n_tty_out.py: the line discipline; tty_io.py:
open files of terminals; tty_ioctl.py: their settings; jobctl.py: sessions, foreground groups,
hangup. Drivers: pty.py (pseudo-terminals), console.py (the host's terminal).
"""
