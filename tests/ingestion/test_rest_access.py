"""Who asks, how fast, how long, how much; and that credentials stay with the origin that they are for."""

from __future__ import annotations

import base64
import gzip
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_mlpipe import config
from airflow_provider_mlpipe.errors import ConfigError, SourceRejectedError, SourceUnavailableError
from airflow_provider_mlpipe.ingestion import Connection
from airflow_provider_mlpipe.ingestion.failures import Overloaded
from airflow_provider_mlpipe.ingestion.pipeline import transfer
from airflow_provider_mlpipe.ingestion.rest.limits import Deadline, Pace
from airflow_provider_mlpipe.ingestion.rest.reader import ApiReader
from airflow_provider_mlpipe.ingestion.target import ArtifactTarget
from tests.ingestion.support import DAY, read, rows
from tests.servers import Answer, Api, Request, json_api

if TYPE_CHECKING:
    from airflow_provider_mlpipe.artifacts import Artifact, Storage

SECRET = "s3cr3t-0f-the-test"


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def ask(api: Api, root: Storage, path: str = "/", connection: Connection | None = None, **keys: Any) -> Artifact:
    return read({"type": "api", "url": api.url + path, "max_retries": 0, **keys}, root, connection=connection)


def timed(api: Api, root: Storage, clock: Clock, **keys: Any) -> Artifact:
    source = config.source({"type": "api", "url": api.url + "/", **keys}, "things")
    reader = ApiReader(source, source.model, Connection(), run=DAY, sleep=clock.sleep, clock=clock)
    artifact: Artifact = transfer(source, reader, ArtifactTarget(root=root, source=source, run=DAY))
    return artifact


# ------------------------------------------------------------------ credentials


@pytest.mark.parametrize("stated", [True, False])
@pytest.mark.parametrize(
    ("auth", "given", "name", "value"),
    [
        ("basic", {"username": "ann", "password": SECRET}, "Authorization",
         f"Basic {base64.b64encode(f'ann:{SECRET}'.encode()).decode()}"),
        ("bearer", {"token": SECRET}, "Authorization", f"Bearer {SECRET}"),
        ("api_key", {"key": SECRET}, "X-API-Key", SECRET),
    ],
)  # fmt: skip
def test_credentials_come_from_the_configuration_or_the_connection(
    root: Storage, stated: bool, auth: str, given: dict[str, str], name: str, value: str
) -> None:
    with json_api({"/": [{"a": 1}]}) as api:
        connection = None if stated else Connection(uri=api.url, auth=("ann", SECRET))
        ask(api, root, connection=connection, auth={"type": auth, **(given if stated else {})})
    assert api.requests[0].headers[name] == value


