# SPDX-License-Identifier: Apache-2.0
"""Whole pieces of work, as users do them: what each runs and what it needs."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_C_HEAD = """#include <stdio.h>
#include <stdlib.h>
#include <string.h>
struct node { struct node *left, *right; int key; char name[16]; };
"""
_C_FUNCTION = """
static struct node *insert_%(n)d(struct node *node, int key)
{
    if (!node) {
        node = calloc(1, sizeof(*node));
        node->key = key;
        snprintf(node->name, sizeof(node->name), "n%%d", key);
    } else if (key < node->key) {
        node->left = insert_%(n)d(node->left, key * %(n)d + 1);
    } else if (key > node->key) {
        node->right = insert_%(n)d(node->right, key / (%(n)d + 3));
    }
    return node;
}
struct node *(*use_%(n)d)(struct node *, int) = insert_%(n)d;
"""
_INSERT = """
import sqlite3
db = sqlite3.connect("bench.db")
db.execute("pragma synchronous=off")  # the machine's files are in memory: leave the disk out
db.execute("create table t(a integer primary key, b text)")
for transaction in range(100):
    with db:
        for i in range(100):
            db.execute("insert into t(b) values(?)", (str(transaction * 100 + i) * 8,))
assert db.execute("select count(*) from t").fetchone() == (10000,)
"""
_GIT = """
set -e
git init -q repo && cd repo
for d in $(seq 20); do
    mkdir d$d
    for f in $(seq 25); do echo "file $d $f" >d$d/f$f; done
done
git config core.fsync none
git add . && git -c user.name=n -c user.email=e commit -q -m all && git status --short | wc -l
"""


@dataclass(frozen=True, slots=True)
class Work:
    """One piece of work.

    `prepare` puts what it needs into a directory of the host's: a fresh one each time, or, with
    `reads`, one for all, so that its files are in the caches.
    """

    name: str
    args: tuple[str, ...]
    needs: str
    prepare: Callable[[Path], None] | None = None
    reads: bool = False


def _c_source(directory: Path) -> None:
    """A thousand lines."""
    end = "\nint main(void)\n{\n    return insert_1(0, 1)->key != 1;\n}\n"
    body = "".join(_C_FUNCTION % {"n": n} for n in range(1, 67))
    (directory / "bench.c").write_text(_C_HEAD + body + end, encoding="utf-8")


def _big_file(directory: Path) -> None:
    with open(directory / "big", "wb") as file:
        for _ in range(100):
            file.write(bytes(range(256)) * 4096)


def _c_project(directory: Path) -> None:
    names = [f"f{i}" for i in range(8)]
    for name in names:
        (directory / f"{name}.c").write_text(f"int {name}(int x) {{ return x + 1; }}\n")
    (directory / "main.c").write_text("int main(void) { return 0; }\n")
    objects = " ".join(f"{name}.o" for name in ("main", *names))
    (directory / "Makefile").write_text(f"prog: {objects}\n\tgcc -o $@ $^\n")


def _repository(directory: Path) -> None:
    """A git repository of 10,000 files, all committed."""
    for top in range(100):
        place = directory / f"d{top}"
        place.mkdir()
        for name in range(100):
            (place / f"f{name}").write_text(f"file {top} {name}\n")
    env = {"PATH": PATH, "HOME": str(directory), "GIT_CONFIG_NOSYSTEM": "1"}
    commit = "git -c user.name=n -c user.email=e commit -q -m all"
    script = f"git init -q . && git add . && {commit} && git status >/dev/null"
    subprocess.run(["sh", "-c", script], cwd=directory, env=env, check=True)


WORKS = {
    work.name: work
    for work in (
        Work(
            "python", ("/usr/bin/python3", "-c", "pass"), "/usr/bin/python3", reads=True,
        ),
        Work(
            "bash", ("/bin/bash", "-c", "for i in {1..200}; do /bin/true; done"), "/bin/bash",
            reads=True,
        ),
        Work("gcc", ("gcc", "-O2", "-o", "bench", "bench.c"), "gcc", _c_source),
        Work("make", ("make", "-s", "-j2"), "make", _c_project),
        Work("sqlite", ("/usr/bin/python3", "-c", _INSERT), "/usr/bin/python3"),
        Work("sha256", ("sha256sum", "big"), "sha256sum", _big_file, reads=True),
        Work("find", ("sh", "-c", "find /usr/share | wc -l"), "find", reads=True),
        Work("git", ("bash", "-c", _GIT), "git"),
        Work("gitstatus", ("git", "status", "--short"), "git", _repository, reads=True),
    )
}  # fmt: skip
