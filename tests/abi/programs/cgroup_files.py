# SPDX-License-Identifier: Apache-2.0
# abi-needs: /usr/bin/python3
# abi-as: root
# abi-mount: cgroup2
"""The files of control groups: what can be written, which errors; making and removing groups."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any


def mountpoint() -> str:
    with open("/proc/self/mounts") as file:
        for line in file:
            fields = line.split()
            if fields[2] == "cgroup2":
                return fields[1]
    sys.exit("no cgroup2")


ROOT = f"{mountpoint()}/pygos-abi-files-{os.getpid()}"


def check(name: str, call: Callable[[], Any]) -> None:
    try:
        result = call()
    except OSError as error:
        result = errno.errorcode[error.errno or 0]
    print(
        f"{name}: {str(result).replace(ROOT, 'ROOT').replace(ROOT.rpartition('/')[2], 'ROOT')}",
        flush=True,
    )


def write(path: str, text: str) -> int:
    fd = os.open(f"{ROOT}/{path}", os.O_WRONLY)
    try:
        return os.write(fd, text.encode())
    finally:
        os.close(fd)


def read(path: str) -> str:
    with open(f"{ROOT}/{path}") as file:
        return file.read()


def close(path: str, flags: int) -> None:
    os.close(os.open(f"{ROOT}/{path}", flags))


def writes() -> None:
    texts = {
        "cgroup.freeze": ("", "x", "2", "-1", "1 ", "1\n", "0x1", " 1", "01", "1 1", "0"),
        "cgroup.kill": ("", "x", "2", "0", "-1"),
        "cgroup.max.depth": ("", "x", "max", "5", "-1", "maxx", " max\n", "99999999999"),
        "cgroup.max.descendants": ("2147483647", "2147483648", "0x10", "-0", "1e3", "max"),
        "cgroup.procs": (
            "x",
            "-1",
            "0x",
            "99999999",
            "1 2",
            "2147483648",
            "99999999999",
            "\n",
            "1.5",
        ),
        "cgroup.threads": ("x", "-1", "99999999"),
        "cgroup.subtree_control": ("", "+nothing", "nothing", "+", "-", "++cpu", " ", "+cpu-cpu"),
        "cgroup.type": ("", "x", "domain", "domain threaded", "Threaded"),
        "cgroup.events": ("1",),
        "cgroup.stat": ("1",),
        "cgroup.controllers": ("1",),
    }
    for file, values in texts.items():
        for text in values:
            check(f"{file} {text!r}", lambda file=file, text=text: write(f"a/{file}", text))
        if file not in ("cgroup.kill", "cgroup.stat"):
            check(file, lambda file=file: read(f"a/{file}").split())
    check("too long", lambda: write("a/cgroup.procs", " " * 4097))
    check("a page", lambda: write("a/cgroup.procs", " " * 4096))
    check("kill can't be read", lambda: read("a/cgroup.kill"))


def directories() -> None:
    check("file exists", lambda: os.mkdir(f"{ROOT}/cgroup.procs"))
    check("exists", lambda: os.mkdir(f"{ROOT}/a"))
    check("newline", lambda: os.mkdir(f"{ROOT}/a\nb"))
    check("not empty", lambda: os.rmdir(f"{ROOT}/a"))
    check("a file", lambda: os.rmdir(f"{ROOT}/cgroup.procs"))
    check("create", lambda: close("new", os.O_WRONLY | os.O_CREAT))
    check("open creating", lambda: close("cgroup.procs", os.O_WRONLY | os.O_CREAT))
    check("open truncating", lambda: close("cgroup.procs", os.O_WRONLY | os.O_TRUNC))
    check("write only", lambda: close("cgroup.events", os.O_WRONLY))
    check("unlink", lambda: os.unlink(f"{ROOT}/cgroup.procs"))
    check("rename", lambda: os.rename(f"{ROOT}/c", f"{ROOT}/d"))
    check("rename elsewhere", lambda: os.rename(f"{ROOT}/c", f"{ROOT}/a/d"))
    check("rename a file", lambda: os.rename(f"{ROOT}/cgroup.procs", f"{ROOT}/x"))
    check("symlink", lambda: os.symlink("a", f"{ROOT}/l"))
    check("link", lambda: os.link(f"{ROOT}/cgroup.procs", f"{ROOT}/l"))
    check("mknod", lambda: os.mknod(f"{ROOT}/l"))
    check("mkfifo", lambda: os.mkfifo(f"{ROOT}/l"))
    check("truncate", lambda: os.truncate(f"{ROOT}/cgroup.procs", 5))
    check("links", lambda: os.stat(ROOT).st_nlink)
    check("size", lambda: os.stat(f"{ROOT}/cgroup.procs").st_size)
    check("type", lambda: oct(os.stat(f"{ROOT}/cgroup.kill").st_mode))


def limits() -> None:
    write("a/cgroup.max.depth", "1")
    check("too deep", lambda: os.mkdir(f"{ROOT}/a/b/c"))
    write("a/cgroup.max.depth", "max")
    write("a/cgroup.max.descendants", "1")
    check("too many", lambda: os.mkdir(f"{ROOT}/a/e"))
    write("a/cgroup.max.descendants", "max")
    check("descendants", lambda: read("cgroup.stat").split()[:2])


def attributes() -> None:
    check("chmod", lambda: os.chmod(f"{ROOT}/a/cgroup.procs", 0o666))
    check("mode", lambda: oct(os.stat(f"{ROOT}/a/cgroup.procs").st_mode))
    check("chown", lambda: os.chown(f"{ROOT}/a", 5, 6))
    check("owner", lambda: os.stat(f"{ROOT}/a")[4:6])
    check("of the file", lambda: os.stat(f"{ROOT}/a/cgroup.procs")[4:6])
    check("utime", lambda: os.utime(f"{ROOT}/a", (1, 2)))
    check("times", lambda: os.stat(f"{ROOT}/a")[7:9])
    check("user.x", lambda: os.setxattr(f"{ROOT}/a", "user.x", b"1"))
    check("create", lambda: os.setxattr(f"{ROOT}/a", "user.x", b"1", os.XATTR_CREATE))
    check("replace", lambda: os.setxattr(f"{ROOT}/a", "user.y", b"1", os.XATTR_REPLACE))
    check("trusted.x", lambda: os.setxattr(f"{ROOT}/a", "trusted.x", b"22"))
    check("list", lambda: os.listxattr(f"{ROOT}/a"))
    check("get", lambda: os.getxattr(f"{ROOT}/a", "trusted.x"))
    check("remove", lambda: os.removexattr(f"{ROOT}/a", "trusted.x"))
    check("gone", lambda: os.getxattr(f"{ROOT}/a", "trusted.x"))


def removed() -> None:
    directory = os.open(f"{ROOT}/c", os.O_RDONLY)
    file = os.open(f"{ROOT}/c/cgroup.procs", os.O_RDWR)
    os.rmdir(f"{ROOT}/c")
    check("read", lambda: os.read(file, 100))
    check("write", lambda: os.write(file, b"0"))
    check("listing", lambda: os.listdir(directory))
    check("mkdir", lambda: os.mkdir("q", dir_fd=directory))
    check("open", lambda: os.open("cgroup.procs", 0, dir_fd=directory))
    check("link", lambda: os.readlink(f"/proc/self/fd/{directory}").startswith(ROOT + "/c"))
    os.close(directory)
    os.close(file)


def main() -> None:
    os.mkdir(ROOT)
    try:
        for name in ("a", "a/b", "c"):
            os.mkdir(f"{ROOT}/{name}")
        for step in (writes, directories, limits, attributes, removed):
            print(f"-- {step.__name__}")
            step()
    finally:
        subprocess.call(["find", ROOT, "-depth", "-type", "d", "-exec", "rmdir", "{}", ";"])


main()
