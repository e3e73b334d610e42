# SPDX-License-Identifier: Apache-2.0
"""Asynchronous I/O: linux/aio_abi.h."""

from __future__ import annotations

from typing import Final

from pygos.include.uapi.cstruct import CStruct, i16, i32, i64, u16, u32, u64

IOCB_CMD_PREAD: Final = 0
IOCB_CMD_PWRITE: Final = 1
IOCB_CMD_FSYNC: Final = 2
IOCB_CMD_FDSYNC: Final = 3
IOCB_CMD_POLL: Final = 5
IOCB_CMD_NOOP: Final = 6
IOCB_CMD_PREADV: Final = 7
IOCB_CMD_PWRITEV: Final = 8
IOCB_FLAG_RESFD: Final = 1 << 0
IOCB_FLAG_IOPRIO: Final = 1 << 1


class IoEvent(CStruct):
    """struct io_event of io_getevents(2)."""

    data: u64 = 0
    obj: u64 = 0
    res: i64 = 0
    res2: i64 = 0


class Iocb(CStruct):
    """struct iocb of io_submit(2)."""

    aio_data: u64 = 0
    aio_key: u32 = 0
    aio_rw_flags: i32 = 0
    aio_lio_opcode: u16 = 0
    aio_reqprio: i16 = 0
    aio_fildes: u32 = 0
    aio_buf: u64 = 0
    aio_nbytes: u64 = 0
    aio_offset: i64 = 0
    aio_reserved2: u64 = 0
    aio_flags: u32 = 0
    aio_resfd: u32 = 0
