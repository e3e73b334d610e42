# SPDX-License-Identifier: Apache-2.0
"""CPU time of single operations under pygos, for machines that are busy with other things.

    python -P bench/cputime.py [--rounds N] [--tree DIR]... [NAME...]

Wall time on a loaded host says little; the CPU time of the kernel and its guests together is
off by some per cent only. Each operation of micro.c is done a fixed number of times and once;
the difference counts, the best of N rounds. With several trees (checkouts of pygos) they take
turns, so that before and after see the same host.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: Operations and how often they are done.
COUNTS = {
    "null": 30_000, "futexwake": 30_000, "yield": 30_000, "futex": 10_000, "pingpong": 5_000,
    "signal": 10_000, "signalpair": 4_000, "thread": 1_500, "forkexit": 600, "forkexec": 200,
    "exec": 300, "forkbig": 60, "openclose": 20_000, "stat": 20_000, "mmap": 10_000,
}  # fmt: skip
_SCRIPT = "import sys; from pygos.cli.main import main; sys.exit(main())"


def cpu_time(tree: Path, command: list[str]) -> float:
    """Seconds of CPU that a run takes, its guests' included."""
    env = {**os.environ, "PYTHONPATH": str(tree)}
    args = [sys.executable, "-P", "-c", _SCRIPT, "run", "--", *command]
    pid = os.posix_spawn(sys.executable, args, env)
    _, status, usage = os.wait4(pid, 0)
    if status:
        raise SystemExit(f"{command}: status {status:#x}")
    return usage.ru_utime + usage.ru_stime


def cost(tree: Path, binary: str, name: str) -> float:
    """us of CPU that one operation takes."""
    count = COUNTS[name]
    many = cpu_time(tree, [binary, "-n", str(count), name])
    return (many - cpu_time(tree, [binary, "-n", "1", name])) / (count - 1) * 1e6


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="best of N (3)")
    parser.add_argument("--tree", type=Path, action="append", metavar="DIR", help="a checkout")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(COUNTS))
    options = parser.parse_args()
    trees = options.tree or [ROOT]
    with tempfile.TemporaryDirectory(prefix="pygos-bench-") as directory:
        binary = f"{directory}/micro"
        source = str(ROOT / "bench" / "micro.c")
        subprocess.run(["gcc", "-O2", "-static", "-pthread", source, "-o", binary], check=True)
        for name in options.names or COUNTS:
            best = [
                min(each)
                for each in zip(
                    *[[cost(tree, binary, name) for tree in trees] for _ in range(options.rounds)],
                    strict=True,
                )
            ]
            print(f"{name:12}" + "".join(f"{us:12.2f} us" for us in best), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
