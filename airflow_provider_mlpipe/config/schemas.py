"""JSON Schemas of the YAML files, so that an editor completes keys and marks mistakes while one types.

They are made from the models; ``config/schemas/*.json`` is what ``mlpipe schema KIND`` prints, kept for who has no
package at hand. In an editor that knows the YAML language server, the first line of a file names its schema::

    # yaml-language-server: $schema=.../config/schemas/validation.json
"""

from __future__ import annotations

import inspect
import re
from typing import Any, Literal, get_args

from pydantic import TypeAdapter

from airflow_provider_mlpipe.config.features import RESERVED, FeatureSet, FeatureStore
from airflow_provider_mlpipe.config.ingestion import IngestionFile
from airflow_provider_mlpipe.config.section import Section
from airflow_provider_mlpipe.config.validation import ValidationFile
from airflow_provider_mlpipe.errors import ConfigError

__all__ = ["KINDS", "Kind", "json_schema"]

Kind = Literal["ingestion", "validation", "features"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_VARIABLE = {"type": "string", "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}"}
"""``${NAME}`` may stand for any scalar; what it becomes is known only where it runs."""


def json_schema(kind: Kind) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of one kind of file.

    Raises:
        ConfigError: there is no such kind.
    """
    if kind == "ingestion":
        schema = _of(IngestionFile)
    elif kind == "validation":
        schema = _of(ValidationFile)
    elif kind == "features":
        schema = _features()
    else:
        raise ConfigError.unknown_name(where="json_schema", kind="configuration file", name=kind, known=KINDS)
    models = {model.__name__: model for model in _sections(Section)}
    for name, definition in schema.get("$defs", {}).items():
        if name in models:
            _describe(definition, models[name])
    if kind == "ingestion":
        _describe(schema, IngestionFile)
    title = f"{kind.removesuffix('s')}_config.yaml"
    return {"$schema": _DIALECT, **_with_variables(schema), "title": title}


def _of(model: Any) -> dict[str, Any]:  # noqa: ANN401 - a model, or an alias of one
    return TypeAdapter(model).json_schema(mode="validation")


def _features() -> dict[str, Any]:
    """Return the schema of a mapping in which one name is not a feature set."""
    both = TypeAdapter(tuple[FeatureSet, FeatureStore]).json_schema(mode="validation")
    return {
        "$defs": both["$defs"],
        "type": "object",
        "description": "Feature sets by name, and where the feature store is.",
        "properties": {RESERVED: {"$ref": "#/$defs/FeatureStore"}},
        "additionalProperties": {"$ref": "#/$defs/FeatureSet"},
    }


def _sections(base: type[Section]) -> list[type[Section]]:
    below = [model for child in base.__subclasses__() for model in _sections(child)]
    return [base, *below]


def _describe(definition: dict[str, Any], model: type[Section]) -> None:
    """Give every key the words that the model's docstring has for it."""
    lines: dict[str, str] = {}
    for ancestor in reversed(model.__mro__):
        if issubclass(ancestor, Section):
            lines |= _attributes(inspect.getdoc(ancestor) or "")
    definition["description"] = (inspect.getdoc(model) or "").partition("\n\nAttributes:")[0]
    for key, schema in definition.get("properties", {}).items():
        schema.pop("title", None)  # only the key again
        if key in lines:
            schema["description"] = lines[key]


def _attributes(docstring: str) -> dict[str, str]:
    """Return the entries of a Google docstring's ``Attributes:``, each on one line."""
    section = docstring.partition("Attributes:\n")[2]
    entries = re.findall(r"^    (\w+): (.+(?:\n {6,}.+)*)", section, re.MULTILINE)
    return {name: re.sub(r"\s*\n\s*", " ", text) for name, text in entries}


def _with_variables(schema: Any) -> Any:  # noqa: ANN401 - a schema, or what stands in one
    """Let ``${NAME}`` stand where a number, a truth value or one of a few words is asked for."""
    if isinstance(schema, list):
        return [_with_variables(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    walked: dict[str, Any] = {}
    for key, value in schema.items():
        if key in {"properties", "$defs"}:  # their keys are names, which may be those of JSON Schema
            walked[key] = {name: _with_variables(below) for name, below in value.items()}
        else:
            walked[key] = value if key in {"default", "enum", "const"} else _with_variables(value)
    if walked.get("type") in {"integer", "number", "boolean"} or "enum" in walked:
        said = {key: walked.pop(key) for key in ("title", "description", "default") if key in walked}
        return {"anyOf": [walked, dict(_VARIABLE)], **said}
    return walked
