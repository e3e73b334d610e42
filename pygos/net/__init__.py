# SPDX-License-Identifier: Apache-2.0
"""Sockets, as Linux's net/: the layer between system calls and protocol families.

socket.py    the system calls

No protocol family is registered yet, so there are no sockets: socket(2) answers EAFNOSUPPORT,
as a Linux without that family does, and the other calls tell descriptors that are no sockets
(ENOTSOCK) from those that aren't open (EBADF). Programs depend on that difference: bash takes
any other error of getpeername(2) for a connection and reads its start-up files.
"""

from typing import Final

#: Modules with system calls, for init/calls.py.
SYSCALL_MODULES: Final = ("pygos.net.socket",)
