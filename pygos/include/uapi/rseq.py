# SPDX-License-Identifier: Apache-2.0
"""Restartable sequences: linux/rseq.h."""

from __future__ import annotations

from typing import Final

from pygos.include.uapi.cstruct import CStruct, u32, u64

RSEQ_CPU_ID_UNINITIALIZED: Final = -1
RSEQ_CPU_ID_REGISTRATION_FAILED: Final = -2
RSEQ_FLAG_UNREGISTER: Final = 1 << 0
RSEQ_CS_FLAG_NO_RESTART_ON_PREEMPT_BIT: Final = 0
RSEQ_CS_FLAG_NO_RESTART_ON_SIGNAL_BIT: Final = 1
RSEQ_CS_FLAG_NO_RESTART_ON_MIGRATE_BIT: Final = 2
RSEQ_CS_FLAG_NO_RESTART_ON_PREEMPT: Final = 1
RSEQ_CS_FLAG_NO_RESTART_ON_SIGNAL: Final = 2
RSEQ_CS_FLAG_NO_RESTART_ON_MIGRATE: Final = 4

#: struct rseq of version 0 and its alignment.
ORIG_RSEQ_SIZE: Final = 32


class RseqCs(CStruct):
    """struct rseq_cs: one critical section."""

    version: u32 = 0
    flags: u32 = 0
    start_ip: u64 = 0
    post_commit_offset: u64 = 0
    abort_ip: u64 = 0


class Rseq(CStruct):
    """struct rseq: 28 bytes are used, 32 reserved; it lies in a thread's own memory."""

    cpu_id_start: u32 = 0
    cpu_id: u32 = 0
    rseq_cs: u64 = 0
    flags: u32 = 0
    node_id: u32 = 0
    mm_cid: u32 = 0
    pad: u32 = 0
