# SPDX-License-Identifier: Apache-2.0
"""Pseudo-terminals, job control and hangup: pty(7), ioctl_tty(2), credentials(7)."""

from __future__ import annotations

from struct import pack, unpack
from typing import Any

import pytest

from tests.support.fsworld import AT_FDCWD, O_NONBLOCK, FsWorld
from tests.support.world import DATA, result

EAGAIN, EIO, EINTR, EINVAL, ENOTTY, ENXIO, EPERM, ESRCH = 11, 5, 4, 22, 25, 6, 1, 3
EBUSY, ENODEV, ENOSPC = 16, 19, 28
IN, PRI, OUT, ERR, HUP, RDNORM, WRNORM = 1, 2, 4, 8, 0x10, 0x40, 0x100
O_RDWR, O_NOCTTY = 2, 0o400
SIGHUP, SIGINT, SIGCONT, SIGTTIN, SIGTTOU, SIGWINCH, SIGTSTP = 1, 2, 18, 21, 22, 28, 20
TCGETS, TCSETS, TCSETSW, TCFLSH, TCXONC = 0x5401, 0x5402, 0x5403, 0x540B, 0x540A
TIOCSCTTY, TIOCGPGRP, TIOCSPGRP, TIOCGSID, TIOCNOTTY = 0x540E, 0x540F, 0x5410, 0x5429, 0x5422
TIOCGWINSZ, TIOCSWINSZ, TIOCSTI, TIOCLINUX, TIOCEXCL = 0x5413, 0x5414, 0x5412, 0x541C, 0x540C
TIOCGPTN, TIOCSPTLCK, TIOCPKT, TIOCGPTPEER = 0x80045430, 0x40045431, 0x5420, 0x5441
TIOCOUTQ, FIONREAD, TIOCSETD, TIOCVHANGUP = 0x5411, 0x541B, 0x5423, 0x5437
ICANON, ECHO, ISIG, TOSTOP = 2, 8, 1, 0x100
VTIME, VMIN = 5, 6
SEC = 1_000_000_000


@pytest.fixture
def w() -> FsWorld:
    return FsWorld()


def ioctl(w: FsWorld, task: Any, fd: int, cmd: int, arg: int = 0) -> int:
    return w.ok(task, "ioctl", fd, cmd, arg)


def ioctl_get(w: FsWorld, task: Any, fd: int, cmd: int) -> int:
    """An ioctl that gives an int; -errno."""
    addr = w.put(task, b"\xff" * 4, 0x8000)
    answer = ioctl(w, task, fd, cmd, addr)
    return unpack("<i", w.get(task, addr, 4))[0] if answer == 0 else answer


def ioctl_set(w: FsWorld, task: Any, fd: int, cmd: int, value: int) -> int | None:
    """An ioctl that takes a pointer to an int."""
    return w.call(task, "ioctl", fd, cmd, w.put(task, pack("<i", value), 0x8000))


def open_pty(w: FsWorld, task: Any, flags: int = O_NOCTTY) -> tuple[int, int]:
    master = w.open(task, b"/dev/ptmx", O_RDWR | O_NOCTTY)
    assert master is not None
    assert master >= 0
    assert ioctl_set(w, task, master, TIOCSPTLCK, 0) == 0
    number = ioctl_get(w, task, master, TIOCGPTN)
    slave = w.open(task, b"/dev/pts/%d" % number, O_RDWR | flags)
    assert slave is not None
    assert slave >= 0
    return master, slave


def change(w: FsWorld, task: Any, fd: int, on: int = 0, off: int = 0, **cc: int) -> int | None:
    """Change c_lflag and control characters."""
    addr = w.put(task, b"\0" * 36, 0x8000)
    assert ioctl(w, task, fd, TCGETS, addr) == 0
    data = bytearray(w.get(task, addr, 36))
    flags = int.from_bytes(data[12:16], "little") & ~off | on
    data[12:16] = flags.to_bytes(4, "little")
    for name, value in cc.items():
        data[17 + {"vmin": VMIN, "vtime": VTIME}[name]] = value
    w.put(task, bytes(data), 0x8000)
    return w.call(task, "ioctl", fd, TCSETS, addr)


def shell_with_job(w: FsWorld) -> tuple[Any, Any, int, int]:
    """A session leader on a pty, and a child in a process group of its own."""
    shell = w.proc()
    master, slave = open_pty(w, shell, 0)
    assert shell.group.ctty is not None
    job = w.proc(shell)
    assert w.ok(shell, "setpgid", job.pid, job.pid) == 0
    return shell, job, master, slave


