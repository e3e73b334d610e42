# SPDX-License-Identifier: Apache-2.0
"""procfs and sysfs as programs read them."""

from __future__ import annotations

from typing import Any

import pytest

from pygos.fs.namespace import do_mount_internal
from pygos.fs.proc import ProcType
from pygos.fs.sysfs import SysfsType
from pygos.fs.tmpfs import TmpfsType
from pygos.include.errno import EACCES, EINVAL, EIO, ENOENT, EPERM
from pygos.include.linux.cred import Cred
from pygos.include.linux.mm_types import VM_READ, VM_WRITE
from pygos.include.linux.sched import SighandStruct, Task, TaskState
from pygos.include.uapi import fcntl as f
from pygos.kernel.sched.idle import CpuStat
from pygos.kernel.sysctl import default_sysctls
from pygos.mm.mmap import do_mmap
from tests.fs.box import Box
from tests.support.fakes import fake_task


class ProcBox(Box):
    """Pid 100 (a group leader with thread 101) looks at itself and at pid 200."""

    def __init__(self) -> None:
        super().__init__(TmpfsType())
        self.register(ProcType(), SysfsType())
        self.machine.sysctl = default_sysctls(4096)
        self.machine.nr_cpus = 2
        self.machine.sched.cpu_stats = [CpuStat(), CpuStat()]  # type: ignore[attr-defined]
        for name, kind in ((b"/proc", "proc"), (b"/sys", "sysfs")):
            self.mkdir(name)
            do_mount_internal(self.machine, kind, kind, self.path(name))
        self.dress(self.task, b"reader")
        thread = Task(self.machine, 101)
        thread.tgid, thread.group, thread.group_leader = 100, self.task.group, self.task
        thread.cred, thread.files, thread.mm = self.task.cred, self.task.files, self.task.mm
        self.dress(thread, b"worker")
        self.task.group.threads.append(thread)
        self.machine.pids.tasks[101] = thread
        self.other = fake_task(self.machine, 200)
        self.dress(self.other, b"ot)her \n")

    def dress(self, task: Task, comm: bytes) -> None:
        task.comm = comm
        task.sighand = SighandStruct()
        task.fs, task.nsproxy = self.task.fs, self.task.nsproxy
        task.real_parent = task.parent = self.task
        if len(task.group.rlim) < 16:
            task.group.rlim = self.task.group.rlim

    def text(self, name: bytes) -> str:
        return self.read(name).decode()


@pytest.fixture
def box() -> ProcBox:
    return ProcBox()


def test_listing_has_processes_but_not_threads(box: ProcBox) -> None:
    names = box.ls(b"/proc")
    assert {b"100", b"200", b"self", b"thread-self", b"meminfo", b"sys", b"mounts"} <= set(names)
    assert b"101" not in names
    assert box.ls(b"/proc/self/task") == [b"100", b"101"]
    assert b"stat" in box.ls(b"/proc/101")  # it can be looked up all the same


def test_self_is_the_reader(box: ProcBox) -> None:
    assert box.readlink(b"/proc/self") == b"100"
    assert box.readlink(b"/proc/thread-self") == b"100/task/100"
    assert box.text(b"/proc/self/comm") == "reader\n"
    assert box.text(b"/proc/self/task/101/comm") == "worker\n"


def test_names_die_with_the_process(box: ProcBox) -> None:
    assert box.exists(b"/proc/200/stat")
    file = box.open(b"/proc/200/status")
    del box.machine.pids.tasks[200]
    assert not box.exists(b"/proc/200")
    from pygos.include.errno import ESRCH

    with pytest.raises(ESRCH):
        box.pread(file)
    for name in (b"/proc/0100", b"/proc/0", b"/proc/-1", b"/proc/99999999999", b"/proc/x"):
        assert not box.exists(name)


