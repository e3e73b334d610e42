# SPDX-License-Identifier: Apache-2.0
"""Character devices without hardware: mem (null, zero, full), random, kmsg."""
