"""Secrets that stand in a configuration mapping as they are: a trigger's arguments are stored, so none may be in them.

What stands there as ``${NAME}`` is no secret; a default that is written into it, ``${NAME:-default}``, may be one.
Nothing is looked up for this: not the environment, nor a model of the configuration.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["literal_secrets", "refused"]

_PLACEHOLDER = re.compile(r"\$\{[A-Za-z_]\w*(?::-(?P<default>[^}]*))?\}")
_SCHEME = re.compile(r"(Bearer|Basic|Token|ApiKey|Digest) ?", re.IGNORECASE)
_SECRET = re.compile(
    r"passw|passphrase|pwd|secret|token|credential|signature|(api|access|private|account)[_.-]?key"
    r"|^(key|sig|auth|authorization|cookie)$", re.IGNORECASE
)  # fmt: skip
_HEADER = re.compile(r"auth|token|key|secret|cookie|session|signature", re.IGNORECASE)
_ASSIGNED = re.compile(r"(?:passw\w*|pwd|secret\w*|\w*token|(?:api|access)_?key)\s*=\s*([^\s,;&'\"]+)", re.IGNORECASE)
_NO_SECRETS = frozenset(["token_url", "credentials_in", "query", "columns", "types", "csv", "incremental",
                         "deduplicate", "schema_contract", "required_columns", "select"])  # fmt: skip
"""Keys that look like secrets, or have keys or texts below them that do, and hold none."""


def literal_secrets(value: Any, key: str = "") -> list[str]:  # noqa: ANN401 - any JSON value
    """Return where secrets stand in `value`, as dotted keys; none if it may be stored.

    >>> literal_secrets({"auth": {"type": "bearer", "token": "${TOKEN}"}, "connection_string": "mysql://u:pw@host/db"})
    ['connection_string']
    """
    return list(_found(value, key))


def refused(where: str, places: list[str]) -> ConfigError:
    """Return the error for what must not be stored."""
    return ConfigError.invalid(
        where=where, key="config",
        problem=f"a secret stands at {', '.join(places[:5])} as it is, and Airflow would store it with the trigger",
        hint="Put it into an Airflow connection and name that in conn_id; or write ${NAME} in its place; or give the "
        "path of a YAML file.",
    )  # fmt: skip


def _found(value: Any, path: str) -> Iterator[str]:  # noqa: ANN401
    if isinstance(value, Mapping):
        for key, below in value.items():
            if key not in _NO_SECRETS:
                yield from _found(below, f"{path}.{key}" if path else str(key))
    elif isinstance(value, (list, tuple)):
        for position, below in enumerate(value):
            yield from _found(below, f"{path}.{position}")
    elif isinstance(value, str):
        text = _PLACEHOLDER.sub(lambda match: match["default"] or "", value)
        if text != value and _SCHEME.fullmatch(text):  # of "Bearer ${TOKEN}"
            return
        if text and _is_secret(path, text):
            yield path


def _is_secret(path: str, text: str) -> bool:
    from airflow_provider_mlpipe.ingestion.connection import kafka_secrets, secrets_of

    above, _, key = path.rpartition(".")
    if _SECRET.search(key) or (above.endswith("headers") and _HEADER.search(key)):
        return True
    return bool(secrets_of(text) or _ASSIGNED.search(text) or kafka_secrets({path.partition("settings.")[2]: text}))
