# SPDX-License-Identifier: Apache-2.0
"""What the kernel and the code of the vDSO agree on (include/vdso)."""
