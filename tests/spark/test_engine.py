"""The engine on a real Spark: what it reads is what the artifact holds, and it leaves everybody else's Spark alone."""

from __future__ import annotations

import datetime as dt
import decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from airflow_provider_mlpipe.artifacts import ArtifactWriter, Description, Storage
from airflow_provider_mlpipe.engines import DuckDBEngine, SparkEngine, SparkSettings, open_engine, refusal
from airflow_provider_mlpipe.errors import ArtifactCorruptError
from airflow_provider_mlpipe.run import Run
from tests.feature_extraction.material import published

if TYPE_CHECKING:
    from pathlib import Path

NANOSECONDS = [1_768_356_000_123_456_789, None, -1_500, -500, 499, 500, 2_500]
MICROSECONDS = [1_768_356_000_123_457, None, -2, -1, 0, 1, 3]
"""The same, rounded half away from zero."""

N = len(NANOSECONDS)
TYPES: dict[str, tuple[pa.Array, pa.Array]] = {
    "ns": (pa.array(NANOSECONDS, pa.timestamp("ns")), pa.array(MICROSECONDS, pa.timestamp("us"))),
    "ns zone": (pa.array(NANOSECONDS, pa.timestamp("ns", "UTC")), pa.array(MICROSECONDS, pa.timestamp("us", "UTC"))),
    "us zone": (
        pa.array(MICROSECONDS, pa.timestamp("us", "Europe/Berlin")),
        pa.array(MICROSECONDS, pa.timestamp("us", "UTC")),
    ),
    "ms": (pa.array([-1, None, *[0] * 5], pa.timestamp("ms")), pa.array([-1000, None, *[0] * 5], pa.timestamp("us"))),
    "s": (
        pa.array([-1, None, *[0] * 5], pa.timestamp("s")),
        pa.array([-1_000_000, None, *[0] * 5], pa.timestamp("us")),
    ),
    "u8": (pa.array([255, None, *[0] * 5], pa.uint8()), pa.array([255, None, *[0] * 5], pa.int16())),
    "u32": (pa.array([2**32 - 1, None, *[0] * 5], pa.uint32()), pa.array([2**32 - 1, None, *[0] * 5], pa.int64())),
    "u64": (
        pa.array([2**64 - 1, None, *[0] * 5], pa.uint64()),
        pa.array([decimal.Decimal(2**64 - 1), None, *[decimal.Decimal(0)] * 5], pa.decimal128(20, 0)),
    ),
    "dictionary": (pa.array(["é", None, *["😀"] * 5]).dictionary_encode(), pa.array(["é", None, *["😀"] * 5])),
    "half": (pa.array([1.5, None, *[0.25] * 5], pa.float16()), pa.array([1.5, None, *[0.25] * 5], pa.float32())),
    "nothing": (pa.nulls(N), pa.nulls(N)),
    "list": (pa.array([[1, None], None, [], *[[2]] * 4]),) * 2,
    "struct": (pa.array([{"a b": 1}, None, {"a b": None}, *[{"a b": 2}] * 4]),) * 2,
    "map": (pa.array([[("k", 1)], None, *[[]] * 5], pa.map_(pa.string(), pa.int64())),) * 2,
}
TYPES |= {
    str(kind): (pa.array([*values, *[None] * (N - len(values))], kind),) * 2
    for kind, values in [
        (pa.int8(), [-128, 127]),
        (pa.int64(), [-(2**63), 2**63 - 1]),
        (pa.float32(), [1.1, float("nan"), float("-inf")]),
        (pa.float64(), [5e-324, -0.0, float("inf")]),
        (pa.decimal128(38, 18), [decimal.Decimal("12345678901234567890.123456789012345678")]),
        (pa.date32(), [dt.date(1, 1, 1), dt.date(1582, 10, 10), dt.date(2024, 2, 29), dt.date(9999, 12, 31)]),
        (pa.timestamp("us"), [*map(dt.datetime.fromisoformat, ("0001-01-01", "2026-03-29T02:30", "9999-12-31"))]),
        (pa.string(), ["", "a\x00b", "'\"`\\"]),
        (pa.binary(), [b"\x00\xff", b""]),
        (pa.bool_(), [True, False]),
    ]
}  # fmt: skip


