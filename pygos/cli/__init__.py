# SPDX-License-Identifier: Apache-2.0
"""The command line: ``pygos run``, ``doctor``, ``version``.

main.py      the entry point: finds the command, turns errors into one line and a status
options.py   the options of ``pygos run``, and the quick reader of plain command lines
commands.py  the commands as click sees them: help, errors
run.py       what ``pygos run`` does: docker's meanings over the parts of the public API
proxy.py     signals to the pygos process reach the program

Nobody imports this package but the ``pygos`` script. It owns the process: its arguments,
its environment, its terminal and its exit status. Everything is imported when it is needed:
click for help and errors, the kernel when a machine is really booted.
"""
