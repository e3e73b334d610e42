# SPDX-License-Identifier: Apache-2.0
"""Users, groups, capabilities, process groups and sessions."""

from __future__ import annotations

from struct import pack, unpack

import pytest

from pygos.include.linux.cred import CAP_FULL, Cred
from pygos.include.linux.sched import Task
from tests.support.world import World

EPERM, ESRCH, EACCES, EFAULT, EINVAL = 1, 3, 13, 14, 22
LEAVE = 0xFFFFFFFF
CAP_KILL, CAP_SETGID, CAP_SETUID, CAP_SETPCAP = 5, 6, 7, 8


def uids(task: Task) -> tuple[int, int, int, int]:
    cred = task.cred
    return cred.uid, cred.euid, cred.suid, cred.fsuid


def gids(task: Task) -> tuple[int, int, int, int]:
    cred = task.cred
    return cred.gid, cred.egid, cred.sgid, cred.fsgid


def set_ids(task: Task, real: int, effective: int, saved: int) -> None:
    task.cred = Cred(
        real, real, effective, effective, saved, saved, effective, effective, (), 0, 0, 0
    )


def test_root_changes_into_a_user_for_good(world: World) -> None:
    task = world.process()
    assert world.call(task, "setgid", 100) == 0
    assert world.call(task, "setuid", 1000) == 0
    assert uids(task) == (1000,) * 4
    assert gids(task) == (100,) * 4
    assert (task.cred.cap_permitted, task.cred.cap_effective) == (0, 0)
    assert world.call(task, "setuid", 0) == -EPERM
    assert world.call(task, "setgid", 0) == -EPERM
    names = ("getuid", "geteuid", "getgid", "getegid")
    assert [world.call(task, name) for name in names] == [1000, 1000, 100, 100]


def test_setuid_moves_between_real_and_saved(world: World) -> None:
    task = world.process()
    set_ids(task, 1, 2, 3)
    assert world.call(task, "setuid", 3) == 0
    assert uids(task) == (1, 3, 3, 3)
    assert world.call(task, "setuid", 2) == -EPERM
    assert world.call(task, "setuid", LEAVE) == -EINVAL


def test_setreuid_sets_the_saved_id(world: World) -> None:
    task = world.process()
    set_ids(task, 1, 2, 3)
    assert world.call(task, "setreuid", 2, 1) == 0
    assert uids(task) == (2, 1, 1, 1)
    assert world.call(task, "setreuid", 3, LEAVE) == -EPERM
    set_ids(task, 1, 2, 3)
    assert world.call(task, "setreuid", LEAVE, 1) == 0
    assert uids(task) == (1, 1, 3, 1)
    assert world.call(task, "setregid", 9, LEAVE) == -EPERM


def test_setresuid_permutes(world: World) -> None:
    task = world.process()
    set_ids(task, 1, 2, 3)
    assert world.call(task, "setresuid", 3, 1, 2) == 0
    assert uids(task) == (3, 1, 2, 1)
    assert world.call(task, "setresuid", 4, LEAVE, LEAVE) == -EPERM
    out = world.put(task, bytes(12))
    assert world.call(task, "getresuid", out, out + 4, out + 8) == 0
    assert unpack("<III", world.get(task, out, 12)) == (3, 1, 2)
    assert world.call(task, "setresgid", 3, 1, 2) == 0
    assert gids(task) == (3, 1, 2, 1)
    assert world.call(task, "getresgid", out, out + 4, out + 8) == 0
    assert unpack("<III", world.get(task, out, 12)) == (3, 1, 2)


def test_setfsuid_tells_the_old_one_and_moves_file_capabilities(world: World) -> None:
    task = world.process()
    assert world.call(task, "setfsuid", 1000) == 0
    assert task.cred.fsuid == 1000
    assert not task.cred.capable(1)
    assert task.cred.capable(CAP_KILL)
    assert world.call(task, "setfsuid", LEAVE) == 1000
    assert world.call(task, "setfsuid", 0) == 1000
    assert task.cred.capable(1)
    set_ids(task, 1, 2, 3)
    assert world.call(task, "setfsuid", 9) == 2
    assert world.call(task, "setfsgid", 3) == 2
    assert task.cred.fsgid == 3


