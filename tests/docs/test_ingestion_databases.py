"""docs/how-to/ingestion-databases.md is true: its YAML loads, and its tables of types are those that the tests hold."""

from __future__ import annotations

import re
from typing import Any

import pytest

from airflow_provider_mlpipe import config
from tests.docs.howto import page, sources

PAGE = page("ingestion-databases")
SOURCES = sources(PAGE)


def section(title: str) -> str:
    return re.split(r"^## ", PAGE.partition(f"\n## {title}\n")[2], flags=re.MULTILINE)[0]


@pytest.mark.parametrize(("name", "source"), SOURCES, ids=[name for name, _ in SOURCES])
def test_the_examples_are_configuration(name: str, source: dict[str, Any]) -> None:
    assert config.source({"sources": {name: source}}, name).model.type == source["type"]


def test_the_types_of_mysql_are_those_of_its_tests() -> None:
    tested = pytest.importorskip("tests.ingestion.test_mysql_types")
    held = {declared: kind for declared, kind, _, _ in tested.EXACT}
    said: dict[str, str] = {}
    rows = re.findall(r"^\| (`.+?`) \| (`.+?`) \|.*\|$", section("MySQL and MariaDB"), flags=re.MULTILINE)
    for declared, kinds in rows:
        said |= dict(zip(re.findall("`([^`]+)`", declared), re.findall("`([^`]+)`", kinds), strict=True))
    assert len(said) > 25
    assert said == {declared: held[declared] for declared in said}


def test_the_types_of_postgres_are_those_of_its_tests() -> None:
    tested = pytest.importorskip("tests.ingestion.test_postgres_types")
    held = {declared: {kind} for declared, kind, _, _ in tested.AS_TEXT_OR_EXACT}
    held |= {declared: set(kind.split("|")) for declared, kind, _, _ in tested.EXACT}
    held |= {"hstore": {"string"}, "citext": {"string"}}
    said: dict[str, str] = {}
    rows = re.findall(r"^\| (`.+?`) \| (`.+?`) \|.*\|$", section("PostgreSQL"), flags=re.MULTILINE)
    for declared, kinds in rows:
        said |= dict(zip(re.findall("`([^`]+)`", declared), re.findall("`([^`]+)`", kinds), strict=True))
    assert len(said) >= 40
    assert {declared: kind for declared, kind in said.items() if kind not in held[declared]} == {}


def test_the_policies_for_zero_dates_exist() -> None:
    words = re.findall(r"^\| `(\w+)`(?: \(default\))? \| [^|]+ \|$", section("MySQL and MariaDB"), flags=re.MULTILINE)
    assert len(words) == 3
    for word in words:
        source = {"type": "database", "connection_string": "mysql://db/x", "table": "t", "zero_dates": word}
        assert config.source(source, "things").model.zero_dates == word


def test_the_options_of_the_page_are_those_that_are_known() -> None:
    from airflow_provider_mlpipe.ingestion.mysql import session

    said = set(re.findall(r"`((?:ssl_|unix_)\w+)`", section("MySQL and MariaDB")))
    assert len(said) == 8
    assert said <= session.known_options()
