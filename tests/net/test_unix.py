# SPDX-License-Identifier: Apache-2.0
"""AF_UNIX as programs see it: unix(7)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pygos.net.unix.dgram import dgram_truesize
from pygos.net.unix.proc import unix_text
from pygos.net.unix.stream import stream_truesize
from tests.net.box import AF_UNIX, DGRAM, SEQPACKET, STREAM, NetWorld
from tests.support.fsworld import O_NONBLOCK
from tests.support.world import DATA

EINTR, EAGAIN, EACCES, EINVAL, EPIPE, ENOTSOCK = 4, 11, 13, 22, 32, 88
EOPNOTSUPP, EAFNOSUPPORT, EADDRINUSE, ECONNRESET, ECONNREFUSED, ETOOMANYREFS = (
    95, 97, 98, 104, 111, 109,
)  # fmt: skip
IN, OUT, HUP, RDHUP = 1, 4, 0x10, 0x2000
MSG_PEEK, MSG_DONTWAIT, MSG_WAITALL, MSG_NOSIGNAL, MSG_CTRUNC = 2, 0x40, 0x100, 0x4000, 8
SIGUSR1, SIGPIPE = 10, 13
SA_RESTART = 0x1000_0000


@pytest.fixture
def w() -> NetWorld:
    return NetWorld()


def test_a_reader_sleeps_until_the_peer_writes(w: NetWorld) -> None:
    one = w.proc()
    a, b = w.pair(one)
    other = w.proc(one)
    assert w.read(one, a, 10) is None
    assert w.write(other, b, b"hello") == 5
    assert w.got(one) == b"hello"


def test_the_end_comes_when_the_last_descriptor_of_the_peer_closes(w: NetWorld) -> None:
    one = w.proc()
    a, b = w.pair(one)
    other = w.proc(one)
    w.ok(one, "close", b)
    assert w.read(one, a, 10) is None
    w.ok(other, "close", b)
    assert w.got(one) == b""


def test_a_long_write_goes_on_as_the_reader_reads(w: NetWorld) -> None:
    one = w.proc()
    a, b = w.pair(one)
    value = w.put(one, (10000).to_bytes(4, "little"), 0xB000)
    assert w.ok(one, "setsockopt", a, 1, 7, value, 4) == 0  # SO_SNDBUF
    other = w.proc(one)
    text = bytes(range(256)) * 128
    assert w.write(one, a, text) is None
    found = b""
    while (part := w.recv(other, b, 3000, MSG_DONTWAIT)) != -EAGAIN:
        found += part
    assert found == text
    assert w.answer(one) == len(text)


def test_an_interrupted_write_tells_what_it_wrote(w: NetWorld) -> None:
    one = w.proc()
    a, b = w.pair(one)
    value = w.put(one, (2304).to_bytes(4, "little"), 0xB000)
    w.ok(one, "setsockopt", a, 1, 7, value, 4)
    w.catch(one, SIGUSR1)
    other = w.proc(one)
    assert w.write(one, a, b"x" * 20000) is None
    w.ok(other, "kill", one.pid, SIGUSR1)
    assert w.handled(one) == SIGUSR1
    w.sigreturn(one)
    done = w.answer(one)
    assert done is not None
    assert 0 < done < 20000
    assert w.ok(other, "ioctl", b, 0x541B, w.put(other, b"    ", 0xB000)) == 0
    assert int.from_bytes(w.get(other, DATA + 0xB000, 4), "little") == done


def test_waitall_collects_and_returns_what_there_is_after_a_stop(w: NetWorld) -> None:
    one = w.proc()
    a, b = w.pair(one)
    other = w.proc(one)
    assert w.recv(one, a, 6, MSG_WAITALL) is None
    w.write(other, b, b"abc")
    assert w.answer(one) is None
    w.write(other, b, b"defg")
    assert w.got(one) == b"abcdef"
    assert w.recv(one, a, 6, MSG_WAITALL) is None
    w.write(other, b, b"hij")
    w.ok(other, "kill", one.pid, 19)
    w.ok(other, "kill", one.pid, 18)
    assert w.got(one) == b"ghij"


def test_a_receive_timeout_is_eagain(w: NetWorld) -> None:
    one = w.proc()
    a, _ = w.pair(one)
    limit = w.put(one, (0).to_bytes(8, "little") + (5000).to_bytes(8, "little"), 0xB000)
    assert w.ok(one, "setsockopt", a, 1, 20, limit, 16) == 0
    assert w.read(one, a, 1) is None
    w.advance(4_999_999)
    assert w.answer(one) is None
    w.advance(2)
    assert w.answer(one) == -EAGAIN


def test_families_that_are_not_there(w: NetWorld) -> None:
    task = w.proc()
    assert w.ok(task, "socket", 17, 3, 0) == -EAFNOSUPPORT
    assert w.ok(task, "socket", 16, 3, 0) == -EAFNOSUPPORT
    assert w.ok(task, "socket", AF_UNIX, STREAM, 0) == 0


def test_connecting_waits_for_room_in_the_backlog(w: NetWorld) -> None:
    server = w.proc()
    listener = w.listener(server, b"/tmp/s", 0)
    one, two = w.proc(server), w.proc(server)
    assert w.connect(one, w.socket(one), b"/tmp/s") == 0
    assert w.connect(two, w.socket(two), b"/tmp/s") is None
    assert w.ok(server, "accept", listener, 0, 0) >= 0
    assert w.answer(two) == 0


def test_accepting_waits_for_a_connection_and_keeps_no_descriptor(w: NetWorld) -> None:
    server = w.proc()
    listener = w.listener(server, b"\0name")
    client = w.proc()
    assert w.call(server, "accept", listener, 0, 0) is None
    assert sorted(server.files.fd) == [listener]
    assert w.connect(client, w.socket(client), b"\0name") == 0
    accepted = w.answer(server)
    assert accepted == listener + 1


def test_closing_a_listener_resets_who_was_not_accepted(w: NetWorld) -> None:
    task = w.proc()
    listener = w.listener(task, b"/tmp/s")
    client = w.socket(task)
    assert w.connect(task, client, b"/tmp/s") == 0
    w.ok(task, "close", listener)
    assert w.read(task, client, 1) == -ECONNRESET
    assert w.read(task, client, 1) == b""
    assert w.connect(task, w.socket(task), b"/tmp/s") == -ECONNREFUSED
    assert len(w.unet.socks) == 2
    assert not w.unet.inodes


def test_names_are_free_again_when_their_socket_is_gone(w: NetWorld) -> None:
    task = w.proc()
    first = w.socket(task)
    assert w.bind(task, first, b"\0x") == 0
    assert w.bind(task, w.socket(task), b"\0x") == -EADDRINUSE
    w.ok(task, "close", first)
    assert w.bind(task, w.socket(task), b"\0x") == 0


def test_connecting_needs_write_permission(w: NetWorld) -> None:
    server = w.proc()
    w.listener(server, b"/tmp/s")
    stranger = w.proc(uid=1000)
    assert w.connect(stranger, w.socket(stranger), b"/tmp/s") == -EACCES
    path = w.put(server, b"/tmp/s\0", 0xE000)
    w.ok(server, "chmod", path, 0o777)
    assert w.connect(stranger, w.socket(stranger), b"/tmp/s") == 0


def test_an_abstract_name_belongs_to_its_machine() -> None:
    one, other = NetWorld(), NetWorld()
    a, b = one.proc(), other.proc()
    one.listener(a, b"\0mine")
    assert other.connect(b, other.socket(b), b"\0mine") == -ECONNREFUSED


def test_datagrams_keep_their_boundaries_and_wait_for_room(w: NetWorld) -> None:
    server = w.proc()
    box = w.socket(server, DGRAM)
    assert w.bind(server, box, b"/tmp/d") == 0
    client = w.proc()
    fd = w.socket(client, DGRAM)
    assert w.connect(client, fd, b"/tmp/d") == 0
    for number in range(11):
        assert w.send(client, fd, b"%d" % number) == len(str(number))
    assert w.poll(client, {fd: OUT}) == {}
    assert w.send(client, fd, b"late", MSG_DONTWAIT) == -EAGAIN
    assert w.send(client, fd, b"late") is None
    assert w.recv(server, box, 100) == b"0"
    assert w.answer(client) == 4
    assert [w.recv(server, box, 100) for _ in range(11)][-1] == b"late"


def test_epoll_hears_that_a_datagram_peer_has_room(w: NetWorld) -> None:
    server = w.proc()
    box = w.socket(server, DGRAM)
    w.bind(server, box, b"/tmp/d")
    client = w.proc()
    fd = w.socket(client, DGRAM)
    w.connect(client, fd, b"/tmp/d")
    epfd = w.ok(client, "epoll_create1", 0)
    for _ in range(11):
        w.send(client, fd, b"x")
    w.epoll_ctl(client, epfd, 1, fd, OUT | 1 << 31)
    assert w.epoll_wait(client, epfd) == []
    w.recv(server, box, 1)
    assert w.epoll_wait(client, epfd) == [(fd, OUT)]


def test_descriptors_travel(w: NetWorld) -> None:
    one = w.proc()
    a, b = w.pair(one)
    other = w.proc(one)
    r, wr = w.pipe(one)
    assert w.give(one, a, [r, wr], b"two") == 3
    w.ok(one, "close", wr)
    assert w.take(other, b) == (b"two", [2, 3], 0)
    assert w.write(other, 3, b"z") == 1
    assert w.read(one, r, 1) == b"z"
    assert not w.unet.user_inflight


def test_too_many_descriptors_in_flight(w: NetWorld) -> None:
    task = w.proc(uid=1000)
    a, b = w.pair(task, DGRAM)
    task.group.rlim[7] = (20, 20)
    results = [w.give(task, a, [a] * 8) for _ in range(4)]
    assert results == [1, 1, 1, -ETOOMANYREFS]
    assert w.take(task, b)[1]
    w.ok(task, "close", a)
    w.ok(task, "close", b)


def test_sockets_that_only_hold_each_other_are_collected(w: NetWorld) -> None:
    task = w.proc()
    r, wr = w.pipe(task)
    a, b = w.pair(task)
    c, d = w.pair(task, DGRAM)
    w.give(task, a, [c, d])
    w.give(task, c, [a, b])
    w.give(task, c, [wr])
    for fd in (a, b, c, d, wr):
        w.ok(task, "close", fd)
    w.ok(task, "close", w.socket(task))
    assert w.read(task, r, 1) == b""
    assert not w.unet.socks
    assert not w.unet.inflight
    assert not w.unet.user_inflight


def test_what_can_still_be_received_is_not_collected(w: NetWorld) -> None:
    task = w.proc()
    a, b = w.pair(task)
    c, d = w.pair(task)
    w.give(task, d, [c])
    w.give(task, a, [c])
    for fd in (a, c, d):
        w.ok(task, "close", fd)
    w.ok(task, "close", w.socket(task))
    (received,) = w.take(task, b)[1]
    (again,) = w.take(task, received)[1]
    assert task.files.fd[received] is task.files.fd[again]


def test_a_deep_chain_of_sockets_in_sockets_comes_apart(w: NetWorld) -> None:
    task = w.proc()
    inner = w.socket(task)
    for _ in range(1500):
        a, b = w.pair(task, DGRAM)
        assert w.give(task, a, [inner]) == 1
        w.ok(task, "close", inner)
        w.ok(task, "close", a)
        inner = b
    assert len(w.unet.socks) == 1501
    w.ok(task, "close", inner)
    assert not w.unet.socks
    assert not task.oops


def test_a_listener_that_lies_in_its_own_queue(w: NetWorld) -> None:
    task = w.proc()
    listener = w.listener(task, b"\0self")
    client = w.socket(task)
    w.connect(task, client, b"\0self")
    w.give(task, client, [listener])
    w.ok(task, "close", listener)
    w.ok(task, "close", w.socket(task))
    w.ok(task, "close", client)
    w.ok(task, "close", w.socket(task))
    assert not w.unet.inflight


def test_files_are_given_up_when_the_send_fails(w: NetWorld) -> None:
    task = w.proc()
    a, b = w.pair(task)
    r, wr = w.pipe(task)
    w.ok(task, "close", b)
    assert w.give(task, a, [wr]) == -EPIPE
    w.ok(task, "close", wr)
    assert w.read(task, r, 1) == b""


def test_sigpipe_unless_it_is_unwanted(w: NetWorld) -> None:
    task = w.proc()
    a, b = w.pair(task)
    w.ok(task, "close", b)
    assert w.send(task, a, b"x", MSG_NOSIGNAL) == -EPIPE
    w.catch(task, SIGPIPE)
    w.send(task, a, b"x")
    assert w.handled(task) == SIGPIPE


def test_shutting_down_wakes_the_peer(w: NetWorld) -> None:
    one = w.proc()
    a, b = w.pair(one)
    other = w.proc(one)
    assert w.read(one, a, 1) is None
    assert w.ok(other, "shutdown", b, 1) == 0
    assert w.got(one) == b""
    assert w.poll(one, {a: IN | OUT | RDHUP}) == {a: IN | OUT | RDHUP}


def test_a_nonblocking_file(w: NetWorld) -> None:
    task = w.proc()
    fd = w.socket(task, STREAM | O_NONBLOCK)
    assert w.bind(task, fd, b"\0n") == 0
    assert w.ok(task, "listen", fd, 1) == 0
    assert w.ok(task, "accept", fd, 0, 0) == -EAGAIN
    a, _ = w.pair(task, SEQPACKET | O_NONBLOCK)
    assert w.read(task, a, 1) == -EAGAIN


def test_calls_on_what_is_no_socket(w: NetWorld) -> None:
    task = w.proc()
    r, _ = w.pipe(task)
    assert w.ok(task, "listen", r, 1) == -ENOTSOCK
    assert w.connect(task, r, b"\0x") == -ENOTSOCK
    assert w.ok(task, "sendmmsg", r, DATA, 1, 0) == -ENOTSOCK


def test_proc_net_unix(w: NetWorld) -> None:
    task = w.proc()
    w.listener(task, b"/tmp/s")
    w.bind(task, w.socket(task, DGRAM), b"\0ab\0c")
    lines = unix_text(task).splitlines()
    assert lines[0] == "Num       RefCount Protocol Flags    Type St Inode Path"
    assert lines[1].split()[3:6] == ["00010000", "0001", "01"]
    assert lines[1].endswith(" /tmp/s")
    assert lines[2].split()[3:6] == ["00000000", "0002", "01"]
    assert lines[2].endswith(" @ab@c")


@pytest.mark.parametrize(
    ("size", "stream", "dgram"),
    [(1, 768, 768), (200, 1280, 1280), (3776, 4352, 4352), (3777, 4864, 8448),
     (5000, 6400, 8448), (32768, 33536, 37120), (36544, 37120, 37120)],
)  # fmt: skip
def test_messages_cost_what_they_cost_on_linux(size: int, stream: int, dgram: int) -> None:
    assert stream_truesize(size) == stream
    assert dgram_truesize(size) == dgram


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3000), st.booleans()), max_size=40))
def test_a_stream_is_a_queue_of_bytes(steps: list[tuple[bool, int, bool]]) -> None:
    w = NetWorld()
    task = w.proc()
    a, b = w.pair(task, STREAM | O_NONBLOCK)
    queue = b""
    count = 0
    for writing, size, peek in steps:
        if writing:
            text = bytes((count + i) & 0xFF for i in range(size))
            done = w.send(task, a, text)
            assert done == size
            queue += text
            count += size
        else:
            got = w.recv(task, b, size, MSG_PEEK if peek else 0)
            want = queue[:size]
            assert got == (want if queue else -EAGAIN)
            if not peek:
                queue = queue[size:]
