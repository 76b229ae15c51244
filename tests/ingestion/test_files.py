"""Files: folders, globs, packing, schemas that differ, and files that are damaged."""

# ruff: noqa: DTZ001 - columns without a zone hold times without a zone

from __future__ import annotations

import bz2
import gzip
import json
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_mlpipe.artifacts import S3Options, Storage
from airflow_provider_mlpipe.errors import SourceError, SourceRejectedError, SourceUnavailableError
from airflow_provider_mlpipe.ingestion import Connection
from tests.ingestion.support import counts, quarantined, read, rows
from tests.servers import PASSWORD, Bucket, free_ports

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_mlpipe.artifacts import Artifact


def take(path: Path | str, root: Storage, **keys: Any) -> Artifact:
    return read({"type": "file", "path": str(path), **keys}, root)


def types(artifact: Artifact) -> dict[str, str]:
    return {field.name: str(field.type) for field in artifact.schema}


# ------------------------------------------------------------------ which files


def test_folders_globs_and_single_files(tmp_path: Path, root: Storage) -> None:
    for name in (
        "a.csv",
        "b.csv",
        "deep/c.csv",
        "deep/er/d.csv",
        "_SUCCESS",
        ".hidden.csv",
        "_tmp/x.csv",
        "deep/e.txt",
    ):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"name\n{name}\n")
    (tmp_path / "in" / "deep" / "e.txt").unlink()

    def names(path: str) -> set[str]:
        return {row["name"] for row in rows(take(tmp_path / "in" / path, root))}

    assert names("") == {"a.csv", "b.csv", "deep/c.csv", "deep/er/d.csv"}
    assert names("*.csv") == {"a.csv", "b.csv", ".hidden.csv"}
    assert names("[ab].csv") == {"a.csv", "b.csv"}
    assert names("[!a.]*.csv") == {"b.csv"}
    assert names("*/?.csv") == {"deep/c.csv", "_tmp/x.csv"}
    assert names("deep/**/*.csv") == {"deep/c.csv", "deep/er/d.csv"}
    assert names("deep/er/d.csv") == {"deep/er/d.csv"}


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("*.csv", "no file matches"),
        ("nothing.csv", "there is no such file or folder"),
        ("empty", "the folder holds no data files"),
        ("odd", "'x.txt' does not tell the format"),
        ("mixed", "different formats"),
    ],
)
def test_nothing_to_read_is_an_error_not_an_empty_artifact(
    tmp_path: Path, root: Storage, path: str, message: str
) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("odd/x.txt", "mixed/a.csv", "mixed/b.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    with pytest.raises(SourceRejectedError, match=message) as caught:
        take(tmp_path / path, root)
    assert caught.value.hint


@pytest.mark.parametrize("suffix", ["", ".gz", ".bz2", ".zst"])
@pytest.mark.parametrize("kind", ["csv", "jsonl", "json"])
def test_packed_files_are_unpacked(tmp_path: Path, root: Storage, kind: str, suffix: str) -> None:
    text = {"csv": "a,b\n1,x\n2,\n", "jsonl": '{"a":1,"b":"x"}\n{"a":2}', "json": '[{"a":1,"b":"x"},{"a":2,"b":null}]'}
    content = text[kind].encode()
    pack = {
        "": bytes,
        ".gz": gzip.compress,
        ".bz2": bz2.compress,
        ".zst": lambda data: pa.compress(data, "zstd", asbytes=True),
    }
    (tmp_path / f"data.{kind}{suffix}").write_bytes(pack[suffix](content))
    artifact = take(tmp_path / f"data.{kind}{suffix}", root)
    assert rows(artifact) == [{"a": 1, "b": "x"}, {"a": 2, "b": None}]


def test_a_format_can_be_given(tmp_path: Path, root: Storage) -> None:
    (tmp_path / "export.txt").write_text("a\n1\n")
    assert rows(take(tmp_path / "export.txt", root, format="csv")) == [{"a": 1}]


# ------------------------------------------------------------------ CSV


@pytest.mark.parametrize(
    ("fields", "kind", "values"),
    [
        (["1", "-20", "0"], "int64", [1, -20, 0]),
        (["1", "2.5", "1e3"], "double", [1.0, 2.5, 1000.0]),
        (["01234", "5"], "string", ["01234", "5"]),  # a postal code
        (["+49301234"], "string", ["+49301234"]),
        (["1234567890123456789012"], "string", ["1234567890123456789012"]),
        (["12345678901234567", "0.5"], "string", ["12345678901234567", "0.5"]),  # no double holds the first
        (["0.30000000000000004"], "double", [0.30000000000000004]),
        (["true", "False"], "bool", [True, False]),
        (["1", "true"], "string", ["1", "true"]),
        (["2026-01-15"], "date32[day]", [date(2026, 1, 15)]),
        (["2026-02-30"], "string", ["2026-02-30"]),
        (["2026-01-15 10:00:00", "2026-01-15T10:00:00.5"], "timestamp[us]",
         [datetime(2026, 1, 15, 10), datetime(2026, 1, 15, 10, 0, 0, 500000)]),
        (["2026-01-15T10:00:00Z", "2026-01-15T10:00:00+05:30"], "timestamp[us, tz=UTC]",
         [datetime(2026, 1, 15, 10, tzinfo=UTC), datetime(2026, 1, 15, 4, 30, tzinfo=UTC)]),
        (["2026-01-15T10:00:00Z", "2026-01-15T10:00:00"], "string", ["2026-01-15T10:00:00Z", "2026-01-15T10:00:00"]),
        (["NaN", "1"], "string", ["NaN", "1"]),
        (["NULL", "None"], "string", ["NULL", "None"]),
        (["é 日本", '"quoted, with ""quotes"" and\nlines"'], "string", ["é 日本", 'quoted, with "quotes" and\nlines']),
        (["", "x", '""'], "string", [None, "x", ""]),
        (["", ""], "null", [None, None]),
    ],
)  # fmt: skip
def test_a_csv_column_gets_the_type_that_keeps_all_its_values(
    tmp_path: Path, root: Storage, fields: list[str], kind: str, values: list[Any]
) -> None:
    lines = [f"{number},{field}" for number, field in enumerate(fields)]
    (tmp_path / "t.csv").write_text("\n".join(["n,v", *lines]) + "\n")
    artifact = take(tmp_path / "t.csv", root)
    assert types(artifact)["v"] == kind
    found = [row["v"] for row in sorted(rows(artifact), key=lambda row: row["n"])]
    assert found == values
    assert list(map(type, found)) == list(map(type, values))


def test_a_late_surprise_changes_the_type_not_the_rows(tmp_path: Path, root: Storage) -> None:
    """More than one block of numbers, and then a word in the last line of the second file."""
    many = "".join(f"{number}\n" for number in range(800_000))
    (tmp_path / "1.csv").write_text("v\n" + many)
    (tmp_path / "2.csv").write_text("v\nlast\n")
    artifact = take(tmp_path, root)
    assert types(artifact) == {"v": "string"}
    assert counts(artifact) == (800_001, 800_001, 0, 0)
    assert len(artifact.manifest.parts) == 1


def test_lines_that_are_no_rows_are_quarantined(tmp_path: Path, root: Storage) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,x\n2\n3,y,z\n4,é\n")
    artifact = take(tmp_path / "t.csv", root)
    assert [row["a"] for row in rows(artifact)] == [1, 4]
    assert quarantined(artifact) == [
        ("t.csv: a line with 1 fields instead of 2", {"line": "2"}),
        ("t.csv: a line with 3 fields instead of 2", {"line": "3,y,z"}),
    ]
    assert counts(artifact) == (4, 2, 2, 0)


def test_csv_files_with_other_columns_are_united_by_name(tmp_path: Path, root: Storage) -> None:
    (tmp_path / "1.csv").write_text("a,b\n1,x\n")
    (tmp_path / "2.csv").write_text("\N{BYTE ORDER MARK}c,a\ntrue,2.5\n")
    artifact = take(tmp_path, root)
    assert types(artifact) == {"a": "double", "b": "string", "c": "bool"}
    assert rows(artifact) == [{"a": 1.0, "b": "x", "c": None}, {"a": 2.5, "b": None, "c": True}]


# ------------------------------------------------------------------ JSON, parquet


def test_broken_json_lines_are_quarantined(tmp_path: Path, root: Storage) -> None:
    (tmp_path / "t.jsonl").write_text('{"a": 1}\n\n{"a": \n[1]\n{"a": 2}')
    artifact = take(tmp_path / "t.jsonl", root, batch_size=2)
    assert [row["a"] for row in rows(artifact)] == [1, 2]
    [(second, nested), (first, line)] = sorted(quarantined(artifact), key=lambda item: "no JSON" in item[0])
    assert (second, nested) == ("t.jsonl:4 is a list, not an object", {"value": [1]})
    assert first.startswith("t.jsonl:3 is no JSON")
    assert line == {"line": '{"a": '}


def test_parquet_schemas_are_united_without_changing_a_value(tmp_path: Path, root: Storage) -> None:
    pq.write_table(pa.table({"a": pa.array([1], pa.int32()), "b": ["x"]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"b": pa.array(["y"]).dictionary_encode(), "a": pa.array([2**40])}), tmp_path / "2.parquet")
    pq.write_table(pa.table({"c": [[1, 2]], "a": pa.array([None], pa.null())}), tmp_path / "3.parquet")
    artifact = take(tmp_path, root)
    assert types(artifact)["a"] == "int64"
    assert types(artifact)["b"] == "string"
    found = sorted(rows(artifact), key=lambda row: str(row["b"]))
    assert [(row["a"], row["b"], row["c"]) for row in found] == [
        (None, None, [1, 2]),
        (1, "x", None),
        (2**40, "y", None),
    ]


def test_parquet_files_that_contradict_each_other_are_refused(tmp_path: Path, root: Storage) -> None:
    pq.write_table(pa.table({"a": [1]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"a": ["x"]}), tmp_path / "2.parquet")
    with pytest.raises(SourceRejectedError, match="a has incompatible types"):
        take(tmp_path, root)
    pq.write_table(pa.table({"a": [0.5]}), tmp_path / "2.parquet")
    pq.write_table(pa.table({"a": [2**53 + 1]}), tmp_path / "1.parquet")
    artifact = take(tmp_path, root)
    assert quarantined(artifact) == [
        ("1.parquet: a: 9007199254740993 loses digits as double", {"a": 2**53 + 1}),
    ]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cut.csv.gz", gzip.compress(b"a,b\n1,2\n" * 9999)[:-10]),
        ("not.csv.gz", b"a,b\n1,2\n"),
        ("empty.csv", b""),
        ("latin.csv", b"a\n\xe9\n"),
        ("cut.parquet", b"PAR1 and no more"),
        ("cut.json", b'[{"a": 1}'),
        ("list.json", b"{a: 1}"),
    ],
)
def test_damaged_files_are_terminal_and_named(tmp_path: Path, root: Storage, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceRejectedError) as caught:
        take(tmp_path / name, root)
    assert name in str(caught.value)
    assert list(tmp_path.rglob("_manifest.json")) == []


