# SPDX-License-Identifier: Apache-2.0
# abi-needs: /usr/bin/python3
"""CPython: modules with their shared libraries, subprocesses, threads, files, signals."""

import ctypes
import decimal
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zlib

print(json.dumps({"list": [1, 2.5, None, "ü"], "version": sys.version_info[:2]}))
result = subprocess.run(["sh", "-c", "cat; exit 3"], input=b"piped", capture_output=True)
print(result.returncode, result.stdout, result.stderr)
print(subprocess.check_output("echo $0 $1", shell=True, text=True).strip())

total = 0
lock = threading.Lock()


def work(n: int) -> None:
    global total
    for i in range(2000):
        with lock:
            total += i * n


threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("threads", total)

event = threading.Event()
threading.Timer(0.01, event.set).start()
print("event", event.wait(10))
print(hashlib.sha256(b"x" * 100000).hexdigest(), zlib.crc32(b"abc"), decimal.Decimal(1) / 7)
with tempfile.TemporaryDirectory(dir=".") as directory:
    path = os.path.join(directory, "f")
    with open(path, "w") as file:
        file.write("line\n" * 1000)
    print(os.path.getsize(path), sorted(os.listdir(directory)), os.stat(path).st_nlink)
    os.rename(path, path + "2")
    print([entry.name for entry in os.scandir(directory)])
print(os.path.exists(directory))

pid = os.fork()
if pid == 0:
    os._exit(5)
print("child", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
signal.signal(signal.SIGUSR1, lambda number, frame: print("signal", number))
os.kill(os.getpid(), signal.SIGUSR1)
signal.setitimer(signal.ITIMER_REAL, 0.01)
try:
    signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(TimeoutError("alarm")))
    time.sleep(10)
except TimeoutError as error:
    print("interrupted:", error)
libc = ctypes.CDLL(None, use_errno=True)
print(libc.abs(-5), libc.open(b"/nowhere", 0), os.strerror(ctypes.get_errno()))
try:
    os.stat("/nowhere")
except FileNotFoundError as error:
    print(error)
print(os.cpu_count() == len(os.sched_getaffinity(0)) or "affinity", os.uname().sysname)
sys.stderr.write("to stderr\n")
sys.exit(11)
