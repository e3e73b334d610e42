# SPDX-License-Identifier: Apache-2.0
"""AF_INET: TCP and UDP over the machine's own loopback; net/ipv6 adds the longer addresses.

The one interface is ``lo``, so every address that can be reached is the machine's own, and
nothing ever leaves it. What arrives there has arrived: segments aren't lost, doubled or
reordered, so there are no sequence numbers to check and nothing to send again. A segment is a
method call on the other end; states, windows, resets and TIME_WAIT are TCP's (RFC 9293).

addr.py       addresses, and where they are
inet.py       struct inet_sock; ports and who may have them
queue.py      a queue of bytes
tcp_sock.py   struct tcp_sock: the states and what changes them
tcp.py        what programs do with TCP sockets
udp.py        UDP
sockopt.py    options of IPPROTO_IP, IPPROTO_IPV6, IPPROTO_TCP
proc.py       /proc/net/{tcp,udp,...}
"""
