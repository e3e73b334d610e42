# SPDX-License-Identifier: Apache-2.0
"""Measure work natively and under pygos in one run: on every platform, with and without what
makes them fast, on all CPUs, on one, and beside busy loops.

    python -P bench/run.py [--quick] [--only ROW...] [--modes free pinned busy]
                           [--configs systrap ...] [--rounds N] [--json FILE] [--write] [--check]

All sides take turns, round after round, so that they see the same state of the host; each
figure is the median of the rounds. Results go to bench/results/ as JSON. --write puts the
tables into Documentation/performance.rst and the README; --from FILE does that with the
results of an earlier run. --check fails if a target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path

# To be run with `python -P`, as make does: this directory has a platform.py of its own.
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench import report  # noqa: E402
from bench.macro import PATH, WORKS, Work  # noqa: E402
from bench.report import Results  # noqa: E402
from bench.rows import CONFIGS, ROWS, Row  # noqa: E402
from bench.sides import Failed, Side, busy_loops  # noqa: E402
from pygos.arch.um.registry import NAMES, available  # noqa: E402

#: All CPUs; all on one CPU; all CPUs with other programs on them.
MODES = ("free", "pinned", "busy")
_LOOPS = 4
#: The ``pygos`` command of this tree, as its installed script starts it.
_PYGOS = [
    sys.executable,
    "-P",
    "-c",
    "import sys; from pygos.cli.main import main; sys.exit(main())",
]


class Bench:
    """One run in one mode: its sides, and where they work."""

    def __init__(self, mode: str, options: argparse.Namespace, results: Results) -> None:
        self.mode = mode
        self.options = options
        self.results = results
        cpus = [min(os.sched_getaffinity(0))] if mode == "pinned" else None
        names = [name for name in options.configs if mode != "busy" or name in NAMES]
        self.sides = [Side(name, cpus) for name in ("native", *names)]
        self.rounds = options.rounds
        self.scratch = Path()

    def run(self) -> None:
        with ExitStack() as stack:
            name = stack.enter_context(tempfile.TemporaryDirectory(prefix="pygos-bench-"))
            self.scratch = Path(name)
            for side in self.sides:
                stack.callback(side.close)
            stack.callback(self.stop_daemon)
            self.micro = compile_micro(self.scratch)
            stack.enter_context(busy_loops(_LOOPS) if self.mode == "busy" else nullcontext())
            for row in ROWS:
                if self.wanted(row):
                    self.measure(row)

    def wanted(self, row: Row) -> bool:
        if row.same_as or (self.options.only and row.name not in self.options.only):
            return False
        if self.mode == "busy" and not row.busy:
            return False
        work = WORKS.get(row.name)
        return work is None or shutil.which(work.needs, path=PATH) is not None

    def measure(self, row: Row) -> None:
        """All rounds of one row; the sides begin in another order each time."""
        sampler, rounds = self.sampler(row)
        sides = self.sides if row.kind != "command" else self.sides[1:]
        failed: set[str] = set()
        for count in range(rounds):
            turn = count % len(sides)
            for side in sides[turn:] + sides[:turn]:
                if side.name in failed:
                    continue
                try:
                    self.results.add(self.mode, side.name, row.name, sampler(side))
                except Failed as error:
                    failed.add(side.name)
                    self.results.failed(self.mode, side.name, row.name, str(error))
                    print(f"  {row.name}, {side.title}: {error}", file=sys.stderr)
        print(report.line(self.results, self.mode, row, [s.name for s in self.sides]), flush=True)

    def sampler(self, row: Row) -> tuple[Callable[[Side], float], int]:
        """How to get one sample of a row, in seconds, and how many to take."""
        if row.kind == "micro":
            return lambda side: self.micro_sample(row, side), self.rounds
        if row.kind == "macro":
            work = WORKS[row.name]
            shared = self.scratch / row.name
            if work.reads:
                shared.mkdir()
                if work.prepare:
                    work.prepare(shared)
            for side in self.sides:  # for the caches
                try:
                    self.macro_sample(work, side, shared)
                except Failed:
                    pass  # it will fail again, and then it is told
            return lambda side: self.macro_sample(work, side, shared), self.rounds
        samplers = {"cold": self.cold_sample, "warm": self.warm_sample, "idle": self.idle_sample}
        if row.name == "idle":
            return samplers[row.name], 1
        return samplers[row.name], max(self.rounds, 2 * self.rounds)

    def micro_sample(self, row: Row, side: Side) -> float:
        budget = "60" if self.options.quick else "120"
        busybox = shutil.which("busybox", path=PATH) or "/bin/true"
        command = [str(self.micro), "-t", budget, "-b", busybox, row.name]
        return float(side.run(command, self.scratch)[0].split()[1]) * 1e-9

    def macro_sample(self, work: Work, side: Side, shared: Path) -> float:
        if work.reads:
            return side.run(work.args, shared)[1]
        with tempfile.TemporaryDirectory(prefix="pygos-bench-") as name:
            if work.prepare is not None:
                work.prepare(Path(name))
            return side.run(work.args, name)[1]

    # -- the command itself --------------------------------------------------------------

    def command(self, side: Side, *command: str, extra: Sequence[str] = ()) -> list[str]:
        """``pygos run`` with the options of a side."""
        words: list[str] = []
        for name, value in CONFIGS[side.name][1].items():
            words += [f"--{name}", str(value)] if name == "platform" else [f"--no-{name}"]
        return [*_PYGOS, "run", *words, *extra, "--", *command]

    @property
    def env(self) -> dict[str, str]:
        """With a place of its own for daemons, so that none but ours is met."""
        place = {"XDG_RUNTIME_DIR": str(self.scratch), "HOME": str(self.scratch)}
        return {**place, "PYTHONPATH": str(ROOT)}

    def cold_sample(self, side: Side) -> float:
        command = self.command(side, "/bin/true", extra=["--no-daemon"])
        return self.sides[0].run(command, self.scratch, self.env)[1]

    def warm_sample(self, side: Side) -> float:
        """A run by the daemon, after two that make it ready for such runs."""
        command = self.command(side, "/bin/true", extra=["--warm"])
        runs = [self.sides[0].run(command, self.scratch, self.env)[1] for _ in range(3)]
        return runs[-1]

    def stop_daemon(self) -> None:
        env = {**os.environ, **self.env}
        command = [*_PYGOS, "daemon", "stop"]
        subprocess.run(command, env=env, capture_output=True, timeout=60, check=False)

    def idle_sample(self, side: Side) -> float:
        """MiB that the process of a machine at rest keeps, its guests' pages included."""
        program = ("sh", "-c", "echo ready; exec sleep 100")
        command = self.command(side, *program, extra=["--no-daemon"])
        env = {**os.environ, **self.env}
        with subprocess.Popen(command, env=env, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(0.3)
            status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
            process.kill()
        sizes = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")]
        if not sizes:
            raise Failed("the machine died")
        return int(sizes[0]) / 1024


def compile_micro(directory: Path) -> Path:
    binary = directory / "micro"
    source = ROOT / "bench" / "micro.c"
    flags = ["-O2", "-static", "-pthread"]
    subprocess.run(["gcc", *flags, str(source), "-o", str(binary)], check=True)
    return binary


def host_facts() -> dict[str, str]:
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    models = [line for line in info.splitlines() if line.startswith("model name")]
    model = models[0].split(":", 1)[1].strip() if models else platform.machine()
    git = subprocess.run(
        ["git", "-C", str(ROOT), "describe", "--always", "--dirty"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return {
        "cpu": model,
        "cpus": str(os.cpu_count()),
        "kernel": platform.release(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "tree": git.stdout.strip() or "unknown",
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "load": Path("/proc/loadavg").read_text(encoding="ascii").split()[0],
    }


def default_configs() -> list[str]:
    """Those whose platform this host allows."""
    return [name for name, (_, options) in CONFIGS.items() if options["platform"] in available()]


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=" ".join((__doc__ or "").split("\n\n")[0].split()))
    parser.add_argument("--quick", action="store_true", help="two short rounds, all CPUs only")
    parser.add_argument("--only", nargs="+", metavar="ROW", help="only these rows")
    parser.add_argument("--modes", nargs="+", choices=MODES, help="default: all")
    parser.add_argument("--configs", nargs="+", choices=CONFIGS, help="default: all")
    parser.add_argument("--rounds", type=int, metavar="N", help="samples of each figure (5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to save the results")
    parser.add_argument("--from", type=Path, dest="source", metavar="FILE", help="use these")
    parser.add_argument("--write", action="store_true", help="write the tables into the pages")
    parser.add_argument("--check", action="store_true", help="fail if a target is missed")
    options = parser.parse_args(argv)
    unknown = set(options.only or ()) - {row.name for row in ROWS}
    if unknown:
        parser.error(f"no such row: {' '.join(sorted(unknown))}")
    options.modes = options.modes or (["free"] if options.quick else list(MODES))
    options.rounds = options.rounds or (2 if options.quick else 5)
    options.configs = options.configs or default_configs()
    return options


def measured(options: argparse.Namespace) -> Results:
    results = Results(host_facts())
    start = time.monotonic()
    for mode in options.modes:
        print(f"\n{report.MODE_TITLES[mode]}", flush=True)
        Bench(mode, options, results).run()
    results.host["minutes"] = f"{(time.monotonic() - start) / 60:.0f}"
    default = ROOT / "bench" / "results" / time.strftime("%Y%m%d-%H%M%S.json")
    path = options.json or default
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results.as_json(), indent=1) + "\n", encoding="utf-8")
    print(f"\n{report.host_line(results)}\n{path}")
    return results


def main(argv: Sequence[str] | None = None) -> int:
    options = parse(argv)
    if options.source is not None:
        results = Results.from_json(json.loads(options.source.read_text(encoding="utf-8")))
    else:
        results = measured(options)
    if options.write:
        report.write(results, ROOT)
    missed = report.missed(results)
    for text in missed:
        print(f"missed: {text}")
    return int(bool(missed)) if options.check else 0


if __name__ == "__main__":
    sys.exit(main())
