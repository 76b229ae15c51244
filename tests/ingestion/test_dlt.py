"""Resources of dlt: what they yield goes our way, their errors become ours, and dlt leaves no trace."""

from __future__ import annotations

import gc
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_mlpipe.errors import ConfigError, SourceRejectedError, SourceUnavailableError
from airflow_provider_mlpipe.run import Run
from tests.ingestion.support import counts, quarantined, read, rows
from tests.servers import Answer, Request, json_api

if TYPE_CHECKING:
    from airflow_provider_mlpipe.artifacts import Storage

pytest.importorskip("dlt", reason="no dlt: pip install 'airflow-provider-mlpipe[dlt]'")

HERE = "tests.ingestion.dlt_resources"


def dlt(name: str, **keys: Any) -> dict[str, Any]:
    return {"type": "dlt", "resource": name if ":" in name else f"{HERE}:{name}", **keys}


@pytest.fixture(autouse=True)
def nothing_of_dlts_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """No connection that leaves this machine, no folder of dlt's."""
    connect = socket.socket.connect

    def local(self: socket.socket, address: Any) -> Any:
        assert address[0] in {"127.0.0.1", "localhost"}, address
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", local)
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    yield
    assert not (tmp_path / "dlt").exists()


def test_airflow_is_not_imported_for_a_setting(tmp_path: Path) -> None:
    """dlt would look into Airflow's variables for each of its settings, in whatever database there is."""
    program = f"""
import sys
from airflow_provider_mlpipe import config
from airflow_provider_mlpipe.artifacts import Storage
from airflow_provider_mlpipe.ingestion import ingest
from airflow_provider_mlpipe.run import Run
source = config.source({{"type": "dlt", "resource": "{HERE}:tables"}}, "things")
assert ingest(source, root=Storage({str(tmp_path)!r}), run=Run()).manifest.rows == 3
assert not [name for name in sys.modules if name.startswith("airflow.models")]
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[2])


def test_records_of_every_kind(root: Storage) -> None:
    artifact = read(dlt("kinds"), root)
    assert {item.name: str(item.type) for item in artifact.schema} == {
        "at": "timestamp[us, tz=UTC]", "price": "string", "by": "string", "n": "string",
    }  # fmt: skip
    assert rows(artifact) == [
        {"at": datetime(2026, 1, 15, 0, tzinfo=UTC), "price": None, "by": None, "n": "1"},
        {"at": datetime(2026, 1, 15, 4, 30, tzinfo=UTC), "price": "1.10", "by": '{"name":"Ann"}', "n": str(2**63)},
    ]
    assert quarantined(artifact) == [("record 3 is a str, not an object", {"value": "no record"})]
    assert counts(artifact) == (3, 2, 1, 0)


def test_nested_values_and_declared_types_are_as_elsewhere(root: Storage) -> None:
    artifact = read(dlt("kinds", nested="struct", types={"price": "decimal(10,2)"}), root)
    assert str(artifact.schema.field("by").type) == "struct<name: string>"
    assert str(artifact.schema.field("price").type) == "decimal128(10, 2)"
    assert "by__name" in read(dlt("kinds", nested="flatten"), root).schema.names


def test_tables_keep_their_types(root: Storage) -> None:
    artifact = read(dlt("tables", batch_size=1), root)
    assert [str(kind) for kind in artifact.schema.types] == ["int16", "string"]
    assert rows(artifact) == [{"id": 1, "name": "a"}, {"id": 2, "name": None}, {"id": 3, "name": "c"}]
    assert rows(read(dlt("frames"), root)) == [{"id": 1}, {"id": 2}]


@pytest.mark.parametrize(
    ("name", "message"),
    [("changing_tables", "a later table has other types"), ("tables_and_records", "yields tables and records")],
)
def test_tables_that_change_are_refused(root: Storage, name: str, message: str) -> None:
    with pytest.raises(SourceRejectedError, match=message):
        read(dlt(name), root)


def test_one_resource_of_a_source_is_selected(root: Storage) -> None:
    assert counts(read(dlt("shop", select="tables"), root))[0] == 3
    with pytest.raises(ConfigError, match="more than one resource.*\n.*It has: kinds, tables"):
        read(dlt("shop"), root)
    with pytest.raises(ConfigError, match="no resource 'table' in the source. Did you mean 'tables'"):
        read(dlt("shop", select="table"), root)


def test_the_interval_goes_into_arguments(root: Storage) -> None:
    [row] = rows(read(dlt("since", arguments={"start": "{start}"}), root))
    assert row["start"] == datetime(2026, 1, 13, 2, tzinfo=UTC)
    with pytest.raises(ConfigError, match=r"\{start\} needs a data interval"):
        read(dlt("since", arguments={"start": "{start}"}), root, Run())


def test_an_incremental_hint_begins_where_it_says_in_every_run(root: Storage) -> None:
    for _ in range(2):  # nothing is remembered from one to the next
        assert [row["id"] for row in rows(read(dlt("cursor"), root))] == [2, 3]
    told = read(dlt("cursor", arguments={"at": "2026-01-14"}), root)
    assert [row["id"] for row in rows(told)] == [3]
    cut = read(dlt("cursor", incremental={"cursor_column": "at"}), root)
    assert [row["id"] for row in rows(cut)] == [3]  # 2026-01-13 is before 02:00


@pytest.mark.filterwarnings("ignore:.*unclosed.*:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_dlts_own_rest_source(root: Storage) -> None:
    def page(request: Request) -> Any:
        start = int(request.query.get("offset", "0"))
        items = [{"id": number, "tags": ["x"]} for number in range(start, min(start + 10, 25))]
        return {"items": items, "total": 25}

    with json_api({"/tasks": page, "/gone": Answer({"error": "gone"}, status=404)}) as api:
        paginator = {"type": "offset", "limit": 10, "total_path": "total"}
        tasks = {"name": "tasks", "endpoint": {"path": "tasks", "data_selector": "items", "paginator": paginator}}
        gone = {"name": "gone", "endpoint": {"path": "gone", "paginator": "single_page"}}
        config = {"client": {"base_url": api.url}, "resources": [tasks, gone]}
        source = dlt("dlt.sources.rest_api:rest_api_source", arguments={"config": config})
        artifact = read({**source, "select": "tasks"}, root)
        assert counts(artifact) == (25, 25, 0, 0)
        assert rows(artifact)[0] == {"id": 0, "tags": '["x"]'}
        with pytest.raises(SourceRejectedError, match="404"):
            read({**source, "select": "gone"}, root)
    gc.collect()  # dlt's client leaves its connection to the collector


def test_what_a_resource_raises_says_whether_to_try_again(root: Storage) -> None:
    with pytest.raises(SourceRejectedError, match="KeyError: 'nope'"):
        read(dlt("breaks", arguments={"how": "key"}), root)
    with pytest.raises(SourceUnavailableError, match="ConnectionResetError: reset by peer"):
        read(dlt("breaks", arguments={"how": "network"}), root)


def test_an_argument_from_the_environment_is_told_to_nobody(
    tmp_path: Path, root: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_mlpipe import config
    from airflow_provider_mlpipe.ingestion import ingest

    monkeypatch.setenv("SHOP_TOKEN", "wrong")
    file = tmp_path / "ingestion.yaml"
    file.write_text(
        f"sources:\n  things:\n    type: dlt\n    resource: {HERE}:since\n"
        '    arguments: {start: "2026", token: "${SHOP_TOKEN}"}\n'
    )
    with pytest.raises(SourceRejectedError, match=r"token \*\*\* refused") as caught:
        ingest(config.source(file, "things"), root=root, run=Run())
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"resource": "nowhere.at_all:x"}, "there is no module 'nowhere'"),
        ({"resource": f"{HERE}:contents"}, "has no 'contents'. Did you mean 'content'"),
        ({"resource": f"{HERE}:plain"}, "gives a int, neither a resource nor a source"),
        ({"resource": f"{HERE}:HERE"}, "has no 'HERE'"),
        ({"resource": f"{HERE}:content", "arguments": {"paht": "x"}}, "missing a required argument: 'path'"),
        ({"resource": "no colon"}, "resource"),
    ],
)
def test_a_resource_that_is_not_there_is_explained(root: Storage, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read({"type": "dlt", **keys}, root)
    assert message in str(caught.value)


def test_without_dlt_the_extra_is_named(root: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dlt.extract", None)
    with pytest.raises(ConfigError, match="dlt is not installed") as caught:
        read(dlt("kinds"), root)
    assert "airflow-provider-mlpipe[dlt]" in str(caught.value.hint)
