# SPDX-License-Identifier: Apache-2.0
"""Values for random system calls: interesting numbers, constants of the ABI, filled structs.

``Arguments.make(name, parameters, fuzzer, task)`` gives the registers of one call. Every
pointer leads to a page of its own in the caller's data area, freshly filled with what the
call may expect there (a path, iovecs, a message header, ...) or with random words.
"""

from __future__ import annotations

import random
from struct import pack
from typing import Any

from tests.security.fuzz_tables import (
    AT_FDCWD,
    AT_FLAGS,
    EDGES,
    FD_KINDS,
    GOOD_PATHS,
    GROUPS,
    M64,
    MEMORY,
    NSEC,
    OPEN_FLAGS,
    PATHS,
    SIZES,
    TAME,
    TTY_IOCTLS,
    XATTR_NAMES,
    constants,
)
from tests.support.world import CODE, DATA, STACK_TOP


class Arguments:
    """Makes the registers of calls."""

    def __init__(self, rnd: random.Random) -> None:
        self.random = rnd
        self.constants = constants()
        self.wild = False

    def make(self, name: str, params: list[Any], fuzzer: Any, task: Any) -> list[int]:
        """Up to six registers for the call `name`: none, one or all of them wild."""
        rnd = self.random
        registers: list[int] = []
        choice = rnd.random()
        one = rnd.randrange(len(params)) if params and choice < 0.35 else -1
        for index, param in enumerate(params):
            area = DATA + 0x1000 + 0x2000 * len(registers)
            self.wild = index == one or choice > 0.85
            registers += [value & M64 for value in self.argument(name, param, fuzzer, task, area)]
        return registers

    def argument(self, name: str, param: Any, fuzzer: Any, task: Any, area: int) -> list[int]:
        """The one or two registers of one parameter."""
        kind, show = param.arg.kind, param.arg.show
        if self.wild and self.random.random() < 0.1:
            return [self.number() for _ in range(param.arg.regs)]
        if kind in ("buf_in", "buf_out"):
            return [self.pointer(name, param, fuzzer, task, area), self.size()]
        if kind in ("iov_in", "iov_out"):
            return self.iovec(fuzzer, task, area)
        if kind in ("path", "path_null"):
            return [self.path(fuzzer, task, area, name, param.name)]
        if kind in ("in", "in_null", "out", "outint") or show == "ptr":
            if (name, param.name) in TAME and not self.wild:
                return [self.random.choice(TAME[name, param.name])]
            if name in MEMORY and self.random.random() < 0.8:
                return [self.page()]
            return [self.pointer(name, param, fuzzer, task, area)]
        return [self.scalar(name, param, fuzzer, task)]

    # -- numbers

    def number(self) -> int:
        rnd = self.random
        choice = rnd.random()
        if choice < 0.6:
            return rnd.choice(EDGES)
        if choice < 0.8:
            return rnd.randrange(64)
        return rnd.getrandbits(rnd.choice((8, 16, 31, 32, 48, 63, 64)))

    def page(self) -> int:
        """A page of the program's or near it."""
        rnd = self.random
        base = rnd.choice((DATA, DATA, 0x2000_0000, 0x2000_0000, 0x2000_0000, STACK_TOP - 0x8000))
        return base + 4096 * rnd.randrange(16)

    def size(self) -> int:
        if not self.wild:
            return self.random.choice((1, 8, 16, 24, 100, 256, 4096, 8192, 12288, 32768))
        if self.random.random() < 0.3:
            return self.random.randrange(9000)
        return self.random.choice(SIZES)

    def scalar(self, name: str, param: Any, fuzzer: Any, task: Any) -> int:
        """A register that is no pointer."""
        rnd, show, what = self.random, param.arg.show, param.name
        if param.arg.kind in ("file", "rawfile") or show in ("fd", "dirfd") or "fd" in what:
            if (name, what) in TAME and not self.wild:
                return rnd.choice(TAME[name, what])
            return self.fd(task, name, show)
        if show == "pid" or what in ("who", "number"):
            return self.pid(task)
        if show == "signal":
            if not self.wild:
                return rnd.choice((0, 10, 12, 17, 18, 20, 23, 28, 34, 64))
            return rnd.choice((0, 1, 9, 10, 11, 12, 13, 14, 17, 18, 19, 20, 33, 34, 64, 65, -1))
        if not self.wild:
            return self.tame(name, param)
        groups = GROUPS.get((name, what)) or GROUPS.get(("", what))
        if groups and rnd.random() < 0.8:
            return self.flags(groups)
        if show == "octal":
            return rnd.choice((0, 0o644, 0o755, 0o7777, 0o777, 0o100644, 0o10644, 0o20666, M64))
        if what in ("size", "length", "len", "count", "usize", "addrlen"):
            return self.size()
        if what in ("user", "group") or what.endswith(("uid", "gid")):
            return rnd.choice((0, 1000, 1, 65534, M64, self.number()))
        return self.number()

    def tame(self, name: str, param: Any) -> int:
        """A value that the call should like."""
        rnd, what = self.random, param.name
        values = TAME.get((name, what)) or TAME.get(("", what))
        if values:
            return rnd.choice(values)
        if what == "cmd" and name == "ioctl":
            return rnd.choice(TTY_IOCTLS if rnd.random() < 0.8 else self.constants["ioctls.py"])
        if "flag" in what:
            if name.startswith("open"):
                return rnd.choice(OPEN_FLAGS)
            if name.endswith(("at", "at2", "statx")):
                return rnd.choice(AT_FLAGS)
            return rnd.choice((0, 0, 0, 0, 0o4000, 0o2000000, 1, 2, 4, 8, 16))
        if param.arg.show == "octal":
            return rnd.choice((0o644, 0o755, 0o777, 0o100644, 0o10644, 0o1777, 0o4755))
        if what in ("size", "length", "len", "count", "usize", "old_len", "new_len"):
            return self.size()
        if what in ("user", "group") or what.endswith(("uid", "gid")):
            return rnd.choice((0, 0, 1000, M64))
        if name in ("socketpair", "socket"):
            return 0
        if what == "optname":
            return rnd.randrange(1, 84)
        return rnd.choice((0, 0, 0, 1, 1, 2, 3, 8, 100, 4096, 8192))

    def flags(self, groups: tuple[str, ...]) -> int:
        rnd = self.random
        values = self.constants.get(rnd.choice(groups), (0,))
        result = 0
        for _ in range(rnd.choice((0, 1, 1, 1, 1, 2, 2, 3))):
            result |= rnd.choice(values)
        return result if rnd.random() < 0.95 else result ^ 1 << rnd.randrange(64)

    def fd(self, task: Any, name: str = "", show: str = "") -> int:
        rnd = self.random
        files = task.files.fd
        if show == "dirfd" and rnd.random() < 0.6:
            return AT_FDCWD
        kinds = ("Dir", "Root") if show == "dirfd" else FD_KINDS.get(name)
        if kinds and rnd.random() < 0.8:
            kind = rnd.choice(kinds)
            good = [fd for fd, file in files.items() if kind in type(file.f_op).__name__]
            if good:
                return int(rnd.choice(good))
        if files and (not self.wild or rnd.random() < 0.8):
            return int(rnd.choice(list(files)))
        return rnd.choice(
            (0, 1, 63, 64, 255, 1023, 1024, 1 << 20, (1 << 31) - 1, M64, 1 << 32, AT_FDCWD)
        )

    def pid(self, task: Any) -> int:
        rnd = self.random
        pids = list(task.machine.pids.tasks)
        choice = rnd.random()
        if choice < 0.4:
            return rnd.choice((0, task.pid, task.tgid))
        if choice < 0.8:
            return int(rnd.choice(pids))
        return rnd.choice((-1, -task.pid, 99999, 1 << 22, -(1 << 31), (1 << 31) - 1, 1))

    # -- memory

    def path(self, fuzzer: Any, task: Any, area: int, call: str = "", what: str = "") -> int:
        """A path in memory; some cross a page, some don't end before the memory does."""
        rnd = self.random
        if not self.wild:
            names: tuple[bytes, ...] = PATHS.names if rnd.random() < 0.3 else GOOD_PATHS
            if "xattr" in call and what == "name":
                names = XATTR_NAMES
            elif call == "mount" and what == "type":
                names = (b"tmpfs", b"proc", b"ramfs", b"overlay", b"devpts", b"sysfs", b"hostfs")
            elif call.startswith("exec"):
                names = (b"/tmp/prog", b"/tmp/prog", b"/tmp/script", b"/tmp/bad", b"/tmp/f")
            fuzzer.poke(task, area, rnd.choice(names)[:4200] + b"\0")
            return area
        if rnd.random() < 0.05:
            fuzzer.poke(task, DATA + 0x10000 - 8, b"/tmp/aaa")
            return DATA + 0x10000 - rnd.choice((8, 1))
        if rnd.random() < 0.15:
            return self.address()
        name = rnd.choice(PATHS.names)
        if rnd.random() < 0.1:
            name = name + b"/" + rnd.choice(PATHS.names)
        if rnd.random() < 0.1:
            area += 4096 - min(len(name), 4)
        fuzzer.poke(task, area, name[:4200] + b"\0")
        return area

    def address(self) -> int:
        """Somewhere in memory: good, at an edge, or nothing of the program's."""
        rnd = self.random
        if rnd.random() < 0.7:
            return DATA + rnd.randrange(0, 0x10000, 8)
        return rnd.choice((
            0, 1, DATA - 1, DATA + 0xFFFF, DATA + 0xFFF8, DATA + 0xFFC, DATA + 0x10000,
            STACK_TOP - 4096, STACK_TOP - 1, 0x400000, (1 << 47) - 4096, (1 << 47) - 1, 1 << 47,
            1 << 63, M64, M64 - 4095, M64 & -4, 0x7FFFFF000000, 4096, 0x2000_0000,
        ))  # fmt: skip

    def pointer(self, name: str, param: Any, fuzzer: Any, task: Any, area: int) -> int:
        """A pointer to what the call may like to find there."""
        rnd = self.random
        choice = rnd.random()
        if choice < (0.1 if self.wild else 0.04):
            return 0
        if self.wild and choice < 0.5:
            return self.address()
        data = self.contents(name, param, fuzzer, task, area)
        if self.wild:
            area += rnd.choice((0, 0, 1, 4, 8, 4096 - len(data) % 4096, 4092))
        fuzzer.poke(task, area, data)
        return area

    def contents(self, name: str, param: Any, fuzzer: Any, task: Any, area: int) -> bytes:
        rnd = self.random
        if name in _FILLERS and rnd.random() < 0.8:
            return bytes(_FILLERS[name](self, fuzzer, task, area))
        choice = rnd.random()
        if choice < 0.5:
            return self.words(task)
        if choice < 0.65:
            return pack("<4Q", *(rnd.choice(NSEC) for _ in range(4)))
        if choice < 0.75:
            return bytes(128)
        if choice < 0.85:
            return rnd.choice(PATHS.names)[:255] + b"\0"
        return rnd.randbytes(rnd.choice((1, 8, 64, 300, 5000)))

    def words(self, task: Any) -> bytes:
        """Random structs: words of 4 or 8 bytes with plausible values."""
        rnd = self.random
        out = []
        for _ in range(rnd.choice((1, 2, 4, 16, 40))):
            choice = rnd.random()
            if choice < (0.3 if self.wild else 0.7):
                value = rnd.choice((0, 0, 1, 2, 3, 8))
            elif choice < 0.5:
                value = self.number()
            elif choice < 0.65:
                value = self.address()
            elif choice < 0.8:
                value = self.fd(task) & 0xFFFFFFFF | rnd.getrandbits(6) << 32
            else:
                value = self.size()
            if rnd.random() < 0.5:
                out.append((value & M64).to_bytes(8, "little"))
            else:
                out.append((value & 0xFFFFFFFF).to_bytes(4, "little"))
        return b"".join(out)

    def iovec(self, fuzzer: Any, task: Any, area: int) -> list[int]:
        rnd = self.random
        count = rnd.choice((0, 1, 1, 2, 3, 8, 64))
        data = b"".join(pack("<QQ", self.address() & M64, self.size()) for _ in range(count))
        if rnd.random() < 0.7:
            sizes = (0, 1, 100, 5000)
            data = b"".join(
                pack("<QQ", DATA + rnd.randrange(0xE000), rnd.choice(sizes)) for _ in range(count)
            )
        fuzzer.poke(task, area, data)
        return [area, count if rnd.random() < 0.9 else rnd.choice((1024, 1025, M64, 1 << 31))]

    # -- what special calls like

    def sockaddr(self, fuzzer: Any, task: Any, area: int) -> bytes:
        rnd = self.random
        family = rnd.choice((1, 1, 1, 2, 10, 16, 0, 65535))
        rest = rnd.choice((b"/tmp/s\0", b"\0abstract", b"", b"/tmp/sock\0", b"x" * 108, bytes(26)))
        return pack("<H", family) + rest

    def msghdr(self, fuzzer: Any, task: Any, area: int) -> bytes:
        """A message header at `area`, its parts behind it."""
        rnd = self.random
        name = self.sockaddr(fuzzer, task, area)
        fds = [self.fd(task) & 0xFFFFFFFF for _ in range(rnd.choice((0, 1, 2, 253, 254)))]
        control = pack("<QII", 16 + 4 * len(fds), 1, rnd.choice((1, 2, 3)))
        control += b"".join(pack("<I", fd) for fd in fds)
        if rnd.random() < 0.3:
            control = self.words(task)
        fuzzer.poke(task, area + 0x200, name)
        fuzzer.poke(task, area + 0x400, control)
        vec = self.iovec(fuzzer, task, area + 0x1000)
        return pack(
            "<QIIQQQQI", rnd.choice((0, area + 0x200, self.address() & M64)),
            rnd.choice((0, len(name), 110, 1000)), 0, *(value & M64 for value in vec),
            rnd.choice((0, area + 0x400, self.address() & M64)),
            rnd.choice((0, len(control), self.size())), 0,
        )  # fmt: skip

    def argv(self, fuzzer: Any, task: Any, area: int) -> bytes:
        rnd = self.random
        pointers = [rnd.choice((area, area + 64, self.address())) for _ in range(rnd.randrange(20))]
        if rnd.random() < 0.8:
            pointers.append(0)
        return b"".join((pointer & M64).to_bytes(8, "little") for pointer in pointers)

    def pollfds(self, fuzzer: Any, task: Any, area: int) -> bytes:
        rnd = self.random
        return b"".join(
            pack("<IHH", self.fd(task) & 0xFFFFFFFF, rnd.getrandbits(16), 0)
            for _ in range(rnd.randrange(60))
        )

    def clone_args(self, fuzzer: Any, task: Any, area: int) -> bytes:
        rnd = self.random
        flags = self.flags(("CLONE",))
        rest = [rnd.choice((0, 0, 0, 17, self.address(), self.number())) & M64 for _ in range(10)]
        return pack("<11Q", flags & M64, *rest)

    def epoll_event(self, fuzzer: Any, task: Any, area: int) -> bytes:
        return pack("<IQ", self.random.getrandbits(32), self.number() & M64)

    def how(self, fuzzer: Any, task: Any, area: int) -> bytes:
        rnd = self.random
        flags, resolve = self.flags(("O",)), self.flags(("RESOLVE",))
        mode = rnd.choice((0, 0o644, 0o7777, M64))
        return pack("<QQQ", flags & M64, mode, resolve & M64)

    def flock(self, fuzzer: Any, task: Any, area: int) -> bytes:
        rnd = self.random
        start, length = rnd.choice(EDGES), rnd.choice(EDGES)
        return pack(
            "<hhiQQi", rnd.randrange(4), rnd.randrange(5), 0, start, length, rnd.choice((0, 1))
        )

    def fprog(self, fuzzer: Any, task: Any, area: int) -> bytes:
        """A program of classic BPF that often passes the check, behind its header."""
        rnd = self.random
        codes = (0x20, 0x20, 0x15, 0x25, 0x35, 0x45, 0x05, 0x54, 0x04, 0x34, 0x02, 0x60, 0x07, 0x87)
        actions = (0x7FFF0000, 0x7FFC0000, 0x50016, 0x30001, 0x7FF00000, 0x7FC00000, 0, 1 << 31)
        insns = [
            pack(
                "<HBBI", rnd.choice(codes), rnd.choice((0, 1)), 0, rnd.choice((0, 4, 8, 16, 39, 60))
            )
            for _ in range(rnd.randrange(8))
        ]
        insns += [pack("<HBBI", 6, 0, 0, rnd.choice((actions[0], rnd.choice(actions))))] * 2
        fuzzer.poke(task, area + 0x40, b"".join(insns))
        return pack("<HxxxxxxQ", len(insns), area + 0x40)

    def rseq(self, fuzzer: Any, task: Any, area: int) -> bytes:
        """An area whose critical section may be good."""
        rnd = self.random
        fuzzer.poke(task, area + 0x40, pack("<IIQQQ", 0, 0, CODE, 64, CODE + 128))
        return pack("<IIQIIII", 0, 0, rnd.choice((0, area + 0x40)), 0, 0, 0, 0)

    def bitmap(self, fuzzer: Any, task: Any, area: int) -> bytes:
        return self.random.randbytes(128)


_FILLERS: dict[str, Any] = {
    "bind": Arguments.sockaddr, "connect": Arguments.sockaddr, "sendto": Arguments.sockaddr,
    "accept": Arguments.sockaddr, "accept4": Arguments.sockaddr,
    "sendmsg": Arguments.msghdr, "recvmsg": Arguments.msghdr,
    "sendmmsg": Arguments.msghdr, "recvmmsg": Arguments.msghdr,
    "execve": Arguments.argv, "execveat": Arguments.argv,
    "poll": Arguments.pollfds, "ppoll": Arguments.pollfds,
    "select": Arguments.bitmap, "pselect6": Arguments.bitmap,
    "clone3": Arguments.clone_args, "epoll_ctl": Arguments.epoll_event,
    "seccomp": Arguments.fprog, "rseq": Arguments.rseq,
    "openat2": Arguments.how, "fcntl": Arguments.flock,
}  # fmt: skip