def same(found: Any, expected: Any) -> bool:
    """Equal, where NaN equals NaN, and times are equal whatever object says UTC."""
    return repr(found).replace("zoneinfo.ZoneInfo(key='UTC')", "<UTC>") == repr(expected).replace(
        "zoneinfo.ZoneInfo(key='UTC')", "<UTC>"
    )


def test_every_type_means_the_same(root: Storage, on_spark: SparkSettings, caplog: pytest.LogCaptureFixture) -> None:
    given = {name: column for name, (column, _) in TYPES.items()}
    awkward = {"Case": pa.array(range(N)), "case": pa.array(range(N, 2 * N)), "a`b .;c": pa.array(range(N))}
    unknown = {"time": pa.array([dt.time(1)] * N), "length": pa.array([1] * N, pa.duration("us"))}
    artifact = published(root, "types", pa.table({**given, **awkward, **unknown}))
    with SparkEngine.open(on_spark) as engine:
        engine.view("types", artifact)
        found = engine.batches("SELECT * FROM types").read_all()
        rows = engine.rows("SELECT * FROM types")
    assert "Spark has no type for 'time', 'length'" in caplog.text
    assert found.column_names == [*given, *awkward]
    expected = {name: column for name, (_, column) in TYPES.items()} | awkward
    for name, column in expected.items():
        kind = str(found.schema.field(name).type).replace("element", "item").replace(" ('map')", "")
        assert kind == str(column.type), name
        assert same(found.column(name).to_pylist(), column.to_pylist()), name
    by_rows = zip(*rows, strict=True)
    for name, values in zip(expected, by_rows, strict=True):
        assert same(list(values), expected[name].to_pylist()), name


def test_exactly_the_listed_parts_are_read(root: Storage, on_spark: SparkSettings) -> None:
    table = pa.table({"n": range(10)})
    description = Description(dataset="d", stage="raw", run=Run(run_id="r"))
    with ArtifactWriter(root, description, table.schema) as writer:
        writer.write_all(table.to_batches())
        artifact = writer.publish()
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"n": [99]}), artifact.place.path("part-of-another-attempt.parquet"))
    with SparkEngine.open(on_spark) as engine:
        engine.view("d", artifact)
        assert engine.row("SELECT count(*), sum(n) FROM d") == (10, 45)
        artifact.place.delete(artifact.manifest.parts[0].name)
        with pytest.raises(ArtifactCorruptError, match="is missing"):
            engine.view("d", artifact)


def test_places_with_any_name(tmp_path: Path, on_spark: SparkSettings) -> None:
    root = Storage(str(tmp_path / "ä {a,b} [x]*?:%20"))
    artifact = published(root, "d", pa.table({"n": [1, 2]}))
    with SparkEngine.open(on_spark) as engine:
        engine.view("d", artifact)
        assert engine.row("SELECT sum(n) FROM d") == (3,)


def test_an_artifact_without_rows(root: Storage, on_spark: SparkSettings) -> None:
    empty = pa.table({"n": pa.array([], pa.int64()), "at": pa.array([], pa.timestamp("ns", "UTC"))})
    with SparkEngine.open(on_spark) as engine:
        engine.view("d", published(root, "d", empty))
        found = engine.batches("SELECT * FROM d").read_all()
    assert found.num_rows == 0
    assert found.schema == pa.schema([("n", pa.int64()), ("at", pa.timestamp("us", "UTC"))])


def test_a_stream_comes_in_order_and_leaves_nothing(tmp_path: Path, spark: Any) -> None:
    settings = SparkSettings(scratch=str(tmp_path / "scratch"))
    with SparkEngine.open(settings) as engine:
        engine.register("d", pa.table({"n": range(50_000)}))
        sizes, seen = [], []
        for batch in engine.batches("SELECT n * 7 % 50000 AS k FROM d ORDER BY k", batch_size=4_000):
            sizes.append(batch.num_rows)
            seen += batch.column("k").to_pylist()
    assert seen == list(range(50_000))
    assert max(sizes) <= 4_000
    assert [path.name for path in tmp_path.rglob("part-*")] == []


