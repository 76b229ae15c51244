"""REST endpoints: paging, retries, guards, and answers that are not what they should be."""

from __future__ import annotations

import logging
import re
import traceback
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_mlpipe import config
from airflow_provider_mlpipe.errors import ConfigError, SourceRejectedError, SourceUnavailableError
from airflow_provider_mlpipe.ingestion import Connection
from airflow_provider_mlpipe.ingestion.pipeline import transfer
from airflow_provider_mlpipe.ingestion.rest.client import retry_after, same_origin
from airflow_provider_mlpipe.ingestion.rest.reader import ApiReader
from airflow_provider_mlpipe.ingestion.target import ArtifactTarget
from airflow_provider_mlpipe.run import Run
from tests.ingestion.support import DAY, counts, quarantined, read, rows
from tests.servers import Answer, Api, Request, json_api

if TYPE_CHECKING:
    from airflow_provider_mlpipe.artifacts import Artifact, Storage

TOKEN = "tok-3n-0f-the-test"


def ask(api: Api, root: Storage, path: str, **keys: Any) -> Artifact:
    return read({"type": "api", "url": api.url + path, "max_retries": 0, **keys}, root)


def ask_patiently(api: Api, root: Storage, path: str, **keys: Any) -> tuple[Artifact, list[float]]:
    """Ask with retries; return also the seconds that it wanted to wait, which it does not."""
    source = config.source({"type": "api", "url": api.url + path, **keys}, "things")
    waits: list[float] = []
    reader = ApiReader(source, source.model, Connection(), run=DAY, sleep=waits.append)
    return transfer(source, reader, ArtifactTarget(root=root, source=source, run=DAY)), waits


# ------------------------------------------------------------------ where the records are


@pytest.mark.parametrize(
    ("data_key", "document"),
    [
        (None, [{"a": 1}]),
        ("tasks", {"tasks": [{"a": 1}]}),
        ("result.items", {"result": {"items": [{"a": 1}]}}),
        ("result.items", {"result.items": [{"a": 1}]}),
        ("$.result[*].task", {"result": [{"task": {"a": 1}}]}),
        ("$.result.items", {"result": {"items": [{"a": 1}]}}),
    ],
)
def test_records_are_found(root: Storage, data_key: str | None, document: Any) -> None:
    with json_api({"/": document}) as api:
        assert rows(ask(api, root, "/", data_key=data_key)) == [{"a": 1}]


@pytest.mark.parametrize(
    ("data_key", "answer", "message"),
    [
        ("taks", {"tasks": [], "total": 0}, r"no data_key 'taks'; it has: tasks, total. Did you mean 'tasks'\?"),
        ("tasks", [1], "no data_key 'tasks'; it is a list"),
        (None, {"tasks": []}, "the answer is an object with the keys tasks, not a list of records"),
        ("tasks", {"tasks": "none"}, "tasks is a text, not a list of records"),
        ("$.nope[*]", {"tasks": []}, "matches nothing in the answer, which is an object"),
        ("$[", {"tasks": []}, "is no JSONPath"),
        (None, Answer("<html>Sign in</html>", headers={"Content-Type": "text/html; charset=utf-8"}),
         "it answered text/html that is no JSON .*: '<html>Sign in</html>'"),
        (None, Answer('[{"a": 1}'), "it answered application/json that is no JSON .unexpected end of data"),
        (None, Answer({"error": "unknown filter"}, 400), "it answered 400 Bad Request: .*unknown filter"),
        (None, Answer("", 401), "it answered 401 Unauthorized"),
        (None, Answer("", 404), "it answered 404 Not Found"),
    ],
)  # fmt: skip
def test_an_answer_that_cannot_be_read_is_terminal_and_explained(
    root: Storage, data_key: str | None, answer: Any, message: str
) -> None:
    with json_api({"/": answer}) as api, pytest.raises(SourceRejectedError, match=message) as caught:
        ask(api, root, "/", data_key=data_key, max_retries=3)
    assert len(api.requests) == 1
    assert caught.value.hint


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer("\ufeff" + '[{"n": "é"}]'), [{"n": "é"}]),
        (Answer('[{"n": "é"}]'.encode("latin-1"), headers={"Content-Type": "application/json; charset=iso-8859-1"}),
         [{"n": "é"}]),
        (Answer('[{"n": "é"}]'.encode("utf-16"), headers={"Content-Type": "application/json; charset=utf-16"}),
         [{"n": "é"}]),
        (Answer("", 204), []),
        (Answer("null"), []),
    ],
)  # fmt: skip
def test_what_servers_make_of_json(root: Storage, answer: Answer, expected: list[dict[str, Any]]) -> None:
    with json_api({"/": answer}) as api:
        assert rows(ask(api, root, "/")) == expected


