# SPDX-License-Identifier: Apache-2.0
"""Structs of the user ABI as slotted classes with C-typed fields.

A struct is written like a dataclass; its layout follows the C rules of x86-64 and
aarch64 (LP64, little endian), padding included::

    class Itimerspec(CStruct):
        it_interval: Timespec = zeroed(Timespec)
        it_value: Timespec = zeroed(Timespec)

    t = Itimerspec.from_bytes(data)
    t.it_value.tv_sec += 1
    data = t.to_bytes()

Field types are the C integers below, other structs, ``Annotated[bytes, N]`` for an array of
N chars and ``Annotated[tuple[int, ...], u32, N]`` for an array of integers. Modules that
define structs need ``from __future__ import annotations``: the annotations are read as text,
which keeps the definition of a struct at some tens of microseconds. The code of a struct is
generated at its first use and has no loops: about 0.5 us each way for a small one.

Padding is written as zeros, so that nothing leaks to a guest, and is ignored when read.
Integers that do not fit their field are truncated as C does it.
"""

from __future__ import annotations

import sys
from operator import attrgetter
from struct import Struct
from struct import error as struct_error
from typing import Annotated, Any, ClassVar, Final, TypeAlias, TypeVar, cast, dataclass_transform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

T = TypeVar("T")

i8: TypeAlias = Annotated[int, "b"]
u8: TypeAlias = Annotated[int, "B"]
i16: TypeAlias = Annotated[int, "h"]
u16: TypeAlias = Annotated[int, "H"]
i32: TypeAlias = Annotated[int, "i"]
u32: TypeAlias = Annotated[int, "I"]
i64: TypeAlias = Annotated[int, "q"]
u64: TypeAlias = Annotated[int, "Q"]
c_char: TypeAlias = i8
c_byte: TypeAlias = i8
c_ubyte: TypeAlias = u8
c_short: TypeAlias = i16
c_ushort: TypeAlias = u16
c_int: TypeAlias = i32
c_uint: TypeAlias = u32
c_long: TypeAlias = i64
c_ulong: TypeAlias = u64
c_size_t: TypeAlias = u64
c_ssize_t: TypeAlias = i64
c_ptr: TypeAlias = u64

#: The struct code of each type name that a field may have.
CODES: Final[dict[str, str]] = {
    "i8": "b", "u8": "B", "i16": "h", "u16": "H", "i32": "i", "u32": "I", "i64": "q", "u64": "Q",
    "c_char": "b", "c_byte": "b", "c_ubyte": "B", "c_short": "h", "c_ushort": "H",
    "c_int": "i", "c_uint": "I", "c_long": "q", "c_ulong": "Q",
    "c_size_t": "Q", "c_ssize_t": "q", "c_ptr": "Q",
}  # fmt: skip
#: Bytes of each struct code.
WIDTHS: Final[dict[str, int]] = {
    "b": 1, "B": 1, "h": 2, "H": 2, "i": 4, "I": 4, "q": 8, "Q": 8, "s": 1,
}  # fmt: skip

_CHARS: Final = "Annotated[bytes, "
_INTS: Final = "Annotated[tuple[int, ...], "


def zeroed(kind: type[T]) -> T:
    """The default of a field that is itself a struct: a fresh, zeroed one per instance."""
    return cast("T", None)


class Field:
    """Where one field lies: offset and size in bytes.

    `code` is the code of ``struct`` for integers and chars ("s"), `count` the number of array
    elements (1 if it is no array), `kind` the class if the field is a struct.
    """

    __slots__ = ("align", "code", "count", "is_array", "kind", "name", "offset", "size")

    def __init__(self, name: str, hint: str, module: str) -> None:
        self.name = name
        self.offset = 0
        self.count = 1
        self.is_array = False  # the value is bytes or a tuple
        self.kind: type[CStruct] | None = None
        code = CODES.get(hint)
        if code is not None:
            self.code = code
            self.size = self.align = WIDTHS[code]
        elif hint.startswith("Annotated["):
            self._array(hint)
        else:
            kind: type[CStruct] = vars(sys.modules[module])[hint]
            self.code = kind.FORMAT
            self.kind = kind
            self.size, self.align = kind.SIZE, kind.ALIGN

    def _array(self, hint: str) -> None:
        if hint.startswith(_CHARS):
            self.code = "s"
            count = hint[len(_CHARS) : -1]
        elif hint.startswith(_INTS):
            item, _, count = hint[len(_INTS) : -1].partition(", ")
            self.code = CODES[item]
        else:
            raise TypeError(f"not a C type: {hint}")
        self.is_array = True
        self.count = int(count)
        self.align = WIDTHS[self.code]
        self.size = self.align * self.count

    @property
    def format(self) -> str:
        """The field's part of the struct's format."""
        return f"{self.count}{self.code}" if self.is_array else self.code


