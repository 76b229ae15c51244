"""A real Spark and DuckDB judge alike: every kind of rule, every native expectation, on every awkward column.

The documents are those of which test_spark_forms holds that they have every kind of rule, every expectation that the
scan answers and every construct of its statements. They are judged once by each engine. Numbers agree to 1e-12, all
else exactly: status, counts, sentences, samples, the profile of every column.
"""

from __future__ import annotations

import datetime as dt
import math
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from airflow_provider_mlpipe.artifacts import ArtifactWriter, Description, Storage
from airflow_provider_mlpipe.config import dataset_rules
from airflow_provider_mlpipe.engines import SparkSettings
from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.run import Run
from airflow_provider_mlpipe.validation import sift, validate
from airflow_provider_mlpipe.validation.library import load_great_expectations
from tests.realdata import TRACKER, needs_tracker
from tests.validation.every_rule import AS_OF, DOCUMENTS
from tests.validation.test_tracker import CONFIG

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_provider_mlpipe.artifacts import Artifact
    from airflow_provider_mlpipe.validation import Verdict

load_great_expectations()

SPARK = SparkSettings(master="local[2]")
NOT_ON_SPARK = {"c clock time", "c duration"}
"""Columns of types that Spark does not have."""


def judged(artifact: Artifact, rules: Mapping[str, Any], related: Mapping[str, Artifact], runner: str) -> Verdict:
    return validate(
        artifact, dataset_rules({"data": dict(rules)}, "data"), as_of=AS_OF, related=related, spark=SPARK, runner=runner
    )


def differences(one: Any, other: Any, where: str = "") -> Iterator[str]:
    """Yield where two JSON-like values differ; numbers to 1e-12."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        for key in one:
            yield from differences(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, list | tuple) and isinstance(other, list | tuple) and len(one) == len(other):
        for place, pair in enumerate(zip(one, other, strict=True)):
            yield from differences(*pair, f"{where}.{place}")
    elif not (one == other or near(one, other)):
        yield f"{where}: {one!r} on DuckDB, {other!r} on Spark"


def near(one: Any, other: Any) -> bool:
    numbers = [each for each in (one, other) if isinstance(each, int | float) and not isinstance(each, bool)]
    return len(numbers) == 2 and (math.isclose(*numbers, rel_tol=1e-12) or all(map(math.isnan, numbers)))


def compared(duckdb: Verdict, spark: Verdict) -> list[str]:
    """Return where two verdicts differ; the sentence of what could not run is each engine's own."""
    found = []
    by_rule = {each.rule_id: each for each in spark.results}
    assert by_rule.keys() == {each.rule_id for each in duckdb.results}
    for one in duckdb.results:
        other = by_rule[one.rule_id]
        if one.status == other.status == "error":
            continue
        # A sentence holds six digits of a number that may differ in its last one.
        found += differences(
            {**one.as_dict(), "found": rounded(one)}, {**other.as_dict(), "found": rounded(other)}, one.rule_id
        )
    return found


def rounded(result: Any) -> str:
    return "" if isinstance(result.observed, dict | float) else str(result.found)


@pytest.fixture(scope="module")
def verdicts(spark, tmp_path_factory) -> dict[str, tuple[Verdict, Verdict, list[str]]]:
    """Judge all documents on both; return the verdicts and where the profiles of their columns differ."""
    found = {}
    for name, document in DOCUMENTS.items():
        artifact, related = document.published(Storage(str(tmp_path_factory.mktemp("artifacts"))))
        with pytest.MonkeyPatch.context() as patch:
            document.treated(patch)
            one = judged(artifact, document.rules, related, "scan")
            by_duckdb = artifact.verdict()
            other = judged(artifact, document.rules, related, "spark")
        by_spark = artifact.verdict()
        assert (by_duckdb["engine"], by_spark["engine"]) == ("duckdb", "spark")
        told = [column for column in by_duckdb["columns"] if column["name"] not in NOT_ON_SPARK]
        told_too = [column for column in by_spark["columns"] if column["name"] not in NOT_ON_SPARK]
        found[name] = one, other, list(differences(told, told_too, "columns"))
    return found


def needs_absent(rule_id: str) -> bool:
    return any(name in rule_id for name in NOT_ON_SPARK)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_spark_judges_as_duckdb_does(name, verdicts):
    duckdb, spark, profiles = verdicts[name]
    assert [each for each in compared(duckdb, spark) if not needs_absent(each)] == []
    assert profiles == []


