"""Chunks of entities are the whole when merged; an unchanged result is taken from before, and nothing else is."""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from airflow_provider_mlpipe.artifacts import Artifact
from airflow_provider_mlpipe.errors import ConfigError, FeatureError
from airflow_provider_mlpipe.feature_extraction import Chunk, Moments, extract, merge_chunks
from airflow_provider_mlpipe.run import Run
from tests.feature_extraction.material import AS_OF, activity, bug, configured, day, done, published, users

HOUR = timedelta(hours=1)
KEYS = [f"u{n}" for n in range(40)]
BODY = {
    "features": ["bug_rate", "current_workload_hours", "near_7d", "seen_7d"],
    "aggregations": {
        # Looks at other entities' events, too.
        "near": {"agg": "companions", "column": "skill"},
        "seen": {"agg": "distinct", "column": "skill"},
    },
}


def inputs_of(root, *more, run_id="input"):
    table = activity(
        *(done(f"u{n % 31}", n * HOUR, hours=n / 7, skill=f"s{n % 9}") for n in range(1, 150)),
        *(bug(f"u{n}", HOUR) for n in range(5)), done(None, HOUR), done("stranger", HOUR), *more,
    )  # fmt: skip
    return {"users": published(root, "users", users(*KEYS, None), run_id),
            "activity": published(root, "activity", table, run_id)}  # fmt: skip


def rows(artifact):
    return artifact.table().drop_columns(["created_timestamp"]).to_pylist()


@pytest.mark.parametrize("as_of", [AS_OF, Moments.between(AS_OF - timedelta(days=2), AS_OF + HOUR, "1d")])
def test_merged_chunks_are_the_whole(root, as_of):
    inputs, features = inputs_of(root), configured(normalize=True, **BODY)
    whole = extract(features, inputs, root=root.below("whole"), run=day(), as_of=as_of)
    parts = [
        extract(features, inputs, root=root, run=day(), as_of=as_of, chunk=Chunk(index=index, of=3))
        for index in (2, 0, 1)
    ]
    sizes = [part.artifact.manifest.rows for part in parts]
    assert sum(sizes) == whole.artifact.manifest.rows
    assert min(sizes) > 0
    assert all(part.normalized is None for part in parts)
    merged = merge_chunks(features, [part.artifact for part in parts], root=root, run=day())
    assert rows(merged.artifact) == rows(whole.artifact)
    assert merged.artifact.fingerprint == whole.artifact.fingerprint
    assert merged.normalized.fingerprint == whole.normalized.fingerprint
    assert merged.artifact.manifest.inputs == whole.artifact.manifest.inputs  # so that the gate follows them
    details, expected = merged.artifact.manifest.details, whole.artifact.manifest.details
    assert {name: details[name] for name in expected} == expected
    timed = ("duration_seconds", "cpu_seconds", "peak_rss_bytes")
    assert {n: v for n, v in merged.metrics.items() if n not in timed} == {
        n: v for n, v in whole.metrics.items() if n not in timed
    }
    assert json.loads(merged.artifact.read_beside("_proof.json")) == json.loads(
        whole.artifact.read_beside("_proof.json")
    )


def test_chunks_that_make_no_whole_are_refused(root):
    inputs, features = inputs_of(root), configured(features=["bug_rate"])
    run = {"root": root, "run": day(), "as_of": AS_OF}
    first, second = (extract(features, inputs, chunk=Chunk(index=n, of=2), **run).artifact for n in range(2))
    whole = extract(features, inputs, **run).artifact
    for chunks, problem in (
        ([first], r"given are chunks \[0\] of 2"),
        ([first, first], r"given are chunks \[0, 0\] of 2"),
        ([first, whole], "different sets, moments, definitions or inputs"),
        ([whole], r"given are chunks \[-1\] of 0"),
        ([], "there is none"),
    ):
        with pytest.raises(FeatureError, match=problem):
            merge_chunks(features, chunks, root=root, run=day())
    with pytest.raises(FeatureError, match="computed by another definition"):
        merge_chunks(configured(features=["active_days"]), [first, second], root=root, run=day())
    for wrong in ({"index": 2, "of": 2}, {"index": -1, "of": 2}, {"index": 0, "of": 257}, {"index": "x", "of": 2}, {}):
        with pytest.raises(ConfigError):
            Chunk.given(wrong)


