#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Assemble pygos/host/{stub,helper}.S with GNU as and write pygos/host/machine_code.py.

Needed only after a change of the listings. With --check it compares and exits 1 on a
difference (tests/host/test_machine_code.py does the same).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

HOST = Path(__file__).resolve().parents[2] / "pygos" / "host"


def assemble(source: Path) -> tuple[bytes, dict[str, int]]:
    """The text section of a listing and the offsets of its global symbols."""
    with tempfile.TemporaryDirectory() as tmp:
        obj, raw = f"{tmp}/o", f"{tmp}/b"
        subprocess.run(["as", "--64", "-o", obj, str(source)], check=True)
        subprocess.run(["objcopy", "-O", "binary", "-j", ".text", obj, raw], check=True)
        names = subprocess.run(
            ["nm", "--extern-only", obj], check=True, capture_output=True, text=True
        ).stdout
        code = Path(raw).read_bytes()
    symbols = {}
    for line in names.splitlines():
        value, _, name = line.split()
        symbols[name] = int(value, 16)
    return code, dict(sorted(symbols.items(), key=lambda item: item[1]))


def literal(name: str, code: bytes) -> str:
    """A bytes constant as hex lines of 40 bytes."""
    rows = [f'    "{code[i : i + 40].hex()}"' for i in range(0, len(code), 40)]
    return f"{name}: Final = bytes.fromhex(\n" + "\n".join(rows) + "\n)\n"


def module() -> str:
    """The text of machine_code.py."""
    head = (
        "# SPDX-License-Identifier: Apache-2.0\n"
        '"""Machine code of stub.S and helper.S. Written by tools/um/assemble.py."""\n\n'
        "from __future__ import annotations\n\nfrom typing import Final\n"
    )
    parts = [head]
    for name in ("stub", "helper"):
        code, symbols = assemble(HOST / f"{name}.S")
        parts.append(literal(name.upper(), code))
        for symbol, value in symbols.items():
            parts.append(f"{name.upper()}_{symbol.strip('_').upper()}: Final = 0x{value:X}\n")
    return tidy("\n".join(parts))


def tidy(text: str) -> str:
    """Constants one under the other."""
    out: list[str] = []
    for line in text.split("\n"):
        if not line and out and ": Final = 0x" in out[-1]:
            continue
        out.append(line)
    return "\n".join(out).rstrip("\n") + "\n"


def main() -> int:
    text, target = module(), HOST / "machine_code.py"
    if "--check" in sys.argv:
        return int(target.read_text() != text)
    target.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
