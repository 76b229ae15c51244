"""Many commands to Redis and their replies, over a connection of redis-py, without redis-py's work for each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis.exceptions import ConnectionError as LostConnectionError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["exchange"]


def exchange(connection: Any, commands: memoryview, count: int, *, whole: bool = False) -> list[Any]:  # noqa: ANN401 - redis may be absent
    """Send commands, as they stand on the wire, and return their replies; after a lost connection all of it again.

    Of a reply that is a list (an HMGET's), the first element is returned, unless `whole` ones are wanted: to keep
    thousands of lists would have Python look through all that it holds for garbage, again and again, which costs more
    than the reading.

    How often again, the client's settings say, as for Feast's own pipelines. All replies are read only once all
    commands are sent, as redis-py does too: the server keeps them meanwhile.

    Raises:
        redis.exceptions.RedisError: of the first command that failed, or the connection.
    """

    def attempt() -> list[Any]:
        connection.send_packed_command([commands])
        return _replies(connection, count, _all if whole else _first)

    try:
        found: list[Any] = connection.retry.call_with_retry(attempt, lambda _: connection.disconnect())
    except BaseException:
        connection.disconnect()  # there may be replies left that nobody waits for
        raise
    return found


def _replies(connection: Any, count: int, take: Callable[[Any], Any]) -> list[Any]:  # noqa: ANN401
    read = _hiredis(connection, take)
    if read is None:
        return [take(connection.read_response(disable_decoding=True)) for _ in range(count)]
    try:
        return read(count)
    except OSError as error:  # a reset, which redis-py calls by a name of its own
        raise LostConnectionError(f"Error while reading from socket: {error}") from error


def _hiredis(connection: Any, take: Callable[[Any], Any]) -> Callable[[int], list[Any]] | None:  # noqa: ANN401
    """Return how to read from hiredis itself; None if this redis-py keeps it elsewhere, or there is none.

    Asking the connection for each reply costs three times what reading it costs.
    """
    try:
        from redis._parsers.hiredis import NOT_ENOUGH_DATA

        parser = connection._parser  # noqa: SLF001
        get, more = parser._reader.gets, parser.read_from_socket  # noqa: SLF001
    except (ImportError, AttributeError):
        return None

    def read(count: int) -> list[Any]:
        found: list[Any] = []
        while len(found) < count:
            reply = get(False)  # bytes stay bytes
            if reply is NOT_ENOUGH_DATA:
                more()
            elif isinstance(reply, Exception):
                raise reply
            else:
                found.append(take(reply))
        return found

    return read


def _first(reply: Any) -> Any:  # noqa: ANN401 - any reply
    return reply[0] if isinstance(reply, list) else reply


def _all(reply: Any) -> Any:  # noqa: ANN401
    return reply
