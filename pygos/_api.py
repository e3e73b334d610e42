# SPDX-License-Identifier: Apache-2.0
"""The public Machine: a kernel that is booted once and runs one command after the other.

It wraps the kernel's own Machine (pygos.include.linux.machine), which boots at the first use
and lives until ``close()``: what one run writes, the next one sees. A machine belongs to the
thread that boots it (ptrace gives a stub to one thread only).
"""

from __future__ import annotations

import os
from _thread import get_ident
from time import perf_counter
from typing import TYPE_CHECKING, Any

from pygos import _config as config
from pygos._errors import (
    CommandFailed,
    ConfigError,
    PlatformUnavailable,
    PygosError,
    TimeoutExpired,
)
from pygos._runtime import directory
from pygos.include.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from pygos.include.linux.machine import Machine as Kernel

Argument = str | bytes | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class Result:
    """What a program left behind.

    ``returncode`` is its exit status, or minus the signal that killed it, as subprocess has it.
    ``duration`` is wall time in seconds, without the boot of the machine.
    """

    args: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: bytes
    duration: float

    @property
    def shell_status(self) -> int:
        """The status as ``$?`` shows it: 128 + n for a signal."""
        return self.returncode if self.returncode >= 0 else 128 - self.returncode


class Machine:
    """A Linux machine of its own, for unmodified programs.

    All options are keywords and are checked at once (ConfigError). PlatformUnavailable comes
    from the first run, or ``boot()``, if the host can't carry a machine.

    ``memory``
        Size of RAM: bytes, or docker's spelling (``"512m"``). The host gives it page by page as
        it is used.
    ``cpus``
        How many guest threads run at once; None: as many as this process may. A fraction, such
        as 0.5, limits their CPU time too.
    ``pids``
        How many processes and threads there may be at once; None: as many as the kernel can have.
    ``root``
        ``"host"``: the host's files, copy-on-write, so that the host never sees a change; or a
        directory to be the root instead, just as protected.
    ``hostname``
        What ``uname -n`` says.
    ``env``
        Variables to set for all runs, over the scrubbed environment; None removes one.
    ``volumes``
        ``"HOST:GUEST[:ro]"``: host directories that the machine may change (with ``:ro`` only
        read). Everything else that it writes stays in the machine.
    ``user``
        ``"NAME|UID[:GROUP|GID]"``; None: the user of this process, in a root of its own 0.
    ``workdir``
        Where programs start; None: this process' directory, in a root of its own ``/``.
    ``seed``
        For reproducible random numbers inside; None: the host's entropy.
    ``strace``
        A text file that gets a line for every system call.
    ``platform``
        How programs are trapped: ``"ptrace"``, ``"systrap"`` or ``"auto"``, the fastest that the
        host allows; None: what the variable PYGOS_PLATFORM says, else ``"auto"``.
    ``untrusted``
        The programs are nobody's friends: prefer the strictest platform to the fastest.
    ``fast``
        Answer calls that need no kernel in the program's own process, where the platform can.
    ``patch``
        Turn ``syscall`` instructions that are used often into jumps, where the platform can.
    """

    def __init__(
        self,
        *,
        memory: str | int = "1GiB",
        cpus: float | None = None,
        pids: int | None = None,
        root: str | os.PathLike[str] = "host",
        hostname: str = "pygos",
        env: Mapping[str, str | None] | None = None,
        volumes: Iterable[str] = (),
        user: str | None = None,
        workdir: str | None = None,
        seed: int | None = None,
        strace: Any = None,
        platform: str | None = None,
        untrusted: bool = False,
        fast: bool = True,
        patch: bool = True,
    ) -> None:
        self._memory = config.parse_memory(memory)
        self._cpus = config.parse_cpus(cpus)
        self._cpu_quota = config.parse_cpu_quota(cpus)
        self._pids = config.parse_pids(pids)
        self._root = config.parse_root(root)
        self._hostname = config.parse_hostname(hostname)
        self._volumes = tuple(config.parse_volume(volume) for volume in volumes)
        self._user = config.resolve_user(user, self._root)
        self._workdir = config.parse_workdir(workdir, self._root)
        self._env = config.base_env(os.environ, self._root, self._user)
        self._set_env(self._env, env)
        self._seed = seed
        self._strace = strace
        self._platform = config.parse_platform(platform, untrusted)
        self._fast, self._patch = fast, patch
        self._kernel: Kernel | None = None
        self._thread = 0
        self._closed = False

    @staticmethod
    def _set_env(target: dict[str, str], changes: Mapping[str, str | None] | None) -> None:
        for name, value in (changes or {}).items():
            if value is None:
                target.pop(name, None)
            elif not name or "=" in name or "\0" in name + value:
                raise ConfigError(f"invalid environment variable {name!r}")
            else:
                target[name] = value

    def boot(self) -> None:
        """Boot now; else the first run does it."""
        if self._closed:
            raise PygosError("the machine is closed")
        if self._kernel is None:
            self._kernel = self._boot((None, None, None), None)
            self._thread = get_ident()
        elif self._thread != get_ident():
            raise PygosError("a machine can only be used by the thread that booted it")

    def _boot(self, stdio: tuple[Any, Any, Any], terminal: Any) -> Kernel:
        from pygos.host import HostError
        from pygos.init.main import BootConfig, boot

        settings = BootConfig(
            memory=self._memory,
            cpus=self._cpus,
            cpu_quota=self._cpu_quota,
            pids=self._pids,
            root=self._root,
            hostname=self._hostname,
            volumes=self._volumes,
            uid=self._user.uid,
            gid=self._user.gid,
            groups=self._user.groups,
            strace=self._strace,
            stdio=stdio,
            terminal=terminal,
            entropy_seed=self._seed,
            platform=self._platform,
            fast=self._fast,
            patch=self._patch,
            hidden=(directory(),),
        )
        try:
            return boot(settings)
        except HostError as error:
            raise PlatformUnavailable(str(error)) from error

    def run(
        self,
        args: Sequence[Argument],
        *,
        input: bytes | str | None = None,
        env: Mapping[str, str | None] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        timeout: float | None = None,
        check: bool = False,
    ) -> Result:
        """Run a program to its end and return what it left behind.

        ``args``
            The program, looked up in the machine's PATH, and its arguments.
        ``input``
            What it reads from standard input; None: nothing.
        ``env``
            Variables to set, or with None to remove, for this run.
        ``cwd``
            Where it starts.
        ``timeout``
            Seconds, after which it is killed and TimeoutExpired raised.
        ``check``
            Raise CommandFailed unless it exits with status 0.

        CommandNotFound and CommandNotExecutable say that it could not be started. Processes
        that it leaves running are killed.
        Ctrl-C ends the run with KeyboardInterrupt; the machine can be used again.
        """
        from pygos._interrupt import DeferInterrupt
        from pygos.drivers.memstream import BytesSink, BytesSource

        argv = _argv(args)
        environ = dict(self._env)
        self._set_env(environ, env)
        self.boot()
        assert self._kernel is not None
        limit = None if timeout is None else config.parse_duration(timeout)
        where = os.fspath(cwd) if cwd is not None else self._workdir
        source = BytesSource(input.encode() if isinstance(input, str) else bytes(input or b""))
        out, err = BytesSink(), BytesSink()
        self._kernel.host["stdio"] = (source, out, err)
        start = perf_counter()
        try:
            self._kernel.exit_status = None
            with DeferInterrupt(self._kernel):
                status, expired = execute(self._kernel, argv, environ, where, limit)
        finally:
            self._kernel.host["stdio"] = (None, None, None)
        duration = perf_counter() - start
        words = tuple(os.fsdecode(word) for word in argv)
        result = Result(words, status, bytes(out.data), bytes(err.data), duration)
        if expired:
            raise TimeoutExpired(f"{words[0]}: killed after {timeout} s", result)
        if check and status:
            raise CommandFailed(f"{words[0]}: {describe_status(status)}", result)
        return result

    @property
    def platform_name(self) -> str:
        """The platform in use, such as ``um-ptrace``; boots if need be."""
        self.boot()
        assert self._kernel is not None
        return self._kernel.platform.name

    def dmesg(self) -> str:
        """The kernel's log, as dmesg(1) prints it."""
        return "" if self._kernel is None else kernel_log(self._kernel)

    def close(self) -> None:
        """Shut the machine down and give back all it has of the host. May be called twice."""
        kernel, self._kernel = self._kernel, None
        self._closed = True
        if kernel is not None:
            from pygos.init.main import shutdown

            shutdown(kernel)

    def __enter__(self) -> Self:
        self.boot()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _argv(args: Sequence[Argument]) -> list[bytes]:
    if isinstance(args, (str, bytes)):
        raise ConfigError("args must be a list of words, such as ['ls', '-l']")
    argv = [os.fsencode(word) for word in args]
    if not argv or not argv[0]:
        raise ConfigError("args names no program")
    if any(b"\0" in word for word in argv):
        raise ConfigError("an argument contains a NUL byte")
    return argv


