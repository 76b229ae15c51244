"""docs/how-to/airflow-cli.md names commands and options that there are, and settings that Airflow is told of."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest

from airflow_provider_mlpipe.get_provider_info import get_provider_info
from tests.docs.howto import blocks, page

sys.path.insert(0, str(Path(__file__).parents[2] / "docs"))

from pages import cli

PAGE = page("airflow-cli")
LINES = [line.removeprefix("$ ") for block in blocks(PAGE, "console") for line in block.splitlines()]


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("airflow mlpipe ")])
def test_a_command_takes_what_the_page_gives_it(line: str) -> None:
    _, _, name, *arguments = shlex.split(line)
    command = cli.commands()["online read" if name == "online" else name]
    options = {option for parameter in command.params for option in parameter.opts}

    assert {text for text in arguments if text.startswith("--")} <= options


def test_the_settings_are_those_of_the_section() -> None:
    known = set(get_provider_info()["config"]["mlpipe"]["options"])
    named = set(re.findall(r"`\[mlpipe\] (\w+)`", PAGE)) | {"memory_limit"}

    assert len(named) >= 4
    assert named <= known


def test_what_stands_in_a_shell_only_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    from airflow_provider_mlpipe.cli.application import command_line

    for option, value in (("--conn-id", "tracker"),):
        arguments = ["ingest", "user_data", option, value, "--as-of", "2026-01-14T02:00:00Z"]
        assert command_line([*arguments, "--config", "config/ingestion_config.yaml"]) == 2
        assert "Run the same command as: airflow mlpipe" in capsys.readouterr().err
