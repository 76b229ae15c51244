"""`mlpipe` in this process and in its own."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from airflow_provider_mlpipe import sample
from tests.cli.terminal import REPOSITORY, Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def quiet() -> Iterator[None]:
    """Leave logging as it was: a command sets it for its process."""
    ours = logging.getLogger("airflow_provider_mlpipe")
    before = ours.level
    yield
    ours.setLevel(before)


@pytest.fixture
def mlpipe(capsys: pytest.CaptureFixture[str], quiet: None) -> Callable[..., Answer]:
    """Run a command in this process: the libraries of the stages are imported once for all tests."""
    from airflow_provider_mlpipe.cli.application import command_line

    def run(*arguments: object) -> Answer:
        capsys.readouterr()
        code = command_line([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return run


@pytest.fixture
def spawn(tmp_path: Path) -> Callable[..., Answer]:
    """Run a command as a user does: a process of its own, here in an empty folder."""

    def run(*arguments: object, **environment: str) -> Answer:
        command = [sys.executable, "-m", "airflow_provider_mlpipe.cli", *map(str, arguments)]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=tmp_path, env={**os.environ, **environment}
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> sample.Sample:
    """The sample as it comes."""
    return sample.write(tmp_path_factory.mktemp("tracker"))


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch, tracker: sample.Sample) -> None:
    """The example configuration reads the sample."""
    monkeypatch.setenv("MLPIPE_SAMPLE_DB", tracker.url)
    monkeypatch.chdir(REPOSITORY)
