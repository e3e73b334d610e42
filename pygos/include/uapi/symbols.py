# SPDX-License-Identifier: Apache-2.0
"""Names of values, for strace and messages: ``OPEN.flags(0x241)`` is "O_WRONLY|O_CREAT|O_TRUNC".

A table is made from a module's constants when it is first asked; until then it costs nothing.
Where two names have one value, the one defined first is used.
"""

from __future__ import annotations

from typing import Final


class Symbols:
    """The names of one kind of value.

    `names` are prefixes ending in "_" or "*", or whole names, separated by blanks; those
    after a "-" are left out. The bits in `mask` are a number rather than single flags, as
    O_ACCMODE of open(2); its names must come first in value.
    """

    __slots__ = ("_bits", "_values", "mask", "module", "names")

    def __init__(self, module: str, names: str, mask: int = 0) -> None:
        self.module = module
        self.names = names
        self.mask = mask
        self._values: dict[int, str] | None = None
        self._bits: list[tuple[int, str]] = []

    def _load(self) -> dict[int, str]:
        constants = vars(__import__(f"pygos.include.uapi.{self.module}", fromlist=["*"]))
        wanted, _, unwanted = self.names.partition("-")
        drop = unwanted.split()
        values: dict[int, str] = {}
        for pattern in wanted.split():
            if pattern[-1] not in "_*":
                values.setdefault(constants[pattern], pattern)
                continue
            prefix = pattern.rstrip("*")
            for name, value in constants.items():
                if name.startswith(prefix) and name not in drop and isinstance(value, int):
                    values.setdefault(value, name)
        single = [(v, n) for v, n in values.items() if v > 0 and v & ~self.mask == v]
        # Names of several bits go first, so that O_SYNC isn't shown as O_DSYNC and a rest.
        self._bits = sorted(single, key=lambda item: -item[0].bit_count())
        self._values = values
        return values

    def name(self, value: int) -> str | None:
        """The name of exactly this value."""
        values = self._load() if self._values is None else self._values
        return values.get(value)

    def value(self, value: int) -> str:
        """The name of this value, or the number."""
        return self.name(value) or (hex(value) if value > 9 else str(value))

    def flags(self, value: int) -> str:
        """The names of the bits set, joined by "|"; unknown bits in hex, nothing as "0"."""
        whole = self.name(value)
        if whole is not None and not (self.mask and value & ~self.mask):
            return whole
        found: list[tuple[int, str]] = []
        rest = value & ~self.mask
        for bits, name in self._bits:
            if rest & bits == bits:
                found.append((bits, name))
                rest &= ~bits
        low = self.name(value & self.mask) if self.mask else None
        parts = [low] if low is not None else []
        if low is None:
            rest |= value & self.mask
        parts += [name for _, name in sorted(found)]
        if rest:
            parts.append(hex(rest))
        return "|".join(parts) or "0"


