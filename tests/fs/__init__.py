# SPDX-License-Identifier: Apache-2.0
"""File systems, driven through the VFS without processes."""
