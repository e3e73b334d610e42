# SPDX-License-Identifier: Apache-2.0
"""What of the host a guest doesn't see: keys, tokens, histories, sockets, pseudo file systems.

Rules are kept twice. By path, as a tree of names that follows the look-ups (``Rules``), so that
files made later are covered too; and by (device, inode) of what exists at mount time, so that
another path to the same file (a bind mount, a hard link, a symbolic link on the way) doesn't
uncover it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from pygos.include.errno import Errno
from pygos.include.linux.fs import S_IFDIR, S_IFLNK, S_IFMT, S_IFREG

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pygos.include.linux.fs import Listing
    from pygos.include.linux.platform import HostStat

#: Of the tree's top; a name that is only "*" matches any.
SYSTEM_SECRETS: Final = (
    "etc/shadow", "etc/shadow-", "etc/gshadow", "etc/gshadow-", "etc/security/opasswd",
    "etc/krb5.keytab", "etc/ssl/private", "etc/pki/tls/private", "etc/wireguard",
    "etc/NetworkManager/system-connections", "etc/ppp/pap-secrets", "etc/ppp/chap-secrets",
    "etc/ipsec.secrets", "etc/kubernetes", "etc/rancher", "etc/sssd", "etc/openvpn",
    "etc/ssh/ssh_host_rsa_key", "etc/ssh/ssh_host_dsa_key", "etc/ssh/ssh_host_ecdsa_key",
    "etc/ssh/ssh_host_ed25519_key", "etc/letsencrypt", "etc/docker/key.json",
    "run/docker.sock", "var/run/docker.sock", "run/containerd", "run/podman", "run/crio",
    "run/secrets", "run/credentials", "run/dbus", "run/systemd/private", "run/snapd.socket",
    "run/libvirt", "run/lxd", "var/lib/docker", "var/lib/containerd", "var/lib/kubelet",
    "var/lib/lxd", "var/lib/sss", "var/lib/systemd/random-seed",
    "var/lib/systemd/credential.secret", "var/snap/lxd", "swapfile", "swap.img", "swap",
    "tmp/.X11-unix", "tmp/.ICE-unix",
)  # fmt: skip

#: Of every home directory.
HOME_SECRETS: Final = (
    ".ssh", ".aws", ".gnupg", ".kube", ".docker", ".azure", ".oci", ".password-store",
    ".config/gcloud", ".config/gh", ".config/glab-cli", ".config/hub", ".config/git/credentials",
    ".config/op", ".config/rclone", ".config/sops", ".config/doctl", ".config/containers",
    ".config/keepassxc", ".config/1Password", ".config/Bitwarden", ".config/google-chrome",
    ".config/chromium", ".config/BraveSoftware", ".config/pulse/cookie", ".config/age",
    ".netrc", "_netrc", ".git-credentials", ".npmrc", ".pypirc", ".pgpass", ".my.cnf", ".s3cfg",
    ".boto", ".vault-token", ".terraform.d", ".fly", ".databrickscfg", ".yarnrc.yml",
    ".cargo/credentials", ".cargo/credentials.toml", ".gem/credentials", ".m2/settings.xml",
    ".gradle/gradle.properties", ".composer/auth.json", ".config/composer/auth.json",
    ".mozilla", ".thunderbird", ".local/share/keyrings", ".gnome2/keyrings", ".pki",
    ".Xauthority", ".ICEauthority", ".bitcoin", ".ethereum", ".electrum",
    ".bash_history", ".zsh_history", ".zhistory", ".sh_history", ".ash_history", ".ksh_history",
    ".history", ".histfile", ".python_history", ".psql_history", ".mysql_history",
    ".sqlite_history", ".node_repl_history", ".rediscli_history", ".lesshst", ".viminfo",
    ".local/share/fish/fish_history", ".local/state/python_history",
)  # fmt: skip

#: Directories that look empty.
EMPTY_DIRECTORIES: Final = ("proc", "sys", "dev", "run/user")

#: Homes of system accounts that aren't worth a look.
_NO_HOMES: Final = (
    [b"bin"], [b"sbin"], [b"usr", b"bin"], [b"usr", b"sbin"], [b"dev"], [b"proc"],
    [b"nonexistent"], [b"var", b"empty"],
)  # fmt: skip

_PASSWD_LIMIT: Final = 1 << 20
_LINKS_LIMIT: Final = 40

#: A tree of names. A leaf is HIDDEN (looks absent) or EMPTY (a directory without names).
HIDDEN: Final = "hidden"
EMPTY: Final = "empty"
Rules = dict[bytes, Any]


class Files(Protocol):
    """What hostfs asks of pygos.host.files.HostFiles; see there."""

    def root(self) -> int: ...
    def lookup(self, dir_handle: int, name: bytes, /) -> HostStat | None: ...
    def fstat(self, handle: int, /) -> HostStat: ...
    def readlink(self, dir_handle: int, name: bytes, /) -> bytes: ...
    def readdir(self, dir_handle: int, /) -> Listing: ...
    def xattrs(self, dir_handle: int, name: bytes, /) -> dict[bytes, bytes]: ...
    def statfs(self, handle: int, /) -> Any: ...
    def open_dir(self, dir_handle: int, name: bytes, /) -> int: ...
    def open_file(self, dir_handle: int, name: bytes, expect: HostStat, /) -> int: ...
    def pread_into(self, handle: int, offset: int, buffers: Sequence[memoryview], /) -> int: ...
    def close(self, handle: int, /) -> None: ...


def add_rule(rules: Rules, names: list[bytes], leaf: Rules | str) -> None:
    """Put a path into the tree; a rule nearer to the top wins, trees are merged."""
    node = rules
    for name in names[:-1]:
        below = node.setdefault(name, {})
        if not isinstance(below, dict):
            return
        node = below
    old = node.get(names[-1])
    if isinstance(leaf, str) or old is None:
        node[names[-1]] = leaf
    elif isinstance(old, dict):
        node[names[-1]] = _merge(old, leaf)


def below(rules: Rules | str | None, name: bytes) -> Rules | str | None:
    """The rules for entry `name` of a directory with `rules`: a tree, HIDDEN, EMPTY or None."""
    if not isinstance(rules, dict):
        return None
    exact, wild = rules.get(name), rules.get(b"*")
    if exact is None or wild is None:
        return exact if wild is None else wild
    if isinstance(exact, dict) and isinstance(wild, dict):
        return _merge(exact, wild)
    return exact if isinstance(exact, str) else wild


def _merge(one: Rules, other: Rules) -> Rules:
    merged = dict(other)
    for name, rule in one.items():
        old = merged.get(name)
        both = isinstance(old, dict) and isinstance(rule, dict)
        merged[name] = _merge(rule, old) if both and isinstance(old, dict) else rule
    return merged


class Secrets:
    """The rules of one tree and the identities of what they hide."""

    __slots__ = ("ids", "rules")

    def __init__(self) -> None:
        self.rules: Rules = {}
        #: (device, inode) of hidden files and directories.
        self.ids: set[tuple[int, int]] = set()

    def hide(self, path: bytes) -> None:
        """Make a path look absent."""
        if names := _names(path):
            add_rule(self.rules, names, HIDDEN)


def _names(path: bytes) -> list[bytes]:
    return [name for name in path.split(b"/") if name not in (b"", b".", b"..")]


def home_directories(files: Files) -> list[bytes]:
    """The homes in the tree's etc/passwd; none if it can't be read."""
    resolver = Resolver(files)
    try:
        found = resolver.walk([b"etc", b"passwd"])
        if found is None:
            return []
        names, stat = found
        text = resolver.read(names, stat)
    except Errno:
        return []
    homes = {fields[5] for line in text.split(b"\n") if len(fields := line.split(b":")) == 7}
    return [home for home in sorted(homes) if _names(home)]


def default_secrets(files: Files, more: Iterable[str] = ()) -> Secrets:
    """The rules for a tree that is a whole system; `more`: further paths that look absent."""
    secrets = Secrets()
    paths = [_names(path.encode()) for path in (*SYSTEM_SECRETS, *more)]
    homes = [[b"root"], [b"home", b"*"]]
    for text in home_directories(files):
        names = _names(text)
        if names not in homes and names not in _NO_HOMES:
            homes.append(names)
    for names in paths:
        add_rule(secrets.rules, names, HIDDEN)
    of_home: Rules = {}  # one tree, shared by all homes
    of_homes = [_names(path.encode()) for path in HOME_SECRETS]
    for names in of_homes:
        add_rule(of_home, names, HIDDEN)
    for home in homes:
        add_rule(secrets.rules, home, of_home)
    for path in EMPTY_DIRECTORIES:
        add_rule(secrets.rules, _names(path.encode()), EMPTY)
    resolver = Resolver(files)
    for names in paths:
        _find_ids(resolver, secrets, names)
    for home in homes:
        _find_home_ids(resolver, secrets, home, of_homes)
    resolver.close()
    return secrets


def _find_home_ids(
    resolver: Resolver, secrets: Secrets, home: list[bytes], of_homes: list[list[bytes]]
) -> None:
    """Record what a home directory has of HOME_SECRETS; one listing saves many look-ups."""
    try:
        place = resolver.parent(home) if b"*" not in home else None
        if place is None:
            return
        listing = resolver.files.readdir(resolver.handles[tuple(place)])
    except Errno:
        return
    present = {entry[0] for entry in listing}
    for names in of_homes:
        if names[0] in present:
            _find_ids(resolver, secrets, home + names)


def _find_ids(resolver: Resolver, secrets: Secrets, names: list[bytes]) -> None:
    """Record the identity of a hidden thing that exists, and its path without links."""
    if not names or b"*" in names:
        return
    try:
        found = resolver.follow(names)
    except Errno:
        return
    for real, stat in found:
        secrets.ids.add((stat.dev, stat.ino))
        if real != names:
            add_rule(secrets.rules, real, HIDDEN)


class Resolver:
    """Walks paths of the host's tree as the host itself would, staying inside of it.

    Handles of directories are kept until close(), as many paths share their beginnings.
    """

    __slots__ = ("absent", "files", "handles")

    def __init__(self, files: Files) -> None:
        self.files = files
        self.handles: dict[tuple[bytes, ...], int] = {(): files.root()}
        self.absent: set[tuple[bytes, ...]] = set()

    def close(self) -> None:
        for names, handle in self.handles.items():
            if names:
                self.files.close(handle)
        self.handles = {(): self.files.root()}

    def walk(self, names: list[bytes]) -> tuple[list[bytes], HostStat] | None:
        """Where a path ends, all links followed: its names without links, and attributes."""
        found = self.follow(names)
        return None if not found or found[-1][1].mode & S_IFMT == S_IFLNK else found[-1]

    def follow(self, names: list[bytes]) -> list[tuple[list[bytes], HostStat]]:
        """The entry at a path and, if it is a link, what it leads to in the end."""
        found = []
        for _ in range(_LINKS_LIMIT):
            place = self.parent(names[:-1])
            if place is None:
                break
            handle = self.handles[tuple(place)]
            stat = self.files.lookup(handle, names[-1])
            if stat is None:
                break
            real = [*place, names[-1]]
            found.append((real, stat))
            if stat.mode & S_IFMT != S_IFLNK:
                break
            names = self._target(place, self.files.readlink(handle, names[-1]))
            if not names:
                break
        return found

    @staticmethod
    def _target(place: list[bytes], text: bytes) -> list[bytes]:
        names = [] if text.startswith(b"/") else list(place)
        for name in text.split(b"/"):
            if name == b"..":
                del names[-1:]
            elif name not in (b"", b"."):
                names.append(name)
        return names

    def parent(self, names: list[bytes]) -> list[bytes] | None:
        """A directory's path without links, its handle open; None if there is no such."""
        place: list[bytes] = []
        rest = list(names)
        links = 0
        while rest:
            name = rest.pop(0)
            key = (*place, name)
            if key in self.handles:
                place.append(name)
                continue
            if key in self.absent:
                return None
            handle = self.handles[tuple(place)]
            stat = self.files.lookup(handle, name)
            kind = stat.mode & S_IFMT if stat is not None else 0
            if kind == S_IFLNK and links < _LINKS_LIMIT:
                links += 1
                rest = self._target(place, self.files.readlink(handle, name)) + rest
                place = []
            elif kind == S_IFDIR:
                self.handles[key] = self.files.open_dir(handle, name)
                place.append(name)
            else:
                self.absent.add(key)
                return None
        return place

    def read(self, names: list[bytes], stat: HostStat) -> bytes:
        """The contents of a small regular file at a path without links."""
        if stat.mode & S_IFMT != S_IFREG:
            return b""
        handle = self.files.open_file(self.handles[tuple(names[:-1])], names[-1], stat)
        try:
            data = bytearray(min(stat.size, _PASSWD_LIMIT))
            count = self.files.pread_into(handle, 0, [memoryview(data)])
            return bytes(data[:count])
        finally:
            self.files.close(handle)
