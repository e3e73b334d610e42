#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Check that every file has an SPDX tag whose licences have a text in LICENSES/.

    scripts/spdxcheck.py [--root DIR] [FILE...]

Without files it checks all files of the checkout that git knows or would add. Each finding is
one line, ``file:line: what``; the exit status is 1 if there is any. Empty files and JSON, which
has no comments, need no tag.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

TAG = re.compile(r"SPDX-License-Identifier:\s*(.*?)\s*(?:\*/|-->|\"\"\")?\s*$")
TOKEN = re.compile(r"[()]|[^\s()]+")
#: A tag must stand in the first lines; COPYING and README may have a heading above it.
TAG_LINES = 12
NO_COMMENTS = frozenset({".json"})


def known_licences(root: Path) -> tuple[set[str], set[str]]:
    """The ids that LICENSES/ has texts for: of licences and of exceptions."""
    licences: set[str] = set()
    exceptions: set[str] = set()
    for path in sorted((root / "LICENSES").glob("*/*")):
        for line in path.read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if key == "Valid-License-Identifier":
                licences.add(value.strip())
            elif key == "SPDX-Exception-Identifier":
                exceptions.add(value.strip())
    return licences, exceptions


class Expression:
    """A licence expression: ids joined by AND and OR, with WITH and parentheses."""

    def __init__(self, text: str, licences: set[str], exceptions: set[str]) -> None:
        self.tokens = TOKEN.findall(text)
        self.pos = 0
        self.licences = licences
        self.exceptions = exceptions

    def peek(self) -> str:
        return self.tokens[self.pos] if self.pos < len(self.tokens) else ""

    def take(self) -> str:
        token = self.peek()
        self.pos += 1
        return token

    def check(self) -> str:
        """What is wrong with it; empty if nothing is."""
        problem = self.alternatives()
        if not problem and self.peek():
            problem = f"unexpected {self.peek()!r} in the licence expression"
        return problem

    def alternatives(self) -> str:
        problem = self.term()
        while not problem and self.peek() in ("AND", "OR"):
            self.take()
            problem = self.term()
        return problem

    def term(self) -> str:
        token = self.take()
        if token == "(":
            return self.alternatives() or ("" if self.take() == ")" else "missing )")
        if not token:
            return "the licence expression ends too early"
        if token not in self.licences:
            return f"no text for licence {token!r} in LICENSES/"
        return self.exception()

    def exception(self) -> str:
        if self.peek() != "WITH":
            return ""
        self.take()
        token = self.take()
        return "" if token in self.exceptions else f"no text for exception {token!r} in LICENSES/"


def check_file(path: Path, licences: set[str], exceptions: set[str]) -> tuple[int, str] | None:
    """The line and the text of what is wrong with a file, or None."""
    data = path.read_bytes()
    if not data or path.suffix in NO_COMMENTS:
        return None
    lines = data[:8192].decode("utf-8", "replace").splitlines()[:TAG_LINES]
    for number, line in enumerate(lines, 1):
        if match := TAG.search(line):
            problem = Expression(match[1], licences, exceptions).check()
            return (number, problem) if problem else None
    return 1, "no SPDX-License-Identifier"


def tree_files(root: Path) -> Iterator[Path]:
    """Tracked files and new ones that aren't ignored; the licence texts are not code."""
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others"]
    listing = subprocess.run([*command, "--exclude-standard"], check=True, capture_output=True)
    for name in sorted(set(listing.stdout.decode().split("\0"))):
        path = root / name
        if name and not name.startswith("LICENSES/") and path.is_file():
            yield path


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent)
    parser.add_argument("files", nargs="*", type=Path)
    options = parser.parse_args(argv)
    licences, exceptions = known_licences(options.root)
    if not licences:
        print(f"{options.root}/LICENSES: no licence texts", file=sys.stderr)
        return 1
    bad = 0
    for path in options.files or tree_files(options.root):
        if found := check_file(path, licences, exceptions):
            print(f"{path}:{found[0]}: {found[1]}")
            bad += 1
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
