# SPDX-License-Identifier: Apache-2.0
"""AF_INET6: the sockets of net/ipv4 with longer addresses (see there)."""
