# SPDX-License-Identifier: Apache-2.0
"""futex(2): linux/futex.h."""

from __future__ import annotations

from typing import Final

from pygos.include.uapi.cstruct import CStruct, c_long, c_ptr, u32, u64

FUTEX_WAIT: Final = 0
FUTEX_WAKE: Final = 1
FUTEX_FD: Final = 2
FUTEX_REQUEUE: Final = 3
FUTEX_CMP_REQUEUE: Final = 4
FUTEX_WAKE_OP: Final = 5
FUTEX_LOCK_PI: Final = 6
FUTEX_UNLOCK_PI: Final = 7
FUTEX_TRYLOCK_PI: Final = 8
FUTEX_WAIT_BITSET: Final = 9
FUTEX_WAKE_BITSET: Final = 10
FUTEX_WAIT_REQUEUE_PI: Final = 11
FUTEX_CMP_REQUEUE_PI: Final = 12
FUTEX_LOCK_PI2: Final = 13
FUTEX_PRIVATE_FLAG: Final = 128
FUTEX_CLOCK_REALTIME: Final = 256
FUTEX_CMD_MASK: Final = -385
FUTEX_WAIT_PRIVATE: Final = 128
FUTEX_WAKE_PRIVATE: Final = 129
FUTEX_REQUEUE_PRIVATE: Final = 131
FUTEX_CMP_REQUEUE_PRIVATE: Final = 132
FUTEX_WAKE_OP_PRIVATE: Final = 133
FUTEX_LOCK_PI_PRIVATE: Final = 134
FUTEX_LOCK_PI2_PRIVATE: Final = 141
FUTEX_UNLOCK_PI_PRIVATE: Final = 135
FUTEX_TRYLOCK_PI_PRIVATE: Final = 136
FUTEX_WAIT_BITSET_PRIVATE: Final = 137
FUTEX_WAKE_BITSET_PRIVATE: Final = 138
FUTEX_WAIT_REQUEUE_PI_PRIVATE: Final = 139
FUTEX_CMP_REQUEUE_PI_PRIVATE: Final = 140
FUTEX_32: Final = 2
FUTEX_WAITV_MAX: Final = 128
FUTEX_WAITERS: Final = 0x80000000
FUTEX_OWNER_DIED: Final = 0x40000000
FUTEX_TID_MASK: Final = 0x3FFFFFFF
ROBUST_LIST_LIMIT: Final = 2048
FUTEX_BITSET_MATCH_ANY: Final = 0xFFFFFFFF
FUTEX_OP_SET: Final = 0
FUTEX_OP_ADD: Final = 1
FUTEX_OP_OR: Final = 2
FUTEX_OP_ANDN: Final = 3
FUTEX_OP_XOR: Final = 4
FUTEX_OP_OPARG_SHIFT: Final = 8
FUTEX_OP_CMP_EQ: Final = 0
FUTEX_OP_CMP_NE: Final = 1
FUTEX_OP_CMP_LT: Final = 2
FUTEX_OP_CMP_LE: Final = 3
FUTEX_OP_CMP_GT: Final = 4
FUTEX_OP_CMP_GE: Final = 5
FUTEX2_SIZE_U8: Final = 0x00
FUTEX2_SIZE_U16: Final = 0x01
FUTEX2_SIZE_U32: Final = 0x02
FUTEX2_SIZE_U64: Final = 0x03
FUTEX2_NUMA: Final = 0x04
FUTEX2_MPOL: Final = 0x08
FUTEX2_PRIVATE: Final = FUTEX_PRIVATE_FLAG
FUTEX2_SIZE_MASK: Final = 0x03
FUTEX_NO_NODE: Final = -1


class FutexWaitv(CStruct):
    """struct futex_waitv of futex_waitv(2)."""

    val: u64 = 0
    uaddr: u64 = 0
    flags: u32 = 0
    reserved: u32 = 0


class RobustListHead(CStruct):
    """struct robust_list_head: a list in user memory of the locks that a thread holds."""

    next: c_ptr = 0
    futex_offset: c_long = 0
    list_op_pending: c_ptr = 0
