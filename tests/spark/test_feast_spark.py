"""Feast on Spark: the same definitions and the same artifacts, read and written by its Spark store and Spark engine."""

from __future__ import annotations

import re
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_mlpipe import config
from airflow_provider_mlpipe.config import FeatureStore
from airflow_provider_mlpipe.errors import StoreUnavailableError
from airflow_provider_mlpipe.feature_store import materialize, open_store
from airflow_provider_mlpipe.feature_store.translation import quiet
from tests import servers
from tests.feature_store.feature_artifacts import VIEW, as_of, every_type, expected, features, online, scores

if TYPE_CHECKING:
    from datetime import datetime

    import pyarrow as pa

    from airflow_provider_mlpipe.artifacts import Storage

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("spark")]

OFFLINE = {"type": "spark", "spark_conf": {"spark.master": "local[2]", "spark.ui.enabled": "false"}}
"""The fixture's session is the active one, so Feast takes that; in production the settings make one."""

MANY = 3_000


def on_spark(valkey: str, **more: Any) -> FeatureStore:
    """Return a project of its own on Spark, online in Valkey."""
    online_store = {"type": "redis", "connection_string": valkey}
    given: dict[str, Any] = {"engine": "spark", "offline_store": OFFLINE, "online_store": online_store, **more}
    return FeatureStore(project=f"p{uuid.uuid4().hex}", **given)


def raw_hashes(address: str, project: str) -> dict[bytes, dict[bytes, bytes]]:
    """Return all that a project has in Valkey, its name cut off the keys."""
    import redis

    host, port = address.split(":")
    with redis.Redis(host=host, port=int(port)) as client:
        keys = [key for key in client.scan_iter(count=10_000) if key.endswith(project.encode())]
        return {key.removesuffix(project.encode()): client.hgetall(key) for key in keys}


def history(store: FeatureStore, root: Storage, users: list[str], days: list[datetime], *names: str) -> list[Any]:
    """Return features of users as of days, in order, nulls as None."""
    import pandas as pd

    entities = pd.DataFrame({"user_id": users * len(days), "event_timestamp": [day for day in days for _ in users]})
    with quiet():  # Feast says of its Spark store that it is experimental
        job = open_store(store, root).get_historical_features(entities, features=[f"{VIEW}:{name}" for name in names])
        table = job.to_df()
    # The Spark store hands out times without a zone.
    table["event_timestamp"] = pd.to_datetime(table["event_timestamp"], utc=True)
    table = table.sort_values(["event_timestamp", "user_id"])[["user_id", "event_timestamp", *names]]
    return [[None if pd.isna(value) else value for value in row] for row in table.itertuples(index=False)]


def test_what_goes_online_is_byte_for_byte_what_the_arrow_engine_writes(root: Storage, valkey: str) -> None:
    table = scores(MANY)
    by_spark, by_arrow = on_spark(valkey), on_spark(valkey, engine="arrow")
    for store, place in ((by_spark, root), (by_arrow, root.below("arrow"))):
        done = materialize(features(place, table), store, root=place)
        assert (done.rows, done.rows_read_back, done.mismatches) == (MANY, 100, 0)

    written = raw_hashes(valkey, by_spark.project)
    assert len(written) == MANY
    assert written == raw_hashes(valkey, by_arrow.project)
    assert online(by_spark, root, table.slice(0, 50)) == expected(table.slice(0, 50))


