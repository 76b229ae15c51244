"""The Dags of docs/how-to/waiting.md import without a warning, and are what the page says. tests/sensors runs them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from airflow_provider_mlpipe.config import source
from tests.docs.howto import blocks, inline, page
from tests.operators.home import environment, python

if TYPE_CHECKING:
    from pathlib import Path

LOAD = """
import json, re, sys
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization

bag = DagBag(sys.argv[1], load_op_links=False)
assert not bag.import_errors, bag.import_errors
found = {}
for dag in bag.dags.values():
    written = json.dumps(DagSerialization.to_dict(dag)["dag"]["timetable"])
    found[dag.dag_id] = {
        "tasks": {task.task_id: [type(task).__name__, task.deferrable] for task in dag.tasks},
        "watchers": re.findall(r'"classpath": "[\\w.]*\\.(\\w+)"', written),
    }
print("FOUND", json.dumps(found))
"""


def test_the_dags_are_what_the_page_says(tmp_path: Path) -> None:
    (tmp_path / "dags").mkdir()
    for number, block in enumerate(blocks(page("waiting"), "python")):
        (tmp_path / "dags" / f"page_{number}.py").write_text(block)
    ran = python("-W", "error", "-c", LOAD, str(tmp_path / "dags"), env=environment(tmp_path))
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout.rpartition("FOUND ")[2]) == {
        "tickets": {"tasks": {"ingest": ["SourceIngestOperator", True]}, "watchers": []},
        "shop": {
            "tasks": {
                "clicks_arrived": ["NewObjectsSensor", True],
                "orders_arrived": ["NewRowsSensor", True],
                "ingest_clicks": ["SourceIngestOperator", False],
                "ingest_orders": ["SourceIngestOperator", False],
            },
            "watchers": [],
        },
        "clicks": {"tasks": {"ingest": ["SourceIngestOperator", False]}, "watchers": ["NewObjectsTrigger"]},
    }


def test_the_sources_of_the_page_are_read(monkeypatch) -> None:
    monkeypatch.setenv("SHOP_DB", "sqlite:///shop.db")
    (text,) = blocks(page("waiting"), "yaml")
    assert [source(inline(text), name).model.type for name in ("clicks", "orders", "tickets")] == [
        "file",
        "database",
        "api",
    ]
