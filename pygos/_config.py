# SPDX-License-Identifier: Apache-2.0
"""What a machine is given, checked early: sizes, times, users, volumes, the environment.

Used by the API and the command line alike, so that both mean the same by the same words. The
spellings are docker's. Everything wrong raises ConfigError with one line.
"""

from __future__ import annotations

import os
import stat
from math import ceil
from typing import TYPE_CHECKING, Final, NamedTuple

from pygos._errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_TIME_UNITS: Final = {
    "ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9,
}  # fmt: skip
MIN_MEMORY: Final = 16 << 20
MAX_MEMORY: Final = 1 << 40
MAX_CPUS: Final = 256
MAX_PIDS: Final = 4_000_000
HOST_NAME_MAX: Final = 64
_ACCOUNTS_MAX: Final = 4 << 20

#: Where a root of its own (not the host's) looks for programs: docker's default.
DEFAULT_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: Variables that a program in the machine sees although nobody named them; LC_* too.
PASSED_ENV: Final = frozenset(
    {"HOME", "LANG", "LANGUAGE", "LOGNAME", "PATH", "SHELL", "TERM", "TZ", "USER"}
)


class User(NamedTuple):
    """Who a program runs as."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    name: str
    home: str
    shell: str


def parse_size(text: str | int) -> int:
    """Bytes of docker's size spelling: ``512m``, ``1g``, ``1GiB``, ``1.5 GB``, or an int.

    As in docker all units are powers of 1024.
    """
    if isinstance(text, int):
        return text
    import re

    match = re.fullmatch(
        r"([0-9]{1,15}(?:\.[0-9]{1,15})?) ?([bkmgt]?)(?:(?<=[kmgt])i?b)?", text.lower()
    )
    if not match:
        raise ConfigError(f"invalid size {text!r}: say a number with b, k, m or g, such as 512m")
    return int(float(match[1]) * 1024 ** "bkmgt".index(match[2] or "b"))


def parse_memory(text: str | int) -> int:
    """Bytes of RAM, whole pages."""
    size = parse_size(text)
    if not MIN_MEMORY <= size <= MAX_MEMORY:
        raise ConfigError(f"invalid memory {text!r}: a machine has from 16m to 1024g")
    return size & ~4095


def parse_duration(text: str | float) -> int:
    """Nanoseconds of ``5``, ``2.5s``, ``500ms``, ``1m30s``, ``1h``; a bare number is seconds."""
    total = text * 10**9 if isinstance(text, (int, float)) else _duration_ns(text)
    if not 0 < total < 1 << 62:
        raise ConfigError(f"invalid time {text!r}: say seconds, or such as 500ms or 1m30s")
    return int(total)


def _duration_ns(text: str) -> float:
    """The sum of the parts of a duration; 0 if it isn't one."""
    import re

    number = r"([0-9]{1,12}(?:\.[0-9]{1,12})?)"
    if re.fullmatch(number, text):
        return float(text) * 10**9
    if not re.fullmatch(rf"(?:{number}(?:ms|us|ns|h|m|s))+", text):
        return 0
    parts = re.findall(rf"{number}(ms|us|ns|h|m|s)", text)
    return sum(float(value) * _TIME_UNITS[unit] for value, unit in parts)


def parse_cpus(value: str | float | None) -> int:
    """How many CPUs the machine has; None: as many as this process may use.

    A fraction is rounded up: parse_cpu_quota() has the rest.
    """
    if value is None:
        return min(len(os.sched_getaffinity(0)), MAX_CPUS)
    try:
        count = float(value)
    except ValueError:
        count = 0.0
    if not 0.01 <= count <= MAX_CPUS:
        raise ConfigError(f"invalid number of CPUs {value!r}: from 0.01 to {MAX_CPUS}")
    return ceil(count)


def parse_cpu_quota(value: str | float | None) -> int | None:
    """CPU time in each 100 ms, ns, for a fraction of CPUs; None: no limit but their number."""
    if value is None or float(value).is_integer():
        return None
    return int(float(value) * 100_000_000)


def parse_pids(value: str | int | None) -> int | None:
    """How many tasks there may be; None: as many as the kernel can have."""
    if value is None:
        return None
    try:
        count = int(value)
    except ValueError:
        count = 0
    if not 1 <= count <= MAX_PIDS:
        raise ConfigError(f"invalid number of processes {value!r}: from 1 to {MAX_PIDS}")
    return count


def parse_platform(name: str | None, untrusted: bool = False) -> str:
    """``auto``, ``ptrace`` or ``systrap``; None: what PYGOS_PLATFORM says, else ``auto``.

    For untrusted programs the strict platform, unless one is named.
    """
    if untrusted and name in (None, "auto"):
        return "ptrace"  # pygos.arch.um.registry.STRICT, without its import
    chosen = name or os.environ.get("PYGOS_PLATFORM") or "auto"
    if chosen not in ("auto", "ptrace", "systrap"):
        raise ConfigError(f"invalid platform {chosen!r}: say auto, ptrace or systrap")
    return chosen


def parse_hostname(name: str) -> str:
    """A name that sethostname(2) and other machines accept."""
    good = name and len(name.encode()) <= HOST_NAME_MAX and not name.startswith(("-", "."))
    if not good or not all(c.isascii() and (c.isalnum() or c in "-._") for c in name):
        raise ConfigError(f"invalid host name {name!r}: letters, digits, - and ., at most 64")
    return name


