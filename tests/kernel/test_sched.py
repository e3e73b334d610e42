# SPDX-License-Identifier: Apache-2.0
"""Who gets how much CPU time and when, in virtual time."""

from __future__ import annotations

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from pygos.include.uapi.sched import SCHED_BATCH, SCHED_FIFO, SCHED_IDLE, SCHED_RR, SchedAttr
from pygos.kernel.sched.group import TaskGroup, detach
from pygos.kernel.sched.idle import cpu_times
from pygos.kernel.sched.policy import set_scheduler
from pygos.kernel.sched.sched import WEIGHTS
from tests.support.simsched import MS, Sim

SEC = 1000 * MS


def shares(sim: Sim, *tasks: object) -> list[float]:
    total = sum(sim.ran(task) for task in tasks)  # type: ignore[arg-type]
    return [sim.ran(task) / total for task in tasks]  # type: ignore[arg-type]


def test_equals_share_one_cpu_equally() -> None:
    sim = Sim()
    tasks = [sim.guest() for _ in range(5)]
    sim.run(10 * SEC)
    assert all(abs(share - 0.2) < 0.005 for share in shares(sim, *tasks))


def test_five_steps_of_nice_are_a_factor_of_three() -> None:
    sim = Sim()
    normal, nice = sim.guest(), sim.guest(nice=5)
    sim.run(10 * SEC)
    assert sim.ran(normal) / sim.ran(nice) == pytest.approx(1024 / 335, rel=0.02)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-20, 19), min_size=2, max_size=6))
def test_shares_follow_the_weights(nices: list[int]) -> None:
    sim = Sim()
    tasks = [sim.guest(nice=nice) for nice in nices]
    span = 60 * SEC
    sim.run(span)
    load = sum(WEIGHTS[nice + 20] for nice in nices)
    for task, nice in zip(tasks, nices, strict=True):
        fair = span * WEIGHTS[nice + 20] / load
        # Nobody is ever further off than its lag may be: a tick or two of its own, and
        # what a tick of the others means for it.
        assert abs(sim.ran(task) - fair) < 60 * MS * len(nices)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 4), st.lists(st.integers(-5, 5), min_size=1, max_size=9))
def test_several_cpus_are_never_idle_while_somebody_waits(cpus: int, nices: list[int]) -> None:
    sim = Sim(cpus)
    tasks = [sim.guest(nice=nice) for nice in nices]
    sim.run(5 * SEC)
    total = sum(sim.ran(task) for task in tasks)
    assert total == pytest.approx(min(cpus, len(tasks)) * 5 * SEC, rel=0.001)


def test_three_equals_on_two_cpus_get_two_thirds_each() -> None:
    sim = Sim(2)
    tasks = [sim.guest() for _ in range(3)]
    sim.run(10 * SEC)
    for task in tasks:
        assert sim.ran(task) / (10 * SEC) == pytest.approx(2 / 3, rel=0.02)


def test_one_heavier_than_a_cpu_leaves_the_other_cpu_to_the_rest_fairly() -> None:
    sim = Sim(2)
    heavy, normal, nice = sim.guest(nice=-20), sim.guest(), sim.guest(nice=5)
    sim.run(10 * SEC)
    assert sim.ran(heavy) > 9.9 * SEC
    assert sim.ran(normal) / sim.ran(nice) == pytest.approx(1024 / 335, rel=0.05)
    late = sim.guest()
    sim.run(3 * SEC)
    assert sim.ran(late) < 1.6 * SEC  # it isn't measured by the heavy one


def test_pinned_tasks_share_their_cpu_by_weight_whatever_the_other_one_does() -> None:
    sim = Sim(2)
    alone = sim.guest(cpus_allowed=2)
    normal, nice = sim.guest(cpus_allowed=1), sim.guest(cpus_allowed=1, nice=5)
    sim.run(20 * SEC)
    assert sim.ran(alone) > 19.9 * SEC
    assert sim.ran(normal) / sim.ran(nice) == pytest.approx(1024 / 335, rel=0.1)


def test_a_task_that_was_alone_does_not_pay_for_it_afterwards() -> None:
    sim = Sim(2)
    first = sim.guest(cpus_allowed=2)
    for _ in range(2):
        sim.guest(cpus_allowed=1)
    sim.run(30 * SEC)
    before = sim.ran(first)
    sim.sched.set_affinity(first, 1)
    sim.run(3 * SEC)
    assert sim.ran(first) - before == pytest.approx(SEC, rel=0.15)


