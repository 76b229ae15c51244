"""Where the operators find YAML files, artifacts and limits."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.hooks import settings


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four folders that can hold a YAML file, the Dag file being dags/flow.py, with the first as working directory."""
    for name in ("here", "dags", "config", "elsewhere"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.delenv("AIRFLOW__MLPIPE__CONFIG_FOLDER", raising=False)
    return tmp_path


def found(layout: Path, config: str = "x.yaml") -> str:
    return str(Path(str(settings.find_config(config, str(layout / "dags" / "flow.py")))).relative_to(layout))


def test_a_config_is_looked_up_here_then_beside_the_dag_then_in_the_config_folder(
    layout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (layout / "config" / "x.yaml").touch()
    assert found(layout) == "config/x.yaml"

    (layout / "elsewhere" / "x.yaml").touch()
    monkeypatch.setenv("AIRFLOW__MLPIPE__CONFIG_FOLDER", str(layout / "elsewhere"))
    assert found(layout) == "elsewhere/x.yaml"

    (layout / "dags" / "x.yaml").touch()
    assert found(layout) == "dags/x.yaml"

    (layout / "here" / "x.yaml").touch()
    assert found(layout) == "here/x.yaml"


def test_a_relative_config_folder_starts_at_the_dag_file(layout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (layout / "elsewhere" / "x.yaml").touch()
    monkeypatch.setenv("AIRFLOW__MLPIPE__CONFIG_FOLDER", "../elsewhere")

    assert found(layout) == "elsewhere/x.yaml"


def test_a_config_that_is_nowhere_says_where_it_was_looked_for(layout: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        found(layout, "absent.yaml")

    for folder in ("here", "dags", "config"):
        assert str(layout / folder) in str(caught.value)
    assert "config_folder" in caught.value.hint


def test_an_absolute_path_and_a_mapping_are_taken_as_they_are(layout: Path) -> None:
    mapping = {"sources": {}}

    assert settings.find_config(mapping, None) is mapping
    assert settings.find_config("/absent/x.yaml", None) == Path("/absent/x.yaml")


def test_the_artifact_root_is_below_airflow_home_unless_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings.artifact_root() == f"{os.environ['AIRFLOW_HOME']}/mlpipe"

    monkeypatch.setenv("AIRFLOW__MLPIPE__ARTIFACT_ROOT", "s3://lake/features")
    assert settings.artifact_root() == "s3://lake/features"


def test_the_engine_takes_what_the_configuration_grants(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings.engine().memory_limit == "1GB"

    monkeypatch.setenv("AIRFLOW__MLPIPE__MEMORY_LIMIT", "300MB")
    assert settings.engine().memory_limit == "300MB"


def test_no_connection_for_artifacts_unless_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings.artifact_conn_id() is None

    monkeypatch.setenv("AIRFLOW__MLPIPE__ARTIFACT_CONN_ID", "minio")
    assert settings.artifact_conn_id() == "minio"
