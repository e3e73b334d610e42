# SPDX-License-Identifier: Apache-2.0
"""What all parts of the kernel agree on: the lowest layer, as include/ is in Linux.

``uapi`` is the user ABI: constants, flags and structs, one module per header.
``linux`` is the kernel's own contracts: the platform under it, struct definitions and the
protocols that a layer declares for the layers above it.
``errno`` has one exception class per error number.

Everybody may import from here; nothing here imports from another part of pygos.
Nothing here has state: constants, types and immutable tables only. Whoever makes an object
of these types owns it.
"""
