"""DynamoDB as the online store: Feast's own class and client, a real HTTP server that speaks its language."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from airflow_provider_mlpipe.config import FeatureStore
from airflow_provider_mlpipe.errors import (
    ConfigError,
    MlpipeError,
    StoreRejectedError,
    StoreUnavailableError,
    Terminal,
    Transient,
)
from airflow_provider_mlpipe.feature_store import export, freshness, materialize, probe, push, read_online, rollback
from tests import servers
from tests.feature_store import dynamodb
from tests.feature_store.feature_artifacts import VIEW, as_of, every_type, expected, features, online, scores

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow_provider_mlpipe.artifacts import Storage

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The URL of a running server; shared, so tests use projects of their own."""
    with dynamodb.dynalite() as url:
        yield url


@pytest.fixture(scope="module")
def there() -> Iterator[dynamodb.Elsewhere]:
    """The process that has a client for it."""
    with dynamodb.elsewhere() as process:
        yield process


@pytest.fixture
def store(server: str) -> FeatureStore:
    """A project of its own on the shared server."""
    address = {"type": "dynamodb", "region": "eu-west-1", "endpoint_url": server}
    return FeatureStore(project=f"p{uuid.uuid4().hex}", online_store=address, read_back=500)


def test_every_type_comes_back_as_it_went_in(root: Storage, store: FeatureStore, there: dynamodb.Elsewhere) -> None:
    table = every_type()
    assert there(probe, store, root=root) == []
    done = there(materialize, features(root, table), store, root=root)
    assert (done.rows, done.rows_read_back, done.mismatches) == (40, 40, 0)
    assert there(online, store, root, table) == expected(table)
    assert there(probe, store, root=root) == [VIEW]


def test_older_rows_stay_out_and_corrected_ones_come_in(
    root: Storage, store: FeatureStore, there: dynamodb.Elsewhere
) -> None:
    """More entities than one request takes, which is 100."""
    old, new, corrected = scores(250, seed=1), scores(210, seed=2), scores(210, seed=3)
    there(materialize, features(root, new, day=15), store, root=root)
    backfilled = there(materialize, features(root, old, day=14), store, root=root)
    assert (backfilled.rows, backfilled.rows_skipped) == (40, 210)
    assert there(online, store, root, new) == expected(new)
    assert there(online, store, root, old.slice(210)) == expected(old.slice(210))  # whom the newer day did not have
    assert there(materialize, features(root, corrected, day=15), store, root=root).rows == 210
    assert there(online, store, root, corrected) == expected(corrected)


def test_a_push_goes_in_unless_it_is_older(root: Storage, store: FeatureStore, there: dynamodb.Elsewhere) -> None:
    before, pushed = scores(5, seed=1), scores(5, seed=2)
    there(materialize, features(root, before, day=15), store, root=root)
    for day, written in ((14, 0), (16, 5)):
        done = there(push, VIEW, features(root, pushed, day=day), store, root=root, to="online")
        assert (done.rows, done.rows_skipped, done.rows_read_back) == (written, 5 - written, written)
    assert there(online, store, root, pushed) == expected(pushed)


def test_how_fresh_it_is_is_known_from_every_place(
    root: Storage, store: FeatureStore, there: dynamodb.Elsewhere
) -> None:
    for day in (13, 14):
        there(materialize, features(root, scores(5), day=day), store, root=root)
    found = {
        (place, day): there(freshness, VIEW, store, root=root, as_of=as_of(day), place=place).newest
        for place in ("registry", "offline", "online")
        for day in (13, 16)
    }
    past = {("registry", 13): as_of(13), ("offline", 13): as_of(13)}
    assert found == {**dict.fromkeys(found, as_of(14)), **past}


def test_numbers_as_keys(root: Storage, store: FeatureStore, there: dynamodb.Elsewhere) -> None:
    table = pa.table({"team_id": pa.array(range(-3, 40), pa.int64()), "open_tasks": [float(i) for i in range(43)]})
    there(materialize, features(root, table, entity="team_id", feature_set="teams"), store, root=root)
    assert there(online, store, root, table, entity="team_id", view="teams") == expected(table, "team_id")


def test_a_feature_that_is_new_is_null_for_rows_from_before(
    root: Storage, store: FeatureStore, there: dynamodb.Elsewhere
) -> None:
    """And the guard, which asks for the first feature's time, finds those rows nevertheless."""
    before = scores(5, seed=1)
    there(materialize, features(root, before, day=15), store, root=root)
    added = scores(7, seed=2).add_column(1, "added", pa.array([1.5] * 7))
    done = there(materialize, features(root, added, day=14), store, root=root)
    assert (done.rows, done.rows_skipped) == (2, 5)
    keys = [{"user_id": key} for key in before["user_id"].to_pylist()]
    rows = there(read_online, store, root=root, view=VIEW, entity_rows=keys, features=["added"])
    assert rows == [{**key, "added": None} for key in keys]
    assert there(online, store, root, before.select(["user_id"]))["u00001"] == expected(before)["u00001"] | {
        "added": None
    }


