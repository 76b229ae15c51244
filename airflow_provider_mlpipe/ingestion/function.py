"""Rows that a function of Python returns or yields, as a source."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.ingestion.items import is_table, stream_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_mlpipe.config import Configured, FunctionSource, Source
    from airflow_provider_mlpipe.ingestion.stream import Stream

__all__ = ["FunctionReader", "Raised"]


class Raised(Exception):  # noqa: N818 - users never see it: `ingest` raises the error itself
    """An error of the function that yields the rows. It is its author's, and reaches the author as it is."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class FunctionReader:
    """Reads what a function gave: rows, pages of rows, or tables.

    Args:
        source: the configured source.
        model: what it says.
        rows: what the function returned: a table, or an iterable of rows, lists of rows or tables. A generator is read
            as it yields.

    Raises:
        ConfigError: `rows` is nothing of the kind.
    """

    location = "a function"

    def __init__(self, source: Configured[Source], model: FunctionSource, rows: Any) -> None:  # noqa: ANN401
        self._model = model
        if rows is None:
            raise ConfigError.invalid(
                where=source.where("type"), key=f"source {source.name!r}", problem="nobody gave its rows",
                hint="Rows of type: function come from a function: decorate it with @task.mlpipe_ingest, "
                "or call ingest(..., rows=...).",
            )  # fmt: skip
        if isinstance(rows, (str, bytes, Mapping)) or not (is_table(rows) or isinstance(rows, Iterable)):
            raise ConfigError.invalid(
                where=source.where("type"), key=f"source {source.name!r}",
                problem=f"a {type(rows).__name__} is no rows",
                hint="Return or yield mappings (one per row), lists of them, Arrow tables or batches, or DataFrames.",
            )  # fmt: skip
        self._rows = rows

    @property
    def secrets(self) -> frozenset[str]:
        """None that we know of."""
        return frozenset()

    @contextmanager
    def open(self) -> Iterator[Stream]:
        """Give the rows, with types told from all of them unless they came with a schema."""
        items = self._items()
        try:
            with stream_of(items, self._model) as stream:
                yield stream
        finally:
            items.close()
            if isinstance(self._rows, Generator):
                self._rows.close()  # what a generator holds open is let go of now, not when Python comes to it

    def _items(self) -> Any:  # noqa: ANN401 - a generator of whatever the function gives
        if is_table(self._rows):
            yield self._rows
            return
        iterator = iter(self._rows)
        while True:
            try:
                item = next(iterator)
            except StopIteration:
                return
            except Exception as error:
                raise Raised(error) from error
            yield item
