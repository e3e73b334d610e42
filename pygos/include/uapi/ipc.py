# SPDX-License-Identifier: Apache-2.0
"""System V IPC: linux/ipc.h, linux/sem.h, linux/msg.h, linux/shm.h."""

from __future__ import annotations

from typing import Annotated, Final

from pygos.include.uapi.cstruct import (
    CStruct,
    c_int,
    c_long,
    c_short,
    c_size_t,
    c_ulong,
    u16,
    u32,
    zeroed,
)

IPC_PRIVATE: Final = 0o0
IPC_CREAT: Final = 0o0001000
IPC_EXCL: Final = 0o0002000
IPC_NOWAIT: Final = 0o0004000
IPC_DIPC: Final = 0o0010000
IPC_OWN: Final = 0o0020000
IPC_RMID: Final = 0
IPC_SET: Final = 1
IPC_STAT: Final = 2
IPC_INFO: Final = 3
IPC_OLD: Final = 0

SEM_UNDO: Final = 0x1000
GETPID: Final = 11
GETVAL: Final = 12
GETALL: Final = 13
GETNCNT: Final = 14
GETZCNT: Final = 15
SETVAL: Final = 16
SETALL: Final = 17
SEM_STAT: Final = 18
SEM_INFO: Final = 19
SEM_STAT_ANY: Final = 20
SEMMNI: Final = 32000
SEMMSL: Final = 32000
SEMMNS: Final = 0x3D090000
SEMOPM: Final = 500
SEMVMX: Final = 32767
SEMAEM: Final = 32767
SEMUME: Final = 500
SEMMNU: Final = 0x3D090000
SEMMAP: Final = 0x3D090000
SEMUSZ: Final = 20

MSG_STAT: Final = 11
MSG_INFO: Final = 12
MSG_STAT_ANY: Final = 13
MSG_NOERROR: Final = 0o10000
MSG_EXCEPT: Final = 0o20000
MSG_COPY: Final = 0o40000
MSGMNI: Final = 32000
MSGMAX: Final = 8192
MSGMNB: Final = 16384
MSGPOOL: Final = 0x7D000
MSGTQL: Final = 16384
MSGMAP: Final = 16384
MSGSSZ: Final = 16
MSGSEG: Final = 65535

SHMMIN: Final = 1
SHMMAX: Final = (1 << 64) - 1 - (1 << 24)
SHMALL: Final = (1 << 64) - 1 - (1 << 24)
SHMMNI: Final = 4096
SHMSEG: Final = 4096
SHM_R: Final = 0o400
SHM_W: Final = 0o200
SHM_HUGETLB: Final = 0o4000
SHM_NORESERVE: Final = 0o10000
SHM_HUGE_SHIFT: Final = 26
SHM_HUGE_MASK: Final = 63
SHM_HUGE_64KB: Final = 0x40000000
SHM_HUGE_512KB: Final = 0x4C000000
SHM_HUGE_1MB: Final = 0x50000000
SHM_HUGE_2MB: Final = 0x54000000
SHM_HUGE_8MB: Final = 0x5C000000
SHM_HUGE_16MB: Final = 0x60000000
SHM_HUGE_32MB: Final = 0x64000000
SHM_HUGE_256MB: Final = 0x70000000
SHM_HUGE_512MB: Final = 0x74000000
SHM_HUGE_1GB: Final = 0x78000000
SHM_HUGE_2GB: Final = 0x7C000000
SHM_HUGE_16GB: Final = 0x88000000
SHM_RDONLY: Final = 0o10000
SHM_RND: Final = 0o20000
SHM_REMAP: Final = 0o40000
SHM_EXEC: Final = 0o100000
SHM_LOCK: Final = 11
SHM_UNLOCK: Final = 12
SHM_STAT: Final = 13
SHM_INFO: Final = 14
SHM_STAT_ANY: Final = 15


class Ipc64Perm(CStruct):
    """struct ipc64_perm, 48 bytes."""

    key: c_int = 0
    uid: u32 = 0
    gid: u32 = 0
    cuid: u32 = 0
    cgid: u32 = 0
    mode: u32 = 0
    seq: u16 = 0
    pad2: u16 = 0
    unused1: c_ulong = 0
    unused2: c_ulong = 0


class Semid64Ds(CStruct):
    """struct semid64_ds of x86-64."""

    sem_perm: Ipc64Perm = zeroed(Ipc64Perm)
    sem_otime: c_long = 0
    unused1: c_ulong = 0
    sem_ctime: c_long = 0
    unused2: c_ulong = 0
    sem_nsems: c_ulong = 0
    unused3: c_ulong = 0
    unused4: c_ulong = 0


class Sembuf(CStruct):
    """struct sembuf of semop(2)."""

    sem_num: u16 = 0
    sem_op: c_short = 0
    sem_flg: c_short = 0


class Msqid64Ds(CStruct):
    """struct msqid64_ds."""

    msg_perm: Ipc64Perm = zeroed(Ipc64Perm)
    msg_stime: c_long = 0
    msg_rtime: c_long = 0
    msg_ctime: c_long = 0
    msg_cbytes: c_ulong = 0
    msg_qnum: c_ulong = 0
    msg_qbytes: c_ulong = 0
    msg_lspid: c_int = 0
    msg_lrpid: c_int = 0
    unused4: c_ulong = 0
    unused5: c_ulong = 0


class Shmid64Ds(CStruct):
    """struct shmid64_ds."""

    shm_perm: Ipc64Perm = zeroed(Ipc64Perm)
    shm_segsz: c_size_t = 0
    shm_atime: c_long = 0
    shm_dtime: c_long = 0
    shm_ctime: c_long = 0
    shm_cpid: c_int = 0
    shm_lpid: c_int = 0
    shm_nattch: c_ulong = 0
    unused4: c_ulong = 0
    unused5: c_ulong = 0


class Shminfo64(CStruct):
    """struct shminfo64 of shmctl(IPC_INFO)."""

    shmmax: c_ulong = 0
    shmmin: c_ulong = 0
    shmmni: c_ulong = 0
    shmseg: c_ulong = 0
    shmall: c_ulong = 0
    unused: Annotated[tuple[int, ...], c_ulong, 4] = (0,) * 4


class ShmInfo(CStruct):
    """struct shm_info of shmctl(SHM_INFO)."""

    used_ids: c_int = 0
    shm_tot: c_ulong = 0
    shm_rss: c_ulong = 0
    shm_swp: c_ulong = 0
    swap_attempts: c_ulong = 0
    swap_successes: c_ulong = 0


class Seminfo(CStruct):
    """struct seminfo of semctl(IPC_INFO)."""

    semmap: c_int = 0
    semmni: c_int = 0
    semmns: c_int = 0
    semmnu: c_int = 0
    semmsl: c_int = 0
    semopm: c_int = 0
    semume: c_int = 0
    semusz: c_int = 0
    semvmx: c_int = 0
    semaem: c_int = 0


class Msginfo(CStruct):
    """struct msginfo of msgctl(IPC_INFO)."""

    msgpool: c_int = 0
    msgmap: c_int = 0
    msgmax: c_int = 0
    msgmnb: c_int = 0
    msgmni: c_int = 0
    msgssz: c_int = 0
    msgtql: c_int = 0
    msgseg: u16 = 0
