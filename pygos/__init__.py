# SPDX-License-Identifier: Apache-2.0
"""pygos: a Linux-compatible kernel in Python."""

__version__ = "0.1.0"
