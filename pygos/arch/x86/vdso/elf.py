# SPDX-License-Identifier: Apache-2.0
"""Makes a shared library of machine code without relocations: one page, one segment.

Everything a dynamic linker looks for: symbols with both kinds of hash table and a version,
unwind information, a note with the kernel's version. Used when the image is built, not when
it is mapped. elf(5); the version sections are those of the Linux Standard Base.
"""

from __future__ import annotations

from hashlib import sha1
from struct import Struct, pack
from typing import Final

from pygos.include.dataclass import dataclass
from pygos.include.uapi import elf
from pygos.include.uapi.version import LINUX_VERSION_CODE

SONAME: Final = "linux-vdso.so.1"
VERSION: Final = "LINUX_2.6"
_BASE: Final = 4096
_EHDR, _PHDR, _SHDR, _SYM = 64, 56, 64, 24
_HEADER: Final = Struct("<16sHHIQQQIHHHHHH")
_SECTION: Final = Struct("<IIQQQQIIQQ")
_SEGMENT: Final = Struct("<IIQQQQQQ")
_VERDEF: Final = Struct("<HHHHIIIII")  # with its one name
_ET_DYN, _SHF_ALLOC, _SHF_EXECINSTR = 3, 2, 4
_SHT_GNU_HASH, _SHT_GNU_VERDEF, _SHT_GNU_VERSYM = 0x6FFFFFF6, 0x6FFFFFFD, 0x6FFFFFFF
_DT_GNU_HASH, _DT_VERSYM, _DT_VERDEF, _DT_VERDEFNUM = (
    0x6FFFFEF5, 0x6FFFFFF0, 0x6FFFFFFC, 0x6FFFFFFD,
)  # fmt: skip
_GLOBAL, _WEAK, _OBJECT, _FUNC = 1 << 4, 2 << 4, 1, 2
_SHN_ABS: Final = 0xFFF1
_BUCKETS: Final = 4
_BLOOM_SHIFT: Final = 6


@dataclass(slots=True)
class Symbol:
    """One entry of the dynamic symbol table; `value` counts from the code's beginning."""

    name: str
    info: int
    value: int = 0
    size: int = 0
    absolute: bool = False


@dataclass(slots=True)
class Section:
    """One section and its place in the image."""

    name: str
    kind: int
    data: bytes
    align: int = 8
    flags: int = _SHF_ALLOC
    link: str = ""
    info: int = 0
    entsize: int = 0
    offset: int = 0


def elf_hash(name: str) -> int:
    """The hash of DT_HASH and of versions (System V ABI)."""
    value = 0
    for char in name.encode():
        value = (value << 4) + char
        high = value & 0xF0000000
        value = (value ^ high >> 24) & ~high
    return value


def gnu_hash(name: str) -> int:
    """The hash of DT_GNU_HASH."""
    value = 5381
    for char in name.encode():
        value = (value * 33 + char) & 0xFFFFFFFF
    return value


def symbols_of(functions: dict[str, tuple[int, int]]) -> list[Symbol]:
    """The table's entries for ``__vdso_NAME`` -> (offset, size), in the order GNU hash needs."""
    found = [Symbol(VERSION, _GLOBAL | _OBJECT, absolute=True)]
    for name, (value, size) in functions.items():
        found.append(Symbol(name, _GLOBAL | _FUNC, value, size))
        found.append(Symbol(name.removeprefix("__vdso_"), _WEAK | _FUNC, value, size))
    return sorted(found, key=_bucket)


def _bucket(symbol: Symbol) -> tuple[int, str]:
    return gnu_hash(symbol.name) % _BUCKETS, symbol.name


def _sysv_table(symbols: list[Symbol]) -> bytes:
    buckets = [0] * _BUCKETS
    chains = [0] * (len(symbols) + 1)
    for index, symbol in enumerate(symbols, 1):
        slot = elf_hash(symbol.name) % _BUCKETS
        chains[index] = buckets[slot]
        buckets[slot] = index
    words = [_BUCKETS, len(chains), *buckets, *chains]
    return pack(f"<{len(words)}I", *words)


