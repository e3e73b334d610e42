# SPDX-License-Identifier: Apache-2.0
"""Whole pieces of work, as users do them: what each runs and what it needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_C_FILE = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
struct node { struct node *left, *right; int key; char name[16]; };
"""
_C_FUNCTION = """
static struct node *insert_%d(struct node *n, int key)
{
    if (!n) { n = calloc(1, sizeof(*n)); n->key = key; snprintf(n->name, 16, "n%%d", key); }
    else if (key < n->key) n->left = insert_%d(n->left, key * %d + 1);
    else if (key > n->key) n->right = insert_%d(n->right, key / %d);
    return n;
}
"""
_INSERT = """
import sqlite3
db = sqlite3.connect("bench.db")
db.execute("create table t(a integer primary key, b text)")
with db:
    for i in range(10000):
        db.execute("insert into t(b) values(?)", (str(i) * 8,))
print(db.execute("select count(*) from t").fetchone())
"""
_GIT = """
set -e
git init -q repo && cd repo
for d in $(seq 20); do
    mkdir d$d
    for f in $(seq 25); do echo "file $d $f" >d$d/f$f; done
done
git add . && git -c user.name=n -c user.email=e commit -q -m all && git status --short | wc -l
"""


@dataclass(frozen=True, slots=True)
class Work:
    """One piece of work. `prepare` puts what it needs into a directory of the host's."""

    name: str
    title: str
    args: tuple[str, ...]
    needs: str
    prepare: Callable[[Path], None] | None = None


def _c_source(directory: Path) -> None:
    body = "".join(_C_FUNCTION % (i, i, i + 2, i, i + 3) for i in range(60))
    main = "int main(void) { return insert_0(0, 1)->key != 1; }\n"
    uses = "".join(
        f"struct node *(*use_{i})(struct node *, int) = insert_{i};\n" for i in range(60)
    )
    (directory / "bench.c").write_text(_C_FILE + body + uses + main, encoding="utf-8")


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


WORKS = (
    Work("python", "`python3 -c pass`", ("/usr/bin/python3", "-c", "pass"), "/usr/bin/python3"),
    Work(
        "bash", "200 x `/bin/true` in bash",
        ("/bin/bash", "-c", "for i in {1..200}; do /bin/true; done"), "/bin/bash",
    ),
    Work("gcc", "`gcc -O2` of a file", ("gcc", "-O2", "-o", "bench", "bench.c"), "gcc", _c_source),
    Work("make", "`make -j2` of 9 files", ("make", "-s", "-j2"), "make", _c_project),
    Work(
        "sqlite", "sqlite insert of 10,000 rows",
        ("/usr/bin/python3", "-c", _INSERT), "/usr/bin/python3",
    ),
    Work("sha256", "sha256 of 100 MB", ("sha256sum", "big"), "sha256sum", _big_file),
    Work("find", "`find /usr/share | wc`", ("sh", "-c", "find /usr/share | wc -l"), "find"),
    Work("git", "git init, add, commit of 500 files", ("bash", "-c", _GIT), "git"),
)  # fmt: skip
