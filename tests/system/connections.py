"""The "Test" button of a connection form, asked for over the API: in the API server, and on a worker."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests import servers
from tests.system.stack import SERVICES, SLOW

if TYPE_CHECKING:
    from pathlib import Path

    from tests.system.stack import Stack

__all__ = ["test_the_test_button_says_whether_feast_answers", "test_the_test_button_works_on_a_worker"]

PASSWORD = "0nline-p4ss:word/%40"


def feast(name: str, password: str | None = None, **fields: Any) -> dict[str, Any]:
    """Return what the form sends for a connection of type feast."""
    return {"connection_id": name, "conn_type": "feast", "password": password, "extra": json.dumps(fields)}


def silent(stack: Stack) -> dict[str, Any]:
    """Return a connection whose online store is not there; its registry would be."""
    (port,) = servers.free_ports()
    place = {"registry": f"{stack.home}/registry.db", "online_type": "redis", "online_connection": f"127.0.0.1:{port}"}
    return feast("silent", PASSWORD, **place, registry_password=PASSWORD[::-1])


def test_the_test_button_says_whether_feast_answers(stack: Stack, tmp_path: Path) -> None:
    good = feast(
        "good", registry=f"{tmp_path}/registry.db", online_connection=f"{tmp_path}/online.db", online_type="sqlite"
    )
    asked = {
        body["connection_id"]: stack.api.call("POST", "/api/v2/connections/test", body)
        for body in (good, silent(stack), feast("mistaken", PASSWORD, regsitry="r.db"))
    }

    works = "Registry and online store answer. No feature view is registered yet."
    assert asked["good"] == {"status": True, "message": works}
    assert [asked[name]["status"] for name in ("silent", "mistaken")] == [False, False]
    assert "could not ask the online store" in asked["silent"]["message"]
    assert "Did you mean 'registry'" in asked["mistaken"]["message"]
    for told in (json.dumps(asked), *map(stack.output, SERVICES)):
        assert PASSWORD not in told
        assert PASSWORD[::-1] not in told


def test_the_test_button_works_on_a_worker(stack: Stack, tmp_path: Path) -> None:
    good = feast(
        "good_on_worker", registry=f"{tmp_path}/r.db", online_connection=f"{tmp_path}/o.db", online_type="sqlite"
    )
    bad = silent(stack)
    tokens = {
        body["connection_id"]: stack.api.call("POST", "/api/v2/connections/enqueue-test", body)["token"]
        for body in (good, bad)
    }

    def answer(name: str) -> dict[str, Any]:
        given = {"Airflow-Connection-Test-Token": tokens[name]}
        found: dict[str, Any] = stack.api.get("/api/v2/connections/enqueue-test", given)
        return found

    for name in tokens:
        servers.until(
            lambda name=name: answer(name)["state"] in {"success", "failed"}, f"{name} is tested", seconds=SLOW
        )
    assert {name: answer(name)["state"] for name in tokens} == {"good_on_worker": "success", "silent": "failed"}
    assert "could not ask the online store" in answer("silent")["result_message"]
    for told in (json.dumps([answer(name) for name in tokens]), *map(stack.output, SERVICES)):
        assert PASSWORD not in told
        assert PASSWORD[::-1] not in told
