#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""CPython's own test suite natively and under pygos: which tests come out differently?

    pysuite.py [--user NAME] [--where both|native|pygos] [MODULE...]

Each module of Debian's libpython3.11-testsuite runs in a process of its own, with the same
command, environment and standard files in both places, and leaves a JUnit report. A test
differs if it passes natively and does anything else inside. Differences that
Documentation/pysuite-exceptions.txt explains are counted, all others are printed, and the exit
status is 1 if there are any. Groups of modules: @quick, @long, @more; without modules @quick.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXCEPTIONS = ROOT / "Documentation" / "pysuite-exceptions.txt"
PYTHON = "/usr/bin/python3.11"
QUICK = (
    "test_fcntl test_fork1 test_grp test_ioctl test_mmap test_openpty test_pipes test_popen "
    "test_posix test_pty test_pwd test_resource test_sched test_select test_thread test_wait3"
)
LONG = (
    "test_os test_subprocess test_signal test_threading test_epoll test_poll test_time "
    "test_wait4 test_multiprocessing_fork test_multiprocessing_spawn test_concurrent_futures "
    "test_asyncio test_faulthandler test_queue"
)
#: Further yardsticks: files, databases, the interpreter's command line, threads' modules.
MORE = (
    "test_shutil test_tempfile test_posixpath test_glob test_pathlib test_tarfile test_zipfile "
    "test_sqlite3 test_dbm test_json test_io test_fileio test_largefile test_eintr test_support "
    "test_getpass test_cmd_line test_cmd_line_script test_file test_genericpath test_stat "
    "test_fileinput test_bufio test_threadsignals test_threading_local test_threadedtempfile "
    "test_timeout test_tty test_readline test_locale test_mailbox test_filecmp "
    "test_multiprocessing_forkserver test_selectors test_contextlib test_gc test_weakref "
    "test_platform test_sys test_sysconfig test_venv test_zipapp test_gzip test_bz2 test_lzma "
    "test_crypt test_curses test_kqueue test_memoryio test_dbm_dumb test_import test_importlib "
    "test_interpreters test_repl test_script_helper test_pkgutil test_runpy test_syslog test_uuid"
)
#: The quick ones that don't sleep for seconds.
CI = (
    "test_fcntl test_ioctl test_mmap test_openpty test_popen test_posix test_pty test_resource "
    "test_thread"
)
GROUPS = {"@ci": CI, "@quick": QUICK, "@long": LONG, "@more": MORE}
RESOURCES = "cpu,subprocess,curses"
MARK = "===== report ====="
_END = "</testsuites>"
#: Up to so many tests that differ are run once more.
_RETRIES = 10
_START = re.compile(r"^(\w+) \(([\w.]+)\)(?: \.\.\. (.*))?$")
_WORDS = ("ok", "FAIL", "ERROR", "skipped", "expected failure", "unexpected success")


@dataclass(slots=True)
class Report:
    """What one run of one module said: outcome and traceback by test."""

    outcome: dict[str, str] = field(default_factory=dict)
    text: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    output: str = ""


@dataclass(slots=True)
class Difference:
    """A test that passes natively and not inside."""

    module: str
    test: str
    inside: str
    text: str


def modules_of(words: list[str]) -> list[str]:
    """The modules that names and @groups mean."""
    return [name for word in words for name in GROUPS.get(word, word).split()]


def suite_is_there() -> bool:
    """Is the suite of tests installed for this interpreter?"""
    return Path("/usr/lib/python3.11/test/test_wait3.py").exists()


def shell_command(module: str, user: str, limit: int, matches: list[str]) -> list[str]:
    """The command for one module; it prints its report after MARK."""
    words = f"{PYTHON} -m test -v -u {RESOURCES} --timeout {limit} --junit-xml r.xml"
    words += "".join(f" -m '{match}'" for match in matches)
    script = (
        "d=$(mktemp -d /tmp/pysuite.XXXXXX) && cd $d && export TMPDIR=$d HOME=$d || exit 9; "
        f"{words} --tempdir $d {module}; s=$?; "
        f"echo; echo '{MARK}'; cat r.xml; cd /; rm -rf $d; exit $s"
    )
    become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
    return [*(become if user != "root" else []), "sh", "-c", script]


