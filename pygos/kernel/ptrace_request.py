# SPDX-License-Identifier: Apache-2.0
"""ptrace(2): what a tracer asks (kernel/ptrace.c, first part).

Attaching and detaching are here, and what a tracer may ask of a stopped tracee; registers
are in arch/x86/ptrace.py, the stops themselves in kernel/ptrace_stop.py. Where Linux first
says ESRCH (the tracee isn't stopped, or another thread traces it), all requests do.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

from pygos.include.errno import EFAULT, EINVAL, EIO, EPERM, ESRCH
from pygos.include.linux.jobctl import JOBCTL_LISTENING, JOBCTL_TRAP_NOTIFY, JOBCTL_TRAP_STOP
from pygos.include.linux.ptrace import (
    PT_OPT_SHIFT,
    PT_PTRACED,
    PT_SEIZED,
    PT_SUSPEND_SECCOMP,
    PTRACE_MODE_ATTACH_REALCREDS,
    ptrace_may_access,
    traceme_allowed,
)
from pygos.include.linux.sched import SigInfo, TaskState
from pygos.include.uapi import ptrace as uapi
from pygos.include.uapi.capability import CAP_SYS_ADMIN
from pygos.include.uapi.signal import SI_KERNEL, SI_USER, SIGKILL, SIGSTOP, SIGTRAP
from pygos.kernel.sigqueue import KERNEL_ONLY, recalc_sigpending, signal_wake_up, unstop

if TYPE_CHECKING:
    from collections.abc import Callable

    from pygos.include.linux.sched import Task
    from pygos.mm.mm import Mm

_M64: Final = (1 << 64) - 1
_PEEKS: Final = (uapi.PTRACE_PEEKTEXT, uapi.PTRACE_PEEKDATA)
_POKES: Final = (uapi.PTRACE_POKETEXT, uapi.PTRACE_POKEDATA)
_RESUMES: Final = frozenset(
    (
        uapi.PTRACE_CONT, uapi.PTRACE_SYSCALL, uapi.PTRACE_SINGLESTEP, uapi.PTRACE_SINGLEBLOCK,
        uapi.PTRACE_SYSEMU, uapi.PTRACE_SYSEMU_SINGLESTEP,
    )
)  # fmt: skip
#: Newer than the headers that the rest is compared with.
PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG: Final = 0x4210
PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG: Final = 0x4211
PTRACE_SET_SYSCALL_INFO: Final = 0x4212
_SUD_CONFIG: Final = Struct("<4Q")
_PEEKSIGINFO_ARGS: Final = 16
_RSEQ_CONFIGURATION: Final = 24


# -- who traces whom


def ptrace_traceme(task: Task) -> int:
    """The parent traces the caller from now on. EPERM."""
    from pygos.kernel.ptrace_stop import ptrace_link

    parent = task.real_parent
    # Process 1 is the kernel's own here: it doesn't wait for anybody.
    if task.ptrace or not traceme_allowed(parent, task.cred) or parent is task.machine.pid1:
        raise EPERM
    if parent.alive:
        ptrace_link(task, parent, PT_PTRACED, task.cred)
    return 0


def _check_options(task: Task, options: int) -> None:
    if options & ~uapi.PTRACE_O_MASK:
        raise EINVAL
    if options & uapi.PTRACE_O_SUSPEND_SECCOMP:
        if not task.cred.capable(CAP_SYS_ADMIN):
            raise EPERM
        if task.seccomp is not None or task.ptrace & PT_SUSPEND_SECCOMP:
            raise EPERM


def ptrace_attach(task: Task, child: Task, seize: bool, addr: int, options: int) -> int:
    """Trace a task from now on. EPERM; EIO for a bad SEIZE."""
    from pygos.kernel.ptrace_stop import ptrace_link, set_stopped

    flags = PT_PTRACED
    if seize:
        if addr or options & ~uapi.PTRACE_O_MASK:
            raise EIO
        _check_options(task, options)
        flags |= PT_SEIZED | options << PT_OPT_SHIFT
    if child.mm is None and child.alive:  # a kernel thread
        raise EPERM
    if child.group is task.group:
        raise EPERM
    if not ptrace_may_access(task, child, PTRACE_MODE_ATTACH_REALCREDS):
        raise EPERM
    if not child.alive or child.ptrace:
        raise EPERM
    ptrace_link(child, task, flags, task.cred)
    if not seize:
        from pygos.kernel.sigsend import send_sig_info

        send_sig_info(child, SigInfo(SIGSTOP, SI_KERNEL), False)
    set_stopped(child)
    return 0


def check_attach(task: Task, child: Task, ignore_state: bool) -> None:
    """ESRCH unless `task` itself traces `child` and (but for some requests) it is stopped."""
    if child.ptracer is not task:
        raise ESRCH
    if ignore_state:
        return
    stopped = child.state is TaskState.TRACED and not child.jobctl & JOBCTL_LISTENING
    if not stopped or child.fatal_signal_pending() or _is_spurious(task, child):
        raise ESRCH


def _is_spurious(task: Task, child: Task) -> bool:
    """An exec by another thread gave the tracee this number, and its tracer doesn't know yet."""
    pt = child.pt
    if pt is None or pt.code != uapi.PTRACE_EVENT_EXEC << 8 | SIGTRAP:
        return False
    from pygos.kernel.ptrace_stop import pid_for_tracer

    return pt.message != pid_for_tracer(child, child.pid)


