# SPDX-License-Identifier: Apache-2.0
"""Options mean what docker means by them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pygos import ConfigError
from pygos import _config as config
from pygos.arch.um import registry


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0), ("512", 512), ("512b", 512), ("1k", 1024), ("1kb", 1024), ("1KiB", 1024),
        ("512m", 512 << 20), ("512M", 512 << 20), ("1.5g", 3 << 29), ("1 GB", 1 << 30),
        ("2t", 2 << 40), (4096, 4096),
    ],
)  # fmt: skip
def test_sizes(text: str | int, size: int) -> None:
    assert config.parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "m", "1X", "-1", "1e9", "1bb", "1ib", "0x10", "1 0", "\u0661", "nan"]
)
def test_bad_sizes(text: str) -> None:
    with pytest.raises(ConfigError, match="invalid size"):
        config.parse_size(text)


@given(st.text(max_size=12))
def test_any_text_is_a_size_or_a_config_error(text: str) -> None:
    try:
        size = config.parse_size(text)
    except ConfigError:
        return
    assert size >= 0


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("5", 5 * 10**9), ("2.5s", 2_500_000_000), ("500ms", 500_000_000), ("1m30s", 90 * 10**9),
        ("1h", 3600 * 10**9), ("10us", 10_000), ("7ns", 7), (1.5, 1_500_000_000),
    ],
)  # fmt: skip
def test_times(text: str | float, ns: int) -> None:
    assert config.parse_duration(text) == ns


@pytest.mark.parametrize("text", ["", "0", "s", "5x", "1m30", "-5", "1e3", 0, -1, float("nan")])
def test_bad_times(text: str | float) -> None:
    with pytest.raises(ConfigError, match="invalid time"):
        config.parse_duration(text)


def test_volumes(tmp_path: Path) -> None:
    host = str(tmp_path)
    assert config.parse_volume(f"{host}:/data") == (host, "/data", False)
    assert config.parse_volume(f"{host}:/data/:ro") == (host, "/data", True)
    with pytest.raises(ConfigError):
        config.parse_volume(f"{host}:/data:rx")


def image(tmp_path: Path, passwd: str, group: str = "") -> str:
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "passwd").write_text(passwd)
    (etc / "group").write_text(group)
    return str(tmp_path)


def test_users_are_those_of_the_root(tmp_path: Path) -> None:
    root = image(
        tmp_path,
        "root:x:0:0::/root:/bin/sh\nalice:x:1000:100::/home/alice:/bin/zsh\n",
        "users:x:100:\nwheel:x:10:bob,alice\n",
    )
    assert config.resolve_user(None, root).uid == 0
    alice = config.User(1000, 100, (100, 10), "alice", "/home/alice", "/bin/zsh")
    assert config.resolve_user("alice", root) == alice
    assert config.resolve_user("1000", root) == alice
    assert config.resolve_user("alice:wheel", root)[1:3] == (10, ())
    assert config.resolve_user("4711:12", root)[:3] == (4711, 12, ())


def test_on_the_hosts_files_the_user_is_who_runs_pygos() -> None:
    user = config.resolve_user(None, "host")
    assert (user.uid, user.gid) == (os.getuid(), os.getgid())


def test_a_hostile_image_cannot_make_us_read_through_links(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").symlink_to("/etc/passwd")
    with pytest.raises(ConfigError, match="unknown user 'daemon'"):
        config.resolve_user("daemon", str(tmp_path))


def test_an_image_whose_passwd_is_a_fifo_does_not_hang(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    os.mkfifo(tmp_path / "etc/passwd")
    assert config.resolve_user("7", str(tmp_path)).uid == 7


def test_the_environment_is_scrubbed() -> None:
    user = config.resolve_user(None, "host")
    host = {"PATH": "/bin", "LC_ALL": "C", "SSH_AUTH_SOCK": "/s", "AWS_SECRET": "x", "TZ": "UTC"}
    assert config.base_env(host, "host", user) == {"PATH": "/bin", "LC_ALL": "C", "TZ": "UTC"}


def test_a_root_of_its_own_has_its_users_home_and_dockers_path(tmp_path: Path) -> None:
    root = image(tmp_path, "root:x:0:0::/root:/bin/ash\n")
    env = config.base_env(
        {"PATH": "/opt/x", "HOME": "/home/me"}, root, config.resolve_user(None, root)
    )
    assert env == {
        "PATH": config.DEFAULT_PATH,
        "HOME": "/root",
        "USER": "root",
        "LOGNAME": "root",
        "SHELL": "/bin/ash",
    }


def test_dash_e_sets_passes_and_removes() -> None:
    host = {"TOKEN": "t"}
    settings = ["A=1", "B=x=y", "TOKEN", "GONE", "EMPTY="]
    assert config.apply_env({"GONE": "1"}, settings, host) == {
        "A": "1",
        "B": "x=y",
        "TOKEN": "t",
        "EMPTY": "",
    }


def test_the_platform_is_named_or_comes_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PYGOS_PLATFORM", raising=False)
    assert config.parse_platform(None) == "auto"
    monkeypatch.setenv("PYGOS_PLATFORM", "systrap")
    assert config.parse_platform(None) == "systrap"
    assert config.parse_platform("ptrace") == "ptrace"
    assert config.parse_platform("auto") == "auto"
    with pytest.raises(ConfigError, match="invalid platform 'kvm': say auto, ptrace or systrap"):
        config.parse_platform("kvm")


def test_untrusted_programs_get_the_strict_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYGOS_PLATFORM", "systrap")
    assert config.parse_platform(None, untrusted=True) == registry.STRICT
    assert config.parse_platform("auto", untrusted=True) == registry.STRICT
    assert config.parse_platform("systrap", untrusted=True) == "systrap"


def test_every_platform_can_be_asked_for() -> None:
    assert [config.parse_platform(name) for name in registry.NAMES] == list(registry.NAMES)