def run_module(
    module: str, args: argparse.Namespace, inside: bool, tests: list[str] | None = None
) -> Report:
    """Run one module, or some of its tests, natively or inside."""
    matches = tests or ([args.match] if args.match else [])
    command = shell_command(module, args.user, args.timeout, matches)
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": "/tmp"}
    limit = args.timeout + 60
    if inside:
        machine = [sys.executable, "-m", "pygos", "run", "-m", "2g", "-w", "/tmp"]
        machine += ["--timeout", f"{limit}s", "-e", "LANG=C.UTF-8", "-e", "HOME=/tmp"]
        command = [*machine, "--", *command]
        env["PYTHONPATH"] = str(args.tree)
    start = time.monotonic()
    try:
        done = subprocess.run(
            command, env=env, cwd="/tmp", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=limit + 30, check=False,
        )  # fmt: skip
        output = done.stdout
    except subprocess.TimeoutExpired as error:
        output = error.stdout or b""
    report = parse(output.decode("utf-8", "replace"))
    report.seconds = time.monotonic() - start
    return report


def parse(output: str) -> Report:
    """The outcomes of a run: from its JUnit report, or from what -v said before it died."""
    log, _, xml = output.rpartition(MARK)
    report = Report(output=log or output)
    try:
        root = ET.fromstring(xml[: xml.rindex(_END) + len(_END)].strip())
    except (ET.ParseError, ValueError):
        parse_verbose(report)
        return report
    for case in root.iter("testcase"):
        name = case.get("name", "")
        outcome = _outcome_of(case)
        if _WORSE.index(outcome) >= _WORSE.index(report.outcome.get(name, "skipped")):
            report.outcome[name] = outcome
        if outcome in ("error", "failed"):
            report.text[name] = "".join(case.itertext())
    if not report.outcome and "ResourceDenied" not in log:
        # A module whose import failed or that was skipped as a whole.
        report.outcome["(module)"] = "skipped" if "skipped" in log else "error"
        report.text["(module)"] = log[-2000:]
    return report


#: From best to worst; of a test with several records the worst counts.
_WORSE = ("skipped", "passed", "expected failure", "unexpected success", "failed", "error",
          "unfinished")  # fmt: skip


def _outcome_of(case: ET.Element) -> str:
    for child in case:
        if child.tag in ("failure", "error"):
            return "failed" if child.tag == "failure" else "error"
        if child.tag == "skipped":
            return "skipped"
    result = case.get("result", "")
    if "expected" in result.lower():
        return "unexpected success" if "un" in result.lower() else "expected failure"
    return "skipped" if case.get("status") == "notrun" or result == "skipped" else "passed"


def parse_verbose(report: Report) -> None:
    """What the lines of -v tell about a run that left no report."""
    current = ""
    for line in report.output.splitlines():
        match = _START.match(line)
        if match:
            current = match[2] if match[2].endswith("." + match[1]) else f"{match[2]}.{match[1]}"
            report.outcome[current] = "unfinished"
        said = line.rsplit(" ... ", 1)[-1]
        word = next((w for w in _WORDS if said.startswith(w)), "")
        if current and word and (" ... " in line or said == word):
            found = {"ok": "passed", "FAIL": "failed", "ERROR": "error"}.get(word, "skipped")
            report.outcome[current] = found
    if not report.outcome:
        report.outcome["(module)"] = "unfinished"
    report.text["(module)"] = report.output[-3000:]


def exceptions() -> list[tuple[str, str]]:
    """(pattern of test names, reason), one for each line of the list."""
    if not EXCEPTIONS.exists():
        return []
    lines = EXCEPTIONS.read_text(encoding="utf-8").splitlines()
    pairs = (line.split(":", 1) for line in lines if line.strip() and line[0] not in "# ")
    return [(pattern.strip(), reason.strip()) for pattern, reason in pairs]


