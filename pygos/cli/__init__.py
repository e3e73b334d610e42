# SPDX-License-Identifier: Apache-2.0
"""The command line: ``pygos run``, ``doctor``, ``version``.

main.py      the entry point: finds the command, turns errors into one line and a status
run.py       ``pygos run``: docker's options and exit codes over the public API's parts
doctor.py    ``pygos doctor``: what the host offers

Nobody imports this package but the ``pygos`` script. It owns the process: its arguments,
its environment, its terminal and its exit status. Only click is imported at the start; the
kernel comes when a machine is really booted.
"""