def test_no_content_holds_no_records_wherever_they_would_stand(root: Storage) -> None:
    with json_api({"/": Answer("", 204)}) as api:
        assert rows(ask(api, root, "/", data_key="items")) == []


def test_a_record_that_is_no_object_is_quarantined(root: Storage) -> None:
    with json_api({"/": [{"a": 1}, "x", None, [2]]}) as api:
        artifact = ask(api, root, "/")
    assert rows(artifact) == [{"a": 1}]
    assert quarantined(artifact) == [
        ("record 2 of page 1 is a str, not an object", {"value": "x"}),
        ("record 3 of page 1 is a NoneType, not an object", {"value": None}),
        ("record 4 of page 1 is a list, not an object", {"value": [2]}),
    ]
    assert counts(artifact) == (4, 1, 3, 0)


def test_types_are_told_from_all_pages_together(root: Storage) -> None:
    pages = [
        {
            "i": 1,
            "number": 1,
            "mixed": 1,
            "nested": {"b": [1, {"c": None}]},
            "at": "2026-01-13T10:00:00Z",
            "big": 2**60,
        },
        {"i": 2, "number": 2.5, "mixed": "x", "nested": [1], "at": "2026-01-13T10:00:00.5+05:30", "big": 0.5},
        {"i": 3, "mixed": True, "late": "é", "day": "2026-01-13", "maybe": False},
    ]

    def answer(request: Request) -> Any:
        page = int(request.query.get("page", "0"))
        return {"items": [pages[page]], "next": page + 1 if page < 2 else None}

    with json_api({"/": answer}) as api:
        artifact = ask(api, root, "/", data_key="items", next_key="next", next_param="page")
    assert {name: str(artifact.schema.field(name).type) for name in artifact.schema.names} == {
        "i": "int64", "number": "double", "mixed": "string", "nested": "string", "at": "timestamp[us, tz=UTC]",
        "big": "string", "late": "string", "day": "date32[day]", "maybe": "bool",
    }  # fmt: skip
    found = sorted(rows(artifact), key=lambda row: row["i"])
    assert [row["number"] for row in found] == [1.0, 2.5, None]
    assert [row["mixed"] for row in found] == ["1", "x", "true"]
    assert [row["nested"] for row in found] == ['{"b":[1,{"c":null}]}', "[1]", None]
    assert [row["big"] for row in found] == [str(2**60), "0.5", None]
    assert found[1]["at"] == datetime(2026, 1, 13, 4, 30, 0, 500000, tzinfo=UTC)
    assert artifact.manifest.metrics["requests"] == 3
    assert artifact.manifest.details["schema_detected"] == artifact.schema.names


# ------------------------------------------------------------------ pages


def test_links_are_followed_absolute_and_relative(root: Storage) -> None:
    links = {"/a": "/b?page=2", "/b": "c?x=1", "/c": None}

    def answer(request: Request) -> Any:
        following = links[request.path]
        if request.path == "/b":
            following = f"http://{request.headers['Host']}/{following}"
        return {"items": [{"path": request.path}], "links": {"next": following}}

    with json_api(dict.fromkeys(links, answer)) as api:
        artifact = ask(api, root, "/a", data_key="items", next_key="links.next", params={"size": 5})
    assert [row["path"] for row in rows(artifact)] == ["/a", "/b", "/c"]
    assert [request.query for request in api.requests] == [{"size": "5"}, {"page": "2"}, {"x": "1"}]