def _layout(fields: list[Field], packed: bool) -> tuple[str, int, int]:
    """Give each field its offset; returns the format (no byte order), size and alignment."""
    parts = []
    end = 0
    align = 1
    for field in fields:
        if not packed:
            align = max(align, field.align)
            pad = -end % field.align
            if pad:
                parts.append(f"{pad}x")
                end += pad
        field.offset = end
        end += field.size
        parts.append(field.format)
    pad = -end % align
    if pad:
        parts.append(f"{pad}x")
    return "".join(parts), end + pad, align


@dataclass_transform()
class CStructMeta(type):
    """Turns annotated fields into slots and a layout; see the module's docstring."""

    def __new__(
        meta, name: str, bases: tuple[type, ...], ns: dict[str, Any], *, packed: bool = False
    ) -> CStructMeta:
        hints: dict[str, str] = ns.get("__annotations__", {}) if bases else {}
        module = ns["__module__"]
        fields = [Field(n, h, module) for n, h in hints.items() if not h.startswith("ClassVar")]
        ns["FIELDS"] = tuple(fields)
        ns["__slots__"] = tuple([f.name for f in fields])
        ns["DEFAULTS"] = {f.name: d for f in fields if (d := ns.pop(f.name, None))}
        form, size, ns["ALIGN"] = _layout(fields, packed)
        ns["FORMAT"] = form
        ns["SIZE"] = size
        ns["STRUCT"] = Struct("<" + form)
        return super().__new__(meta, name, bases, ns)


class CStruct(metaclass=CStructMeta):
    """Base of all structs of the user ABI.

    The constructor takes the fields by position or name; what is left out is zero.
    ``class X(CStruct, packed=True)`` is a struct with ``__attribute__((packed))``.
    """

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]

    SIZE: ClassVar[int]
    ALIGN: ClassVar[int]
    #: The format of ``struct`` without byte order; nested structs are flattened into it.
    FORMAT: ClassVar[str]
    STRUCT: ClassVar[Struct]
    FIELDS: ClassVar[tuple[Field, ...]]
    #: Defaults that are not zero.
    DEFAULTS: ClassVar[dict[str, Any]]

    # The four methods below are replaced by generated ones at their first use.

    def __init__(self, *args: Any, **fields: Any) -> None:
        _generate_init(type(self))
        type(self).__init__(self, *args, **fields)

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview, offset: int = 0) -> Self:
        """Read a struct at `offset` of `data`, which may be longer; struct.error if shorter."""
        _generate_from(cls)
        return cls.from_bytes(data, offset)

    def to_bytes(self) -> bytes:
        """The SIZE bytes of the struct."""
        _generate_to(type(self))
        return self.to_bytes()

    def pack_into(self, buffer: bytearray | memoryview, offset: int = 0) -> None:
        """Write the struct at `offset` of a writable buffer."""
        _generate_to(type(self))
        self.pack_into(buffer, offset)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self.to_bytes() == other.to_bytes()

    def __repr__(self) -> str:
        values = ", ".join([f"{f.name}={getattr(self, f.name)!r}" for f in self.FIELDS])
        return f"{type(self).__name__}({values})"


def offsets(kind: type[CStruct]) -> dict[str, int]:
    """The byte offset of each field, nested ones by dotted name too."""
    found: dict[str, int] = {}
    for field in kind.FIELDS:
        found[field.name] = field.offset
        if field.kind is not None:
            for name, offset in offsets(field.kind).items():
                found[f"{field.name}.{name}"] = field.offset + offset
    return found


def _leaves(kind: type[CStruct], prefix: str = "") -> list[tuple[str, Field]]:
    """The fields that hold values, in order, by dotted name."""
    found: list[tuple[str, Field]] = []
    for field in kind.FIELDS:
        if field.kind is None:
            found.append((prefix + field.name, field))
        else:
            found += _leaves(field.kind, f"{prefix}{field.name}.")
    return found