def test_stat_has_52_fields(box: ProcBox) -> None:
    box.other.state = TaskState.INTERRUPTIBLE
    box.other.utime = 1_230_000_000
    line = box.read(b"/proc/200/stat")
    head, _, rest = line.rpartition(b") ")
    assert head == b"200 (ot)her \n"
    fields = rest.split()
    assert len(fields) == 50
    assert fields[0] == b"S"
    assert fields[11] == b"123"
    assert fields[17] == b"1"


def test_status(box: ProcBox) -> None:
    box.other.state = TaskState.INTERRUPTIBLE
    lines = dict(line.split(":\t", 1) for line in box.text(b"/proc/200/status").splitlines())
    assert lines["Name"] == "ot)her \\n"
    assert lines["State"] == "S (sleeping)"
    assert lines["Pid"] == "200"
    assert lines["PPid"] == "100"
    assert lines["Uid"] == "0\t0\t0\t0"
    assert lines["CapEff"] == "000001ffffffffff"
    assert lines["Threads"] == "1"
    assert lines["Cpus_allowed_list"] == "0-1"
    assert lines["VmRSS"].endswith(" kB")


def test_maps_and_mem(box: ProcBox) -> None:
    mm = box.task.mm
    assert mm is not None
    addr = do_mmap(mm, box.task, None, 0, 8192, VM_READ | VM_WRITE, 0x22, 0)
    mm.write(addr, b"hello")
    line = next(line for line in box.text(b"/proc/self/maps").splitlines() if f"{addr:x}" in line)
    assert line == f"{addr:x}-{addr + 8192:x} rw-p 00000000 00:00 0 "
    mem = box.open(b"/proc/self/mem", f.O_RDWR)
    assert box.pread(mem, 5, addr) == b"hello"
    assert box.pwrite(mem, b"J", addr) == 1
    assert mm.read(addr, 5) == b"Jello"
    with pytest.raises(EIO):
        box.pread(mem, 5, 4096)
    assert "Rss:                   8 kB" in box.text(b"/proc/self/smaps")
    assert "[rollup]" in box.text(b"/proc/self/smaps_rollup")


def test_descriptors(box: ProcBox) -> None:
    box.write(b"/file", b"data")
    file = box.open(b"/file", f.O_RDWR)
    box.task.files.fd[5] = file
    assert box.ls(b"/proc/self/fd") == [b"5"]
    assert box.readlink(b"/proc/self/fd/5") == b"/file"
    assert box.lstat(b"/proc/self/fd/5").mode == 0o120700
    assert box.read(b"/proc/self/fd/5") == b"data"
    assert box.text(b"/proc/self/fdinfo/5").startswith("pos:\t0\nflags:\t0100002\nmnt_id:\t")
    box.unlink(b"/file")
    assert box.readlink(b"/proc/self/fd/5") == b"/file (deleted)"
    assert box.read(b"/proc/self/fd/5") == b"data"
    del box.task.files.fd[5]
    assert not box.exists(b"/proc/self/fd/5")


def test_others_may_not_look(box: ProcBox) -> None:
    box.other.files.fd[3] = box.open(b"/proc/uptime")
    box.become(1000, 1000)
    for name in (b"environ", b"maps", b"auxv", b"mem", b"io", b"smaps", b"personality"):
        with pytest.raises(EACCES):
            box.open(b"/proc/200/" + name)
    for name in (b"cwd", b"root", b"exe", b"fd/3"):
        with pytest.raises(EACCES):
            box.readlink(b"/proc/200/" + name)
    with pytest.raises(EACCES):
        box.ls(b"/proc/200/fd")
    assert box.text(b"/proc/200/stat").startswith("200 (")
    assert box.lstat(b"/proc/200").uid == 0


def test_a_program_that_gave_up_privileges_hides_itself(box: ProcBox) -> None:
    box.other.cred = Cred(1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, (), 0, 0, 0)
    box.become(1000, 1000)
    box.open(b"/proc/200/maps")
    box.other.mm.dumpable = 0  # type: ignore[union-attr]
    with pytest.raises(EACCES):
        box.open(b"/proc/200/maps")
    assert box.lstat(b"/proc/200").uid == 1000
    assert box.lstat(b"/proc/200/environ").uid == 0


