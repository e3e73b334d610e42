# SPDX-License-Identifier: Apache-2.0
"""``pygos run``: one program in a machine of its own, with docker's spellings and meanings."""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING, Any

from pygos import _config as config
from pygos._errors import ConfigError, PlatformUnavailable
from pygos._runtime import directory
from pygos.cli.main import complain
from pygos.cli.proxy import SignalProxy

if TYPE_CHECKING:
    from pygos.cli.options import Options
    from pygos.cli.remote import RemoteSession
    from pygos.cli.serve import Spare
    from pygos.host.stdio import HostTerminal
    from pygos.include.linux.machine import Machine as Kernel

#: What timeout(1) exits with.
EXIT_TIMEOUT = 124


class LocalSession:
    """The run is this process' own: its terminal, its streams, its signals.

    RemoteSession (remote.py) is the other kind.
    """

    __slots__ = ()

    def find_terminal(self) -> HostTerminal | None:
        """The user's terminal, if both sides of the conversation are at it.

        Not when the output goes elsewhere: a pager at the other end of a pipe reads from the
        same terminal, which therefore stays in its usual mode.
        """
        if not os.isatty(0) or not os.isatty(1):
            return None
        from pygos.host.stdio import HostTerminal

        return HostTerminal.find()

    def streams(self) -> tuple[Any, Any, Any]:
        """Standard input, output and error."""
        from pygos.host.stdio import standard_streams

        return standard_streams()

    def proxy(self, kernel: Kernel, terminal: HostTerminal | None) -> SignalProxy:
        """To be entered while the program runs."""
        return SignalProxy(kernel, terminal)


def run_command(
    options: Options,
    command: tuple[str, ...],
    session: LocalSession | RemoteSession | None = None,
    spare: Spare | None = None,
) -> int:
    """Check the options, boot, run, shut down; the exit status.

    `spare`: has a machine that is booted already, and may be used.
    """
    from pygos._api import execute

    session = session or LocalSession()

    root = config.parse_root(options.root)
    user = config.resolve_user(options.user, root)
    env = config.apply_env(config.base_env(os.environ, root, user), options.env, os.environ)
    argv = [os.fsencode(word) for word in command or default_command(root, user)]
    if not argv[0]:
        raise ConfigError("the command is an empty word")
    workdir = config.parse_workdir(options.workdir, root)
    timeout = None if options.timeout is None else config.parse_duration(options.timeout)
    known = spare.nr_cpus if spare is not None else None
    settings = boot_settings(options, root, user, known)
    terminal = session.find_terminal()
    streams = session.streams()  # first, for the kernel's own files may get a closed one's number
    kernel = (spare and spare.take(settings)) or boot(settings)
    kernel.host["stdio"] = streams
    kernel.host["terminal"] = terminal
    try:
        with session.proxy(kernel, terminal):
            if terminal is not None:
                terminal.enter()
            code, expired = execute(kernel, argv, env, workdir, timeout)
    finally:
        if terminal is not None:
            terminal.exit()
        finish(kernel, options)
    if expired:
        complain(f"timed out after {options.timeout}")
        return EXIT_TIMEOUT
    return code if code >= 0 else 128 - code


def boot_settings(
    options: Options, root: str, user: config.User, cpus: int | None = None
) -> dict[str, Any]:
    """The machine's part of the options, checked: fields of BootConfig.

    `cpus`: how many this process may use, if it is known.
    """
    return {
        "memory": config.parse_memory(options.memory),
        "cpus": config.parse_cpus(options.cpus or cpus),
        "cpu_quota": config.parse_cpu_quota(options.cpus),
        "pids": config.parse_pids(options.pids),
        "root": root,
        "hostname": config.parse_hostname(options.hostname),
        "volumes": tuple(config.parse_volume(volume) for volume in options.volume),
        "uid": user.uid,
        "gid": user.gid,
        "groups": user.groups,
        "strace": strace_sink(options),
        "tty_raw": options.tty_raw,
        "platform": config.parse_platform(options.platform, options.untrusted),
        "fast": not options.no_fast,
        "patch": not options.no_patch,
        "hidden": (directory(),),
    }


def default_command(root: str, user: config.User) -> tuple[str, ...]:
    """The shell for somebody at a terminal."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ConfigError("run needs a command, such as: pygos run -- ls -l")
    top = "/" if root == "host" else root
    own = os.environ.get("SHELL", "") if root == "host" else ""
    for shell in (own, user.shell, "/bin/bash", "/bin/sh"):
        if shell.startswith("/") and os.access(os.path.join(top, shell[1:]), os.X_OK):
            return (shell,)
    return ("/bin/sh",)


def boot(settings: dict[str, Any]) -> Kernel:
    """A machine without standard files."""
    from pygos.host import HostError
    from pygos.init.main import BootConfig
    from pygos.init.main import boot as boot_kernel

    try:
        kernel = boot_kernel(BootConfig(**settings))
    except HostError as error:
        raise PlatformUnavailable(str(error)) from error
    gc.freeze()  # what there is now stays: collections needn't look at it
    gc.set_threshold(10_000, 20, 100)  # files that are looked up are no garbage either
    gc.enable()
    return kernel


def strace_sink(options: Options) -> Any:
    """Where --strace writes: a text file, or None."""
    if options.strace_output is None:
        return sys.stderr if options.strace else None
    try:
        return open(options.strace_output, "w", encoding="utf-8", buffering=1)
    except OSError as error:
        raise ConfigError(f"{options.strace_output}: {error.strerror}") from None


def finish(kernel: Kernel, options: Options) -> None:
    """Shut down and say what was asked for."""
    from pygos._api import kernel_log
    from pygos.init.main import shutdown

    log = kernel_log(kernel) if options.dmesg else ""
    shutdown(kernel)
    if log:
        sys.stderr.write(log)
