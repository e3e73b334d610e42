# SPDX-License-Identifier: Apache-2.0
"""Limits, names, scheduling, prctl and other calls about the process and the machine."""

from __future__ import annotations

from struct import pack, unpack

import pytest

from pygos.arch.x86.regs import FS_BASE
from pygos.include.linux.mm_types import VM_READ, VM_WRITE
from pygos.include.linux.sched import Task, TaskState
from pygos.mm.vma import find_vma
from tests.support.world import DATA, STACK_TOP, World, wait_status

EPERM, ESRCH, EBADF, ENOMEM, EACCES, EFAULT = 1, 3, 9, 12, 13, 14
ENODEV, EINVAL, ENOSYS, E2BIG = 19, 22, 38, 7
INF = (1 << 64) - 1
NOFILE, NICE, RTPRIO = 7, 13, 14
SIGTERM = 15


# -- limits


def limits(world: World, task: Task, resource: int) -> tuple[int, int]:
    addr = world.put(task, bytes(16), 0x700)
    assert world.call(task, "prlimit64", 0, resource, 0, addr) == 0
    soft, hard = unpack("<QQ", world.get(task, addr, 16))
    return soft, hard


def test_the_first_limits(world: World) -> None:
    task = world.process()
    assert limits(world, task, 3) == (8 << 20, INF)
    assert limits(world, task, 4) == (0, INF)
    assert limits(world, task, NOFILE) == (1024, 4096)
    assert limits(world, task, 0) == (INF, INF)


def test_limits_are_lowered_by_all_and_raised_by_the_privileged(world: World) -> None:
    root, user = world.process(), world.process(uid=1000)
    low = world.put(user, pack("<QQ", 10, 20))
    assert world.call(user, "setrlimit", NOFILE, low) == 0
    assert world.call(user, "setrlimit", NOFILE, world.put(user, pack("<QQ", 10, 21))) == -EPERM
    assert world.call(user, "setrlimit", NOFILE, world.put(user, pack("<QQ", 21, 20))) == -EINVAL
    assert world.call(user, "setrlimit", 16, low) == -EINVAL
    assert world.call(user, "getrlimit", NOFILE, low) == 0
    assert unpack("<QQ", world.get(user, low, 16)) == (10, 20)
    high = world.put(root, pack("<QQ", 5000, 6000))
    assert world.call(root, "prlimit64", user.pid, NOFILE, high, 0) == 0
    assert limits(world, user, NOFILE) == (5000, 6000)
    assert world.call(user, "prlimit64", root.pid, NOFILE, 0, low) == -EPERM
    assert world.call(user, "prlimit64", 9999, NOFILE, 0, low) == -ESRCH
    over = world.put(root, pack("<QQ", 1, (1 << 20) + 1))
    assert world.call(root, "setrlimit", NOFILE, over) == -EPERM


# -- names


def test_uname(world: World) -> None:
    task = world.process()
    addr = world.put(task, bytes(390))
    assert world.call(task, "uname", addr) == 0
    data = world.get(task, addr, 390)
    texts = [data[at : at + 65].rstrip(b"\0").decode() for at in range(0, 390, 65)]
    assert texts == ["Linux", "box", "6.16.0-pygos", "#1 SMP", "x86_64", "(none)"]
    world.call(task, "personality", 0x20000)
    world.call(task, "uname", addr)
    assert world.get(task, addr + 130, 65).rstrip(b"\0") == b"2.6.76-pygos"


def test_sethostname(world: World) -> None:
    root, user = world.process(), world.process(uid=1000)
    name = world.put(root, b"newname")
    assert world.call(root, "sethostname", name, 7) == 0
    assert world.uts.nodename == "newname"
    assert world.call(root, "setdomainname", name, 3) == 0
    assert world.uts.domainname == "new"
    assert world.call(root, "sethostname", name, 65) == -EINVAL
    assert world.call(root, "sethostname", name, -1) == -EINVAL
    assert world.call(user, "sethostname", name, 7) == -EPERM


# -- scheduling