def test_a_key_in_the_query_goes_with_every_page_and_into_no_message(
    root: Storage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    def answer(request: Request) -> Any:
        assert request.query["key"] == SECRET
        page = int(request.query.get("p", "0"))
        return {"items": [{"p": page}], "next": f"/?p={page + 1}" if page < 2 else None}

    auth = {"type": "api_key", "name": "key", "key": SECRET, "place": "query"}
    with json_api({"/": answer, "/bad": lambda request: Answer(str(request.query), 400)}) as api:
        artifact = ask(api, root, data_key="items", auth=auth)
        with pytest.raises(SourceRejectedError) as caught:
            ask(api, root, "/bad", auth=auth)
    assert len(rows(artifact)) == 3
    manifest = (artifact.place.read("_manifest.json") or b"").decode()
    assert SECRET not in caplog.text + str(caught.value) + manifest


def test_a_credential_that_nobody_gives_is_an_error_that_names_it() -> None:
    source = config.source({"type": "api", "url": "https://x.example", "auth": {"type": "bearer"}}, "things")
    with pytest.raises(ConfigError, match="token is neither here nor in a connection"):
        ApiReader(source, source.model, Connection(), run=DAY)


# ------------------------------------------------------------------ OAuth 2.0


def tokens(*answers: Any) -> dict[str, Any]:
    """A token endpoint that gives `answers` in turn, then the last one for ever."""
    left = list(answers)
    return {"/token": lambda _: left.pop(0) if len(left) > 1 else left[0]}


def oauth(api: Api, **keys: Any) -> dict[str, Any]:
    given = {"client_id": "an id", "client_secret": SECRET}
    return {"type": "oauth2_client_credentials", "token_url": f"{api.url}/token", **given, **keys}


@pytest.mark.parametrize("place", ["header", "body"])
def test_a_token_is_fetched_once_and_used_for_all_pages(root: Storage, place: str) -> None:
    def answer(request: Request) -> Any:
        if request.headers.get("Authorization") != "Bearer t1":
            return Answer("", 401)
        page = int(request.query.get("page", "1"))
        return [{"page": page}] if page < 4 else []

    routes = tokens({"access_token": "t1", "expires_in": "3600"}) | {"/": answer}
    with json_api(routes) as api:
        auth = oauth(api, scope="read all", parameters={"audience": "tasks"}, credentials_in=place)
        artifact = ask(api, root, auth=auth, paginator="page_number")
    assert len(rows(artifact)) == 3
    asked = [request for request in api.requests if request.path == "/token"]
    assert len(asked) == 1
    form, header = asked[0].form, asked[0].headers.get("Authorization", "")
    assert (asked[0].method, form["grant_type"], form["scope"], form["audience"]) == (
        "POST", "client_credentials", "read all", "tasks"
    )  # fmt: skip
    if place == "header":
        assert base64.b64decode(header.removeprefix("Basic ")).decode() == f"an+id:{SECRET}"  # RFC 6749, 2.3.1
        assert "client_secret" not in form
    else:
        assert (form["client_id"], form["client_secret"], header) == ("an id", SECRET, "")


def test_a_token_is_renewed_before_it_runs_out_and_after_it_was_withdrawn(root: Storage) -> None:
    good = {"t1", "t2"}
    seen: list[str] = []

    def answer(request: Request) -> Any:
        seen.append(request.headers["Authorization"].removeprefix("Bearer "))
        page = int(request.query["page"])
        if page == 3:
            good.discard("t2")  # withdrawn, long before it runs out
        return Answer("", 401) if seen[-1] not in good else ([{"page": page}] if page < 4 else [])

    lives = [{"access_token": f"t{number}", "expires_in": 60 if number == 1 else 9999} for number in (1, 2, 3)]
    good.add("t3")
    clock = Clock()
    with json_api(tokens(*lives) | {"/": answer}) as api:
        # A request per 40 seconds: the first token, good for 60, is too old for the second page.
        timed(api, root, clock, auth=oauth(api), paginator="page_number", rate_limit="1.5/m")
    assert seen == ["t1", "t2", "t2", "t3", "t3"]


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (Answer({"error": "invalid_client", "secret": SECRET}, 401), SourceRejectedError,
         r"the token endpoint answered 401 \(invalid_client\) and no token"),
        (Answer("<html>", 200), SourceRejectedError, "answered 200 and no token"),
        (Answer("", 503), SourceUnavailableError, "the token endpoint answered 503"),
    ],
)  # fmt: skip
def test_a_token_endpoint_that_gives_none_is_explained(
    root: Storage, answer: Answer, error: type[Exception], message: str
) -> None:
    with json_api(tokens(answer)) as api, pytest.raises(error, match=message) as caught:
        ask(api, root, auth=oauth(api))
    assert SECRET not in str(caught.value)


