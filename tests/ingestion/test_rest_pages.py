"""From page to page: every paginator against a server that pages so, and every way in which that goes wrong."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_mlpipe import config
from airflow_provider_mlpipe.errors import ConfigError, SourceRejectedError
from tests.ingestion.support import read, rows
from tests.servers import Answer, Api, Request, json_api

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_mlpipe.artifacts import Artifact, Storage

EVERYTHING = [{"n": number} for number in range(25)]


def ask(api: Api, root: Storage, path: str = "/", **keys: Any) -> Artifact:
    return read({"type": "api", "url": api.url + path, "max_retries": 0, **keys}, root)


def numbers(artifact: Artifact) -> list[int]:
    return sorted(row["n"] for row in rows(artifact))


def pagination(artifact: Artifact) -> tuple[str, int, str]:
    told = artifact.manifest.details["pagination"]
    assert artifact.manifest.metrics["pages"] == told["pages"]
    return told["paginator"], told["pages"], told["ended"]


def by_page(request: Request, *, size: int = 10, first: int = 1, **more: Any) -> Any:
    page = int(request.query.get("page", str(first))) - first
    return {"items": EVERYTHING[page * size : (page + 1) * size], **more}


def by_offset(request: Request, *, most: int = 10, **more: Any) -> Any:
    """Give at most `most` records, whatever is asked for."""
    offset, limit = int(request.query.get("offset", "0")), int(request.query.get("limit", "10"))
    return {"items": EVERYTHING[offset : offset + min(limit, most)], **more}


def by_link(place: Callable[[Any, str | None], Any]) -> Callable[[Request], Any]:
    def answer(request: Request) -> Any:
        page = int(request.query.get("p", "0"))
        items = EVERYTHING[page * 10 : page * 10 + 10]
        following = f"http://{request.headers['Host']}/?p={page + 1}" if (page + 1) * 10 < len(EVERYTHING) else None
        return place(items, following)

    return answer


def header(items: Any, following: str | None) -> Any:
    others = '<http://x.invalid/?p=0>; rel="first"'
    link = others if following is None else f'{others}, <{following}>; rel="next"'
    return Answer({"items": items}, headers={"Link": link})


@pytest.mark.parametrize(
    ("paginator", "route", "name", "pages"),
    [
        ({"type": "json_link", "next_path": "links.next"},
         by_link(lambda items, url: {"items": items, "links": {"next": url}}), "json_link", 3),
        ("json_link", by_link(lambda items, url: {"items": items, "next": url}), "json_link", 3),
        ("header_link", by_link(header), "header_link", 3),
        ("page_number", by_page, "page_number", 4),
        ({"type": "page_number", "first_page": 0}, lambda request: by_page(request, first=0), "page_number", 4),
        ({"type": "page_number", "total_path": "meta.pages"},
         lambda request: by_page(request, meta={"pages": 3}), "page_number", 3),
        ("offset", by_offset, "offset", 4),
        ({"type": "offset", "limit": 7, "total_path": "total"},
         lambda request: by_offset(request, total="25"), "offset", 4),
    ],
)  # fmt: skip
def test_every_record_comes_once(root: Storage, paginator: Any, route: Any, name: str, pages: int) -> None:
    with json_api({"/": route}) as api:
        artifact = ask(api, root, data_key="items", paginator=paginator, params={"q": "x"})
    assert numbers(artifact) == list(range(25))
    assert pagination(artifact)[:2] == (name, pages)
    assert api.requests[0].query["q"] == "x"


def test_a_cursor_goes_back_beside_the_parameters(root: Storage) -> None:
    def answer(request: Request) -> Any:
        at = int(request.query.get("after", "0"))
        following = at + 10 if at + 10 < len(EVERYTHING) else None
        return {"items": EVERYTHING[at : at + 10], "meta": {"next": following}}

    paginator = {"type": "cursor", "cursor_path": "meta.next", "cursor_param": "after"}
    with json_api({"/": answer}) as api:
        artifact = ask(api, root, data_key="items", paginator=paginator, params={"q": "x"})
    assert numbers(artifact) == list(range(25))
    assert [request.query for request in api.requests] == [
        {"q": "x"}, {"q": "x", "after": "10"}, {"q": "x", "after": "20"}
    ]  # fmt: skip
    assert pagination(artifact) == ("cursor", 3, "the last page has no token for a next one")


@pytest.mark.parametrize("most", [10, 4])
def test_an_endpoint_that_gives_less_than_asked_for_loses_nothing(root: Storage, most: int) -> None:
    with json_api({"/": lambda request: by_offset(request, most=most)}) as api:
        artifact = ask(api, root, data_key="items", paginator={"type": "offset", "limit": 10})
    assert numbers(artifact) == list(range(25))


def test_a_404_after_the_first_page_is_the_end_of_numbered_pages_only(root: Storage) -> None:
    def answer(request: Request) -> Any:
        found = by_page(request)
        return found if found["items"] else Answer({"detail": "Invalid page."}, 404)

    with json_api({"/": answer}) as api:
        artifact = ask(api, root, data_key="items", paginator="page_number")
        assert pagination(artifact) == ("page_number", 3, "there is no further page (404)")
        with pytest.raises(SourceRejectedError, match="page 1: it answered 404"):
            ask(api, root, "/no", data_key="items", paginator="page_number")
        total = {"type": "page_number", "total_path": "pages"}
        with json_api({"/": lambda request: answer(request) | {"pages": 9} if "4" not in request.query.values()
                       else Answer("", 404)}) as other, pytest.raises(SourceRejectedError, match="page 4: .* 404"):  # fmt: skip
            ask(other, root, data_key="items", paginator=total)


# ------------------------------------------------------------------ told from the answer


@pytest.mark.parametrize(
    ("route", "name"),
    [
        (by_link(lambda items, url: {"items": items, "next": url}), "json_link (detected)"),
        (by_link(lambda items, url: {"items": items, "_links": {"next": {"href": url}}}), "json_link (detected)"),
        (by_link(lambda items, url: {"items": items, "@odata.nextLink": url}), "json_link (detected)"),
        (by_link(header), "header_link (detected)"),
    ],
)
def test_links_are_found_without_being_told(root: Storage, route: Any, name: str) -> None:
    with json_api({"/": route}) as api:
        artifact = ask(api, root, data_key="items")
    assert numbers(artifact) == list(range(25))
    assert pagination(artifact)[:2] == (name, 3)


def test_a_token_of_a_customary_name_is_found_without_being_told(root: Storage) -> None:
    def answer(request: Request) -> Any:
        at = int(request.query.get("pageToken", "0"))
        return {"items": EVERYTHING[at : at + 10], "nextPageToken": str(at + 10) if at < 20 else ""}

    with json_api({"/": answer}) as api:
        assert numbers(ask(api, root, data_key="items")) == list(range(25))


@pytest.mark.parametrize(
    ("answer", "sign"),
    [
        ({"items": EVERYTHING[:10], "total": 25}, "total: 25, and it holds 10"),
        ({"items": EVERYTHING[:10], "has_more": True}, "has_more: true"),
        ({"items": EVERYTHING[:10], "next": 2}, "next is set"),
        (Answer({"items": EVERYTHING[:10]}, headers={"X-Total-Count": "25"}), "X-Total-Count: 25, and it holds 10"),
    ],
)
def test_the_first_page_is_never_taken_for_everything(root: Storage, answer: Any, sign: str) -> None:
    with json_api({"/": answer}) as api:
        with pytest.raises(SourceRejectedError, match=rf"page 1: it says that there is more \({sign}\)") as caught:
            ask(api, root, data_key="items")
        assert "paginator: single_page" in str(caught.value)
        artifact = ask(api, root, data_key="items", paginator="single_page")
    assert numbers(artifact) == list(range(10))
    assert pagination(artifact) == ("single_page", 1, "one page was asked for")


def test_one_page_that_speaks_of_no_more_is_one_page(root: Storage) -> None:
    with json_api({"/": {"items": EVERYTHING, "total": 25, "next": None, "has_more": False}}) as api:
        artifact = ask(api, root, data_key="items")
    assert pagination(artifact) == ("auto", 1, "one page, and nothing in it speaks of more")


# ------------------------------------------------------------------ what goes wrong


@pytest.mark.parametrize(
    ("paginator", "answer", "message"),
    [
        ("page_number", {"items": EVERYTHING[:3]}, "page 2: it is the same as the page before it.*parameter 'page'"),
        ("offset", {"items": EVERYTHING[:3]}, "page 2: it is the same as the page before it.*parameter 'offset'"),
        ({"type": "offset", "total_path": "total"}, lambda request: by_offset(request, total=40),
         "page 4: it is empty, though only 25 of 40 records came"),
        ({"type": "offset", "total_path": "totl"}, by_offset, "page 1: total_path 'totl' is null, not a count"),
        ("json_link", {"items": [], "next": ["/b"]}, "page 1: its link to the next page is a list, not a text"),
    ],
)  # fmt: skip
def test_a_broken_page_names_itself_and_what_is_wrong(root: Storage, paginator: Any, answer: Any, message: str) -> None:
    with json_api({"/": answer}) as api, pytest.raises(SourceRejectedError, match=message):
        ask(api, root, data_key="items", paginator=paginator)


def test_a_later_page_that_is_no_json_is_named(root: Storage) -> None:
    def answer(request: Request) -> Any:
        return (
            Answer("<html>", headers={"Content-Type": "text/html"})
            if request.query["page"] == "3"
            else by_page(request)
        )

    with (
        json_api({"/": answer}) as api,
        pytest.raises(SourceRejectedError, match="page 3: it answered text/html that is no JSON"),
    ):
        ask(api, root, data_key="items", paginator="page_number")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"paginator": "pages"}, "unknown value 'pages'"),
        ({"paginator": {"type": "offset", "limt": 3}}, "'limt'.*Did you mean 'limit'"),
        ({"paginator": {"type": "cursor"}}, "the key 'cursor_path' is missing"),
        ({"paginator": "auto", "next_key": "next"}, "short form of paginator; give one of the two"),
        ({"next_param": "cursor"}, "next_param needs next_key"),
        ({"rate_limit": "fast"}, "not a rate such as 10/s"),
        ({"max_bytes": "lots"}, "not a number of bytes such as 500MB"),
        ({"allow_origins": ["https://x.example/path"]}, "allow_origins"),
    ],
)
def test_a_wrong_configuration_is_refused_before_anything_is_asked(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config.source({"type": "api", "url": "https://x.example", **keys}, "things")


# ------------------------------------------------------------------ several at the same time


def test_known_pages_are_asked_for_together_and_come_in_order(root: Storage) -> None:
    together = threading.Barrier(3, timeout=20)

    def answer(request: Request) -> Any:
        if request.query["page"] in {"2", "3", "4"}:
            together.wait()  # passes only if all three are asked for at the same time
        return by_page(request, size=5)

    with json_api({"/": answer}) as api:
        artifact = ask(api, root, data_key="items", paginator="page_number", prefetch=3)
    assert artifact.table().column("n").to_pylist() == list(range(25))
    assert pagination(artifact)[:2] == ("page_number", 6)
    assert len(api.requests) <= 6 + 3


def test_offsets_are_asked_for_together_if_there_is_a_total(root: Storage) -> None:
    paginator = {"type": "offset", "limit": 4, "total_path": "total"}
    with json_api({"/": lambda request: by_offset(request, total=25)}) as api:
        artifact = ask(api, root, data_key="items", paginator=paginator, prefetch=4)
        assert numbers(artifact) == list(range(25))
        assert len(api.requests) == 7
    shrinking = {"/": lambda request: by_offset(request, most=4 if request.query["offset"] == "0" else 3, total=25)}
    with (
        json_api(shrinking) as api,
        pytest.raises(SourceRejectedError, match="holds 3 records, the first 4; set prefetch: 1"),
    ):
        ask(api, root, data_key="items", paginator=paginator, prefetch=4)


def test_an_error_of_a_page_that_was_asked_for_early_is_that_pages(root: Storage) -> None:
    def answer(request: Request) -> Any:
        return Answer("", 500) if request.query["page"] == "3" else by_page(request, size=2)

    with json_api({"/": answer}) as api, pytest.raises(Exception, match="page 3: it answered 500"):
        ask(api, root, data_key="items", paginator="page_number", prefetch=4)
