"""Twenty rules on a parquet table of ten columns: `validate` beside Great Expectations, pandera and a bare scan.

Eighteen rules are light, two are about keys; all are stated once, in the YAML below. A thousandth of the rows break a
range and as many a list, so that there is something to count and to sample. Great Expectations runs, on pandas, the
suite that `mlpipe suite export` writes, with its own expectation of a type in place of ours. pandera, on polars, has no
aggregates and checks the rest. A bare scan decodes all columns and does nothing with them. Imports are not counted, nor
is building the suite of Great Expectations; ours reads its rules, and writes suite, verdict and report, on the clock.

`--full` adds ten million rows, where Great Expectations needs minutes and gigabytes: take `--runs 1`.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from _harness import Row, counted, main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import pyarrow as pa

FULL = "--full" in sys.argv
ROWS = {"1M": 1_000_000, "10M": 10_000_000}
QUICK_ROWS = 20_000
CHUNK = 1_000_000
AS_OF = "2026-01-14T02:00:00Z"
STATUSES = ["active", "inactive", "pending"]
COUNTRIES = [f"C{number:03d}" for number in range(200)]

# The kinds of rules that a table of events has, as `mlpipe profile` proposes them: 3 types, 3 about nulls, 3 ranges (of
# integers, floats and times), 2 lists (of 3 and of 200 values), a pattern, a length, a pair of columns, 3 aggregates
# (one that streams, two that need all values) and the number of rows; then a single and a composite key. Ours
# and Great Expectations get their rules from here, pandera the same in its own words. That each column is there, which
# ours checks by itself, is on top of the twenty.
LIGHT = f"""
data:
  schema: {{id: int, user_id: string, created_at: timestamp}}
  required_columns: [id, user_id, created_at]
  range_constraints:
    age: {{min: 0, max: 120, severity: WARNING}}
    amount: [-10000, 10000]
    created_at: ['2020-01-01', '2030-01-01']
  categorical_constraints:
    status: {{values: {STATUSES}, severity: WARNING}}
    country: {COUNTRIES}
  patterns: {{email: '^[a-z0-9]+@example[.]org$'}}
  lengths: {{note: [1, 40]}}
  pairs: [created_at <= completed_at]
  statistics:
    amount: {{mean: [-1000, 1000], median: [-1000, 1000], quantiles: {{0.95: [0, 10000]}}}}
  row_count: {{min: 1}}
  allow_empty: true  # the line above says it
