# SPDX-License-Identifier: Apache-2.0
"""Programs that take core dumps: kernel.core_pattern with a pipe. core(5)"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import pygos

pytestmark = pytest.mark.boots
CRASH = "sh -c 'kill -SEGV $$' 2> /dev/null; echo status $?\n"


@pytest.fixture
def machine() -> Iterator[pygos.Machine]:
    with pygos.Machine(memory="256m", hostname="crashes", user="0") as machine:
        yield machine


def run(machine: pygos.Machine, script: str) -> list[str]:
    """What a script prints; it has the run of /tmp."""
    result = machine.run(["bash", "-c", "cd /tmp; exec 2> /dev/null\n" + script])
    return result.stdout.decode().splitlines()


def helper(text: str, *words: str, limit: int = 1) -> str:
    """Lines of a script that make a helper with this text the taker of dumps."""
    pattern = " ".join(["|/tmp/helper", *words])
    return (
        "rm -f taken done; cat > helper <<'END'\n#!/bin/bash\n" + text + "\nEND\nchmod +x helper\n"
        f"echo '{pattern}' > /proc/sys/kernel/core_pattern\n"
        f"echo {limit} > /proc/sys/kernel/core_pipe_limit\n"
    )


def test_the_dump_is_the_helpers_input(machine: pygos.Machine) -> None:
    script = helper("cat > /tmp/taken; head -c 4 /tmp/taken | od -An -c > /tmp/done")
    script += CRASH + "cat done; head -c 18 taken | tail -c 2 | od -An -tu1"
    assert run(machine, script) == [
        "status 139", " 177   E   L   F", "   4   0",
    ]  # fmt: skip


def test_the_words_of_the_pattern(machine: pygos.Machine) -> None:
    text = 'printf "%s\\n" "$@" > /tmp/done; cat > /dev/null'
    words = ["%%", "%s", "%u:%g", "%e", "%E", "%f", "%h", "%d", "%c", "%p=%P", "a b", "%q|"]
    printed = run(machine, helper(text, *words) + CRASH + "cat done")
    pid = printed[10].split("=")[0]
    assert printed == [
        "status 139", "%", "11", "0:0", "sh", "!usr!bin!dash", "dash", "crashes", "1", "0",
        f"{pid}={pid}", "a", "b", "|",
    ]  # fmt: skip


def test_helpers_run_as_children_of_init_with_nothing_but_the_dump(
    machine: pygos.Machine,
) -> None:
    text = (
        "exec > /tmp/done; readlink /proc/$$/cwd; echo $PPID; id -u\n"
        "ls /proc/$$/fd | tr '\\n' ' '; ulimit -c; wc -c < /proc/$$/environ; cat > /dev/null"
    )
    printed = run(machine, helper(text) + "ulimit -c 1000\n" + CRASH + "cat done")
    assert printed[:4] == ["status 139", "/", "1", "0"]
    assert printed[4].split()[:2] == ["0", "1"]
    assert printed[4].split()[-1] == "0"  # a limit of one byte is no block
    assert printed[5] == "0"


def test_the_process_is_there_while_its_dump_is_read(machine: pygos.Machine) -> None:
    text = (
        "exec >> /tmp/done; grep -E '^(State|CoreDumping)' /proc/$1/status; cat /proc/$1/comm\n"
        "cat > /dev/null; sleep 0.1; echo at last"
    )
    assert run(machine, helper(text, "%P") + CRASH + "cat done") == [
        "status 139", "State:\tD (disk sleep)", "CoreDumping:\t1", "sh", "at last",
    ]  # fmt: skip


def test_a_dump_that_nobody_reads_can_be_killed(machine: pygos.Machine) -> None:
    script = helper("sleep 100", limit=0) + (
        "sh -c 'kill -SEGV $$' & until grep -q '^State:.D' /proc/$!/status; do :; done\n"
        "kill -KILL $!; wait $!; echo $?"
    )
    assert run(machine, script) == ["137"]


def test_helpers_that_are_not_there_or_crash_leave_no_core(machine: pygos.Machine) -> None:
    none = "echo '|/nowhere %p' > /proc/sys/kernel/core_pattern\n" + CRASH
    assert run(machine, none) == ["status 139"]
    assert "pipe failed" in machine.dmesg()
    assert run(machine, helper("kill -SEGV $$") + CRASH) == ["status 139"]
    assert "has RLIMIT_CORE set to 1, aborting core" in machine.dmesg()


def test_names_of_files(machine: pygos.Machine) -> None:
    script = (
        "ulimit -c unlimited; rm -rf d; mkdir d; cd d\n"
        "for p in core 'c.%e.%s' '/tmp/d/full' 'dir/%e'; do\n"
        "echo \"$p\" > /proc/sys/kernel/core_pattern; sh -c 'kill -ABRT $$'; done\n"
        "echo core > /proc/sys/kernel/core_pattern; echo 1 > /proc/sys/kernel/core_uses_pid\n"
        "sh -c 'kill -ABRT $$'; ls | tr 0-9 N | sed 's/N\\+/N/'"
    )
    assert run(machine, script) == ["c.sh.N", "core", "core.N", "full"]


def test_threads_rest_while_they_are_dumped(machine: pygos.Machine) -> None:
    code = (
        "import os, threading\n"
        "def spin():\n    while True: pass\n"
        "for _ in range(3): threading.Thread(target=spin, daemon=True).start()\n"
        "os.abort()\n"
    )
    script = (
        "ulimit -c unlimited; echo core > /proc/sys/kernel/core_pattern; rm -rf core\n"
        "echo 0 > /proc/sys/kernel/core_uses_pid\n"
        f"python3 -c '{code}'; echo $?; readelf -n core | grep -c NT_PRSTATUS"
    )
    assert run(machine, script) == ["134", "4"]
