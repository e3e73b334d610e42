# SPDX-License-Identifier: Apache-2.0
"""Measure micro and macro work natively and under pygos in one run, and print the ratios.

    python -P bench/run.py [--quick] [--pin CPU] [--only NAME...] [--json FILE] [--update-readme]

Native and pygos runs alternate, so that both see the same state of the host; each figure is
the median. With --pin everything, native and pygos, shares one CPU: that leaves out who is
woken where and shows the work itself. Results go to bench/results/ as JSON; --update-readme
writes the table into README.md between its markers.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

# To be run with `python -P`, as make does: this directory has a platform.py of its own.
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import pygos  # noqa: E402
from bench.macro import PATH, WORKS, Work  # noqa: E402

README_BEGIN = "<!-- bench:begin -->"
README_END = "<!-- bench:end -->"

#: What micro.c measures: name, title, unit in ns, and the most it may cost under pygos.
MICRO: tuple[tuple[str, str, str, float | None], ...] = (
    ("null", "null system call", "us", 16),
    ("clock", "clock_gettime", "us", None),
    ("read64", "read of 64 bytes", "us", None),
    ("read4k", "read of 4 KiB", "us", None),
    ("read64k", "read of 64 KiB", "us", None),
    ("write4k", "write of 4 KiB", "us", None),
    ("openclose", "open and close", "us", None),
    ("stat", "stat", "us", None),
    ("pingpong", "pipe ping-pong, round trip", "us", None),
    ("futex", "futex ping-pong of two threads, round trip", "us", None),
    ("futexwake", "futex wake, nobody waits", "us", None),
    ("yield", "sched_yield, nobody waits", "us", None),
    ("signal", "signal to itself", "us", None),
    ("signalpair", "signals between two processes, round trip", "us", None),
    ("fault", "page fault, per page", "us", 12),
    ("mmap", "mmap and munmap", "us", None),
    ("thread", "thread create and join", "us", None),
    ("forkexit", "fork, exit, wait", "ms", None),
    ("forkexec", "fork, exec of static busybox, wait", "ms", 6),
    ("exec", "exec of a static program", "ms", None),
    ("forkbig", "fork of 100 MiB, exit, wait", "ms", None),
    ("cpu", "CPU-bound work", "us", None),
    ("cpu2", "the same in two threads at once", "us", None),
)
UNIT_NS = {"us": 1e3, "ms": 1e6, "s": 1e9}
#: Most that the ratio to native may be, by name.
RATIO_TARGETS = {"cpu": 1.02, "python": 5.0}
COLD_TARGET_MS = 250
IDLE_TARGET_MIB = 80


@dataclass(slots=True)
class Row:
    """One line of the table. Values in `unit`; native is None where there is none."""

    name: str
    title: str
    unit: str
    native: float | None
    pygos: float
    target: str = ""
    met: bool | None = None

    @property
    def ratio(self) -> float | None:
        return self.pygos / self.native if self.native else None


class Side:
    """Where work is run: natively, or in a machine that stays up."""

    def __init__(self, machine: pygos.Machine | None) -> None:
        self.machine = machine

    def run(self, args: Sequence[str], directory: Path, timeout: float = 600) -> tuple[str, float]:
        """Run a command; its output and the seconds it took. RuntimeError if it fails."""
        env = {"PATH": PATH, "HOME": str(directory), "LANG": "C.UTF-8"}
        start = time.perf_counter()
        if self.machine is None:
            done = subprocess.run(
                args, cwd=directory, env=env, capture_output=True, timeout=timeout, check=False
            )
            status, out, err = done.returncode, done.stdout, done.stderr
        else:
            result = self.machine.run(args, cwd=directory, env=dict(env), timeout=timeout)
            status, out, err = result.returncode, result.stdout, result.stderr
        took = time.perf_counter() - start
        if status:
            raise RuntimeError(f"{args[0]}: status {status}: {err.decode(errors='replace')[-300:]}")
        return out.decode(errors="replace"), took


def compile_micro(directory: Path) -> Path:
    binary = directory / "micro"
    source = ROOT / "bench" / "micro.c"
    flags = ["-O2", "-static", "-pthread"]
    subprocess.run(["gcc", *flags, str(source), "-o", str(binary)], check=True)
    return binary


def micro_rows(sides: tuple[Side, Side], options: argparse.Namespace) -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="pygos-bench-") as name:
        directory = Path(name)
        binary = compile_micro(directory)
        busybox = shutil.which("busybox", path=PATH) or "/bin/true"
        budget = "60" if options.quick else "300"
        for test, title, unit, most in MICRO:
            if wanted(test, options):
                command = [str(binary), "-t", budget, "-b", busybox, test]
                ns = [[], []]  # type: list[list[float]]
                for _ in range(1 if options.quick else 3):
                    for side, costs in zip(sides, ns, strict=True):
                        costs.append(float(side.run(command, directory)[0].split()[1]))
                native, ours = (statistics.median(costs) / UNIT_NS[unit] for costs in ns)
                yield judged(Row(test, title, unit, native, ours), most)


def judged(row: Row, most: float | None) -> Row:
    """The row with its target, as an absolute figure or as a ratio."""
    ratio = RATIO_TARGETS.get(row.name)
    if most is not None:
        row.target, row.met = f"<= {most:g} {row.unit}", row.pygos <= most
    elif ratio is not None and row.ratio is not None:
        row.target, row.met = f"<= {ratio:g} x", row.ratio <= ratio
    return row


def macro_rows(sides: tuple[Side, Side], options: argparse.Namespace) -> Iterator[Row]:
    for work in WORKS:
        if wanted(work.name, options) and shutil.which(work.needs, path=PATH):
            timed(work, sides[0])  # for the host's caches
            times: list[list[float]] = [[], []]
            for _ in range(1 if options.quick else 3):
                for side, seconds in zip(sides, times, strict=True):
                    seconds.append(timed(work, side))
            native, ours = (statistics.median(seconds) for seconds in times)
            unit = "ms" if native < 0.5 else "s"
            scale = 1e9 / UNIT_NS[unit]
            yield judged(Row(work.name, work.title, unit, native * scale, ours * scale), None)


def timed(work: Work, side: Side) -> float:
    with tempfile.TemporaryDirectory(prefix="pygos-bench-") as name:
        directory = Path(name)
        if work.prepare is not None:
            work.prepare(directory)
        return side.run(work.args, directory)[1]


def command_rows(options: argparse.Namespace) -> Iterator[Row]:
    """The ``pygos`` command itself: a cold start, and what an idle machine keeps resident."""
    script = [sys.executable, "-P", "-c", "import sys; from pygos.cli.main import main"]
    script[-1] += "; sys.exit(main())"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    if wanted("cold", options):
        times = []
        for _ in range(4 if options.quick else 10):
            start = time.perf_counter()
            subprocess.run([*script, "run", "--", "/bin/true"], env=env, check=True)
            times.append((time.perf_counter() - start) * 1e3)
        ms = statistics.median(times[1:])  # the first one may have had to compile the modules
        target = f"<= {COLD_TARGET_MS} ms"
        met = ms <= COLD_TARGET_MS
        yield Row("cold", "`pygos run -- /bin/true`, cold", "ms", None, ms, target, met)
    if wanted("idle", options):
        mib = idle_memory([*script, "run", "--", "sh", "-c", "echo ready; exec sleep 100"], env)
        target = f"<= {IDLE_TARGET_MIB} MiB"
        met = mib <= IDLE_TARGET_MIB
        yield Row("idle", "an idle machine, resident", "MiB", None, mib, target, met)


def idle_memory(command: list[str], env: dict[str, str]) -> float:
    """MiB that the process of a machine at rest keeps, its guests' pages included."""
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.3)
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
        process.kill()
    kib = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(kib) / 1024


