# SPDX-License-Identifier: Apache-2.0
"""What the host sees of guests: T-ENT-05, 08, 11 and T-ESC-03, 04. Guests ask for things that
Linux would note in the thread; the host's threads must show none of it."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pygos.arch.x86.vdso.image import IMAGE
from tests.security.conftest import Compiler

pytestmark = pytest.mark.boots

_PYGOS = str(Path(sys.executable).with_name("pygos"))
_GET_ROBUST_LIST = 274

_ASKS = r"""
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/personality.h>
#include <sys/auxv.h>
static char area[64] __attribute__((aligned(64)));
static long list[3];
static struct sock_filter allow[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
static struct sock_fprog prog = {1, allow};
static void *ask(void *arg)
{
    syscall(SYS_rseq, area, 32, 0, 0x53053053);
    list[0] = (long)list;
    syscall(SYS_set_robust_list, list, 24);
    syscall(SYS_set_tid_address, &list[1]);
    prctl(PR_SET_NAME, "evil");
    prctl(PR_SET_DUMPABLE, 0);
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
    prctl(PR_SET_PDEATHSIG, SIGUSR1);
    prctl(PR_SET_TIMERSLACK, 12345);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
    prctl(PR_SET_KEEPCAPS, 1);
    prctl(PR_CAPBSET_DROP, 5);
    prctl(PR_SET_SECUREBITS, 1);
    prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0);
    prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
    prctl(PR_SET_MM, PR_SET_MM_START_BRK, sbrk(0), 0, 0);
    prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, 1, 1L << 47, 0);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    personality(ADDR_NO_RANDOMIZE | READ_IMPLIES_EXEC);
    nice(7);
    for (int i = 0; i < 3; i++)
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog);
    if (arg) {
        puts("ready");
        fflush(stdout);
    }
    syscall(SYS_read, arg ? 0 : 77, area, 1);
    if (!arg)
        pause();
    return 0;
}
int main(void)
{
    pthread_t thread;
    char line[256];
    unsigned char *vdso = (void *)getauxval(AT_SYSINFO_EHDR);
    printf("vdso ");
    for (int i = 0; i < 4096; i++)
        printf("%02x", vdso[i]);
    puts("");
    FILE *status = fopen("/proc/self/status", "r");
    while (fgets(line, sizeof line, status))
        if (!strncmp(line, "Seccomp", 7) || !strncmp(line, "NoNew", 5))
            fputs(line, stdout);
    FILE *maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, maps))
        if (strstr(line, "[vd") || strstr(line, "[vv"))
            fputs(strchr(line, '['), stdout);
    fflush(stdout);
    if (fork() == 0)
        ask(0);
    pthread_create(&thread, 0, ask, 0);
    usleep(100000);
    ask(&thread);
}
"""


@contextmanager
def guests(binary: str) -> Iterator[tuple[list[bytes], list[int]]]:
    """A machine whose program has said "ready": what it said, and the host's stubs."""
    kernel = subprocess.Popen(
        [_PYGOS, "run", "--cpus", "2", "--", binary], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert kernel.stdout is not None
        said = []
        while (line := kernel.stdout.readline()) != b"ready\n":
            assert line, said
            said.append(line)
        children = Path(f"/proc/{kernel.pid}/task/{kernel.pid}/children").read_text()
        yield said, [int(word) for word in children.split()]
    finally:
        kernel.kill()
        kernel.communicate()


def fields(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def robust_list(pid: int) -> int:
    """get_robust_list(2) of another process."""
    head, length = ctypes.c_void_p(1), ctypes.c_size_t()
    libc = ctypes.CDLL(None, use_errno=True)
    result = libc.syscall(_GET_ROBUST_LIST, pid, ctypes.byref(head), ctypes.byref(length))
    assert result == 0, ctypes.get_errno()
    return head.value or 0


@pytest.mark.skipif(os.getuid() != 0, reason="the host tells only root about its threads")
def test_what_a_guest_asks_for_stays_in_the_machine(compile_c: Compiler) -> None:
    """T-ENT-05 (the vDSO is ours, not the host's), T-ENT-08 and T-ENT-11 (nothing the host would
    write to), T-ESC-03 (prctl), T-ESC-04 (filters)."""
    with guests(compile_c(_ASKS)) as (said, stubs):
        # Inside: our own vDSO, and our own filter can't be seen.
        assert said == [
            b"vdso %s\n" % IMAGE.ljust(4096, b"\0").hex().encode(),
            b"NoNewPrivs:\t0\n", b"Seccomp:\t0\n", b"Seccomp_filters:\t0\n",
            b"[vvar]\n", b"[vdso]\n",
        ]  # fmt: skip
        assert len(stubs) >= 4
        for pid in stubs:
            maps = Path(f"/proc/{pid}/maps").read_text()
            assert "[vdso]" not in maps
            assert "[vvar]" not in maps
            assert "[heap]" not in maps
            status = fields(pid)
            assert status["Name"] == "pygos-guest"
            assert robust_list(pid) == 0
            assert Path(f"/proc/{pid}/personality").read_text() == "00000000\n"
            assert Path(f"/proc/{pid}/timerslack_ns").read_text() == "50000\n"
            assert Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[16] == "0"
            confined = [pid for pid in stubs if fields(pid)["Seccomp"] == "2"]
            assert status["Seccomp_filters"] == ("1" if pid in confined else "0")
            assert status["CapBnd"] == fields(stubs[0])["CapBnd"]
        # The watcher runs no guest code and was made before the filter.
        assert len(confined) >= len(stubs) - 1


def test_t_ent_08_stubs_have_no_rseq_area() -> None:
    """PTRACE_GET_RSEQ_CONFIGURATION, which only the tracer may ask, of the first stub."""
    script = """
import ctypes
from pygos.host import libc
from pygos.host.stub import Zygote
seen = []
prepare = Zygote._prepare
def look(self, *args):
    prepare(self, *args)
    config = (ctypes.c_ulong * 3)(7, 7, 7)
    libc.ptrace(0x420F, self.pid, 24, ctypes.addressof(config))
    seen.append(config[0])
Zygote._prepare = look
import pygos
with pygos.Machine(memory="64m") as machine:
    machine.run(["true"])
print(seen)
"""
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=False, timeout=60
    )
    assert result.stdout == b"[0]\n", result.stderr