def test_priorities(world: World) -> None:
    root, user = world.process(), world.process(uid=1000)
    assert world.call(user, "getpriority", 0, 0) == 20
    assert world.call(user, "setpriority", 0, 0, 10) == 0
    assert world.call(user, "getpriority", 0, 0) == 10
    assert world.call(user, "setpriority", 0, 0, 5) == -EACCES
    user.group.rlim[NICE] = (17, 17)
    assert world.call(user, "setpriority", 0, 0, 3) == 0
    assert world.call(user, "setpriority", 0, root.pid, 3) == -EPERM
    assert world.call(user, "setpriority", 0, 9999, 3) == -ESRCH
    assert world.call(user, "setpriority", 5, 0, 3) == -EINVAL
    assert world.call(root, "setpriority", 2, 1000, -99) == 0
    assert user.nice == -20
    assert world.call(root, "getpriority", 1, user.group.pgrp) == 40


def test_io_priorities(world: World) -> None:
    root, user = world.process(), world.process(uid=1000)
    assert world.call(user, "ioprio_get", 1, 0) == 0
    assert world.call(user, "ioprio_get", 2, 0) == 2 << 13 | 4
    assert world.call(user, "ioprio_set", 1, 0, 3 << 13) == 0
    assert world.call(user, "ioprio_get", 1, 0) == 3 << 13
    assert world.call(user, "ioprio_set", 1, 0, 1 << 13) == -EPERM
    assert world.call(user, "ioprio_set", 1, 0, 7) == -EINVAL
    assert world.call(user, "ioprio_set", 9, 0, 0) == -EINVAL
    assert world.call(user, "ioprio_set", 1, root.pid, 2 << 13) == -EPERM
    assert world.call(user, "ioprio_get", 1, 9999) == -ESRCH


def test_affinity(world: World) -> None:
    task = world.process()
    world.machine.nr_cpus = 4
    mask = world.put(task, bytes(16))
    assert world.call(task, "sched_getaffinity", 0, 128, mask) == 8
    assert world.get(task, mask, 8) == pack("<Q", 15)
    assert world.call(task, "sched_setaffinity", 0, 8, world.put(task, pack("<Q", 0xF4))) == 0
    assert world.call(task, "sched_getaffinity", 0, 8, mask) == 8
    assert world.get(task, mask, 8) == pack("<Q", 4)
    cpu = world.put(task, bytes(8), 0x100)
    assert world.call(task, "getcpu", cpu, cpu + 4, 0) == 0
    assert unpack("<II", world.get(task, cpu, 8)) == (2, 0)
    assert world.call(task, "sched_setaffinity", 0, 8, world.put(task, pack("<Q", 0xF0))) == -EINVAL
    assert world.call(task, "sched_getaffinity", 0, 4, mask) == -EINVAL
    assert world.call(task, "sched_getaffinity", 9999, 8, mask) == -ESRCH


def test_policies(world: World) -> None:
    root, user = world.process(), world.process(uid=1000)
    prio = world.put(root, pack("<i", 10))
    assert world.call(root, "sched_setscheduler", 0, 1, prio) == 0
    assert world.call(root, "sched_getscheduler", 0) == 1
    assert world.call(root, "sched_getparam", 0, prio) == 0
    assert world.get(root, prio, 4) == pack("<i", 10)
    assert world.call(root, "sched_setparam", 0, world.put(root, pack("<i", 100))) == -EINVAL
    assert world.call(root, "sched_setscheduler", 0, 0, prio) == -EINVAL
    assert world.call(root, "sched_setscheduler", 0, 9, prio) == -EINVAL
    assert world.call(root, "sched_setscheduler", 0, 0, 0) == -EINVAL
    prio = world.put(user, pack("<i", 10))
    assert world.call(user, "sched_setscheduler", 0, 2, prio) == -EPERM
    user.group.rlim[RTPRIO] = (5, 5)
    assert world.call(user, "sched_setscheduler", 0, 2, prio) == -EPERM
    prio = world.put(user, pack("<i", 5))
    assert world.call(user, "sched_setscheduler", 0, 2 | 0x40000000, prio) == 0
    assert world.call(user, "sched_getscheduler", 0) == 2 | 0x40000000
    assert [world.call(user, "sched_get_priority_max", policy) for policy in range(8)] == [
        0, 99, 99, 0, -EINVAL, 0, 0, 0
    ]  # fmt: skip
    assert [world.call(user, "sched_get_priority_min", policy) for policy in range(4)] == [
        0, 1, 1, 0
    ]  # fmt: skip
    out = world.put(user, bytes(16))
    assert world.call(user, "sched_rr_get_interval", 0, out) == 0
    assert unpack("<qq", world.get(user, out, 16)) == (0, 100_000_000)