def test_names_and_scores_can_be_set(box: ProcBox) -> None:
    box.write(b"/proc/self/comm", b"a name that is too long\n")
    assert box.task.comm == b"a name that is "
    with pytest.raises(EINVAL):
        box.write(b"/proc/200/comm", b"x")
    box.write(b"/proc/self/oom_score_adj", b"500\n")
    assert box.text(b"/proc/self/oom_score_adj") == "500\n"
    with pytest.raises(EINVAL):
        box.write(b"/proc/self/oom_score_adj", b"1001")
    box.become(0, 0)
    box.task.cred = Cred(cap_effective=0)
    with pytest.raises(EACCES):
        box.write(b"/proc/self/oom_score_adj", b"0")


def test_machine_files(box: ProcBox) -> None:
    meminfo = dict(line.split(":", 1) for line in box.text(b"/proc/meminfo").splitlines())
    assert meminfo["MemTotal"].split() == ["16384", "kB"]
    assert int(meminfo["MemFree"].split()[0]) == box.machine.zone.nr_free * 4
    up, idle = map(float, box.text(b"/proc/uptime").split())
    assert up > 0
    assert idle >= 0
    assert box.text(b"/proc/loadavg") == "0.00 0.00 0.00 0/3 0\n"
    stat = box.text(b"/proc/stat")
    assert stat.startswith("cpu  ")
    assert "\ncpu1 " in stat
    assert "\nbtime " in stat
    assert box.text(b"/proc/version").startswith("Linux version 6.16.0-pygos ")
    assert "nodev\ttmpfs\n" in box.text(b"/proc/filesystems")
    assert box.text(b"/proc/mounts").startswith("none / tmpfs rw,relatime")
    assert " - proc proc rw" in box.text(b"/proc/self/mountinfo")
    assert box.text(b"/proc/cpuinfo").count("processor\t: ") == 2
    assert box.read(b"/proc/partitions") == b""
    for name in box.ls(b"/proc"):
        mode = box.lstat(b"/proc/" + name).mode
        if mode & 0o170000 == 0o100000 and mode & 0o400 and name != b"kmsg":
            box.read(b"/proc/" + name)


def test_every_file_of_a_process_can_be_read(box: ProcBox) -> None:
    for top in (b"/proc/self", b"/proc/200", b"/proc/self/task/101"):
        for name in box.ls(top):
            mode = box.lstat(top + b"/" + name).mode
            if mode & 0o170400 == 0o100400 and name != b"mem":
                box.read(top + b"/" + name)
            elif mode & 0o170000 == 0o120000 and name != b"exe":
                box.readlink(top + b"/" + name)
    with pytest.raises(ENOENT):
        box.readlink(b"/proc/self/exe")


def test_zombies_have_no_memory(box: ProcBox) -> None:
    box.other.mm = None
    box.other.state = TaskState.ZOMBIE
    assert box.text(b"/proc/200/stat").split(") ")[-1][0] == "Z"
    assert box.read(b"/proc/200/cmdline") == b""
    assert box.read(b"/proc/200/maps") == b""
    assert "State:\tZ (zombie)" in box.text(b"/proc/200/status")
    with pytest.raises(ENOENT):
        box.readlink(b"/proc/200/cwd")


def test_text_is_made_once_and_again_from_the_start(box: ProcBox) -> None:
    file = box.open(b"/proc/self/comm")
    assert box.pread(file, 3) == b"rea"
    box.task.comm = b"changed"
    assert box.pread(file, 10, 3) == b"der\n"
    assert box.pread(file, 20) == b"changed\n"


def test_limits(box: ProcBox) -> None:
    lines = box.text(b"/proc/self/limits").splitlines()
    assert len(lines) == 17
    assert lines[0] == (
        "Limit                     Soft Limit           Hard Limit           Units     "
    )
    assert lines[4].split() == ["Max", "stack", "size", "8388608", "unlimited", "bytes"]


