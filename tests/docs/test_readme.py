"""The README does what it says: its Python and shell blocks run, in order, in an empty folder."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from airflow_provider_mlpipe import config, sample

REPOSITORY = Path(__file__).parents[2]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A folder as a user has it: the example configuration, and nothing else."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "config").symlink_to(REPOSITORY / "config")
    sample.write(folder / ".demo" / "sample")
    return folder


def run(command, folder):
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    environment |= {"API_TOKEN": "x", "AIRFLOW_HOME": str(folder / "airflow")}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_python_blocks_run(workplace):
    """One after the other in one process, as somebody pastes them; the DAG is one of them."""
    code = "\n".join(blocks("python"))
    assert code.count("import ") > 8
    done = run([sys.executable, "-W", "ignore", "-c", code], workplace)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^\d+ 0 0\.0$", done.stdout, flags=re.MULTILINE), done.stdout


def test_mlpipe_commands_run(workplace):
    commands = [
        line.removeprefix("$ ").split("   #")[0]
        for block in blocks("console")
        for line in block.splitlines()
        if line.startswith("$ mlpipe")
    ]
    assert len(commands) >= 4
    for command in commands:
        done = run(["bash", "-c", command.replace("USER_ID", _some_user(workplace))], workplace)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


def _some_user(folder):
    with closing(sqlite3.connect(folder / ".demo" / "sample" / "tracker.db")) as database:
        return database.execute("SELECT user_id FROM users ORDER BY created_at LIMIT 1").fetchone()[0]


def test_yaml_blocks_are_configuration(tmp_path, monkeypatch):
    monkeypatch.setenv("API_TOKEN", "x")
    ingestion, validation, features, mapped = blocks("yaml")
    for name, text in {"i": ingestion, "v": validation, "f": features, "m": mapped}.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    assert config.source(tmp_path / "i.yaml", "user_data").model.table == "users"
    assert config.source(tmp_path / "i.yaml", "task_data").model.data_key == "tasks"
    assert config.dataset_rules(tmp_path / "v.yaml", "user_data").model.freshness is not None
    assert config.feature_set(tmp_path / "f.yaml", "user_features").model.normalize is True
    assert config.source(tmp_path / "m.yaml", "activity_data").model.columns == {"skill": "area", "hours": "amount"}


def test_links_lead_somewhere():
    for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"):
        text = (REPOSITORY / name).read_text(encoding="utf-8")
        for link in re.findall(r"\]\((?!http)([^)#]+)", text):
            assert (REPOSITORY / link).exists(), f"{name} links to {link}"
