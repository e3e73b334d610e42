# SPDX-License-Identifier: Apache-2.0
"""Stand-ins for the parts under and above the one that is tested."""
