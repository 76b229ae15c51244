"""A real Spark on this machine, one for all tests of this folder."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_provider_mlpipe.engines import SparkSettings
from tests.spark.generated import tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

HERE = Path(__file__).parent

HARMLESS = [
    # Py4J leaves sockets to the garbage collector, and so do Spark's accumulators.
    "ignore:unclosed <socket.socket:ResourceWarning",
]
"""What pyspark warns of and nobody can help."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of this folder are slow."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.slow)
            for warning in HARMLESS:
                item.add_marker(pytest.mark.filterwarnings(warning))


def absent() -> str:
    """Return what Spark lacks here."""
    if importlib.util.find_spec("pyspark") is None:
        return "pyspark is not installed"
    home = os.environ.get("JAVA_HOME")
    return "" if shutil.which("java") or (home and Path(home, "bin", "java").is_file()) else "there is no Java"


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """The session of a Spark on two cores of this machine: what a notebook or a cluster's driver has."""
    reason = absent()
    if reason:
        pytest.skip(reason)
    from pyspark.sql import SparkSession

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # workers that run Python need what is installed here
    folder = tmp_path_factory.mktemp("spark")
    builder = SparkSession.builder.master("local[2]").appName("tests")
    for name, value in {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "ERROR",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": "1g",
        # Most of what a short-lived Spark takes is the JIT's; its first tier is enough for tables of a few rows.
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.local.dir": str(folder),
    }.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    yield session
    session.stop()


@pytest.fixture
def on_spark(spark: object) -> SparkSettings:
    """Settings with which an engine takes the running Spark."""
    return SparkSettings(master="local[2]")


@pytest.fixture(scope="module", params=[1], ids="seed {}".format)
def drawn(request: pytest.FixtureRequest) -> dict[str, pa.Table]:
    """Inputs with everything that engines are known to disagree on."""
    return tables(request.param)
