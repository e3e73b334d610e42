# SPDX-License-Identifier: Apache-2.0
# abi-needs: /usr/bin/python3
# abi-timeout: 60
"""CPython: sqlite3, multiprocessing, selectors, mmap, archives."""

import concurrent.futures
import mmap
import multiprocessing
import os
import select
import selectors
import sqlite3
import tarfile
import zipfile

database = sqlite3.connect("db")
database.execute("create table t(a integer, b text)")
with database:
    database.executemany("insert into t values(?, ?)", ((i, str(i)) for i in range(1000)))
print(database.execute("select sum(a), count(*) from t where b like '%7%'").fetchone())
database.close()
os.unlink("db")

with open("mapped", "w+b") as file:
    file.truncate(10000)
    with mmap.mmap(file.fileno(), 0) as area:
        area[5000:5005] = b"hello"
        print(area.find(b"hello"), len(area))
    file.seek(5000)
    print(file.read(5))


def square(n: int) -> int:
    return n * n


if __name__ == "__main__":
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        print(list(pool.map(square, range(10))))
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    worker = context.Process(target=lambda: queue.put("from a process"))
    worker.start()
    print(queue.get())
    worker.join()
    print(worker.exitcode)

reader, writer = os.pipe()
with selectors.DefaultSelector() as selector:
    selector.register(reader, selectors.EVENT_READ)
    print(selector.select(0))
    os.write(writer, b"x")
    print(len(selector.select(1)))
print(select.select([reader], [], [], 0)[0] == [reader])

with zipfile.ZipFile("a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
    archive.write("mapped")
with zipfile.ZipFile("a.zip") as archive:
    print(archive.namelist(), archive.testzip())
with tarfile.open("a.tar.xz", "w:xz") as archive:
    archive.add("mapped")
with tarfile.open("a.tar.xz") as archive:
    print(archive.getnames())
os.unlink("a.zip")
os.unlink("a.tar.xz")
