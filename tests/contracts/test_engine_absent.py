"""What somebody reads who asks for Spark where there is none."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from airflow_provider_mlpipe.engines import SparkEngine, refusal
from airflow_provider_mlpipe.engines.spark import session
from airflow_provider_mlpipe.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def test_without_pyspark_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pyspark", "pyspark.errors", "pyspark.sql"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match="needs pyspark, which is not installed") as caught, SparkEngine.open():
        pytest.fail("there is no Spark to open")
    assert caught.value.hint == "pip install 'airflow-provider-mlpipe[spark]', or use engine: duckdb."


@pytest.mark.parametrize("home", [True, False], ids=["JAVA_HOME", "PATH"])
def test_without_java_the_place_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, home: bool) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    if home:
        monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    else:
        monkeypatch.delenv("JAVA_HOME", raising=False)
    where = f"in JAVA_HOME={tmp_path}" if home else "on the PATH"
    with pytest.raises(ConfigError, match="needs Java 17 or 21") as caught:
        session._require_java()
    assert f"there is none {where}." in caught.value.message


def test_an_error_of_nobody_is_nobodys() -> None:
    assert refusal(ValueError("x")) is None
