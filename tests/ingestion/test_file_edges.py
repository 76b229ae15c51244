"""Files as they come: other dialects, packed twice, endless lines, half characters. Each has an outcome of its own."""

from __future__ import annotations

import gzip
import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_mlpipe.errors import ConfigError, SourceRejectedError
from airflow_provider_mlpipe.ingestion import jsondocument, jsonfiles
from airflow_provider_mlpipe.ingestion.jsondocument import NotJsonError, TooLongError, elements
from airflow_provider_mlpipe.run import Interval, Run
from tests.ingestion.support import counts, quarantined, read, rows

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_mlpipe.artifacts import Artifact, Storage


def take(path: Path | str, root: Storage, **keys: Any) -> Artifact:
    return read({"type": "file", "path": str(path), **keys}, root)


def types(artifact: Artifact) -> dict[str, str]:
    return {field.name: str(field.type) for field in artifact.schema}


# ------------------------------------------------------------------ CSV dialects


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        (b"a;b\n1,5;x\n-2,25e1;y\n", {"delimiter": ";", "decimal": ","}, [{"a": 1.5, "b": "x"}, {"a": -22.5, "b": "y"}]),
        (b"a;b\n1.5;1\n", {"delimiter": ";", "decimal": ","}, [{"a": "1.5", "b": 1}]),
        (b"a\tb\n1\t'x\ty'\n", {"delimiter": "\t", "quote": "'"}, [{"a": 1, "b": "x\ty"}]),
        (b'a,b\n5" pipe,x\n', {"quote": None}, [{"a": '5" pipe', "b": "x"}]),
        (b"a,b\nx\\,y,z\n", {"quote": None, "escape": "\\"}, [{"a": "x,y", "b": "z"}]),
        ("a\né\n".encode("latin-1"), {"encoding": "latin-1"}, [{"a": "é"}]),
        ("a,b\né,€\n".encode("utf-16"), {"encoding": "utf-16"}, [{"a": "é", "b": "€"}]),
        (b"1,x\n2,y\n", {"header": False}, [{"f0": 1, "f1": "x"}, {"f0": 2, "f1": "y"}]),
        (b"1,x\n", {"header": False, "names": ["n", "v"]}, [{"n": 1, "v": "x"}]),
        (b"Nr.,Wert\n1,x\n", {"names": ["n", "v"]}, [{"n": 1, "v": "x"}]),
        (b"made by hand\n\na,b\n1,x\n", {"skip_lines": 2}, [{"a": 1, "b": "x"}]),
        (b"a,b\nNULL,\n1,\"NULL\"\n", {"null_values": ["NULL"]}, [{"a": 1, "b": "NULL"}, {"a": None, "b": ""}]),
    ],
)  # fmt: skip
def test_csv_dialects(
    tmp_path: Path, root: Storage, content: bytes, options: dict[str, Any], expected: list[dict[str, Any]]
) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    assert rows(take(tmp_path / "t.csv", root, csv=options)) == sorted(expected, key=repr)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"delimiter": ";;"}, "not a single ASCII character"),
        ({"delimiter": '"'}, "must differ"),
        ({"encoding": "latin-99"}, "not an encoding that Python knows"),
        ({"names": ["a", "a"]}, "stands twice"),
        ({"delimter": ";"}, "Did you mean 'delimiter'"),
    ],
)
def test_csv_options_that_make_no_sense(root: Storage, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        take("x.csv", root, csv=options)


# ------------------------------------------------------------------ one outcome per damage


HEADER_ONLY: list[dict[str, Any]] = []


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("header.csv", b"a,b\n", HEADER_ONLY),
        ("bom.csv", b"\xef\xbb\xbfa,b\r\n1,x\r\n", [{"a": 1, "b": "x"}]),
        ("bom.jsonl", b'\xef\xbb\xbf{"a": 1}\r\n\r\n{"a": 2}\r\n', [{"a": 1}, {"a": 2}]),
        ("bom.json", b'\xef\xbb\xbf[{"a": 1}]\r\n', [{"a": 1}]),
        ("quoted.csv", b'a,b\n1,"x\ny"\n', [{"a": 1, "b": "x\ny"}]),
        ("nul.csv", b"a\nx\x00y\n", [{"a": "x\x00y"}]),
        (
            "twice.jsonl.gz",
            gzip.compress(b'{"a": 1}\n', mtime=0) + gzip.compress(b'{"a": 2}\n', mtime=0),
            [{"a": 1}, {"a": 2}],
        ),
        ("one.json", b'{"a": 1}', [{"a": 1}]),
        ("none.json", b" [ ] ", []),
        ("none.jsonl", b"", []),
    ],
)
def test_odd_but_readable(
    tmp_path: Path, root: Storage, name: str, content: bytes, expected: list[dict[str, Any]]
) -> None:
    (tmp_path / name).write_bytes(content)
    assert rows(take(tmp_path / name, root)) == expected


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.csv", b"", "empty.csv: Empty CSV file"),
        ("empty.json", b"", "empty.json is no JSON .it is empty."),
        ("empty.parquet", b"", "empty.parquet: Parquet file size is 0 bytes"),
        ("cut.jsonl.gz", gzip.compress(b'{"a": 1}\n' * 9999, mtime=0)[:-20], "cut.jsonl.gz: .*"),
        ("cut.json.gz", gzip.compress(json.dumps([{"a": 1}] * 9999).encode(), mtime=0)[:-20], "cut.json.gz: .*"),
        ("bytes.csv", b"a,b\n1,x\n2,\xe9\n", "bytes.csv:3: CSV that is not utf-8; set csv.encoding"),
        ("twins.csv", b"a,b,a\n1,2,3\n", "twins.csv: the header names 'a' more than once; give csv.names"),
        (
            "semicolons.csv",
            b"id;name\n1;a\n",
            "semicolons.csv: the header is one column, 'id;name'; set csv.delimiter, to ';'",
        ),
        (
            "pandas.csv",
            b",a\n0,1\n",
            "column 1 of 2 is named '', which is no name\nHint: .*columns: {row_number: \"\"}; pandas",
        ),
        ("zero.jsonl", b'{"a": 1, "b\\u0000": 2}\n', "column 2 of 2 is named 'b.x00', which is no name"),
        ("open.csv", b'a,b\n1,"x\n2,y\n3,z\n', "open.csv: a quote is not closed, .* over 3 line breaks"),
        ("cut.json", b'[{"a": 1}, {"a": 2', "cut.json is no JSON after 1 records"),
        ("more.json", b'[{"a": 1}] [', "more.json is no JSON after 1 records .there is more after its end"),
        ("lines.json", b'{"a": 1}\n{"a": 2}\n', "lines.json .*is it JSON lines"),
        ("comma.json", b'[{"a": 1} {"a": 2}]', "comma.json .*expected , or ] instead of '{'"),
        ("nan.json", b'[{"a": NaN}]', "nan.json is no JSON .NaN is no JSON value"),
        ("bytes.json", b'[{"a": "\xe9"}]', "bytes.json is no JSON .not UTF-8"),
    ],
)
def test_damage_is_an_error_that_names_file_and_place(
    tmp_path: Path, root: Storage, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceRejectedError, match=message) as caught:
        take(tmp_path / name, root)
    assert name in str(caught.value)
    assert list(tmp_path.rglob("_manifest.json")) == []