def test_an_unchanged_result_is_not_computed_again(root, caplog):
    inputs, features = inputs_of(root), configured(features=["bug_rate"])
    run = {"root": root, "run": day(), "as_of": AS_OF}
    first = extract(features, inputs, **run)
    with caplog.at_level(logging.INFO, logger="airflow_provider_mlpipe"):
        again = extract(features, inputs, **run)
    assert (first.metrics["cache_hits"], again.metrics["cache_hits"]) == (0, 1)
    assert again.artifact.manifest == first.artifact.manifest
    assert "unchanged, nothing was computed" in caplog.text
    # Another run of the same moment has an artifact of its own, with the numbers and the proof of the first.
    copied = extract(features, inputs, root=root, run=Run(run_id="again"), as_of=AS_OF)
    assert (copied.metrics["cache_hits"], copied.artifact.fingerprint) == (1, first.artifact.fingerprint)
    assert copied.artifact.uri.endswith("run-again")
    assert copied.artifact.manifest.run["run_id"] == "again"
    assert rows(copied.artifact) == rows(first.artifact)
    assert copied.artifact.read_beside("_proof.json") == first.artifact.read_beside("_proof.json")


def test_whatever_decides_a_result_decides_whether_it_is_reused(root):
    features = configured(features=["bug_rate"])
    run = {"root": root, "run": day(), "as_of": AS_OF}
    inputs = inputs_of(root)
    others = inputs_of(root, done("u1", HOUR), run_id="more")
    extract(features, inputs, **run)
    hits = [
        extract(given, some, **{**run, **other}).metrics["cache_hits"]
        for given, some, other in (
            (features, inputs, {}),
            (features, inputs, {"as_of": AS_OF + HOUR}),
            (features, inputs, {"chunk": Chunk(index=0, of=2)}),
            (features, inputs, {"cache": False}),
            (configured(features=["bug_rate"], cache=False), inputs, {}),
            (configured(features=["bug_rate"], aggregation_window="8d"), inputs, {}),
            (configured(features=["bug_rate"], feast={"view": "other"}), inputs, {}),
            (features, others, {}),
        )
    ]
    assert hits == [1, 0, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("damage", ["part", "pointer"])
def test_a_cache_that_points_nowhere_is_passed_over(root, damage):
    inputs, features = inputs_of(root), configured(features=["bug_rate"])
    first = extract(features, inputs, root=root, run=day(), as_of=AS_OF)
    if damage == "part":
        first.artifact.place.delete(first.artifact.manifest.parts[0].name)
    else:
        cache = root.below("user_features/cache")
        for name in cache.names():
            cache.replace(name, b"{")
    again = extract(features, inputs, root=root, run=Run(run_id="again"), as_of=AS_OF)
    assert (again.metrics["cache_hits"], again.artifact.fingerprint) == (0, first.artifact.fingerprint)


def test_runs_at_once_share_a_cache_safely(root):
    inputs, features = inputs_of(root), configured(features=["bug_rate"])

    def run(number):
        own = Run(run_id=f"r{number % 2}")
        return extract(features, inputs, root=root, run=own, as_of=AS_OF).artifact.uri

    extract(features, inputs, root=root, run=Run(run_id="r0"), as_of=AS_OF)
    with ThreadPoolExecutor(4) as pool:
        uris = [*pool.map(run, range(8, 16, 2)), run(1), run(3)]
    assert len({Artifact.open(uri).fingerprint for uri in uris}) == 1