def test_temporary_changes_of_the_effective_uid(world: World) -> None:
    task = world.process()
    assert world.call(task, "setresuid", LEAVE, 1000, LEAVE) == 0
    assert (task.cred.cap_effective, task.cred.cap_permitted) == (0, CAP_FULL)
    assert world.call(task, "setresuid", LEAVE, 0, LEAVE) == 0
    assert task.cred.cap_effective == CAP_FULL


def test_keepcaps_keeps_what_is_permitted(world: World) -> None:
    task = world.process()
    assert world.call(task, "prctl", 8, 1) == 0
    assert world.call(task, "prctl", 7) == 1
    assert world.call(task, "setresuid", 1000, 1000, 1000) == 0
    assert (task.cred.cap_permitted, task.cred.cap_effective) == (CAP_FULL, 0)


def test_a_change_of_identity_makes_undumpable(world: World) -> None:
    task = world.process()
    assert world.call(task, "prctl", 4, 1) == 0
    assert world.call(task, "prctl", 3) == 1
    world.call(task, "setresuid", LEAVE, 5, LEAVE)
    assert world.call(task, "prctl", 3) == 0


def test_groups(world: World) -> None:
    root, user = world.process(), world.process(uid=1000)
    addr = world.put(root, pack("<III", 30, 10, 20))
    assert world.call(root, "setgroups", 3, addr) == 0
    assert world.call(root, "getgroups", 0, 0) == 3
    assert world.call(root, "getgroups", 2, addr) == -EINVAL
    assert world.call(root, "getgroups", 3, addr) == 3
    assert unpack("<III", world.get(root, addr, 12)) == (10, 20, 30)
    assert world.call(root, "setgroups", -1, addr) == -EINVAL
    assert world.call(root, "setgroups", 65537, addr) == -EINVAL
    assert world.call(root, "setgroups", 3, 8) == -EFAULT
    assert world.call(user, "setgroups", 0, 0) == -EPERM
    assert world.call(root, "setgroups", 0, 0) == 0
    assert world.call(root, "getgroups", 0, 0) == 0


# -- capabilities

V1, V3 = 0x19980330, 0x20080522


def header(world: World, task: Task, version: int, pid: int) -> int:
    return world.put(task, pack("<Ii", version, pid), 0x100)


def test_capget_shows_all_sets(world: World) -> None:
    task = world.process()
    data = world.put(task, bytes(24))
    assert world.call(task, "capget", header(world, task, V3, 0), data) == 0
    low, high = CAP_FULL & LEAVE, CAP_FULL >> 32
    assert unpack("<6I", world.get(task, data, 24)) == (low, low, 0, high, high, 0)
    assert world.call(task, "capget", header(world, task, V1, 0), data) == 0
    assert world.call(task, "capget", header(world, task, V3, 9999), data) == -ESRCH
    assert world.call(task, "capget", header(world, task, V3, -1), data) == -EINVAL


def test_an_unknown_version_is_answered_with_the_right_one(world: World) -> None:
    task = world.process()
    addr = header(world, task, 1, 0)
    assert world.call(task, "capget", addr, 0) == 0
    assert world.get(task, addr, 4) == pack("<I", V3)
    addr = header(world, task, 1, 0)
    assert world.call(task, "capget", addr, DATA_ANY) == -EINVAL
    assert world.call(task, "capset", header(world, task, 1, 0), DATA_ANY) == -EINVAL


DATA_ANY = 0x10_0000


def test_capset_only_gives_up(world: World) -> None:
    task = world.process()
    head = header(world, task, V3, 0)
    few = world.put(task, pack("<6I", 1 << CAP_KILL, 1 << CAP_KILL, 0, 0, 0, 0))
    assert world.call(task, "capset", head, few) == 0
    assert task.cred.cap_effective == task.cred.cap_permitted == 1 << CAP_KILL
    more = world.put(task, pack("<6I", 0, 1 << CAP_KILL | 1, 0, 0, 0, 0))
    assert world.call(task, "capset", head, more) == -EPERM
    wrong = world.put(task, pack("<6I", 1, 1 << CAP_KILL, 0, 0, 0, 0))
    assert world.call(task, "capset", head, wrong) == -EPERM
    assert world.call(task, "capset", header(world, task, V3, 1), few) == -EPERM


