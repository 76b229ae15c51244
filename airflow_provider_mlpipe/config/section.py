"""The base of every configuration model, and the translation of pydantic's errors into ours."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, TypeAdapter, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from airflow_provider_mlpipe.errors import ConfigError, UnknownKeyError, did_you_mean
from airflow_provider_mlpipe.run import duration

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from airflow_provider_mlpipe.config.document import Document, Path_

__all__ = ["Length", "Section", "parse"]

Model = TypeVar("Model")


def _length(text: str) -> str:
    try:
        duration(text)
    except ConfigError as error:
        raise ValueError("not a length of time such as 7d, 24h or 30m") from error
    return text


Length = Annotated[str, AfterValidator(_length)]
"""A length of time as text: a number and one of the units s, m, h, d, w."""

_SECRET_NAME = re.compile(
    r"connection_string|online_store|registry|headers|password|secret|token|key$|credential|auth", re.IGNORECASE
)


class Section(BaseModel):
    """A mapping in the YAML. Keys that nobody reads are refused, with the closest known one."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, data: Any) -> Any:  # noqa: ANN401 - whatever stands in the YAML
        if isinstance(data, dict):
            known = {name for key, info in cls.model_fields.items() for name in (info.alias or key, key)}
            listed = {info.alias or key for key, info in cls.model_fields.items()}
            unknown = [str(key) for key in data if key not in known]
            if unknown:
                raise PydanticCustomError("unknown_keys", "unknown keys", {"unknown": unknown, "known": sorted(listed)})
        return data


def parse(kind: type[Model] | Any, document: Document, path: Path_ = ()) -> Model:  # noqa: ANN401 - also Annotated types
    """Read the part of `document` at `path` as a model.

    Raises:
        ConfigError: every problem of that part, each with file and line.
        MissingEnvironmentVariableError: that part needs a variable that is not set.
    """
    document.require_environment(path)
    data: Any = document.data
    for step in path:
        data = data[step]
    try:
        model: Model = TypeAdapter(kind).validate_python(data)
    except ValidationError as error:
        problems = [
            problem for detail in error.errors(include_url=False) for problem in _problems(detail, document, path)
        ]
        raise ConfigError.several(problems) from None
    return model


def _problems(detail: ErrorDetails, document: Document, base: Path_) -> list[ConfigError]:
    path = _real_path(document.data, base, detail["loc"])
    dotted = ".".join(map(str, path)) or "the file"
    context = detail.get("ctx", {})
    if detail["type"] == "unknown_keys":
        return [
            UnknownKeyError.among(
                where=document.where((*path, key)),
                parent=".".join(map(str, path)),
                key=key,
                known=context["known"],
            )
            for key in context["unknown"]
        ]
    if detail["type"] == "union_tag_invalid":
        known = [tag.strip(" '") for tag in context["expected_tags"].split(",")]
        path = (*path, context["discriminator"].strip("'"))
        problem = f"unknown value {context['tag']!r}.{did_you_mean(context['tag'], known)} Known: {', '.join(known)}"
        return [ConfigError.invalid(where=document.where(path), key=".".join(map(str, path)), problem=problem)]
    problem = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "missing":
        parent = path[:-1] if path and path[-1] == detail["loc"][-1] else path
        inside = ".".join(map(str, parent)) or "the file"
        return [
            ConfigError.invalid(
                where=document.where(parent),
                key=inside,
                problem=f"the key {str(detail['loc'][-1])!r} is missing",
            )
        ]
    secret = path in document.hidden or any(_SECRET_NAME.search(str(step)) for step in path)
    value = None if secret or not path else _short(_at(document.data, path))
    return [ConfigError.invalid(where=document.where(path), key=dotted, problem=problem, value=value)]


def _real_path(data: Any, base: Path_, loc: tuple[int | str, ...]) -> Path_:  # noqa: ANN401
    """Drop from pydantic's location what is not in the YAML: names of union members and validators."""
    path: list[str | int] = list(base)
    node = _at(data, base)
    for step in loc:
        in_mapping = isinstance(node, dict) and step in node
        in_list = isinstance(node, list) and isinstance(step, int) and step < len(node)
        if in_mapping or in_list:
            node = _at(node, (step,))
            path.append(step)
    return tuple(path)


def _at(data: Any, path: Path_) -> Any:  # noqa: ANN401
    for step in path:
        data = data[step]
    return data


def _short(value: Any) -> str | None:  # noqa: ANN401
    if isinstance(value, (dict, list)):
        return None  # it may hold a secret further down
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
