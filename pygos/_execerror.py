# SPDX-License-Identifier: Apache-2.0
"""Why a command could not be started, in one line for a person.

Only asked after a failure: it looks at the file as the machine sees it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygos._errors import CommandNotExecutable, CommandNotFound, PygosError
from pygos.include.errno import EACCES, ENOENT, ENOEXEC, ENOTDIR, Errno

if TYPE_CHECKING:
    from pygos.include.linux.fs import Inode
    from pygos.include.linux.machine import Machine

_AT_FDCWD = -100
_ELF_MACHINES = {
    3: "x86, 32 bits", 8: "MIPS", 20: "PowerPC", 21: "PowerPC64", 22: "S/390", 40: "ARM",
    43: "SPARC", 183: "AArch64", 243: "RISC-V", 258: "LoongArch",
}  # fmt: skip
_EM_X86_64 = 62
_ELFCLASS32 = 1


def explain(kernel: Machine, name: bytes, path: str, cwd: str, error: Errno) -> PygosError:
    """The error to raise for a command that gave `error` when it was executed."""
    where = cwd.encode("utf-8", "surrogateescape")
    shown = name.decode("utf-8", "backslashreplace")
    for candidate in _candidates(name, path, where):
        inode = _look_up(kernel, candidate)
        if inode is not None:
            break
    else:
        what = _text(error) if b"/" in name else "command not found"
        missing = isinstance(error, (ENOENT, ENOTDIR))
        return (CommandNotFound if missing else CommandNotExecutable)(f"{shown}: {what}")
    if isinstance(error, ENOENT):
        return CommandNotFound(f"{shown}: its interpreter (#! line or ELF loader) is not there")
    return CommandNotExecutable(f"{shown}: {_why(kernel, candidate, inode, error)}")


def _text(error: Errno | type[Errno]) -> str:
    return error.text.lower()


def _why(kernel: Machine, path: bytes, inode: Inode, error: Errno) -> str:
    if inode.is_dir:
        return "is a directory"
    if isinstance(error, EACCES):
        return "permission denied" if inode.is_reg else "not a regular file"
    if isinstance(error, ENOEXEC):
        return f"exec format error: {_format(_head(kernel, path))}"
    return _text(error)


def _format(head: bytes) -> str:
    """What a file is whose format can't be executed."""
    if not head:
        return "the file is empty"
    if not head.startswith(b"\x7fELF") or len(head) < 20:
        return "neither an ELF program nor a #! script"
    machine = int.from_bytes(head[18:20], "little" if head[5] == 1 else "big")
    if machine == _EM_X86_64:
        return "a 32-bit (x32) program" if head[4] == _ELFCLASS32 else "a damaged ELF program"
    made_for = _ELF_MACHINES.get(machine, f"machine {machine}")
    bits = "a 32-bit program, " if head[4] == _ELFCLASS32 and machine != 3 else "a program "
    return f"{bits}for {made_for}; this machine is x86-64"


def _look_up(kernel: Machine, path: bytes) -> Inode | None:
    from pygos.fs.namei import LOOKUP_FOLLOW, path_lookup

    try:
        return path_lookup(kernel.init_task, _AT_FDCWD, path, LOOKUP_FOLLOW).inode
    except Errno:
        return None


def _candidates(name: bytes, path: str, where: bytes) -> list[bytes]:
    """The absolute paths that a command's name may mean."""
    if b"/" in name:
        return [name if name.startswith(b"/") else where + b"/" + name]
    places = path.encode("utf-8", "surrogateescape").split(b":")
    return [(p if p.startswith(b"/") else where + b"/" + p) + b"/" + name for p in places]


def _head(kernel: Machine, path: bytes) -> bytes:
    from pygos.fs.exec import kernel_read
    from pygos.fs.file_table import fput
    from pygos.fs.open import do_filp_open

    try:
        file = do_filp_open(kernel.init_task, _AT_FDCWD, path, 0, 0)
    except Errno:
        return b""
    try:
        return kernel_read(kernel.init_task, file, 0, 64)
    except Errno:
        return b""
    finally:
        fput(file)
