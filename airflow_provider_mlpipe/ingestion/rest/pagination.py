"""From one page to the next, in the vocabulary of dlt: json_link, header_link, cursor, offset, page_number, auto.

A paginator looks at an answer and says what to ask next, or why that was all. What it can say beforehand it says in
`ahead`, so that pages can be asked for at the same time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urljoin

from airflow_provider_mlpipe.config.rest import (
    AutoPaginator,
    CursorPaginator,
    HeaderLinkPaginator,
    JsonLinkPaginator,
    OffsetPaginator,
    PageNumberPaginator,
)
from airflow_provider_mlpipe.ingestion.failures import Unreadable
from airflow_provider_mlpipe.ingestion.rest.client import Ask
from airflow_provider_mlpipe.ingestion.rest.documents import at, kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from airflow_provider_mlpipe.config import ApiSource
    from airflow_provider_mlpipe.ingestion.rest.client import Answer

__all__ = ["End", "Page", "Pager", "pager_of"]


@dataclass(frozen=True)
class Page:
    """What came, and in answer to what.

    Attributes:
        number: 1 for the first.
        ask: the request.
        answer: the answer.
        records: how many records it holds.
        read: how many all pages held so far, this one included.
    """

    number: int
    ask: Ask
    answer: Answer
    records: int
    read: int


@dataclass(frozen=True)
class End:
    """There is no further page, and why."""

    reason: str


class Pager(Protocol):
    """Comes from one page to the next."""

    name: str

    def first(self, ask: Ask) -> Ask:
        """Return the first request."""

    def after(self, page: Page) -> Ask | End:
        """Return the request after `page`."""

    def ahead(self, page: Page) -> Iterator[Ask]:
        """Yield the requests after `page` as far as they are known without their answers; none if they are not."""

    def ends_with_404(self) -> bool:
        """Return whether a 404 after the first page is the end."""


class _Sequential:
    """What most paginators have in common: each page is known from the one before only."""

    def first(self, ask: Ask) -> Ask:
        return ask

    def ahead(self, page: Page) -> Iterator[Ask]:  # noqa: ARG002 - the protocol's
        return iter(())

    def ends_with_404(self) -> bool:
        return False


@dataclass
class _Single(_Sequential):
    name: str = "single_page"

    def after(self, page: Page) -> Ask | End:  # noqa: ARG002 - the protocol's
        return End("one page was asked for")


@dataclass
class _Links(_Sequential):
    """Follows addresses; `find` returns the next one, or nothing."""

    name: str
    find: Callable[[Answer], Any]
    allows: Callable[[str], bool]
    _seen: set[str] = field(default_factory=set)

    def after(self, page: Page) -> Ask | End:
        found = self.find(page.answer)
        if found in (None, False, ""):
            return End("the last page has no link to a next one")
        if not isinstance(found, str):
            raise Unreadable(f"its link to the next page is {kind(found)}, not a text")
        target = urljoin(page.answer.url, found)
        if not self.allows(target):
            from airflow_provider_mlpipe.ingestion.connection import location_of

            raise Unreadable(
                f"its next page lies on another origin, {location_of(target)}; allow_origins can allow that"
            )
        _once(target, self._seen)
        return Ask(target)


@dataclass
class _Tokens(_Sequential):
    """Sends back the token of the last answer."""

    settings: CursorPaginator
    start: Ask
    name: str = "cursor"
    _seen: set[str] = field(default_factory=set)

    def after(self, page: Page) -> Ask | End:
        token = at(page.answer.document, self.settings.cursor_path)
        if token in (None, False, ""):
            return End("the last page has no token for a next one")
        _once(str(token), self._seen)
        return Ask(self.start.url, {**self.start.params, self.settings.cursor_param: str(token)})


@dataclass
class _TokensOrLinks(_Sequential):
    """`next_key` with `next_param`: a token, unless it is an absolute address."""

    links: _Links
    tokens: _Tokens
    name: str = "cursor"

    def after(self, page: Page) -> Ask | End:
        found = self.links.find(page.answer)
        link = isinstance(found, str) and found.startswith(("http://", "https://"))
        return (self.links if link else self.tokens).after(page)


def _once(target: str, seen: set[str]) -> None:
    if target in seen:
        raise Unreadable("it points to a page that was read already, so it would never end")
    seen.add(target)


class _Counted:
    """Pages that can be named beforehand. An endpoint that ignores the parameter gives the same page for ever."""

    name = ""
    parameter = ""

    def __init__(self) -> None:
        self._last = b""

    def _changed(self, page: Page) -> None:
        if page.records and page.answer.digest == self._last:
            raise Unreadable(
                f"it is the same as the page before it: the endpoint seems to ignore the parameter {self.parameter!r}"
            )
        self._last = page.answer.digest


class _Offsets(_Counted):
    name = "offset"

    def __init__(self, settings: OffsetPaginator, start: Ask) -> None:
        super().__init__()
        self._settings, self._start = settings, start
        self.parameter = settings.offset_param
        self._step = 0

    def first(self, ask: Ask) -> Ask:  # noqa: ARG002 - known already
        return self._ask(0)

    def _ask(self, offset: int) -> Ask:
        settings = self._settings
        params = {**self._start.params, settings.limit_param: settings.limit, settings.offset_param: offset}
        return Ask(self._start.url, params)

    def after(self, page: Page) -> Ask | End:
        self._changed(page)
        total = _total(page.answer.document, self._settings.total_path)
        if not page.records:
            if total is not None and page.read < total:
                raise Unreadable(f"it is empty, though only {page.read:,} of {total:,} records came")
            return End("the last page is empty")
        if total is not None and page.read >= total:
            return End(f"all {total:,} records came")
        if self._step and page.records != self._step:
            # The pages that were asked for at the same time supposed that each is as long as the first.
            raise Unreadable(f"it holds {page.records:,} records, the first {self._step:,}; set prefetch: 1")
        return self._ask(page.read)

    def ahead(self, page: Page) -> Iterator[Ask]:
        total = _total(page.answer.document, self._settings.total_path)
        if total is None or not page.records:
            return iter(())
        self._step = page.records
        return map(self._ask, range(page.records, total, page.records))

    def ends_with_404(self) -> bool:
        return False


class _Numbers(_Counted):
    name = "page_number"

    def __init__(self, settings: PageNumberPaginator, start: Ask) -> None:
        super().__init__()
        self._settings, self._start = settings, start
        self.parameter = settings.page_param

    def first(self, ask: Ask) -> Ask:  # noqa: ARG002 - known already
        return self._ask(1)

    def _ask(self, number: int) -> Ask:
        offset = self._settings.first_page - 1
        return Ask(self._start.url, {**self._start.params, self._settings.page_param: number + offset})

    def after(self, page: Page) -> Ask | End:
        self._changed(page)
        total = _total(page.answer.document, self._settings.total_path)
        if total is not None:
            return End(f"all {total:,} pages came") if page.number >= total else self._ask(page.number + 1)
        return self._ask(page.number + 1) if page.records else End("the last page is empty")

    def ahead(self, page: Page) -> Iterator[Ask]:
        total = _total(page.answer.document, self._settings.total_path)
        numbers = count(2) if total is None else range(2, total + 1)
        return map(self._ask, numbers)

    def ends_with_404(self) -> bool:
        return self._settings.total_path is None


def _total(document: Any, path: str | None) -> int | None:  # noqa: ANN401 - any JSON
    if path is None:
        return None
    found = at(document, path)
    if isinstance(found, str) and found.isdigit():
        return int(found)
    if isinstance(found, bool) or not isinstance(found, int) or found < 0:
        raise Unreadable(f"total_path {path!r} is {kind(found)}, not a count")
    return found


# ------------------------------------------------------------------ told from the answer

_LINKS = (
    "next", "next_url", "nextUrl", "next_link", "nextLink", "next_page_url", "@odata.nextLink", "links.next",
    "links.next.href", "_links.next", "_links.next.href", "paging.next", "paging.next.link", "pagination.next",
    "pagination.next_url", "pagination.links.next", "meta.next", "meta.links.next", "meta.pagination.links.next",
)  # fmt: skip
_TOKENS = {
    "next_cursor": "cursor", "nextCursor": "cursor", "meta.next_cursor": "cursor", "pagination.next_cursor": "cursor",
    "paging.cursors.after": "after", "response_metadata.next_cursor": "cursor", "next_page_token": "page_token",
    "nextPageToken": "pageToken",
}  # fmt: skip
_MORE = ("has_more", "hasMore", "has_next", "hasNext", "meta.has_more", "pagination.has_more", "more")
_TOTALS = ("total", "total_count", "totalCount", "total_results", "totalResults", "count", "meta.total",
           "meta.total_count", "pagination.total", "page.totalElements", "totalElements")  # fmt: skip


class _Auto(_Sequential):
    """Decides on the first answer, once."""

    def __init__(self, start: Ask, allows: Callable[[str], bool]) -> None:
        self._start, self._allows = start, allows
        self._chosen: Pager | None = None
        self.name = "auto"

    def after(self, page: Page) -> Ask | End:
        if self._chosen is None:
            chosen = self._choose(page.answer)
            if chosen is None:
                _refuse_more(page)
                return End("one page, and nothing in it speaks of more")
            self._chosen = chosen
            self.name = f"{chosen.name} (detected)"
        return self._chosen.after(page)

    def _choose(self, answer: Answer) -> Pager | None:
        if "next" in answer.links:
            return _header_link("next", self._allows)
        for path in _LINKS:
            value = at(answer.document, path)
            if isinstance(value, str) and value.startswith(("http://", "https://", "/", "?")):
                return _json_link(path, self._allows)
        for path, parameter in _TOKENS.items():
            if at(answer.document, path) and parameter not in self._start.params:
                settings = CursorPaginator(type="cursor", cursor_path=path, cursor_param=parameter)
                return _Tokens(settings, self._start)
        return None


def _refuse_more(page: Page) -> None:
    """Nobody may take the first page for everything."""
    said = _signs_of_more(page)
    if said:
        raise Unreadable(
            f"it says that there is more ({said}), but not where in a way that is known; set paginator, "
            "or paginator: single_page if this page is all that is wanted"
        )


def _signs_of_more(page: Page) -> str:
    document = page.answer.document
    for path in _MORE:
        if at(document, path) is True:
            return f"{path}: true"
    totals = {path: at(document, path) for path in _TOTALS}
    totals["X-Total-Count"] = _number(page.answer.headers.get("X-Total-Count"))
    for name, value in totals.items():
        if isinstance(value, int) and not isinstance(value, bool) and value > page.records:
            return f"{name}: {value:,}, and it holds {page.records:,}"
    left = next((path for path in (*_LINKS, *_TOKENS) if at(document, path) not in (None, False, "", {}, [])), None)
    return f"{left} is set" if left else ""


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdigit() else None


def _header_link(rel: str, allows: Callable[[str], bool]) -> _Links:
    return _Links("header_link", lambda answer: answer.links.get(rel), allows)


def _json_link(path: str, allows: Callable[[str], bool]) -> _Links:
    return _Links("json_link", lambda answer: at(answer.document, path), allows)


def pager_of(model: ApiSource, start: Ask, allows: Callable[[str], bool]) -> Pager:
    """Return what comes from page to page.

    Args:
        model: the source.
        start: its address and parameters.
        allows: whether a link may lead to an address.
    """
    if model.next_key is not None:
        links = _json_link(model.next_key, allows)
        if model.next_param is None:
            return links
        settings = CursorPaginator(type="cursor", cursor_path=model.next_key, cursor_param=model.next_param)
        return _TokensOrLinks(links, _Tokens(settings, start))
    chosen = model.paginator
    if chosen is None or isinstance(chosen, AutoPaginator):
        return _Auto(start, allows)
    makers: Mapping[type, Callable[[Any], Pager]] = {
        JsonLinkPaginator: lambda settings: _json_link(settings.next_path, allows),
        HeaderLinkPaginator: lambda settings: _header_link(settings.rel, allows),
        CursorPaginator: lambda settings: _Tokens(settings, start),
        OffsetPaginator: lambda settings: _Offsets(settings, start),
        PageNumberPaginator: lambda settings: _Numbers(settings, start),
    }
    make = makers.get(type(chosen))
    return _Single() if make is None else make(chosen)