def test_a_token_is_sent_as_a_parameter_beside_the_others(root: Storage) -> None:
    def answer(request: Request) -> Any:
        token = request.query.get("cursor")
        return {"items": [{"token": token}], "next": {None: "/to+k=1", "/to+k=1": "t2", "t2": ""}[token]}

    with json_api({"/": answer}) as api:
        artifact = ask(api, root, "/", data_key="items", next_key="next", next_param="cursor", params={"q": "a b"})
    assert counts(artifact)[0] == 3
    assert [request.query["q"] for request in api.requests] == ["a b"] * 3


@pytest.mark.parametrize("following", ["again", "/?page=1"])
def test_a_page_that_repeats_is_an_error_not_an_endless_loop(root: Storage, following: str) -> None:
    keys = {"next_param": "cursor"} if following == "again" else {}
    with (
        json_api({"/": {"items": [{"a": 1}], "next": following}}) as api,
        pytest.raises(SourceRejectedError, match="was read already, so it would never end"),
    ):
        ask(api, root, "/", data_key="items", next_key="next", **keys)
    assert len(api.requests) == 2


def test_more_pages_than_allowed_are_an_error_not_a_shorter_result(root: Storage) -> None:
    def answer(request: Request) -> Any:
        page = int(request.query.get("page", "0"))
        return {"items": [{"page": page}], "next": page + 1}

    with json_api({"/": answer}) as api, pytest.raises(SourceRejectedError, match="more than max_pages = 3 pages"):
        ask(api, root, "/", data_key="items", next_key="next", next_param="page", max_pages=3)
    assert len(api.requests) == 3


def test_the_interval_goes_into_the_parameters(root: Storage) -> None:
    params = {"from": "{start}", "to": "{end}", "exact": True, "n": 3}
    with json_api({"/": []}) as api:
        ask(api, root, "/", params=params)
        assert api.requests[0].query == {
            "from": "2026-01-13T02:00:00+00:00", "to": "2026-01-14T02:00:00+00:00", "exact": "true", "n": "3"
        }  # fmt: skip
        with pytest.raises(ConfigError, match="needs a data interval; this run has none"):
            read({"type": "api", "url": api.url, "params": params}, root, Run())


# ------------------------------------------------------------------ tokens stay at home


def test_no_header_leaves_the_origin(root: Storage) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "X-Api-Key": TOKEN}
    with json_api({"/": []}) as stranger:
        elsewhere = stranger.url.replace("127.0.0.1", "localhost") + "/"
        routes = {
            "/link": {"items": [], "next": elsewhere},
            "/port": {"items": [], "next": stranger.url + "/"},
            "/redirect": Answer("", 302, {"Location": elsewhere}),
            "/there": Answer("", 307, {"Location": "/here?x=1"}),
            "/here": {"items": [{"a": 1}]},
            "/circle": Answer("", 302, {"Location": "/circle"}),
        }
        with json_api(routes) as api:
            for path in ("/link", "/port"):
                with pytest.raises(SourceRejectedError, match="its next page lies on another origin"):
                    ask(api, root, path, data_key="items", next_key="next", headers=headers)
            with pytest.raises(SourceRejectedError, match="redirects to another origin"):
                ask(api, root, "/redirect", data_key="items", headers=headers)
            with pytest.raises(SourceRejectedError, match="redirects more than 5 times"):
                ask(api, root, "/circle", headers=headers)
            assert rows(ask(api, root, "/there", data_key="items", headers=headers)) == [{"a": 1}]
            assert api.requests[-1].headers["X-Api-Key"] == TOKEN
        assert stranger.requests == []


def test_an_absolute_address_off_its_connections_origin_is_refused(root: Storage) -> None:
    source = {"type": "api", "url": "http://other.example/x", "conn_id": "tasks"}
    with pytest.raises(ConfigError, match="lies on another origin than its connection"):
        read(source, root, connection=Connection(uri="http://api.example", auth=("ann", TOKEN)))


def test_the_connection_gives_base_headers_and_password(root: Storage) -> None:
    with json_api({"/v1/tasks": [{"a": 1}]}) as api:
        connection = Connection(uri=api.url + "/v1/", headers={"X-Team": "red", "X-Kept": "yes"}, auth=("ann", TOKEN))
        artifact = read({"type": "api", "url": "/tasks", "headers": {"X-Team": "blue"}}, root, connection=connection)
    assert rows(artifact) == [{"a": 1}]
    sent = api.requests[0].headers
    assert (sent["X-Team"], sent["X-Kept"]) == ("blue", "yes")
    assert sent["Authorization"].startswith("Basic ")
    with pytest.raises(ConfigError, match="must start with http"):
        read({"type": "api", "url": "/tasks"}, root)