def _gnu_table(symbols: list[Symbol]) -> bytes:
    hashes = [gnu_hash(symbol.name) for symbol in symbols]
    bloom = 0
    buckets = [0] * _BUCKETS
    chain = []
    for index, value in enumerate(hashes):
        bloom |= 1 << value % 64 | 1 << (value >> _BLOOM_SHIFT) % 64
        slot = value % _BUCKETS
        buckets[slot] = buckets[slot] or index + 1
        last = index + 1 == len(hashes) or hashes[index + 1] % _BUCKETS != slot
        chain.append(value & ~1 | last)
    head = pack("<4IQ", _BUCKETS, 1, 1, _BLOOM_SHIFT, bloom)
    return head + pack(f"<{_BUCKETS + len(chain)}I", *buckets, *chain)


class Strings:
    """A string table."""

    __slots__ = ("data",)

    def __init__(self) -> None:
        self.data = b"\0"

    def add(self, text: str) -> int:
        at = len(self.data)
        self.data += text.encode() + b"\0"
        return at


def _versions(strings: Strings) -> bytes:
    """The library's own name, then the one version there is."""
    first = _VERDEF.pack(1, 1, 1, 1, elf_hash(SONAME), 20, 28, strings.add(SONAME), 0)
    name = strings.add(VERSION)
    return first + _VERDEF.pack(1, 0, 2, 1, elf_hash(VERSION), 20, 0, name, 0)


def _notes(text: bytes) -> bytes:
    build = sha1(text, usedforsecurity=False).digest()
    version = pack("<III8sI", 6, 4, 0, b"Linux", LINUX_VERSION_CODE)
    return version + pack("<III4s20s", 4, 20, 3, b"GNU", build)


def _unwind(at: int, text_at: int, size: int) -> bytes:
    """.eh_frame at `at`: everywhere in the code the return address is on top of the stack."""
    # "zR"; code 1, data -8, return address r16; pc-relative i32; CFA = rsp + 8, r16 at CFA - 8.
    cie = pack("<IB3sBBBBB", 0, 1, b"zR\0", 1, 0x78, 16, 1, 0x1B) + b"\x0c\x07\x08\x90\x01"
    cie = cie.ljust(20, b"\0")
    start = text_at - (at + 32)
    fde = pack("<IiIB", len(cie) + 8, start, size, 0).ljust(20, b"\0")
    return pack("<I", len(cie)) + cie + pack("<I", len(fde)) + fde + bytes(4)


def _unwind_index(at: int, frame_at: int, text_at: int) -> bytes:
    """.eh_frame_hdr at `at`, with a table of the one entry."""
    return pack(
        "<BBBBiIii", 1, 0x1B, 0x03, 0x3B, frame_at - (at + 4), 1, text_at - at, frame_at + 24 - at
    )


def _symbol_table(symbols: list[Symbol], strings: Strings, text_at: int, index: int) -> bytes:
    rows = [bytes(_SYM)]
    for symbol in symbols:
        home = _SHN_ABS if symbol.absolute else index
        value = symbol.value if symbol.absolute else symbol.value + text_at
        name = strings.add(symbol.name)
        rows.append(pack("<IBBHQQ", name, symbol.info, 0, home, value, symbol.size))
    return b"".join(rows)


def build(text: bytes, functions: dict[str, tuple[int, int]], text_at: int) -> bytes:
    """The image, one page: `text` at offset `text_at`, `functions` as for symbols_of().

    ValueError: it doesn't fit.
    """
    symbols = symbols_of(functions)
    strings = Strings()
    soname = strings.add(SONAME)
    versions = _versions(strings)
    # The text is the eleventh section, after those that are made here.
    table = _symbol_table(symbols, strings, text_at, 11)
    sections = [
        Section(".hash", elf.SHT_HASH, _sysv_table(symbols), link=".dynsym", entsize=4),
        Section(".gnu.hash", _SHT_GNU_HASH, _gnu_table(symbols), link=".dynsym"),
        Section(".dynsym", elf.SHT_DYNSYM, table, link=".dynstr", info=1, entsize=_SYM),
        Section(".dynstr", elf.SHT_STRTAB, strings.data, align=1),
        Section(
            ".gnu.version", _SHT_GNU_VERSYM, pack(f"<{len(symbols) + 1}H", 0, *[2] * len(symbols)),
            align=2, link=".dynsym", entsize=2,
        ),
        Section(".gnu.version_d", _SHT_GNU_VERDEF, versions, link=".dynstr", info=2),
        Section(".dynamic", elf.SHT_DYNAMIC, bytes(11 * 16), link=".dynstr", entsize=16),
        Section(".note", elf.SHT_NOTE, _notes(text), align=4),
        Section(".eh_frame_hdr", elf.SHT_PROGBITS, bytes(20), align=4),
        Section(".eh_frame", elf.SHT_PROGBITS, bytes(52)),
        Section(".text", elf.SHT_PROGBITS, text, align=64, flags=_SHF_ALLOC | _SHF_EXECINSTR),
    ]  # fmt: skip
    _place(sections, text_at)
    by_name = {section.name: section for section in sections}
    frame, index = by_name[".eh_frame"], by_name[".eh_frame_hdr"]
    frame.data = _unwind(frame.offset, text_at, len(text))
    index.data = _unwind_index(index.offset, frame.offset, text_at)
    by_name[".dynamic"].data = _dynamic(by_name, soname)
    return _image(sections, by_name)