def _wrap(value: int, code: str) -> int:
    """`value` as C stores it in an integer of struct code `code`."""
    bits = WIDTHS[code] * 8
    value &= (1 << bits) - 1
    if code.islower() and value >> (bits - 1):
        value -= 1 << bits
    return value


def _truncated(self: CStruct) -> list[int | bytes]:
    """The values of all fields, cut to their widths: the slow way, when packing failed."""
    values: list[int | bytes] = []
    for path, field in _leaves(type(self)):
        value = attrgetter(path)(self)
        if field.code == "s":
            values.append(value)
            continue
        items = value if field.is_array else (value,)
        if len(items) != field.count:
            raise ValueError(f"{type(self).__name__}.{path} has {field.count} items")
        values += [_wrap(item, field.code) for item in items]
    return values


def _default(field: Field) -> object:
    if field.kind is not None:
        return None
    if field.code == "s":
        return bytes(field.count)
    return (0,) * field.count if field.is_array else 0


def _init_source(kind: type[CStruct]) -> list[str]:
    args = "".join([f", {f.name}={kind.DEFAULTS.get(f.name, _default(f))!r}" for f in kind.FIELDS])
    lines = [f"def __init__(self{args}):"]
    for n, field in enumerate(kind.FIELDS):
        fresh = "" if field.kind is None else f"K{n}() if {field.name} is None else "
        lines.append(f" self.{field.name} = {fresh}{field.name}")
    return lines


def _from_source(kind: type[CStruct], names: dict[str, Any]) -> list[str]:
    """Source of from_bytes: make the nested structs, then assign all values at once."""
    lines = ["def from_bytes(cls, data, offset=0):", " s = new(cls)"]
    targets: list[str] = []

    def visit(part: type[CStruct], owner: str) -> None:
        for n, field in enumerate(part.FIELDS):
            target = f"{owner}.{field.name}"
            if field.kind is not None:
                inner = f"{owner}_{n}"
                names[f"C{inner}"] = field.kind
                lines.append(f" {target} = {inner} = new(C{inner})")
                visit(field.kind, inner)
            elif field.is_array and field.code != "s":
                items = [f"{owner}_{n}_{i}" for i in range(field.count)]
                targets.extend(items)
                arrays.append(f" {target} = ({', '.join(items)},)")
            else:
                targets.append(target)

    arrays: list[str] = []
    visit(kind, "s")
    lines.append(f" {', '.join(targets)}, = unpack_from(data, offset)")
    return [*lines, *arrays, " return s"]


def _compiled(kind: type[CStruct], lines: list[str], names: dict[str, Any]) -> dict[str, Any]:
    exec(compile("\n".join(lines), f"<cstruct {kind.__name__}>", "exec"), names)
    return names


def _generate_init(kind: type[CStruct]) -> None:
    names: dict[str, Any] = {f"K{n}": field.kind for n, field in enumerate(kind.FIELDS)}
    init = _compiled(kind, _init_source(kind), names)["__init__"]
    setattr(kind, "__init__", init)  # noqa: B010  mypy knows that it is no variable


def _generate_from(kind: type[CStruct]) -> None:
    names: dict[str, Any] = {"new": object.__new__, "unpack_from": kind.STRUCT.unpack_from}
    _compiled(kind, _from_source(kind, names), names)
    kind.from_bytes = classmethod(names["from_bytes"])  # type: ignore[method-assign,assignment]


def _generate_to(kind: type[CStruct]) -> None:
    values = ", ".join(
        [
            f"*self.{path}" if field.is_array and field.code != "s" else f"self.{path}"
            for path, field in _leaves(kind)
        ]
    )
    source = [
        "def to_bytes(self):",
        " try:",
        f"  return pack({values})",
        " except struct_error:",
        "  return pack(*truncated(self))",
        "def pack_into(self, buffer, offset=0):",
        " try:",
        f"  pack_to(buffer, offset, {values})",
        " except struct_error:",
        "  pack_to(buffer, offset, *truncated(self))",
    ]
    names: dict[str, Any] = {"struct_error": struct_error, "truncated": _truncated}
    names |= {"pack": kind.STRUCT.pack, "pack_to": kind.STRUCT.pack_into}
    _compiled(kind, source, names)
    kind.to_bytes = names["to_bytes"]  # type: ignore[method-assign]
    kind.pack_into = names["pack_into"]  # type: ignore[method-assign]
