# SPDX-License-Identifier: Apache-2.0
"""The text of --strace is what strace(1) prints for the same calls."""

from __future__ import annotations

import random
from struct import pack
from typing import Any

import pytest

from pygos.arch.x86.entry.syscall_64 import NUMBERS, SYSCALLS
from pygos.arch.x86.regs import RSP
from pygos.include.linux.sched import SigInfo
from pygos.include.uapi import fcntl, stat, time
from pygos.include.uapi.resource import Rlimit, Rusage
from pygos.include.uapi.signal import Sigaction
from pygos.include.uapi.termios import Termios
from pygos.init.calls import all_handlers
from pygos.kernel.decode import parameters
from pygos.kernel.trace import Strace, tables
from pygos.kernel.trace.call import Call
from pygos.kernel.trace.layout import find_formatter, make_layout
from pygos.kernel.trace.text import open_flags, quote, sigset, wait_status
from tests.kernel.guest import M64, Guest

HANDLERS = all_handlers()


class Text:
    """A sink that keeps what is written."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        self.text += text

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()


class Traced(Guest):
    """A guest whose calls are traced."""

    def __init__(self, strace: Strace | None = None, sink: Text | None = None, **kw: Any) -> None:
        super().__init__(**kw)
        self.sink = sink or Text()
        self.strace = strace or Strace(self.sink)
        self.task.trace = self.strace
        self.machine.syscalls = []
        for nr, name in SYSCALLS:
            handler = HANDLERS.get(name)
            if handler is not None:
                self.install(nr, handler)

    def enter(self, name: str, *args: int) -> None:
        self.set_call(NUMBERS[name], *args)
        self.strace.enter(self.task)

    def leave(self, result: int) -> None:
        self.strace.leave(self.task, result & M64)

    def call(self, name: str, *args: int, result: int = 0) -> str:
        """The line of one call, without the padding before its result."""
        self.enter(name, *args)
        self.leave(result)
        return squeeze(self.sink.lines[-1])


def squeeze(line: str) -> str:
    """Without the padding before the result."""
    head, _, tail = line.rpartition(" = ")
    return f"{head.rstrip()} = {tail}" if head else line


@pytest.fixture
def guest() -> Traced:
    return Traced()


# -- arguments going in


def test_opening_a_file(guest: Traced) -> None:
    path = guest.put(b"/etc/ld.so.cache\0")
    line = guest.call("openat", -100, path, 0o2000000, 0, result=3)
    assert line == 'openat(AT_FDCWD, "/etc/ld.so.cache", O_RDONLY|O_CLOEXEC) = 3'


def test_the_mode_is_shown_only_if_a_file_may_be_created(guest: Traced) -> None:
    path = guest.put(b"/tmp/xx\0")
    flags = fcntl.O_WRONLY | fcntl.O_CREAT | fcntl.O_TRUNC
    line = guest.call("openat", -100, path, flags, 0o666, result=8)
    assert line == 'openat(AT_FDCWD, "/tmp/xx", O_WRONLY|O_CREAT|O_TRUNC, 0666) = 8'


def test_an_error_has_its_name_and_text(guest: Traced) -> None:
    path = guest.put(b"/etc/ld.so.preload\0")
    line = guest.call("access", path, 4, result=-2)
    assert line == 'access("/etc/ld.so.preload", R_OK) = -1 ENOENT (No such file or directory)'


def test_the_result_stands_in_column_forty(guest: Traced) -> None:
    guest.enter("close", 3)
    guest.leave(0)
    assert guest.sink.text == "close(3)                                = 0\n"


def test_a_long_line_pushes_the_result_to_the_right(guest: Traced) -> None:
    guest.enter("mmap", 0, 8192, 3, 0x22, -1, 0)
    guest.leave(0x7F0000000000)
    assert guest.sink.text == (
        "mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0)"
        " = 0x7f0000000000\n"
    )


def test_a_file_offset_of_mmap_is_hex(guest: Traced) -> None:
    line = guest.call("mmap", 0, 57344, 1, 0x812, 3, 0x20000, result=0x1000)
    assert line.endswith("PROT_READ, MAP_PRIVATE|MAP_FIXED|MAP_DENYWRITE, 3, 0x20000) = 0x1000")


def test_bytes_written_are_cut_at_32(guest: Traced) -> None:
    data = guest.put(b"hello\0\1\x7f world")
    assert guest.call("write", 6, data, 14, result=14) == (
        'write(6, "hello\\0\\1\\177 world", 14) = 14'
    )
    data = guest.put(b"x" * 40)
    line = guest.call("write", 1, data, 40, result=40)
    assert line == f'write(1, "{"x" * 32}"..., 40) = 40'


def test_vectors(guest: Traced) -> None:
    first, second = guest.put(b"abc"), guest.put(b"def\n" * 20)
    iov = guest.put(pack("4Q", first, 3, second, 80))
    line = guest.call("writev", 6, iov, 2, result=83)
    assert line == (
        'writev(6, [{iov_base="abc", iov_len=3}, '
        '{iov_base="def\\ndef\\ndef\\ndef\\ndef\\ndef\\ndef\\ndef\\n"..., iov_len=80}], 2) = 83'
    )


def test_argv_of_execve(guest: Traced) -> None:
    strings = [guest.put(s) for s in (b"bash\0", b"-c\0", b"ls /tmp/nonexist; (exit 3); echo hi\0")]
    argv = guest.put(pack("4Q", *strings, 0))
    envp = guest.put(pack("3Q", strings[0], strings[1], 0))
    path = guest.put(b"/usr/bin/bash\0")
    line = guest.call("execve", path, argv, envp)
    assert line == (
        'execve("/usr/bin/bash", ["bash", "-c", "ls /tmp/nonexist; (exit 3); echo"...], '
        f"{envp:#x} /* 2 vars */) = 0"
    )


def test_an_endless_argv_is_cut(guest: Traced) -> None:
    argv = guest.put(pack("Q", guest.base) * 4096)
    line = guest.call("execve", guest.put(b"/x\0"), argv, 0, result=-7)
    assert line.count('""') + line.count('"..."') <= 40
    assert "...]" in line


def test_sleeping(guest: Traced) -> None:
    req = guest.put(time.Timespec(1, 5).to_bytes())
    line = guest.call("clock_nanosleep", 1, 1, req, 0)
    assert (
        line == "clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, {tv_sec=1, tv_nsec=5}, NULL) = 0"
    )


def test_an_interrupted_sleep_shows_what_is_left(guest: Traced) -> None:
    req = guest.put(time.Timespec(9, 0).to_bytes())
    rem = guest.put(time.Timespec(8, 7).to_bytes())
    line = guest.call("nanosleep", req, rem, result=-516)
    assert line == (
        "nanosleep({tv_sec=9, tv_nsec=0}, {tv_sec=8, tv_nsec=7})"
        " = ? ERESTART_RESTARTBLOCK (Interrupted by signal)"
    )


def test_signal_actions(guest: Traced) -> None:
    new = guest.put(Sigaction(0, 0x14000000, 0x7F70094D8050, 0).to_bytes())
    old = guest.put(Sigaction(1, 0, 0, 0x10002).to_bytes())
    line = guest.call("rt_sigaction", 17, new, old, 8)
    assert line == (
        "rt_sigaction(SIGCHLD, {sa_handler=SIG_DFL, sa_mask=[], "
        "sa_flags=SA_RESTORER|SA_RESTART, sa_restorer=0x7f70094d8050}, "
        "{sa_handler=SIG_IGN, sa_mask=[INT CHLD], sa_flags=0}, 8) = 0"
    )


def test_signal_masks(guest: Traced) -> None:
    mask = guest.put(pack("Q", 0x14002))
    line = guest.call("rt_sigprocmask", 0, mask, 0, 8)
    assert line == "rt_sigprocmask(SIG_BLOCK, [INT TERM CHLD], NULL, 8) = 0"


def test_futexes(guest: Traced) -> None:
    timeout = guest.put(time.Timespec(2973, 5).to_bytes())
    calls = {
        (0x81, 1, 0, 0, 0): "FUTEX_WAKE_PRIVATE, 1",
        (0x80, 2, 0, 0, 0): "FUTEX_WAIT_PRIVATE, 2, NULL",
        (0x80, 2, timeout, 0, 0): "FUTEX_WAIT_PRIVATE, 2, {tv_sec=2973, tv_nsec=5}",
        (0x189, 0, 0, 0, 0xFFFFFFFF): (
            "FUTEX_WAIT_BITSET_PRIVATE|FUTEX_CLOCK_REALTIME, 0, NULL, FUTEX_BITSET_MATCH_ANY"
        ),
        (4, 1, 2, 0x1000, 3): "FUTEX_CMP_REQUEUE, 1, 2, 0x1000, 3",
    }
    for args, text in calls.items():
        assert guest.call("futex", 0x1000, *args) == f"futex(0x1000, {text}) = 0"


def test_cloning(guest: Traced) -> None:
    line = guest.call("clone", 0x1200011, 0, 0, 0x7F7009499A10, 0, result=16360)
    assert line == (
        "clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD, "
        "child_tidptr=0x7f7009499a10) = 16360"
    )


def test_clone3_tells_the_number_it_wrote(guest: Traced) -> None:
    tid = guest.put(pack("i", 25123))
    args = guest.put(pack("11Q", 0x3D0F00, tid, tid, tid, 0, 0x1000, 0x7FFF80, 0x2000, 0, 0, 0))
    line = guest.call("clone3", args, 88, result=25123)
    assert line == (
        "clone3({flags=CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD|CLONE_SYSVSEM|"
        "CLONE_SETTLS|CLONE_PARENT_SETTID|CLONE_CHILD_CLEARTID, "
        f"child_tid={tid:#x}, parent_tid={tid:#x}, exit_signal=0, stack=0x1000, "
        "stack_size=0x7fff80, tls=0x2000} => {parent_tid=[25123]}, 88) = 25123"
    )


def test_prctl_shows_as_many_arguments_as_the_option_has(guest: Traced) -> None:
    name = guest.put(b"newname\0")
    assert guest.call("prctl", 15, name, 1, 2, 3) == 'prctl(PR_SET_NAME, "newname") = 0'
    assert guest.call("prctl", 3) == "prctl(PR_GET_DUMPABLE) = 0 (SUID_DUMP_DISABLE)"
    assert guest.call("prctl", 38, 1, 0, 0, 0) == "prctl(PR_SET_NO_NEW_PRIVS, 0x1, 0, 0, 0) = 0"
    line = guest.call("arch_prctl", 0x1002, 0x7F7009499740)
    assert line == "arch_prctl(ARCH_SET_FS, 0x7f7009499740) = 0"


def test_making_devices_and_pipes(guest: Traced) -> None:
    path = guest.put(b"/tmp/ff\0")
    line = guest.call("mknodat", -100, path, 0o10644, 5)
    assert line == 'mknodat(AT_FDCWD, "/tmp/ff", S_IFIFO|0644) = 0'
    line = guest.call("mknodat", -100, path, 0o20666, 0x103)
    assert line == 'mknodat(AT_FDCWD, "/tmp/ff", S_IFCHR|0666, makedev(0x1, 0x3)) = 0'


def test_owners_and_modes(guest: Traced) -> None:
    path = guest.put(b"/tmp/xx\0")
    assert guest.call("chmod", path, 0) == 'chmod("/tmp/xx", 000) = 0'
    assert guest.call("chown", path, -1, 0) == 'chown("/tmp/xx", -1, 0) = 0'
    assert guest.call("umask", 0o22, result=2) == "umask(022) = 002"


def test_file_times(guest: Traced) -> None:
    path = guest.put(b"x\0")
    times = guest.put(pack("4q", 1, 0, 0, (1 << 30) - 1))
    assert guest.call("utimensat", -100, path, 0, 0) == 'utimensat(AT_FDCWD, "x", NULL, 0) = 0'
    assert guest.call("utimensat", -100, path, times, 0x100) == (
        'utimensat(AT_FDCWD, "x", [{tv_sec=1, tv_nsec=0}, UTIME_NOW], AT_SYMLINK_NOFOLLOW) = 0'
    )


# -- what calls write


def test_bytes_read_are_shown_as_they_came(guest: Traced) -> None:
    elf = guest.put(b"\x7fELF\2\1\1" + bytes(9) + b"\3\0>\0\1\0\0\0" + bytes(40))
    assert guest.call("read", 3, elf, 832, result=832) == (
        'read(3, "\\177ELF\\2\\1\\1\\0\\0\\0\\0\\0\\0\\0\\0\\0\\3\\0>\\0\\1\\0\\0\\0\\0\\0\\0\\0'
        '\\0\\0\\0\\0"..., 832) = 832'
    )
    assert guest.call("read", 3, elf, 4096, result=0) == 'read(3, "", 4096) = 0'
    assert guest.call("read", 3, elf, 4096, result=-9) == (
        f"read(3, {elf:#x}, 4096) = -1 EBADF (Bad file descriptor)"
    )


def test_readv_shows_only_what_came(guest: Traced) -> None:
    first, second = guest.put(b"hello"), guest.put(b"\0world" + bytes(194))
    iov = guest.put(pack("4Q", first, 5, second, 200))
    assert guest.call("readv", 5, iov, 2, result=8) == (
        'readv(5, [{iov_base="hello", iov_len=5}, {iov_base="\\0wo", iov_len=200}], 2) = 8'
    )


def test_stat_of_files_and_devices(guest: Traced) -> None:
    path = guest.put(b"\0")
    st = guest.put(stat.Stat(st_mode=0o100644, st_size=34547).to_bytes())
    assert guest.call("newfstatat", 3, path, st, 0x1000) == (
        'newfstatat(3, "", {st_mode=S_IFREG|0644, st_size=34547, ...}, AT_EMPTY_PATH) = 0'
    )
    st = guest.put(stat.Stat(st_mode=0o20666, st_rdev=0x103).to_bytes())
    assert guest.call("fstat", 3, st) == (
        "fstat(3, {st_mode=S_IFCHR|0666, st_rdev=makedev(0x1, 0x3), ...}) = 0"
    )
    st = guest.put(stat.Stat(st_mode=0o41777, st_size=4096).to_bytes())
    assert "st_mode=S_IFDIR|S_ISVTX|0777" in guest.call("stat", guest.put(b"/tmp\0"), st)


def test_statx(guest: Traced) -> None:
    path = guest.put(b"/tmp\0")
    st = guest.put(stat.Statx(stx_mask=0x17FF, stx_mode=0o41777, stx_size=4096).to_bytes())
    assert guest.call("statx", -100, path, 0x800, 0x7FF, st) == (
        'statx(AT_FDCWD, "/tmp", AT_STATX_SYNC_AS_STAT|AT_NO_AUTOMOUNT, STATX_BASIC_STATS, '
        "{stx_mask=STATX_BASIC_STATS|STATX_MNT_ID, stx_attributes=0, "
        "stx_mode=S_IFDIR|S_ISVTX|0777, stx_size=4096, ...}) = 0"
    )


def test_pipes(guest: Traced) -> None:
    fds = guest.put(pack("2i", 5, 6))
    assert guest.call("pipe2", fds, 0o2000000) == "pipe2([5, 6], O_CLOEXEC) = 0"


def test_limits(guest: Traced) -> None:
    old = guest.put(Rlimit(8 << 20, M64).to_bytes())
    assert guest.call("prlimit64", 0, 3, 0, old) == (
        "prlimit64(0, RLIMIT_STACK, NULL, {rlim_cur=8192*1024, rlim_max=RLIM64_INFINITY}) = 0"
    )


def test_waiting_for_a_child(guest: Traced) -> None:
    status, usage = guest.put(pack("i", 0x300)), guest.put(Rusage().to_bytes())
    assert guest.call("wait4", -1, status, 0, usage, result=25122) == (
        "wait4(-1, [{WIFEXITED(s) && WEXITSTATUS(s) == 3}], 0, "
        "{ru_utime={tv_sec=0, tv_usec=0}, ru_stime={tv_sec=0, tv_usec=0}, ...}) = 25122"
    )
    assert (
        guest.call("wait4", -1, status, 1, 0, result=0)
        == f"wait4(-1, {status:#x}, WNOHANG, NULL) = 0"
    )


def test_wait_statuses() -> None:
    assert wait_status(9) == "{WIFSIGNALED(s) && WTERMSIG(s) == SIGKILL}"
    assert wait_status(0x8B) == "{WIFSIGNALED(s) && WTERMSIG(s) == SIGSEGV && WCOREDUMP(s)}"
    assert wait_status(0x137F) == "{WIFSTOPPED(s) && WSTOPSIG(s) == SIGSTOP}"
    assert wait_status(0xFFFF) == "{WIFCONTINUED(s)}"


def test_terminals(guest: Traced) -> None:
    termios = guest.put(Termios(0x500, 5, 0xBF, 0x8A3B).to_bytes())
    assert guest.call("ioctl", 4, 0x5401, termios) == (
        "ioctl(4, TCGETS, {c_iflag=ICRNL|IXON, c_oflag=NL0|CR0|TAB0|BS0|VT0|FF0|OPOST|ONLCR, "
        "c_cflag=B38400|CS8|CREAD, c_lflag=ISIG|ICANON|ECHO|ECHOE|ECHOK|ECHOCTL|ECHOKE|IEXTEN, "
        "...}) = 0"
    )
    assert guest.call("ioctl", 0, 0x5401, 0x7FFDF8D181C0, result=-25) == (
        "ioctl(0, TCGETS, 0x7ffdf8d181c0) = -1 ENOTTY (Inappropriate ioctl for device)"
    )
    assert guest.call("ioctl", 3, 0x5451, 0x1234) == "ioctl(3, FIOCLEX) = 0"
    size = guest.put(pack("4H", 24, 80, 0, 0))
    assert guest.call("ioctl", 4, 0x5413, size) == (
        "ioctl(4, TIOCGWINSZ, {ws_row=24, ws_col=80, ws_xpixel=0, ws_ypixel=0}) = 0"
    )
    assert guest.call("ioctl", 4, 0xC0081234, 5, result=-25).startswith(
        "ioctl(4, _IOC(_IOC_READ|_IOC_WRITE, 0x12, 0x34, 0x8), 0x5) = -1"
    )


def test_fcntl(guest: Traced) -> None:
    assert guest.call("fcntl", 0, 3, 0, result=0x8000) == (
        "fcntl(0, F_GETFL) = 0x8000 (flags O_RDONLY|O_LARGEFILE)"
    )
    assert guest.call("fcntl", 0, 2, 1) == "fcntl(0, F_SETFD, FD_CLOEXEC) = 0"
    assert guest.call("fcntl", 0, 1, 7, result=1) == "fcntl(0, F_GETFD) = 0x1 (flags FD_CLOEXEC)"
    lock = guest.put(fcntl.Flock(1, 0, 0, 0).to_bytes())
    assert guest.call("fcntl", 9, 6, lock) == (
        "fcntl(9, F_SETLK, {l_type=F_WRLCK, l_whence=SEEK_SET, l_start=0, l_len=0}) = 0"
    )


def test_poll_and_select_tell_what_is_ready(guest: Traced) -> None:
    fds = guest.put(pack("ihh", 5, 1, 0))
    assert guest.call("poll", fds, 1, 10) == "poll([{fd=5, events=POLLIN}], 1, 10) = 0 (Timeout)"
    fds = guest.put(pack("ihh", 5, 1, 1))
    assert guest.call("poll", fds, 1, -1, result=1) == (
        "poll([{fd=5, events=POLLIN}], 1, -1) = 1 ([{fd=5, revents=POLLIN}])"
    )
    readable, writable = guest.put(pack("Q", 1 << 5)), guest.put(pack("Q", 1 << 6))
    left = guest.put(time.Timespec(0, 99998821).to_bytes())
    assert guest.call("pselect6", 7, readable, writable, 0, left, 0, result=2) == (
        "pselect6(7, [5], [6], NULL, {tv_sec=0, tv_nsec=99998821}, NULL)"
        " = 2 (in [5], out [6], left {tv_sec=0, tv_nsec=99998821})"
    )


def test_epoll(guest: Traced) -> None:
    event = guest.put(pack("<IQ", 1, 5))
    assert guest.call("epoll_ctl", 7, 1, 5, event) == (
        "epoll_ctl(7, EPOLL_CTL_ADD, 5, {events=EPOLLIN, data={u32=5, u64=5}}) = 0"
    )
    assert guest.call("epoll_wait", 7, event, 1023, 100, result=1) == (
        "epoll_wait(7, [{events=EPOLLIN, data={u32=5, u64=5}}], 1023, 100) = 1"
    )


def test_lists_of_ids_and_cpus(guest: Traced) -> None:
    data = guest.put(pack("4i", 3, 0, 7, 0))
    assert guest.call("getgroups", 2, data, result=2) == "getgroups(2, [3, 0]) = 2"
    assert guest.call("getgroups", 0, 0) == "getgroups(0, NULL) = 0"
    assert guest.call("sched_getaffinity", 0, 8, data, result=8) == (
        "sched_getaffinity(0, 8, [0 1]) = 8"
    )


def test_random_bytes_and_directories(guest: Traced) -> None:
    data = guest.put(b"\xb3\xd5\x2a\x25")
    assert guest.call("getrandom", data, 4, 1, result=4) == (
        'getrandom("\\xb3\\xd5\\x2a\\x25", 4, GRND_NONBLOCK) = 4'
    )
    entries = guest.put((pack("<QqHB", 1, 2, 24, 4) + b".\0\0\0\0") * 3)
    assert guest.call("getdents64", 8, entries, 32768, result=72) == (
        f"getdents64(8, {entries:#x} /* 3 entries */, 32768) = 72"
    )
    cwd = guest.put(b"/tmp\0")
    assert guest.call("getcwd", cwd, 1024, result=5) == 'getcwd("/tmp", 1024) = 5'


def test_unreadable_memory_is_shown_as_an_address(guest: Traced) -> None:
    assert guest.call("openat", -100, 0x1000, 0, result=-14) == (
        "openat(AT_FDCWD, 0x1000, O_RDONLY) = -1 EFAULT (Bad address)"
    )
    assert guest.call("write", 1, 0xFFFF800000000000, 5, result=-14) == (
        "write(1, 0xffff800000000000, 5) = -1 EFAULT (Bad address)"
    )


def test_a_call_that_is_not_there(guest: Traced) -> None:
    line = guest.call("kexec_load", 1, 2, 3, 4, result=-38)
    assert line == "kexec_load(0x1, 0x2, 0x3, 0x4, 0, 0) = -1 ENOSYS (Function not implemented)"
    guest.set_call(1000, 7)
    guest.strace.enter(guest.task)
    guest.leave(-38)
    assert guest.sink.lines[-1].startswith("syscall_0x3e8(0x7, 0, 0, 0, 0, 0)")


def test_rights_locks_and_advice(guest: Traced) -> None:
    path = guest.put(b"/tmp\0")
    assert guest.call("access", path, 6) == 'access("/tmp", R_OK|W_OK) = 0'
    assert guest.call("access", path, 0) == 'access("/tmp", F_OK) = 0'
    lock = guest.put(fcntl.Flock(1, 0, 0, 0, 77).to_bytes())
    assert guest.call("fcntl", 9, 5, lock) == (
        "fcntl(9, F_GETLK, {l_type=F_WRLCK, l_whence=SEEK_SET, l_start=0, l_len=0, l_pid=77}) = 0"
    )
    assert "l_pid" not in guest.call("fcntl", 9, 6, lock)
    assert guest.call("fadvise64", 3, 0, 0, 2) == "fadvise64(3, 0, 0, POSIX_FADV_SEQUENTIAL) = 0"


def test_returning_from_a_handler_tells_the_mask(guest: Traced) -> None:
    guest.set_call(NUMBERS["rt_sigreturn"])
    guest.task.regs[RSP] = guest.put(bytes(296) + pack("Q", 0x10000))
    guest.strace.enter(guest.task)
    guest.leave(-4)
    line = squeeze(guest.sink.lines[-1])
    assert line == "rt_sigreturn({mask=[CHLD]}) = -1 EINTR (Interrupted system call)"


# -- several tasks, signals, the end


def two_tasks() -> tuple[Traced, Traced]:
    parent = Traced()
    child = Traced(parent.strace, parent.sink, machine=parent.machine, pid=101)
    return parent, child


def test_lines_of_several_tasks() -> None:
    parent, child = two_tasks()
    assert parent.call("clone", 0x11, 0, 0, 0, 0, result=101).startswith("clone(")
    parent.enter("wait4", -1, parent.put(pack("i", 0x200)), 0, 0)
    assert parent.sink.text.endswith("wait4(-1, ")
    child.enter("exit_group", 2)
    child.strace.exited(child.task, 0x200)
    parent.leave(101)
    parent.call("getpid", result=100)
    assert [squeeze(line) for line in parent.sink.lines[1:]] == [
        "wait4(-1,  <unfinished ...>",
        "strace: Process 101 attached",
        "[pid   101] exit_group(2) = ?",
        "[pid   101] +++ exited with 2 +++",
        "<... wait4 resumed>[{WIFEXITED(s) && WEXITSTATUS(s) == 2}], 0, NULL) = 101",
        "getpid() = 100",
    ]


def test_a_call_shown_whole_before_another_task_came() -> None:
    parent, child = two_tasks()
    parent.enter("futex", 0x1000, 0x80, 2, 0)
    child.call("getpid", result=101)
    parent.leave(0)
    assert [squeeze(line) for line in parent.sink.lines] == [
        "futex(0x1000, FUTEX_WAIT_PRIVATE, 2, NULL <unfinished ...>",
        "strace: Process 101 attached",
        "[pid   101] getpid() = 101",
        "[pid   100] <... futex resumed>) = 0",
    ]


def test_arguments_are_read_when_the_call_begins() -> None:
    parent, child = two_tasks()
    old = parent.put(pack("Q", 0))
    mask = parent.put(pack("Q", 2))
    parent.enter("rt_sigtimedwait", mask, 0, old, 8)
    parent.task.mm.write(mask, pack("Q", 4))  # type: ignore[union-attr]
    child.call("getpid", result=101)
    parent.leave(2)
    assert "rt_sigtimedwait([INT],  <unfinished ...>" in parent.sink.lines[0]


def test_a_signal_that_is_delivered(guest: Traced) -> None:
    guest.enter("pause")
    guest.leave(-514)
    guest.strace.signal(guest.task, SigInfo(10, 0, pid=7, uid=0))
    guest.strace.signal(guest.task, SigInfo(11, 1, addr=0))
    guest.strace.signal(guest.task, SigInfo(17, 1, pid=101, status=2))
    guest.strace.signal(guest.task, SigInfo(17, 2, pid=101, status=9, utime=3))
    guest.strace.signal(guest.task, SigInfo(14, 0x80))
    guest.strace.stopped(guest.task, 20)
    assert [squeeze(line) if "pause" in line else line for line in guest.sink.lines] == [
        "pause() = ? ERESTARTNOHAND (To be restarted if no handler)",
        "--- SIGUSR1 {si_signo=SIGUSR1, si_code=SI_USER, si_pid=7, si_uid=0} ---",
        "--- SIGSEGV {si_signo=SIGSEGV, si_code=SEGV_MAPERR, si_addr=NULL} ---",
        (
            "--- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=101, si_uid=0, si_status=2, "
            "si_utime=0, si_stime=0} ---"
        ),
        (
            "--- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_KILLED, si_pid=101, si_uid=0, "
            "si_status=SIGKILL, si_utime=3 /* 0.03 s */, si_stime=0} ---"
        ),
        "--- SIGALRM {si_signo=SIGALRM, si_code=SI_KERNEL} ---",
        "--- stopped by SIGTSTP ---",
    ]


def test_an_ignored_signal_is_shown_after_the_call_it_came_in(guest: Traced) -> None:
    guest.enter("getpid")
    guest.strace.sent(guest.task, SigInfo(28, 0x80))
    guest.leave(100)
    guest.strace.sent(guest.task, SigInfo(28, 0x80))
    line = "--- SIGWINCH {si_signo=SIGWINCH, si_code=SI_KERNEL} ---"
    assert guest.sink.lines[1:] == [line, line]


def test_a_task_killed_in_a_call(guest: Traced) -> None:
    guest.enter("read", 0, guest.base, 1)
    guest.strace.exited(guest.task, 9)
    assert guest.sink.lines == [
        "read(0,  <unfinished ...>)              = ?",
        "+++ killed by SIGKILL +++",
    ]
    guest.leave(0)
    assert len(guest.sink.lines) == 2, "a dead task's call doesn't return"


def test_tasks_never_seen_leave_no_trace(guest: Traced) -> None:
    guest.strace.exited(guest.task, 0)
    guest.leave(0)
    assert guest.sink.text == ""


def test_the_first_program(guest: Traced) -> None:
    guest.strace.started(guest.task, b"/bin/true", [b"true"], [b"A=1"])
    assert guest.sink.text.startswith('execve("/bin/true", ["true"], ')
    assert guest.sink.text.endswith(" /* 1 var */) = 0\n")


# -- it never fails


@pytest.mark.parametrize("name", sorted(HANDLERS))
def test_every_call_can_be_shown_with_any_registers(name: str) -> None:
    rng = random.Random(name)
    guest = Traced()
    guest.put(rng.randbytes(4096))
    interesting = [0, 1, 2, 8, M64, 1 << 31, guest.base, guest.base + 16, guest.base + 4090, 0x1000]
    layout = make_layout(name, HANDLERS[name])
    for result in (0, 1, 5, 1 << 40, -2 & M64, -512 & M64):
        for _ in range(4):
            args = tuple(rng.choice([*interesting, rng.getrandbits(64)]) for _ in range(6))
            call = Call(guest.task, NUMBERS[name], args)
            call.result = result
            call.failed = result >= M64 - 4095
            for slot in layout.slots:
                if not (call.failed and slot.when == 1):
                    text = slot.show(call, slot.index)
                    assert text is None or "\n" not in text
            if not call.failed:
                layout.ret(call)


@pytest.mark.parametrize("name", sorted(tables.WORDS))
def test_each_line_of_the_table_fits_its_call(name: str) -> None:
    assert name in NUMBERS
    words = [word for word in tables.WORDS[name] if word[0] != "="]
    for word in words:
        bare = word.lstrip("+").partition("@")[0]
        assert bare == "." or find_formatter(bare)
    handler = HANDLERS.get(name)
    if handler is not None and name not in ("clone3", "rt_sigreturn"):
        registers = sum(param.arg.regs for param in parameters(handler))
        assert len(words) == registers, f"{name} has {registers} arguments"


def test_a_formatter_that_fails_shows_a_number(guest: Traced, monkeypatch: Any) -> None:
    monkeypatch.setattr(guest.task, "mm", object())
    assert (
        guest.call("openat", -100, 0x1234, 0, result=3) == "openat(AT_FDCWD, 0x1234, O_RDONLY) = 3"
    )


def test_a_sink_that_fails_ends_the_tracing(guest: Traced) -> None:
    class Broken:
        def write(self, text: str) -> None:
            raise BrokenPipeError

    strace = Strace(Broken())
    guest.set_call(39)
    for _ in range(2):
        strace.enter(guest.task)
        strace.leave(guest.task, 1)
        strace.signal(guest.task, SigInfo(10))
        strace.exited(guest.task, 0)


# -- text


def test_quoting() -> None:
    assert quote(b'a"b\\c\n\t') == '"a\\"b\\\\c\\n\\t"'
    assert quote(b"\x001\x00a") == '"\\0001\\0a"'
    assert quote(b"\x1b]0;evil\x07") == '"\\33]0;evil\\7"'
    assert quote("é".encode()) == '"\\303\\251"'


def test_sets_of_most_signals_show_what_is_missing() -> None:
    assert sigset(M64) == "~[]"
    assert sigset(M64 & ~(1 << 32)) == "~[RT_1]"
    assert sigset(0x180000000) == "[RTMIN RT_1]"


def test_open_flags_have_strace_order() -> None:
    flags = fcntl.O_NONBLOCK | fcntl.O_CLOEXEC | fcntl.O_DIRECTORY
    assert open_flags(flags) == "O_RDONLY|O_NONBLOCK|O_CLOEXEC|O_DIRECTORY"
