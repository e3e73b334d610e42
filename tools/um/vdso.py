#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Build the vDSO: write pygos/arch/x86/vdso/image.py and pygos/host/clock_code.py.

Needed only after a change of vdso.S, clock.S or the builder. With --check it compares and
exits 1 on a difference (tests/x86/test_vdso.py does the same).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from pygos.arch.x86.vdso.elf import build  # noqa: E402

VDSO, HOST = ROOT / "pygos" / "arch" / "x86" / "vdso", ROOT / "pygos" / "host"
#: Where the code begins in the image: the first place that is free.
TEXT_OFFSET = 0x540


def assemble(source: Path, text_offset: int = 0) -> tuple[bytes, dict[str, tuple[int, int]]]:
    """The text section of a listing; offset and size of its global symbols."""
    with tempfile.TemporaryDirectory() as tmp:
        obj, raw = f"{tmp}/o", f"{tmp}/b"
        define = ["--defsym", f"TEXT_OFFSET={text_offset}"]
        subprocess.run(["as", "--64", *define, "-o", obj, str(source)], check=True)
        if subprocess.run(["objdump", "-r", obj], check=True, capture_output=True).stdout.count(
            b"R_X86_64"
        ):
            raise SystemExit(f"{source}: relocations")
        subprocess.run(["objcopy", "-O", "binary", "-j", ".text", obj, raw], check=True)
        names = subprocess.run(
            ["nm", "--extern-only", "--print-size", obj], check=True, capture_output=True, text=True
        ).stdout
        code = Path(raw).read_bytes()
    symbols = {}
    for line in names.splitlines():
        value, *size, _, name = line.split()
        symbols[name] = (int(value, 16), int(size[0], 16) if size else 0)
    return code, dict(sorted(symbols.items(), key=lambda item: item[1]))


def literal(name: str, code: bytes) -> str:
    """A bytes constant as hex lines of 40 bytes."""
    rows = [f'    "{code[i : i + 40].hex()}"' for i in range(0, len(code), 40)]
    return f"{name}: Final = bytes.fromhex(\n" + "\n".join(rows) + "\n)\n"


def head(what: str) -> str:
    return (
        "# SPDX-License-Identifier: Apache-2.0\n"
        f'"""{what}. Written by tools/um/vdso.py."""\n\n'
        "from __future__ import annotations\n\nfrom typing import Final\n\n"
    )


def image_module() -> str:
    """The text of image.py."""
    text, functions = assemble(VDSO / "vdso.S", TEXT_OFFSET)
    functions = {n: at for n, at in functions.items() if n.startswith("__vdso_")}
    return head("The image of the vDSO, made of vdso.S") + literal(
        "IMAGE", build(text, functions, TEXT_OFFSET)
    )


def clock_module() -> str:
    """The text of clock_code.py."""
    code, symbols = assemble(HOST / "clock.S")
    text = head("Machine code of clock.S") + literal("CLOCK", code)
    for name, (value, _) in symbols.items():
        text += f"CLOCK_{name.upper()}: Final = 0x{value:X}\n"
    return text


def modules() -> dict[Path, str]:
    """All that this writes."""
    return {VDSO / "image.py": image_module(), HOST / "clock_code.py": clock_module()}


def main() -> int:
    for path, text in modules().items():
        if "--check" in sys.argv:
            if path.read_text() != text:
                return 1
        else:
            path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
