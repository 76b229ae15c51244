"""The exported repository is Feast's own: its stock commands and its HTTP server take it as it is."""

from __future__ import annotations

import contextlib
import os
import runpy
import signal
import socket
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pyarrow as pa
import pytest

from airflow_provider_mlpipe.artifacts import S3Options, Storage
from airflow_provider_mlpipe.cli.application import command_line
from airflow_provider_mlpipe.config import FeatureStore
from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.feature_store import export, materialize, open_store
from airflow_provider_mlpipe.feature_store.definitions import Definition
from airflow_provider_mlpipe.feature_store.offline import OfflineData
from airflow_provider_mlpipe.feature_store.translation import quiet
from tests.feature_store.feature_artifacts import VIEW, as_of, every_type, features, scores
from tests.servers import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_mlpipe.artifacts import Artifact

REFERENCE = f"{VIEW}:skill_score_backend"
FIRST, SECOND = scores(20, seed=1), scores(20, seed=2)
SECONDS = 240
"""A command that takes longer has hung."""


@dataclass(frozen=True)
class Exported:
    """Two days of features online and offline, and the repository written from them."""

    root: Storage
    folder: Path

    @property
    def online_file(self) -> str:
        return self.root.path("_feast/online.db")

    def feast(self, *arguments: str) -> str:
        """Run the stock command in the repository."""
        command = [str(Path(sys.executable).with_name("feast")), "--chdir", str(self.folder), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False, env=ENVIRONMENT)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def online_rows(self) -> int:
        with contextlib.closing(sqlite3.connect(self.online_file)) as connection:
            return int(connection.execute(f"SELECT count(*) FROM mlpipe_{VIEW}").fetchone()[0])


