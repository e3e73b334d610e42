# SPDX-License-Identifier: Apache-2.0
"""The image of the vDSO: a shared library as tools and dynamic linkers want it, and its code."""

from __future__ import annotations

import ctypes
import io
import mmap
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from pygos.arch.x86.vdso.elf import SONAME, VERSION, build, elf_hash
from pygos.arch.x86.vdso.image import IMAGE
from pygos.host import libc
from pygos.host.clock import clocksource
from pygos.host.tsc import TscClock
from pygos.include.vdso.datapage import (
    VD_ALL_CLOCKS,
    VD_CLOCK_SIZE,
    VD_CLOCKS,
    VD_MASK,
    VD_NR_CPUS,
    VD_TSC,
    VD_ZONE,
)

TOOL = Path(__file__).resolve().parents[2] / "tools" / "um" / "vdso.py"
FUNCTIONS = ("clock_gettime", "gettimeofday", "time", "getcpu", "clock_getres")
NAMES = [*FUNCTIONS, *(f"__vdso_{name}" for name in FUNCTIONS)]
SEC = 10**9


@pytest.mark.skipif(shutil.which("as") is None, reason="needs GNU as")
def test_the_image_is_what_the_listing_says() -> None:
    done = subprocess.run([sys.executable, str(TOOL), "--check"], check=False)
    assert done.returncode == 0, "run tools/um/vdso.py"


@pytest.mark.skipif(shutil.which("readelf") is None, reason="needs readelf")
def test_readelf_finds_nothing_strange(tmp_path: Path) -> None:
    path = tmp_path / SONAME
    path.write_bytes(IMAGE)
    done = subprocess.run(
        ["readelf", "--all", "--wide", "--debug-dump=frames", str(path)],
        check=True, capture_output=True, text=True, env={"LC_ALL": "C"},
    )  # fmt: skip
    assert done.stderr == ""
    assert "arning" not in done.stdout
    for name in NAMES:
        assert f" {name}@@{VERSION}" in done.stdout
    assert f"Library soname: [{SONAME}]" in done.stdout


def test_both_hash_tables_lead_to_every_symbol() -> None:
    elffile = pytest.importorskip("elftools.elf.elffile")
    image = elffile.ELFFile(io.BytesIO(IMAGE))
    versions = image.get_section_by_name(".gnu.version")
    table = image.get_section_by_name(".dynsym")
    numbers = {symbol.name: number for number, symbol in enumerate(table.iter_symbols())}
    for section in (".hash", ".gnu.hash"):
        find = image.get_section_by_name(section).get_symbol
        for name in NAMES:
            symbol = find(name)
            assert symbol.name == name
            assert symbol["st_info"]["type"] == "STT_FUNC"
            weak = not name.startswith("__vdso_")
            assert symbol["st_info"]["bind"] == ("STB_WEAK" if weak else "STB_GLOBAL")
            assert versions.get_symbol(numbers[name])["ndx"] == 2
        assert find("gettime") is None
        assert find(VERSION)["st_shndx"] == "SHN_ABS"
    described = [
        (entry["vd_ndx"], entry["vd_hash"], [aux.name for aux in names])
        for entry, names in image.get_section_by_name(".gnu.version_d").iter_versions()
    ]
    assert described == [(1, elf_hash(SONAME), [SONAME]), (2, elf_hash(VERSION), [VERSION])]


def test_everything_lies_in_the_one_segment() -> None:
    elffile = pytest.importorskip("elftools.elf.elffile")
    image = elffile.ELFFile(io.BytesIO(IMAGE))
    load, *others = image.iter_segments()
    assert (load["p_type"], load["p_vaddr"], load["p_flags"]) == ("PT_LOAD", 0, 5)
    assert load["p_filesz"] == load["p_memsz"] == len(IMAGE) <= 4096
    assert [s["p_type"] for s in others] == ["PT_DYNAMIC", "PT_NOTE", "PT_GNU_EH_FRAME"]
    assert not image.get_section_by_name(".rela.dyn")
    assert all(s["sh_addr"] == s["sh_offset"] for s in image.iter_sections() if s["sh_flags"] & 2)