def test_lines_that_are_no_json_lines_go_to_the_quarantine(tmp_path: Path, root: Storage) -> None:
    (tmp_path / "t.jsonl").write_bytes(b'{"a": 1}\n{"a": "\xe9"}\n{"a": "\x00"}\n{"a": NaN}\n')
    artifact = take(tmp_path / "t.jsonl", root)
    assert counts(artifact) == (4, 1, 3, 0)
    assert sorted(reason.partition(" ")[0] for reason, _ in quarantined(artifact)) == [
        "t.jsonl:2",
        "t.jsonl:3",
        "t.jsonl:4",
    ]


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.json"])
def test_a_line_of_40_mb_is_a_row_and_a_longer_one_than_allowed_an_error(
    tmp_path: Path, root: Storage, name: str
) -> None:
    text = "x" * 40_000_000
    content = {
        "t.csv": f"a,b\n1,y\n2,{text}\n",
        "t.jsonl": f'{{"a": 1, "b": "y"}}\n{{"a": 2, "b": "{text}"}}\n',
        "t.json": f'[{{"a": 1, "b": "y"}}, {{"a": 2, "b": "{text}"}}]',
    }
    (tmp_path / name).write_text(content[name])
    assert [len(row["b"]) for row in rows(take(tmp_path / name, root))] == [1, 40_000_000]
    with pytest.raises(SourceRejectedError, match=rf"{name}.* is longer than max_record_bytes = 5,000,000"):
        take(tmp_path / name, root, max_record_bytes="5MB")


