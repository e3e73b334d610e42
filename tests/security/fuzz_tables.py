# SPDX-License-Identifier: Apache-2.0
"""Tables of values that are interesting to system calls: numbers, paths, flags, descriptors."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from struct import pack
from types import SimpleNamespace

import pygos.include.uapi as uapi
from tests.support.world import DATA

M64 = (1 << 64) - 1
AT_FDCWD = M64 & -100
EDGES = (
    0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 63, 64, 65, 127, 128, 255, 256, 1000, 1024, 1025,
    4095, 4096, 4097, 65535, 65536, 1 << 20, 1 << 24, (1 << 31) - 1, 1 << 31, (1 << 31) + 1,
    (1 << 32) - 1, 1 << 32, 1 << 40, (1 << 47) - 4096, (1 << 47) - 1, 1 << 47, (1 << 62),
    (1 << 63) - 4096, (1 << 63) - 1, 1 << 63, M64, M64 - 1, M64 - 7, M64 - 99, M64 - 4095,
)  # fmt: skip
SIZES = (
    0, 1, 2, 4, 8, 12, 16, 24, 32, 56, 64, 72, 88, 100, 128, 256, 1000, 1024, 2048, 4095, 4096,
    4097, 8192, 65536, 1 << 20, 100 << 20, (1 << 31) - 1, 1 << 31, (1 << 31) - 4096, 1 << 32,
    1 << 40, (1 << 63) - 1, 1 << 63, M64,
)  # fmt: skip
NSEC = (0, 1, 1000, 10**9 - 1, 10**9, M64, 0x3FFFFFFF, 0x3FFFFFFE, 1 << 62, 1 << 63)

#: A program of 4 KiB: an ELF header and one segment.
_ELF = (
    b"\x7fELF\2\1\1".ljust(16, b"\0")
    + pack("<HHIQQQIHHHHHH", 2, 62, 1, 0x400078, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    + pack("<IIQQQQQQ", 1, 7, 0, 0x400000, 0x400000, 4096, 8192, 4096)
).ljust(4096, b"\x90")

PATHS = SimpleNamespace(
    setup=(
        ("mkdir", b"/tmp/d"),
        ("mkdir", b"/tmp/d/e"),
        ("mkdir", b"/tmp/up"),
        ("mkdir", b"/tmp/work"),
        ("file", b"/tmp/f", b"hello world\n" * 1000, 0o666),
        ("file", b"/tmp/g", b"", 0o644),
        ("file", b"/tmp/d/x", b"x", 0o600),
        ("file", b"/tmp/prog", _ELF, 0o755),
        ("file", b"/tmp/bad", _ELF[:64] + bytes(range(256)) * 4, 0o755),
        ("file", b"/tmp/script", b"#!/tmp/prog -x y\n", 0o755),
        ("file", b"/tmp/loop.sh", b"#!/tmp/loop.sh\n", 0o755),
        ("symlink", b"/tmp/l", b"f"),
        ("symlink", b"/tmp/ld", b"/tmp/d"),
        ("symlink", b"/tmp/loop", b"loop"),
        ("symlink", b"/tmp/gone", b"nowhere"),
        ("node", b"/tmp/fifo", 0o10666, 0),
        ("node", b"/tmp/null", 0o20666, 0x103),
        ("node", b"/tmp/blk", 0o60666, 0x700),
        ("node", b"/tmp/sock", 0o140666, 0),
    ),
    #: The descriptors that every process has: (path, flags).
    opened=(
        (b"/tmp/f", 0o2),
        (b"/tmp/f", 0o0),
        (b"/tmp/g", 0o2001),
        (b"/tmp/f", 0o40002),
        (b"/tmp", 0o200000),
        (b"/", 0o200000),
        (b"/tmp/f", 0o10000000),
        (b"/tmp/l", 0o10400000),
        (b"/tmp/fifo", 0o4002),
        (b"/tmp", 0o20200002),
        (b"/dev/null", 0o2),
        (b"/dev/zero", 0o2),
        (b"/dev/full", 0o2),
        (b"/dev/urandom", 0o2),
        (b"/dev/kmsg", 0o4002),
        (b"/dev/ptmx", 0o4002),
        (b"/proc", 0o200000),
        (b"/proc/self/mem", 0o2),
        (b"/proc/self/maps", 0o0),
        (b"/proc/self/pagemap", 0o0),
        (b"/proc/self/fd", 0o200000),
        (b"/proc/self/comm", 0o2),
        (b"/proc/sys/kernel/hostname", 0o2),
        (b"/proc/mounts", 0o0),
        (b"/sys", 0o200000),
    ),
    names=(
        b"/tmp/f", b"/tmp/g", b"/tmp/l", b"/tmp/ld", b"/tmp/loop", b"/tmp/gone", b"/tmp/d",
        b"/tmp/d/e", b"/tmp/d/x", b"/tmp/fifo", b"/tmp/null", b"/tmp/blk", b"/tmp/sock",
        b"/tmp/new", b"/tmp/new2", b"/tmp", b"/", b"", b".", b"..", b"f", b"d/", b"//tmp//d/../f",
        b"/tmp/f/", b"/tmp/f/x", b"/proc", b"/proc/self", b"/proc/self/exe", b"/proc/self/mem",
        b"/proc/self/fd", b"/proc/self/fd/0", b"/proc/self/fd/3", b"/proc/self/cwd/f",
        b"/proc/self/root/tmp", b"/proc/self/status", b"/proc/self/stat", b"/proc/self/maps",
        b"/proc/self/smaps", b"/proc/self/environ", b"/proc/self/cmdline", b"/proc/self/auxv",
        b"/proc/self/oom_score_adj", b"/proc/self/task", b"/proc/self/limits", b"/proc/self/ns",
        b"/proc/self/mountinfo", b"/proc/self/fdinfo/3", b"/proc/self/timers", b"/proc/1",
        b"/proc/self/ns/uts", b"/proc/thread-self", b"/proc/sys/kernel", b"/proc/sys/fs",
        b"/proc/sys/kernel/pid_max", b"/proc/sys/fs/pipe-max-size", b"/proc/sys/kernel/hostname",
        b"/proc/sys/vm/overcommit_memory", b"/proc/meminfo", b"/proc/stat", b"/proc/locks",
        b"/proc/cpuinfo", b"/proc/99999", b"/sys", b"/sys/kernel", b"/dev", b"/dev/null",
        b"/dev/zero", b"/dev/full", b"/dev/random", b"/dev/kmsg", b"/dev/tty", b"/dev/ptmx",
        b"/dev/pts", b"/dev/pts/0", b"/dev/pts/1", b"/dev/console", b"/dev/shm", b"/mnt",
        b"/mnt/f", b"/tmp/prog", b"/tmp/bad", b"/tmp/script", b"/tmp/loop.sh", b"/tmp/up",
        b"/tmp/work", b"x" * 255, b"x" * 256, b"/tmp/" + b"y" * 255, b"/" * 4095, b"z" * 4096,
        b"d/" * 2000, b"../" * 1300, b"/tmp/ld" + b"/.." * 900, b"\xff\xfe\n\x1b", b"tmpfs",
        b"proc", b"overlay", b"user.a", b"user.b", b"trusted.x", b"security.capability",
        b"system.posix_acl_access", b"system.posix_acl_default", b"user." + b"n" * 250,
        b"lowerdir=/tmp/d,upperdir=/tmp/up,workdir=/tmp/work", b"size=1m,mode=755", b"size=-1",
        b"size=99999999999999999999999k", b"nr_inodes=0x", b",,,=,", b"lowerdir=/:/:/",
        b"sysfs", b"devpts", b"ramfs", b"devtmpfs", b"hostfs",
    ),
)  # fmt: skip

#: Calls that make the rest of the descriptors, with their arguments.
SETUP: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("ioctl", (15, 0x40045431, DATA)),  # TIOCSPTLCK
    ("ioctl", (15, 0x5441, 0o4002)),  # TIOCGPTPEER
    ("pipe2", (DATA + 0xD000, 0)),
    ("pipe2", (DATA + 0xD000, 0o4000)),
    ("eventfd2", (3, 0o4000)),
    ("eventfd2", (0, 1)),
    ("epoll_create1", (0,)),
    ("epoll_create1", (0,)),
    ("timerfd_create", (1, 0o4000)),
    ("signalfd4", (M64, DATA + 0xD000, 8, 0o4000)),
    ("memfd_create", (DATA + 0xDF00, 2)),
    ("socketpair", (1, 1, 0, DATA + 0xD000)),
    ("socketpair", (1, 2 | 0o4000, 0, DATA + 0xD000)),
    ("socketpair", (1, 5 | 0o4000, 0, DATA + 0xD000)),
    ("socket", (1, 1 | 0o4000, 0)),
    ("socket", (2, 1 | 0o4000, 0)),
    ("socket", (2, 2 | 0o4000, 0)),
    ("socket", (16, 3 | 0o4000, 0)),
    ("pidfd_open", (1, 0)),
    ("inotify_init1", (0o4000,)),
)


#: What a call likes to get, by the class of the file's operations.
_FD_KINDS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2"), ("Eventpoll",)),
    (("timerfd_settime", "timerfd_gettime"), ("Timerfd",)),
    (("signalfd", "signalfd4"), ("Signalfd",)),
    (("pidfd_send_signal", "pidfd_getfd"), ("Pidfd",)),
    (("splice", "tee", "vmsplice"), ("Pipe", "Tmpfs", "Pipe")),
    (("getdents", "getdents64", "fchdir"), ("Dir", "Root")),
    (
        ("bind", "connect", "listen", "accept", "accept4", "sendto", "sendmsg", "recvfrom",
         "recvmsg", "shutdown", "getsockname", "getpeername", "getsockopt", "setsockopt",
         "sendmmsg", "recvmmsg"),
        ("Sock",),
    ),
    (("ioctl",), ("Tty", "Pipe", "Kmsg", "Urandom", "Sock", "Tmpfs", "Dir", "Tty", "Tty")),
    (
        ("mmap", "fallocate", "ftruncate", "pread64", "pwrite64", "preadv", "pwritev", "preadv2",
         "pwritev2", "sendfile", "copy_file_range", "lseek", "fsetxattr", "fgetxattr",
         "flistxattr", "fremovexattr", "cachestat", "flock"),
        ("Tmpfs", "Memfd", "Tmpfs", "Synthetic", "Mem"),
    ),
)  # fmt: skip
FD_KINDS = {name: kinds for names, kinds in _FD_KINDS for name in names}

#: Small values for parameters that have a few good ones.
TAME: dict[tuple[str, str], tuple[int, ...]] = {
    ("", "sigsetsize"): (8,),
    ("", "sizemask"): (8,),
    ("", "timer_id"): (0, 0, 1, 2),
    ("", "which"): (0, 1, 2),
    ("rt_sigprocmask", "how"): (0, 1, 2),
    ("capget", "header"): (DATA,),
    ("set_robust_list", "length"): (24,),
    ("", "how"): (0, 1, 2),
    ("epoll_ctl", "op"): (1, 1, 1, 2, 3),
    ("", "maxevents"): (1, 10, 1000),
    ("", "timeout"): (0, 0, 0, 10, 1000, -1),
    ("", "nr_futexes"): (1, 2, 5, 128),
    ("futex", "op"): (*range(14), *(128 + n for n in range(14)), 256 + 9, 384 + 0),
    ("futex_wait", "flags"): (2, 0x82),
    ("futex_wake", "flags"): (2, 0x82),
    ("", "mask"): (0xFFFFFFFF, 1),
    ("", "clockid"): (0, 1),
    ("", "which_clock"): (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11),
    ("clone", "flags"): (
        0,
        17,
        17,
        0x4111,
        0x3D0F00,
        0x3D0F00,
        0x100,
        0x1200011,
        0x11,
        0x8011,
        0x1011,
        0xFF,
        0x50F00,
    ),
    ("seccomp", "operation"): (0, 1, 1, 1, 1, 2, 3),
    ("seccomp", "flags"): (0, 0, 0, 1, 2, 4, 8, 8, 17, 25, 32, 40, 63),
    ("rseq", "length"): (32, 32, 32, 64),
    ("rseq", "flags"): (0, 0, 0, 1),
    ("rseq", "sig"): (0, 0, 1),
    ("socket", "family"): (1, 1, 1, 2, 10, 16),
    ("socketpair", "family"): (1,),
    ("", "type_"): (1, 2, 5, 0o4001, 0o4002, 0o4005),
    ("", "protocol"): (0,),
    ("", "level"): (1, 1, 1, 1, 0, 6),
    ("", "backlog"): (0, 1, 10),
    ("mmap", "flags"): (
        0x22,
        0x21,
        0x32,
        0x31,
        1,
        2,
        0x11,
        0x12,
        0x8022,
        0x122,
        0x100022,
        0x4022,
        3,
    ),
    ("mmap", "prot"): (0, 1, 3, 3, 3, 5, 7),
    ("mprotect", "prot"): (0, 1, 3, 5, 7, 0x1000003, 0x2000003),
    ("mremap", "flags"): (0, 1, 1, 3, 5, 7),
    ("", "init_val"): (0,),
    ("pkey_alloc", "flags"): (0,),
    ("", "pkey"): (-1, 0, 1),
    ("madvise", "advice"): (*range(26), 100, 101),
    ("mlock", "flags"): (0, 1),
    ("", "options"): (1, 1, 3, 5, 0x40000001, 0x80000001, 0x20000001, 9),
    ("waitid", "options"): (5, 4 | 1 | 2, 0x1000005, 9),
    ("", "whence"): (0, 1, 2, 3, 4),
    ("fallocate", "mode"): (0, 1, 3, 8, 16, 17, 32, 64),
    ("", "niceval"): (0, 5, -5, 19),
    ("", "policy"): (0, 0, 1, 2, 3, 5),
    ("", "resource"): (*range(16),),
    ("", "seconds"): (0, 1, 100),
    ("umask", "mask"): (0, 0o22),
    ("access", "mode"): (0, 1, 2, 4, 7),
    ("faccessat", "mode"): (0, 1, 2, 4, 7),
    ("faccessat2", "mode"): (0, 1, 2, 4, 7),
    ("statx", "mask"): (0xFFF, 0x7FF),
    ("", "newfd"): (*range(64),),
    ("close", "fd"): (*range(20, 64),),
    ("close_range", "first"): (40, 50, 60),
    ("close_range", "last"): (45, 60, 0xFFFFFFFF),
    ("close_range", "flags"): (0, 2, 4, 6),
    ("", "pgoff"): (0, 1),
    ("", "pos_h"): (0,),
    ("mount", "flags"): (0, 32, 4096, 0x5000, 8192, 1 << 18, 1 << 20, 1 << 17, 1 << 19, 1, 33),
    ("umount2", "flags"): (0, 2, 8),
    ("", "dev"): (0, 0x103, 0x501),
    ("fcntl", "cmd"): (*range(17), *range(36, 43), *range(1024, 1041)),
    ("fcntl", "arg"): (0, 1, 2, 0o4000, 0o42000, 40, 50, 4096, 65536, 10, 0xF, DATA, DATA + 256),
    ("arch_prctl", "option"): (0x1001, 0x1002, 0x1003, 0x1004, 0x1011, 0x1012),
    ("", "addrlen"): (8, 16, 110, 2, 3),
    ("ioprio_set", "ioprio"): (0, 0x4004, 0x2000, 0x6007),
    ("kcmp", "type_"): (*range(8),),
    ("kcmp", "idx1"): (*range(40),),
    ("kcmp", "idx2"): (*range(40),),
    ("membarrier", "cmd"): (0, 1, 2, 4, 8, 16, 32, 64, 128, 256),
    ("", "brk"): (0,),
    ("prctl", "option"): (*range(1, 80), 0x53564D41, 0x59616D61),
    ("prctl", "arg2"): (0, 0, 1, 2, 9, 37, DATA, DATA + 4096),
    ("prctl", "arg3"): (0, 0, 0, 1, DATA),
    ("prctl", "arg4"): (0, 0, 0, 0, 4096, DATA),
    ("prctl", "arg5"): (0, 0, 0, 0, DATA),
}
#: Where the system calls with "at" in their names take their flags from.
AT_FLAGS = (0, 0, 0x100, 0x200, 0x400, 0x800, 0x1000, 0x1100, 0x2000, 0x4000)
OPEN_FLAGS = (
    0, 0, 2, 1, 0o102, 0o102, 0o302, 0o1002, 0o2002, 0o4002, 0o200000, 0o10000000, 0o10400000,
    0o20200002, 0o400000, 0o40002, 0o2000002,
)  # fmt: skip
TTY_IOCTLS = (
    *range(0x5401, 0x5470), 0x80045430, 0x40045431, 0x80045432, 0x40045436, 0x802C542A,
    0x402C542B, 0x402C542C, 0x402C542D, 0x80045438, 0x80045439, 0x80045440, 0x5441, 0x5450, 0x5451,
    0x5452, 0x5460, 0x541B, 0x8901, 0x8902, 0x8903, 0x8904, 0x8905, 0x8907,
)  # fmt: skip


def constants() -> dict[str, tuple[int, ...]]:
    """The numbers of the user ABI by the first word of their names, and by module."""
    found: dict[str, set[int]] = {}
    for module in pkgutil.iter_modules(uapi.__path__):
        names = vars(import_module(f"pygos.include.uapi.{module.name}"))
        for name, value in names.items():
            if name.isupper() and isinstance(value, int):
                found.setdefault(name.split("_")[0], set()).add(value & M64)
                found.setdefault(f"{module.name}.py", set()).add(value & M64)
    return {name: tuple(sorted(values)) for name, values in found.items()}


#: (call or "", parameter): groups of constants that fit.
GROUPS: dict[tuple[str, str], tuple[str, ...]] = {
    ("ioctl", "cmd"): ("ioctls.py", "kd.py", "RNDGETENTCNT", "RNDADDENTROPY", "FS", "NS"),
    ("fcntl", "cmd"): ("F",),
    ("prctl", "option"): ("PR",),
    ("arch_prctl", "option"): ("ARCH",),
    ("socket", "family"): ("AF",),
    ("socketpair", "family"): ("AF",),
    ("socket", "type_"): ("SOCK",),
    ("socketpair", "type_"): ("SOCK",),
    ("", "level"): ("SOL", "IPPROTO"),
    ("", "optname"): ("SO",),
    ("mmap", "prot"): ("PROT",),
    ("mmap", "flags"): ("MAP",),
    ("mprotect", "prot"): ("PROT",),
    ("mremap", "flags"): ("MREMAP",),
    ("madvise", "advice"): ("MADV",),
    ("fadvise64", "advice"): ("POSIX",),
    ("", "whence"): ("SEEK",),
    ("futex", "op"): ("FUTEX",),
    ("", "resource"): ("RLIMIT",),
    ("clone", "flags"): ("CLONE",),
    ("memfd_create", "flags"): ("MFD",),
    ("mount", "flags"): ("MS",),
    ("umount2", "flags"): ("MNT", "UMOUNT"),
    ("membarrier", "cmd"): ("MEMBARRIER",),
    ("", "which_clock"): ("CLOCK",),
    ("", "clockid"): ("CLOCK",),
    ("fallocate", "mode"): ("FALLOC",),
    ("", "policy"): ("SCHED",),
    ("", "options"): ("WNOHANG", "WUNTRACED", "WEXITED", "WCONTINUED", "WNOWAIT"),
    ("sync_file_range", "flags"): ("SYNC",),
    ("personality", "persona"): ("PER", "ADDR"),
    ("kcmp", "type_"): ("KCMP",),
    ("renameat2", "flags"): ("RENAME",),
    ("ptrace", "request"): ("PTRACE",),
    ("syslog", "action"): ("SYSLOG",),
    ("flock", "cmd"): ("LOCK",),
    ("epoll_ctl", "op"): ("EPOLL",),
    ("sendto", "flags"): ("MSG",),
    ("recvfrom", "flags"): ("MSG",),
    ("sendmsg", "flags"): ("MSG",),
    ("recvmsg", "flags"): ("MSG",),
    ("", "at_flags"): ("AT",),
    ("", "flag"): ("AT",),
    ("", "flags"): ("O", "AT", "RWF", "SPLICE", "EFD", "TFD", "MNT", "GRND", "PIDFD"),
}


#: Calls about the program's own memory: their pointers are addresses.
MEMORY = {
    "mmap", "munmap", "mremap", "mprotect", "madvise", "mlock", "mlock2", "munlock", "msync",
    "mincore", "mseal", "pkey_mprotect", "remap_file_pages", "brk",
}  # fmt: skip
GOOD_PATHS = (
    b"/tmp/f", b"/tmp/g", b"/tmp/l", b"/tmp/ld", b"/tmp/d", b"/tmp/d/e", b"/tmp/d/x", b"/tmp/new",
    b"/tmp/new2", b"/tmp/d/new", b"/mnt", b"/mnt/x", b"/tmp/fifo", b"/tmp", b"/tmp/prog",
    b"/tmp/n3",
)  # fmt: skip
XATTR_NAMES = (b"user.a", b"user.b", b"trusted.x", b"security.x", b"user.c", b"user.d")
