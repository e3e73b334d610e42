# SPDX-License-Identifier: Apache-2.0
"""Test suites of other programs, run natively and inside a machine: same results."""