def test_thousands_of_small_files(tmp_path: Path, root: Storage) -> None:
    for number in range(2_000):
        (tmp_path / f"{number:05}.jsonl").write_text(f'{{"n": {number}}}\n')
    artifact = take(tmp_path / "*.jsonl", root)
    assert counts(artifact) == (2_000, 2_000, 0, 0)
    assert artifact.manifest.details["files"]["count"] == 2_000
    assert len(artifact.manifest.parts) == 1


# ------------------------------------------------------------------ JSON documents, piece by piece


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


class Dripping(io.RawIOBase):
    """Gives a few bytes at a time, so that everything is cut somewhere."""

    def __init__(self, content: bytes, size: int) -> None:
        self._rest, self._size = content, size

    def read(self, _: int = -1) -> bytes:
        some, self._rest = self._rest[: self._size], self._rest[self._size :]
        return some


@settings(max_examples=150, deadline=None)
@given(st.lists(json_values, max_size=6), st.integers(1, 40), st.sampled_from([None, 1]), st.booleans())
def test_a_document_read_in_pieces_is_the_document(
    records: list[Any], size: int, indent: int | None, ascii_: bool
) -> None:
    content = json.dumps(records, indent=indent, ensure_ascii=ascii_)
    try:
        encoded = content.encode()
    except UnicodeEncodeError:  # a lone surrogate is no UTF-8
        return
    found = [record for record, _ in elements(Dripping(encoded, size), longest=10_000)]
    assert repr(found) == repr(records)


@settings(max_examples=100, deadline=None)
@given(st.lists(json_values, min_size=1, max_size=3), st.integers(1, 40), st.data())
def test_a_document_that_is_cut_off_is_never_taken_for_a_shorter_one(
    records: list[Any], size: int, data: st.DataObject
) -> None:
    content = json.dumps(records).encode()
    cut = data.draw(st.integers(0, len(content) - 1))
    with pytest.raises(NotJsonError):
        list(elements(Dripping(content[:cut], size), longest=10_000))


def test_only_the_longest_record_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsondocument, "BLOCK_BYTES", 1_000)
    endless = io.BytesIO(b"[" + b'{"a": "' + b"x" * 100_000 + b'"}]')
    with pytest.raises(TooLongError):
        list(elements(endless, longest=10_000))
    assert endless.tell() < 40_000, "the rest was not even read"
    broken = io.BytesIO(b"[{a: 1}, " + b'{"a": 1}, ' * 100_000 + b"{}]")
    with pytest.raises(NotJsonError):
        list(elements(broken, longest=10**9))
    assert broken.tell() < 10_000, "what is wrong at its begin is not read to its end"


def test_frames_are_bounded_in_bytes_as_well_as_in_records(
    tmp_path: Path, root: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jsonfiles, "FRAME_BYTES", 10_000)
    records = [{"n": number, "v": "x" * 3_000} for number in range(20)]
    (tmp_path / "t.json").write_text(json.dumps(records))
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    for name in ("t.json", "t.jsonl"):
        seen: list[int] = []
        artifact = read({"type": "file", "path": str(tmp_path / name)}, root, progress=seen.append)
        assert rows(artifact) == sorted(records, key=repr)
        assert seen == [4, 8, 12, 16, 20]


# ------------------------------------------------------------------ columns and types over files


def test_only_selected_columns_are_read(tmp_path: Path, root: Storage) -> None:
    pq.write_table(pa.table({"a": [1], "b": ["x"], "a.b": [True], "c": [[1]]}), tmp_path / "t.parquet")
    (tmp_path / "t.csv").write_text("a,b,c\n1,x,2\n")
    (tmp_path / "t.jsonl").write_text('{"a": 1, "b": "x", "c": 2}\n')
    for name in ("t.parquet", "t.csv", "t.jsonl"):
        assert rows(take(tmp_path / name, root, select=["b", "a"])) == [{"a": 1, "b": "x"}]
        with pytest.raises(SourceRejectedError, match="has no column 'aa'"):
            take(tmp_path / name, root, select=["aa"])
    assert rows(take(tmp_path / "t.parquet", root, select=["a.b"])) == [{"a.b": True}]


