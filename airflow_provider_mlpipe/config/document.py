"""Reading YAML so that every later message can say file and line.

`load` returns plain Python values with ``${NAME}`` and ``${NAME:-default}`` replaced from the environment, and beside
them the line of every key and which values came from the environment (those are never shown in a message).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.errors import ConfigError, MissingEnvironmentVariableError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Document", "Inline", "Path_", "load", "of_mapping"]

Path_ = tuple[str | int, ...]
"""The way to a value: keys and list positions from the top."""

MAX_NODES = 100_000
"""More values than any honest file holds; stops YAML aliases that unfold without end."""

_VARIABLE = re.compile(r"\$(?P<escape>\$)?\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}")
_NO_FILE = (
    "A command looks from the working folder, and takes --config FILE; a task looks beside its Dag file and in "
    "[mlpipe] config_folder, too."
)


class Inline(dict[str, Any]):
    """A configuration given in Python that knows where: messages name that place as they would a file.

    >>> Inline({"users": {}}, place="dags/daily.py:7").place
    'dags/daily.py:7'
    """

    def __init__(self, data: Mapping[str, Any], *, place: str) -> None:
        super().__init__(data)
        self.place = place


@dataclass(frozen=True, kw_only=True)
class Document:
    """A configuration as plain values, and where each of them stands.

    Attributes:
        name: the file's path, or what to call a mapping given in Python.
        data: the values.
        lines: 1-based line by path; empty for a mapping given in Python.
        hidden: paths whose value came from the environment.
        missing: paths that need an environment variable that is not set, and its name. Not yet an error: only who
            uses that part of the file needs the variable.
        text_hash: SHA-256 of the file as written, before the environment is put in, so that it holds no secret.
    """

    name: str
    data: dict[str, Any]
    lines: dict[Path_, int] = field(default_factory=dict)
    hidden: frozenset[Path_] = frozenset()
    missing: dict[Path_, str] = field(default_factory=dict)
    text_hash: str = ""

    def where(self, path: Path_) -> str:
        """Return ``file:line`` of the value at `path`, or of the closest one above it that has a line."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.lines:
                return f"{self.name}:{self.lines[path[:end]]}"
        return self.name

    def require_environment(self, path: Path_) -> None:
        """Check that the part at `path` has its environment variables.

        Raises:
            MissingEnvironmentVariableError: one is not set and has no default.
        """
        for place, variable in self.missing.items():
            if place[: len(path)] == path:
                key = ".".join(map(str, place))
                raise MissingEnvironmentVariableError.of(where=self.where(place), key=key, variable=variable)


def load(path: str | Path) -> Document:
    """Read a YAML file.

    Raises:
        ConfigError: missing, unreadable, not YAML, a duplicate key, or not a mapping at the top.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    name = str(path)
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError.unreadable(where=name, problem="no such file", hint=_NO_FILE) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError.unreadable(where=name, problem=f"cannot be read ({error})") from error
    try:
        tree = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError.unreadable(
            where=f"{name}:{line}", problem=f"not YAML: {str(error.problem).splitlines()[0]}"
        ) from error
    except YAMLError as error:
        raise ConfigError.unreadable(where=name, problem=f"not YAML: {str(error).splitlines()[0]}") from error
    if not isinstance(tree, dict):
        found = "empty" if tree is None else f"a {type(tree).__name__}"
        raise ConfigError.unreadable(where=name, problem=f"the top must be a mapping of names, it is {found}")
    return _plain(tree, name, hashlib.sha256(text.encode()).hexdigest())


def of_mapping(data: Mapping[str, Any], name: str = "config") -> Document:
    """Treat a mapping given in Python as a configuration: the same checks, the same ``${NAME}``, no lines."""
    text = json.dumps(data, sort_keys=True, default=str)
    return _plain(dict(data), name, hashlib.sha256(text.encode()).hexdigest())


def _plain(tree: dict[str, Any], name: str, text_hash: str) -> Document:
    walk = _Walk(name)
    data = walk.value(tree, ())
    return Document(
        name=name,
        data=data,
        lines=walk.lines,
        hidden=frozenset(walk.hidden),
        missing=walk.missing,
        text_hash=text_hash,
    )


class _Walk:
    """Turns ruamel's tree into plain values and notes lines on the way."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[Path_, int] = {}
        self.hidden: set[Path_] = set()
        self.missing: dict[Path_, str] = {}
        self.count = 0

    def value(self, node: Any, path: Path_) -> Any:  # noqa: ANN401 - any YAML value
        self.count += 1
        if self.count > MAX_NODES:
            raise ConfigError.unreadable(where=self.name, problem=f"more than {MAX_NODES} values; are aliases nested?")
        if isinstance(node, dict):
            return {str(key): self._item(node, key, (*path, str(key))) for key in node}
        if isinstance(node, (list, tuple)):
            return [self._item(node, position, (*path, position)) for position in range(len(node))]
        return self._expanded(str(node), path) if isinstance(node, str) else _scalar(node)

    def _item(self, node: Any, key: Any, path: Path_) -> Any:  # noqa: ANN401
        places = getattr(getattr(node, "lc", None), "data", None)
        if places and key in places:
            self.lines[path] = places[key][0] + 1
        return self.value(node[key], path)

    def _expanded(self, text: str, path: Path_) -> str:
        def replace(match: re.Match[str]) -> str:
            if match["escape"]:
                return match[0][1:]
            default: str | None = match["default"]
            found = os.environ.get(match["name"], default)
            self.hidden.add(path)
            if found is None:
                self.missing[path] = match["name"]
                return match[0]
            return found

        return _VARIABLE.sub(replace, text)


def _scalar(node: Any) -> Any:  # noqa: ANN401 - any YAML scalar but text
    """Return a plain value: ruamel's own number classes remember how they were written, which nobody wants to know."""
    if isinstance(node, date):
        return node.isoformat()  # YAML reads an unquoted 2026-01-15 as a date; we take times as ISO 8601 text
    if isinstance(node, bool) or node is None:
        return node
    if isinstance(node, float):
        return float(node)
    return int(node) if isinstance(node, int) else node
