"""Histories, fits and parts on the command line, as the guide writes them; the operators hand over the same."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest

from airflow_provider_mlpipe.artifacts import Artifact
from airflow_provider_mlpipe.cli.application import command_line
from airflow_provider_mlpipe.config import feature_set
from tests.feature_extraction.material import AS_OF, activity, done, published, users

GUIDE = Path(__file__).parents[2] / "docs/how-to/feature-history.md"


@pytest.fixture
def mlpipe(root, tmp_path, capsys):
    """Run a command on published inputs and return its JSON document."""
    config = tmp_path / "feature_config.yaml"
    config.write_text("user_features:\n  normalize: true\n  features: [current_workload_hours]\n", encoding="utf-8")
    events = activity(*(done(f"u{n % 5}", n * timedelta(hours=9), hours=n / 4) for n in range(1, 60)))
    inputs = [
        f"--input=users={published(root, 'users', users(*(f'u{n}' for n in range(6)))).uri}",
        f"--input=activity={published(root, 'activity', events).uri}",
    ]

    def run(*arguments, exits=0):
        reads = inputs if "promote" not in arguments else []
        command = [*arguments, f"--config={config}", f"--root={root.uri}", *reads, "--json"]
        capsys.readouterr()
        assert command_line(command) == exits
        return json.loads(capsys.readouterr().out)

    return run


def test_fit_promote_extract(mlpipe):
    span = ["--from", "2026-01-10", "--to", "2026-01-14"]
    fitted = mlpipe("features", "fit", "user_features", *span)
    assert fitted["fitted_on"]["count"] == 4
    assert fitted["statistics"]["current_workload_hours"]["count"] == 24
    promoted = mlpipe("features", "promote", "user_features", fitted["fit_id"])
    assert promoted["fit_id"] == fitted["fit_id"]
    found = mlpipe("extract", "user_features", "--as-of", AS_OF.isoformat())
    assert Artifact.open(found["normalized"]).manifest.details["fit_id"] == fitted["fit_id"]
    error = mlpipe("features", "promote", "user_features", "0" * 16, exits=2)["error"]
    assert fitted["fit_id"] in error["message"]
    assert "mlpipe features fit user_features" in error["hint"]


def test_a_history_and_its_parts(mlpipe):
    span = ["--as-of-range", "2026-01-10", "2026-01-14", "--every", "2d"]
    whole = mlpipe("extract", "user_features", *span)
    assert (whole["rows"], whole["stage"]) == (12, "history")
    again = mlpipe("extract", "user_features", *span)
    assert again["metrics"]["cache_hits"] == 1
    assert mlpipe("extract", "user_features", *span, "--no-cache")["metrics"]["cache_hits"] == 0
    parts = [mlpipe("extract", "user_features", *span, "--chunk", f"{n}/2") for n in range(2)]
    assert sum(part["rows"] for part in parts) == 12
    assert {part["stage"] for part in parts} == {"history-chunks"}
    mlpipe("extract", "user_features", *span, "--chunk", "2/2", exits=2)


def test_the_guides_settings_are_settings():
    import yaml

    for block in re.findall(r"```yaml\n(.*?)```", GUIDE.read_text(), re.DOTALL):
        assert feature_set(yaml.safe_load(block), "user_features")


def test_the_guides_commands_exist(mlpipe, capsys):
    del mlpipe
    for block in re.findall(r"```text\n(.*?)```", GUIDE.read_text(), re.DOTALL):
        for line in block.replace("\\\n", "").splitlines():
            words = line.split()[1:]
            command = words[: 2 if words[0] == "features" else 1]
            assert command_line([*command, "--help"]) == 0
            shown = capsys.readouterr().out
            assert all(option in shown for option in words if option.startswith("--"))
