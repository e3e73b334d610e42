# SPDX-License-Identifier: Apache-2.0
"""Ids, capabilities and numbers across namespaces, without processes."""

from __future__ import annotations

from typing import Any

import pytest

from pygos.fs.proc.idmap import parse_map, range_down
from pygos.include.dataclass import replace
from pygos.include.errno import EEXIST, EINVAL, ENOMEM, ENOSPC, EPERM
from pygos.include.linux.cred import Cred
from pygos.include.linux.machine import Machine
from pygos.include.linux.ns_common import NsProxy, UtsNamespace
from pygos.include.linux.pid_namespace import PidNamespace, pid_nr_ns
from pygos.include.linux.sched import PidTable
from pygos.include.linux.user_namespace import INVALID_ID, UserNamespace, in_userns
from pygos.kernel.exec_cred import parse_file_caps
from pygos.kernel.nsproxy import charge_namespace, hold_set, put_set
from pygos.kernel.pid import alloc_pid, free_pid

CAP = 21


def user_ns(parent: UserNamespace | None = None, owner: int = 1000) -> UserNamespace:
    ns = UserNamespace(Machine(), parent, 1 if parent is None else parent.level + 1)
    ns.owner = owner
    return ns


def test_the_owner_is_mighty_below_and_nobody_above() -> None:
    inner = user_ns()
    deep = user_ns(inner, 5)
    owner = Cred(1000, 0, 1000, cap_effective=0)
    other = Cred(1001, 0, 1001, cap_effective=0)
    inside = replace(owner, user_ns=inner, cap_effective=1 << CAP)
    assert owner.ns_capable(inner, CAP)
    assert owner.ns_capable(deep, CAP)
    assert not other.ns_capable(inner, CAP)
    assert not owner.ns_capable(None, CAP)
    assert inside.ns_capable(inner, CAP)
    assert inside.ns_capable(deep, CAP)
    assert not inside.ns_capable(None, CAP)
    assert not inside.capable(CAP)
    assert not replace(inside, user_ns=deep).ns_capable(inner, CAP)
    assert Cred().ns_capable(deep, CAP)
    assert not inside.ns_capable(inner, CAP + 1)
    assert in_userns(inner, deep)
    assert in_userns(None, inner)
    assert not in_userns(deep, inner)


def test_ids_without_a_mapping() -> None:
    ns = user_ns()
    ns.uid_map = ((0, 100_000, 10), (50, 7, 1))
    ns.machine.sysctl["kernel.overflowuid"] = 65534
    assert ns.make_kuid(9) == 100_009
    assert ns.make_kuid(10) == INVALID_ID
    assert ns.make_kuid(50) == 7
    assert ns.from_kuid(100_000) == 0
    assert ns.from_kuid(0) == INVALID_ID
    assert ns.from_kuid_munged(0) == 65534


@pytest.mark.parametrize(
    "text",
    [
        b"", b"\n", b"0 0", b"0 0 0", b"0 0 1 1", b"a 0 1", b"-1 0 1", b"0 0 1\n\n0 1 1",
        b"4294967295 0 1", b"0 4294967295 1", b"4294967294 0 2", b"0 0 10\n9 20 1",
        b"0 0 10\n20 9 1", b"0 0 99999999999999999999999",
    ],
)  # fmt: skip
def test_bad_maps(text: bytes) -> None:
    with pytest.raises(EINVAL):
        parse_map(text)


def test_good_maps() -> None:
    assert parse_map(b"0 1000 1") == [(0, 1000, 1)]
    assert parse_map(b"  0\t1000 1 \n1 2 3\n") == [(0, 1000, 1), (1, 2, 3)]
    assert len(parse_map(b"".join(b"%d %d 1\n" % (n, n) for n in range(340)))) == 340
    with pytest.raises(EINVAL):
        parse_map(b"".join(b"%d %d 1\n" % (n, n) for n in range(341)))
    assert range_down(((0, 100, 10),), 5, 5) == 105
    assert range_down(((0, 100, 10),), 5, 6) == INVALID_ID


def test_numbers_of_all_levels() -> None:
    table = PidTable(last=41)
    inner = PidNamespace(None, None)
    deep = PidNamespace(inner, None)
    pid = alloc_pid(table, deep)
    assert (pid, pid_nr_ns(pid, inner), pid_nr_ns(pid, deep)) == (42, 1, 1)
    other = alloc_pid(table, inner)
    assert (other, pid_nr_ns(other, inner), pid_nr_ns(other, deep)) == (43, 2, 0)
    free_pid(table, pid)
    assert pid_nr_ns(pid, inner) == pid_nr_ns(pid, deep) == 0
    assert not deep.to_global
    assert list(inner.to_global) == [2]
    deep.dead = True
    with pytest.raises(ENOMEM):
        alloc_pid(table, deep)


def test_chosen_numbers() -> None:
    class Asker:
        cred = Cred()

    task: Any = Asker()
    table, inner = PidTable(), PidNamespace(None, None)
    with pytest.raises(EINVAL):
        alloc_pid(table, inner, (2,), task)  # there is no process 1 yet
    assert alloc_pid(table, inner, (1, 500), task) == 500
    with pytest.raises(EEXIST):
        alloc_pid(table, inner, (1,), task)
    with pytest.raises(EINVAL):
        alloc_pid(table, inner, (3, 4, 5), task)
    Asker.cred = Cred(cap_effective=0)
    with pytest.raises(EPERM):
        alloc_pid(table, None, (7,), task)


def test_limits_count_the_living_and_those_below() -> None:
    class Maker:
        machine = Machine()
        cred = Cred(euid=1000)

    task: Any = Maker()
    task.machine.misc["max_namespaces"] = {"uts": 2}
    kept = [UtsNamespace("a"), UtsNamespace("b")]
    charge_namespace(task, kept[0], None, "uts")
    charge_namespace(task, kept[1], None, "uts")
    with pytest.raises(ENOSPC):
        charge_namespace(task, UtsNamespace("c"), None, "uts")
    inner = user_ns(None, 1000)
    with pytest.raises(ENOSPC):
        charge_namespace(task, UtsNamespace("c", user_ns=inner), inner, "uts")
    kept.pop()
    charge_namespace(task, UtsNamespace("c", user_ns=inner), inner, "uts")


def test_the_last_set_frees_its_namespaces() -> None:
    freed = []

    class Counted(UtsNamespace):
        def ns_free(self, machine: Machine) -> None:
            freed.append(self.nodename)

    machine, shared, own = Machine(), Counted("shared"), Counted("own")
    mnt: Any = Counted("mnt")
    one, two = NsProxy(shared, mnt), NsProxy(shared, mnt)
    two.ipc = own
    hold_set(one)
    hold_set(two)
    put_set(machine, two)
    assert freed == ["own"]
    put_set(machine, one)
    assert freed[0] == "own"
    assert sorted(freed[1:]) == ["mnt", "shared"]


def test_file_capabilities() -> None:
    two = b"\1\0\0\2" + b"\1\0\0\0" + b"\2\0\0\0" + b"\1\0\0\0" + bytes(4)
    caps = parse_file_caps(two, None)
    assert (caps.permitted, caps.inheritable, caps.effective) == (1 << 32 | 1, 2, True)
    three = b"\0\0\0\3" + two[4:] + (1000).to_bytes(4, "little")
    assert parse_file_caps(three, None).rootid == 1000
    for bad in (b"", two[:-1], b"\1\0\0\4" + two[4:], b"\1\0\0\3" + two[4:]):
        with pytest.raises(EINVAL):
            parse_file_caps(bad, None)
