# SPDX-License-Identifier: Apache-2.0
# abi-needs: /usr/bin/python3
# abi-as: root
# abi-mount: cgroup2
"""The freezer of control groups: nested, with signals, moves and stopped processes."""

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any


def mountpoint() -> str:
    with open("/proc/self/mounts") as file:
        for line in file:
            fields = line.split()
            if fields[2] == "cgroup2":
                return fields[1]
    sys.exit("no cgroup2")


ROOT = f"{mountpoint()}/pygos-abi-freezer-{os.getpid()}"


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


def sleeper() -> "subprocess.Popen[bytes]":
    return subprocess.Popen(["sleep", "100"])


def wait_for(path: str, text: str) -> str:
    for _ in range(2000):
        if text in read(path):
            break
        time.sleep(0.005)
    return " ".join(read(path).split())


def state(pid: int) -> str:
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]


def freezing() -> None:
    for name in ("z", "z/in"):
        os.mkdir(f"{ROOT}/{name}")
    check("empty", lambda: write("z/cgroup.freeze", 1))
    check("at once", lambda: read("z/cgroup.events").split())
    check("below", lambda: (read("z/in/cgroup.events").split(), read("z/in/cgroup.freeze")))
    write("z/cgroup.freeze", 0)
    sleeping = sleeper()
    busy = subprocess.Popen(["sh", "-c", "while :; do :; done"])
    write("z/in/cgroup.procs", sleeping.pid)
    write("z/in/cgroup.procs", busy.pid)
    write("z/cgroup.freeze", 1)
    check("frozen", lambda: wait_for("z/cgroup.events", "frozen 1"))
    check("states", lambda: (state(sleeping.pid), state(busy.pid)))
    check("its own", lambda: write("z/in/cgroup.freeze", 1))
    check("thaw above", lambda: write("z/cgroup.freeze", 0))
    check("still", lambda: (read("z/in/cgroup.events").split(), read("z/cgroup.events").split()))
    os.kill(sleeping.pid, signal.SIGTERM)
    time.sleep(0.05)
    check("a signal waits", lambda: sleeping.poll())
    os.kill(busy.pid, signal.SIGKILL)
    check("SIGKILL doesn't", lambda: busy.wait())
    check("thaw", lambda: write("z/in/cgroup.freeze", 0))
    check("the signal comes", lambda: sleeping.wait())
    check("thawed", lambda: read("z/cgroup.events").split())
    late = sleeper()
    write("z/cgroup.freeze", 1)
    check("moved in", lambda: write("z/in/cgroup.procs", late.pid))
    check("freezes", lambda: wait_for("z/in/cgroup.events", "frozen 1"))
    check("moved out", lambda: write("cgroup.procs", late.pid))
    os.kill(late.pid, signal.SIGTERM)
    check("thaws", lambda: late.wait())
    stopped = sleeper()
    os.kill(stopped.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, stopped.pid, os.WSTOPPED | os.WNOWAIT)
    check("a stopped one", lambda: write("z/in/cgroup.procs", stopped.pid))
    check("counts", lambda: wait_for("z/cgroup.events", "frozen 1"))
    check("is stopped", lambda: state(stopped.pid))
    check("killed as a group", lambda: write("z/cgroup.kill", 1))
    check("dies", lambda: stopped.wait())
    for name in ("z/in", "z"):
        os.rmdir(f"{ROOT}/{name}")


def main() -> None:
    os.mkdir(ROOT)
    try:
        freezing()
    finally:
        subprocess.call(["find", ROOT, "-depth", "-type", "d", "-exec", "rmdir", "{}", ";"])


main()
