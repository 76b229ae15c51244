"""docs/how-to/ingestion.md is true: its YAML loads, and its tables say what the sources do."""

from __future__ import annotations

import re

import pytest

from airflow_provider_mlpipe import config
from tests.docs.howto import inline, page, sources
from tests.ingestion.support import read, rows
from tests.servers import json_api

PAGE = page("ingestion")
SOURCES = sources(PAGE)


@pytest.mark.parametrize(("name", "source"), SOURCES, ids=[name for name, _ in SOURCES])
def test_the_examples_are_configuration(name, source):
    assert config.source({"sources": {name: source}}, name).model.type == source["type"]


def test_the_paginators_of_the_table_exist():
    words = re.findall(r"^\| `(json_link|header_link|\{type: [^`]+\})` \|", PAGE, flags=re.MULTILINE)
    assert len(words) == 5
    for word in words:
        source = {"type": "api", "url": "https://x.example", "paginator": inline(word)}
        assert config.source(source, "things").model.paginator is not None


def test_the_schema_contracts_of_the_page_exist():
    words = [*re.findall(r"^\| `(evolve|freeze|discard_\w+)`", PAGE, flags=re.MULTILINE)]
    long = re.search(r"`schema_contract: (\{[^`]+\})`", PAGE)
    assert len(words) == 4
    assert long is not None
    for word in [*words, long[1]]:
        config.source({"type": "file", "path": "x.csv", "schema_contract": inline(word)}, "things")


def test_the_ways_of_nesting_give_what_the_table_shows(root):
    record = inline(re.search(r"\| `nested` \| `(\{[^`]+\})` becomes", PAGE)[1])
    shown = dict(re.findall(r"^\| `(json|struct|flatten)`[^|]*\| (.+) \|$", PAGE, flags=re.MULTILINE))
    with json_api({"/": [record]}) as api:
        for nested, text in shown.items():
            artifact = read({"type": "api", "url": api.url, "nested": nested}, root)
            [row] = rows(artifact)
            for name, value in row.items():
                kind = artifact.schema.field(name).type
                said = (
                    f"`{name}`: `{value!r}`" if isinstance(value, str) else f"`{name}`: `{kind}`".replace("item: ", "")
                )
                assert said in text
