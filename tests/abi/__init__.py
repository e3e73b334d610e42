# SPDX-License-Identifier: Apache-2.0
"""Programs run natively and under pygos, and the harness that compares."""
