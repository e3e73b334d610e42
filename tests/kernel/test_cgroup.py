# SPDX-License-Identifier: Apache-2.0
"""Controllers of control groups, as programs in a machine meet them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

import pygos

pytestmark = pytest.mark.boots

_PRELUDE = """
cd /sys/fs/cgroup
echo "+cpuset +cpu +memory +pids" >cgroup.subtree_control
rmdir t 2>/dev/null
mkdir t
"""


def eat(size: str) -> str:
    """A command that takes that much anonymous memory (a number and M) and writes to it."""
    return f'perl -e "\\$n = {size[:-1]} << 20; \\$x = q(x) x \\$n"'


@pytest.fixture(scope="module")
def machine() -> Iterator[pygos.Machine]:
    with pygos.Machine(memory="256m", cpus=1, user="root") as machine:
        yield machine


def run(machine: pygos.Machine, script: str, timeout: float = 30) -> list[str]:
    """The lines that a script prints, run in /sys/fs/cgroup with an empty group t."""
    result = machine.run(["sh", "-c", _PRELUDE + script], timeout=timeout)
    return result.stdout.decode().splitlines()


def log(machine: pygos.Machine) -> str:
    return machine.dmesg()


# -- pids


def test_fork_is_refused_at_the_limit_and_the_log_says_so(machine: pygos.Machine) -> None:
    script = """
    echo 3 >t/pids.max
    (echo 0 >t/cgroup.procs; sleep 50 & sleep 50 & cat t/pids.current; sleep 50 &) 2>/dev/null
    cat t/pids.current t/pids.peak t/pids.events t/pids.events.local
    echo 1 >t/cgroup.kill
    """
    lines = run(machine, script)
    assert lines[-2:] == ["max 1", "max 1"]
    assert lines[-3] == "3"
    assert "cgroup: fork rejected by pids controller in /t" in log(machine)


def test_limits_of_groups_above_count_too(machine: pygos.Machine) -> None:
    script = """
    mkdir t/a; echo +pids >t/cgroup.subtree_control; echo 1 >t/pids.max
    (echo 0 >t/a/cgroup.procs; true | true) 2>/dev/null
    cat t/pids.events t/a/pids.events t/pids.events.local t/a/pids.max
    rmdir t/a
    """
    assert run(machine, script) == ["max 1", "max 0", "max 1", "max"]


def test_zombies_count_until_they_are_reaped(machine: pygos.Machine) -> None:
    script = """
    python3 - <<'EOF'
import os
pid = os.fork()
if not pid:
    open("t/cgroup.procs", "w").write("0")
    os._exit(0)