def test_a_sleeper_runs_soon_after_it_wakes() -> None:
    sim = Sim()
    sim.guest()
    sleeper = sim.guest(MS // 2, 20 * MS)
    sim.run(5 * SEC)
    waits = sim.latencies(sleeper)
    assert len(waits) > 200
    assert max(waits) <= 4 * MS


def test_a_sleeper_waits_a_few_slices_behind_many_that_compute() -> None:
    sim = Sim()
    for _ in range(8):
        sim.guest()
    sleeper = sim.guest(MS // 2, 50 * MS)
    sim.run(10 * SEC)
    waits = sorted(sim.latencies(sleeper))
    assert waits[len(waits) // 2] <= 6 * MS
    assert waits[-1] <= 30 * MS


def test_sleeping_gives_no_more_than_a_fair_share() -> None:
    sim = Sim()
    hog = sim.guest()
    # Would use 10 ms of each 11 if it could.
    greedy = sim.guest(10 * MS, MS)
    sim.run(20 * SEC)
    assert 0.42 < shares(sim, hog, greedy)[1] <= 0.515


def test_idle_tasks_get_what_is_left() -> None:
    sim = Sim()
    normal, idle = sim.guest(), sim.guest(policy=SCHED_IDLE)
    sim.run(20 * SEC)
    assert shares(sim, normal, idle)[1] == pytest.approx(3 / 1027, rel=0.7)


def test_a_batch_task_does_not_preempt() -> None:
    sim = Sim()
    sim.guest()
    batch = sim.guest(MS // 2, 50 * MS, policy=SCHED_BATCH)
    sim.run(5 * SEC)
    waits = sim.latencies(batch)
    assert max(waits) > 5 * MS


def test_a_shorter_slice_is_served_sooner_at_the_same_share() -> None:
    sim = Sim()
    for _ in range(4):
        sim.guest()
    short, usual = sim.guest(MS // 4, 20 * MS), sim.guest(MS // 4, 20 * MS)
    set_scheduler(short, short, 0, SchedAttr(sched_runtime=100_000))
    sim.run(10 * SEC)
    assert sum(sim.latencies(short)) < sum(sim.latencies(usual))


def test_fifo_keeps_its_cpu_and_rr_shares_it() -> None:
    sim = Sim()
    sim.machine.sysctl["kernel.sched_rt_runtime_us"] = -1
    first = sim.guest(policy=SCHED_FIFO, rt_priority=5)
    second = sim.guest(policy=SCHED_FIFO, rt_priority=5)
    sim.run(2 * SEC)
    assert (sim.ran(first), sim.ran(second)) == (2 * SEC, 0)
    one, two = [sim.guest(policy=SCHED_RR, rt_priority=9) for _ in range(2)]
    sim.run(2 * SEC)
    assert sim.ran(first) == 2 * SEC
    assert sim.ran(one) == pytest.approx(sim.ran(two), abs=101 * MS)


def test_real_time_loops_leave_five_percent_to_the_others() -> None:
    sim = Sim()
    loop, shell = sim.guest(policy=SCHED_FIFO, rt_priority=50), sim.guest()
    sim.run(10 * SEC)
    assert shares(sim, loop, shell)[1] == pytest.approx(0.05, abs=0.02)


def test_real_time_loops_get_everything_if_nobody_else_wants_it() -> None:
    sim = Sim()
    loop = sim.guest(policy=SCHED_FIFO, rt_priority=50)
    sim.run(5 * SEC)
    assert sim.ran(loop) == 5 * SEC


def test_a_deadline_task_gets_its_runtime_in_each_period() -> None:
    sim = Sim()
    hog, loop = sim.guest(), sim.guest()
    attr = SchedAttr(sched_runtime=3 * MS, sched_deadline=10 * MS, sched_period=10 * MS)
    set_scheduler(loop, loop, 6, attr)
    sim.run(2 * SEC)
    assert sim.ran(loop) / (2 * SEC) == pytest.approx(0.3, abs=0.02)
    assert sim.ran(hog) / (2 * SEC) == pytest.approx(0.7, abs=0.02)


def test_deadline_tasks_within_their_bandwidth_meet_their_deadlines() -> None:
    sim = Sim()
    sim.guest()
    tasks = []
    for runtime, period in ((2, 10), (3, 15), (5, 40)):
        task = sim.guest((runtime - 1) * MS, (period - runtime + 1) * MS)
        attr = SchedAttr(sched_runtime=runtime * MS, sched_deadline=period * MS)
        set_scheduler(task, task, 6, attr)
        tasks.append((task, period))
    sim.run(5 * SEC)
    for task, period in tasks:
        assert max(sim.latencies(task)) < period * MS


# -- groups


def test_groups_share_by_weight_however_many_tasks_they_have() -> None:
    sim = Sim()
    one, two = TaskGroup(sim.machine), TaskGroup(sim.machine)
    two.set_weight(2048)
    few = [sim.guest(sched_group=one) for _ in range(1)]
    many = [sim.guest(sched_group=two) for _ in range(5)]
    sim.run(20 * SEC)
    mine, theirs = sum(map(sim.ran, few)), sum(map(sim.ran, many))
    assert theirs / mine == pytest.approx(2, rel=0.03)
    assert sum(one.cpu_time()) == mine
    assert sum(two.cpu_time()) == theirs


def test_groups_nest() -> None:
    sim = Sim()
    top = TaskGroup(sim.machine)
    inner, other = TaskGroup(sim.machine, top), TaskGroup(sim.machine, top)
    root = sim.guest()
    a, b, c = (sim.guest(sched_group=group) for group in (inner, other, other))
    sim.run(40 * SEC)
    expected = (0.5, 0.25, 0.125, 0.125)
    for share, fair in zip(shares(sim, root, a, b, c), expected, strict=True):
        assert share == pytest.approx(fair, rel=0.06)
    assert sum(top.cpu_time()) == sum(map(sim.ran, (a, b, c)))


@pytest.mark.parametrize("cpus", [1, 2])
def test_a_quota_is_kept_and_not_wasted(cpus: int) -> None:
    sim = Sim(cpus)
    group = TaskGroup(sim.machine)
    group.set_bandwidth(20 * MS, 100 * MS)
    limited = [sim.guest(sched_group=group) for _ in range(cpus + 1)]
    free = sim.guest()
    sim.run(10 * SEC)
    assert sum(map(sim.ran, limited)) == pytest.approx(2 * SEC, rel=0.03)
    assert sim.ran(free) >= (7.9 if cpus == 1 else 9.9) * SEC
    assert group.nr_throttled >= 98
    assert group.nr_periods >= 98
    assert group.throttled_time() > 5 * SEC / cpus
    group.set_bandwidth(None, 100 * MS)
    before = sum(map(sim.ran, limited))
    sim.run(4 * SEC)
    assert sum(map(sim.ran, limited)) - before > 1.9 * SEC


def test_a_quota_of_a_parent_binds_its_children() -> None:
    sim = Sim()
    parent = TaskGroup(sim.machine)
    child = TaskGroup(sim.machine, parent)
    parent.set_bandwidth(10 * MS, 50 * MS)
    task = sim.guest(sched_group=child)
    sim.run(5 * SEC)
    assert sim.ran(task) == pytest.approx(SEC, rel=0.05)


def test_tasks_move_between_groups_while_they_run_and_wait() -> None:
    sim = Sim()
    group = TaskGroup(sim.machine)
    group.set_bandwidth(10 * MS, 100 * MS)
    one, two = sim.guest(), sim.guest()
    sim.run(SEC)
    group.attach(one)
    group.attach(two)
    before = sim.ran(one) + sim.ran(two)
    sim.run(2 * SEC)
    assert sim.ran(one) + sim.ran(two) - before == pytest.approx(0.2 * SEC, rel=0.15)
    detach(one)
    before = sim.ran(one)
    sim.run(SEC)
    assert sim.ran(one) - before > 0.85 * SEC
    detach(two)
    assert group.cfs.nr == group.cfs.h_waiting == 0
    group.destroy()
    sim.run(SEC)


@settings(max_examples=10, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(st.data())
def test_any_mix_keeps_the_books(data: st.DataObject) -> None:
    """Sleepers, loops, groups, quotas, moves: sums stay right and nobody is forgotten."""
    cpus = data.draw(st.integers(1, 3))
    sim = Sim(cpus)
    groups: list[TaskGroup | None] = [None]
    for _ in range(data.draw(st.integers(0, 3))):
        groups.append(TaskGroup(sim.machine, data.draw(st.sampled_from(groups))))
    tasks = []
    for _ in range(data.draw(st.integers(1, 8))):
        work = data.draw(st.sampled_from([None, MS, 3 * MS, 30 * MS]))
        rest = data.draw(st.sampled_from([1000, 2 * MS, 9 * MS]))
        group, nice = data.draw(st.sampled_from(groups)), data.draw(st.integers(-8, 8))
        tasks.append(sim.guest(work, rest, nice=nice, sched_group=group))
    for _ in range(data.draw(st.integers(0, 6))):
        sim.run(data.draw(st.integers(1, 100)) * MS)
        task, group = data.draw(st.sampled_from(tasks)), data.draw(st.sampled_from(groups))
        what = data.draw(st.integers(0, 4))
        if what == 0:
            sim.sched.change_group(task, group)
        elif what == 1 and group is not None:
            quota = data.draw(st.sampled_from([None, 5 * MS, 40 * MS]))
            group.set_bandwidth(quota, 50 * MS)
        elif what == 2 and group is not None:
            group.set_weight(data.draw(st.integers(200, 5000)))
        elif what == 3:
            sim.sched.set_nice(task, data.draw(st.integers(-8, 8)))
        else:
            sim.sched.set_affinity(task, data.draw(st.integers(1, (1 << cpus) - 1)))
    sim.run(2 * SEC)
    _check_books(sim)
    for group in groups[1:]:
        assert group is not None
        group.set_bandwidth(None, 50 * MS)
    before = {task: sim.ran(task) for task in tasks}
    sim.run(10 * SEC)
    _check_books(sim)
    for task in tasks:
        assert sim.ran(task) > before[task], _state(sim)


def _state(sim: Sim) -> str:
    """What a failure should tell."""
    lines = []
    for task in sim.machine.pids.tasks.values():
        entity, cpu = task.se, task.cpu
        lines.append(
            f"{task.pid}: nice {task.nice} cpus {task.cpus_allowed:#x} on {task.cpu_nr} "
            f"rq {task.on_rq} cpu {task.on_cpu} ran {sim.ran(task)} of {cpu.work}/{cpu.rest} "  # type: ignore[union-attr]
            f"v {entity.vruntime} average {entity.cfs.average()} load {entity.cfs.load} "
            f"group {id(task.sched_group) & 0xFFFF:x}"
        )
    return "\n".join(lines)


def _check_books(sim: Sim) -> None:
    sched = sim.sched
    for task in sim.machine.pids.tasks.values():
        flight = sim.clock.now - task.last_run if task.on_cpu else 0
        assert task.utime + flight == sim.ran(task)
        if task.on_cpu and not task.need_resched:
            assert (task.cpus_allowed or -1) >> task.cpu_nr & 1
    root = sched.fair.root
    queues = [root]
    for task in sim.machine.pids.tasks.values():
        group = task.sched_group
        while group is not None:
            queues.append(group.cfs)
            group = group.parent
    assert sched.waiting - len(sched.staged) == sched.fair.waiting == root.h_waiting
    members: dict[int, list[object]] = {}
    for task in sim.machine.pids.tasks.values():
        entity = task.se
        staged = any(task is other for other, _ in sched.staged)
        if task.on_cpu or staged:
            assert entity.present or task.sched_group is None  # or it has the CPU for itself
        else:
            assert entity.present == task.on_rq
        assert entity.waiting == (task.on_rq and not staged)
        members.setdefault(id(entity.cfs), []).append(entity)
    for group in {id(q): q.group for q in queues if q.group is not None}.values():
        members.setdefault(id(group.se.cfs), []).append(group.se)
        assert group.se.present == (group.cfs.nr > 0 and not group.throttled)
    for cfs in queues:
        present = [e for e in members.get(id(cfs), []) if e.present]  # type: ignore[attr-defined]
        assert cfs.nr == len(present)
        assert cfs.load == sum(e.weight for e in present)  # type: ignore[attr-defined]
        assert cfs.wsum == sum(e.weight * e.vruntime for e in present)  # type: ignore[attr-defined]
    busy = sum(sum(times[:3]) for times in cpu_times(sim.machine))
    assert busy == sum(map(sim.ran, sim.machine.pids.tasks.values()))