# -- requests


def ptrace_request(task: Task, child: Task, request: int, addr: int, data: int) -> int:
    """What a tracer asks of its tracee; see the table at the end."""
    if request in _RESUMES:
        return _resume(child, request, data)
    handler = _REQUESTS.get(request)
    if handler is not None:
        return handler(task, child, addr, data)
    from pygos.arch.x86.ptrace import arch_ptrace

    return arch_ptrace(task, child, request, addr, data)


def _mm(task: Task) -> Mm:
    assert task.mm is not None
    return task.mm


def _resume(child: Task, request: int, signo: int) -> int:
    """CONT, SYSCALL, SYSEMU and steps."""
    from pygos.kernel import ptrace_stop
    from pygos.kernel.entry_work import (
        SYSCALL_WORK_EMU,
        SYSCALL_WORK_PTRACE,
        set_syscall_work,
    )

    if signo > 64 or request == uapi.PTRACE_SINGLEBLOCK:
        raise EIO
    child.syscall_work &= ~(SYSCALL_WORK_EMU | SYSCALL_WORK_PTRACE)
    # Not by assignment: the stub must no longer answer any call by itself either.
    if request == uapi.PTRACE_SYSCALL:
        set_syscall_work(child, SYSCALL_WORK_PTRACE)
    elif request in (uapi.PTRACE_SYSEMU, uapi.PTRACE_SYSEMU_SINGLESTEP):
        set_syscall_work(child, SYSCALL_WORK_EMU)
    if request in (uapi.PTRACE_SINGLESTEP, uapi.PTRACE_SYSEMU_SINGLESTEP):
        ptrace_stop.enable_step(child)
    else:
        ptrace_stop.disable_step(child)
    ptrace_stop.resume(child, signo)
    return 0


def _detach(task: Task, child: Task, addr: int, data: int) -> int:
    from pygos.kernel.ptrace_stop import ptrace_unlink

    if data > 64:
        raise EIO
    assert child.pt is not None
    child.pt.code = data
    ptrace_unlink(child)
    return 0


def _kill(task: Task, child: Task, addr: int, data: int) -> int:
    from pygos.kernel.sigsend import send_sig_info

    info = SigInfo(SIGKILL, SI_USER, pid=task.tgid, uid=task.cred.uid)
    send_sig_info(child, info, False)
    return 0


def _peek(task: Task, child: Task, addr: int, data: int) -> int:
    from pygos.mm.remote import access_remote_vm

    word = access_remote_vm(child.mm, addr, 8) if child.mm is not None else b""
    if len(word) < 8:
        raise EIO
    _mm(task).write(data, word)
    return 0


def _poke(task: Task, child: Task, addr: int, data: int) -> int:
    from pygos.mm.remote import access_remote_vm

    word = data.to_bytes(8, "little")
    if child.mm is None or len(access_remote_vm(child.mm, addr, 8, word)) < 8:
        raise EIO
    return 0


def _set_options(task: Task, child: Task, addr: int, data: int) -> int:
    _check_options(task, data)
    old = child.ptrace & ~(uapi.PTRACE_O_MASK << PT_OPT_SHIFT)
    child.ptrace = old | data << PT_OPT_SHIFT
    return 0


