# SPDX-License-Identifier: Apache-2.0
"""seccomp: what filters say of a call, and what is done about it (kernel/seccomp.c).

``task.seccomp`` is None or a ``Seccomp``, which never changes (a task gets another one), so
that forked tasks share it. Filters form chains that lead to the oldest one; chains of
several tasks meet where these have a common ancestor. ``secure_computing`` is called by
``kernel/entry_work.py`` at the entry of each call of a task that has a ``Seccomp``.

A filter is kept as the bytes of its program. What is made of them for speed, Python
functions in ``machine.misc``, can be thrown away at any time. As in Linux, whether a call
is allowed whatever its arguments are is remembered, so that most calls cost one look-up.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any, Final

from pygos.arch.x86.regs import ORIG_RAX, R8, R9, R10, RAX, RDI, RDX, RIP, RSI
from pygos.include.errno import ENOSYS
from pygos.include.linux.sched import SigInfo
from pygos.include.linux.wait import WaitQueue
from pygos.include.uapi import seccomp as uapi
from pygos.include.uapi.signal import SIGKILL, SIGSYS, SYS_SECCOMP
from pygos.lib import cbpf

if TYPE_CHECKING:
    from collections.abc import Callable

    from pygos.include.linux.machine import Machine
    from pygos.include.linux.sched import Task
    from pygos.kernel.seccomp_notify import Notifier

_M32: Final = 0xFFFF_FFFF
_M64: Final = 0xFFFF_FFFF_FFFF_FFFF
#: After a filter killed a thread: no call of it is ever made again.
SECCOMP_MODE_DEAD: Final = 3
DATA_SIZE: Final = 64
_DATA: Final = Struct("<II7Q")
_ARGS: Final = (RDI, RSI, RDX, R10, R8, R9)
#: Calls of this number and above aren't remembered.
_NR_CALLS: Final = 512
_STRICT_CALLS: Final = frozenset((0, 1, 15, 60))  # read write rt_sigreturn exit
_MAX_ERRNO: Final = 4095

KILL_PROCESS, KILL_THREAD = uapi.SECCOMP_RET_KILL_PROCESS, uapi.SECCOMP_RET_KILL_THREAD
TRAP, ERRNO, USER_NOTIF = (
    uapi.SECCOMP_RET_TRAP,
    uapi.SECCOMP_RET_ERRNO,
    uapi.SECCOMP_RET_USER_NOTIF,
)
TRACE, LOG, ALLOW = uapi.SECCOMP_RET_TRACE, uapi.SECCOMP_RET_LOG, uapi.SECCOMP_RET_ALLOW
#: The names of the actions, the one that wins over all others first.
ACTION_NAMES: Final = {
    KILL_PROCESS: "kill_process", KILL_THREAD: "kill_thread", TRAP: "trap", ERRNO: "errno",
    USER_NOTIF: "user_notif", TRACE: "trace", LOG: "log", ALLOW: "allow",
}  # fmt: skip
ACTIONS_LOGGED: Final = "kernel.seccomp.actions_logged"
_LOGGED_BY_DEFAULT: Final = (KILL_PROCESS, KILL_THREAD, LOG)

#: machine.misc: functions by the bytes of their programs, and how many are kept.
_CODE: Final = "seccomp_code"
_CODE_MAX: Final = 128
#: A program is translated when it has been interpreted so often.
_WARM: Final = 8
#: The words of struct seccomp_data, for translated programs f(nr, regs).
_LOADS: Final = {
    0: "nr", 4: str(uapi.AUDIT_ARCH_X86_64),
    8: f"regs[{RIP}] & 0xFFFFFFFF", 12: f"regs[{RIP}] >> 32",
    **{16 + 8 * at: f"regs[{reg}] & 0xFFFFFFFF" for at, reg in enumerate(_ARGS)},
    **{20 + 8 * at: f"regs[{reg}] >> 32" for at, reg in enumerate(_ARGS)},
}  # fmt: skip


class SeccompFilter:
    """One attached program (struct seccomp_filter)."""

    __slots__ = (
        "always", "depends", "length", "log", "notif", "prev", "prog", "runs", "users",
        "wait_killable", "wqh",
    )  # fmt: skip

    def __init__(self, prog: bytes, prev: SeccompFilter | None) -> None:
        #: Array of struct sock_filter, as it came from the program.
        self.prog = prog
        #: The next older filter.
        self.prev = prev
        #: What it counts for the limit of a chain.
        self.length = cbpf.converted_length(cbpf.parse(prog))
        #: SECCOMP_FILTER_FLAG_LOG, SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV.
        self.log = False
        self.wait_killable = False
        #: Notifications for its listener, if it has one (kernel/seccomp_notify.py).
        self.notif: Notifier | None = None
        #: Tasks that have it as their newest, and newer filters. 0: nobody will ever run it.
        self.users = 1
        #: Pollers of the listener, and tasks that wait in it.
        self.wqh = WaitQueue()
        #: Calls that the chain from here on allows whatever the arguments are, and others.
        self.always: set[int] = set()
        self.depends: set[int] = set()
        #: How often the program was interpreted.
        self.runs = 0


class Seccomp:
    """The state of a task. Never changed: a task gets a new one."""

    __slots__ = ("count", "filter", "mode")

    def __init__(self, mode: int, filter: SeccompFilter | None = None, count: int = 0) -> None:
        self.mode = mode
        self.filter = filter
        #: The length of the chain.
        self.count = count

    def check(self, task: Task, traced: bool) -> int | None:
        """See secure_computing()."""
        return secure_computing(task, traced)


class _NotConstant(Exception):
    """A program looked at something else than the call's number."""


