"""Rows through connectorx, which decodes the binary protocol into Arrow batches on threads of its own.

It reports what goes wrong in the middle of a stream as a panic of its Rust code, which Python sees as a BaseException
that no ``except Exception`` catches. Panics are known by name and become errors that can be judged.

It reads ahead without a bound: where the writer is slower than the server, what waits in between is held in memory.
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import TYPE_CHECKING

from airflow_provider_mlpipe.engines.interruption import heed
from airflow_provider_mlpipe.ingestion.failures import Unreadable

if TYPE_CHECKING:
    from collections.abc import Generator

    import pyarrow as pa

__all__ = ["available", "native_batches"]

_SERVER_ERROR = re.compile(r"ERROR (\d+) \(\w+\): (.*?)(?: \}\)*)?$", re.DOTALL)
_LOST = re.compile(r"IO error|IoError|CodecError|DriverError|packet", re.IGNORECASE)


def available() -> bool:
    """Return whether connectorx is installed."""
    return find_spec("connectorx") is not None


def native_batches(uri: str, sql: str, settings: list[str], rows: int) -> Generator[pa.RecordBatch, None, None]:
    """Execute a query on a connection of its own and give its rows, `rows` at a time.

    Raises:
        ConnectionError: the connection broke.
        pymysql.err.OperationalError: the server said so.
        Unreadable: connectorx could not read a value.
    """
    try:
        import connectorx

        for batch in connectorx.read_sql(
            uri, sql, return_type="arrow_stream", batch_size=rows, pre_execution_query=settings
        ):
            heed()  # a query may also end as if it were complete when it is called off
            yield batch
    except BaseException as error:
        if type(error).__name__ != "PanicException" and not isinstance(error, RuntimeError):
            raise
        raise _judgeable(str(error)) from None  # a panic in the chain would end whoever re-raises it


def _judgeable(text: str) -> Exception:
    from pymysql.err import OperationalError

    said = _SERVER_ERROR.search(text)
    if said is not None:
        error: Exception = OperationalError(int(said[1]), said[2])
        return error
    if _LOST.search(text):
        return ConnectionError(f"the connection was lost while reading ({text})")
    return Unreadable(f"connectorx could not read the rows: {text}")
