# SPDX-License-Identifier: Apache-2.0
"""The system call decorator and the types its handlers may take.

A system call is a plain typed function; its signature is the single source of truth.
Argument decoding, strace text, the coverage table and fuzzing are generated from it:

    @syscall
    def lseek(task: Task, file: FileArg, offset: Long, whence: Int) -> int:
        ...

The first parameter is always the calling task. Each other parameter takes one register
(two for UserBuffer and Iovec kinds) in the order of the ABI. The decoder is a generated
Python function (kernel/decode.py); its source is kept for tests and tracebacks.
Return None for 0. Raise errors: ``raise EBADF``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Generic,
    Protocol,
    TypeAlias,
    TypeVar,
    overload,
)

from pygos.include.dataclass import dataclass

if TYPE_CHECKING:
    from pygos.include.linux.fs import File
    from pygos.include.linux.mm_types import IoBuffer, UserMemory


@dataclass(frozen=True, slots=True)
class Arg:
    """How one parameter is decoded (`kind`) and printed (`show`)."""

    kind: str
    show: str = ""
    regs: int = 1


class AbiStruct(Protocol):
    """A struct of the user ABI: see pygos.include.uapi.cstruct."""

    SIZE: ClassVar[Any]

    @classmethod
    def from_bytes(cls, data: Any) -> Any: ...

    def to_bytes(self) -> bytes: ...


T = TypeVar("T")
S = TypeVar("S", bound=AbiStruct)

Int: TypeAlias = Annotated[int, Arg("i32")]
UInt: TypeAlias = Annotated[int, Arg("u32")]
Long: TypeAlias = Annotated[int, Arg("i64")]
ULong: TypeAlias = Annotated[int, Arg("u64")]
Size: TypeAlias = Annotated[int, Arg("u64")]
#: A number printed in hex or octal by strace.
Flags: TypeAlias = Annotated[int, Arg("i32", "hex")]
ULongFlags: TypeAlias = Annotated[int, Arg("u64", "hex")]
Mode: TypeAlias = Annotated[int, Arg("u32", "octal")]
#: A raw user address: only for calls about addresses themselves (mmap, brk, futex) or whose
#: operand's type depends on another argument (ioctl, prctl, fcntl).
UserAddr: TypeAlias = Annotated[int, Arg("u64", "ptr")]
Pid: TypeAlias = Annotated[int, Arg("i32", "pid")]
Fd: TypeAlias = Annotated[int, Arg("i32", "fd")]
DirFd: TypeAlias = Annotated[int, Arg("i32", "dirfd")]
Signo: TypeAlias = Annotated[int, Arg("i32", "signal")]
#: An open file; the decoder raises EBADF (also for O_PATH descriptors, as fdget() does).
if TYPE_CHECKING:
    FileArg: TypeAlias = File
    RawFileArg: TypeAlias = File
    UserIn: TypeAlias = IoBuffer
    UserOut: TypeAlias = IoBuffer
    IovIn: TypeAlias = IoBuffer
    IovOut: TypeAlias = IoBuffer
else:
    FileArg = Annotated[Any, Arg("file", "fd")]
    RawFileArg = Annotated[Any, Arg("rawfile", "fd")]  # O_PATH descriptors too: fdget_raw()
    #: (address, length): the program's bytes going in (write) or coming out (read).
    UserIn = Annotated[Any, Arg("buf_in", "buf", 2)]
    UserOut = Annotated[Any, Arg("buf_out", "buf", 2)]
    #: (struct iovec *, count)
    IovIn = Annotated[Any, Arg("iov_in", "iov", 2)]
    IovOut = Annotated[Any, Arg("iov_out", "iov", 2)]
#: A path: NUL-terminated, copied once. EFAULT, ENAMETOOLONG (PATH_MAX with the NUL).
#: An empty path is passed on as b"": the walk decides (ENOENT or AT_EMPTY_PATH).
PathArg: TypeAlias = Annotated[bytes, Arg("path", "str")]
#: NULL allowed.
PathOrNull: TypeAlias = Annotated[bytes | None, Arg("path_null", "str")]
#: A struct copied in; EFAULT. In[Timespec]; InOrNull[Timespec] gives None for NULL.
In: TypeAlias = Annotated[T, Arg("in", "struct")]
InOrNull: TypeAlias = Annotated[T | None, Arg("in_null", "struct")]


class Out(Generic[S]):
    """A place for a struct in user memory. ``put`` copies out (EFAULT)."""

    __slots__ = ("addr", "mem")

    def __init__(self, mem: UserMemory, addr: int) -> None:
        self.mem = mem
        self.addr = addr

    def __bool__(self) -> bool:
        """False for NULL."""
        return self.addr != 0

    def put(self, value: S) -> None:
        self.mem.write(self.addr, value.to_bytes())


class OutInt:
    """A place for an int or a long in user memory."""

    __slots__ = ("addr", "mem")

    def __init__(self, mem: UserMemory, addr: int) -> None:
        self.mem = mem
        self.addr = addr

    def __bool__(self) -> bool:
        return self.addr != 0

    def put32(self, value: int) -> None:
        self.mem.write(self.addr, (value & 0xFFFFFFFF).to_bytes(4, "little"))

    def put64(self, value: int) -> None:
        self.mem.write(self.addr, (value & 0xFFFFFFFFFFFFFFFF).to_bytes(8, "little"))


def fetch_first(*arguments: object) -> None:
    """Linux fetches these before it checks anything else: their errors come first.

    Arguments that can't be fetched are otherwise errors when they are used (kernel/deferred.py).
    """
    for argument in arguments:
        if argument is not None:
            bool(argument)


@dataclass(frozen=True, slots=True)
class SyscallInfo:
    """What the decorator was told. `partial` says in a sentence what is missing."""

    name: str
    partial: str


F = TypeVar("F", bound=Callable[..., "int | None"])


@overload
def syscall(function: F) -> F: ...
@overload
def syscall(*, name: str = "", partial: str = "") -> Callable[[F], F]: ...
def syscall(
    function: F | None = None, *, name: str = "", partial: str = ""
) -> F | Callable[[F], F]:
    """Mark a function as a system call handler.

    `name` where the call's name isn't the function's (a trailing underscore is dropped);
    `partial`: what is missing, in one sentence, for the documentation.
    """

    def mark(handler: F) -> F:
        own = name or handler.__name__.removesuffix("_")
        handler.__syscall__ = SyscallInfo(own, partial)  # type: ignore[attr-defined]
        return handler

    return mark if function is None else mark(function)
