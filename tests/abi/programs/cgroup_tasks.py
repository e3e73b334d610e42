# SPDX-License-Identifier: Apache-2.0
# abi-needs: /usr/bin/python3
# abi-as: root
# abi-mount: cgroup2
"""Processes in control groups: moving, forking, dying; threaded subtrees; delegation."""

import errno
import os
import select
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any


def mountpoint() -> str:
    with open("/proc/self/mounts") as file:
        for line in file:
            fields = line.split()
            if fields[2] == "cgroup2":
                return fields[1]
    sys.exit("no cgroup2")


ROOT = f"{mountpoint()}/pygos-abi-tasks-{os.getpid()}"


def check(name: str, call: Callable[[], Any]) -> None:
    try:
        result = call()
    except OSError as error:
        result = errno.errorcode[error.errno or 0]
    print(f"{name}: {str(result).replace(ROOT.rpartition('/')[2], 'ROOT')}", flush=True)


def write(path: str, text: object) -> bool:
    fd = os.open(f"{ROOT}/{path}", os.O_WRONLY)
    try:
        return os.write(fd, str(text).encode()) > 0
    finally:
        os.close(fd)


def read(path: str) -> str:
    with open(f"{ROOT}/{path}") as file:
        return file.read()


def count(path: str) -> int:
    return len(read(path).split())


def place(pid: object = "self") -> str:
    with open(f"/proc/{pid}/cgroup") as file:
        return next(line for line in file if line.startswith("0::")).strip()


def sleeper() -> "subprocess.Popen[bytes]":
    return subprocess.Popen(["sleep", "100"])


def moving() -> None:
    os.mkdir(f"{ROOT}/m")
    os.mkdir(f"{ROOT}/m/n")
    process = sleeper()
    check("events", lambda: read("m/cgroup.events").split())
    check("in", lambda: write("m/cgroup.procs", process.pid))
    check("place", lambda: place(process.pid))
    check("again", lambda: write("m/cgroup.procs", process.pid))
    check("events", lambda: read("m/cgroup.events").split())
    check("above", lambda: read("cgroup.events").split())
    check("busy", lambda: os.rmdir(f"{ROOT}/m/n") or os.rmdir(f"{ROOT}/m"))
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    check("a zombie isn't listed", lambda: count("m/cgroup.procs"))
    check("but there", lambda: place(process.pid))
    check("and can't be moved", lambda: write("cgroup.procs", process.pid))
    check("really", lambda: place(process.pid))
    check("removed", lambda: os.rmdir(f"{ROOT}/m"))
    check("deleted", lambda: place(process.pid))
    process.wait()


def forking() -> None:
    os.mkdir(f"{ROOT}/f")
    ready, hold = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        write("f/cgroup.procs", 0)
        grandchild = subprocess.Popen(["sleep", "100"])
        os.write(ready[1], b"%d" % grandchild.pid)
        os.read(hold[0], 1)
        os._exit(0)
    grandchild = int(os.read(ready[0], 20))
    check("both", lambda: sorted(map(int, read("f/cgroup.procs").split())) == [child, grandchild])
    check("threads too", lambda: count("f/cgroup.threads"))
    poll = select.poll()
    events = os.open(f"{ROOT}/f/cgroup.events", os.O_RDONLY)
    poll.register(events, select.POLLPRI)
    check("at first", lambda: [event for _, event in poll.poll(0)])
    os.read(events, 100)
    check("read", lambda: poll.poll(0))
    check("kill", lambda: write("f/cgroup.kill", 1))
    os.waitpid(child, 0)
    check("emptied", lambda: [event for _, event in poll.poll(10000)])
    check("populated", lambda: os.pread(events, 100, 0))
    check("read", lambda: poll.poll(0))
    os.close(events)
    os.rmdir(f"{ROOT}/f")


def threads() -> None:
    for name in ("t", "t/a", "t/b", "u"):
        os.mkdir(f"{ROOT}/{name}")
    check("type", lambda: write("t/a/cgroup.type", "threaded"))
    check("types", lambda: [read(f"{d}/cgroup.type").strip() for d in ("t", "t/a", "t/b", "u")])
    check("into an invalid domain", lambda: write("t/b/cgroup.procs", 0))
    check("the other", lambda: write("t/b/cgroup.type", "threaded\n"))
    check("there is no way back", lambda: write("t/b/cgroup.type", "domain"))
    child = os.fork()
    if child == 0:
        stop = threading.Event()
        thread = threading.Thread(target=stop.wait)
        thread.start()
        tid = thread.native_id
        check("in", lambda: write("t/a/cgroup.procs", 0))
        check("both threads", lambda: count("t/a/cgroup.threads"))
        check("no processes there", lambda: read("t/a/cgroup.procs"))
        check("they are the domain's", lambda: count("t/cgroup.procs"))
        check("which has no threads", lambda: count("t/cgroup.threads"))
        check("one moves", lambda: write("t/b/cgroup.threads", tid))
        check("one each", lambda: (count("t/a/cgroup.threads"), count("t/b/cgroup.threads")))
        check("out of the domain", lambda: write("u/cgroup.threads", tid))
        check("kill", lambda: write("t/a/cgroup.kill", 1))
        check("place", lambda: place(f"self/task/{tid}"))
        check("populated", lambda: read("t/cgroup.events").split())
        check("is populated", lambda: write("u/cgroup.type", "threaded"))
        check("all out", lambda: write("u/cgroup.procs", 0))
        check("two", lambda: count("u/cgroup.threads"))
        check("populated", lambda: write("u/cgroup.type", "threaded"))
        sys.stdout.flush()
        stop.set()
        os._exit(0)
    os.waitpid(child, 0)
    for name in ("t/a", "t/b", "t", "u"):
        os.rmdir(f"{ROOT}/{name}")


def delegation() -> None:
    for name in ("d", "d/x", "d/y", "o"):
        os.mkdir(f"{ROOT}/{name}")
    for name in ("d", "d/cgroup.procs", "d/x/cgroup.procs", "d/y/cgroup.procs"):
        os.chown(f"{ROOT}/{name}", 65534, 65534)
    child = os.fork()
    if child == 0:
        write("d/x/cgroup.procs", 0)
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
        check("within", lambda: write("d/y/cgroup.procs", 0))
        check("up", lambda: write("d/cgroup.procs", 0))
        check("out", lambda: write("o/cgroup.procs", 0))
        check("top", lambda: write("cgroup.procs", 0))
        check("mkdir", lambda: os.mkdir(f"{ROOT}/d/z"))
        check("owner", lambda: os.stat(f"{ROOT}/d/z/cgroup.procs")[4:6])
        check("into one's own", lambda: write("d/z/cgroup.procs", 0))
        check("outside", lambda: os.mkdir(f"{ROOT}/o/z"))
        check("freeze", lambda: write("d/cgroup.freeze", 1))
        check("another's", lambda: write("d/y/cgroup.procs", 1))
        sys.stdout.flush()
        os._exit(0)
    os.waitpid(child, 0)
    for name in ("d/z", "d/x", "d/y", "d", "o"):
        os.rmdir(f"{ROOT}/{name}")


def main() -> None:
    os.mkdir(ROOT)
    try:
        for step in (moving, forking, threads, delegation):
            print(f"-- {step.__name__}", flush=True)
            step()
            sys.stdout.flush()
    finally:
        subprocess.call(["find", ROOT, "-depth", "-type", "d", "-exec", "rmdir", "{}", ";"])


main()