"""
ALL = f"{LIGHT}  unique_columns: [id, [user_id, created_at]]\n"
# Ours are logical types, for which Great Expectations has no word: the type as pandas has it.
PANDAS_TYPES = {"int": "int64", "string": "str", "timestamp": "Timestamp"}
FAILING = 2


def _rows(size: str, gx: float) -> list[Row]:
    return [
        Row(
            work=f"20 rules, {size} rows",
            ours=f"ours_{size}",
            peers={"GX on pandas": (f"gx_{size}", gx), "pandera on polars": (f"pandera_{size}", 1.0)},
            peak_mb=1000,
        ),
        Row(work=f"18 light rules, {size} rows", ours=f"light_{size}", peers={"bare scan": (f"bare_{size}", 2.0)}),
    ]


BENCHMARKS = _rows("1M", 1 / 10) + (_rows("10M", 1 / 20) if FULL else [])

DATA = """
SELECT n AS id, 'u' || hash(n // 10) % 100000 AS user_id,
  CASE WHEN n % 1000 = 7 THEN 200 ELSE CAST(18 + n * 7919 % 80 AS INTEGER) END AS age,
  CASE WHEN n % 1000 = 8 THEN 'gone'
    ELSE ['active', 'inactive', 'pending'][1 + CAST(hash(n) % 3 AS INTEGER)] END AS status,
  'C' || lpad(CAST(hash(n + 1) % 200 AS VARCHAR), 3, '0') AS country,
  CASE WHEN n % 100 = 0 THEN NULL ELSE round(sin(n) * 1000, 4) END AS amount,
  'user' || hash(n // 10) % 100000 || '@example.org' AS email,
  TIMESTAMPTZ '2024-01-01 00:00Z' + to_seconds(n % 60000000) AS created_at,
  CASE WHEN n % 4 = 0 THEN NULL ELSE created_at + to_seconds(CAST(hash(n) % 500000 AS BIGINT)) END AS completed_at,
  CASE WHEN n % 5 = 0 THEN NULL ELSE 'note ' || hash(n) END AS note
FROM range({start}, {stop}) AS numbers(n)
"""


@contextmanager
def setup(quick: bool) -> Iterator[Mapping[str, Any]]:  # noqa: FBT001 - the harness calls it
    """Publish the tables as artifacts."""
    with tempfile.TemporaryDirectory(prefix="mlpipe-bench-") as folder:
        sizes = {size: QUICK_ROWS if quick else rows for size, rows in ROWS.items() if size == "1M" or FULL}
        for name, rules in (("light", LIGHT), ("all", ALL)):
            Path(folder, f"{name}.yaml").write_text(rules)
        yield {"rules": folder, **{size: _publish(f"{folder}/{size}", rows) for size, rows in sizes.items()}}


def _publish(folder: str, rows: int) -> str:
    """Write an artifact of so many rows; return its URI."""
    import duckdb

    from airflow_provider_mlpipe.artifacts import ArtifactWriter, Storage
    from airflow_provider_mlpipe.artifacts.writer import Description
    from airflow_provider_mlpipe.run import Run

    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")

    def chunk(start: int) -> pa.Table:
        stop = min(start + CHUNK, rows)
        return connection.sql(DATA.format(start=start, stop=stop)).to_arrow_table()

    described = Description(dataset="data", stage="raw", run=Run(run_id="bench"))
    first = chunk(0)
    with ArtifactWriter(Storage(folder), described, first.schema) as writer:
        writer.write_all(first.to_batches())
        for start in range(CHUNK, rows, CHUNK):
            writer.write_all(chunk(start).to_batches())
        return str(writer.publish().uri)


def _ours(size: str, rules: str) -> Callable[[dict[str, Any], Path], bool]:
    def run(given: dict[str, Any], folder: Path) -> bool:
        from airflow_provider_mlpipe.artifacts import Artifact
        from airflow_provider_mlpipe.config import dataset_rules
        from airflow_provider_mlpipe.engines import DuckDBSettings
        from airflow_provider_mlpipe.run import instant
        from airflow_provider_mlpipe.validation import validate
        from airflow_provider_mlpipe.validation.library import load_great_expectations

        load_great_expectations()
        import duckdb  # noqa: F401
        import pyarrow.parquet  # noqa: F401
        import sqlglot.dialects.duckdb  # noqa: F401

        import airflow_provider_mlpipe.validation.judgement  # noqa: F401

        artifact, stated = Artifact.open(given[size]), dataset_rules(f"{given['rules']}/{rules}.yaml", "data")
        with counted(folder):
            verdict = validate(artifact, stated, as_of=instant(AS_OF), engine=DuckDBSettings(memory_limit="500MB"))
        assert sum(result.failed for result in verdict.results) == FAILING, verdict.summary()
        return True

    return run


def _gx(size: str) -> Callable[[dict[str, Any], Path], bool]:
    def run(given: dict[str, Any], folder: Path) -> bool:
        import great_expectations as gx
        import pandas as pd

        from airflow_provider_mlpipe.artifacts import Artifact
        from airflow_provider_mlpipe.config import dataset_rules
        from airflow_provider_mlpipe.run import instant
        from airflow_provider_mlpipe.validation.rules import rules_of
        from airflow_provider_mlpipe.validation.suite import suite_of

        rules = rules_of(dataset_rules(f"{given['rules']}/all.yaml", "data"), instant(AS_OF))
        expectations = list(
            suite_of("data", [rule for rule in rules if rule.kind not in {"column", "type"}]).expectations
        )
        for rule in rules:
            if rule.kind == "type":
                wanted = PANDAS_TYPES[rule.type]  # type: ignore[attr-defined] # its kind says that it has one
                expectations.append(gx.expectations.ExpectColumnValuesToBeOfType(column=rule.column, type_=wanted))
        suite = gx.ExpectationSuite(name="data", expectations=expectations)
        paths = Artifact.open(given[size]).paths
        with counted(folder):
            context = gx.get_context(mode="ephemeral")
            context.variables.progress_bars = {"globally": False}
            asset = context.data_sources.add_pandas("pandas").add_dataframe_asset("rows")
            frame = pd.concat([pd.read_parquet(path) for path in paths], ignore_index=True)
            batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
            results = batch.validate(suite, result_format="SUMMARY").results
        assert len(results) == 20, len(results)
        assert sum(not result.success for result in results) == FAILING, results
        return True

    return run


def _pandera(size: str) -> Callable[[dict[str, Any], Path], bool]:
    def run(given: dict[str, Any], folder: Path) -> bool:
        import datetime as dt

        import pandera.polars as pdr
        import polars as pl

        from airflow_provider_mlpipe.artifacts import Artifact

        low, high = dt.datetime(2020, 1, 1, tzinfo=dt.UTC), dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
        ordered = pdr.Check(lambda data: data.lazyframe.select(pl.col("created_at") <= pl.col("completed_at")))
        schema = pdr.DataFrameSchema(
            {
                "id": pdr.Column(pl.Int64, unique=True),
                "user_id": pdr.Column(pl.String),
                "age": pdr.Column(None, pdr.Check.in_range(0, 120), nullable=True),
                "status": pdr.Column(None, pdr.Check.isin(STATUSES), nullable=True),
                "country": pdr.Column(None, pdr.Check.isin(COUNTRIES), nullable=True),
                "amount": pdr.Column(None, pdr.Check.in_range(-10000, 10000), nullable=True),
                "email": pdr.Column(None, pdr.Check.str_matches("^[a-z0-9]+@example[.]org$"), nullable=True),
                "created_at": pdr.Column(pl.Datetime("us", "UTC"), pdr.Check.in_range(low, high)),
                "completed_at": pdr.Column(None, nullable=True),
                "note": pdr.Column(None, pdr.Check.str_length(1, 40), nullable=True),
            },
            checks=ordered,
            unique=["user_id", "created_at"],
        )
        paths = Artifact.open(given[size]).paths
        with counted(folder):
            try:
                schema.validate(pl.read_parquet(paths), lazy=True)
            except pdr.errors.SchemaErrors as error:
                failed = len(error.schema_errors)
        assert failed == FAILING, failed
        return True

    return run


def _bare(size: str) -> Callable[[dict[str, Any], Path], bool]:
    def run(given: dict[str, Any], folder: Path) -> bool:
        from airflow_provider_mlpipe.artifacts import Artifact

        artifact = Artifact.open(given[size])
        with counted(folder):
            assert sum(batch.num_rows for batch in artifact.batches()) == artifact.manifest.rows
        return True

    return run


CASES = {
    f"{name}_{size}": case
    for size in ROWS
    for name, case in {
        "ours": _ours(size, "all"),
        "light": _ours(size, "light"),
        "gx": _gx(size),
        "pandera": _pandera(size),
        "bare": _bare(size),
    }.items()
}

if __name__ == "__main__":
    sys.argv = [argument for argument in sys.argv if argument != "--full"]
    sys.exit(main(__file__, BENCHMARKS, CASES, setup))
