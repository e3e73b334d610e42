# SPDX-License-Identifier: Apache-2.0
"""TCP and UDP over the loopback: what takes time, waits, or is too much."""

from __future__ import annotations

from struct import pack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pygos.include.linux.sched import Task
from pygos.net.ipv4.inet import InetNet, inet_net
from pygos.net.ipv4.queue import ByteQueue
from pygos.net.netns import net_of
from tests.net.box import DGRAM, NAME, STREAM, NetWorld
from tests.support.world import DATA, SEC

EAGAIN, EINVAL, EADDRINUSE, ECONNRESET, ETIMEDOUT, EINPROGRESS = 11, 22, 98, 104, 110, 115
EADDRNOTAVAIL, ENETUNREACH = 99, 101
AF_INET, NONBLOCK = 2, 0x800
MSG_DONTWAIT = 0x40


@pytest.fixture
def w() -> NetWorld:
    return InetWorld()


def sockaddr(port: int, ip: str = "127.0.0.1") -> bytes:
    return pack("<H", AF_INET) + port.to_bytes(2, "big") + bytes(map(int, ip.split("."))) + bytes(8)


def tables(w: NetWorld) -> InetNet:
    return inet_net(w.machine, net_of(w.machine))


class InetWorld(NetWorld):
    """Addresses are whole struct sockaddrs here."""

    def address(self, task: Task, name: bytes) -> int:
        self.put(task, name, NAME - DATA)
        return len(name)


def socket(w: NetWorld, task: Task, kind: int = STREAM) -> int:
    fd = w.ok(task, "socket", AF_INET, kind, 0)
    assert fd is not None
    return fd


def listener(w: NetWorld, task: Task, port: int, backlog: int = 5) -> int:
    fd = socket(w, task)
    assert w.bind(task, fd, sockaddr(port)) == 0
    assert w.ok(task, "listen", fd, backlog) == 0
    return fd


def connected(w: NetWorld, task: Task, port: int = 5000) -> tuple[int, int, int]:
    """(listener, client, server)"""
    fd = listener(w, task, port)
    client = socket(w, task)
    assert w.connect(task, client, sockaddr(port)) == 0
    server = w.ok(task, "accept", fd, 0, 0)
    assert server is not None
    return fd, client, server


def test_accept_sleeps_until_somebody_connects(w: NetWorld) -> None:
    server, client = w.proc(), w.proc()
    fd = listener(w, server, 5000)
    assert w.call(server, "accept", fd, 0, 0) is None
    assert w.connect(client, socket(w, client), sockaddr(5000)) == 0
    assert w.answer(server) == fd + 1


def test_a_reader_sleeps_until_bytes_or_the_end_come(w: NetWorld) -> None:
    one = w.proc()
    _, client, server = connected(w, one)
    other = w.proc(one)
    w.ok(one, "close", server)
    assert w.read(one, client, 10) is None
    assert w.write(other, server, b"hello") == 5
    assert w.got(one) == b"hello"
    assert w.read(one, client, 10) is None
    w.ok(other, "close", server)
    assert w.got(one) == b""


def test_a_long_write_goes_on_as_the_reader_reads(w: NetWorld) -> None:
    one = w.proc()
    _, client, server = connected(w, one)
    w.ok(one, "setsockopt", client, 1, 7, w.put(one, pack("<i", 4000), 0xB000), 4)
    w.ok(one, "setsockopt", server, 1, 8, w.put(one, pack("<i", 3000), 0xB000), 4)
    other = w.proc(one)
    text = bytes(range(256)) * 1024
    done = 0
    while done < len(text):
        part = w.write(one, client, text[done : done + 16384])
        found = b""
        while (piece := w.recv(other, server, 3000, MSG_DONTWAIT)) != -EAGAIN:
            assert isinstance(piece, bytes)
            found += piece
        if part is None:
            part = w.answer(one)
        assert part is not None
        assert found == text[done : done + part]
        done += part


def test_a_full_backlog_makes_a_client_ask_again_later(w: NetWorld) -> None:
    server, client = w.proc(), w.proc()
    fd = listener(w, server, 5000, 0)
    assert w.connect(client, socket(w, client), sockaddr(5000)) == 0
    assert w.connect(client, socket(w, client), sockaddr(5000)) is None
    w.advance(SEC - 1000)
    assert w.answer(client) is None
    w.ok(server, "accept", fd, 0, 0)
    w.advance(2 * SEC)
    assert w.answer(client) == 0


