# SPDX-License-Identifier: Apache-2.0
"""The machine's hardware: the only package that may touch the host (with ``arch/um``).

===============  ============================================================
ram.py           HostRam: guest memory, one sealed memfd, mapped once
stub.S helper.S  listings of the native code; machine_code.py has their bytes
code.py          MachineCode: loads helper.S, so that one call is one trap
stub.py          Zygote: starts, confines and clones stub processes by ptrace
events.py        HostEvents: epoll, timerfd and who waits for which descriptor
clock.py         HostClock;  entropy.py: HostEntropy, SeededEntropy
files.py         HostFiles: a capability onto one host directory tree
stdio.py         HostStream, HostTerminal: the user's terminal and pipes
doctor.py        what of all this works here, and how to mend what doesn't
===============  ============================================================

Called by ``arch/um`` (stubs, RAM), by drivers and hostfs through the protocols of
``pygos.include.linux.platform``, and by ``pygos.cli``. Each object owns its descriptors
and processes and frees them in close(); nothing here is shared between machines.
"""

from __future__ import annotations


class HostError(Exception):
    """The host refuses something the machine cannot do without; str() is one clear line."""