def test_a_rule_on_a_column_that_spark_cannot_hold_is_an_error_in_a_sentence(verdicts):
    _, spark, _ = verdicts["edges"]
    stated = {each.rule_id: each for each in spark.results if set(each.columns) & NOT_ON_SPARK}
    wanted = ("the engine cannot compute it: Spark has no type for `c clock time`, which is time64[us]",)
    assert wanted[0] in stated["data.unique.c clock time"].found
    assert stated["data.column.c duration"].status == "passed"
    # What the schema and the footers tell is told.
    assert {each.status for each in stated.values() if each.kind == "unique"} == {"error"}
    (column,) = [each for each in spark.artifact.verdict()["columns"] if each["name"] == "c duration"]
    assert (column["type"], column["nulls"], column["distinct"]) == ("duration", 5, None)


def test_what_runs_on_pandas_only_is_refused(spark, tmp_path):
    table = pa.table({"s": ["2026", "x"]})
    (artifact, related), rules = publish(tmp_path, table), {
        "expectations": [{"type": "expect_column_values_to_match_strftime_format", "column": "s", "strftime_format": "%Y"}]
    }  # fmt: skip
    (found,) = [each for each in judged(artifact, rules, related, "spark").results if each.kind == "expectation"]
    assert found.status == "error"
    assert "Great Expectations runs it on pandas, for which engine: spark does not fetch the rows" in found.found


def publish(root: Any, table: pa.Table) -> tuple[Artifact, dict[str, Artifact]]:
    with ArtifactWriter(
        Storage(str(root)), Description(dataset="data", stage="raw", run=Run(run_id="t")), table.schema
    ) as w:
        w.write_all(table.to_batches())
        return w.publish(), {}


def test_the_yaml_says_so_and_bad_rows_go_to_quarantine(spark, tmp_path):
    artifact, _ = publish(tmp_path, pa.table({"id": [1, 2, 3, 3], "v": [1.0, -1.0, 2.0, 2.0]}))
    rules = {
        "engine": "spark", "on_failure": "quarantine", "max_quarantine_share": 0.9, "range_constraints": {"v": [0, 9]},
        "unique_columns": ["id"],
    }  # fmt: skip
    sifting = sift(artifact, dataset_rules({"data": rules}, "data"), as_of=AS_OF, spark=SPARK)
    assert not sifting.first.passed
    assert sifting.passed
    assert sifting.artifact.table().to_pydict() == {"id": [1], "v": [1.0]}
    assert sifting.artifact.verdict()["engine"] == "spark"


def test_the_command_line_takes_an_engine_and_a_master(spark, tmp_path, capsys):
    from airflow_provider_mlpipe.cli.application import command_line

    artifact, _ = publish(tmp_path, pa.table({"id": [1, 2, None]}))
    config = tmp_path / "validation_config.yaml"
    config.write_text("data:\n  required_columns: [id]\n")
    words = [artifact.uri, "--config", str(config), "--as-of", AS_OF.isoformat(), "--engine", "spark"]
    assert command_line(["validate", *words, "--master", "local[2]"]) == 1
    assert "1 of 3 rows" in capsys.readouterr().err
    assert artifact.verdict()["engine"] == "spark"


def test_an_unknown_runner_is_refused(tmp_path):
    artifact, related = publish(tmp_path, pa.table({"id": [1]}))
    with pytest.raises(ConfigError, match="sparc"):
        judged(artifact, {"required_columns": ["id"]}, related, "sparc")


@needs_tracker
def test_real_tables_are_judged_alike(spark, tmp_path):
    import pyarrow.parquet as pq

    config = tmp_path / "validation_config.yaml"
    config.write_text(CONFIG)
    moment, artifacts = dt.datetime(2026, 9, 1, tzinfo=dt.UTC), {}
    for name in ("tasks", "activity"):
        table = pq.read_table(TRACKER / f"{name}.parquet")
        with ArtifactWriter(
            Storage(str(tmp_path)), Description(dataset=name, stage="raw", run=Run(run_id="t")), table.schema
        ) as w:
            w.write_all(table.to_batches())
            artifacts[name] = w.publish()
        given = {"rules": dataset_rules(config, name), "as_of": moment, "related": artifacts, "spark": SPARK}
        duckdb, by_spark = (validate(artifacts[name], **given, runner=runner) for runner in ("scan", "spark"))
        assert compared(duckdb, by_spark) == []
        assert duckdb.counts["failed"] > 0