def test_what_is_kept_is_computed_once(on_spark: SparkSettings) -> None:
    with SparkEngine.open(on_spark) as engine:
        engine.register("d", pa.table({"n": range(100)}))
        engine.keep("k", "SELECT n, rand() AS x FROM d")
        first, second = (engine.rows("SELECT * FROM k ORDER BY n") for _ in range(2))
    assert first == second


def test_parameters(on_spark: SparkSettings) -> None:
    with SparkEngine.open(on_spark) as engine:
        assert engine.row("SELECT ? || 'b', ? + 1", ["'a\"", 2]) == ("'a\"b", 3)
        assert engine.records("SELECT 1 AS a, 'x' AS b") == [{"a": 1, "b": "x"}]


def test_the_running_spark_is_used_and_left_as_it_was(spark: Any) -> None:
    zone = "America/New_York"
    spark.conf.set("spark.sql.session.timeZone", zone)
    try:
        with SparkEngine.open(SparkSettings(master="spark://nobody.invalid:7077")) as engine:
            engine.register("only_ours", pa.table({"n": [1]}))
            assert engine.row("SELECT current_timezone()") == ("UTC",)
            assert engine.session.sparkContext.applicationId == spark.sparkContext.applicationId
        assert spark.conf.get("spark.sql.session.timeZone") == zone
    finally:
        spark.conf.unset("spark.sql.session.timeZone")
    assert spark.catalog.listTables() == []
    assert spark.sql("SELECT 1").collect()[0][0] == 1


@pytest.mark.parametrize(
    ("sql", "problem"),
    [
        ("SELECT nope FROM (SELECT 1 AS a)", "UNRESOLVED_COLUMN"),
        ("SELECT 1 / 0", "DIVIDE_BY_ZERO"),
        ("SELECT CAST(9223372036854775807 AS BIGINT) + 1", "ARITHMETIC_OVERFLOW"),
        ("SELEKT 1", "PARSE_SYNTAX_ERROR"),
    ],
)
def test_what_spark_refuses_is_told_in_one_line(
    on_spark: SparkSettings, sql: str, problem: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with open_engine(on_spark) as engine, pytest.raises(Exception, match=problem) as caught:
        engine.rows(sql)
    found = refusal(caught.value)
    assert found is not None
    assert problem in found.problem
    assert "\n" not in found.problem
    assert not found.lost
    assert not found.out_of_memory


def test_floats_become_exact_decimals(on_spark: SparkSettings) -> None:
    """As on DuckDB, bit for bit: what exact sums stand on."""
    import ibis

    values = [0.1, 0.5, -0.5, 1.5, 2.5, -2.5, 1e15 + 0.3, 123456789.123456789, 2.0**53 + 2, 1e18, 5e-324, -0.0, None]
    table = pa.table({"v": pa.array([*values, 1e23, 1e30, -1e30], pa.float64())})
    x = ibis.table({"v": "float64"}, name="x")
    power = ibis.literal(repr(2.0**60)).cast("float64")
    whole, scaled = x.v.cast("decimal(38, 0)"), ibis.ifelse(x.v.abs() < 1e19, x.v * power, ibis.null("float64"))
    expression = x.select(whole=whole, scaled=scaled.cast("decimal(38, 0)"))
    found = []
    for opened in (DuckDBEngine.open(), SparkEngine.open(on_spark)):
        with opened as engine:
            engine.register("x", table)
            found.append(engine.rows(str(engine.ibis().compile(expression))))
    assert found[0] == found[1]
    assert found[1][-3:] == [(decimal.Decimal(x), None) for x in (1e23, 1e30, -1e30)]
    assert found[1][0] == (0, decimal.Decimal(0.1 * 2.0**60))


def test_what_is_infinite_is_found(on_spark: SparkSettings) -> None:
    """As Ibis compiles it on its own, nothing is."""
    import ibis

    x = ibis.table({"v": "float64"}, name="x")
    with SparkEngine.open(on_spark) as engine:
        engine.register("x", pa.table({"v": [1.0, float("inf"), float("-inf"), float("nan"), None]}))
        found = engine.rows(str(engine.ibis().compile(x.select(a=x.v.isinf()))))
    assert found == [(False,), (True,), (True,), (False,), (None,)]
