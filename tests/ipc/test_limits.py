# SPDX-License-Identifier: Apache-2.0
"""What a program can make the kernel keep is bounded, and comes back (T-DOS-01)."""

from __future__ import annotations

from struct import pack

import pytest

from pygos.fs.namei_calls import mkdir
from pygos.fs.notify.inotify import inotify_add_watch, inotify_init1
from pygos.fs.open import creat
from pygos.ipc.msg import msgctl, msgget, msgsnd
from pygos.ipc.namespace import ipc_ns, ipc_state
from pygos.ipc.sem import semctl, semget, semop
from pygos.ipc.shm import shmctl, shmget
from tests.support.kernel import Kernel, boot

ENOMEM, EAGAIN, EMFILE, ENOSPC = -12, -11, -24, -28
IPC_RMID, IPC_NOWAIT, IPC_CREAT, SEM_UNDO = 0, 0o4000, 0o1000, 0x1000
IN_OPEN, IN_NONBLOCK = 0x20, 0o4000


@pytest.fixture
def k() -> Kernel:
    return boot()


def test_semaphores_are_kernel_memory(k: Kernel) -> None:
    state = ipc_state(k.machine)
    made = []
    while (semid := k.call(semget, 0, 32000, 0o600)) >= 0:
        made.append(semid)
        assert len(made) < 1000
    assert semid == ENOMEM
    assert state.charged <= state.limit == k.machine.ram.pages * 1024
    for semid in made:
        assert k.call(semctl, semid, 0, IPC_RMID, 0) == 0
    assert state.charged == 0
    assert ipc_ns(k.task).used_sems == 0


def test_undo_is_kernel_memory(k: Kernel) -> None:
    state = ipc_state(k.machine)
    semid = k.call(semget, 0, 32000, 0o600)
    state.limit = state.charged + 128 * 100
    done = 0
    for num in range(200):
        k.mem.write(k.scratch, pack("<Hhh", num, 1, SEM_UNDO))
        if k.call(semop, semid, k.scratch, 1) == ENOMEM:
            break
        done += 1
    assert done == 99
    assert k.task.sysvsem is not None
    k.task.sysvsem.release(k.task)
    assert k.call(semctl, semid, 0, IPC_RMID, 0) == 0
    assert state.charged == 0


def test_empty_messages_are_not_free(k: Kernel) -> None:
    state = ipc_state(k.machine)
    state.limit = 100_000
    k.mem.write(k.scratch, pack("<q", 1))
    queue = k.call(msgget, 0, 0o600)
    sent = 0
    while (result := k.call(msgsnd, queue, k.scratch, 0, IPC_NOWAIT)) == 0:
        sent += 1
    assert result == ENOMEM
    assert sent < 100_000 // 160
    assert k.call(msgctl, queue, IPC_RMID, 0) == 0
    assert state.charged == 0


def test_ids_are_not_soon_used_again(k: Kernel) -> None:
    first = k.call(msgget, 0, 0o600)
    k.call(msgctl, first, IPC_RMID, 0)
    later = [k.call(msgget, 0, 0o600) for _ in range(3)]
    assert first not in later
    assert k.call(msgctl, first, IPC_RMID, 0) == -22


def test_a_segment_is_promised_memory(k: Kernel) -> None:
    before = k.machine.commit_pages
    assert k.call(shmget, 0, 1 << 40, 0o600) == ENOMEM
    segment = k.call(shmget, 0, 1 << 20, 0o600)
    assert k.machine.commit_pages == before + 256
    assert k.call(shmctl, segment, IPC_RMID, 0) == 0
    assert k.machine.commit_pages == before
    assert ipc_ns(k.task).shm_tot == 0


def test_watches_and_instances_are_limited(k: Kernel) -> None:
    k.machine.sysctl["fs.inotify.max_user_instances"] = 2
    k.machine.sysctl["fs.inotify.max_user_watches"] = 3
    k.machine.syscalls = []
    fd = k.call(inotify_init1, IN_NONBLOCK)
    assert k.call(inotify_init1, 0) >= 0
    assert k.call(inotify_init1, 0) == EMFILE
    for number in range(3):
        k.call(mkdir, b"/d%d" % number, 0o755)
        assert k.call(inotify_add_watch, k.file(fd), b"/d%d" % number, IN_OPEN) == number + 1
    assert k.call(inotify_add_watch, k.file(fd), b"/", IN_OPEN) == ENOSPC
    assert k.call(inotify_add_watch, k.file(fd), b"/d1", IN_OPEN) == 2


def test_a_full_queue_says_so_once(k: Kernel) -> None:
    k.machine.sysctl["fs.inotify.max_queued_events"] = 4
    k.machine.syscalls = []
    fd = k.call(inotify_init1, IN_NONBLOCK)
    k.call(inotify_add_watch, k.file(fd), b"/", 0x100)
    for number in range(20):
        k.call(creat, b"/f%d" % number, 0o644)
    data = k.read(fd, 4096)
    events = [data[at : at + 16] for at in range(0, 4 * 32, 32)] + [data[4 * 32 :]]
    assert len(data) == 4 * 32 + 16
    assert events[4] == pack("<iIII", -1, 0x4000, 0, 0)
