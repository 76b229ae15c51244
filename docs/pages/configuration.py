"""docs/reference/configuration.md, from the pydantic models of the YAML files."""

from __future__ import annotations

import inspect
import re
import types
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import SecretStr

from airflow_provider_mlpipe import config
from airflow_provider_mlpipe.config.section import Section
from pages.markdown import anchor, code, prose, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic.fields import FieldInfo

__all__ = ["keys", "page"]

FILES: dict[str, tuple[str, list[type[Section]]]] = {
    "ingestion_config.yaml": (
        "Below `sources`, each source by its name. `type` says of which kind it is.",
        list(get_args(get_args(config.Source)[0])),
    ),
    "validation_config.yaml": ("At the top, each dataset by its name.", [config.DatasetRules]),
    "feature_config.yaml": (
        "At the top, each feature set by its name, and `feature_store`.",
        [config.FeatureSet, config.FeatureStore],
    ),
}

_PLAIN = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "`true` or `false`",
    datetime: "time",
    date: "date",
    SecretStr: "text (secret)",
    Any: "anything",
}


def page() -> str:
    """Return the page: per file, its models and those inside them, every key with type, default and meaning."""
    parts = [
        "# Configuration\n",
        (
            "Three YAML files, or the same as Python mappings. `${NAME}` and `${NAME:-default}` stand for environment "
            "variables anywhere in a value. A key that nobody reads is refused, with the closest one that somebody "
            "does; every message names file and line. `mlpipe check` holds a file against this page.\n"
        ),
    ]
    described: set[type[Section]] = set()
    for name, (introduction, roots) in FILES.items():
        parts += [f"## {name}\n", f"{introduction}\n"]
        for model in _with_inner(roots):
            if model not in described:
                described.add(model)
                parts.append(_section(model))
    return "\n".join(parts)


def keys() -> dict[str, list[str]]:
    """Return the keys of every model, by its name."""
    models = _with_inner([model for _, roots in FILES.values() for model in roots])
    return {model.__name__: [_key(name, field) for name, field in model.model_fields.items()] for model in models}


def _section(model: type[Section]) -> str:
    meanings = _meanings(model)
    names = {_key(name, field) for name, field in model.model_fields.items()}
    silent = sorted(names - set(meanings))
    if silent:
        raise KeyError(f"{model.__name__} has no meaning for {', '.join(silent)}: add it to the Attributes")
    rows = [
        (code(key), _type_of(field.annotation), _default(field), meanings[key])
        for key, field in sorted(
            ((_key(name, field), field) for name, field in model.model_fields.items()),
            key=lambda item: not item[1].is_required(),  # required keys first, else in the order of the class
        )
    ]
    summary = prose((inspect.getdoc(model) or "").split("Attributes:")[0])
    return f"### {model.__name__}\n\n{summary}\n\n" + table(("Key", "Type", "Default", "Meaning"), rows)


def _key(name: str, field: FieldInfo) -> str:
    return field.alias or name


def _meanings(model: type[Section]) -> dict[str, str]:
    """Return what the Attributes of the class and of those that it inherits from say, by key."""
    found: dict[str, str] = {}
    for kind in reversed(model.__mro__):
        text = inspect.cleandoc(kind.__doc__ or "").partition("Attributes:\n")[2]
        for match in re.finditer(r"^    (\w+): (.*(?:\n(?: {5,}.*)?)*)", text, re.MULTILINE):
            found[match[1]] = prose(match[2])
    return found


def _with_inner(roots: list[type[Section]]) -> list[type[Section]]:
    """Return `roots` and every model that stands somewhere inside them, each once, outer before inner."""
    found: list[type[Section]] = []
    todo = list(roots)
    while todo:
        model = todo.pop(0)
        if model not in found:
            found.append(model)
            todo += [inner for field in model.model_fields.values() for inner in _sections_in(field.annotation)]
    return found


def _sections_in(annotation: Any) -> list[type[Section]]:  # noqa: ANN401 - any annotation
    if inspect.isclass(annotation) and issubclass(annotation, Section):
        return [annotation]
    return [inner for part in get_args(annotation) for inner in _sections_in(part)]


def _type_of(annotation: Any) -> str:  # noqa: ANN401 - any annotation
    if inspect.isclass(annotation) and issubclass(annotation, Section):
        return f"[{annotation.__name__}](#{anchor(annotation.__name__)})"
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is None:
        return _PLAIN[annotation]
    return _GENERIC[origin](parts)


def _choice(parts: tuple[Any, ...]) -> str:
    return " or ".join(_type_of(part) for part in parts if part is not types.NoneType)


def _mapping(parts: tuple[Any, ...]) -> str:
    nothing = " (or `null`)" if types.NoneType in get_args(parts[1]) else ""
    return f"mapping of name to {_type_of(parts[1])}{nothing}"


_GENERIC: dict[Any, Callable[[tuple[Any, ...]], str]] = {
    Annotated: lambda parts: _type_of(parts[0]),
    Literal: lambda parts: ", ".join(code(value) for value in parts),
    Union: _choice,
    types.UnionType: _choice,
    list: lambda parts: f"list of {_type_of(parts[0])}",
    dict: _mapping,
}


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, bool):
        return code(str(value).lower())
    return code(value) if isinstance(value, int | float | str) and value != "" else ""
