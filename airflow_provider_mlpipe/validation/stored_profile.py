"""Profiles that are kept: one JSON file that drift rules name as their reference.

The file never changes once it is written: a verdict of last week must mean today what it meant then. A new look at the
data is a new file.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.errors import ConfigError, redact
from airflow_provider_mlpipe.validation.references import PROFILE_FORMAT, PROFILE_VERSION

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_mlpipe.validation.survey import Survey

__all__ = ["as_text", "document", "write_once"]


def document(survey: Survey) -> dict[str, Any]:
    """Return the content of a stored profile."""
    return {
        "format": PROFILE_FORMAT,
        "format_version": PROFILE_VERSION,
        "dataset": survey.dataset,
        "stage": survey.stage,
        "artifact": survey.artifact,
        "fingerprint": survey.fingerprint,
        "as_of": None if survey.as_of is None else survey.as_of.isoformat(),
        "rows": survey.rows,
        "distinct_is_exact": survey.exact,
        "columns": {name: _column(survey, name) for name in survey.columns},
    }


def _column(survey: Survey, name: str) -> dict[str, Any]:
    facts = survey.columns[name].as_dict()
    del facts["name"]
    if name in survey.sensitive:
        return {"type": facts["type"], "nulls": facts["nulls"], "distinct": facts["distinct"], "sensitive": True}
    return {**facts, **survey.distributions.get(name, {})}


def write_once(path: Path, text: str, *, what: str) -> None:
    """Write a file that is not there yet; writing the same content again is fine.

    Args:
        path: where; folders are made.
        text: what.
        what: the option that named the file, for the message.

    Raises:
        ConfigError: another file is there, or the place cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        if path.is_file() and path.read_text(encoding="utf-8", errors="replace") == text:
            return
        raise ConfigError.invalid(
            where=str(path), key=what, problem="the file exists and says something else",
            hint="Choose another name, such as one with a date in it, or remove the file if nothing refers to it.",
        ) from error  # fmt: skip
    except OSError as error:
        problem = f"cannot be written ({redact(error.strerror or str(error))})"
        raise ConfigError.invalid(where=str(path), key=what, problem=problem) from error


def as_text(content: dict[str, Any]) -> str:
    """Return the JSON text: one line per column, so that two profiles can be compared by eye."""
    columns = ",\n".join(
        f"  {json.dumps(name, ensure_ascii=False)}: {json.dumps(facts, ensure_ascii=False, allow_nan=False)}"
        for name, facts in content["columns"].items()
    )
    head = {key: value for key, value in content.items() if key != "columns"}
    lines = json.dumps(head, indent=1, ensure_ascii=False, allow_nan=False).removesuffix("\n}")
    return f'{lines},\n "columns": {{\n{columns}\n }}\n}}\n'
