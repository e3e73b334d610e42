# SPDX-License-Identifier: Apache-2.0
"""Time: clocks, sleeping, interval and POSIX timers, CPU time (kernel/time).

All time comes from ``machine.clock`` and all deadlines go through ``machine.timers``
(monotonic ns). ``cputime.account_cpu`` is told by the scheduler what each trap has cost.
"""