def test_sched_attr(world: World) -> None:
    task = world.process()
    attr = world.put(task, pack("<IIQiIQQQII", 56, 0, 0, -5, 0, 0, 0, 0, 0, 0))
    assert world.call(task, "sched_setattr", 0, attr, 0) == 0
    assert task.nice == -5
    assert world.call(task, "sched_getattr", 0, attr, 56, 0) == 0
    assert unpack("<IIQiI", world.get(task, attr, 24)) == (56, 0, 0, -5, 0)
    assert world.call(task, "sched_getattr", 0, attr, 40, 0) == -EINVAL
    big = world.put(task, pack("<IIQiIQQQIIQ", 64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1))
    assert world.call(task, "sched_setattr", 0, big, 0) == -E2BIG
    assert world.get(task, big, 4) == pack("<I", 56)


def test_yield_asks_for_another_turn(world: World) -> None:
    task = world.process()
    assert world.call(task, "sched_yield") == 0


# -- prctl


def test_names(world: World) -> None:
    task = world.process()
    name = world.put(task, b"a-name-longer-than-15-bytes\0")
    assert world.call(task, "prctl", 15, name) == 0
    assert task.comm == b"a-name-longer-t"
    out = world.put(task, b"\xff" * 32)
    assert world.call(task, "prctl", 16, out) == 0
    assert world.get(task, out, 17) == b"a-name-longer-t\0\xff"
    assert world.call(task, "prctl", 15, 8) == -EFAULT


def test_no_new_privs_cannot_be_taken_back(world: World) -> None:
    task = world.process()
    assert world.call(task, "prctl", 39, 0, 0, 0, 0) == 0
    assert world.call(task, "prctl", 38, 1, 0, 0, 1) == -EINVAL
    assert world.call(task, "prctl", 38, 0, 0, 0, 0) == -EINVAL
    assert world.call(task, "prctl", 38, 1, 0, 0, 0) == 0
    assert world.call(task, "prctl", 39, 0, 0, 0, 0) == 1


def test_pdeathsig(world: World) -> None:
    parent = world.process(world.process())
    child = world.process(parent)
    out = world.put(child, bytes(4))
    assert world.call(child, "prctl", 1, 65) == -EINVAL
    assert world.call(child, "prctl", 1, SIGTERM) == 0
    assert world.call(child, "prctl", 2, out) == 0
    assert world.get(child, out, 4) == pack("<i", SIGTERM)
    world.call(parent, "exit_group", 0)
    assert child.state is TaskState.DEAD or not child.alive
    assert wait_status(child) == SIGTERM


def test_a_subreaper_adopts_orphans(world: World) -> None:
    reaper = world.process()
    child = world.process(reaper)
    grandchild = world.process(child)
    assert world.call(reaper, "prctl", 36, 1) == 0
    out = world.put(reaper, bytes(4))
    assert world.call(reaper, "prctl", 37, out) == 0
    assert world.get(reaper, out, 4) == pack("<i", 1)
    world.call(child, "exit_group", 0)
    assert world.call(grandchild, "getppid") == reaper.pid


@pytest.mark.parametrize("option", [5, 9, 11, 19, 22, 62, 67, 78, 999, 0])
def test_options_that_are_not_there(world: World, option: int) -> None:
    assert world.call(world.process(), "prctl", option, 0, 0, 0, 0) == -EINVAL


def test_small_options(world: World) -> None:
    task = world.process()
    assert world.call(task, "prctl", 30) == 50_000
    assert world.call(task, "prctl", 29, 7) == 0
    assert world.call(task, "prctl", 30) == 7
    assert world.call(task, "prctl", 29, 0) == 0
    assert world.call(task, "prctl", 30) == 50_000
    assert world.call(task, "prctl", 13) == 0
    assert world.call(task, "prctl", 14, 1) == -EINVAL
    out = world.put(task, bytes(8))
    assert world.call(task, "prctl", 25, out) == 0
    assert world.get(task, out, 4) == pack("<I", 1)
    assert world.call(task, "prctl", 26, 2) == 0
    assert world.call(task, "prctl", 25, out) == 0
    assert world.get(task, out, 4) == pack("<I", 2)
    assert world.call(task, "prctl", 26, 3) == -EINVAL
    world.call(task, "set_tid_address", 0x1234)
    assert world.call(task, "prctl", 40, out) == 0
    assert world.get(task, out, 8) == pack("<Q", 0x1234)
    task.clear_child_tid = 0
    assert world.call(task, "prctl", 21) == 0