def test_a_fresh_token_that_is_refused_is_not_asked_for_without_end(root: Storage) -> None:
    echo = {"/": lambda request: Answer(f"who is {request.headers['Authorization']}?", 401)}
    with (
        json_api(tokens({"access_token": SECRET}) | echo) as api,
        pytest.raises(SourceRejectedError, match="it answered 401") as caught,
    ):
        ask(api, root, auth=oauth(api))
    assert [request.path for request in api.requests] == ["/token", "/", "/token", "/"]
    assert SECRET not in str(caught.value)


# ------------------------------------------------------------------ other origins


def test_an_allowed_origin_is_followed_without_credentials(root: Storage) -> None:
    with json_api({"/page": {"items": [{"n": 2}]}, "/moved": {"items": [{"n": 3}]}}) as other:
        routes = {"/": {"items": [{"n": 1}], "next": f"{other.url}/page"},
                  "/old": Answer("", 302, {"Location": f"{other.url}/moved"})}  # fmt: skip
        keys = {"data_key": "items", "auth": {"type": "bearer", "token": SECRET}, "headers": {"X-Team": SECRET}}
        with json_api(routes) as api:
            found = rows(ask(api, root, **keys, allow_origins=[other.url]))
            moved = rows(ask(api, root, "/old", **keys, allow_origins=[f"{other.url}/"]))
            with pytest.raises(SourceRejectedError, match="another origin.*allow_origins can allow that"):
                ask(api, root, **keys)
    assert [row["n"] for row in found + moved] == [1, 2, 3]
    assert len(other.requests) == 2
    assert SECRET not in str([request.headers for request in other.requests])
    assert SECRET in str([request.headers for request in api.requests])


# ------------------------------------------------------------------ how fast, how long, how much


def test_requests_keep_their_distance(root: Storage) -> None:
    clock = Clock()
    with json_api(
        {"/": lambda request: [{"n": 1, "page": request.query["page"]}] if request.query["page"] < "4" else []}
    ) as api:
        timed(api, root, clock, paginator="page_number", rate_limit="120/m")
    assert clock.slept == [0.5, 0.5, 0.5]


def test_a_pace_does_not_hurry_after_a_pause() -> None:
    clock = Clock()
    pace = Pace(2.0, sleep=clock.sleep, clock=clock)
    pace.wait()
    clock.now = 10.0
    pace.wait()
    pace.wait()
    assert clock.slept == [0.5]


def test_waiting_ends_with_the_deadline(root: Storage) -> None:
    clock = Clock()
    with (
        json_api({"/": Answer("", 429, {"Retry-After": "40"})}) as api,
        pytest.raises(SourceUnavailableError, match="it answered 429|longer than deadline = 90s"),
    ):
        timed(api, root, clock, deadline="90s", max_retries=20)
    assert clock.now <= 90
    assert len(api.requests) == 3


def test_a_deadline_that_has_passed_says_so() -> None:
    clock = Clock()
    deadline = Deadline(60, "1m", clock=clock)
    deadline.check()
    clock.now = 60
    with pytest.raises(Overloaded, match="longer than deadline = 1m"):
        deadline.check()


def test_more_bytes_than_allowed_stop_the_read_also_unpacked_ones(root: Storage) -> None:
    page = [{"text": "x" * 900, "n": number} for number in range(100)]
    packed = Answer(
        gzip.compress(json.dumps([{"text": "x" * 3_000_000}]).encode()), headers={"Content-Encoding": "gzip"}
    )
    many = {"/": lambda request: [{**row, "page": request.query.get("page")} for row in page], "/packed": packed}
    with json_api(many) as api:
        with pytest.raises(SourceRejectedError, match="page 1: one answer is longer than max_page_bytes = 50,000"):
            ask(api, root, max_page_bytes="50kB")
        with pytest.raises(
            SourceRejectedError, match="page 3: the answers are longer than max_bytes = 200,000 together"
        ):
            ask(api, root, paginator="page_number", max_bytes=200_000)
        with pytest.raises(SourceRejectedError, match="one answer is longer than max_page_bytes"):
            ask(api, root, "/packed", max_page_bytes="1MB")
