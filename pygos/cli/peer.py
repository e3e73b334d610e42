# SPDX-License-Identifier: Apache-2.0
"""Who is at the other end of the daemon's socket, and may a machine of ours stand for his own?

A run by the daemon must be what the client could have had by a cold start, no more and no
less. So both must be the same user with the same groups, capabilities, namespaces, root
directory and restrictions; limits, priority and CPUs are taken over from the client. Anything
that differs and can't be taken over is a Refusal: the client starts cold.
"""

from __future__ import annotations

import os
import resource
import select
import socket
import struct
from typing import Final

_SO_PEERPIDFD: Final = 77
#: Lines of /proc/PID/status that must agree.
_STATUS: Final = frozenset(
    {
        b"Uid", b"Gid", b"Groups", b"CapInh", b"CapPrm", b"CapEff", b"CapBnd", b"CapAmb",
        b"NoNewPrivs", b"Seccomp", b"Seccomp_filters",
    }
)  # fmt: skip
_NAMESPACES: Final = ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")
#: Files of a control group that set a limit, and what they say if they don't.
_CGROUP_LIMITS: Final = (
    ("memory.max", b"max\n"), ("memory.high", b"max\n"), ("memory.swap.max", b"max\n"),
    ("pids.max", b"max\n"), ("cpu.max", b"max 100000\n"),
)  # fmt: skip
_LIMITS: Final = tuple(getattr(resource, name) for name in dir(resource) if name[:7] == "RLIMIT_")


class Refusal(Exception):
    """This client has to start cold; the text says why."""


def credentials(conn: socket.socket) -> tuple[int, int]:
    """The pid and effective user id of who connected."""
    data = conn.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    pid, uid, _ = struct.unpack("iii", data)
    return pid, uid


def check(conn: socket.socket) -> int:
    """Refusal unless the client could do all that we can, and we all that it can; its pid."""
    pid, uid = credentials(conn)
    if uid != os.geteuid():
        raise Refusal("another user's daemon")
    handle = _handle(conn)
    try:
        _compare(pid)
        if handle is not None and select.select([handle], [], [], 0)[0]:
            raise Refusal("the client is gone")  # its number may be another's by now
    except OSError as error:
        raise Refusal(f"the client can't be examined: {error}") from None
    finally:
        if handle is not None:
            os.close(handle)
    return pid


def _handle(conn: socket.socket) -> int | None:
    """A pidfd of who connected, where the host has that (Linux 6.5)."""
    try:
        return conn.getsockopt(socket.SOL_SOCKET, _SO_PEERPIDFD)
    except OSError:
        return None


def _compare(pid: int) -> None:
    if _status(pid) != _status(os.getpid()):
        raise Refusal("the daemon has other rights than you")
    for name in _NAMESPACES:
        try:
            ours = os.stat(f"/proc/self/ns/{name}").st_ino
        except FileNotFoundError:
            continue  # an older host
        if os.stat(f"/proc/{pid}/ns/{name}").st_ino != ours:
            raise Refusal(f"the daemon is in another {name} namespace")
    if not os.path.samestat(os.stat(f"/proc/{pid}/root"), os.stat("/")):
        raise Refusal("the daemon has another root directory")
    if _label(pid) != _label(os.getpid()):
        raise Refusal("the daemon has another security label")
    our_groups, their_groups = _cgroup(os.getpid()), _cgroup(pid)
    if our_groups != their_groups and (_limited(our_groups) or _limited(their_groups)):
        raise Refusal("the daemon is in another control group")


def _status(pid: int) -> list[bytes]:
    with open(f"/proc/{pid}/status", "rb") as file:
        return [line for line in file if line.partition(b":")[0] in _STATUS]


def _label(pid: int) -> bytes:
    try:
        with open(f"/proc/{pid}/attr/current", "rb") as file:
            return file.read()
    except OSError:
        return b""


def _cgroup(pid: int) -> bytes:
    with open(f"/proc/{pid}/cgroup", "rb") as file:
        return file.read()


def _limited(listing: bytes) -> bool:
    """Does one of the control groups limit anything, as far as that can be seen?"""
    for line in listing.splitlines():
        number, _, path = line.split(b":", 2)
        if number != b"0":
            if path != b"/":
                return True  # version 1: don't ask
            continue
        while path != b"/":
            directory = "/sys/fs/cgroup" + os.fsdecode(path)
            if not os.path.isdir(directory) or _sets_limits(directory):
                return True
            path = os.path.dirname(path)
    return False


def _sets_limits(directory: str) -> bool:
    for name, unlimited in _CGROUP_LIMITS:
        try:
            with open(f"{directory}/{name}", "rb") as file:
                if file.read() != unlimited:
                    return True
        except FileNotFoundError:
            pass
    return False


def take_over(pid: int) -> None:
    """Give this process the limits, priority and CPUs of the client. Refusal if that can't be."""
    try:
        for which in _LIMITS:
            theirs = resource.prlimit(pid, which)
            if theirs != resource.getrlimit(which):
                resource.setrlimit(which, theirs)
        nice = os.getpriority(os.PRIO_PROCESS, pid)
        if nice != os.getpriority(os.PRIO_PROCESS, 0):
            os.setpriority(os.PRIO_PROCESS, 0, nice)
        if os.sched_getscheduler(pid) != os.sched_getscheduler(0):
            raise Refusal("the daemon has another scheduling policy")
    except (OSError, ValueError) as error:
        raise Refusal(f"limits or priority can't be taken over: {error}") from None


def cpus_of(pid: int) -> set[int]:
    """The CPUs that a client may use. Refusal if it is gone."""
    try:
        return os.sched_getaffinity(pid)
    except OSError as error:
        raise Refusal(f"the client is gone: {error}") from None