def _get_eventmsg(task: Task, child: Task, addr: int, data: int) -> int:
    assert child.pt is not None
    _mm(task).write_u64(data, child.pt.message & _M64)
    return 0


def _get_siginfo(task: Task, child: Task, addr: int, data: int) -> int:
    from pygos.kernel.siginfo import siginfo_bytes

    assert child.pt is not None
    if child.pt.info is None:
        raise EINVAL
    _mm(task).write(data, siginfo_bytes(child.pt.info))
    return 0


def _set_siginfo(task: Task, child: Task, addr: int, data: int) -> int:
    from pygos.kernel.siginfo import siginfo_from_bytes

    raw = _mm(task).read(data, 128)
    assert child.pt is not None
    if child.pt.info is None:
        raise EINVAL
    child.pt.info = siginfo_from_bytes(raw)
    return 0


def _peek_siginfo(task: Task, child: Task, addr: int, data: int) -> int:
    from pygos.kernel.siginfo import siginfo_bytes

    args = uapi.PtracePeeksiginfoArgs.from_bytes(_mm(task).read(addr, _PEEKSIGINFO_ARGS))
    if args.flags & ~uapi.PTRACE_PEEKSIGINFO_SHARED or args.nr < 0:
        raise EINVAL
    shared = args.flags & uapi.PTRACE_PEEKSIGINFO_SHARED
    pending = child.group.shared_pending if shared else child.pending
    infos = list(pending.queue)[args.off : args.off + args.nr]
    for count, info in enumerate(infos):
        try:
            _mm(task).write(data + 128 * count, siginfo_bytes(info))
        except EFAULT:
            if not count:
                raise
            return count
    return len(infos)


def _get_sigmask(task: Task, child: Task, addr: int, data: int) -> int:
    if addr != 8:
        raise EINVAL
    saved = child.saved_sigmask
    _mm(task).write_u64(data, child.blocked if saved is None else saved)
    return 0


def _set_sigmask(task: Task, child: Task, addr: int, data: int) -> int:
    if addr != 8:
        raise EINVAL
    child.blocked = _mm(task).read_u64(data) & ~KERNEL_ONLY
    child.saved_sigmask = None
    recalc_sigpending(child)
    return 0


def _interrupt(task: Task, child: Task, addr: int, data: int) -> int:
    """A trap soon, whatever the tracee does; if it is in one, after that."""
    from pygos.kernel.jobctl import set_jobctl_pending

    if not child.ptrace & PT_SEIZED:
        raise EIO
    if child.alive and set_jobctl_pending(child, JOBCTL_TRAP_STOP):
        if child.jobctl & JOBCTL_LISTENING and child.state is TaskState.TRACED:
            unstop(child)
        else:
            signal_wake_up(child)
    return 0


def _listen(task: Task, child: Task, addr: int, data: int) -> int:
    """From a group stop: stay stopped, but hear of what happens."""
    assert child.pt is not None
    info = child.pt.info
    if not child.ptrace & PT_SEIZED or info is None:
        raise EIO
    if info.code >> 8 != uapi.PTRACE_EVENT_STOP:
        raise EIO
    child.jobctl |= JOBCTL_LISTENING
    if child.jobctl & JOBCTL_TRAP_NOTIFY:
        unstop(child)
    return 0


def _regset(task: Task, child: Task, addr: int, data: int, put: bool) -> int:
    """GETREGSET and SETREGSET: `addr` is the note type, `data` points to a struct iovec."""
    from pygos.arch.x86.ptrace import REGSETS

    mm = _mm(task)
    base, length = mm.read_u64(data), mm.read_u64(data + 8)
    regset = REGSETS.get(addr & 0xFFFFFFFF)
    if regset is None or length % regset.size:
        raise EINVAL
    image = regset.get(child)
    length = min(length, len(image))
    if put:
        assert regset.put is not None
        regset.put(child, mm.read(base, length))
    else:
        mm.write(base, image[:length])
    mm.write_u64(data + 8, length)
    return 0


def _get_regset(task: Task, child: Task, addr: int, data: int) -> int:
    return _regset(task, child, addr, data, False)


def _set_regset(task: Task, child: Task, addr: int, data: int) -> int:
    return _regset(task, child, addr, data, True)