def explained(diff: Difference, known: list[tuple[str, str]]) -> str:
    """The pattern that explains a difference; empty if none does.

    A pattern is of test names, or ``text=...`` for words of the traceback.
    """
    for pattern, _reason in known:
        if pattern.startswith("text="):
            if pattern[5:] in diff.text:
                return pattern
        elif fnmatch.fnmatchcase(diff.test, pattern):
            return pattern
    return ""


def compare(module: str, native: Report, inside: Report) -> list[Difference]:
    """Tests that pass natively and not inside."""
    found = []
    for test, outcome in native.outcome.items():
        got = inside.outcome.get(test, "missing")
        if outcome in ("passed", "expected failure") and got != outcome:
            text = inside.text.get(test) or inside.text.get("(module)", "")
            found.append(Difference(module, test, got, text))
    return found


def cached_native(module: str, args: argparse.Namespace) -> Report:
    """The native run, from the cache if one was asked for."""
    path = args.cache / f"{module}.{args.user}.json" if args.cache and not args.match else None
    if path is not None and path.exists():
        return Report(**json.loads(path.read_text()))
    report = run_module(module, args, inside=False)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"outcome": report.outcome, "seconds": report.seconds}))
    return report


def check_module(module: str, args: argparse.Namespace) -> tuple[list[Difference], str]:
    """Run a module in both places; the differences and a line of summary."""
    native = cached_native(module, args) if args.where != "pygos" else Report()
    inside = run_module(module, args, inside=True) if args.where != "native" else native
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / f"{module}.{args.user}.log").write_text(inside.output)
    diffs = compare(module, native, inside)
    if 0 < len(diffs) <= _RETRIES:
        # Some tests are races that are nearly always won: only what fails twice counts.
        again = run_module(module, args, inside=True, tests=[diff.test for diff in diffs])
        diffs = [
            diff for diff in diffs if again.outcome.get(diff.test) != native.outcome[diff.test]
        ]
    passed = sum(1 for outcome in inside.outcome.values() if outcome == "passed")
    line = (
        f"{module}: {passed} of {len(inside.outcome)} pass, {len(diffs)} differ, "
        f"{inside.seconds:.0f} s ({native.seconds:.0f} s natively)"
    )
    return diffs, line


def show(diff: Difference, verbose: bool) -> None:
    """Print a difference; of tests that were never reached only the name."""
    print(f"  {diff.test}: {diff.inside}", flush=True)
    if verbose and diff.inside != "missing":
        print("    " + diff.text.strip().replace("\n", "\n    "), flush=True)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("modules", nargs="*", default=["@quick"])
    parser.add_argument("--user", default="root", help="who runs the tests")
    parser.add_argument("--where", choices=("both", "native", "pygos"), default="both")
    parser.add_argument("--timeout", type=int, default=900, help="seconds for one test")
    parser.add_argument("--match", default="", help="only tests whose name matches")
    parser.add_argument("--jobs", type=int, default=1, help="modules at the same time")
    parser.add_argument("--cache", type=Path, help="keep native results here")
    parser.add_argument("--out", type=Path, help="write the logs of the inner runs here")
    parser.add_argument("--tree", type=Path, default=ROOT, help="the pygos to run")
    parser.add_argument("-v", "--verbose", action="store_true", help="print tracebacks")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run, compare, print; 1 if a difference is not explained."""
    args = parse_args(argv)
    known = exceptions()
    used: dict[str, int] = {}
    unexplained = 0
    with ThreadPoolExecutor(args.jobs) as pool:
        for diffs, line in pool.map(
            lambda name: check_module(name, args), modules_of(args.modules)
        ):
            print(line, flush=True)
            for diff in diffs:
                pattern = explained(diff, known)
                used[pattern] = used.get(pattern, 0) + 1
                if not pattern:
                    unexplained += 1
                    show(diff, args.verbose)
    for pattern, count in used.items():
        print(f"{count} by {pattern}" if pattern else f"{count} not explained")
    return 1 if unexplained else 0


if __name__ == "__main__":
    os.chdir("/")
    sys.exit(main())
