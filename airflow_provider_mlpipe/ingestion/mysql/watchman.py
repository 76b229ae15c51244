"""The process that ends on the server what nobody waits for any more; `watching` starts it.

It runs this file, knows nothing but the standard library until there is something to end, and lives as long as a
session: it waits for a word of its parent, for a signal that its parent got and cannot take, and for its parent's end.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from typing import Any

__all__ = ["CALL_OFF"]

CALL_OFF = b"!"
_ORDERS = 0
"""The file descriptor over which the parent speaks: a line of JSON, then single bytes. It kills who is not needed."""
_AGAIN_SECONDS = 0.1
"""The statement may only be on its way to the server, so the search is repeated."""
_ROUNDS = 600
_ROUNDS_ALONE = 3
"""So many without a find, once the parent is dead."""
_CONNECT_SECONDS = 3


def _main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # meant for the parent; its end is heard of
        signal.signal(number, signal.SIG_IGN)
    found = b""
    while b"\n" not in found:
        some = os.read(_ORDERS, 65_536)
        if not some:
            return  # the parent died before it had said anything, so there is nothing to end
        found += some
    text, _, told = found.partition(b"\n")
    order = json.loads(text)
    if not told:
        told = _wait(order["bell"], set(order["signals"]))
    _end(order, alone=not told)


def _wait(bell: int | None, numbers: set[int]) -> bytes:
    """Return what the parent says, nothing if it died; `CALL_OFF` as well if a signal reached it."""
    poll = select.poll()
    poll.register(_ORDERS, select.POLLIN)
    if bell is not None:
        poll.register(bell, select.POLLIN)
    while True:
        ready = {descriptor for descriptor, _ in poll.poll()}
        if _ORDERS in ready:
            return os.read(_ORDERS, 1)
        if bell is not None and _rung(bell, numbers):
            return CALL_OFF
        select.select([_ORDERS], [], [], _AGAIN_SECONDS)  # another signal, and the parent is busy


def _rung(bell: int, numbers: set[int]) -> bool:
    """Look, without taking it away, whether one of these signals waits for the parent."""
    import socket

    with socket.socket(fileno=os.dup(bell)) as looked_at:
        try:
            return not numbers.isdisjoint(looked_at.recv(64, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except BlockingIOError:  # the parent has taken it, so it is able to say what it wants
            return False


def _end(order: dict[str, Any], *, alone: bool) -> None:
    """Kill the marked statements, over and over; of a dead parent until there is none left."""
    sys.path[:] = order["path"]
    import pymysql

    from airflow_provider_mlpipe.ingestion.mysql.session import arguments_of

    limits = dict.fromkeys(("connect_timeout", "read_timeout", "write_timeout"), _CONNECT_SECONDS)
    connection, idle = pymysql.connect(**arguments_of(order["uri"]) | limits), 0
    for _ in range(_ROUNDS):
        idle = 0 if _kill(connection, order["token"]) else idle + 1
        if alone and idle >= _ROUNDS_ALONE:
            return
        if select.select([] if alone else [_ORDERS], [], [], _AGAIN_SECONDS)[0]:
            alone = not os.read(_ORDERS, 64)


def _kill(connection: Any, token: str) -> int:  # noqa: ANN401 - pymysql has no types
    """End what bears the token, and return how much that was. Everybody may see and end what is their own."""
    from pymysql.err import MySQLError

    found = 0
    with connection.cursor() as cursor:
        cursor.execute("SHOW FULL PROCESSLIST")
        for row in cursor.fetchall():
            if token in str(row[7]):
                found += 1
                try:
                    cursor.execute(f"KILL QUERY {int(row[0])}")
                except MySQLError:  # it ended by itself
                    continue
    return found


if __name__ == "__main__":
    try:
        _main()
    finally:
        os._exit(0)  # whatever happened, there is nobody to tell, and no time to lose
