# SPDX-License-Identifier: Apache-2.0
"""Registering character devices: drivers' door to fs/char_dev.py."""

from __future__ import annotations

from pygos.fs.char_dev import register_chrdev, unregister_chrdev

__all__ = ["register_chrdev", "unregister_chrdev"]
