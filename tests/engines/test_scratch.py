"""Spilled data goes with its process, also when that is killed; folders in use and folders of others stay."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from airflow_provider_mlpipe.engines import DuckDBEngine, DuckDBSettings
from airflow_provider_mlpipe.engines.scratch import scratch_folder

HOLD = """
import sys, time
from airflow_provider_mlpipe.engines.scratch import scratch_folder
with scratch_folder("mlpipe-spill-", sys.argv[1]) as folder:
    open(f"{folder}/spilled", "w").close()
    print(folder, flush=True)
    sys.stdin.read()
"""


def holder(parent: Path) -> tuple[subprocess.Popen[str], Path]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(parent)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def end(process: subprocess.Popen[str]) -> None:
    with process:
        process.kill()


def test_what_a_killed_process_left_is_removed_and_what_is_in_use_is_not(tmp_path: Path) -> None:
    (tmp_path / "mlpipe-spill-of-somebody-else").mkdir()
    dead, left = holder(tmp_path)
    alive, used = holder(tmp_path)
    try:
        os.kill(dead.pid, signal.SIGKILL)
        dead.wait()
        assert (left / "spilled").exists()
        with DuckDBEngine.open(DuckDBSettings(temp_directory=str(tmp_path))) as engine:
            assert engine.row("SELECT 1") == (1,)
            assert not left.exists()
            assert (used / "spilled").exists()
    finally:
        end(dead)
        end(alive)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([used.name, "mlpipe-spill-of-somebody-else"])


def test_a_folder_goes_with_its_work_also_after_an_error(tmp_path: Path) -> None:
    def fails() -> None:
        with scratch_folder("x-", str(tmp_path)) as folder:
            Path(folder, "data").touch()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_a_process_that_was_killed_before_it_locked_it(tmp_path: Path) -> None:
    """There is a moment between making a folder and locking it."""
    (tmp_path / "x-0abc_def").mkdir()
    (tmp_path / "x-no-name-of-ours").mkdir()
    with scratch_folder("x-", str(tmp_path)) as folder:
        assert {path.name for path in tmp_path.iterdir()} == {Path(folder).name, "x-no-name-of-ours"}


def test_a_folder_that_was_taken_for_abandoned_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make, made = tempfile.mkdtemp, []

    def taken(**given: str) -> str:
        made.append(make(**given))
        if len(made) == 1:
            Path(made[0]).rmdir()
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", taken)
    with scratch_folder("x-", str(tmp_path)) as folder:
        assert folder == made[1]
        Path(folder, "data").touch()
    assert list(tmp_path.iterdir()) == []