ENVIRONMENT = {**os.environ, "FEAST_USAGE": "False", "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp("exported")
    root = Storage(str(folder / "artifacts"))
    for day, table in ((14, FIRST), (15, SECOND)):
        artifact = features(root, table, day=day)
        materialize(artifact, FeatureStore(), root=root)
    other = pa.table({"team_id": ["t1"], "open_tasks": pa.array([3], pa.int64())})
    materialize(features(root, other, entity="team_id", feature_set="team_features"), FeatureStore(), root=root)
    command = ["feast", "export", artifact.uri, str(folder / "repo"), "--root", root.root]
    (folder / "features.yaml").write_text("feature_store: {}\n")
    assert command_line([*command, "--config", str(folder / "features.yaml")]) == 0
    made = Exported(root, folder / "repo")
    made.feast("apply")
    return made


def test_what_stock_feast_reads_is_what_our_store_reads(exported: Exported) -> None:
    """The seed's calls, on the store that `open_store` gives and on the exported repository: the same answers."""
    import pandas as pd
    from feast import FeatureStore as Stock

    moments = {
        as_of(14) - timedelta(seconds=1): None,
        as_of(14): FIRST["skill_score_backend"][3].as_py(),
        as_of(15): SECOND["skill_score_backend"][3].as_py(),
    }
    entity_df = pd.DataFrame({"user_id": ["u00003"] * 3, "event_timestamp": list(moments)})
    for store in (open_store(FeatureStore(), exported.root), Stock(repo_path=str(exported.folder))):
        with quiet():
            training = store.get_historical_features(entity_df=entity_df, features=[REFERENCE]).to_df()
            online = store.get_online_features(features=[REFERENCE], entity_rows=[{"user_id": "u00003"}]).to_dict()
        found = dict(zip(training["event_timestamp"], training["skill_score_backend"], strict=True))
        assert {time.to_pydatetime(): None if pd.isna(value) else value for time, value in found.items()} == moments
        assert online == {"user_id": ["u00003"], "skill_score_backend": [moments[as_of(15)]]}


@pytest.mark.slow
def test_stock_materialize_fills_and_the_feature_server_answers(exported: Exported) -> None:
    with contextlib.closing(sqlite3.connect(exported.online_file)) as connection:
        connection.execute(f"DELETE FROM mlpipe_{VIEW}")
        connection.commit()

    exported.feast("materialize", "2026-01-14T00:00:00", "2026-01-16T00:00:00")

    assert exported.online_rows() == 20 * 3
    with feature_server(exported) as address:
        question = {"features": [REFERENCE, f"{VIEW}:top_skill"], "entities": {"user_id": ["u00003", "u00019"]}}
        answer = httpx.post(f"{address}/get-online-features", json=question, timeout=60).raise_for_status().json()
        service = {"feature_service": f"{VIEW}_service", "entities": {"user_id": ["u00003"]}}
        by_service = httpx.post(f"{address}/get-online-features", json=service, timeout=60).raise_for_status().json()
    assert columns(answer) == {
        "user_id": ["u00003", "u00019"],
        "skill_score_backend": [SECOND["skill_score_backend"][i].as_py() for i in (3, 19)],
        "top_skill": [SECOND["top_skill"][i].as_py() for i in (3, 19)],
    }
    assert columns(by_service)["skill_score_backend"] == [SECOND["skill_score_backend"][3].as_py()]


def test_stock_apply_leaves_the_registry_in_use_alone(exported: Exported) -> None:
    """`feast apply` removes what a repository does not define; another view in use must survive it."""
    names = {view.name for view in open_store(FeatureStore(), exported.root).list_feature_views()}
    assert names == {VIEW, "team_features"}


def columns(answer: dict[str, Any]) -> dict[str, list[Any]]:
    names = answer["metadata"]["feature_names"]
    return {name: result["values"] for name, result in zip(names, answer["results"], strict=True)}


@contextlib.contextmanager
def feature_server(exported: Exported) -> Iterator[str]:
    """Run ``feast serve`` on a free port, in a process group of its own, which ends with the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).with_name("feast")), "--chdir", str(exported.folder), "serve"]
    log = exported.folder.parent / "serve.log"
    with log.open("w") as stream:
        server = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port), "--no-access-log"],
            stdout=stream, stderr=stream, env=ENVIRONMENT, start_new_session=True,
        )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        until(lambda: server.poll() is not None or _healthy(address), "feast serve answers", SECONDS)
        assert server.poll() is None, log.read_text()
        yield address
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def _healthy(address: str) -> bool:
    try:
        return httpx.get(f"{address}/health", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


# ------------------------------------------------------------------ the files


OBJECTS = {"Entity", "FileSource", "SparkSource", "FeatureView", "FeatureService"}


def defined(folder: Path) -> dict[str, Any]:
    """Run definitions.py as Feast does and return its objects by name."""
    with quiet():
        found = runpy.run_path(str(folder / "definitions.py"))
    return {value.name: value for value in found.values() if type(value).__name__ in OBJECTS}


@pytest.mark.parametrize(
    ("table", "entity", "feast"),
    [
        (every_type(), "user_id", {}),
        (scores(3), "user_id", {"ttl_seconds": 5400, "tags": {'a "b"\n': "c\\d"}, "description": "It's \"ü\"", "owner": ""}),
        (pa.table({"class": [1, 2], "Float64": [0.5, 1.5]}), "class", {"view": "Entity", "service": "timedelta"}),
    ],
    ids=["every type", "odd texts", "names that Python has taken"],
)  # fmt: skip
def test_the_python_says_what_we_would_register(
    root: Storage, tmp_path: Path, table: pa.Table, entity: str, feast: dict[str, Any]
) -> None:
    artifact = features(root, table, entity=entity, feast=feast)

    written = export([artifact], tmp_path / "repo", FeatureStore(), root=root)

    ours = Definition.of(artifact)
    assert written.views == written.without_data == (ours.view,)
    found = defined(tmp_path / "repo")
    for thing in ours.objects(OfflineData(root, ours.view).pattern):
        theirs = found[thing.name]
        if type(thing).__name__ == "FeatureView":
            thing.tags.pop("mlpipe_definition")  # our note to ourselves
        assert theirs == thing
    assert found.keys() == {ours.entity, f"{ours.view}_source", ours.view, ours.service}


def test_views_of_one_entity_share_it(root: Storage, tmp_path: Path) -> None:
    both = [features(root, scores(3)), features(root, scores(3), feature_set="more_features")]

    assert export(both, tmp_path, FeatureStore(), root=root).views == (VIEW, "more_features")

    assert defined(tmp_path).keys() > {VIEW, "more_features", "user_id"}
    assert (tmp_path / "definitions.py").read_text().count("Entity(name=") == 1


def test_no_secret_is_written(root: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from feast.repo_config import load_repo_config

    redis = {"type": "redis", "connection_string": "cache:6379,username=ann,password=pa55: #,db=0"}

    written = export([features(root, scores(3))], tmp_path, FeatureStore(online_store=redis), root=root)

    text = (tmp_path / "feature_store.yaml").read_text()
    assert "pa55" not in text
    assert written.variables == ("FEAST_ONLINE_PASSWORD",)
    monkeypatch.setenv("FEAST_ONLINE_PASSWORD", "pa55:")
    with quiet():
        config = load_repo_config(tmp_path, tmp_path / "feature_store.yaml")
        assert config.online_store.connection_string == "cache:6379,username=ann,password=pa55: #,db=0"


def test_in_a_bucket_feast_reads_through_its_endpoint(tmp_path: Path) -> None:
    local = Storage(str(tmp_path / "local"))
    bucket = Storage(
        "s3://lake/mlpipe", S3Options(endpoint_url="http://127.0.0.1:1", access_key="a", secret_key="s3cr3t")
    )
    store = FeatureStore(
        registry=str(tmp_path / "r.db"), online_store={"type": "sqlite", "path": str(tmp_path / "o.db")}
    )

    text = source_of(features(local, scores(3)), tmp_path, store, bucket)

    assert 'path="s3://lake/mlpipe/_feast/offline/user_profile_features/*.parquet"' in text
    assert 's3_endpoint_override="http://127.0.0.1:1"' in text
    assert "type: airflow_provider_mlpipe.feature_store.feast_offline.MlpipeOfflineStore" in text
    assert "`type: file` needs s3fs" in text
    assert "endpoint_url: http://127.0.0.1:1" in text
    assert "s3cr3t" not in text


def source_of(artifact: Artifact, folder: Path, store: FeatureStore, root: Storage) -> str:
    from airflow_provider_mlpipe.feature_store.export import _configuration, _definitions
    from airflow_provider_mlpipe.feature_store.settings import Settings

    return _definitions([Definition.of(artifact)], root) + _configuration(Settings.of(store, root))[0]


def test_on_spark_the_sources_are_sparks(root: Storage, tmp_path: Path) -> None:
    artifact = features(root, scores(3))
    spark = {"type": "spark", "spark_conf": {"spark.hadoop.fs.s3a.secret.key": "s3cr3t", "spark.master": "local[2]"}}

    written = export([artifact], tmp_path, FeatureStore(offline_store=spark), root=root)

    [source] = [thing for thing in defined(tmp_path).values() if type(thing).__name__ == "SparkSource"]
    with quiet():
        assert source == Definition.of(artifact).objects(OfflineData(root, VIEW).pattern, by_spark=True)[1]
    text = (tmp_path / "feature_store.yaml").read_text()
    assert "type: spark" in text
    assert "s3cr3t" not in text
    assert written.variables == ("FEAST_OFFLINE_SPARK_HADOOP_FS_S3A_SECRET_KEY",)


def test_files_of_somebody_else_are_not_replaced(root: Storage, tmp_path: Path) -> None:
    artifact = features(root, scores(3))
    export([artifact], tmp_path, FeatureStore(), root=root)
    export([artifact], tmp_path, FeatureStore(), root=root)
    (tmp_path / "definitions.py").write_text("mine = 1\n")

    with pytest.raises(ConfigError, match=r"definitions\.py.*no export wrote it"):
        export([artifact], tmp_path, FeatureStore(), root=root)

    assert (tmp_path / "definitions.py").read_text() == "mine = 1\n"


def test_one_view_comes_from_one_artifact(root: Storage, tmp_path: Path) -> None:
    artifact = features(root, scores(3))

    with pytest.raises(ConfigError, match=f"two artifacts of the view '{VIEW}'"):
        export([artifact, artifact], tmp_path, FeatureStore(), root=root)
