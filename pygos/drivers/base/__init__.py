# SPDX-License-Identifier: Apache-2.0
"""The device model's base: devtmpfs."""
