# SPDX-License-Identifier: Apache-2.0
"""T-FS: what a program inside can see of the host's files, and that it can't change them."""

from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path

import pytest

import pygos

pytestmark = pytest.mark.boots


def _fingerprint(root: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        st = path.lstat()
        digest.update(f"{path} {st.st_mode} {st.st_size} {st.st_mtime_ns}\n".encode())
        if path.is_file() and not path.is_symlink():
            digest.update(path.read_bytes())
    return digest.hexdigest()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A root with a file, a link out, and special files; the secret lies beside it."""
    root = tmp_path / "root"
    (root / "dir").mkdir(parents=True)
    (root / "dir" / "file").write_text("inside")
    (tmp_path / "secret").write_text("outside")
    (root / "absolute").symlink_to(tmp_path / "secret")
    (root / "relative").symlink_to("../secret")
    (root / "up").symlink_to("../../../../../../../../etc/passwd")
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(root / "socket"))
    busybox = Path("/bin/busybox")
    if not busybox.exists():
        pytest.skip("needs a static busybox")
    (root / "busybox").write_bytes(busybox.read_bytes())
    (root / "busybox").chmod(0o755)
    return root


def test_t_fs_01_nothing_leads_out_of_the_root(tree: Path) -> None:
    with pygos.Machine(memory="64m", root=str(tree)) as machine:
        for name in ("/absolute", "/relative", "/up", "/../secret", "/dir/../../secret",
                     "/proc/self/root/../secret", "/proc/1/root/../secret",
                     "/proc/self/cwd/../secret"):  # fmt: skip
            result = machine.run(["/busybox", "cat", name], timeout=30)
            assert result.returncode == 1, name
            assert b"outside" not in result.stdout
        assert machine.run(["/busybox", "cat", "/dir/file"], timeout=30).stdout == b"inside"


def test_t_fs_01_a_directory_renamed_during_the_run_leads_nowhere(
    tree: Path, tmp_path: Path
) -> None:
    with pygos.Machine(memory="64m", root=str(tree)) as machine:
        assert machine.run(["/busybox", "ls", "/dir"], timeout=30).stdout == b"file\n"
        (tree / "dir").rename(tmp_path / "moved")
        (tree / "dir").symlink_to(tmp_path)
        result = machine.run(["/busybox", "cat", "/dir/secret", "/dir/../secret"], timeout=30)
        assert b"outside" not in result.stdout


def test_t_fs_03_special_files_are_seen_but_never_opened(tree: Path) -> None:
    """Opening the host's FIFO would block the kernel; the socket must not be connected to."""
    with pygos.Machine(memory="64m", root=str(tree)) as machine:
        listing = machine.run(["/busybox", "ls", "-l", "/"], timeout=30).stdout.decode()
        kinds = {line.split()[-1]: line[0] for line in listing.splitlines()[1:]}
        assert (kinds["fifo"], kinds["socket"]) == ("p", "s")
        for name in ("/fifo", "/socket"):
            result = machine.run(["/busybox", "cat", name], timeout=10)
            assert result.returncode == 1, name


def test_t_fs_04_secrets_of_the_user_look_absent() -> None:
    home = Path.home()
    with pygos.Machine(memory="64m") as machine:
        for name in (f"{home}/.ssh", f"{home}/.aws", "/var/run/docker.sock", "/run/docker.sock",
                     "/etc/shadow"):  # fmt: skip
            assert machine.run(["test", "-e", name], timeout=30).returncode == 1, name
        text = machine.run(["env"], timeout=30).stdout.decode()
    assert "SSH_AUTH_SOCK" not in text
    assert "DBUS_SESSION_BUS_ADDRESS" not in text


def test_t_fs_04_the_environment_is_scrubbed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_TOKEN", "hunter2")
    with pygos.Machine(memory="64m") as machine:
        assert b"hunter2" not in machine.run(["env"], timeout=30).stdout


def test_removing_everything_inside_leaves_the_host_alone(tree: Path) -> None:
    (tree / "fifo").unlink()
    before = _fingerprint(tree)
    script = "/busybox rm -rf /dir /absolute; /busybox ls /; /busybox chmod 0 /busybox; exit 7"
    with pygos.Machine(memory="64m", root=str(tree)) as machine:
        result = machine.run(["/busybox", "sh", "-c", script], timeout=30)
        assert result.returncode == 7
        assert b"dir" not in result.stdout.split()
    assert _fingerprint(tree) == before


def test_rm_rf_usr_inside(tmp_path: Path) -> None:
    """A whole /usr goes; the host's stays. (A part of the real one, for the test's time.)"""
    before = _fingerprint(Path("/usr/include/linux"))
    with pygos.Machine(memory="256m", user="0") as machine:
        script = "rm -rf /usr/include; test ! -e /usr/include && echo gone; ls /usr | head -1"
        result = machine.run(["sh", "-c", script], timeout=50)
        assert result.stdout.startswith(b"gone\n")
    assert _fingerprint(Path("/usr/include/linux")) == before
