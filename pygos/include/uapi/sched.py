# SPDX-License-Identifier: Apache-2.0
"""Cloning and scheduling: linux/sched.h, linux/sched/types.h."""

from __future__ import annotations

from typing import Final

from pygos.include.uapi.cstruct import CStruct, c_int, i32, u32, u64

CSIGNAL: Final = 0x000000FF
CLONE_VM: Final = 0x00000100
CLONE_FS: Final = 0x00000200
CLONE_FILES: Final = 0x00000400
CLONE_SIGHAND: Final = 0x00000800
CLONE_PIDFD: Final = 0x00001000
CLONE_PTRACE: Final = 0x00002000
CLONE_VFORK: Final = 0x00004000
CLONE_PARENT: Final = 0x00008000
CLONE_THREAD: Final = 0x00010000
CLONE_NEWNS: Final = 0x00020000
CLONE_SYSVSEM: Final = 0x00040000
CLONE_SETTLS: Final = 0x00080000
CLONE_PARENT_SETTID: Final = 0x00100000
CLONE_CHILD_CLEARTID: Final = 0x00200000
CLONE_DETACHED: Final = 0x00400000
CLONE_UNTRACED: Final = 0x00800000
CLONE_CHILD_SETTID: Final = 0x01000000
CLONE_NEWCGROUP: Final = 0x02000000
CLONE_NEWUTS: Final = 0x04000000
CLONE_NEWIPC: Final = 0x08000000
CLONE_NEWUSER: Final = 0x10000000
CLONE_NEWPID: Final = 0x20000000
CLONE_NEWNET: Final = 0x40000000
CLONE_IO: Final = 0x80000000
CLONE_CLEAR_SIGHAND: Final = 0x100000000
CLONE_INTO_CGROUP: Final = 0x200000000
CLONE_NEWTIME: Final = 0x00000080
CLONE_ARGS_SIZE_VER0: Final = 64
CLONE_ARGS_SIZE_VER1: Final = 80
CLONE_ARGS_SIZE_VER2: Final = 88

SCHED_NORMAL: Final = 0
SCHED_FIFO: Final = 1
SCHED_RR: Final = 2
SCHED_BATCH: Final = 3
SCHED_IDLE: Final = 5
SCHED_DEADLINE: Final = 6
SCHED_RESET_ON_FORK: Final = 0x40000000

SCHED_EXT: Final = 7

SCHED_FLAG_RESET_ON_FORK: Final = 0x01
SCHED_FLAG_RECLAIM: Final = 0x02
SCHED_FLAG_DL_OVERRUN: Final = 0x04
SCHED_FLAG_KEEP_POLICY: Final = 0x08
SCHED_FLAG_KEEP_PARAMS: Final = 0x10
SCHED_FLAG_UTIL_CLAMP_MIN: Final = 0x20
SCHED_FLAG_UTIL_CLAMP_MAX: Final = 0x40
SCHED_FLAG_KEEP_ALL: Final = 0x18
SCHED_FLAG_UTIL_CLAMP: Final = 0x60
SCHED_FLAG_ALL: Final = 0x7F

SCHED_ATTR_SIZE_VER0: Final = 48
SCHED_ATTR_SIZE_VER1: Final = 56

MAX_NICE: Final = 19
MIN_NICE: Final = -20


class CloneArgs(CStruct):
    """struct clone_args of clone3(2), version 2 (88 bytes)."""

    flags: u64 = 0
    pidfd: u64 = 0
    child_tid: u64 = 0
    parent_tid: u64 = 0
    exit_signal: u64 = 0
    stack: u64 = 0
    stack_size: u64 = 0
    tls: u64 = 0
    set_tid: u64 = 0
    set_tid_size: u64 = 0
    cgroup: u64 = 0


class SchedParam(CStruct):
    """struct sched_param."""

    sched_priority: c_int = 0


class SchedAttr(CStruct):
    """struct sched_attr of sched_setattr(2), 56 bytes."""

    size: u32 = 0
    sched_policy: u32 = 0
    sched_flags: u64 = 0
    sched_nice: i32 = 0
    sched_priority: u32 = 0
    sched_runtime: u64 = 0
    sched_deadline: u64 = 0
    sched_period: u64 = 0
    sched_util_min: u32 = 0
    sched_util_max: u32 = 0