# -- ptys


def test_ends_are_connected(w: FsWorld) -> None:
    task = w.proc()
    master, slave = open_pty(w, task)
    assert w.write(task, master, b"typed\n") == 6
    assert w.read(task, slave, 100) == b"typed\n"
    assert w.read(task, master, 100) == b"typed\r\n"
    w.write(task, slave, b"out\n")
    assert w.read(task, master, 100) == b"out\r\n"


def test_names_and_numbers(w: FsWorld) -> None:
    task = w.proc()
    pairs = [open_pty(w, task) for _ in range(3)]
    assert [ioctl_get(w, task, master, TIOCGPTN) for master, _ in pairs] == [0, 1, 2]
    for fd in pairs[1]:
        w.ok(task, "close", fd)
    assert w.open(task, b"/dev/pts/1", O_RDWR) == -2
    master, _ = open_pty(w, task)
    assert ioctl_get(w, task, master, TIOCGPTN) == 1


def test_locked_slave_cannot_be_opened(w: FsWorld) -> None:
    task = w.proc()
    master = w.open(task, b"/dev/ptmx", O_RDWR)
    assert w.open(task, b"/dev/pts/0", O_RDWR) == -EIO
    assert master is not None
    ioctl_set(w, task, master, TIOCSPTLCK, 0)
    assert (w.open(task, b"/dev/pts/0", O_RDWR) or 0) > 0


def test_peer_by_ioctl(w: FsWorld) -> None:
    task = w.proc()
    master = w.open(task, b"/dev/ptmx", O_RDWR | O_NOCTTY)
    assert master is not None
    ioctl_set(w, task, master, TIOCSPTLCK, 0)
    slave = ioctl(w, task, master, TIOCGPTPEER, O_RDWR | O_NOCTTY)
    assert slave >= 0
    w.write(task, slave, b"x")
    assert w.read(task, master, 5) == b"x"


def test_blocking_read_of_each_end(w: FsWorld) -> None:
    task = w.proc()
    master, slave = open_pty(w, task)
    other = w.proc(task)
    assert w.read(task, slave, 10) is None
    w.write(other, master, b"ab")
    assert result(task) is None
    w.write(other, master, b"\n")
    assert w.got(task) == b"ab\n"
    w.read(other, master, 100)
    assert w.read(task, master, 10) is None
    w.write(other, slave, b"z")
    assert w.got(task) == b"z"


def test_close_of_the_slave_is_eio_at_the_master_after_the_data(w: FsWorld) -> None:
    task = w.proc()
    master, slave = open_pty(w, task)
    w.write(task, slave, b"bye")
    w.ok(task, "close", slave)
    assert w.poll(task, {master: IN}) == {master: IN | HUP}
    assert w.read(task, master, 10) == b"bye"
    assert w.read(task, master, 10) == -EIO
    assert w.poll(task, {master: IN | OUT}) == {master: OUT | HUP}
    assert (w.open(task, b"/dev/pts/0", O_RDWR | O_NOCTTY) or 0) > 0
    assert w.poll(task, {master: IN}) == {}


def test_close_of_the_master_hangs_the_slave_up(w: FsWorld) -> None:
    task = w.proc()
    master, slave = open_pty(w, task)
    sleeper = w.proc(task)
    w.ok(sleeper, "close", master)
    assert w.read(sleeper, slave, 10) is None
    w.ok(task, "close", master)
    assert w.got(sleeper) == -EIO
    assert w.read(task, slave, 10) == b""
    assert w.write(task, slave, b"x") == -EIO
    assert ioctl(w, task, slave, TCGETS, DATA) == -EIO
    everything = IN | OUT | ERR | HUP
    assert w.poll(task, {slave: IN | OUT}) == {slave: everything}
    assert w.open(task, b"/dev/pts/0", O_RDWR) == -2


def test_writer_waits_for_a_slow_master(w: FsWorld) -> None:
    task = w.proc()
    master, slave = open_pty(w, task)
    reader = w.proc(task)
    data = b"x" * 30000
    assert w.write(task, slave, data) is None
    taken = b""
    while len(taken) < len(data):
        got = w.read(reader, master, 5000)
        assert isinstance(got, bytes)
        taken += got
    assert taken == data
    assert result(task) == len(data)


