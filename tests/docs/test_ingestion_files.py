"""docs/how-to/ingestion-files.md is true: its YAML loads, its broken files have the outcomes that it says."""

from __future__ import annotations

import gzip
import re

import pyarrow as pa
import pytest

from airflow_provider_mlpipe import config
from airflow_provider_mlpipe.errors import SourceRejectedError, SourceUnavailableError
from airflow_provider_mlpipe.ingestion import deduplication
from tests.docs.howto import page, sources
from tests.ingestion.support import quarantined, read, rows

PAGE = page("ingestion-files")
SOURCES = sources(PAGE)
TABLE = PAGE.partition("## What becomes of what is broken")[2].partition("## ")[0]
BROKEN = dict(re.findall(r"^\| (?!In a file)(\w.+) \| (.+) \|$", TABLE, flags=re.MULTILINE))


@pytest.mark.parametrize(("name", "source"), SOURCES, ids=[name for name, _ in SOURCES])
def test_the_examples_are_configuration(name, source):
    assert config.source({"sources": {name: source}}, name).model.type == "file"


def test_the_keys_that_the_page_names_exist():
    keys = set(config.source({"type": "file", "path": "x.csv"}, "x").model.model_dump())
    csv = set(config.source({"type": "file", "path": "x.csv"}, "x").model.csv.model_dump())
    for word in ("quote", "escape", "names", "skip_lines", "header"):
        assert word in csv
        assert f"`{word}" in PAGE or f".{word}`" in PAGE
    for word in ("select", "only_new", "max_record_bytes", "format", "conn_id", "deduplicate", "types"):
        assert word in keys
        assert word in PAGE
    assert config.source({"type": "file", "path": "x"}, "x").model.max_record_bytes == 64_000_000
    assert f"within {deduplication.MEMORY.replace('MB', ' MB')}" in PAGE


EXAMPLES = {
    "a CSV line with too many": ("t.csv", b"a,b\n1,2\n3\n", {}),
    "a line of JSON lines": ("t.jsonl", b'{"a": 1}\n[1]\n\xff\n', {}),
    "a line, row or record longer": ("t.jsonl", b'{"a": "' + b"x" * 99 + b'"}', {"max_record_bytes": 50}),
    "JSON that ends too early": ("t.json", b'[{"a": 1}, ', {}),
    "CSV that is not in its encoding": ("t.csv", b"a\n\xff\n", {}),
    "a quote in CSV that is not closed": ("t.csv", b'a,b\n1,"x\n2,y\n', {}),
    "two columns of one name": ("t.csv", b"a,a\n1,2\n", {}),
    "a header and no row": ("t.csv", b"a,b\n", {}),
    "an empty JSON lines file": ("t.jsonl", b"", {}),
    "an empty CSV, JSON or parquet file": ("t.csv", b"", {}),
    "a packed file that ends too early": ("t.jsonl.gz", gzip.compress(b'{"a": 1}\n' * 999)[:-9], {}),
    "a byte order mark": ("t.csv.gz", gzip.compress(b"\xef\xbb\xbfa\r\n") + gzip.compress(b"\x00\r\n"), {}),
    "another version of the file": ("t.csv", b"a\n1\n", {}),
}


@pytest.mark.parametrize(("what", "outcome"), BROKEN.items(), ids=BROKEN)
def test_what_is_broken_has_the_outcome_of_the_table(what, outcome, tmp_path, root):
    [(name, content, keys)] = [example for begin, example in EXAMPLES.items() if what.startswith(begin)]
    path = tmp_path / name
    path.write_bytes(content)
    source = {"type": "file", "path": str(path), **keys}
    if outcome.startswith("error"):
        again = outcome == "error that is tried again"
        kind = SourceUnavailableError if again else SourceRejectedError
        with pytest.raises(kind, match=re.escape(name)):
            read(source, root, progress=(lambda _: path.write_bytes(b"a\n22\n")) if again else None)
        assert not list(tmp_path.rglob("_manifest.json"))
        return
    artifact = read(source, root)
    if outcome == "no rows":
        assert rows(artifact) == []
    elif outcome.startswith("quarantine"):
        assert quarantined(artifact)
    else:
        assert outcome == "read as what they are"
        assert rows(artifact) == [{"a": "\x00"}]


def test_the_table_has_a_row_per_example():
    assert len(BROKEN) == len(EXAMPLES)


def test_a_folder_is_read_as_the_page_says(tmp_path, root):
    for name in ("a.csv", "deep/b.csv", "_c.csv", "_deep/d.csv", ".e.csv"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_text(f"n\n{name}\n")
    assert [row["n"] for row in rows(read({"type": "file", "path": str(tmp_path / "in")}, root))] == [
        "a.csv",
        "deep/b.csv",
    ]


def test_arrow_unpacks_what_the_page_names():
    for codec in ("gzip", "bz2", "zstd"):
        assert pa.Codec.is_available(codec)