os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
print(open("t/pids.current").read().strip(), open("t/cgroup.procs").read())
os.waitpid(pid, 0)
print(open("t/pids.current").read().strip())
EOF
    """
    assert run(machine, script) == ["1 ", "0"]


def test_a_fork_bomb_stays_in_its_group_and_is_killed_at_once(machine: pygos.Machine) -> None:
    script = """
    echo 40 >t/pids.max
    (echo 0 >t/cgroup.procs; b() { b | b & }; b) 2>/dev/null &
    while [ "$(cat t/pids.peak)" -lt 40 ]; do sleep 0.02; done
    echo full; echo 1 >t/cgroup.kill; wait
    while grep -q "populated 1" t/cgroup.events; do sleep 0.02; done
    cat t/pids.peak t/cgroup.procs
    """
    assert run(machine, script) == ["full", "40"]


# -- memory


def test_a_memory_bomb_dies_alone(machine: pygos.Machine) -> None:
    script = f"""
    echo 20M >t/memory.max
    (echo 0 >t/cgroup.procs; {eat("60M")}; echo $?) 2>/dev/null
    grep oom t/memory.events; cat t/memory.peak
    """
    lines = run(machine, script)
    assert lines[0] == "137"
    assert lines[1:4] == ["oom 1", "oom_kill 1", "oom_group_kill 0"]
    assert int(lines[4]) <= 20 << 20
    text = log(machine)
    assert "memory: usage 20480kB, limit 20480kB" in text
    assert "constraint=CONSTRAINT_MEMCG" in text
    assert "oom_memcg=/t,task_memcg=/t,task=perl" in text
    assert "Memory cgroup out of memory: Killed process" in text


def test_what_fits_is_charged_and_given_back(machine: pygos.Machine) -> None:
    script = f"""
    echo 64M >t/memory.max
    (echo 0 >t/cgroup.procs; {eat("30M")}; echo $?)
    cat t/memory.peak; grep -w anon t/memory.stat; grep max t/memory.events
    """
    status, peak, anon, hits = run(machine, script)
    assert status == "0"
    assert 30 << 20 <= int(peak) <= 64 << 20
    assert (anon, hits) == ("anon 0", "max 0")


def test_page_cache_is_reclaimed_before_anybody_is_killed(machine: pygos.Machine) -> None:
    script = """
    echo 8M >t/memory.max
    (echo 0 >t/cgroup.procs; cat /usr/lib/x86_64-linux-gnu/*.so* | head -c 40000000 | wc -c)
    grep oom_kill t/memory.events; cat t/memory.peak
    """
    moved, killed, peak = run(machine, script)
    assert (moved, killed) == ("40000000", "oom_kill 0")
    assert int(peak) <= 8 << 20


def test_files_of_tmpfs_are_the_writers(machine: pygos.Machine) -> None:
    script = """
    mkdir -p /tmp/shm; mount -t tmpfs none /tmp/shm
    (echo 0 >t/cgroup.procs; head -c 5000000 /dev/zero >/tmp/shm/f)
    grep shmem t/memory.stat | head -1; rm /tmp/shm/f; grep shmem t/memory.stat | head -1
    umount /tmp/shm
    """
    pages = -(-5000000 // 4096)
    assert run(machine, script) == [f"shmem {pages * 4096}", "shmem 0"]


def test_a_group_can_die_as_a_whole(machine: pygos.Machine) -> None:
    script = f"""
    echo 20M >t/memory.max; echo 1 >t/memory.oom.group
    (echo 0 >t/cgroup.procs; sleep 100 & {eat("60M")}) 2>/dev/null
    cat t/cgroup.procs; grep oom t/memory.events
    """
    lines = run(machine, script)
    assert lines[-1] == "oom_group_kill 1"
    assert int(lines[-2].split()[1]) >= 2
    assert "Tasks in /t are going to be killed due to memory.oom.group set" in log(machine)


def test_the_limit_can_be_set_below_what_is_used(machine: pygos.Machine) -> None:
    script = """
    (echo 0 >t/cgroup.procs; exec perl -e '$n = 20 << 20; $x = q(x) x $n; sleep 100') 2>/dev/null &
    while [ "$(cat t/memory.current)" -lt 20000000 ]; do sleep 0.05; done
    echo 1M >t/memory.max
    grep -c "oom_kill [1-9]" t/memory.events; echo 1 >t/cgroup.kill; wait
    """
    assert run(machine, script) == ["1"]


def test_a_peak_can_begin_anew_for_one_reader(machine: pygos.Machine) -> None:
    script = f"""
    (echo 0 >t/cgroup.procs; {eat("20M")})
    python3 -c 'import os
fd = os.open("t/memory.peak", os.O_RDWR)
os.write(fd, b"reset")
print(int(os.pread(fd, 99, 0)))'
    cat t/memory.peak
    """
    mine, all_time = map(int, run(machine, script))
    assert mine < 5 << 20 < 20 << 20 <= all_time


def test_memory_can_be_asked_back() -> None:
    script = """
    (echo 0 >t/cgroup.procs; head -c 6000000 /usr/bin/python3.11 >/dev/null)
    echo 1M >t/memory.reclaim && echo ok; echo 1G >t/memory.reclaim || echo no
    """
    with pygos.Machine(memory="128m", user="root") as machine:
        assert run(machine, script) == ["ok", "no"]


def test_kept_frames_count_above_when_their_group_is_gone(machine: pygos.Machine) -> None:
    script = """
    mkdir -p /tmp/shm; mount -t tmpfs none /tmp/shm
    mkdir t/a; echo +memory >t/cgroup.subtree_control
    (echo 0 >t/a/cgroup.procs; head -c 4096000 /dev/zero >/tmp/shm/f)
    rmdir t/a; grep -w ^shmem t/memory.stat; rm /tmp/shm/f; grep -w ^shmem t/memory.stat
    umount /tmp/shm
    """
    assert run(machine, script) == ["shmem 4096000", "shmem 0"]


def test_who_is_over_the_high_mark_is_slowed_down(machine: pygos.Machine) -> None:
    script = f"""
    echo 10M >t/memory.high
    (echo 0 >t/cgroup.procs; exec timeout 1 sh -c '{eat("40M")}')
    echo $?; cat t/memory.peak; grep -c "high [1-9]" t/memory.events
    """
    status, peak, high = run(machine, script)
    assert (status, high) == ("124", "1")
    assert int(peak) < 20 << 20


def test_protected_page_cache_stays() -> None:
    script = """
    echo 10M >t/memory.low
    (echo 0 >t/cgroup.procs; cat /usr/bin/python3.11 >/dev/null)
    cat /usr/lib/x86_64-linux-gnu/*.so* 2>/dev/null | head -c 100000000 >/dev/null
    grep inactive_file t/memory.stat
    """
    with pygos.Machine(memory="64m", user="root") as machine:
        assert int(run(machine, script)[0].split()[1]) > 4 << 20


# -- cpu


def test_shares(machine: pygos.Machine) -> None:
    script = """
    mkdir t/a t/b; echo +cpu >t/cgroup.subtree_control; echo 300 >t/b/cpu.weight
    for i in a b; do (echo 0 >t/$i/cgroup.procs; while :; do :; done) & done
    sleep 0.1; grep -h usage t/*/cpu.stat; sleep 1; grep -h usage t/*/cpu.stat
    echo 1 >t/cgroup.kill; wait; rmdir t/a t/b
    """
    one, three, later_one, later_three = [int(line.split()[1]) for line in run(machine, script)]
    assert 2.2 < (later_three - three) / (later_one - one) < 4


def test_a_quota_of_a_fifth(machine: pygos.Machine) -> None:
    script = """
    echo "20000 100000" >t/cpu.max
    (echo 0 >t/cgroup.procs; exec timeout 1 sh -c 'while :; do :; done')
    cat t/cpu.stat
    """
    stat = dict(line.split() for line in run(machine, script))
    assert int(stat["nr_throttled"]) >= 5
    # A fifth is four times as long throttled as running.
    assert int(stat["throttled_usec"]) > 2 * int(stat["usage_usec"]) > 200_000


def test_values_of_the_cpu_controller(machine: pygos.Machine) -> None:
    script = """
    cat t/cpu.weight t/cpu.max t/cpu.max.burst t/cpu.idle t/cpu.weight.nice
    echo 10 >t/cpu.weight.nice; cat t/cpu.weight
    for w in 0 10001 x; do echo $w >t/cpu.weight || echo bad; done 2>/dev/null
    for m in "500 100000" "20000 500" "1 2 3" "-1"; do echo $m >t/cpu.max || echo bad; done 2>/dev/null
    echo 50000 >t/cpu.max; cat t/cpu.max; echo 60000 >t/cpu.max.burst || echo bad; echo max >t/cpu.max
    cat t/cpu.max; echo 1 >t/cpu.idle; cat t/cpu.weight; echo 5 >t/cpu.weight || echo bad
    """  # noqa: E501
    assert run(machine, script) == [
        "100", "max 100000", "0", "0", "0", "11", *["bad"] * 7, "50000 100000", "bad",
        "max 100000", "0", "bad",
    ]  # fmt: skip


# -- cpuset


def test_cpuset_is_the_affinity() -> None:
    script = """
    echo 1 >t/cpuset.cpus; cat t/cpuset.cpus.effective t/cpuset.mems.effective
    echo 0-1 >t/cpuset.cpus; (echo 0 >t/cgroup.procs; taskset 1 sh -c "nproc; nproc")
    echo 1 >t/cpuset.cpus; (echo 0 >t/cgroup.procs; nproc; taskset 3 nproc
        taskset 1 true || echo none; cat /proc/self/cpuset)
    nproc; echo 7 >t/cpuset.cpus || echo bad
    """
    with pygos.Machine(memory="128m", cpus=2, user="root") as machine:
        assert run(machine, script) == ["1", "0", "1", "1", "1", "1", "none", "/t", "2", "bad"]


# -- namespaces


def test_a_namespace_hides_what_is_above(machine: pygos.Machine) -> None:
    script = """
    mkdir t/in
    (echo 0 >t/in/cgroup.procs; exec unshare -C sh -c '
        cat /proc/self/cgroup; echo $$ >/sys/fs/cgroup/t/cgroup.procs || echo refused
        cat /proc/1/cgroup; echo 5 >/sys/fs/cgroup/t/in/pids.max || echo "not my own"
        mkdir /tmp/cg; mount -t cgroup2 none /tmp/cg; ls /tmp/cg | grep -c events; umount /tmp/cg
    ') 2>/dev/null
    rmdir t/in
    """
    assert run(machine, script) == ["0::/", "refused", "0::/../..", "not my own", "1"]


# -- many


def test_ten_thousand_groups(machine: pygos.Machine) -> None:
    script = """
    python3 - <<'EOF'
import os
for i in range(10000):
    os.mkdir(f"t/{i}")
print(len(os.listdir("t")) > 10000, open("t/cgroup.stat").readline().strip())
open("t/cgroup.subtree_control", "w").write("+pids +memory")
open("t/cgroup.freeze", "w").write("1")
print(open("t/9999/cgroup.events").read().split()[3], open("t/cgroup.events").read().split()[3])
for i in range(10000):
    os.rmdir(f"t/{i}")
print(open("t/cgroup.stat").readline().strip())
EOF
    """
    expected = ["True nr_descendants 10000", "1 1", "nr_descendants 0"]
    assert run(machine, script, timeout=60) == expected


def test_deep_nesting(machine: pygos.Machine) -> None:
    script = """
    python3 - <<'EOF'
import os
os.chdir("t")
for i in range(1000):
    os.mkdir("d")
    os.chdir("d")
open("cgroup.procs", "w").write("0")
print(len(open("/proc/self/cgroup").read()))
print(open("/sys/fs/cgroup/t/cgroup.events").read().split()[1])
open("/sys/fs/cgroup/t/cpu.stat").read()
open("/sys/fs/cgroup/cgroup.procs", "w").write("0")
for i in range(1000):
    os.chdir("..")
    os.rmdir("d")
EOF
    """
    assert run(machine, script) == [str(len("0::/t\n") + 2000), "1"]


def test_the_accounts_balance(machine: pygos.Machine) -> None:
    script = f"""
    mkdir t/a t/a/b t/c; echo +memory >t/cgroup.subtree_control; echo +memory >t/a/cgroup.subtree_control
    echo 12M >t/memory.max; mkdir -p /tmp/shm; mount -t tmpfs none /tmp/shm
    for i in 1 2 3; do
        (echo 0 >t/a/b/cgroup.procs; {eat("5M")}; head -c 1M /dev/zero >/tmp/shm/$i) &
        (echo 0 >t/c/cgroup.procs; head -c 3M /usr/bin/python3.11 | tail | wc -c; cat /tmp/shm/*) &
    done >/dev/null 2>&1; wait
    (echo 0 >t/c/cgroup.procs; exec sleep 10) & rmdir t/a/b
    """  # noqa: E501
    run(machine, script)
    kernel = machine._kernel
    assert kernel is not None
    zone = kernel.zone
    assert zone.page_memcg is not None
    words = Counter(word for word in zone.page_memcg if word)
    assert all(zone.refcount[pfn] for pfn, word in enumerate(zone.page_memcg) if word)
    for memcg in zone.memcgs.values():
        below = {number for number, one in zone.memcgs.items() if one.within(memcg)}
        kinds = [
            sum(n for w, n in words.items() if w >> 2 in below and w & 3 == k) for k in range(3)
        ]
        assert memcg.stat == kinds
        assert memcg.usage == sum(kinds)


# -- the machine's own limits


def test_the_owner_limits_the_machine() -> None:
    with pygos.Machine(memory="128m", pids=6, cpus=0.5, user="root") as machine:
        script = "for i in 1 2 3 4 5 6 7 8; do sleep 20 & done"
        result = machine.run(["sh", "-c", script], timeout=20)
        assert b"Cannot fork" in result.stderr
        assert machine.run(["nproc"]).stdout == b"1\n"
        assert "fork rejected by pids controller in /" in machine.dmesg()
        assert "the machine is limited to 6 tasks and 0.50 CPUs" in machine.dmesg()