def test_rows_beyond_the_size_of_an_answer_are_read_nevertheless(
    root: Storage, store: FeatureStore, there: dynamodb.Elsewhere
) -> None:
    """DynamoDB answers with 16 MB at most, dynalite with 1.4, and says what it left out; Feast takes that for absent."""
    users, text = [f"u{i:05d}" for i in range(20)], "x" * 200_000
    new = pa.table({"user_id": users, "essay": [text] * 20})
    old = pa.table({"user_id": users, "essay": ["old"] * 20})
    keys = [{"user_id": user} for user in users]
    assert there(materialize, features(root, new, day=15), store, root=root).rows_read_back == 20
    assert there(dynamodb.read_by_stock, store, root, VIEW, keys[:5], "essay") == [text] * 5
    assert None in there(dynamodb.read_by_stock, store, root, VIEW, keys, "essay")
    assert there(materialize, features(root, old, day=14), store, root=root).rows_skipped == 20
    assert there(online, store, root, new) == expected(new)


def test_what_was_left_out_is_asked_for_again_until_patience_ends(there: dynamodb.Elsewhere) -> None:
    """A server under load, which dynalite cannot be: it may even answer with nothing at all."""
    some = {"Responses": {"t": ["one"]}, "UnprocessedKeys": {"t": {"Keys": [2, 3]}}}
    nothing = {"Responses": {}, "UnprocessedKeys": {"t": {"Keys": [2, 3]}}}
    rest = {"Responses": {"t": ["two"]}, "UnprocessedKeys": {}}
    rows, asked = there(dynamodb.insisted, [some, nothing, rest])
    assert rows == ["one", "two"]
    assert asked == [{"Keys": keys, "Projection": "p"} for keys in ([1, 2, 3], [2, 3], [2, 3])]
    with pytest.raises(AssertionError, match="TimeoutError: DynamoDB answered 2 times in a row without a row"):
        there(dynamodb.insisted, [some, nothing, nothing])


def test_an_exported_repository_is_applied_by_feast_and_used_as_it_is(
    root: Storage, store: FeatureStore, there: dynamodb.Elsewhere, tmp_path: Path
) -> None:
    before, after = scores(5, seed=1), scores(5, seed=2)
    there(export, [features(root, before, day=15)], tmp_path / "repo", store, root=root)
    there(dynamodb.apply, str(tmp_path / "repo"))
    theirs = FeatureStore(repo=str(tmp_path / "repo"))
    for table, day, written in ((before, 15, 5), (after, 14, 0), (after, 16, 5)):
        assert there(materialize, features(root, table, day=day), theirs, root=root).rows == written
    assert there(online, theirs, root, after) == expected(after)


def test_a_rollback_is_refused(root: Storage, store: FeatureStore, there: dynamodb.Elsewhere) -> None:
    artifact = features(root, scores(2))
    there(materialize, artifact, store, root=root)
    with pytest.raises(ConfigError, match="a rollback cannot list what 'dynamodb' holds; it knows sqlite and redis"):
        there(rollback, VIEW, artifact, store=store, root=root)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (
            {"endpoint_url": f"http://ann:{servers.PASSWORD}@127.0.0.1:{{port}}"},
            StoreUnavailableError,
            "Could not connect to the endpoint URL",
        ),
        ({"endpoint_url": "db:8000"}, StoreRejectedError, "Invalid endpoint"),
        ({"region": None}, ConfigError, "region"),
        ({"regoin": "eu-west-1"}, ConfigError, "regoin"),
        ({"table_name_template": "{{project}} {{table_name}}"}, StoreRejectedError, "tableName"),
    ],
    ids=["server down", "no URL", "no region", "unknown setting", "impossible table name"],
)
def test_what_is_wrong_is_said(
    root: Storage,
    store: FeatureStore,
    there: dynamodb.Elsewhere,
    change: dict[str, Any],
    error: type[MlpipeError],
    said: str,
) -> None:
    [port] = servers.free_ports()
    change = {key: value and value.format(port=port) for key, value in change.items()}
    broken = store.model_copy(update={"online_store": {**store.online_store, **change}})
    with pytest.raises(error, match=said) as caught:
        there(materialize, features(root, scores(2)), broken, root=root)
    assert isinstance(caught.value, Transient if error is StoreUnavailableError else Terminal)


def test_no_keys_at_all_is_said(root: Storage, store: FeatureStore, there: dynamodb.Elsewhere) -> None:
    artifact = features(root, scores(2))
    with pytest.raises(StoreRejectedError, match="NoCredentialsError: Unable to locate credentials"):
        there(dynamodb.without_keys, materialize, artifact, store, root=root)