def _place(sections: list[Section], text_at: int) -> None:
    at = _EHDR + 4 * _PHDR
    for section in sections:
        at = (at + section.align - 1) & -section.align
        if section.name == ".text":
            if at > text_at or text_at % section.align:
                raise ValueError(f"the code begins at {at:#x} or later, not at {text_at:#x}")
            at = text_at
        section.offset = at
        at += len(section.data)


def _dynamic(sections: dict[str, Section], soname: int) -> bytes:
    rows = (
        (elf.DT_SONAME, soname),
        (elf.DT_HASH, sections[".hash"].offset),
        (_DT_GNU_HASH, sections[".gnu.hash"].offset),
        (elf.DT_STRTAB, sections[".dynstr"].offset),
        (elf.DT_SYMTAB, sections[".dynsym"].offset),
        (elf.DT_STRSZ, len(sections[".dynstr"].data)),
        (elf.DT_SYMENT, _SYM),
        (_DT_VERSYM, sections[".gnu.version"].offset),
        (_DT_VERDEF, sections[".gnu.version_d"].offset),
        (_DT_VERDEFNUM, 2),
        (elf.DT_NULL, 0),
    )
    return b"".join(pack("<QQ", tag, value) for tag, value in rows)


def _segments(sections: dict[str, Section], size: int) -> bytes:
    rows = [_SEGMENT.pack(elf.PT_LOAD, 5, 0, 0, 0, size, size, _BASE)]
    for kind, name in (
        (elf.PT_DYNAMIC, ".dynamic"), (elf.PT_NOTE, ".note"),
        (elf.PT_GNU_EH_FRAME, ".eh_frame_hdr"),
    ):  # fmt: skip
        section = sections[name]
        at, length = section.offset, len(section.data)
        rows.append(_SEGMENT.pack(kind, 4, at, at, at, length, length, section.align))
    return b"".join(rows)


def _image(sections: list[Section], by_name: dict[str, Section]) -> bytes:
    names = Strings()
    starts = [names.add(section.name) for section in sections]
    last = names.add(".shstrtab")
    numbers = {section.name: number for number, section in enumerate(sections, 1)}
    image = bytearray(sections[-1].offset + len(sections[-1].data))
    for section in sections:
        image[section.offset : section.offset + len(section.data)] = section.data
    table = Section(".shstrtab", elf.SHT_STRTAB, names.data, 1, 0, offset=len(image))
    image += names.data
    image += bytes(-len(image) % 8)
    shoff = len(image)
    image += bytes(_SHDR)
    for section, name in zip([*sections, table], [*starts, last], strict=True):
        address = section.offset if section.flags else 0
        image += _SECTION.pack(
            name, section.kind, section.flags, address, section.offset, len(section.data),
            numbers.get(section.link, 0), section.info, section.align, section.entsize,
        )  # fmt: skip
    if len(image) > _BASE:
        raise ValueError(f"{len(image)} bytes are more than a page")
    count = len(sections) + 2
    image[:_EHDR] = _HEADER.pack(
        b"\x7fELF\x02\x01\x01", _ET_DYN, elf.EM_X86_64, 1, 0, _EHDR, shoff, 0, _EHDR, _PHDR, 4,
        _SHDR, count, count - 1,
    )  # fmt: skip
    image[_EHDR : _EHDR + 4 * _PHDR] = _segments(by_name, len(image))
    return bytes(image)