def parse_volume(text: str) -> tuple[str, str, bool]:
    """``HOST:GUEST[:ro|rw]`` as (host path, path in the machine, read-only)."""
    parts = text.split(":")
    mode = parts[2] if len(parts) == 3 else "rw"
    if not 2 <= len(parts) <= 3 or not parts[0] or mode not in ("ro", "rw"):
        raise ConfigError(f"invalid volume {text!r}: say HOST:GUEST or HOST:GUEST:ro")
    if not parts[1].startswith("/"):
        raise ConfigError(f"invalid volume {text!r}: the path in the machine must begin with /")
    host = os.path.abspath(os.path.expanduser(parts[0]))
    if not os.path.exists(host):
        raise ConfigError(f"invalid volume {text!r}: there is no {host}")
    return host, os.path.normpath(parts[1]), mode == "ro"


def parse_root(root: str | os.PathLike[str]) -> str:
    """``host`` or the absolute path of a directory."""
    name = os.fspath(root)
    if name == "host":
        return name
    path = os.path.abspath(name)
    if not os.path.isdir(path):
        raise ConfigError(f"invalid root {name!r}: say host or a directory")
    return path


def parse_workdir(path: str | None, root: str) -> str:
    """Where programs start; None: on the host's files this process' directory, else ``/``."""
    if path is None:
        return _own_directory() if root == "host" else "/"
    if not path.startswith("/") or "\0" in path:
        raise ConfigError(f"invalid working directory {path!r}: it must begin with /")
    return path


def _own_directory() -> str:
    try:
        return os.getcwd()
    except OSError:  # it has been removed
        return "/"


def resolve_user(spec: str | None, root: str) -> User:
    """The user of ``NAME|UID[:GROUP|GID]``, with names as `root` knows them.

    None: on the host's files the user who runs pygos, in a root of its own the user 0.
    """
    if spec is None and root == "host":
        user = _find_user(str(os.getuid()), root)
        return user._replace(gid=os.getgid(), groups=tuple(os.getgroups()))
    if spec is None:
        return _find_user("0", root)
    name, colon, group = spec.partition(":")
    if not name or (colon and not group):
        raise ConfigError(f"invalid user {spec!r}: say NAME or UID, with :GROUP or :GID")
    user = _find_user(name, root)
    if not group:
        return user
    return user._replace(gid=_find_gid(group, root), groups=())


def _accounts(root: str, table: str) -> list[list[str]]:
    """The rows of etc/passwd or etc/group under `root`; none if there is no such file.

    The root may be a hostile image: no link is followed, nothing but a plain file is read.
    """
    try:
        top = os.open("/" if root == "host" else root, os.O_PATH | os.O_DIRECTORY)
        try:
            data = _read_plain_file(top, table)
        finally:
            os.close(top)
    except OSError:
        return []
    lines = data.decode("utf-8", "surrogateescape").splitlines()
    return [line.split(":") for line in lines]


def _read_plain_file(top: int, table: str) -> bytes:
    etc = os.open("etc", os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=top)
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        fd = os.open(table, flags, dir_fd=etc)
    finally:
        os.close(etc)
    try:
        return os.read(fd, _ACCOUNTS_MAX) if stat.S_ISREG(os.fstat(fd).st_mode) else b""
    finally:
        os.close(fd)


def _find_user(name: str, root: str) -> User:
    for row in _accounts(root, "passwd"):
        if len(row) >= 7 and _is_id(row[2]) and _is_id(row[3]) and name in (row[0], row[2]):
            gid = int(row[3])
            return User(int(row[2]), gid, _groups_of(row[0], gid, root), row[0], row[5], row[6])
    if not _is_id(name):
        raise ConfigError(f"unknown user {name!r}")
    return User(int(name), 0, (), "", "/", "")


def _groups_of(user: str, gid: int, root: str) -> tuple[int, ...]:
    rows = _accounts(root, "group")
    groups = [int(r[2]) for r in rows if len(r) >= 4 and _is_id(r[2]) and user in r[3].split(",")]
    return tuple(dict.fromkeys([gid, *groups]))


def _find_gid(name: str, root: str) -> int:
    for row in _accounts(root, "group"):
        if len(row) >= 3 and name == row[0] and _is_id(row[2]):
            return int(row[2])
    if not _is_id(name):
        raise ConfigError(f"unknown group {name!r}")
    return int(name)


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and int(text) < 0xFFFFFFFF


def base_env(host_env: Mapping[str, str], root: str, user: User) -> dict[str, str]:
    """The scrubbed environment: of the host's only what PASSED_ENV and LC_* name.

    So no token, socket path or agent of the host's leaks into the machine.
    """
    env = {k: v for k, v in host_env.items() if k in PASSED_ENV or k.startswith("LC_")}
    if root != "host":
        env["PATH"] = DEFAULT_PATH
        env.pop("SHELL", None)
    env.setdefault("PATH", DEFAULT_PATH)
    if root != "host" or user.uid != os.getuid():
        env["HOME"] = user.home or "/"
        env["USER"] = env["LOGNAME"] = user.name or str(user.uid)
        if user.shell:
            env["SHELL"] = user.shell
    return env


def apply_env(
    env: dict[str, str], settings: Iterable[str], host_env: Mapping[str, str]
) -> dict[str, str]:
    """Apply docker's ``-e``: ``NAME=VALUE`` sets, ``NAME`` passes the host's value on."""
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not name or "\0" in setting:
            raise ConfigError(f"invalid environment variable {setting!r}: say NAME or NAME=VALUE")
        if equals:
            env[name] = value
        elif name in host_env:
            env[name] = host_env[name]
        else:
            env.pop(name, None)
    return env