def test_debuggers_can_unwind_from_anywhere() -> None:
    elffile = pytest.importorskip("elftools.elf.elffile")
    image = elffile.ELFFile(io.BytesIO(IMAGE))
    text = image.get_section_by_name(".text")
    cie, fde, *_ = image.get_dwarf_info().EH_CFI_entries()
    assert fde["initial_location"] == text["sh_addr"]
    assert fde["address_range"] == text["sh_size"]
    (row,) = fde.get_decoded().table or cie.get_decoded().table
    assert (row["cfa"].reg, row["cfa"].offset) == (7, 8)
    assert row[16].arg == -8


def test_an_image_larger_than_a_page_is_refused() -> None:
    with pytest.raises(ValueError, match="more than a page"):
        build(bytes(4096), {"__vdso_time": (0, 1)}, 0x540)
    with pytest.raises(ValueError, match="begins at"):
        build(b"\xc3", {"__vdso_time": (0, 1)}, 0x100)


class Loaded:
    """The image in this process, below it time pages of our own."""

    def __init__(self) -> None:
        self.area = mmap.mmap(-1, 3 * 4096)
        self.area[2 * 4096 : 2 * 4096 + len(IMAGE)] = IMAGE
        self.base = ctypes.addressof(ctypes.c_char.from_buffer(self.area))
        libc.mprotect(self.base + 2 * 4096, 4096, mmap.PROT_READ | mmap.PROT_EXEC)
        self.put("I", VD_MASK, VD_ALL_CLOCKS)
        self.put("I", 4096 + VD_MASK, VD_ALL_CLOCKS)

    def put(self, form: str, at: int, *values: int) -> None:
        struct.pack_into("<" + form, self.area, at, *values)

    def line(self, clock: int, mult: int, sec: int, nsec: int) -> None:
        self.put("QqQ", 4096 + VD_CLOCKS + clock * VD_CLOCK_SIZE, mult, sec, nsec)

    def offset(self, clock: int, ns: int) -> None:
        self.put("8xqQ", VD_CLOCKS + clock * VD_CLOCK_SIZE, *divmod(ns, SEC))

    def call(self, name: str, *args: object) -> int:
        result = ctypes.CFUNCTYPE(ctypes.c_long)(self.base + 2 * 4096 + ADDRESS[name])(*args)
        assert isinstance(result, int)
        return result

    def gettime(self, clock: int) -> tuple[int, int]:
        ts = (ctypes.c_int64 * 2)(-1, -1)
        assert self.call("__vdso_clock_gettime", clock, ctypes.byref(ts)) == 0
        return ts[0], ts[1]


def addresses() -> dict[str, int]:
    """Where functions are, by the symbol table alone."""
    shoff = struct.unpack_from("<Q", IMAGE, 40)[0]
    sections = [struct.unpack_from("<IIQQQQIIQQ", IMAGE, shoff + 64 * i) for i in range(13)]
    table = next(s for s in sections if s[1] == 11)
    strings = sections[table[6]][4]
    found = {}
    for at in range(table[4], table[4] + table[5], 24):
        name, _, _, _, value, _ = struct.unpack_from("<IBBHQQ", IMAGE, at)
        found[IMAGE[strings + name : IMAGE.index(0, strings + name)].decode()] = value
    return found


ADDRESS = addresses()


@pytest.fixture
def loaded() -> Loaded:
    if clocksource() != "tsc":
        pytest.skip("the host doesn't count time by its time stamp counter")
    return Loaded()


