"""Taking one page after the other, or several at the same time; they come in order in any case."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_mlpipe.ingestion.failures import Overloaded, Unreadable
from airflow_provider_mlpipe.ingestion.rest.client import NotFound
from airflow_provider_mlpipe.ingestion.rest.pagination import End, Page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_mlpipe.ingestion.rest.client import Answer, Ask, RestClient
    from airflow_provider_mlpipe.ingestion.rest.pagination import Pager

__all__ = ["pages"]


def pages(
    client: RestClient,
    pager: Pager,
    start: Ask,
    records_of: Callable[[int, Answer], list[Any]],
    *,
    max_pages: int,
    prefetch: int,
    ended: Callable[[int, str], None],
) -> Iterator[tuple[int, list[Any]]]:
    """Yield number and records of every page, in order.

    Args:
        client: an open session.
        pager: says what to ask next.
        start: address and parameters.
        records_of: finds the records in the answer of a page.
        max_pages: more are an error.
        prefetch: requests at the same time, where the pager knows them beforehand.
        ended: called at the end with the number of pages and why there are no more.

    Raises:
        Overloaded, Unreadable: with the page that they are about.
    """
    asks = pager.first(start)
    number = read = 0
    with _Fetcher(client, prefetch) as fetcher:
        following: Ask | End = asks
        while not isinstance(following, End):
            number += 1
            with _named(number):
                if number > max_pages:
                    raise Unreadable(f"there are more than max_pages = {max_pages:,} pages; raise it, or ask for less")
                try:
                    answer = fetcher.take(following)
                except NotFound:
                    if number == 1 or not pager.ends_with_404():
                        raise
                    number -= 1
                    following = End("there is no further page (404)")
                    break
                records = records_of(number, answer)
                read += len(records)
                page = Page(number, following, answer, len(records), read)
                if number == 1 and prefetch > 1:
                    fetcher.expect(pager.ahead(page))
            yield number, records
            with _named(number):
                following = pager.after(page)
    ended(number, following.reason)


@contextmanager
def _named(number: int) -> Iterator[None]:
    """Say which page an error is about."""
    try:
        yield
    except Overloaded as error:
        raise Overloaded(f"page {number}: {error}", error.wait) from error
    except NotFound as error:
        raise NotFound(f"page {number}: {error}") from error
    except Unreadable as error:
        raise Unreadable(f"page {number}: {error}") from error


class _Fetcher:
    """Asks when it is asked to, or a few requests ahead of that."""

    def __init__(self, client: RestClient, ahead: int) -> None:
        self._client, self._ahead = client, ahead
        self._expected: Iterator[Ask] = iter(())
        self._running: deque[tuple[Ask, Future[Answer]]] = deque()
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._pool is not None:
            # Requests that run cannot be called back; their answers are read to the end, and nobody looks at them. Who
            # was told to stop does not wait for that.
            stopped = kind is not None and not issubclass(kind, Exception | GeneratorExit)
            self._pool.shutdown(wait=not stopped, cancel_futures=True)

    def expect(self, asks: Iterator[Ask]) -> None:
        """Begin to ask for what will be taken next."""
        self._expected = asks
        self._pool = ThreadPoolExecutor(self._ahead, thread_name_prefix="mlpipe-pages")
        self._fill()

    def _fill(self) -> None:
        while self._pool is not None and len(self._running) < self._ahead:
            ask = next(self._expected, None)
            if ask is None:
                return
            self._running.append((ask, self._pool.submit(self._client.get, ask)))

    def take(self, ask: Ask) -> Answer:
        """Return the answer to `ask`, which may be here already."""
        if not self._running or self._running[0][0] != ask:
            return self._client.get(ask)
        _, running = self._running.popleft()
        answer = running.result()
        self._fill()
        return answer