# ------------------------------------------------------------------ S3


def test_globs_and_packed_files_in_a_bucket(s3: Bucket, root: Storage) -> None:
    place = Storage(f"{s3.uri}/files", s3.options)
    # Left to itself the file system would pack what is packed already.
    with place.filesystem.open_output_stream(place.path("2026/01/a.jsonl.gz"), compression=None) as stream:
        stream.write(gzip.compress(json.dumps({"a": 1}).encode()))
    place.replace("2026/02/b.jsonl", json.dumps({"a": 2}).encode())
    place.replace("2026/02/c.csv", b"a\n3\n")
    source = {"type": "file", "path": f"{place.uri}/**/*.jsonl*"}
    artifact = read(source, root, connection=Connection(s3=s3.options))
    assert rows(artifact) == [{"a": 1}, {"a": 2}]
    assert artifact.manifest.details["location"] == source["path"]


def test_an_artifact_root_in_a_bucket(s3: Bucket, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,x\n2\n1,y\n")
    root = Storage(f"{s3.uri}/lake", s3.options)
    artifact = take(tmp_path / "t.csv", root, deduplicate={"keys": ["a"], "order_by": ["b"]})
    assert rows(artifact) == [{"a": 1, "b": "y"}]
    assert [reason for reason, _ in quarantined(artifact)] == ["t.csv: a line with 1 fields instead of 2"]
    assert (
        take(tmp_path / "t.csv", root, deduplicate={"keys": ["a"], "order_by": ["b"]}).fingerprint
        == artifact.fingerprint
    )


def test_a_bucket_that_refuses_or_is_away(s3: Bucket, root: Storage) -> None:
    wrong = S3Options(
        endpoint_url=s3.options.endpoint_url, region="us-east-1", access_key="tester", secret_key="wr0ng-one"
    )
    [port] = free_ports()
    away = S3Options(
        endpoint_url=f"http://127.0.0.1:{port}", region="us-east-1", access_key="tester", secret_key=PASSWORD
    )
    for options, kind in ((wrong, SourceRejectedError), (away, SourceUnavailableError)):
        with pytest.raises(SourceError) as caught:
            read({"type": "file", "path": f"{s3.uri}/x/*.csv"}, root, connection=Connection(s3=options))
        assert isinstance(caught.value, kind)
        assert options.secret_key not in str(caught.value)
    with pytest.raises(SourceRejectedError, match="no file matches"):
        read({"type": "file", "path": f"{s3.uri}/x/*.csv"}, root, connection=Connection(s3=s3.options))
