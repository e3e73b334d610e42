# SPDX-License-Identifier: Apache-2.0
"""execve(2) and execveat(2) (fs/exec.c).

The order: open the file and check it may be run; copy argument and environment strings out of
the old memory (the only time they are read); let a binary format prepare the new memory; past
the point of no return, give up the old memory, the other threads and what exec resets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos.fs.file_table import do_close_on_exec, fput
from pygos.fs.namei import LOOKUP_EMPTY, LOOKUP_FOLLOW, inode_permission, path_lookup
from pygos.fs.open import dentry_open
from pygos.include.dataclass import dataclass, field
from pygos.include.errno import (
    E2BIG,
    EACCES,
    EAGAIN,
    EINVAL,
    ELOOP,
    ENAMETOOLONG,
    ENOENT,
    ENOEXEC,
    ETXTBSY,
    Errno,
)
from pygos.include.linux.fs import MAY_EXEC, File, Inode
from pygos.include.linux.mm import MMF_LEGACY_LAYOUT, mmf_init_flags
from pygos.include.linux.platform import PAGE_SIZE, TRAP_TSC
from pygos.include.linux.sched import (
    PF_NOCPUID,
    PF_NOTSC,
    SIG_DEFAULT,
    SigAltStack,
    SighandStruct,
    Task,
    TaskState,
)
from pygos.include.linux.syscalls import DirFd, Flags, PathArg, UserAddr, fetch_first, syscall
from pygos.include.linux.wait import WouldSleep, wait_killable
from pygos.include.uapi.fcntl import AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, O_RDONLY
from pygos.kernel.cred import commit_creds
from pygos.kernel.exec_cred import cred_for_exec
from pygos.kernel.exit import vfork_complete, zap_other_threads
from pygos.kernel.futex import mm_release
from pygos.kernel.ucount import nproc_exceeded
from pygos.mm.mm import Mm, mmput, new_mm
from pygos.mm.uaccess import KernelBuffer

if TYPE_CHECKING:
    from pygos.include.linux.cred import Cred
    from pygos.include.linux.machine import Machine
    from pygos.include.linux.user_namespace import UserNamespace

_MAX_ARG_STRLEN = 32 * PAGE_SIZE
_RLIMIT_STACK = 3
_ARG_MAX_CEILING = 6 * 1024 * 1024  # 3/4 of _STK_LIM
_MAX_INTERPRETERS = 5
BINPRM_BUF_SIZE = 256
_SIG_IGN = 1


@dataclass(slots=True)
class BinPrm:
    """What is known of a program being executed (struct linux_binprm)."""

    machine: Machine
    task: Task
    file: File
    #: The path as the program gave it, and the one of the interpreter run instead.
    filename: bytes
    argv: list[bytes]
    envp: list[bytes]
    cred: Cred
    #: The first 256 bytes of the file, zero-filled.
    buf: bytes = b""
    #: The program a script names; the next round runs it.
    interpreter: bytes = b""
    depth: int = 0
    secure: bool = False
    execfn: bytes = b""
    extra: dict[str, int] = field(default_factory=dict)


class BinaryFormat:
    """A kind of executable (struct linux_binfmt)."""

    __slots__ = ()
    name = ""

    def load(self, prm: BinPrm) -> bool:
        """Replace the task's memory by the program and return True; or set
        ``prm.interpreter`` (and argv) and return False to have that run instead.

        ENOEXEC if it isn't this format; errors before ``begin_new_exec`` leave the task as it was.
        """
        raise ENOEXEC


@syscall
def execve(task: Task, path: PathArg, argv: UserAddr, envp: UserAddr) -> int:
    """Execute a program. execve(2).

    Errors: ENOENT, EACCES, ENOEXEC, E2BIG, EFAULT, ELOOP, ETXTBSY, ENOMEM.
    """
    return _execve(task, AT_FDCWD, path, argv, envp, 0)


@syscall
def execveat(
    task: Task, dirfd: DirFd, path: PathArg, argv: UserAddr, envp: UserAddr, flags: Flags
) -> int:
    """Execute a program relative to a directory descriptor. execveat(2)."""
    fetch_first(path)
    return _execve(task, dirfd, path, argv, envp, flags)


class _ExecWait:
    """task.restart of an exec that waits for the other threads to be gone."""

    __slots__ = ("prm",)

    def __init__(self, prm: BinPrm) -> None:
        self.prm = prm


def _execve(task: Task, dirfd: int, path: bytes, argv: int, envp: int, flags: int) -> int:
    state = task.restart
    if isinstance(state, _ExecWait):
        return finish_exec(state.prm)
    if task.nproc_exceeded:
        if nproc_exceeded(task, task.cred):
            raise EAGAIN
        task.nproc_exceeded = False
    file = open_exec(task, dirfd, path, flags)
    try:
        arguments = _copy_strings_array(task, argv)
        environment = _copy_strings_array(task, envp)
        _check_arg_size(task, path, arguments, environment)
    except Errno:
        exec_put(file)
        raise
    name = _fd_name(dirfd, path)
    prm = BinPrm(task.machine, task, file, name, arguments or [b""], environment, task.cred)
    prm.execfn = name
    return finish_exec(prm)


def _fd_name(dirfd: int, path: bytes) -> bytes:
    """The name the program sees for execveat: a path under /dev/fd."""
    if dirfd == AT_FDCWD or path.startswith(b"/"):
        return path
    return b"/dev/fd/%d" % dirfd + (b"/" + path if path else b"")


def finish_exec(prm: BinPrm) -> int:
    """Load the program. Loading sleeps once, until the other threads are gone."""
    task = prm.task
    old_pid = task.pid
    try:
        load_program(prm)
    except WouldSleep:
        raise
    except BaseException:
        exec_put(prm.file)
        raise
    exec_put(prm.file)
    if task.ptrace:
        from pygos.kernel.ptrace_stop import exec_event

        exec_event(task, old_pid)
    return 0


def _de_thread(prm: BinPrm) -> None:
    """End the other threads; only what can't fail any more comes after that.

    EAGAIN: another thread is before us, or the process is ending. WouldSleep: load again later.
    """
    task = prm.task
    group = task.group
    if group.group_exec_task is not task and _other_threads(task):
        if group.group_exit or group.group_exec_task is not None or task.fatal_signal_pending():
            raise EAGAIN
        task.restart = _ExecWait(prm)
        group.group_exec_task = task
        zap_other_threads(task)
    if _other_threads(task):
        wait_killable(task, group.wait_chldexit, why="de_thread")
    group.group_exec_task = None


def _other_threads(task: Task) -> bool:
    """Others live, or are zombies for their tracer; the leader may be a zombie."""
    threads, leader = task.group.threads, task.group.leader
    return any(other is not task and (other.alive or other is not leader) for other in threads)


def open_exec(task: Task, dirfd: int, path: bytes, flags: int = 0) -> File:
    """Open a program for execution: a regular file with execute permission."""
    if flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW):
        raise EINVAL
    lookup = 0 if flags & AT_SYMLINK_NOFOLLOW else LOOKUP_FOLLOW
    if flags & AT_EMPTY_PATH:
        lookup |= LOOKUP_EMPTY
    place = path_lookup(task, dirfd, path, lookup)
    inode = place.inode
    if inode.is_link:
        raise ELOOP
    if not inode.is_reg or inode.i_mode & 0o111 == 0:
        raise EACCES
    inode_permission(task, inode, MAY_EXEC)
    file = dentry_open(task, place, O_RDONLY)
    inode = file.f_inode  # overlayfs may have chosen another
    if inode.i_writecount > 0:
        fput(file)
        raise ETXTBSY
    inode.i_writecount -= 1
    return file


def exec_put(file: File) -> None:
    """Undo open_exec: the file may be written again, and one reference less."""
    file.f_inode.i_writecount += 1
    fput(file)


def _copy_strings_array(task: Task, array: int) -> list[bytes]:
    """The strings of a NULL-terminated array of pointers; a NULL array is empty."""
    strings: list[bytes] = []
    mm = task.mm
    assert mm is not None
    if array == 0:
        return strings
    total = 0
    limit = _arg_limit(task)
    while True:
        pointers = _read_pointers(mm, array)
        for pointer in pointers:
            if pointer == 0:
                return strings
            try:
                text = mm.read_cstr(pointer, _MAX_ARG_STRLEN)
            except ENAMETOOLONG:
                raise E2BIG from None
            strings.append(text)
            total += len(text) + 9
            if total > limit:
                raise E2BIG
        array += 8 * len(pointers)


def _read_pointers(mm: Mm, array: int) -> memoryview:
    """The pointers up to the end of the page, so that nothing beyond the NULL is touched."""
    if array & 7:
        return memoryview(mm.read(array, 8)).cast("Q")
    left = PAGE_SIZE - (array & (PAGE_SIZE - 1))
    return memoryview(mm.read(array, min(left, 512))).cast("Q")


def _arg_limit(task: Task) -> int:
    """A quarter of the stack limit, at most 6 MiB, at least 128 KiB (bprm_stack_limits)."""
    return max(min(task.group.rlim[_RLIMIT_STACK][0] // 4, _ARG_MAX_CEILING), 32 * PAGE_SIZE)


def _check_arg_size(task: Task, path: bytes, argv: list[bytes], envp: list[bytes]) -> None:
    total = len(path) + 1 + sum(len(text) + 9 for text in argv)
    total += sum(len(text) + 9 for text in envp)
    if total > _arg_limit(task):
        raise E2BIG


def load_program(prm: BinPrm) -> None:
    """Try the binary formats; follow scripts to their interpreters (exec_binprm)."""
    while True:
        prm.cred, prm.secure = cred_for_exec(prm.task, prm.file)
        prm.buf = kernel_read(prm.task, prm.file, 0, BINPRM_BUF_SIZE).ljust(BINPRM_BUF_SIZE, b"\0")
        if _try_formats(prm):
            return
        prm.depth += 1
        if prm.depth > _MAX_INTERPRETERS:
            raise ELOOP
        old = prm.file
        prm.file = open_exec(prm.task, AT_FDCWD, prm.interpreter)
        exec_put(old)


def _try_formats(prm: BinPrm) -> bool:
    for binfmt in prm.machine.binfmts:
        try:
            return bool(binfmt.load(prm))
        except ENOEXEC:
            continue
    raise ENOEXEC


def kernel_read(task: Task, file: File, pos: int, count: int) -> bytes:
    """Up to `count` bytes of a file from `pos`, for the kernel's own use."""
    data = bytearray(count)
    buffer = KernelBuffer(data)
    done = 0
    while done < count:
        moved = file.f_op.read(task, file, buffer, pos + done)
        if moved <= 0:
            break
        done += moved
    return bytes(data[:done])