def test_input_is_bounded(w: FsWorld) -> None:
    task = w.proc()
    master, slave = open_pty(w, task)
    change(w, task, slave, off=ICANON | ECHO)
    file = task.files.fd[master]
    file.f_flags |= O_NONBLOCK
    total = 0
    while (count := w.write(task, master, b"y" * 4096) or 0) > 0:
        total += count
    assert 8192 <= total <= 16384
    got = 0
    while w.poll(task, {slave: IN}):
        data = w.read(task, slave, 4096)
        assert isinstance(data, bytes)
        got += len(data)
    assert got == total


def test_packet_mode_tells_of_flow_control_and_flushes(w: FsWorld) -> None:
    task = w.proc()
    master, slave = open_pty(w, task)
    assert ioctl_set(w, task, master, TIOCPKT, 1) == 0
    w.write(task, slave, b"hi")
    assert w.read(task, master, 10) == b"\0hi"
    assert ioctl(w, task, slave, TCXONC, 0) == 0
    assert w.poll(task, {master: IN | PRI}) == {master: IN | PRI}
    assert w.read(task, master, 10) == b"\x04"
    assert ioctl(w, task, slave, TCXONC, 1) == 0
    assert w.read(task, master, 10) == b"\x08"
    assert ioctl(w, task, slave, TCFLSH, 0) == 0
    assert w.read(task, master, 10) == b"\x01"