def test_the_example_of_the_documentation_runs(
    root: Storage, valkey: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The YAML of docs/how-to/feature-store.md, by the command line's own reading of it."""
    guide = Path(__file__).parents[2] / "docs/how-to/feature-store.md"
    [example] = [
        block for block in re.findall(r"```yaml\n(.*?)```", guide.read_text(), re.DOTALL) if "spark_conf" in block
    ]
    (tmp_path / "features.yaml").write_text(f"{example}  project: p{uuid.uuid4().hex}\n")
    monkeypatch.setenv("FEAST_DATABASE", str(tmp_path / "registry.db"))
    monkeypatch.setenv("ONLINE_STORE", f"redis://{valkey}")
    monkeypatch.setenv("SPARK_MASTER", "local[2]")
    found = config.feature_store(str(tmp_path / "features.yaml")).model
    assert (found.engine, found.offline_store["type"], found.online_store["type"]) == ("spark", "spark", "redis")
    table = scores(10)
    assert materialize(features(root, table), found, root=root).rows == 10
    assert online(found, root, table) == expected(table)


def test_every_type(root: Storage, valkey: str) -> None:
    table = every_type(40)
    store = on_spark(valkey, read_back=40)
    assert materialize(features(root, table), store, root=root).rows_read_back == 40
    assert online(store, root, table) == expected(table)


def test_only_the_artifacts_rows_go_online_and_newer_ones_stay(root: Storage, valkey: str) -> None:
    """Another interval's file lies in the same folder, and in the same stretch of time."""
    store = on_spark(valkey)
    old, new, again = scores(20, seed=1), scores(20, seed=2), scores(20, seed=3)
    materialize(features(root, new, day=15), store, root=root)
    assert materialize(features(root, old, day=14), store, root=root).rows_skipped == 20
    assert online(store, root, new) == expected(new)
    materialize(features(root, again, day=15), store, root=root)  # the same day once more, with other values
    assert online(store, root, again) == expected(again)


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_the_past_by_spark_is_the_past_by_duckdb(root: Storage, valkey: str, spark: Any, zone: str) -> None:
    """Days, a view's first file without a feature that came later, a TTL of mixed units, and any session's zone."""
    first, second = scores(50, seed=1), scores(50, seed=2)
    wider: pa.Table = second.append_column("added", first["skill_score_backend"])
    stores = [on_spark(valkey, engine="arrow"), on_spark(valkey, engine="arrow", offline_store={})]
    places = [root, root.below("duckdb")]
    for store, place in zip(stores, places, strict=True):
        materialize(features(place, first, day=14, feast={"ttl_seconds": 36 * 3600}), store, root=place)
        materialize(features(place, wider, day=15, feast={"ttl_seconds": 36 * 3600}), store, root=place)
    users = ["u00001", "u00002", "u00049", "nobody"]
    days = [as_of(13), as_of(14), as_of(15), as_of(16), as_of(17)]
    before = spark.conf.get("spark.sql.session.timeZone")
    spark.conf.set("spark.sql.session.timeZone", zone)
    try:
        found = [
            history(store, place, users, days, "skill_score_backend", "added", "top_skill")
            for store, place in zip(stores, places, strict=True)
        ]
        assert spark.conf.get("spark.sql.session.timeZone") == zone
    finally:
        spark.conf.set("spark.sql.session.timeZone", before)
    assert found[0] == found[1]
    of_one = {row[1].to_pydatetime(): row[2:4] for row in found[0] if row[0] == "u00001"}
    one, two = (table["skill_score_backend"][1].as_py() for table in (first, second))
    assert of_one == {
        as_of(13): [None, None],
        as_of(14): [one, None],
        as_of(15): [two, one],
        as_of(16): [two, one],
        as_of(17): [None, None],  # 48 hours after
    }


def test_a_store_that_is_down_can_be_tried_again(root: Storage, valkey: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard asks first, from here; what the workers come upon later is known by its name in Spark's report."""
    store = on_spark(valkey)
    [port] = servers.free_ports()
    from airflow_provider_mlpipe.feature_store import materialization

    put_online = materialization.put_online

    def gone(opened: Any, *arguments: Any, **more: Any) -> None:
        opened.config.online_store.connection_string = f"127.0.0.1:{port}"
        put_online(opened, *arguments, **more)

    monkeypatch.setattr(materialization, "put_online", gone)
    with pytest.raises(StoreUnavailableError, match=r"redis\.exceptions\.ConnectionError: .*Connection refused"):
        materialize(features(root, scores(3)), store, root=root)