# -- running programs


def data_bytes(task: Task) -> bytes:
    """struct seccomp_data of the call that the task makes."""
    regs = task.regs
    return _DATA.pack(
        regs[ORIG_RAX] & _M32, uapi.AUDIT_ARCH_X86_64, regs[RIP], *[regs[at] for at in _ARGS]
    )


def _translated(machine: Machine, prog: bytes) -> Callable[[int, memoryview], int] | None:
    """The Python function of a program if there is one."""
    found: Callable[[int, memoryview], int] | None = machine.misc.get(_CODE, {}).get(prog)
    return found


def _translate(machine: Machine, prog: bytes) -> None:
    cache: dict[bytes, Any] = machine.misc.setdefault(_CODE, {})
    if len(cache) >= _CODE_MAX:
        cache.clear()
    source = cbpf.translate(cbpf.parse(prog), "bpf", "nr, regs", _LOADS, DATA_SIZE)
    scope: dict[str, Any] = {}
    exec(compile(source, "<seccomp filter>", "exec"), scope)
    cache[prog] = scope["bpf"]


def _interpret(task: Task, filter: SeccompFilter) -> int:
    words = memoryview(data_bytes(task)).cast("I")
    filter.runs += 1
    if filter.runs >= _WARM:
        _translate(task.machine, filter.prog)
    return cbpf.run(cbpf.parse(filter.prog), lambda offset: words[offset >> 2], DATA_SIZE)


def _run_one(task: Task, filter: SeccompFilter, nr: int) -> int:
    function = _translated(task.machine, filter.prog)
    return _interpret(task, filter) if function is None else function(nr, task.regs)


def run_filters(task: Task, head: SeccompFilter, nr: int) -> tuple[int, SeccompFilter | None]:
    """What the chain answers, and the filter that said so; None: all allow.

    Each filter is run. The most severe action counts; of equal ones the newest filter's.
    """
    if nr in head.always:
        return ALLOW, None
    if nr < _NR_CALLS and nr not in head.depends and always_allows(head, nr):
        return ALLOW, None
    result, severity, match = ALLOW, ALLOW, None
    filter: SeccompFilter | None = head
    while filter is not None:
        value = _run_one(task, filter, nr)
        # Actions are compared as signed numbers: KILL_PROCESS is below all others.
        action = ((value & 0xFFFF0000) ^ 0x80000000) - 0x80000000
        if action < severity:
            result, severity, match = value, action, filter
        filter = filter.prev
    return result, match


def always_allows(head: SeccompFilter, nr: int) -> bool:
    """Does the chain allow a call without looking at more than its number? Remembered."""

    def load(offset: int) -> int:
        if offset == 0:
            return nr
        if offset == 4:
            return uapi.AUDIT_ARCH_X86_64
        raise _NotConstant

    path = []
    filter: SeccompFilter | None = head
    while filter is not None and nr not in filter.always:
        if nr in filter.depends:
            break
        path.append(filter)
        filter = filter.prev
    allowed = filter is None or nr in filter.always
    for filter in reversed(path):
        if allowed:
            try:
                program = cbpf.parse(filter.prog)
                allowed = cbpf.run(program, load, DATA_SIZE) == ALLOW
            except _NotConstant:
                allowed = False
        (filter.always if allowed else filter.depends).add(nr)
    return allowed


# -- the entry of a call


def secure_computing(task: Task, traced: bool = False) -> int | None:
    """May the call in the task's registers be made? None: yes. Else RAX's value, signed.

    If a filter killed the task, it is dead or dying of a signal then. `traced`: a tracer has
    just seen the call (SECCOMP_RET_TRACE), which isn't to be asked again. WouldSleep and
    ERESTARTSYS come from the wait for a listener's answer.
    """
    state = task.seccomp
    nr = task.regs[ORIG_RAX] & _M32
    if task.restart is not None:
        from pygos.kernel.seccomp_notify import Notification, ask_listener

        if isinstance(task.restart, Notification):
            return ask_listener(task, task.restart.filter)
    if state.mode != uapi.SECCOMP_MODE_FILTER:
        return _strict(task, state, nr)
    if nr in state.filter.always:
        return None
    result, match = run_filters(task, state.filter, nr)
    action, data = result & uapi.SECCOMP_RET_ACTION_FULL, result & uapi.SECCOMP_RET_DATA
    if action == ALLOW:
        return None
    logs = match is not None and match.log
    if action == LOG:
        log_action(task, nr, 0, LOG, True)
        return None
    if action == TRACE:
        return None if traced else _trace(task, nr, data, logs)
    if action == USER_NOTIF:
        from pygos.kernel.seccomp_notify import ask_listener

        assert match is not None
        log_action(task, nr, 0, USER_NOTIF, logs)
        return ask_listener(task, match)
    log_action(task, nr, 0 if action in (TRAP, ERRNO) else SIGSYS, action, logs)
    if action == ERRNO:
        return -min(data, _MAX_ERRNO)
    if action == TRAP:
        from pygos.kernel.sigsend import force_sig_info

        force_sig_info(task, _siginfo(task, nr, data))
        return _rolled_back(nr)
    _kill(task, nr, action, data)
    return _rolled_back(nr)