def test_vmin_and_vtime(w: FsWorld) -> None:
    task = w.proc()
    master, slave = open_pty(w, task)
    other = w.proc(task)
    change(w, task, slave, off=ICANON | ECHO, vmin=3)
    assert w.read(task, slave, 10) is None
    w.write(other, master, b"ab")
    assert result(task) is None
    w.write(other, master, b"cd")
    assert w.got(task) == b"abcd"
    change(w, task, slave, vmin=0, vtime=5)
    assert w.read(task, slave, 10) is None
    w.advance(SEC // 2)
    assert w.got(task) == b""
    change(w, task, slave, vmin=9, vtime=5)
    assert w.read(task, slave, 10) is None
    w.advance(10 * SEC)
    assert result(task) is None  # the time runs from the first character
    w.write(other, master, b"ab")
    w.advance(SEC // 4)
    w.write(other, master, b"c")
    w.advance(SEC // 4)
    assert result(task) is None
    w.advance(SEC // 4)
    assert w.got(task) == b"abc"


def test_poll_respects_vmin(w: FsWorld) -> None:
    task = w.proc()
    master, slave = open_pty(w, task)
    change(w, task, slave, off=ICANON | ECHO, vmin=3)
    w.write(task, master, b"ab")
    assert w.poll(task, {slave: IN}) == {}
    w.write(task, master, b"c")
    assert w.poll(task, {slave: IN}) == {slave: IN}


def test_queue_sizes(w: FsWorld) -> None:
    task = w.proc()
    master, slave = open_pty(w, task)
    w.write(task, master, b"one\ntwo")
    assert ioctl_get(w, task, slave, FIONREAD) == 4
    assert ioctl_get(w, task, slave, TIOCOUTQ) == 0
    change(w, task, slave, off=ICANON)
    assert ioctl_get(w, task, slave, FIONREAD) == 7


def test_window_size_signals_the_foreground(w: FsWorld) -> None:
    shell, _, master, slave = shell_with_job(w)
    w.catch(shell, SIGWINCH)
    size = pack("<HHHH", 50, 132, 0, 0)
    assert ioctl(w, shell, master, TIOCSWINSZ, w.put(shell, size, 0x8000)) == 0
    assert w.handled(shell) == SIGWINCH
    w.sigreturn(shell)
    addr = w.put(shell, b"\0" * 8, 0x8000)
    assert ioctl(w, shell, slave, TIOCGWINSZ, addr) == 0
    assert w.get(shell, addr, 8) == size
    ioctl(w, shell, master, TIOCSWINSZ, w.put(shell, size, 0x8000))
    assert w.handled(shell) == 0  # no change, no signal


# -- controlling terminals


def test_leader_gets_the_terminal_by_opening_it(w: FsWorld) -> None:
    leader = w.proc()
    assert w.open(leader, b"/dev/tty", O_RDWR) == -ENXIO
    master, slave = open_pty(w, leader, 0)
    assert (w.open(leader, b"/dev/tty", O_RDWR) or 0) > slave
    assert ioctl_get(w, leader, slave, TIOCGSID) == leader.pid
    assert ioctl_get(w, leader, slave, TIOCGPGRP) == leader.pid
    # The master may always ask; another process' terminal is none of its business.
    assert ioctl_get(w, leader, master, TIOCGPGRP) == leader.pid
    stranger = w.proc()
    stranger.files = leader.files
    stranger.files.count += 1
    assert ioctl_get(w, stranger, slave, TIOCGPGRP) == -ENOTTY


def test_tiocsctty_rules(w: FsWorld) -> None:
    leader = w.proc()
    _, slave = open_pty(w, leader)
    assert leader.group.ctty is None
    child = w.proc(leader)
    assert ioctl(w, child, slave, TIOCSCTTY) == -EPERM  # no session leader
    assert ioctl(w, leader, slave, TIOCSCTTY) == 0
    assert ioctl(w, leader, slave, TIOCSCTTY) == 0
    other = w.proc()
    other.files = leader.files
    leader.files.count += 1
    assert ioctl(w, other, slave, TIOCSCTTY) == -EPERM  # taken
    assert ioctl(w, other, slave, TIOCSCTTY, 1) == 0  # root may steal it
    assert leader.group.ctty is None


def test_tiocnotty(w: FsWorld) -> None:
    leader = w.proc()
    _, slave = open_pty(w, leader, 0)
    w.catch(leader, SIGHUP)
    w.catch(leader, SIGCONT)
    w.call(leader, "ioctl", slave, TIOCNOTTY)
    assert leader.group.ctty is None
    assert w.handled(leader) in (SIGHUP, SIGCONT)


def test_foreground_group(w: FsWorld) -> None:
    shell, job, _, slave = shell_with_job(w)
    assert ioctl_set(w, shell, slave, TIOCSPGRP, job.pid) == 0
    assert ioctl_get(w, shell, slave, TIOCGPGRP) == job.pid
    assert ioctl_set(w, job, slave, TIOCSPGRP, 9999) == -ESRCH
    assert ioctl_set(w, job, slave, TIOCSPGRP, -1) == -EINVAL
    stranger = w.proc()
    assert ioctl_set(w, job, slave, TIOCSPGRP, stranger.pid) == -EPERM


def test_interrupt_goes_to_the_foreground_group_only(w: FsWorld) -> None:
    shell, job, master, slave = shell_with_job(w)
    w.catch(shell, SIGINT)
    ioctl_set(w, shell, slave, TIOCSPGRP, job.pid)
    keyboard = w.proc(shell)
    w.write(keyboard, master, b"\x03")
    assert not job.alive
    assert job.group.exit_code == SIGINT
    assert w.handled(shell) == 0


def test_background_read_stops_with_sigttin(w: FsWorld) -> None:
    _, job, _, slave = shell_with_job(w)
    w.catch(job, SIGTTIN)
    w.read(job, slave, 10)
    assert w.handled(job) == SIGTTIN
    w.sigreturn(job)
    assert result(job) == -EINTR


def test_background_read_with_the_signal_ignored_is_eio(w: FsWorld) -> None:
    _, job, _, slave = shell_with_job(w)
    job.blocked = 1 << (SIGTTIN - 1)
    assert w.read(job, slave, 10) == -EIO


def test_background_write_is_allowed_unless_tostop(w: FsWorld) -> None:
    shell, job, _, slave = shell_with_job(w)
    assert w.write(job, slave, b"x") == 1
    assert change(w, shell, slave, on=TOSTOP) == 0
    w.catch(job, SIGTTOU)
    w.write(job, slave, b"x")
    assert w.handled(job) == SIGTTOU
    job.group.leader.sighand.action[SIGTTOU] = type(job.sighand.action[1])(handler=1)
    w.sigreturn(job)
    assert w.write(job, slave, b"y") == 1  # ignored: written


def test_background_settings_stop_with_sigttou(w: FsWorld) -> None:
    _, job, _, slave = shell_with_job(w)
    w.catch(job, SIGTTOU)
    change(w, job, slave, off=ECHO)
    assert w.handled(job) == SIGTTOU


def test_orphaned_group_gets_eio(w: FsWorld) -> None:
    shell, job, _, slave = shell_with_job(w)
    job.real_parent = job.parent = w.machine.pid1
    assert w.read(job, slave, 10) == -EIO
    assert change(w, job, slave, off=ECHO) == -EIO
    assert shell.alive


def test_exit_of_the_session_leader_takes_the_terminal(w: FsWorld) -> None:
    from pygos.drivers.tty.jobctl import disassociate_ctty

    shell, job, _, slave = shell_with_job(w)
    ioctl_set(w, shell, slave, TIOCSPGRP, job.pid)
    disassociate_ctty(shell)
    w.settle()
    assert not job.alive
    assert job.group.exit_code == SIGHUP
    assert job.group.ctty is None
    # A pty itself lives on.
    assert w.write(shell, slave, b"x") == 1


def test_hangup_signals_the_session(w: FsWorld) -> None:
    shell, _, master, _ = shell_with_job(w)
    w.catch(shell, SIGHUP)
    closer = w.proc(shell)
    for task in (shell, closer):
        file = task.files.fd[master]
        assert file.f_count >= 1
    # The job's copy of the descriptors holds the master too.
    for task in list(w.machine.pids.tasks.values()):
        if master in task.files.fd and task is not closer and task.on_cpu:
            w.call(task, "close", master)
    w.ok(closer, "close", master)
    assert w.handled(shell) == SIGHUP
    assert shell.group.ctty is None


def test_vhangup(w: FsWorld) -> None:
    shell, _, _, slave = shell_with_job(w)
    w.catch(shell, SIGHUP)
    w.catch(shell, SIGCONT)
    w.call(shell, "vhangup")
    assert shell.group.ctty is None
    helper = w.proc(shell)
    assert w.read(helper, slave, 1) == b""
    assert w.ok(w.proc(uid=5), "vhangup") == -EPERM


# -- what is refused


def test_injection_ioctls_are_refused(w: FsWorld) -> None:
    """T-TTY-01"""
    shell, _, master, slave = shell_with_job(w)
    text = w.put(shell, b"rm -rf /\n", 0x8000)
    assert ioctl(w, shell, slave, TIOCSTI, text) == -EIO
    assert ioctl(w, shell, master, TIOCSTI, text) == -EIO
    assert ioctl(w, shell, slave, TIOCLINUX, w.put(shell, b"\2" * 32, 0x8000)) == -ENOTTY
    assert w.poll(shell, {slave: IN}) == {}
    assert ioctl(w, shell, slave, 0x12345678) == -ENOTTY


def test_exclusive_mode(w: FsWorld) -> None:
    task = w.proc()
    _, slave = open_pty(w, task)
    assert ioctl(w, task, slave, TIOCEXCL) == 0
    user = w.proc(task)
    user.cred = w.proc(uid=7).cred
    task.files.fd[slave].f_inode.i_mode |= 0o666
    assert w.open(user, b"/dev/pts/0", O_RDWR) == -EBUSY


def test_other_line_disciplines_are_not_there(w: FsWorld) -> None:
    task = w.proc()
    _, slave = open_pty(w, task)
    assert ioctl_set(w, task, slave, TIOCSETD, 0) == 0
    assert ioctl_set(w, task, slave, TIOCSETD, 3) == -EINVAL


def test_settings_of_the_master_are_the_slaves(w: FsWorld) -> None:
    task = w.proc()
    master, slave = open_pty(w, task)
    change(w, task, master, off=ECHO)
    w.write(task, master, b"quiet\n")
    assert w.read(task, slave, 10) == b"quiet\n"
    assert w.poll(task, {master: IN}) == {}


def test_ptmx_without_devpts(w: FsWorld) -> None:
    task = w.proc()
    addr = w.put(task, b"/tmp/ptmx\0", 0x8000)
    assert w.ok(task, "mknodat", AT_FDCWD, addr, 0o020666, 5 << 8 | 2) == 0
    assert w.open(task, b"/tmp/ptmx", O_RDWR) == -ENODEV
    addr = w.put(task, b"/tmp/pts\0", 0x8000)
    assert w.ok(task, "mknodat", AT_FDCWD, addr, 0o020666, 136 << 8) == 0
    assert w.open(task, b"/tmp/pts", O_RDWR) == -EIO


def test_number_of_ptys_is_limited(w: FsWorld) -> None:
    task = w.proc()
    task.group.rlim[7] = (8192, 8192)
    root = w.machine.misc
    root["pty_count"] = 4095
    assert (w.open(task, b"/dev/ptmx", O_RDWR) or 0) >= 0
    assert w.open(task, b"/dev/ptmx", O_RDWR) == -ENOSPC


def test_nothing_is_left_when_all_is_closed(w: FsWorld) -> None:
    task = w.proc()
    before = w.machine.nr_files
    for _ in range(3):
        master, slave = open_pty(w, task)
        w.write(task, master, b"left behind")
        w.ok(task, "close", master)
        w.ok(task, "close", slave)
    assert w.machine.nr_files == before
    assert w.machine.misc["pty_count"] == 0