@pytest.mark.parametrize("sec", [0, 1, 1_700_000_000, 2**33])
@pytest.mark.parametrize("nsec", [0, 1, 3_999_999, 4_000_000, 999_999_999])
@pytest.mark.parametrize("offset", [0, 1, -1, 999_999_999, -999_999_999, 86400 * SEC + 7, -5 * SEC])
def test_seconds_and_nanoseconds(loaded: Loaded, sec: int, nsec: int, offset: int) -> None:
    """Lines that stand still show where they are, and what the namespace adds."""
    fine, coarse = 7, 6
    for clock in (fine, coarse):
        loaded.line(clock, 0, sec, nsec)
        loaded.offset(clock, offset)
    assert loaded.gettime(fine) == divmod(sec * SEC + nsec + offset, SEC)
    ticks = (sec * SEC + nsec) // 4_000_000 * 4_000_000
    assert loaded.gettime(coarse) == divmod(ticks + offset, SEC)


@pytest.mark.parametrize("ago", [0, 10**6, 10**9, 2 * 10**9, 10**12, 10**16])
def test_cycles_become_time(loaded: Loaded, ago: int) -> None:
    """However long the line hasn't been drawn anew; a counter behind it shows its start."""
    counter = TscClock()._tsc
    mult = int(2**64 / 2.6)
    start = max(counter() - ago, 0)
    loaded.put("Q", 4096 + VD_TSC, start)
    loaded.line(0, mult, 1_700_000_000, 999_999_999)
    shown = []
    for _ in range(100):
        before = counter()
        sec, nsec = loaded.gettime(0)
        after = counter()
        assert 0 <= nsec < SEC
        shown.append(sec * SEC + nsec)
        first, last = (
            1_700_000_000 * SEC + 999_999_999 + ((at - start) * mult >> 64)
            for at in (before, after)
        )
        assert first <= shown[-1] <= last
    assert shown == sorted(shown)
    loaded.put("Q", 4096 + VD_TSC, start + 10**15)
    assert loaded.gettime(0) == (1_700_000_000, 999_999_999)


def test_the_older_functions(loaded: Loaded) -> None:
    loaded.line(0, 0, 1_700_000_000, 123_456_789)
    loaded.put("ii", 4096 + VD_ZONE, -120, 1)
    tv, zone = (ctypes.c_int64 * 2)(), (ctypes.c_int32 * 2)()
    assert loaded.call("__vdso_gettimeofday", ctypes.byref(tv), ctypes.byref(zone)) == 0
    assert (list(tv), list(zone)) == ([1_700_000_000, 123_456], [-120, 1])
    for nsec in (0, 999, 1000, 999_999_999):
        loaded.line(0, 0, 5, nsec)
        assert loaded.call("gettimeofday", ctypes.byref(tv), None) == 0
        assert list(tv) == [5, nsec // 1000]
    seconds = ctypes.c_int64()
    assert loaded.call("__vdso_time", ctypes.byref(seconds)) == 5 == seconds.value
    assert loaded.call("time", None) == 5
    loaded.put("I", 4096 + VD_NR_CPUS, 1)
    cpu, node = ctypes.c_uint32(9), ctypes.c_uint32(9)
    assert loaded.call("getcpu", ctypes.byref(cpu), ctypes.byref(node), None) == 0
    assert (cpu.value, node.value) == (0, 0)


@pytest.mark.parametrize("page", [0, 4096])
def test_clocks_that_may_not_be_read_are_asked_of_the_kernel(loaded: Loaded, page: int) -> None:
    """Here that is the host's: it knows nothing of our line."""
    loaded.line(0, 0, 5, 0)
    loaded.line(1, 0, 5, 0)
    assert loaded.gettime(0) == loaded.gettime(1) == (5, 0)
    loaded.put("I", page + VD_MASK, VD_ALL_CLOCKS & ~1)
    assert loaded.gettime(0) > (5, 0)
    assert loaded.gettime(1) == (5, 0)
    assert loaded.call("time", None) > 5
    tv = (ctypes.c_int64 * 2)()
    assert loaded.call("gettimeofday", ctypes.byref(tv), None) == 0
    assert tv[0] > 5