def _strict(task: Task, state: Seccomp, nr: int) -> int | None:
    """Mode 1: four calls. Mode 3: a filter has killed this thread already."""
    if state.mode == uapi.SECCOMP_MODE_STRICT and nr in _STRICT_CALLS:
        return None
    from pygos.kernel.exit import do_exit

    if state.mode == uapi.SECCOMP_MODE_STRICT:
        log_action(task, nr, SIGKILL, KILL_THREAD, True)
    set_mode(task, Seccomp(SECCOMP_MODE_DEAD, state.filter, state.count))
    do_exit(task, SIGKILL)
    return -ENOSYS.errno


def _rolled_back(nr: int) -> int:
    """RAX as it was before the call."""
    return nr - (1 << 32) if nr >> 31 else nr


def _siginfo(task: Task, nr: int, data: int) -> SigInfo:
    if task.mm is not None and task.mm.patches is not None:
        task.mm.patches.reveal(task.mm, task.regs[RIP])
    return SigInfo(
        SIGSYS, SYS_SECCOMP, data, addr=task.regs[RIP], syscall=_rolled_back(nr),
        arch=uapi.AUDIT_ARCH_X86_64,
    )  # fmt: skip


def _kill(task: Task, nr: int, action: int, data: int) -> None:
    """End the thread, or the process with a core dump. Unknown actions end the process."""
    state = task.seccomp
    set_mode(task, Seccomp(SECCOMP_MODE_DEAD, state.filter, state.count))
    others = any(other is not task and other.alive for other in task.group.threads)
    if action == KILL_THREAD and others:
        from pygos.kernel.exit import do_exit

        do_exit(task, SIGSYS)
        return
    from pygos.kernel.sigsend import force_exit_sig

    # The core shows the registers as they were before the call.
    task.regs[RAX] = _rolled_back(nr) & _M64
    force_exit_sig(task, _siginfo(task, nr, data))


def _trace(task: Task, nr: int, data: int, logs: bool) -> int | None:
    """SECCOMP_RET_TRACE: the tracer decides; ENOSYS if none listens for this event."""
    from pygos.kernel.entry_work import seccomp_trace

    if seccomp_trace(task, data):
        return None
    log_action(task, nr, 0, TRACE, logs)
    return -ENOSYS.errno


# -- the log


def log_action(task: Task, nr: int, signo: int, action: int, requested: bool) -> None:
    """Note what a filter did, if the filter and the administrator want it noted."""
    if action not in ACTION_NAMES:
        action = KILL_PROCESS
    machine = task.machine
    logged = machine.sysctl.get(ACTIONS_LOGGED)
    if action not in _LOGGED_BY_DEFAULT and not requested:
        return
    if isinstance(logged, str) and ACTION_NAMES[action] not in logged.split():
        return
    now = machine.clock.monotonic()
    begin, count = machine.misc.get("seccomp_ratelimit", (now, 0))
    if now - begin > 5_000_000_000:
        begin, count = now, 0
    machine.misc["seccomp_ratelimit"] = (begin, count + 1)
    if count >= 10:
        return
    comm = task.comm.decode("utf-8", "backslashreplace")
    machine.printk.notice(
        f"audit: type=1326 uid={task.cred.uid} gid={task.cred.gid} pid={task.pid}"
        f' comm="{comm}" sig={signo} arch={uapi.AUDIT_ARCH_X86_64:x} syscall={_rolled_back(nr)}'
        f" compat=0 ip={task.regs[RIP]:#x} code={action:#x}"
    )


# -- attaching, giving up


def set_mode(task: Task, state: Seccomp) -> None:
    """Give a task its state; from now on each of its calls is looked at."""
    from pygos.kernel.entry_work import SYSCALL_WORK_SECCOMP, set_syscall_work

    task.seccomp = state
    set_syscall_work(task, SYSCALL_WORK_SECCOMP)


def put_users(filter: SeccompFilter | None) -> None:
    """One user less of a filter; listeners of filters that nobody uses any more hang up."""
    while filter is not None:
        filter.users -= 1
        if filter.users:
            return
        filter.wqh.wake_all(0x10)  # POLLHUP
        filter = filter.prev