def test_bounding_and_ambient_sets(world: World) -> None:
    task = world.process()
    assert world.call(task, "prctl", 23, CAP_KILL) == 1
    assert world.call(task, "prctl", 24, CAP_KILL) == 0
    assert world.call(task, "prctl", 23, CAP_KILL) == 0
    assert world.call(task, "prctl", 23, 41) == -EINVAL
    # Ambient: only what is permitted and inheritable.
    assert world.call(task, "prctl", 47, 2, CAP_SETUID, 0, 0) == -EPERM
    both = 1 << CAP_SETUID | 1 << CAP_SETPCAP
    data = world.put(task, pack("<6I", both, both, 1 << CAP_SETUID, 0, 0, 0))
    assert world.call(task, "capset", header(world, task, V3, 0), data) == 0
    assert world.call(task, "prctl", 47, 2, CAP_SETUID, 0, 0) == 0
    assert world.call(task, "prctl", 47, 1, CAP_SETUID, 0, 0) == 1
    assert world.call(task, "prctl", 47, 3, CAP_SETUID, 0, 0) == 0
    assert world.call(task, "prctl", 47, 1, CAP_SETUID, 0, 0) == 0
    assert world.call(task, "prctl", 47, 4, 1, 0, 0) == -EINVAL
    assert world.call(task, "prctl", 47, 4, 0, 0, 0) == 0
    assert world.call(task, "prctl", 47, 9, 0, 0, 0) == -EINVAL


def test_securebits_and_their_locks(world: World) -> None:
    task = world.process()
    assert world.call(task, "prctl", 28, 0x10 | 0x20) == 0
    assert world.call(task, "prctl", 27) == 0x30
    assert world.call(task, "prctl", 28, 0x20) == -EPERM
    assert world.call(task, "prctl", 8, 0) == -EPERM
    assert world.call(task, "prctl", 28, 1 << 9) == -EPERM


# -- process groups and sessions


def test_setsid_makes_a_session_without_terminal(world: World) -> None:
    leader = world.process()
    child = world.process(leader)
    child.group.ctty = object()
    assert world.call(child, "setsid") == child.pid
    assert world.call(child, "getsid", 0) == child.pid
    assert world.call(child, "getpgrp") == child.pid
    assert child.group.ctty is None
    assert world.call(child, "setsid") == -EPERM
    assert world.call(leader, "getsid", child.pid) == child.pid
    assert world.call(leader, "getsid", 9999) == -ESRCH


def test_setpgid_of_oneself_and_of_children(world: World) -> None:
    shell = world.process()
    one, two = world.process(shell), world.process(shell)
    assert world.call(shell, "setpgid", one.pid, 0) == 0
    assert world.call(shell, "setpgid", two.pid, one.pid) == 0
    assert world.call(two, "getpgid", 0) == one.pid
    assert world.call(two, "setpgid", 0, 0) == 0
    assert world.call(two, "getpgrp") == two.pid
    assert set(world.machine.pids.pgrps[one.pid]) == {one}


def test_setpgid_refuses(world: World) -> None:
    shell, stranger = world.process(), world.process()
    child, grandchild = world.process(shell), None
    grandchild = world.process(child)
    assert world.call(shell, "setpgid", 0, 0) == -EPERM  # a session leader
    assert world.call(shell, "setpgid", child.pid, -1) == -EINVAL
    assert world.call(shell, "setpgid", grandchild.pid, 0) == -ESRCH
    assert world.call(shell, "setpgid", 9999, 0) == -ESRCH
    assert world.call(child, "setpgid", 0, 9999) == -EPERM
    assert world.call(child, "setpgid", 0, stranger.pid) == -EPERM
    child.group.did_exec = True
    assert world.call(shell, "setpgid", child.pid, 0) == -EACCES
    assert world.call(child, "setpgid", 0, 0) == 0


def test_pids(world: World) -> None:
    parent = world.process()
    task = world.process(parent)
    thread = world.thread(task)
    assert world.call(thread, "getpid") == task.pid
    assert world.call(thread, "gettid") == thread.pid
    assert world.call(thread, "getppid") == parent.pid
    assert world.call(parent, "getppid") == 1


@pytest.mark.parametrize("persona", [0, 0x40000, 8])
def test_personality(world: World, persona: int) -> None:
    task = world.process()
    assert world.call(task, "personality", persona) == 0
    assert world.call(task, "personality", LEAVE) == persona
