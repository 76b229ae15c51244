"""Ours beside the peers: fresh processes in turn, CPU seconds, wall time and peak memory, the median of several runs.

A benchmark file declares `Row`s and hands them to `main`. A row names a *case*: a function of the file's own that does
one side's work. Each run of a case is a new Python process, so that nothing is warm that would not be warm for a task;
the sides take turns, so that a busy machine is busy for all of them. Counted is what the kernel charges to the process
and to its children that ended: user and system time, imports included, and the largest resident size of any one of
them. What a case needs (a server, a table) is made before, by `setup`, and is charged to nobody. Where the same costs
of both sides would hide the work (an import of many seconds), a case says with `counted` what is to count, and its row
says so.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

__all__ = ["Case", "Comparison", "Measurement", "Row", "Setup", "counted", "main", "measure"]

Case = Callable[[dict[str, Any], Path], object]
"""One side's work: what `setup` said, and an empty folder to write into. Its return value, the number of rows for
example, must be the same for all sides of a row: a fast answer to another question is no answer."""

Setup = Callable[[bool], AbstractContextManager[Mapping[str, Any]]]
"""Prepares what the cases need, small if asked, and yields it as JSON-ready values."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table.

    Attributes:
        work: what is done, for people.
        ours: the name of our case.
        peers: by the peer's name for people, its case and the highest ratio ours/peer that is good enough.
        peak_mb: the most memory that ours may take, if that is a target too.
        peak_ratio: the same, for each MB that the peer takes.
        why: what is known of why it misses its target; printed below the table if it does.
    """

    work: str
    ours: str
    peers: Mapping[str, tuple[str, float]]
    peak_mb: float = math.inf
    peak_ratio: float = math.inf
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One run, or the median of several: seconds of CPU and wall time, MB (10**6 bytes) at the peak."""

    cpu_s: float
    wall_s: float
    peak_mb: float


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A row's outcome against one peer: what ``--json`` prints."""

    work: str
    peer: str
    ours_cpu_s: float
    peer_cpu_s: float
    ratio: float
    target: float
    ours_peak_mb: float
    peer_peak_mb: float
    ok: bool