def test_a_client_that_is_never_answered_gives_up_after_two_minutes(w: NetWorld) -> None:
    server, client = w.proc(), w.proc()
    listener(w, server, 5000, 0)
    assert w.connect(client, socket(w, client), sockaddr(5000)) == 0
    assert w.connect(client, socket(w, client), sockaddr(5000)) is None
    w.advance(126 * SEC)
    assert w.answer(client) is None
    w.advance(2 * SEC)
    assert w.answer(client) == -ETIMEDOUT


def test_who_closes_first_keeps_the_port_for_a_minute(w: NetWorld) -> None:
    task = w.proc()
    fd, client, server = connected(w, task)
    for one in (server, client, fd):
        w.ok(task, "close", one)
    again = socket(w, task)
    assert w.bind(task, again, sockaddr(5000)) == -EADDRINUSE
    w.advance(60 * SEC + 1)
    assert w.bind(task, again, sockaddr(5000)) == 0
    w.ok(task, "close", again)
    net = tables(w)
    assert (net.established, net.timewait, net.tcp.bound) == ({}, {}, {})


def test_closing_a_listener_resets_who_was_not_accepted(w: NetWorld) -> None:
    task = w.proc()
    fd = listener(w, task, 5000)
    client = socket(w, task)
    assert w.connect(task, client, sockaddr(5000)) == 0
    w.ok(task, "close", fd)
    assert w.read(task, client, 1) == -ECONNRESET
    assert w.read(task, client, 1) == b""
    w.ok(task, "close", client)
    assert (tables(w).established, tables(w).tcp.bound) == ({}, {})


def test_nothing_but_the_loopback_can_be_reached(w: NetWorld) -> None:
    task = w.proc()
    for ip in ("8.8.8.8", "169.254.169.254", "10.0.0.1", "192.168.0.1", "224.0.0.1"):
        assert w.connect(task, socket(w, task), sockaddr(80, ip)) == -ENETUNREACH
    assert w.bind(task, socket(w, task), sockaddr(80, "10.0.0.1")) == -EADDRNOTAVAIL


def test_datagrams_beyond_the_buffer_are_lost(w: NetWorld) -> None:
    task = w.proc()
    a, b = socket(w, task, DGRAM), socket(w, task, DGRAM)
    assert w.bind(task, a, sockaddr(5000)) == 0
    w.ok(task, "setsockopt", a, 1, 8, w.put(task, pack("<i", 4000), 0xB000), 4)
    assert w.connect(task, b, sockaddr(5000)) == 0
    for _ in range(100):
        assert w.write(task, b, b"x" * 500) == 500
    count = 0
    while w.recv(task, a, 500, MSG_DONTWAIT) != -EAGAIN:
        count += 1
    assert 0 < count < 20


def test_ports_run_out_and_come_back(w: NetWorld) -> None:
    task = w.proc()
    w.machine.sysctl["net.ipv4.ip_local_port_range"] = (40000, 40003)
    fds = [socket(w, task, DGRAM) for _ in range(5)]
    answers = [w.bind(task, fd, sockaddr(0)) for fd in fds]
    assert answers == [0, 0, 0, 0, -EADDRINUSE]
    w.ok(task, "close", fds[0])
    assert w.bind(task, fds[4], sockaddr(0)) == 0


class Sink:
    """An IoBuffer of the program's that takes only so much."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.data = b""

    def put(self, data: bytes) -> int:
        part = bytes(data)[: self.room - len(self.data)]
        self.data += part
        return len(part)


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=20),
            st.tuples(
                st.sampled_from(["take", "drop", "put"]), st.integers(0, 30), st.integers(0, 30)
            ),
        )
    )
)
@settings(max_examples=200, deadline=None)
def test_a_queue_of_bytes_is_a_string(steps: list[bytes | tuple[str, int, int]]) -> None:
    queue, model = ByteQueue(), b""
    for step in steps:
        if isinstance(step, bytes):
            queue.append(step)
            model += step
            continue
        what, count, skip = step
        if what == "take":
            part = queue.take(count)
            assert part == model[: len(part)]
            assert bool(part) == bool(model and count)
            model = model[len(part) :]
        elif what == "drop":
            queue.drop(count)
            model = model[count:]
        else:
            sink = Sink(skip)
            queue.put_into(sink, count, skip)  # type: ignore[arg-type]
            assert sink.data == model[skip : skip + count][:skip]
        assert queue.size == len(model)