def test_namespaces(box: ProcBox) -> None:
    assert box.readlink(b"/proc/self/ns/uts") == b"uts:[4026531838]"
    assert box.stat(b"/proc/self/ns/uts").ino == 4026531838
    assert box.readlink(b"/proc/200/ns/mnt") == box.readlink(b"/proc/self/ns/mnt")


def test_sysctls(box: ProcBox) -> None:
    assert box.text(b"/proc/sys/kernel/ostype") == "Linux\n"
    assert box.text(b"/proc/sys/kernel/pid_max") == "32768\n"
    assert box.text(b"/proc/sys/kernel/printk") == "4\t4\t1\t7\n"
    assert b"epoll" in box.ls(b"/proc/sys/fs")
    box.write(b"/proc/sys/kernel/hostname", b"newname\n")
    assert box.task.nsproxy.uts.nodename == "newname"
    box.write(b"/proc/sys/vm/overcommit_memory", b" 1 \n")
    assert box.machine.sysctl["vm.overcommit_memory"] == 1
    for value in (b"3", b"x", b"", b"1e3", b"-1"):
        with pytest.raises(EINVAL):
            box.write(b"/proc/sys/vm/overcommit_memory", value + b"\n")
    with pytest.raises(EACCES):  # even for root
        box.write(b"/proc/sys/kernel/ostype", b"BeOS")
    uuid = box.text(b"/proc/sys/kernel/random/uuid").strip()
    assert [len(part) for part in uuid.split("-")] == [8, 4, 4, 4, 12]
    assert box.read(b"/proc/sys/kernel/random/boot_id") == box.read(
        b"/proc/sys/kernel/random/boot_id"
    )
    box.become(1000, 1000)
    with pytest.raises(EACCES):
        box.write(b"/proc/sys/kernel/hostname", b"mine")


def test_nothing_can_be_made_or_removed(box: ProcBox) -> None:
    for change in (
        lambda: box.unlink(b"/proc/uptime"),
        lambda: box.rmdir(b"/proc/sys"),
        lambda: box.rename(b"/proc/uptime", b"/proc/version"),
        lambda: box.chmod(b"/proc/uptime", 0o777),
    ):
        with pytest.raises((EPERM, EACCES)):
            change()
    with pytest.raises(ENOENT):  # as on Linux: no name is ever looked up for making
        box.mkdir(b"/proc/dir")
    with pytest.raises((EACCES, ENOENT)):
        box.open(b"/proc/newfile", f.O_WRONLY | f.O_CREAT)


def test_sysfs_agrees_on_the_number_of_cpus(box: ProcBox) -> None:
    for name in (b"online", b"possible", b"present"):
        assert box.text(b"/sys/devices/system/cpu/" + name) == "0-1\n"
    names = box.ls(b"/sys/devices/system/cpu")
    assert {b"cpu0", b"cpu1"} <= set(names)
    assert not box.exists(b"/sys/devices/system/cpu/cpu2")
    topology = b"/sys/devices/system/cpu/cpu1/topology/"
    assert box.text(topology + b"core_id") == "1\n"
    assert box.text(topology + b"core_siblings_list") == "0-1\n"
    assert box.ls(b"/sys/fs/cgroup") == []
    inos: dict[Any, bytes] = {}
    for name in (b"cpu0", b"cpu1"):
        found = box.stat(b"/sys/devices/system/cpu/%s/topology/core_id" % name).ino
        assert found not in inos
        inos[found] = name


def test_inode_numbers_are_stable_and_listed(box: ProcBox) -> None:
    for top in (b"/proc", b"/proc/self", b"/proc/self/ns", b"/proc/sys/kernel", b"/sys"):
        for name, ino, _ in box.entries(top):
            if name not in (b"self",) and box.exists(top + b"/" + name):
                assert box.lstat(top + b"/" + name).ino == ino, name