def main(file: str, rows: Sequence[Row], cases: Mapping[str, Case], setup: Setup) -> int:
    """Run a benchmark file from its command line; return the exit code: 1 if a row misses its target.

    Args:
        file: the benchmark's ``__file__``, which is started again for each run of a case.
        rows: what to compare.
        cases: the cases by name.
        setup: what they need.
    """
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("--quick", action="store_true", help="small data, one run: shows that the code works, no more")
    parser.add_argument("--json", action="store_true", help="one JSON object per line and peer, nothing else")
    parser.add_argument("--only", default="", help="only the rows whose work contains this text")
    parser.add_argument("--runs", type=int, help="runs per side; 3 unless given")
    parser.add_argument("--case", nargs=3, metavar=("NAME", "GIVEN", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        name, given, folder = options.case
        print(json.dumps(cases[name](json.loads(given), Path(folder))))
        return 0
    runs = options.runs or (1 if options.quick else 3)
    with setup(options.quick) as given:
        wanted = [row for row in rows if options.only.lower() in row.work.lower()]
        comparisons = [found for row in wanted for found in _compare(file, row, given, runs)]
    _show(comparisons, as_json=options.json)
    if not options.json and not options.quick:
        missed = {found.work for found in comparisons if not found.ok}
        for row in wanted:
            if row.work in missed and row.why:
                print(f"{row.work}: {row.why}")
    # Small data measures imports, not work: that a quick run misses a target means nothing.
    return 0 if options.quick or all(found.ok for found in comparisons) else 1


@contextmanager
def counted(folder: Path) -> Iterator[None]:
    """Count only the CPU and wall time of the block, of this process; the peak stays that of the whole run.

    Args:
        folder: the case's.
    """
    cpu, wall = _cpu_seconds(), time.monotonic()
    yield
    taken = {"cpu_s": _cpu_seconds() - cpu, "wall_s": time.monotonic() - wall}
    (folder / _COUNTED).write_text(json.dumps(taken))


_COUNTED = ".counted.json"


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _as_counted(taken: Measurement, folder: Path) -> Measurement:
    """Return what the case said counts, or all that it took."""
    report = folder / _COUNTED
    return replace(taken, **json.loads(report.read_text())) if report.exists() else taken


def measure(command: Sequence[str]) -> tuple[Measurement, str]:
    """Run a command to its end; return what it took, its children included, and what it printed."""
    with tempfile.NamedTemporaryFile() as report, tempfile.TemporaryFile() as output:
        launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, report.name, *command]
        subprocess.run(launcher, stdout=output, stdin=subprocess.DEVNULL, check=True)
        taken = json.loads(Path(report.name).read_bytes())
        output.seek(0)
        printed = output.read().decode()
    if taken.pop("exit_code"):
        raise subprocess.CalledProcessError(1, command, printed)
    return Measurement(**taken), printed


# Started between us and the command because Linux lets a process begin with the peak of the one that started it: ours
# may have held a table in memory, this one holds nothing.
_LAUNCHER = """
import json, os, sys, time
report, *command = sys.argv[1:]
started = time.monotonic()
process = os.posix_spawn(command[0], command, os.environ)
_, status, usage = os.wait4(process, 0)
taken = {
    "exit_code": os.waitstatus_to_exitcode(status),
    "cpu_s": usage.ru_utime + usage.ru_stime,
    "wall_s": time.monotonic() - started,
    "peak_mb": usage.ru_maxrss * 1024 / 1e6,  # Linux counts in KiB
}
with open(report, "w") as file:
    json.dump(taken, file)
"""


def _compare(file: str, row: Row, given: Mapping[str, Any], runs: int) -> Iterator[Comparison]:
    sides = [row.ours, *(case for case, _ in row.peers.values())]
    found: dict[str, list[Measurement]] = {case: [] for case in sides}
    answers: dict[str, Any] = {}
    for run in range(runs):
        for case in sides:
            with _folder() as folder:
                command = [sys.executable, file, "--case", case, json.dumps(dict(given)), str(folder)]
                taken, printed = measure(command)
                taken = _as_counted(taken, folder)
            found[case].append(taken)
            answers[case] = json.loads(printed.splitlines()[-1])
            print(f"{row.work}: {case} {run + 1}/{runs}: {_shown(taken)}", file=sys.stderr)
    if len({json.dumps(answer) for answer in answers.values()}) > 1:
        raise AssertionError(f"{row.work}: the sides did not do the same work: {answers}")
    ours = _median(found[row.ours])
    for peer, (case, target) in row.peers.items():
        theirs = _median(found[case])
        ratio = ours.cpu_s / theirs.cpu_s
        yield Comparison(
            work=row.work,
            peer=peer,
            ours_cpu_s=round(ours.cpu_s, 3),
            peer_cpu_s=round(theirs.cpu_s, 3),
            ratio=round(ratio, 4),
            target=round(target, 4),
            ours_peak_mb=round(ours.peak_mb, 1),
            peer_peak_mb=round(theirs.peak_mb, 1),
            ok=ratio <= target and ours.peak_mb <= min(row.peak_mb, row.peak_ratio * theirs.peak_mb),
        )


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="mlpipe-bench-") as folder:
        yield Path(folder)


def _median(taken: Sequence[Measurement]) -> Measurement:
    return Measurement(
        **{name: statistics.median(getattr(one, name) for one in taken) for name in ("cpu_s", "wall_s", "peak_mb")}
    )


def _shown(taken: Measurement) -> str:
    return f"{taken.cpu_s:.2f} s CPU, {taken.wall_s:.2f} s wall, {taken.peak_mb:.0f} MB"


def _show(comparisons: Sequence[Comparison], *, as_json: bool) -> None:
    if as_json:
        for found in comparisons:
            print(json.dumps(asdict(found)))
        return
    head = ("work", "peer", "ours CPU s", "peer CPU s", "ratio", "target", "ours MB", "peer MB", "")
    lines = [head, *(_line(found) for found in comparisons)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(head))]
    for line in lines:
        cells = [
            cell.ljust(width) if at < 2 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())


def _line(found: Comparison) -> tuple[str, ...]:
    return (
        found.work, found.peer, f"{found.ours_cpu_s:.2f}", f"{found.peer_cpu_s:.2f}", f"{found.ratio:.3f}",
        f"{found.target:.3f}", f"{found.ours_peak_mb:.0f}", f"{found.peer_peak_mb:.0f}",
        "ok" if found.ok else "MISSED",
    )  # fmt: skip