def test_named_memory(world: World) -> None:
    task = world.process()
    assert task.mm is not None
    name = world.put(task, b"my heap\0")
    start = DATA + 0x4000
    assert world.call(task, "prctl", 0x53564D41, 0, start, 0x2000, name) == 0
    vma = find_vma(task.mm, start)
    assert vma is not None
    assert (vma.start, vma.end, vma.name) == (start, start + 0x2000, "[anon:my heap]")
    assert vma.flags == VM_READ | VM_WRITE
    bad = world.put(task, b"my[heap]\0", 0x100)
    assert world.call(task, "prctl", 0x53564D41, 0, start, 0x2000, bad) == -EINVAL
    assert world.call(task, "prctl", 0x53564D41, 0, 0x666000, 0x1000, name) == -ENOMEM
    assert world.call(task, "prctl", 0x53564D41, 0, start, 0x2000, 0) == 0
    vma = find_vma(task.mm, start)
    assert vma is not None
    assert (vma.start, vma.name) == (DATA, "")


def test_set_mm(world: World) -> None:
    root, user = world.process(), world.process(uid=1000)
    for task in (root, user):
        assert task.mm is not None
        for field in ("start_code", "start_data", "start_brk", "arg_start", "env_start"):
            setattr(task.mm, field, DATA)
        for field in ("end_code", "end_data", "brk", "arg_end", "env_end", "start_stack"):
            setattr(task.mm, field, DATA + 64)
    assert world.call(user, "prctl", 35, 8, DATA + 8, 0, 0) == -EPERM
    assert world.call(root, "prctl", 35, 8, DATA + 8, 0, 0) == 0
    assert root.mm is not None
    assert root.mm.arg_start == DATA + 8
    assert world.call(root, "prctl", 35, 8, DATA + 65, 0, 0) == -EINVAL
    assert world.call(root, "prctl", 35, 9, 1 << 50, 0, 0) == -EINVAL
    assert world.call(root, "prctl", 35, 9, STACK_TOP + 4096, 0, 0) == -EFAULT
    assert world.call(root, "prctl", 35, 99, DATA, 0, 0) == -EINVAL
    out = world.put(user, bytes(4))
    assert world.call(user, "prctl", 35, 15, out, 0, 0) == 0
    assert world.get(user, out, 4) == pack("<I", 104)


def test_auxv(world: World) -> None:
    task = world.process()
    assert task.mm is not None
    task.mm.auxv = pack("<QQQQ", 6, 4096, 0, 0)
    out = world.put(task, b"\xff" * 512)
    assert world.call(task, "prctl", 0x41555856, out, 512, 0, 0) == 416
    assert world.get(task, out, 16) == pack("<QQ", 6, 4096)


# -- arch


def test_arch_prctl(world: World) -> None:
    task = world.process()
    assert world.call(task, "arch_prctl", 0x1002, 0x7F00_1234_5000) == 0
    assert task.regs[FS_BASE] == 0x7F00_1234_5000
    out = world.put(task, bytes(8))
    assert world.call(task, "arch_prctl", 0x1003, out) == 0
    assert world.get(task, out, 8) == pack("<Q", 0x7F00_1234_5000)
    assert world.call(task, "arch_prctl", 0x1001, (1 << 47) - 4096) == -EPERM
    assert world.call(task, "arch_prctl", 0x1001, 1 << 63) == -EPERM
    assert world.call(task, "arch_prctl", 0x1011, 0) == 1
    assert world.call(task, "arch_prctl", 0x1012, 0) == 0
    assert world.call(task, "arch_prctl", 0x1011, 0) == 0
    assert world.call(task, "arch_prctl", 0x3001, 0) == -EINVAL


def test_ports_and_descriptor_tables_are_refused(world: World) -> None:
    task = world.process()
    assert world.call(task, "ioperm", 0x80, 1, 1) == -EPERM
    assert world.call(task, "ioperm", 0xFFFF, 2, 1) == -EINVAL
    assert world.call(task, "iopl", 3) == -EPERM
    assert world.call(task, "iopl", 4) == -EINVAL
    assert world.call(task, "modify_ldt", 0, 0, 0) == -ENOSYS
    assert world.call(task, "restart_syscall") == -4


# -- the machine


