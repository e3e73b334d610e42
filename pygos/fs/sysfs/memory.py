# SPDX-License-Identifier: Apache-2.0
"""/sys/devices/system/memory: RAM in blocks of 128 MiB, as lsmem(1) reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pygos.fs.libfs import DirFileOperations, dir_emit_entries
from pygos.fs.synthetic import (
    Directory,
    Node,
    SyntheticDir,
    SyntheticInode,
    SyntheticInodeOperations,
    fixed_ino,
    synthetic,
)
from pygos.include.uapi.dirent import DT_DIR

if TYPE_CHECKING:
    from pygos.include.linux.fs import DirContext, File, Inode
    from pygos.include.linux.sched import Task

_BLOCK: Final = 128 << 20
_PREFIX: Final = b"devices/system/memory/"


def _blocks(task: Task) -> int:
    return -(-(task.machine.ram.pages << 12) // _BLOCK)


@synthetic("block_size_bytes")
def block_size_bytes(task: Task, target: Any) -> str:
    """Of all blocks, in hex."""
    return f"{_BLOCK:x}\n"


@synthetic("auto_online_blocks")
def auto_online_blocks(task: Task, target: Any) -> str:
    """What would happen to memory that is plugged in: nothing ever is."""
    return "offline\n"


@synthetic("online")
def online(task: Task, target: Any) -> str:
    """Is the block in use?"""
    return "1\n"


@synthetic("phys_device")
def phys_device(task: Task, target: Any) -> str:
    """The part that would be pulled out."""
    return "0\n"


@synthetic("phys_index")
def phys_index(task: Task, target: Any) -> str:
    """The block's number, in hex."""
    return f"{target:08x}\n"


@synthetic("removable")
def removable(task: Task, target: Any) -> str:
    """Memory stays."""
    return "0\n"


@synthetic("state")
def state(task: Task, target: Any) -> str:
    """The same as `online` in a word."""
    return "online\n"


@synthetic("valid_zones")
def valid_zones(task: Task, target: Any) -> str:
    """The zone that the block belongs to."""
    return "Normal\n"


#: memoryN; the name is given by the number.
BLOCK: Final = SyntheticDir("", online, phys_device, phys_index, removable, state, valid_zones)
_FILES: Final[dict[bytes, Node]] = {
    node.name: node for node in (auto_online_blocks, block_size_bytes)
}


class MemoryDirOperations(SyntheticInodeOperations):
    """The directory: two files, and one directory for each block."""

    __slots__ = ()

    def lookup(self, task: Task, dir: Inode, name: bytes) -> Inode | None:
        ino = fixed_ino(dir.i_sb, _PREFIX + name)
        node = _FILES.get(name)
        if node is not None:
            return SyntheticInode(dir.i_sb, ino, node, None)
        digits = name[6:]
        if not name.startswith(b"memory") or not digits.isdigit() or len(digits) > 6:
            return None
        number = int(digits)
        if number >= _blocks(task) or digits != b"%d" % number:
            return None
        return SyntheticInode(dir.i_sb, ino, BLOCK, number)


class MemoryDirFileOperations(DirFileOperations):
    """Its listing."""

    __slots__ = ()

    def iterate(self, task: Task, file: File, ctx: DirContext) -> None:
        entries = [(node.name, node.mode >> 12) for node in _FILES.values()]
        entries += [(b"memory%d" % number, DT_DIR) for number in range(_blocks(task))]
        sb = file.f_inode.i_sb
        dir_emit_entries(
            file, ctx, ((name, fixed_ino(sb, _PREFIX + name), kind) for name, kind in entries)
        )


MEMORY: Final = Directory("memory", 0o755, MemoryDirOperations(), MemoryDirFileOperations())