def test_parquet_files_that_disagree_are_brought_to_the_declared_type(tmp_path: Path, root: Storage) -> None:
    pq.write_table(pa.table({"id": [1, 2], "v": [Decimal("1.50"), None]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"id": [3, 4], "v": ["2.25", "many"]}), tmp_path / "2.parquet")
    with pytest.raises(SourceRejectedError, match=r"v has incompatible types: decimal.* in 1.parquet, string in 2.par"):
        take(tmp_path, root)
    artifact = take(tmp_path, root, types={"v": "decimal(10,2)"})
    assert types(artifact) == {"id": "int64", "v": "decimal128(10, 2)"}
    assert {row["v"] for row in rows(artifact)} == {Decimal("1.50"), None, Decimal("2.25")}
    [(reason, row)] = quarantined(artifact)
    assert reason == "2.parquet: v: 'many' cannot be read as decimal128(10, 2)"
    assert row == {"id": 4, "v": "many"}
    assert {row["v"] for row in rows(take(tmp_path, root, types={"v": "string"}))} == {"1.50", None, "2.25", "many"}


def test_parquet_structs_grow(tmp_path: Path, root: Storage) -> None:
    pq.write_table(pa.table({"s": [{"a": 1}]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"s": [{"a": 2, "b": "x"}]}), tmp_path / "2.parquet")
    assert rows(take(tmp_path, root)) == [{"s": {"a": 1, "b": None}}, {"s": {"a": 2, "b": "x"}}]


def test_wide_parquet_rows_are_read_in_smaller_batches(tmp_path: Path, root: Storage) -> None:
    pq.write_table(pa.table({"v": [f"{number:06}" + "x" * 200_000 for number in range(500)]}), tmp_path / "t.parquet",
                   use_dictionary=False)  # fmt: skip
    seen: list[int] = []
    artifact = read({"type": "file", "path": str(tmp_path / "t.parquet")}, root, progress=seen.append)
    assert counts(artifact) == (500, 500, 0, 0)
    assert seen[0] < 200


# ------------------------------------------------------------------ dates in the path


def test_dates_of_the_interval_in_the_path(tmp_path: Path, root: Storage) -> None:
    for day in ("2026/01/13", "2026/01/14"):
        folder = tmp_path / day
        folder.mkdir(parents=True)
        (folder / "t.jsonl").write_text(json.dumps({"day": f"d{day[-2:]}"}))
    assert rows(take(f"{tmp_path}/{{start:%Y/%m/%d}}/*.jsonl", root)) == [{"day": "d13"}]
    artifact = take(f"{tmp_path}/{{end:%Y/%m}}/{{end:%d}}/*.jsonl", root)
    assert rows(artifact) == [{"day": "d14"}]
    assert artifact.manifest.details["location"].endswith("2026/01/14/*.jsonl")
    (tmp_path / "2026-01-13.jsonl").write_text('{"day": "bare"}')
    assert rows(take(f"{tmp_path}/{{start}}.jsonl", root)) == [{"day": "bare"}]


def test_as_of_is_the_end_and_times_are_utc(tmp_path: Path, root: Storage) -> None:
    (tmp_path / "0131T2330.jsonl").write_text('{"a": 1}')
    source = {"type": "file", "path": f"{tmp_path}/{{end:%m%dT%H%M}}.jsonl"}
    assert rows(read(source, root, as_of=datetime(2026, 1, 31, 23, 30, tzinfo=UTC))) == [{"a": 1}]


def test_dates_that_are_not_there_and_words_that_mean_nothing(tmp_path: Path, root: Storage) -> None:
    bare = Run(run_id="by hand")
    with pytest.raises(ConfigError, match="needs a data interval; this run has none"):
        read({"type": "file", "path": f"{tmp_path}/{{start:%Y}}.csv"}, root, bare)
    with pytest.raises(ConfigError, match="'?{strat:%Y}'? stands for nothing. Did you mean 'start'"):
        take(f"{tmp_path}/{{strat:%Y}}.csv", root)
    empty = Run(run_id="x", interval=Interval(start="2026-01-13", end="2026-01-13"))
    (tmp_path / "2026.jsonl").write_text('{"a": 1}')
    assert rows(read({"type": "file", "path": f"{tmp_path}/{{end:%Y}}.jsonl"}, root, empty)) == [{"a": 1}]