def execute(
    kernel: Kernel, argv: list[bytes], env: Mapping[str, str], cwd: str, timeout_ns: int | None
) -> tuple[int, bool]:
    """Run a command in a booted kernel (whose exit_status is None): its return code as
    subprocess has it, and was it timed out.

    CommandNotFound or CommandNotExecutable if it can't be started.
    """
    from pygos.include.errno import Errno
    from pygos.init.main import BadWorkingDirectory, run_init

    envp = [os.fsencode(f"{name}={value}") for name, value in env.items()]
    try:
        status = run_init(kernel, argv, envp, os.fsencode(cwd), timeout_ns)
    except TimeoutError:
        return -9, True
    except BadWorkingDirectory as problem:
        raise ConfigError(f"working directory {cwd}: {problem.error.text.lower()}") from None
    except Errno as error:
        from pygos._execerror import explain

        raise explain(kernel, argv[0], env.get("PATH", ""), cwd, error) from None
    return (-(status & 0x7F) if status & 0x7F else status >> 8 & 0xFF), False


def describe_status(code: int) -> str:
    """One phrase for a return code: ``exit status 1``, ``killed by SIGSEGV``."""
    if code >= 0:
        return f"exit status {code}"
    import signal

    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def kernel_log(kernel: Kernel) -> str:
    text: str = kernel.printk.text()  # type: ignore[attr-defined]
    return text