def test_sysinfo(world: World) -> None:
    task = world.process()
    world.machine.loadavg = [0.5, 1.0, 2.25]
    out = world.put(task, bytes(112))
    assert world.call(task, "sysinfo", out) == 0
    data = world.get(task, out, 112)
    uptime, one, five, fifteen, total, free = unpack("<qQQQQQ", data[:48])
    assert (uptime, one, five, fifteen) == (1000, 32768, 65536, 147456)
    assert total == 4096 * 4096
    assert 0 < free < total
    assert unpack("<H", data[80:82])[0] == 2


def test_syslog(world: World) -> None:
    root, user = world.process(), world.process(uid=1000)
    printk = world.machine.printk
    printk.info("first")
    printk.err("second")
    buf = world.put(user, bytes(256))
    size = world.call(user, "syslog", 3, buf, 256)
    text = b"<6>[    0.000000] first\n<3>[    0.000000] second\n"
    assert size == len(text)
    assert world.get(user, buf, len(text)) == text
    # Only whole records, the latest.
    assert world.call(user, "syslog", 3, buf, 30) == 25
    assert world.get(user, buf, 25) == text[24:]
    assert world.call(user, "syslog", 5, 0, 0) == -EPERM
    assert world.call(user, "syslog", 10, 0, 0) == 1 << 20
    buf = world.put(root, bytes(256))
    assert world.call(root, "syslog", 9, 0, 0) == len(text)
    assert world.call(root, "syslog", 2, buf, 30) == 24
    assert world.call(root, "syslog", 2, buf, 256) == 25
    assert world.call(root, "syslog", 2, buf, 256) is None
    printk.info("third")
    world.settle()
    assert world.get(root, buf, 24) == b"<6>[    0.000000] third\n"
    assert world.call(root, "syslog", 5, 0, 0) == 0
    assert world.call(root, "syslog", 3, buf, 256) == 0
    assert world.call(root, "syslog", 8, 0, 9) == -EINVAL
    assert world.call(root, "syslog", 8, 0, 7) == 0
    assert world.call(root, "syslog", 77, 0, 0) == -EINVAL


def test_reboot_ends_the_machine(world: World) -> None:
    root, user = world.process(), world.process(uid=1000)
    magic = (0xFEE1DEAD, 672274793)
    assert world.call(user, "reboot", *magic, 0x4321FEDC) == -EPERM
    assert world.call(root, "reboot", 1, 2, 0x4321FEDC) == -EINVAL
    assert world.call(root, "reboot", *magic, 77) == -EINVAL
    assert world.call(root, "reboot", *magic, 0x89ABCDEF) == 0
    assert world.machine.exit_status is None
    assert world.call(root, "reboot", *magic, 0x4321FEDC) is None
    assert world.machine.exit_status == 0


def test_membarrier_waits_until_running_threads_have_stopped(world: World) -> None:
    task = world.process()
    other = world.thread(task)
    query = world.call(task, "membarrier", 0, 0, 0)
    assert query is not None
    assert query & 8
    assert world.call(task, "membarrier", 8, 0, 0) == -EPERM
    assert world.call(task, "membarrier", 16, 0, 0) == 0
    assert world.call(task, "membarrier", 512, 0, 0) == 16
    assert world.call(task, "membarrier", 8, 0, 0) is None
    cpu = other.cpu
    assert cpu is not None
    assert cpu.kicked == 1  # type: ignore[attr-defined]
    world.advance(200_000)
    assert task.state is TaskState.INTERRUPTIBLE
    other.last_run += 1  # it has been through the kernel
    world.advance(100_000)
    assert task.state is TaskState.RUNNING
    assert world.call(task, "membarrier", 128, 0, 0) == -EPERM
    assert world.call(task, "membarrier", 8, 1, 0) == -EINVAL


def test_kcmp(world: World) -> None:
    root, user = world.process(), world.process(uid=1000)
    thread = world.thread(root)
    assert world.call(root, "kcmp", root.pid, thread.pid, 1, 0, 0) == 0
    assert world.call(root, "kcmp", root.pid, user.pid, 1, 0, 0) == 3
    assert world.call(root, "kcmp", root.pid, user.pid, 0, 0, 0) == -EBADF
    assert world.call(root, "kcmp", root.pid, 9999, 1, 0, 0) == -ESRCH
    assert world.call(root, "kcmp", root.pid, root.pid, 99, 0, 0) == -EINVAL
    assert world.call(user, "kcmp", root.pid, user.pid, 1, 0, 0) == -EPERM
