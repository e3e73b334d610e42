# SPDX-License-Identifier: Apache-2.0
"""prctl(2)'s options about the address space: PR_SET_MM, PR_SET_VMA, PR_GET_AUXV."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pygos.include.errno import EBADF, EFAULT, EINVAL, ENOMEM, EPERM
from pygos.include.linux.platform import PAGE_SIZE, TASK_SIZE
from pygos.include.uapi import prctl as uapi
from pygos.include.uapi.capability import CAP_CHECKPOINT_RESTORE, CAP_SYS_ADMIN, CAP_SYS_RESOURCE
from pygos.include.uapi.prctl import PrctlMmMap
from pygos.include.uapi.resource import RLIM_INFINITY, RLIMIT_DATA
from pygos.mm.vma import find_vma, has_hole, isolate, merge_range, vma_is_anonymous, vmas_in

if TYPE_CHECKING:
    from pygos.include.linux.sched import Task
    from pygos.mm.mm import Mm

#: Fields of the mm by PR_SET_MM_*.
_FIELDS: Final = {
    uapi.PR_SET_MM_START_CODE: "start_code",
    uapi.PR_SET_MM_END_CODE: "end_code",
    uapi.PR_SET_MM_START_DATA: "start_data",
    uapi.PR_SET_MM_END_DATA: "end_data",
    uapi.PR_SET_MM_START_STACK: "start_stack",
    uapi.PR_SET_MM_START_BRK: "start_brk",
    uapi.PR_SET_MM_BRK: "brk",
    uapi.PR_SET_MM_ARG_START: "arg_start",
    uapi.PR_SET_MM_ARG_END: "arg_end",
    uapi.PR_SET_MM_ENV_START: "env_start",
    uapi.PR_SET_MM_ENV_END: "env_end",
}
_NEED_VMA: Final = ("start_stack", "arg_start", "arg_end", "env_start", "env_end")
_ORDERED: Final = (
    ("start_code", "end_code"), ("start_data", "end_data"), ("start_brk", "brk"),
    ("arg_start", "arg_end"), ("env_start", "env_end"),
)  # fmt: skip
#: Bytes of the saved auxiliary vector: 26 pairs.
AUXV_SIZE: Final = 26 * 16
_NAME_MAX: Final = 80
_NOT_IN_NAMES: Final = frozenset(b"\\`$[]")


def _mm(task: Task) -> Mm:
    assert task.mm is not None
    return task.mm


def get_auxv(task: Task, addr: int, size: int) -> int:
    """PR_GET_AUXV: copy the auxiliary vector out; returns its full size."""
    mm = _mm(task)
    auxv = mm.auxv.ljust(AUXV_SIZE, b"\0")
    mm.write(addr, auxv[:size])
    return len(auxv)


def set_mm(task: Task, option: int, addr: int, arg4: int, arg5: int) -> int:
    """PR_SET_MM: where code, data, arguments and environment are shown to be."""
    sized = option in (uapi.PR_SET_MM_AUXV, uapi.PR_SET_MM_MAP, uapi.PR_SET_MM_MAP_SIZE)
    if arg5 or (arg4 and not sized):
        raise EINVAL
    if option == uapi.PR_SET_MM_MAP_SIZE:
        _mm(task).write_u32(addr, PrctlMmMap.SIZE)
        return 0
    if option == uapi.PR_SET_MM_MAP:
        return _set_map(task, addr, arg4)
    if not task.cred.capable(CAP_SYS_RESOURCE):
        raise EPERM
    if option == uapi.PR_SET_MM_EXE_FILE:
        task.machine.fs_hooks.set_mm_exe_file(task, addr & 0xFFFF_FFFF)
        return 0
    if option == uapi.PR_SET_MM_AUXV:
        return _set_auxv(_mm(task), addr, arg4)
    name = _FIELDS.get(option)
    min_addr = task.machine.sysctl.get("vm.mmap_min_addr", 65536)
    if name is None or not min_addr <= addr < TASK_SIZE:
        raise EINVAL
    mm = _mm(task)
    values = {field: getattr(mm, field) for field in _FIELDS.values()}
    values[name] = addr
    _check(task, values)
    if name in _NEED_VMA and find_vma(mm, addr) is None:
        raise EFAULT
    setattr(mm, name, addr)
    return 0


def _check(task: Task, values: dict[str, int]) -> None:
    """validate_prctl_map_addr(): addresses in user space and in order. EINVAL."""
    min_addr = task.machine.sysctl.get("vm.mmap_min_addr", 65536)
    if any(not min_addr <= value < TASK_SIZE for value in values.values()):
        raise EINVAL
    for low, high in _ORDERED:
        if values[low] > values[high]:
            raise EINVAL
    limit = task.group.rlim[RLIMIT_DATA][0]
    used = values["brk"] - values["start_brk"] + values["end_data"] - values["start_data"]
    if limit != RLIM_INFINITY and used > limit:
        raise EINVAL


def _set_auxv(mm: Mm, addr: int, size: int) -> int:
    if not addr or size > AUXV_SIZE:
        raise EINVAL
    mm.auxv = _read_auxv(mm, addr, size)
    return 0


def _read_auxv(mm: Mm, addr: int, size: int) -> bytes:
    """A vector from user memory; it always ends with AT_NULL."""
    data = bytearray(mm.read(addr, size).ljust(AUXV_SIZE, b"\0"))
    data[-16:] = bytes(16)
    return bytes(data)


def _set_map(task: Task, addr: int, size: int) -> int:
    """PR_SET_MM_MAP: all of it at once (checkpoint/restore)."""
    mm = _mm(task)
    if size != PrctlMmMap.SIZE:
        raise EINVAL
    new = PrctlMmMap.from_bytes(mm.read(addr, size))
    values = {field: getattr(new, field) for field in _FIELDS.values()}
    _check(task, values)
    auxv = new.auxv_size
    if auxv and (not new.auxv or auxv > AUXV_SIZE):
        raise EINVAL
    vector = _read_auxv(mm, new.auxv, auxv) if auxv else mm.auxv
    if new.exe_fd != 0xFFFF_FFFF:
        if not task.cred.cap_effective & (1 << CAP_SYS_ADMIN | 1 << CAP_CHECKPOINT_RESTORE):
            raise EPERM
        task.machine.fs_hooks.set_mm_exe_file(task, new.exe_fd)
    mm.auxv = vector
    for field, value in values.items():
        setattr(mm, field, value)
    return 0


def set_vma(task: Task, option: int, start: int, length: int, name: int) -> int:
    """PR_SET_VMA_ANON_NAME: name anonymous mappings, as /proc/PID/maps then shows."""
    mm = _mm(task)
    if option != uapi.PR_SET_VMA_ANON_NAME:
        raise EINVAL
    text = _vma_name(mm, name) if name else ""
    length = -(-length // PAGE_SIZE) * PAGE_SIZE
    end = start + length
    if start % PAGE_SIZE or end >= 1 << 64:
        raise EINVAL
    if not length:
        return 0
    for vma in vmas_in(mm, start, end):
        shared = vma.file is None and vma.mapping is not None and vma.vm_ops is None
        if not (shared or vma_is_anonymous(vma)):
            raise EBADF
        if vma.name and not vma.name.startswith("[anon"):
            continue  # the heap and the stack keep theirs
        part = isolate(mm, vma, max(start, vma.start), min(end, vma.end))
        part.name = text.replace("[anon:", "[anon_shmem:", 1) if shared else text
    merge_range(mm, start, end)
    if has_hole(mm, start, end):
        raise ENOMEM
    return 0


def _vma_name(mm: Mm, addr: int) -> str:
    """The name as shown, "[anon:...]". EINVAL for unprintable or special characters."""
    name = bytearray()
    while True:
        byte = mm.read(addr + len(name), 1)[0]
        if not byte:
            return f"[anon:{name.decode('ascii')}]"
        if not 0x20 <= byte < 0x7F or byte in _NOT_IN_NAMES or len(name) >= _NAME_MAX - 1:
            raise EINVAL
        name.append(byte)
