"""Features that came as a table: published like extracted ones, and refused where they would not be features."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pytest

from airflow_provider_mlpipe.errors import ConfigError, FeatureError
from airflow_provider_mlpipe.feature_extraction import is_table, publish_table
from tests.feature_extraction.material import AS_OF, configured, day, published, users

TABLE = pa.table({"user_id": ["ann", "ben"], "score": [0.5, None], "label": ["high", "low"]})


def given(root, table, **body):
    inputs = {"users": published(root, "users", users("ann", "ben"))}
    features = configured("user_scores", **({"entity": "user_id"} | body))
    return publish_table(features, table, inputs, root=root, run=day(), as_of=AS_OF, by="scores() at dag.py:3")


def test_a_table_is_stamped_described_and_counted(root) -> None:
    extraction = given(root, TABLE, feast={"ttl": "2d"})
    artifact = extraction.artifact

    assert artifact.uri == f"{root.uri}/user_scores/features/20260113T020000Z-20260114T020000Z"
    assert artifact.schema.names == ["user_id", "event_timestamp", "created_timestamp", "score", "label"]
    assert set(artifact.table()["event_timestamp"].to_pylist()) == {AS_OF}
    details = artifact.manifest.details
    assert (details["feature_set"], details["entity"], details["as_of"]) == (
        "user_scores",
        "user_id",
        AS_OF.isoformat(),
    )
    assert details["feast"]["ttl_seconds"] == 2 * 24 * 3600
    assert (details["computed_by"], details["missing"]) == ("scores() at dag.py:3", {"score": 1, "label": 0})
    assert [item.name for item in artifact.manifest.inputs] == ["users"]
    metrics = {name: extraction.metrics[name] for name in ("entities", "features", "missing_values", "missing_rate")}
    assert metrics == {"entities": 2, "features": 2, "missing_values": 1, "missing_rate": 0.25}
    assert extraction.normalized is None


@pytest.mark.parametrize(
    "form",
    [
        lambda: TABLE.combine_chunks().to_batches()[0],
        TABLE.to_reader,
        lambda: TABLE.to_pandas().set_index("user_id"),
        lambda: TABLE.to_pandas().set_axis([7, 8]),
    ],
)
def test_every_form_of_a_table_has_the_same_fingerprint(root, form) -> None:
    assert is_table(form())
    assert given(root, form()).artifact.fingerprint == given(root, TABLE).artifact.fingerprint


def test_a_list_or_a_mapping_is_no_table() -> None:
    assert not any(is_table(thing) for thing in ([{"user_id": "ann"}], {"user_id": ["ann"]}, None, "t"))


def test_nobody_is_an_artifact_without_rows(root) -> None:
    extraction = given(root, TABLE.slice(0, 0))

    assert (extraction.artifact.manifest.rows, extraction.metrics["missing_rate"]) == (0, 0.0)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (
            pa.table({"user": ["ann"], "score": [1]}),
            "has no column 'user_id', the key; it has user, score. Did you mean",
        ),
        (pa.table({"user_id": ["ann", None], "score": [1, 2]}), "1 of 2 rows have no user_id"),
        (
            pa.table({"user_id": ["ann", "ben", "ann"], "score": [1, 2, 3]}),
            "1 of 2 keys come more than once, such as 'ann'",
        ),
        (pa.table({"user_id": ["ann"]}), "no column beside the key"),
        (pa.table({"user_id": ["ann"], "score": [1], "event_timestamp": [1]}), "event_timestamp is set by the run"),
        (
            pd.DataFrame({"user_id": ["ann"], "score": [1], "created_timestamp": [1]}),
            "created_timestamp is set by the run",
        ),
    ],
)
def test_what_are_no_features_is_refused_and_nothing_published(root, table, said) -> None:
    with pytest.raises(FeatureError, match=said):
        given(root, table)
    assert root.below("user_scores/features/20260113T020000Z-20260114T020000Z").read("_manifest.json") is None


@pytest.mark.parametrize("body", [{"features": ["score"]}, {"aggregation_window": "7d"}, {"normalize": True}])
def test_a_set_that_says_how_to_compute_is_refused(root, body) -> None:
    with pytest.raises(ConfigError, match=f"{next(iter(body))}: says how to compute features"):
        given(root, TABLE, **body)