def wanted(name: str, options: argparse.Namespace) -> bool:
    return not options.only or name in options.only


def number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def cells(row: Row) -> tuple[str, str, str, str, str]:
    native = "" if row.native is None else f"{number(row.native)} {row.unit}"
    ratio = "" if row.ratio is None else f"{row.ratio:.2f} x"
    target = row.target + ("" if row.met is None else " (met)" if row.met else " (missed)")
    return row.title, native, f"{number(row.pygos)} {row.unit}", ratio, target


def host_line(options: argparse.Namespace) -> str:
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    models = [line for line in info.splitlines() if line.startswith("model name")]
    model = models[0].split(":", 1)[1].strip() if models else platform.machine()
    pin = f", pinned to CPU {options.pin}" if options.pin is not None else ""
    python = platform.python_version()
    return f"{model}, {os.cpu_count()} CPUs{pin}, Linux {platform.release()}, CPython {python}"


def markdown(rows: list[Row], host: str) -> str:
    lines = ["| work | native | pygos | ratio | target |", "| --- | ---: | ---: | ---: | --- |"]
    lines += ["| " + " | ".join(cells(row)) + " |" for row in rows]
    date = time.strftime("%Y-%m-%d")
    return "\n".join([*lines, "", f"Measured by `make bench` on {date}: {host}."])


def update_readme(text: str) -> None:
    path = ROOT / "README.md"
    readme = path.read_text(encoding="utf-8")
    head, _, rest = readme.partition(README_BEGIN)
    _, end, tail = rest.partition(README_END)
    if not end:
        raise SystemExit(f"README.md: no {README_BEGIN} ... {README_END}")
    path.write_text(f"{head}{README_BEGIN}\n{text}\n{README_END}{tail}", encoding="utf-8")


def save(rows: list[Row], host: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    results = [{**asdict(row), "ratio": row.ratio} for row in rows]
    data = {"host": host, "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "results": results}
    path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one short run of each")
    parser.add_argument("--pin", type=int, metavar="CPU", help="run all on this CPU")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="only these")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to save the results")
    parser.add_argument(
        "--update-readme", action="store_true", help="write the table into README.md"
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    options = parse(argv)
    if options.pin is not None:
        os.sched_setaffinity(0, {options.pin})
    rows: list[Row] = []
    with pygos.Machine(memory="2g") as machine:
        sides = Side(None), Side(machine)
        for source in (micro_rows(sides, options), macro_rows(sides, options)):
            for row in source:
                rows.append(row)
                print("{:36} {:>10} {:>10} {:>9}  {}".format(*cells(row)), flush=True)
    for row in command_rows(options):
        rows.append(row)
        print("{:36} {:>10} {:>10} {:>9}  {}".format(*cells(row)), flush=True)
    host = host_line(options)
    print(host)
    default = ROOT / "bench" / "results" / time.strftime("%Y%m%d-%H%M%S.json")
    save(rows, host, options.json or default)
    if options.update_readme:
        update_readme(markdown(rows, host))
    return 0


if __name__ == "__main__":
    sys.exit(main())
