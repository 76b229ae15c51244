"""A DB-API driver as small as PEP 249 allows: sqlite3 with another parameter style, and no way to fetch everything."""

from __future__ import annotations

import sqlite3
from typing import Any

paramstyle = "pyformat"
FETCHED: list[int] = []


class Error(Exception):
    """Of the driver."""


class OperationalError(Error):
    """Not now."""


class ProgrammingError(Error):
    """Not ever."""


class Handle:
    """To a large object, as Oracle's driver gives it."""

    def __init__(self, text: str) -> None:
        self._text = text

    def read(self) -> str:
        return self._text


class Cursor:
    arraysize = 1

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._cursor = cursor

    @property
    def description(self) -> Any:
        return self._cursor.description

    def execute(self, statement: str, values: dict[str, Any] | None = None) -> None:
        if "locked" in statement:
            raise OperationalError("the table is locked")
        for name in values or {}:
            statement = statement.replace(f"%({name})s", f":{name}")
        try:
            self._cursor.execute(statement.replace("%%", "%") if values else statement, values or {})
        except sqlite3.Error as error:
            raise ProgrammingError(str(error)) from None

    def fetchmany(self, size: int) -> list[list[Any]]:
        rows = self._cursor.fetchmany(size)
        FETCHED.append(len(rows))
        return [[Handle(value) if value == "large" else value for value in row] for row in rows]


class Connection:
    def __init__(self, path: str) -> None:
        self._connection = sqlite3.connect(path)

    def cursor(self) -> Cursor:
        return Cursor(self._connection.cursor())

    def close(self) -> None:
        self._connection.close()


def connect(path: str, password: str = "") -> Connection:
    if password == "wrong":
        raise OperationalError(f"login failed with {password}")
    return Connection(path)