@pytest.mark.parametrize("path", ["/echo", "/html", "/next"])
def test_no_secret_in_errors_logs_or_manifest(
    root: Storage, path: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("SIGNING", "s1gn-0f-the-test")

    def echo(request: Request) -> Any:
        said = f"{request.headers.get('Authorization')} {request.query}"
        return {
            "/echo": Answer(said, 403),
            "/html": Answer(said),
            "/next": {"items": [], "next": f"http://x.y/?t={TOKEN}"},
        }[path]

    with json_api({path: echo, "/good": {"items": [{"a": 1}]}}) as api:
        keys = {
            "headers": {"Authorization": f"Bearer {TOKEN}"}, "params": {"sig": "${SIGNING}"}, "data_key": "items",
            "next_key": "next",
        }  # fmt: skip
        with pytest.raises(SourceRejectedError) as caught:
            ask(api, root, path, **keys)
        artifact = ask(api, root, "/good", **keys)
    assert api.requests[0].query == {"sig": "s1gn-0f-the-test"}
    told = [
        str(caught.value),
        "".join(traceback.format_exception(caught.value)),
        str(caught.value.as_dict()),
        caplog.text,
    ]
    told.append((artifact.place.read("_manifest.json") or b"").decode())
    assert not re.search(f"{TOKEN}|s1gn-0f-the-test", "\n".join(told))


# ------------------------------------------------------------------ trying again


def flaky(failures: list[Answer], then: Any) -> Any:
    """Give each of `failures` once, then `then` for ever."""
    left = list(failures)
    return lambda _: left.pop(0) if left else then


def test_overload_is_waited_out_as_long_as_the_endpoint_asks(root: Storage) -> None:
    failures = [
        Answer("", 429, {"Retry-After": "7"}),
        Answer("", 503, {"Retry-After": "3600"}),
        Answer("", 500),
        Answer(status=0),
    ]
    with json_api({"/": flaky(failures, [{"a": 1}])}) as api:
        artifact, waits = ask_patiently(api, root, "/", max_retries=4)
    assert rows(artifact) == [{"a": 1}]
    assert artifact.manifest.metrics["retries"] == 4
    assert 7 <= waits[0] <= 8
    assert 60 <= waits[1] <= 61
    assert 0 <= waits[2] <= 4
    assert 0 <= waits[3] <= 8


@pytest.mark.parametrize("status", [429, 500, 502, 503, 0])
def test_what_does_not_recover_is_unavailable_not_rejected(root: Storage, status: int) -> None:
    with json_api({"/": Answer("", status)}) as api, pytest.raises(SourceUnavailableError):
        ask_patiently(api, root, "/", max_retries=2)
    assert len(api.requests) == 3


def test_refused_connections_and_slow_answers_are_unavailable(root: Storage) -> None:
    import threading

    with json_api({}) as api:
        pass
    with pytest.raises(SourceUnavailableError, match="refused"):
        ask(api, root, "/")
    done = threading.Event()
    with json_api({"/": lambda _: done.wait(20) and None}) as api:
        with pytest.raises(SourceUnavailableError, match="timed out"):
            ask(api, root, "/", timeout_seconds=0.2)
        done.set()


def test_a_date_in_retry_after_is_measured_by_the_endpoints_clock() -> None:
    now = datetime(2020, 1, 1, tzinfo=UTC)
    headers = {
        "Date": format_datetime(now, usegmt=True),
        "Retry-After": format_datetime(now + timedelta(seconds=9), usegmt=True),
    }
    assert retry_after(headers) == 9
    assert retry_after({"Retry-After": format_datetime(now, usegmt=True)}) == 0
    assert retry_after({"Retry-After": "soon"}) is None


def test_origins() -> None:
    assert same_origin("https://api.example/x", "https://api.example:443/y")
    assert not same_origin("https://api.example/x", "https://api.example.evil/x")
    assert not same_origin("https://api.example/x", "http://api.example/x")
    assert not same_origin("http://api.example:8080/x", "https://api.example/x")