ACCESS: Final = Symbols("fcntl", "F_OK R_OK W_OK X_OK")
AT_FACCESS: Final = Symbols("fcntl", "AT_EACCESS AT_SYMLINK_NOFOLLOW AT_EMPTY_PATH")
AT_STAT: Final = Symbols("fcntl", "AT_SYMLINK_NOFOLLOW AT_NO_AUTOMOUNT AT_EMPTY_PATH AT_STATX_")
AT_UNLINK: Final = Symbols("fcntl", "AT_REMOVEDIR")
AT_LINK: Final = Symbols("fcntl", "AT_SYMLINK_FOLLOW AT_SYMLINK_NOFOLLOW AT_EMPTY_PATH")
ARCH_PRCTL: Final = Symbols("prctl", "ARCH_")
CLOCK: Final = Symbols("time", "CLOCK_")
CLONE: Final = Symbols("sched", "CLONE_ - CLONE_ARGS_SIZE_VER0 CLONE_ARGS_SIZE_VER1", 0xFF)
EPOLL_CTL: Final = Symbols("eventpoll", "EPOLL_CTL_")
EPOLL_EVENTS: Final = Symbols("eventpoll", "EPOLL* - EPOLL_CTL_ADD EPOLL_CTL_DEL EPOLL_CTL_MOD")
FCNTL: Final = Symbols("fcntl", "F_ - F_RDLCK F_WRLCK F_UNLCK F_EXLCK F_SHLCK F_OK")
FD_FLAGS: Final = Symbols("fcntl", "FD_CLOEXEC")
FUTEX: Final = Symbols("futex", "FUTEX_ - FUTEX_PRIVATE_FLAG", 0xFF)
GRND: Final = Symbols("random", "GRND_")
IOCTL: Final = Symbols("ioctls", "TC* TIOC* FIO* SIOC* - TIOCPKT_DATA")
ITIMER: Final = Symbols("time", "ITIMER_")
LOCK: Final = Symbols("fcntl", "LOCK_SH LOCK_EX LOCK_UN LOCK_NB")
MADV: Final = Symbols("mman", "MADV_")
MAP: Final = Symbols("mman", "MAP_ - MAP_TYPE MAP_FILE MAP_HUGE_SHIFT MAP_HUGE_MASK", 0xF)
MREMAP: Final = Symbols("mman", "MREMAP_")
MS: Final = Symbols("mman", "MS_")
MOUNT: Final = Symbols("mount", "MS_ - MS_MGC_VAL MS_MGC_MSK MS_RMT_MASK")
MSG: Final = Symbols("socket", "MSG_")
OPEN: Final = Symbols("fcntl", "O_ FASYNC - O_ACCMODE O_PATH_FLAGS", 3)
PIPE: Final = Symbols("fcntl", "O_CLOEXEC O_NONBLOCK O_DIRECT")
POLL: Final = Symbols("poll", "POLL*")
PRCTL: Final = Symbols("prctl", "PR_GET_ PR_SET_ PR_CAP* PR_SCHED_CORE PR_MCE_KILL PR_TASK*")
PROT: Final = Symbols("mman", "PROT_")
PTRACE: Final = Symbols("ptrace", "PTRACE_ - PTRACE_O_MASK")
REBOOT: Final = Symbols("reboot", "LINUX_REBOOT_CMD_")
RENAME: Final = Symbols("fs", "RENAME_")
RLIMIT: Final = Symbols("resource", "RLIMIT_")
RUSAGE: Final = Symbols("resource", "RUSAGE_")
SA: Final = Symbols("signal", "SA_")
SCHED: Final = Symbols("sched", "SCHED_NORMAL SCHED_FIFO SCHED_RR SCHED_BATCH SCHED_IDLE")
SEEK: Final = Symbols("fcntl", "SEEK_")
SIGMASK_HOW: Final = Symbols("signal", "SIG_BLOCK SIG_UNBLOCK SIG_SETMASK")
SIGNAL: Final = Symbols(
    "signal",
    "SIG* - SIGSTKSZ SIGINFO_SIZE SIG_DFL SIG_IGN SIG_BLOCK SIG_UNBLOCK SIG_SETMASK SIGEV_SIGNAL",
)
SOCK: Final = Symbols("socket", "SOCK_", 0xF)
AF: Final = Symbols("socket", "AF_")
KINDS: Final = Symbols("stat", "S_IF* - S_IFMT")
STATX: Final = Symbols("stat", "STATX_ - STATX_ALL")
UMOUNT: Final = Symbols("mount", "MNT_ UMOUNT_NOFOLLOW")
WAIT: Final = Symbols("wait", "WNOHANG WUNTRACED WEXITED WCONTINUED WNOWAIT __W*")
WAIT_ID: Final = Symbols("wait", "P_")


def mode(value: int) -> str:
    """A st_mode as strace prints it: "S_IFREG|0644"."""
    kind = KINDS.name(value & 0o170000) if value & 0o170000 else None
    bits = f"0{value & 0o7777:o}" if value & 0o7777 else "000"
    return f"{kind}|{bits}" if kind else bits


def signal(signo: int) -> str:
    """A signal as strace prints it: "SIGTERM", "SIGRTMIN", "SIGRT_2", or the number."""
    if 32 < signo <= 64:
        return f"SIGRT_{signo - 32}"
    return SIGNAL.name(signo) or str(signo)


def clone_flags(value: int) -> str:
    """The flags of clone(2) with the exit signal in their low byte."""
    exit_signal = value & 0xFF
    parts = [CLONE.flags(value & ~0xFF)] if value & ~0xFF else []
    if exit_signal or not parts:
        parts.append(signal(exit_signal))
    return "|".join(parts)