def begin_new_exec(prm: BinPrm) -> Mm:
    """The point of no return: new memory and a new CPU; what exec resets is reset."""
    _de_thread(prm)
    task = prm.task
    machine = prm.machine
    mm = new_mm(machine)
    old, old_cpu = task.mm, task.cpu
    if old is not None:
        mm_release(task)
        mm.coredump_filter = old.coredump_filter
        mm.flags = mmf_init_flags(old.flags) & ~MMF_LEGACY_LAYOUT
    if task.cgroups is not None and task.cgroups.memory is not None:
        mm.memcg = task.cgroups.memory.memcg
    cpu = mm.space.new_cpu()
    task.flags &= ~PF_NOCPUID
    if task.flags & PF_NOTSC:
        cpu.set_traps(TRAP_TSC)
    cpu.owner = task
    task.mm, task.cpu, task.regs = mm, cpu, cpu.regs
    machine.zone.current = mm
    mm.owner = task
    vfork_complete(task)
    if old_cpu is not None:
        old_cpu.owner = None
        old_cpu.release()
    if old is not None:
        mmput(old)
    _become_leader(task)
    _reset_signals(task)
    _unshare_files(task)
    do_close_on_exec(task)
    _set_identity(prm)
    return mm


def _become_leader(task: Task) -> None:
    """An exec by another thread than the leader takes over the leader's number."""
    group = task.group
    leader = group.leader
    if leader is task:
        return
    table = task.machine.pids
    for members in (table.pgrps.get(group.pgrp), table.sessions.get(group.session)):
        if members is not None and leader in members:
            del members[leader]
            members[task] = None
    table.tasks.pop(task.pid, None)
    task.pid = task.tgid
    table.tasks[task.pid] = task
    parent = leader.real_parent
    parent.children.pop(leader, None)
    parent.children[task] = None
    task.real_parent = parent
    task.parent = task.ptracer or parent
    task.exit_signal = 17
    task.children.update(leader.children)
    for child in leader.children:
        child.real_parent = task
        child.parent = child.ptracer or task
    leader.children.clear()
    group.leader = task
    group.threads[:] = [task]
    task.group_leader = task
    if leader.cgroups is not None:
        from pygos.kernel.exit import cgroup_release

        cgroup_release(leader)
    leader.state = TaskState.DEAD
    if leader.ptracer is not None:
        from pygos.kernel.ptrace_stop import ptrace_unlink

        tracer = leader.ptracer
        ptrace_unlink(leader)
        # It may be waiting for the leader, whose number is this thread's now.
        tracer.group.wait_chldexit.wake_all()


