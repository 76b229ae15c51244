"""Artifacts and offline data in a bucket, registry and online store elsewhere."""

from __future__ import annotations

import contextlib
import sys
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_mlpipe.artifacts import Storage
from airflow_provider_mlpipe.config import FeatureStore
from airflow_provider_mlpipe.feature_store import export, materialize, open_store
from airflow_provider_mlpipe.feature_store.translation import quiet, unprinted
from tests import servers
from tests.feature_store.feature_artifacts import VIEW, as_of, expected, features, online, raw, scores

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def bucket(s3: servers.Bucket) -> Storage:
    """A root of its own in the shared bucket."""
    return Storage(f"{s3.uri}/{uuid.uuid4().hex}", s3.options)


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    """A registry and an online store on this disk."""
    online_store = {"type": "sqlite", "path": str(tmp_path / "feast/online.db")}
    return FeatureStore(registry=f"sqlite:///{tmp_path}/feast/registry.db", online_store=online_store)


def history(store: FeatureStore, root: Storage, feature: str) -> list[tuple[object, object]]:
    """Return one feature of two users as of after days 14 and 15."""
    return history_of(open_store(store, root), feature)


def history_of(opened: Any, feature: str) -> list[tuple[object, object]]:
    """Ask any `feast.FeatureStore` for it."""
    import pandas as pd

    users, days = ["u00001", "u00002"] * 2, [as_of(14)] * 2 + [as_of(15)] * 2
    entities = pd.DataFrame({"user_id": users, "event_timestamp": days})
    job = opened.get_historical_features(entities, features=[f"{VIEW}:{feature}"])
    rows = job.to_df().sort_values(["event_timestamp", "user_id"])
    return list(zip(rows["user_id"], rows[feature], strict=True))


def test_online_and_offline_hold_what_the_artifacts_hold(bucket: Storage, store: FeatureStore) -> None:
    first, second = scores(20, seed=1), scores(20, seed=2)
    materialize(features(bucket, first.slice(0, 5)), store, root=bucket)
    materialize(features(bucket, first), store, root=bucket)  # the same interval again, with more rows
    wider = second.append_column("added", second["skill_score_backend"])
    materialize(features(bucket, wider, day=15), store, root=bucket)

    assert online(store, bucket, wider) == expected(wider)
    files = sorted(bucket.below(f"_feast/offline/{VIEW}").names())
    assert files == ["20260113T020000Z-20260114T020000Z.parquet", "20260114T020000Z-20260115T020000Z.parquet"]
    one, two = (table["skill_score_backend"].to_pylist()[1:3] for table in (first, second))
    wanted = [("u00001", one[0]), ("u00002", one[1]), ("u00001", two[0]), ("u00002", two[1])]
    assert history(store, bucket, "skill_score_backend") == wanted
    assert [value for _, value in history(store, bucket, "added")][2:] == two


def test_artifacts_of_several_parts(bucket: Storage, store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_mlpipe.artifacts.writer.ROW_GROUP_ROWS", 4)
    monkeypatch.setattr("airflow_provider_mlpipe.artifacts.writer.PART_ROWS", 4)
    import pyarrow as pa

    table = scores(10)
    pieces = pa.concat_tables([table.slice(start, 2).combine_chunks() for start in range(0, 10, 2)])
    artifact = features(bucket, pieces)
    assert len(artifact.paths) > 1
    assert materialize(artifact, store, root=bucket).rows == 10
    assert online(store, bucket, table) == expected(table)
    assert list(bucket.below(f"_feast/offline/{VIEW}").names()) == ["20260113T020000Z-20260114T020000Z.parquet"]


def test_the_gate_looks_into_the_bucket(bucket: Storage, store: FeatureStore) -> None:
    from airflow_provider_mlpipe.errors import GateClosedError

    unjudged = raw(bucket, "activity", judged=False)
    with pytest.raises(GateClosedError, match=f"Input 'activity' at {unjudged.uri}"):
        materialize(features(bucket, scores(2), inputs=(unjudged.as_input("activity"),)), store, root=bucket)


def test_the_registry_holds_no_keys_of_the_bucket(bucket: Storage, store: FeatureStore, tmp_path: Path) -> None:
    materialize(features(bucket, scores(2)), store, root=bucket)
    for file in (tmp_path / "feast").iterdir():
        assert servers.PASSWORD.encode() not in file.read_bytes(), file.name


def test_stock_feast_reads_an_exported_repository(
    bucket: Storage, store: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Feast's own class on the exported folder, with the keys in the variables that it names, and with nothing else."""
    first, second = scores(20, seed=1), scores(20, seed=2)
    materialize(features(bucket, first), store, root=bucket)
    artifact = features(bucket, second, day=15)
    materialize(artifact, store, root=bucket)

    written = export([artifact], tmp_path / "repo", store, root=bucket)

    assert written.variables == ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    assert servers.PASSWORD not in "".join(file.read_text() for file in (tmp_path / "repo").iterdir())
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", bucket.options.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", bucket.options.secret_key)
    monkeypatch.syspath_prepend(str(tmp_path / "repo"))  # as the command is started in the folder
    monkeypatch.delitem(sys.modules, "definitions", raising=False)
    (tmp_path / "feast/online.db").unlink()
    with quiet(), unprinted():
        stock = feast_on(tmp_path / "repo")
        stock.materialize(as_of(14), as_of(15))
        found = stock.get_online_features([f"{VIEW}:skill_score_backend"], [{"user_id": "u00001"}]).to_dict()
    monkeypatch.delitem(sys.modules, "definitions")
    one, two = (table["skill_score_backend"].to_pylist()[1:3] for table in (first, second))
    assert history_of(stock, "skill_score_backend") == list(zip(["u00001", "u00002"] * 2, one + two, strict=True))
    assert found["skill_score_backend"] == two[:1]


def feast_on(repository: Path) -> Any:
    """Return Feast's store for a repository whose definitions are applied, as ``feast apply`` does."""
    import feast
    from feast.repo_config import load_repo_config
    from feast.repo_operations import apply_total

    config = load_repo_config(repository, repository / "feature_store.yaml")
    with contextlib.chdir(repository):  # it goes there itself, and stays
        apply_total(config, repository, skip_source_validation=False)
    return feast.FeatureStore(repo_path=str(repository))
