"""Any database with a DB-API 2.0 driver: a cursor, some rows at a time, types told from all values.

For what SQLAlchemy has no dialect for: a driver named in the configuration, or the connection of an Airflow hook.
"""

from __future__ import annotations

from collections import Counter
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.ingestion.conversion import timestamp
from airflow_provider_mlpipe.ingestion.database import DatabaseReader, DatabaseRequest, named_parameters
from airflow_provider_mlpipe.ingestion.detection import Frame, detected
from airflow_provider_mlpipe.ingestion.failures import Overloaded, Unreadable, is_transient
from airflow_provider_mlpipe.ingestion.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from airflow_provider_mlpipe.config import Configured, DatabaseSource, Source
    from airflow_provider_mlpipe.ingestion.window import Window

__all__ = ["Driver", "DriverReader", "driver_of", "frames_of"]

_AGAIN = {"OperationalError", "InterfaceError"}
_DRIVERS_OWN = {"Error", "DatabaseError", "Warning", *_AGAIN}
"""The names that PEP 249 gives to the errors of every driver."""


@dataclass(frozen=True, kw_only=True)
class Driver:
    """A way to connect.

    Attributes:
        name: for people.
        connect: opens a connection.
        paramstyle: how its statements mark parameters, as PEP 249 calls it.
        quote: what stands around a name.
        secrets: texts that no message may hold.
    """

    name: str
    connect: Callable[[], Any] = field(repr=False)
    paramstyle: str = "qmark"
    quote: str = '"'
    secrets: frozenset[str] = field(default=frozenset(), repr=False)

    def quoted(self, name: str) -> str:
        """Return an identifier in quotes."""
        return f"{self.quote}{name.replace(self.quote, self.quote * 2)}{self.quote}"


def driver_of(source: Configured[Source], model: DatabaseSource) -> Driver:
    """Return the driver that the configuration names.

    Raises:
        ConfigError: it cannot be imported, or is no DB-API driver.
    """
    name = str(model.driver)
    try:
        module = import_module(name)
    except ImportError as error:
        raise ConfigError.invalid(
            where=source.where("driver"), key="driver", problem=f"cannot be imported: {error}",
            hint="Install the package that holds it.",
        ) from error  # fmt: skip
    connect = getattr(module, "connect", None)
    if not callable(connect):
        raise ConfigError.invalid(
            where=source.where("driver"), key="driver", problem=f"{name!r} has no connect()",
            hint="Name a module that follows DB-API 2.0 (PEP 249).",
        )  # fmt: skip
    return Driver(
        name=name,
        connect=lambda: connect(**model.connect),
        paramstyle=str(getattr(module, "paramstyle", "qmark")),
        secrets=_secrets(source, model.connect),
    )


def _secrets(source: Configured[Source], arguments: Mapping[str, Any]) -> frozenset[str]:
    """Return what came from the environment, and what is called a secret."""
    hidden = {path[-1] for path in source.document.hidden if path[-2:-1] == ("connect",)}
    words = ("password", "secret", "token", "key")
    secret = (name for name in arguments if name in hidden or any(word in name.lower() for word in words))
    return frozenset(value for name in secret if isinstance(value := arguments[name], str))


