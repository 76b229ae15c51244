"""Fixtures for every test: zone, throw-away AIRFLOW_HOME, artifact root, and the real servers, one of each per session."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

os.environ["TZ"] = "UTC"
time.tzset()

# Before anything imports Airflow, which reads it once, writes a configuration file into it and opens log files there.
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="mlpipe-airflow-unit-")
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
atexit.register(shutil.rmtree, os.environ["AIRFLOW_HOME"], ignore_errors=True)

from airflow_provider_mlpipe.artifacts import Storage  # noqa: E402 - after the environment is set
from tests import broker, servers  # noqa: E402

# How long an example takes says nothing of the code on a machine that is busy with other tests.
settings.register_profile("here", deadline=None)
settings.load_profile("here")

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def working_folder() -> Iterator[None]:
    """A test that goes elsewhere comes back, or fails in the place of a later one."""
    before = Path.cwd()
    yield
    assert Path.cwd() == before


@pytest.fixture
def root(tmp_path: Path) -> Storage:
    """An empty artifact root on disk."""
    return Storage(str(tmp_path / "artifacts"))


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A libpq URI of a running PostgreSQL; shared, so tests use names of their own."""
    with servers.postgres() as uri:
        yield uri


@pytest.fixture(scope="session")
def mariadb() -> Iterator[str]:
    """A SQLAlchemy URL of a running MariaDB; shared, so tests use names of their own."""
    with servers.mariadb() as uri:
        yield uri


@pytest.fixture(scope="session")
def s3() -> Iterator[servers.Bucket]:
    """A bucket on a running S3 server; shared, so tests use prefixes of their own."""
    with servers.s3() as bucket:
        yield bucket


@pytest.fixture(scope="session")
def valkey() -> Iterator[str]:
    """``host:port`` of a running Valkey; shared, so tests use key prefixes of their own."""
    with servers.valkey() as address:
        yield address


@pytest.fixture(scope="session")
def kafka() -> Iterator[broker.KafkaBroker]:
    """A running Kafka broker; shared, so tests use topics of their own."""
    with broker.kafka_broker() as running:
        yield running
