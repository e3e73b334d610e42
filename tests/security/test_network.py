# SPDX-License-Identifier: Apache-2.0
"""T-NET-01: a program, root inside, reaches nobody outside; T-DOS-03: and takes no machine away."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

import pygos

pytestmark = pytest.mark.boots
_PYGOS = str(Path(sys.executable).with_name("pygos"))

_KNOCK = """
import errno, socket, sys
for family, address in (
    (socket.AF_INET, ("169.254.169.254", 80)), (socket.AF_INET, ("8.8.8.8", 53)),
    (socket.AF_INET, ("10.0.0.1", 80)), (socket.AF_INET, ("192.168.1.1", 80)),
    (socket.AF_INET, ("255.255.255.255", 9)), (socket.AF_INET6, ("fe80::1", 80, 0, 1)),
    (socket.AF_INET6, ("2001:db8::1", 80)), (socket.AF_INET, ("127.0.0.1", int(sys.argv[1]))),
):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(family, kind) as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            try:
                s.connect(address)
                s.send(b"out")
                print(address[0], "went")
            except OSError as error:
                print(address[0], errno.errorcode[error.errno])
for family, kind, protocol in ((17, 3, 0x300), (2, 3, 1), (2, 3, 255), (16, 3, 0), (40, 1, 0)):
    try:
        socket.socket(family, kind, protocol)
        print(family, "made")
    except OSError as error:
        print(family, errno.errorcode[error.errno])
"""


def test_t_net_01_no_packet_leaves_the_machine() -> None:
    """Nor does the machine's loopback lead to the host's, where somebody listens."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
        pygos.Machine(memory="128m", user="0") as machine,
    ):
        port = server.getsockname()[1]
        datagrams.bind(("127.0.0.1", port))
        server.settimeout(0.2)
        datagrams.settimeout(0.2)
        said = machine.run(["python3", "-c", _KNOCK, str(port)], check=True).stdout.decode()
        for line in said.splitlines()[:14]:
            assert line.split()[1] == "ENETUNREACH", said
        assert said.splitlines()[14:] == [
            "127.0.0.1 ECONNREFUSED", "127.0.0.1 went",  # to nobody inside
            "17 EAFNOSUPPORT", "2 EPROTONOSUPPORT", "2 EPROTONOSUPPORT", "16 EAFNOSUPPORT",
            "40 EAFNOSUPPORT",
        ]  # fmt: skip
        with pytest.raises(TimeoutError):
            server.accept()
        with pytest.raises(TimeoutError):
            datagrams.recv(10)


def test_t_dos_03_a_loop_of_calls_leaves_the_host_and_other_machines_responsive() -> None:
    loop = "import os\nwhile True: os.getppid()"
    script = f"for i in 1 2 3 4; do python3 -c '{loop}' & done; echo ready; wait"
    command = [_PYGOS, "run", "--cpus", "2", "--", "sh", "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as hog:
        try:
            assert hog.stdout is not None
            assert hog.stdout.readline() == b"ready\n"
            start = time.monotonic()
            subprocess.run(["true"], check=True)
            assert time.monotonic() - start < 5
            with pygos.Machine(memory="64m") as machine:
                assert machine.run(["echo", "alive"], timeout=20).stdout == b"alive\n"
            assert time.monotonic() - start < 20
            assert hog.poll() is None
        finally:
            hog.kill()
