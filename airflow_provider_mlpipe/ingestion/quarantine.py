"""Rows that could not be read as the schema says: kept as text with the reason, next to the artifact they missed."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_mlpipe.wording import MAX_SAMPLES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from types import TracebackType

    import pyarrow as pa

    from airflow_provider_mlpipe.ingestion.stream import Rejected

__all__ = ["Quarantine", "quarantine_schema", "row_text"]

ROWS_AT_A_TIME = 4096


def quarantine_schema() -> pa.Schema:
    """Return the columns of a quarantine: what was broken and why, where the source has the row, the row as JSON text.

    The run stands in the manifest of the quarantine's artifact, like that of every artifact.
    """
    import pyarrow as pa

    names = ("rule", "reason", "position", "row")
    return pa.schema([pa.field(name, pa.string(), nullable=name == "position") for name in names])


class Quarantine:
    """Collects rejected rows; opens its place only when there is one.

    Args:
        place: opens a writer with `write` (a batch) and `publish`.
        always: publish even without rows, because an earlier attempt left some.

    Attributes:
        rows: how many there are.
        reasons: the first few.
    """

    def __init__(self, place: Callable[[], AbstractContextManager[Any]], *, always: bool = False) -> None:
        self._place, self._always = place, always
        self._writer: Any = None
        self._stack = ExitStack()
        self.rows = 0
        self.reasons: list[str] = []

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Discard what was not published."""
        self._stack.__exit__(kind, error, trace)

    def add(self, rejected: Sequence[Rejected]) -> None:
        """Add rows."""
        import pyarrow as pa

        for start in range(0, len(rejected), ROWS_AT_A_TIME):
            some = rejected[start : start + ROWS_AT_A_TIME]
            found = [(item.rule, item.reason, item.position or None, row_text(item.row)) for item in some]
            columns = [pa.array(values, pa.string()) for values in zip(*found, strict=True)]
            self._open().write(pa.RecordBatch.from_arrays(columns, schema=quarantine_schema()))
        self.reasons += [item.reason for item in rejected[: MAX_SAMPLES - len(self.reasons)]]
        self.rows += len(rejected)

    def publish(self) -> str | None:
        """Publish, and return the place; None if there was nothing to publish."""
        if self._writer is None and not self._always:
            return None
        published: str = self._open().publish()
        return published if self.rows else None

    def _open(self) -> Any:  # noqa: ANN401 - any writer
        if self._writer is None:
            self._writer = self._stack.enter_context(self._place())
        return self._writer


def row_text(row: Any) -> str:  # noqa: ANN401 - any row
    """Return a row as JSON, whatever it holds: bytes as hexadecimal digits, what JSON does not know as text."""
    import json

    def other(value: object) -> str:
        return value.hex() if isinstance(value, (bytes, bytearray, memoryview)) else str(value)

    # The standard library's encoder takes what orjson refuses: huge integers, lone surrogates, NaN.
    return json.dumps(row, default=other)