class DriverReader(DatabaseReader):
    """Reads through a driver's cursor."""

    def __init__(self, source: Configured[Source], driver: Driver, window: Window | None) -> None:
        super().__init__(DatabaseRequest(source, driver.name, window))
        self._driver = driver

    @property
    def secrets(self) -> frozenset[str]:
        """Texts that no message may hold."""
        return self._driver.secrets

    @contextmanager
    def open(self) -> Iterator[Stream]:
        """Connect, read everything into a temporary file, and give the rows."""
        import pyarrow as pa

        with self._cursor() as cursor:
            statement, values = self._statement()
            with _judged():
                cursor.execute(statement, values) if values else cursor.execute(statement)
                names = [str(column[0]) for column in cursor.description or ()]
            if max(Counter(names).values(), default=0) > 1:
                yield Stream(pa.schema([(name, pa.null()) for name in names]), iter(()))  # refused by the contract
                return
            frames = frames_of(cursor.fetchmany, names, self._request.model.batch_size)
            with detected(_each(frames), order=names) as stream:
                yield stream

    def newest(self) -> datetime | None:
        """Return the latest time inside the window."""
        key = self._driver.quoted(self.window.column)
        with self._cursor() as cursor, _judged():
            statement, values = self._statement(f"max({key})")
            cursor.execute(statement, values) if values else cursor.execute(statement)
            [found] = cursor.fetchone()
        return None if found is None else timestamp(found, aware=True)

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        with _judged():
            connection = self._driver.connect()
        with closing(connection):
            with _judged():
                cursor = connection.cursor()
            with suppress(AttributeError):  # PEP 249 has it; how many rows a driver asks its server for at a time
                cursor.arraysize = self._request.model.batch_size
            yield cursor

    def _statement(self, selected: str = "*") -> tuple[str, Any]:
        """Return the statement with the driver's own marks, and the values for them."""
        request, driver = self._request, self._driver
        values: dict[str, Any] = dict(request.model.parameters)
        if request.model.table is not None:
            schema, name = request.table
            base = f"{driver.quoted(schema)}.{driver.quoted(name)}" if schema else driver.quoted(name)
            sql = f"SELECT * FROM {base}"  # noqa: S608 - quoted
        else:
            base = str(request.model.query).rstrip().rstrip(";")
            sql = base
        window = request.window
        if window is None:
            return _marked(sql, values, driver.paramstyle)
        base = base if request.model.table is not None else f"(\n{base}\n) mlpipe_query"  # without AS: Oracle

        def mark(name: str, moment: datetime) -> str:
            values[f"mlpipe_{name}"] = moment.replace(tzinfo=None)
            return f":mlpipe_{name}"

        where = window.where(driver.quoted(window.column), mark)
        sql = f"SELECT {selected} FROM {base} WHERE {where}"  # noqa: S608 - quoted names, marks for values
        return _marked(sql, values, driver.paramstyle)


def _marked(sql: str, values: Mapping[str, Any], style: str) -> tuple[str, Any]:
    """Write the marks of parameters as a driver wants them.

    >>> _marked("SELECT ':a' WHERE x = :a AND y < :b AND z = :a", {"a": 1, "b": 2}, "qmark")
    ("SELECT ':a' WHERE x = ? AND y < ? AND z = ?", [1, 2, 1])
    >>> _marked("SELECT 5 % 3 WHERE x = :a", {"a": 1}, "pyformat")
    ('SELECT 5 %% 3 WHERE x = %(a)s', {'a': 1})
    """
    order: list[str] = []

    def mark(name: str) -> str:
        order.append(name)
        return {"qmark": "?", "format": "%s", "numeric": f":{len(order)}", "pyformat": f"%({name})s"}.get(
            style, f":{name}"
        )

    if values and style in {"format", "pyformat"}:
        sql = sql.replace("%", "%%")
    marked = named_parameters(sql, values, mark)
    if style in {"pyformat", "named"}:
        return marked, {name: values[name] for name in order}
    return marked, [values[name] for name in order]


def frames_of(fetch: Callable[[int], Sequence[Any]], names: Sequence[str], size: int) -> Iterator[Frame]:
    """Fetch rows, `size` at a time, as columns; handles to large objects are read."""
    while rows := fetch(size):
        columns = zip(*rows, strict=True)
        yield Frame(len(rows), {name: _read(values) for name, values in zip(names, columns, strict=True)})


def _read(values: Sequence[Any]) -> Sequence[Any]:
    """Read what a driver gives as a handle (Oracle's LOB): its text would be that of the handle."""
    if not any(callable(getattr(kind, "read", None)) for kind in set(map(type, values))):
        return values
    return [value.read() if callable(getattr(value, "read", None)) else value for value in values]


def _each(frames: Iterator[Frame]) -> Iterator[Frame]:
    while True:
        with _judged():
            try:
                frame = next(frames)
            except StopIteration:
                return
        yield frame


@contextmanager
def _judged() -> Iterator[None]:
    """Turn a driver's errors, which are not known by their modules, into errors that say whether to try again."""
    try:
        yield
    except Exception as error:
        names = {kind.__name__ for kind in type(error).__mro__}
        if is_transient(error) is not None or not names & _DRIVERS_OWN:
            raise
        kind: type[Exception] = Overloaded if names & _AGAIN else Unreadable
        raise kind(f"{type(error).__name__}: {error}") from error