def _unshare_files(task: Task) -> None:
    """A descriptor table shared with another process (CLONE_FILES) stays with that one."""
    shared = task.files
    if shared.count > 1:
        task.files = task.machine.fs_hooks.dup_files(shared)
        shared.count -= 1


def _reset_signals(task: Task) -> None:
    """Handlers go back to default, ignored stays ignored; the alternate stack is gone."""
    if task.sighand.count > 1:
        task.sighand.count -= 1
        own = SighandStruct()
        own.action = list(task.sighand.action)
        task.sighand = own
    task.sighand.action = [
        action if action.handler == _SIG_IGN else SIG_DEFAULT for action in task.sighand.action
    ]
    task.altstack = SigAltStack()
    for timer in tuple(task.group.posix_timers.values()):
        timer.cancel()
    task.group.posix_timers.clear()
    task.group.did_exec = True
    task.clear_child_tid = 0
    task.robust_list = 0
    task.rseq = None
    if task.user_dispatch is not None:
        from pygos.kernel.syscall_user_dispatch import set_user_dispatch

        set_user_dispatch(task, 0, 0, 0, 0)


def _set_identity(prm: BinPrm) -> None:
    task = prm.task
    task.comm = prm.execfn.rsplit(b"/", 1)[-1][:15]
    task.keep_caps = False
    nsproxy = task.nsproxy
    if nsproxy.time is not nsproxy.time_for_children:
        from pygos.kernel.time.namespace import timens_on_exec

        timens_on_exec(task)
    if prm.secure:
        task.pdeath_signal = 0
    old, mm = task.cred, task.mm
    assert mm is not None
    mm.user_ns = old.user_ns
    readable = _may_read(task, prm.file.f_inode)
    if not readable:
        mm.user_ns = _owning_ns(prm.file.f_inode, old.user_ns)
    plain = readable and old.euid == old.uid and old.egid == old.gid
    task.dumpable = 1 if plain else int(task.machine.sysctl.get("fs.suid_dumpable", 0))
    mm.dumpable = task.dumpable
    commit_creds(task, prm.cred)


def _owning_ns(inode: Inode, ns: UserNamespace | None) -> UserNamespace | None:
    """The innermost namespace that has power over a program which can't be read."""
    while ns is not None and not ns.has_mapping(inode.i_uid, inode.i_gid):
        ns = ns.parent
    return ns


def _may_read(task: Task, inode: Inode) -> bool:
    try:
        inode_permission(task, inode, 4)
    except EACCES:
        return False
    return True


def run_program(task: Task, path: bytes, argv: list[bytes], envp: list[bytes]) -> None:
    """Execute a program in a task made by the kernel itself (the first process).

    Errors as execve(2); ENOENT for an empty path.
    """
    if not path:
        raise ENOENT
    file = open_exec(task, AT_FDCWD, path)
    prm = BinPrm(task.machine, task, file, path, list(argv) or [b""], list(envp), task.cred)
    prm.execfn = path
    try:
        _check_arg_size(task, path, prm.argv, prm.envp)
        load_program(prm)
    finally:
        exec_put(prm.file)