def _get_syscall_info(task: Task, child: Task, addr: int, data: int) -> int:
    from pygos.kernel.ptrace_syscall_info import get_syscall_info

    info = get_syscall_info(child)
    _mm(task).write(data, info[:addr])
    return len(info)


def _set_syscall_info(task: Task, child: Task, addr: int, data: int) -> int:
    from pygos.kernel.ptrace_syscall_info import INFO_SIZE, set_syscall_info

    if addr < INFO_SIZE:
        raise EINVAL
    set_syscall_info(child, _mm(task).read(data, INFO_SIZE))
    return 0


def _seccomp_get_filter(task: Task, child: Task, addr: int, data: int) -> int:
    from pygos.kernel.seccomp_calls import ptrace_get_filter

    return ptrace_get_filter(task, child, addr, data)


def _seccomp_get_metadata(task: Task, child: Task, addr: int, data: int) -> int:
    from pygos.kernel.seccomp_calls import ptrace_get_metadata

    return ptrace_get_metadata(task, child, addr, data)


def _get_sud(task: Task, child: Task, addr: int, data: int) -> int:
    """struct ptrace_sud_config: mode, selector, offset, length."""
    if addr != _SUD_CONFIG.size:
        raise EINVAL
    conf = (0, 0, 0, 0)
    if child.user_dispatch is not None:
        offset, length, selector = child.user_dispatch
        conf = (1, selector, offset, length)
    _mm(task).write(data, _SUD_CONFIG.pack(*conf))
    return 0


def _set_sud(task: Task, child: Task, addr: int, data: int) -> int:
    from pygos.kernel.syscall_user_dispatch import set_user_dispatch

    if addr != _SUD_CONFIG.size:
        raise EINVAL
    mode, selector, offset, length = _SUD_CONFIG.unpack(_mm(task).read(data, addr))
    return set_user_dispatch(child, mode, offset, length, selector)


def _get_rseq(task: Task, child: Task, addr: int, data: int) -> int:
    """struct ptrace_rseq_configuration; zeros if the tracee has none."""
    area = child.rseq
    conf = uapi.PtraceRseqConfiguration()
    if area is not None:
        conf.rseq_abi_pointer, conf.rseq_abi_size = area.area, area.length
        conf.signature = area.sig
    _mm(task).write(data, conf.to_bytes()[:addr])
    return _RSEQ_CONFIGURATION


#: request -> function of (tracer, tracee, addr, data).
_REQUESTS: Final[dict[int, Callable[[Task, Task, int, int], int]]] = {
    uapi.PTRACE_PEEKTEXT: _peek,
    uapi.PTRACE_PEEKDATA: _peek,
    uapi.PTRACE_POKETEXT: _poke,
    uapi.PTRACE_POKEDATA: _poke,
    uapi.PTRACE_KILL: _kill,
    uapi.PTRACE_DETACH: _detach,
    uapi.PTRACE_OLDSETOPTIONS: _set_options,
    uapi.PTRACE_SETOPTIONS: _set_options,
    uapi.PTRACE_GETEVENTMSG: _get_eventmsg,
    uapi.PTRACE_GETSIGINFO: _get_siginfo,
    uapi.PTRACE_SETSIGINFO: _set_siginfo,
    uapi.PTRACE_PEEKSIGINFO: _peek_siginfo,
    uapi.PTRACE_GETSIGMASK: _get_sigmask,
    uapi.PTRACE_SETSIGMASK: _set_sigmask,
    uapi.PTRACE_INTERRUPT: _interrupt,
    uapi.PTRACE_LISTEN: _listen,
    uapi.PTRACE_GETREGSET: _get_regset,
    uapi.PTRACE_SETREGSET: _set_regset,
    uapi.PTRACE_GET_SYSCALL_INFO: _get_syscall_info,
    PTRACE_SET_SYSCALL_INFO: _set_syscall_info,
    uapi.PTRACE_SECCOMP_GET_FILTER: _seccomp_get_filter,
    uapi.PTRACE_SECCOMP_GET_METADATA: _seccomp_get_metadata,
    uapi.PTRACE_GET_RSEQ_CONFIGURATION: _get_rseq,
    PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG: _set_sud,
    PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG: _get_sud,
}
