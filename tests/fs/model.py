# SPDX-License-Identifier: Apache-2.0
"""The same change made natively and in a machine, and its outcome."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pygos.include.errno import Errno
from tests.fs.box import Box


def native(top: Path, op: tuple[Any, ...]) -> Any:
    path = str(top / op[1])
    match op[0]:
        case "mkdir":
            os.mkdir(path)
        case "rmdir":
            os.rmdir(path)
        case "unlink":
            os.unlink(path)
        case "read":
            return Path(path).read_bytes()
        case "list":
            return sorted(map(os.fsencode, os.listdir(path)))
        case "chmod":
            os.chmod(path, 0o755 if os.path.isdir(path) else 0o640)
        case "rename":
            os.rename(path, top / op[2])
        case "link":
            os.link(path, top / op[2], follow_symlinks=False)
        case "symlink":
            os.symlink(op[1], top / op[2])
        case "write":
            Path(path).write_bytes(op[2])
    return None


def guest(box: Box, op: tuple[Any, ...]) -> Any:
    path = b"/" + op[1].encode()
    match op[0]:
        case "mkdir":
            box.mkdir(path)
        case "rmdir":
            box.rmdir(path)
        case "unlink":
            box.unlink(path)
        case "read":
            return box.read(path)
        case "list":
            return box.ls(path)
        case "chmod":
            box.chmod(path, 0o755 if box.stat(path).mode & 0o040000 else 0o640)
        case "rename":
            box.rename(path, b"/" + op[2].encode())
        case "link":
            box.link(path, b"/" + op[2].encode())
        case "symlink":
            box.symlink(op[1].encode(), b"/" + op[2].encode())
        case "write":
            box.write(path, op[2])
    return None


def outcome(function: Any, *args: Any) -> Any:
    try:
        return function(*args)
    except OSError as error:
        return error.errno
    except Errno as error:
        return error.errno


def native_tree(top: Path) -> dict[bytes, Any]:
    found: dict[bytes, Any] = {}
    for path in top.rglob("*"):
        name = b"/" + os.fsencode(path.relative_to(top))
        if path.is_symlink():
            found[name] = b"-> " + os.fsencode(os.readlink(path))
        else:
            found[name] = "dir" if path.is_dir() else path.read_bytes()
    return found
