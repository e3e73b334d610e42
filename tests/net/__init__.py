# SPDX-License-Identifier: Apache-2.0
"""Sockets, driven by system calls without processes."""
